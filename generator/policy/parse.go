package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// parse returns the root of the only document of the source, or nil if there
// is nothing to walk. A source without content has a nil root and no error.
func (s *source) parse() *yaml.Node {
	if !s.checkText() {
		return nil
	}
	if line, col := deepest(s.text); line > 0 {
		s.add(s.pos(line, col), "", "", "nested more than %d levels deep", maxDepth)
		return nil
	}
	if line, col := crowded(s.text); line > 0 {
		s.add(s.pos(line, col), "", "", "more than %d lines and entries", maxEntries)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(s.text))
	root, err := decode(dec)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		s.syntax(err)
		return nil
	}
	s.second(dec)
	if !s.vet(root, 0) {
		return nil
	}
	return root
}

// deepest returns the place where flow brackets nest deeper than any policy,
// or line 0. The YAML parser takes quadratic time for such a file, so it never
// gets to see it. Brackets in quotes and comments count too, which can only
// happen to text that holds more opening brackets than closing ones.
func deepest(text []byte) (line, col int) {
	depth := 0
	line, col = 1, 0
	for _, c := range text {
		col++
		switch c {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(depth-1, 0)
		case '\n':
			line, col = line+1, 0
		}
		if depth > 4*maxDepth {
			return line, col
		}
	}
	return 0, 0
}

// crowded returns the place of one line or comma too many, or line 0. The YAML
// parser makes half a kilobyte of what takes two bytes in the file.
func crowded(text []byte) (line, col int) {
	line = 1
	for entries := 0; entries <= maxEntries; entries++ {
		i := bytes.IndexAny(text, ",\n\r")
		if i < 0 {
			return 0, 0
		}
		if col += i + 1; text[i] != ',' {
			line, col = line+1, 0
		}
		text = text[i+1:]
	}
	return line, col
}

// decode reads one document. The parser is not ours: should it panic, that is
// an error of the source like any other.
func decode(dec *yaml.Decoder) (root *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	if len(doc.Content) != 1 {
		return nil, io.EOF
	}
	return doc.Content[0], nil
}

func (s *source) second(dec *yaml.Decoder) {
	root, err := decode(dec)
	switch {
	case errors.Is(err, io.EOF):
	case err != nil:
		s.syntax(err)
	default:
		line := min(root.Line, len(s.lines)) // an empty document ends after the last line
		for line > 1 && !strings.HasPrefix(s.lines[line-1], "---") {
			line--
		}
		s.add(s.pos(line, 1), "", "", "a second document: a policy file has one")
	}
}

var syntaxLine = regexp.MustCompile(`^(?:line (\d+): )?(.*)$`)

// syntax reports a complaint of the YAML parser, which knows a line at best.
func (s *source) syntax(err error) {
	text := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), "\n", " ")
	match := syntaxLine.FindStringSubmatch(text)
	line, _ := strconv.Atoi(match[1])
	if line > 0 && strings.HasPrefix(match[2], "did not find") {
		line++ // the parser counts from 0, the scanner below it from 1
	}
	line = min(max(line, 1), len(s.lines))
	if tab := s.tabLine(); tab > 0 && strings.Contains(text, "cannot start any token") {
		s.add(s.pos(tab, strings.IndexByte(s.lines[tab-1], '\t')+1), "", "", "a tab: YAML indents with spaces")
		return
	}
	for line > 1 && strings.TrimSpace(s.lines[line-1]) == "" {
		line--
	}
	at := s.lines[line-1]
	col := len(at) - len(strings.TrimLeft(at, " \t")) + 1
	hint := ""
	rest := s.lines[line-1 : min(line+4, len(s.lines))]
	if key := unquotedExpression(strings.Join(rest, "\n")); key != "" {
		hint = "; quote the expression of " + key
	}
	s.add(s.pos(line, col), "", "", "not valid YAML: %s%s", show(match[2]), hint)
}

// tabLine returns the first line that a tab indents, or 0.
func (s *source) tabLine() int {
	for i, l := range s.lines {
		if lead := l[:len(l)-len(strings.TrimLeft(l, " \t"))]; strings.Contains(lead, "\t") && lead != l {
			return i + 1
		}
	}
	return 0
}

var unquoted = regexp.MustCompile(`\b(perKey|cost|key|into|idempotent): *[^"' ]`)

// unquotedExpression returns the key of a Go expression in the text that is
// written without quotes, "" if there is none.
func unquotedExpression(text string) string {
	if m := unquoted.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}
