package resilience

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// jsonNode is a value of JSON that can be changed and written again: numbers as
// they were written, members in their order.
type jsonNode struct {
	kind  byte   // '{', '[', '"', '0' for a number, 't', 'f', 'n'
	text  string // of a string, its characters; of a number, true, false and null, how it is written
	names []string
	items []*jsonNode // of an object, beside names
}

// parseJSON reads what [checkJSON] takes.
func parseJSON(data []byte) (*jsonNode, error) {
	r := jsonReader{data: data}
	n, err := r.node(0)
	if err != nil {
		return nil, err
	}
	return n, r.end()
}

// node reads a value that stands at a depth.
func (r *jsonReader) node(depth int) (*jsonNode, error) {
	c, err := r.begin(depth)
	if err != nil {
		return nil, err
	}
	n := &jsonNode{kind: c}
	add := func() error {
		item, err := r.node(depth + 1)
		n.items = append(n.items, item)
		return err
	}
	switch c {
	case '[':
		err = r.list(func(int) error { return add() })
	case '{':
		err = r.object(func(name int32) error {
			n.names = append(n.names, string(r.name(name)))
			return add()
		})
	case '"':
		var text []byte
		text, err = r.text()
		n.text = string(text)
	default:
		if n.text, err = r.word(); err == nil && (c == '-' || c <= '9') {
			n.kind = '0'
		}
	}
	return n, err
}

// encode appends n to out, in the least space.
func (n *jsonNode) encode(out []byte) []byte {
	switch n.kind {
	case '[':
		out = append(out, '[')
		for i, item := range n.items {
			if i > 0 {
				out = append(out, ',')
			}
			out = item.encode(out)
		}
		return append(out, ']')
	case '{':
		out = append(out, '{')
		for i, item := range n.items {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(appendJSONText(out, n.names[i]), ':')
			out = item.encode(out)
		}
		return append(out, '}')
	case '"':
		return appendJSONText(out, n.text)
	}
	return append(out, n.text...)
}

// appendJSONText appends text as a string of JSON. The separators of lines and
// paragraphs are escaped, since JavaScript once took them for ends of lines.
func appendJSONText(out []byte, text string) []byte {
	out = append(out, '"')
	for _, char := range text {
		switch {
		case char == '"' || char == '\\':
			out = append(out, '\\', byte(char))
		case char == '\n':
			out = append(out, '\\', 'n')
		case char < ' ' || char == 0x7f || char == '\u2028' || char == '\u2029':
			const digits = "0123456789abcdef"
			out = append(out, '\\', 'u', digits[char>>12], digits[char>>8&15], digits[char>>4&15], digits[char&15])
		default:
			out = utf8.AppendRune(out, char)
		}
	}
	return append(out, '"')
}

// clone copies n and what it holds.
func (n *jsonNode) clone() *jsonNode {
	c := *n
	c.names = append([]string(nil), n.names...)
	c.items = make([]*jsonNode, len(n.items))
	for i, item := range n.items {
		c.items[i] = item.clone()
	}
	return &c
}

// depth is how deep n is nested: 0 for what holds nothing.
func (n *jsonNode) depth() int {
	d := 0
	for _, item := range n.items {
		d = max(d, item.depth()+1)
	}
	if d == 0 && (n.kind == '{' || n.kind == '[') {
		d = 1
	}
	return d
}

// weight is about how many bytes n takes when it is written.
func (n *jsonNode) weight() int {
	w := len(n.text) + 2
	for i, item := range n.items {
		w += item.weight()
		if n.kind == '{' {
			w += len(n.names[i]) + 4
		}
	}
	return w
}

// member returns the place of a name in an object, -1 where there is none.
func (n *jsonNode) member(name string) int {
	for i, have := range n.names {
		if have == name {
			return i
		}
	}
	return -1
}

// equal reports whether n and m are the same value: objects in any order, numbers
// by their value.
func (n *jsonNode) equal(m *jsonNode) bool {
	if n.kind != m.kind || len(n.items) != len(m.items) {
		return false
	}
	switch n.kind {
	case '0':
		return sameNumber(n.text, m.text)
	case '[':
		for i, item := range n.items {
			if !item.equal(m.items[i]) {
				return false
			}
		}
	case '{':
		return n.sameMembers(m)
	}
	return n.text == m.text
}

func (n *jsonNode) sameMembers(m *jsonNode) bool {
	at := make(map[string]*jsonNode, len(m.items))
	for i, name := range m.names {
		at[name] = m.items[i]
	}
	for i, name := range n.names {
		if other, ok := at[name]; !ok || !n.items[i].equal(other) {
			return false
		}
	}
	return true
}

// sameNumber compares numbers of JSON of any size without computing with them.
func sameNumber(a, b string) bool {
	return a == b || decimalOf(a) == decimalOf(b)
}

// decimal is 0.digits times ten to the power of exponent. An exponent that no int64
// holds is kept as it is written.
type decimal struct {
	negative bool
	digits   string
	exponent int64
	huge     string
}

func decimalOf(text string) decimal {
	text, negative := strings.CutPrefix(text, "-")
	mantissa, exponent := text, ""
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponent = text[:i], text[i+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return decimal{}
	}
	d := decimal{negative: negative, digits: strings.TrimRight(digits, "0")}
	shift := int64(len(digits) - len(fraction))
	if exponent == "" {
		d.exponent = shift
		return d
	}
	n, err := strconv.ParseInt(exponent, 10, 62)
	if d.exponent = n + shift; err != nil {
		d.exponent, d.huge = shift, exponent
	}
	return d
}
