package policy

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Bounds of a policy file. They are far above what people write, and low
// enough that a hostile file costs nothing.
const (
	maxBytes = 256 << 10
	maxDepth = 32
	maxLine  = 200 // characters shown of a source line
)

// source is one file while it is read.
type source struct {
	path  string
	lines []string
	errs  Errors
}

func (s *source) pos(n *yaml.Node) Pos {
	if n == nil {
		return Pos{s.path, 1, 1}
	}
	return Pos{s.path, max(n.Line, 1), max(n.Column, 1)}
}

// errorf adds a complaint about key at n.
func (s *source) errorf(n *yaml.Node, id, key, format string, args ...any) {
	s.complain(s.pos(n), id, key, fmt.Sprintf(format, args...))
}

func (s *source) complain(pos Pos, id, key, msg string) {
	s.errs = append(s.errs, &Error{Pos: pos, ID: id, Key: key, Msg: msg, Line: s.line(pos.Line)})
}

func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) || utf8.RuneCountInString(s.lines[n-1]) > maxLine {
		return ""
	}
	return s.lines[n-1]
}

// parse returns the root mapping of data, nil after a complaint.
func (s *source) parse(data []byte) *yaml.Node {
	if len(data) > maxBytes {
		s.errorf(nil, "", "", "the file has %d bytes, more than %d", len(data), maxBytes)
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	s.lines = strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
	if !s.isText(data) {
		return nil
	}
	if line := tooDeep(s.lines); line > 0 {
		s.complain(Pos{s.path, line, 1}, "", "", fmt.Sprintf("nested more than %d deep", maxDepth))
		return nil
	}
	var doc, second yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); err != nil {
		s.syntax(err)
		return nil
	}
	if err := dec.Decode(&second); err == nil {
		s.errorf(&second, "", "", "a second document; one file holds one")
		return nil
	}
	root := doc.Content[0]
	if !s.isPlain(root) {
		return nil
	}
	if root.Kind != yaml.MappingNode {
		s.errorf(root, "", "", "want a mapping that begins with version: 1")
		return nil
	}
	return root
}

func (s *source) isText(data []byte) bool {
	for i, line := range s.lines {
		col := 1
		for len(line) > 0 {
			r, size := utf8.DecodeRuneInString(line)
			switch {
			case r == utf8.RuneError && size == 1:
				s.complain(Pos{s.path, i + 1, col}, "", "", "invalid UTF-8")
				return false
			case r == 0:
				s.complain(Pos{s.path, i + 1, col}, "", "", "a NUL byte")
				return false
			}
			line, col = line[size:], col+1
		}
	}
	if len(bytes.TrimSpace(data)) == 0 {
		s.errorf(nil, "", "", "the file is empty; it begins with version: 1")
		return false
	}
	return true
}

// tooDeep returns the line where flow collections nest too deeply. The parser
// itself needs quadratic time for them, so they are counted before.
func tooDeep(lines []string) int {
	depth := 0
	for i, line := range lines {
		for _, c := range line {
			switch c {
			case '{', '[':
				if depth++; depth > maxDepth {
					return i + 1
				}
			case '}', ']':
				depth = max(0, depth-1)
			}
		}
		if strings.Count(line, "- ") > maxDepth || strings.Count(line, "? ") > maxDepth {
			return i + 1
		}
	}
	return 0
}

var syntaxLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// syntax turns an error of the YAML parser into a complaint with a position.
func (s *source) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := syntaxLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	line = min(max(line, 1), len(s.lines))
	if strings.Contains(s.line(line), "\t") {
		text += " (the line holds a tab; YAML is indented with spaces)"
	}
	s.complain(Pos{s.path, line, 1}, "", "", text)
}

// isPlain refuses what policies do not need and readers stumble over.
func (s *source) isPlain(n *yaml.Node) bool {
	before := len(s.errs)
	s.walk(n, 0)
	return len(s.errs) == before
}

func (s *source) walk(n *yaml.Node, depth int) {
	switch {
	case depth > maxDepth:
		s.errorf(n, "", "", "nested more than %d deep", maxDepth)
		return
	case n.Kind == yaml.AliasNode:
		s.errorf(n, "", "", "aliases are not supported; name a policy and say use or extends")
		return
	case n.Kind == yaml.MappingNode:
		s.keys(n)
	}
	for _, c := range n.Content {
		s.walk(c, depth+1)
	}
}

func (s *source) keys(n *yaml.Node) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		switch {
		case k.Tag == "!!merge":
			s.errorf(k, "", "", "merge keys are not supported; name a policy and say extends")
		case k.Kind != yaml.ScalarNode || k.Tag != "!!str":
			if k.Kind != yaml.AliasNode {
				s.errorf(k, "", "", "want a text as key")
			}
		case seen[k.Value] > 0:
			s.errorf(k, "RG090", k.Value, "given twice, first in line %d", seen[k.Value])
		}
		seen[k.Value] = k.Line
	}
}
