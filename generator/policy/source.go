package policy

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Limits of a source. They are far above what people write, and low enough
// that no file can make a run slow.
const (
	maxSize    = 256 << 10
	maxDepth   = 20
	maxEntries = 1 << 16
	maxErrors  = 1000
	maxChain   = 100 // of extends
	maxLine    = 400 // a longer source line is not shown
)

const directive = "//resilience:policy "

// A source is the text of one Input and the errors found in it.
type source struct {
	in    Input
	text  []byte // without the byte order mark
	lines []string
	errs  Errors

	overrides bool // of running policies
}

func newSource(in Input) *source {
	s := &source{in: in, text: bytes.TrimPrefix(in.Data, []byte("\uFEFF"))}
	if len(in.Data) <= maxSize {
		s.lines = splitLines(string(s.text))
	}
	return s
}

// splitLines splits at the line breaks that YAML knows.
func splitLines(text string) []string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Split(strings.ReplaceAll(text, "\r", "\n"), "\n")
}

// pos returns the place of line and column of the text. The lines of an
// annotation start in the middle of lines of its file.
func (s *source) pos(line, col int) Pos {
	line, col = max(line, 1), max(col, 1)
	if s.in.Line == 0 {
		return Pos{File: s.in.Path, Line: line, Col: col}
	}
	return Pos{File: s.in.Path, Line: s.in.Line + line - 1, Col: max(s.in.Col, 1) + col - 1}
}

func (s *source) at(n *yaml.Node) Pos { return s.pos(n.Line, n.Column) }

// line returns the source line to show for a place, with what stands before
// an annotation drawn in so that the caret points where it should.
func (s *source) line(p Pos) string {
	i := p.Line - 1
	if s.in.Line > 0 {
		i = p.Line - s.in.Line
	}
	if i < 0 || i >= len(s.lines) || len(s.lines[i]) > maxLine {
		return ""
	}
	if s.in.Line == 0 {
		return s.lines[i]
	}
	before := max(s.in.Col-1, 0)
	if before > maxLine {
		return ""
	}
	lead := directive[:min(before, len(directive))]
	return strings.Repeat(" ", before-len(lead)) + lead + s.lines[i]
}

// full reports that there are more errors than anybody reads. A hostile file
// must not turn every one of its bytes into a message.
func (s *source) full() bool { return len(s.errs) >= maxErrors }

func (s *source) add(p Pos, id, key, format string, args ...any) {
	if s.full() {
		return
	}
	s.errs = append(s.errs, &Error{Pos: p, ID: id, Key: key, Msg: fmt.Sprintf(format, args...), Line: s.line(p)})
}

func (s *source) errorf(n *yaml.Node, key, format string, args ...any) {
	s.add(s.at(n), "", key, format, args...)
}

// checkText reports the first byte that no policy holds.
func (s *source) checkText() bool {
	if len(s.in.Data) > maxSize {
		s.add(s.pos(1, 1), "", "", "the file has %d bytes, more than the limit of %d", len(s.in.Data), maxSize)
		return false
	}
	line, col := 1, 1
	for i := 0; i < len(s.text); {
		c, size := utf8.DecodeRune(s.text[i:])
		if complaint := badRune(c, size); complaint != "" {
			s.add(s.pos(line, col), "", "", "%s", complaint)
			return false
		}
		i += size
		col++
		if c == '\n' || c == '\r' && (i == len(s.text) || s.text[i] != '\n') {
			line, col = line+1, 1
		}
	}
	return true
}

func badRune(c rune, size int) string {
	switch {
	case c == utf8.RuneError && size <= 1:
		return "invalid UTF-8"
	case c == 0:
		return "a NUL byte: the file is not text (or is UTF-16: save it as UTF-8)"
	case c < ' ' && c != '\t' && c != '\n' && c != '\r', c >= 0x7F && c <= 0x9F, c == 0xFFFE, c == 0xFFFF:
		return fmt.Sprintf("control character %U", c)
	case c == 0x2028, c == 0x2029, c == 0xFEFF:
		return fmt.Sprintf("invisible character %U", c)
	}
	return ""
}

// vet reports what YAML allows and the policy language does not. It reports
// false if the tree must not be walked.
func (s *source) vet(n *yaml.Node, depth int) bool {
	if s.full() {
		return false
	}
	if depth > maxDepth {
		s.errorf(n, "", "nested more than %d levels deep", maxDepth)
		return false
	}
	ok := true
	if n.Kind == yaml.AliasNode {
		s.errorf(n, "", "an alias (*%s): write the policy under policies: and name it with use: or extends:", show(n.Value))
		return true
	}
	if n.Anchor != "" {
		s.errorf(n, "", "an anchor (&%s): write the policy under policies: and name it with use: or extends:", show(n.Anchor))
	}
	if n.Style&yaml.TaggedStyle != 0 {
		s.errorf(n, "", "a tag (%s): policies have none", show(n.Tag))
	}
	if n.Kind == yaml.MappingNode {
		s.vetKeys(n)
	}
	for _, c := range n.Content {
		ok = s.vet(c, depth+1) && ok
	}
	return ok
}

func (s *source) vetKeys(n *yaml.Node) {
	seen := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		switch {
		case k.Kind == yaml.AliasNode:
		case k.Tag == "!!merge":
			s.errorf(k, "<<", "merge keys are not part of the language: name a policy with use: or extends:")
		case k.Kind != yaml.ScalarNode:
			s.errorf(k, "", "a key must be a word, not a %s", kindOf(k))
		case k.Tag != "!!str":
			s.errorf(k, show(k.Value), "a key must be a string: write \"%s\"", show(k.Value))
		case seen[k.Value] != nil:
			s.errorf(k, show(k.Value), "given twice, first at %s", s.at(seen[k.Value]))
		}
		if k.Kind == yaml.ScalarNode && seen[k.Value] == nil {
			seen[k.Value] = k
		}
	}
}

// kindOf names what n is.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "mapping"
	case n.Kind == yaml.SequenceNode:
		return "list"
	case n.Kind == yaml.AliasNode:
		return "alias"
	case isNull(n):
		return "null"
	}
	return fmt.Sprintf("%q", show(n.Value))
}

// show shortens text for a message.
func show(text string) string {
	const limit = 60
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit]) + "…"
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// isString reports whether n is a scalar that YAML takes for a string.
func isString(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!str" }

// plain reports whether n is the word, unquoted.
func plain(n *yaml.Node, word string) bool {
	return n.Kind == yaml.ScalarNode && n.Value == word && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0
}

// pair is a key of a mapping and its value.
type pair struct {
	name       string
	key, value *yaml.Node
	flow       bool // in {…}
}

// pairs returns the pairs of a mapping that vet found nothing wrong with.
func pairs(n *yaml.Node) []pair {
	list := make([]pair, 0, len(n.Content)/2)
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if !isString(k) || seen[k.Value] || v.Kind == yaml.AliasNode {
			continue
		}
		seen[k.Value] = true
		list = append(list, pair{name: k.Value, key: k, value: v, flow: n.Style&yaml.FlowStyle != 0})
	}
	return list
}
