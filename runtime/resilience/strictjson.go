package resilience

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth is how deep arrays and objects may be nested in what is read.
const maxJSONDepth = 1000

// jsonError says at which byte a text ceases to be strict JSON.
type jsonError struct {
	offset int
	why    string
}

func (e *jsonError) Error() string { return fmt.Sprintf("JSON, byte %d: %s", e.offset+1, e.why) }

// decodeStrict decodes the one JSON value of data into v, as encoding/json does,
// and refuses what [checkJSON] refuses and fields that v does not have. Numbers go
// into fields without a detour by float64; what stands as any becomes a
// [json.Number]. encoding/json does not tell the case of names apart: who must know
// that nothing was lost encodes v again and compares.
func decodeStrict(data []byte, v any) error {
	if err := checkJSON(data); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	d.UseNumber()
	return d.Decode(v)
}

// checkJSON reports whether data is one JSON value (RFC 8259) that every reader
// takes for the same one: no name twice in an object, no text that is not Unicode,
// at most maxJSONDepth deep, nothing behind it. It needs four bytes a name.
func checkJSON(data []byte) error {
	r := jsonReader{data: data}
	if err := r.skip(0); err != nil {
		return err
	}
	return r.end()
}

// jsonReader walks through a text.
type jsonReader struct {
	data  []byte
	at    int
	names []int32 // where the names of the open objects begin, for repeated
}

func (r *jsonReader) fail(why string, args ...any) error {
	return &jsonError{r.at, fmt.Sprintf(why, args...)}
}

func (r *jsonReader) space() {
	for r.at < len(r.data) && strings.IndexByte(" \t\r\n", r.data[r.at]) >= 0 {
		r.at++
	}
}

// peek returns the byte that stands next, 0 at the end, which no value begins with.
func (r *jsonReader) peek() byte {
	if r.at >= len(r.data) {
		return 0
	}
	return r.data[r.at]
}

func (r *jsonReader) end() error {
	if r.space(); r.at < len(r.data) {
		return r.fail("something follows the value")
	}
	return nil
}

// begin looks at how the next value begins.
func (r *jsonReader) begin(depth int) (byte, error) {
	r.space()
	switch c := r.peek(); {
	case r.at >= len(r.data):
		return 0, r.fail("it ends where a value is expected")
	case c == '{' || c == '[':
		if depth >= maxJSONDepth {
			return 0, r.fail("nested more than %d deep", maxJSONDepth)
		}
		return c, nil
	default:
		return c, nil
	}
}

// skip passes over a value that stands at a depth.
func (r *jsonReader) skip(depth int) error {
	c, err := r.begin(depth)
	switch {
	case err != nil:
		return err
	case c == '[':
		return r.list(func(int) error { return r.skip(depth + 1) })
	case c == '{':
		return r.object(func(int32) error { return r.skip(depth + 1) })
	case c == '"':
		_, _, err = r.pass()
	default:
		_, err = r.word()
	}
	return err
}

// list has each element of an array read by element.
func (r *jsonReader) list(element func(i int) error) error {
	r.at++
	if r.space(); r.peek() == ']' {
		r.at++
		return nil
	}
	for i := 0; ; i++ {
		if err := element(i); err != nil {
			return err
		}
		if more, err := r.comma(']'); !more {
			return err
		}
	}
}

// object has the value of each member read by member, which is told where its name
// stands.
func (r *jsonReader) object(member func(name int32) error) error {
	open := len(r.names)
	r.at++
	if r.space(); r.peek() == '}' {
		r.at++
		return nil
	}
	for {
		if r.space(); r.peek() != '"' {
			return r.fail("a name is expected")
		}
		name := int32(r.at)
		r.names = append(r.names, name)
		if _, _, err := r.pass(); err != nil {
			return err
		}
		if r.space(); r.peek() != ':' {
			return r.fail("a colon is expected")
		}
		r.at++
		if err := member(name); err != nil {
			return err
		}
		if more, err := r.comma('}'); !more {
			if err == nil {
				err = r.repeated(open)
			}
			r.names = r.names[:open]
			return err
		}
	}
}

// comma passes over what follows an element. It reports false at the end.
func (r *jsonReader) comma(end byte) (more bool, err error) {
	r.space()
	switch r.peek() {
	case ',':
		r.at++
		return true, nil
	case end:
		r.at++
		return false, nil
	}
	return false, r.fail("a comma or %q is expected", end)
}

// repeated refuses an object with a name twice. It sorts places and holds no names,
// so that an object of a million names costs little.
func (r *jsonReader) repeated(open int) error {
	names := r.names[open:]
	if len(names) < 2 {
		return nil
	}
	slices.SortFunc(names, func(a, b int32) int { return bytes.Compare(r.name(a), r.name(b)) })
	for i, at := range names[1:] {
		if name := r.name(at); bytes.Equal(name, r.name(names[i])) {
			return &jsonError{int(max(at, names[i])), fmt.Sprintf("the name %.100q stands there twice", name)}
		}
	}
	return nil
}

// name returns the name at a place where one was passed before.
func (r *jsonReader) name(at int32) []byte {
	again := jsonReader{data: r.data, at: int(at)}
	name, _ := again.text()
	return name
}

// word passes over a number, true, false or null, and returns it as it is written.
func (r *jsonReader) word() (string, error) {
	from := r.at
	for r.at < len(r.data) && strings.IndexByte(" \t\r\n,:]}", r.data[r.at]) < 0 {
		r.at++
	}
	word := r.data[from:r.at]
	switch string(word) {
	case "true", "false", "null":
		return string(word), nil
	}
	if !isNumber(word) {
		r.at = from
		return "", r.fail("%.40q is no value", word)
	}
	return string(word), nil
}

// isNumber reports whether text is a number of JSON.
func isNumber(text []byte) bool {
	digits := func() bool {
		n := len(text)
		for len(text) > 0 && text[0] >= '0' && text[0] <= '9' {
			text = text[1:]
		}
		return len(text) < n
	}
	text = bytes.TrimPrefix(text, []byte("-"))
	if leading := len(text) > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9'; leading || !digits() {
		return false
	}
	if len(text) > 0 && text[0] == '.' {
		if text = text[1:]; !digits() {
			return false
		}
	}
	if len(text) > 0 && (text[0] == 'e' || text[0] == 'E') {
		if text = text[1:]; len(text) > 0 && (text[0] == '+' || text[0] == '-') {
			text = text[1:]
		}
		if !digits() {
			return false
		}
	}
	return len(text) == 0
}

// pass goes past a string and returns what stands between its quotes, and whether
// there are escapes in it.
func (r *jsonReader) pass() (raw []byte, escapes bool, err error) {
	for i := r.at + 1; i < len(r.data); i++ {
		switch c := r.data[i]; {
		case c == '"':
			if raw = r.data[r.at+1 : i]; !utf8.Valid(raw) {
				return nil, false, r.fail("a string that is not UTF-8")
			}
			r.at = i + 1
			return raw, escapes, nil
		case c == '\\':
			_, n := unescape(r.data[i:])
			if n == 0 {
				return nil, false, r.fail("a string with an escape that is none")
			}
			escapes = true
			i += n - 1
		case c < ' ':
			return nil, false, r.fail("a string with a control character")
		}
	}
	return nil, false, r.fail("a string without end")
}

// text reads a string. What it returns may be part of the data.
func (r *jsonReader) text() ([]byte, error) {
	raw, escapes, err := r.pass()
	if err != nil || !escapes {
		return raw, err
	}
	out := make([]byte, 0, len(raw))
	for len(raw) > 0 {
		if raw[0] != '\\' {
			out, raw = append(out, raw[0]), raw[1:]
			continue
		}
		char, n := unescape(raw)
		out, raw = utf8.AppendRune(out, char), raw[n:]
	}
	return out, nil
}

// unescape returns the character that text begins with, and how many bytes of text
// stand for it: 0 where it is none.
func unescape(text []byte) (rune, int) {
	if len(text) < 2 {
		return 0, 0
	}
	if i := strings.IndexByte(`"\/bfnrt`, text[1]); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), 2
	}
	char, ok := fourDigits(text)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(char) {
		return char, 6
	}
	low, ok := fourDigits(text[6:])
	if char = utf16.DecodeRune(char, low); !ok || char == utf8.RuneError {
		return 0, 0 // half a pair is no character, and encoding/json would change it
	}
	return char, 12
}

// fourDigits returns the number of an escape such as \u00e9.
func fourDigits(text []byte) (n rune, ok bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	for _, c := range text[2:6] {
		digit := strings.IndexByte("0123456789abcdef", c|0x20)
		if digit < 0 || c < '0' { // what |0x20 makes a digit of
			return 0, false
		}
		n = n<<4 | rune(digit)
	}
	return n, true
}
