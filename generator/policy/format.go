package policy

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Format returns the file as YAML that reads back the same: the annotations
// that were merged into it included, comments and layout not.
func (f *File) Format() []byte {
	root := &tree{}
	root.child("version").text = "1"
	if f.Preset != "" {
		root.child("preset").text = f.Preset
	}
	root.ignores(f.lint)
	for _, l := range f.errors {
		root.child("errors").child(l.name.Text).text = flow(l.items)
	}
	for _, p := range f.policies {
		t := root.child("policies").child(p.name.Text)
		t.name("extends", p.entry.base)
		t.entry(p.entry)
	}
	if f.permanent != nil {
		root.child("permanent").text = flow(f.permanent)
	}
	root.name("statusOf", f.StatusOf)
	root.name("retryAfterOf", f.RetryAfterOf)
	for _, i := range f.Interfaces {
		switch {
		case i.Workflow != nil:
			root.child("workflows").workflow(i.Workflow)
		case i.Pipeline != nil:
			root.child("pipelines").pipeline(i.Pipeline)
		default:
			root.child("interfaces").iface(i)
		}
	}
	var b strings.Builder
	root.print(&b, 0)
	return []byte(b.String())
}

// tree is a mapping, or a key with the text of its value.
type tree struct {
	key  string
	text string
	kids []*tree
	list bool // kids are entries of a list
}

// child returns the key of the mapping, made if it is missing.
func (t *tree) child(key string) *tree {
	for _, kid := range t.kids {
		if kid.key == key {
			return kid
		}
	}
	kid := &tree{key: key}
	t.kids = append(t.kids, kid)
	return kid
}

func (t *tree) name(key string, n Name) {
	switch {
	case n.Text == none: // the empty policy; quoted, it would be the name of one
		t.child(key).text = none
	case n.Text != "":
		t.child(key).text = word(n.Text)
	}
}

func (t *tree) iface(i *Interface) {
	t = t.child(i.Key)
	t.name("of", i.of)
	switch {
	case i.LeaveOutAll:
		t.child("leaveOut").text = "all"
	case i.LeaveOut != nil:
		t.child("leaveOut").text = flow(i.LeaveOut)
	}
	for _, l := range i.layers {
		if l.none.IsValid() {
			t.text = none
			continue
		}
		t.name("use", l.base)
		t.entry(l)
	}
	for _, m := range i.methods {
		kid := t.child("methods").child(m.key)
		if m.entry.none.IsValid() {
			kid.text = none
			continue
		}
		kid.name("use", m.entry.base)
		kid.entry(m.entry)
	}
}

func (t *tree) entry(e *entry) {
	for _, v := range e.values {
		at := t
		for _, name := range steps(v.Key.Path) {
			at = at.child(name)
		}
		at.text = v.text()
	}
	t.ignores(e.lint)
}

func (t *tree) ignores(list []ignore) {
	for _, i := range list {
		t.child("lint").child("ignore").child(i.id).text = strconv.QuoteToASCII(i.reason)
	}
}

func steps(path string) []string { return strings.Split(path, ".") }

// text returns the value as written in YAML, "" for a mapping.
func (v Value) text() string {
	if v.None {
		return v.Key.Unset
	}
	switch x := v.V.(type) {
	case bool:
		if v.Key.group() && !x {
			return ""
		}
		return strconv.FormatBool(x)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case Name:
		return word(x.Text)
	case string:
		if v.Key.Type == Enum || x == "" { // the latter a mapping
			return x
		}
		return strconv.QuoteToASCII(x)
	case int:
		if v.Key.Type == Bytes {
			return SizeText(x)
		}
	case []time.Duration:
		return strings.ReplaceAll(fmt.Sprint(x), " ", ", ")
	case edit:
		return x.text()
	case Pairing:
		return x.text()
	}
	return fmt.Sprint(v.V)
}

func (l edit) text() string {
	var parts []string
	if l.replace {
		return flow(l.names)
	}
	if l.add != nil {
		parts = append(parts, "add: "+flow(l.add))
	}
	if l.remove != nil {
		parts = append(parts, "remove: "+flow(l.remove))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func flow(names []Name) string {
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = word(n.Text)
	}
	return "[" + strings.Join(words, ", ") + "]"
}

var plainWord = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// word quotes what YAML would take for something else than a string.
func word(text string) string {
	if !plainWord.MatchString(text) || almostBool(text) || strings.EqualFold(text, "null") || text == none {
		return strconv.QuoteToASCII(text)
	}
	return text
}

func (t *tree) print(b *strings.Builder, depth int) {
	for _, kid := range t.kids {
		name, under := strings.Repeat("  ", depth)+word(kid.key), depth+1
		if t.list {
			name, under = strings.Repeat("  ", depth)+"- "+word(kid.key), depth+2
		}
		switch {
		case kid.text != "":
			fmt.Fprintf(b, "%s: %s\n", name, kid.text)
		case len(kid.kids) == 0 && t.list:
			b.WriteString(name + "\n")
		case len(kid.kids) == 0:
			b.WriteString(name + ": {}\n")
		default:
			b.WriteString(name + ":\n")
			kid.print(b, under)
		}
	}
}
