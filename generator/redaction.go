package generator

import (
	"fmt"
	"go/types"
	"reflect"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/policy"
)

// LetterField is a place in the arguments of a dead letter.
type LetterField struct {
	Pointer string `json:"pointer"` // JSON pointer from the parameter on; * is every element
	Type    string `json:"type"`
	// Mode is what happens to it before it is written: seal, omit, hash or mask; ""
	// where it is written as it is.
	Mode string `json:"mode,omitempty"`
	Why  string `json:"why,omitempty"` // the tag, the name, or the key of the policy
	// Opaque says that the type does not tell what is in it.
	Opaque bool `json:"opaque,omitempty"`
}

// rule is an entry of redact or allow.
type rule struct {
	entry policy.Name
	steps []string
	mode  string
	used  bool
	raw   bool // it also means places that no type tells of
}

func rules(list policy.List) []*rule {
	var all []*rule
	for _, n := range list.Names {
		pointer, mode := policy.CutMode(n.Text)
		all = append(all, &rule{entry: n, steps: strings.Split(strings.TrimPrefix(pointer, "/"), "/"), mode: mode})
	}
	return all
}

// pointer is the rule as the runtime wants it.
func (r *rule) pointer() string { return "/" + strings.Join(r.steps, "/") }

// matches reports whether steps mean the place at path. maybe says that they may:
// a step that is no name in the path may be one in the value.
func matches(steps, path []string) (sure, maybe bool) {
	switch {
	case len(steps) == 0:
		return len(path) == 0, len(path) == 0
	case steps[0] == "**":
		sure, maybe = matches(steps[1:], path)
		if len(path) > 0 && !sure {
			s, m := matches(steps, path[1:])
			sure, maybe = sure || s, maybe || m
		}
		return sure, maybe
	case len(path) == 0:
		return false, false
	case steps[0] == "*" || steps[0] == path[0]:
		return matches(steps[1:], path[1:])
	case path[0] == "*":
		_, maybe = matches(steps[1:], path[1:])
	}
	return false, maybe
}

// reaches reports whether steps may mean a place inside of path.
func reaches(steps, path []string) bool {
	switch {
	case len(steps) == 0:
		return false
	case steps[0] == "**":
		return true
	case len(path) == 0:
		return true
	}
	return (steps[0] == "*" || path[0] == "*" || steps[0] == path[0]) && reaches(steps[1:], path[1:])
}

// redactor decides for every place in arguments whether it is written.
type redactor struct {
	r             *resolver
	redact, allow []*rule
	fields        []LetterField
	around        []*seenType
	badTags       []string
}

// seenType is a named type that is being looked at.
type seenType struct {
	t     types.Type
	path  string
	from  int  // number of fields before it
	loops bool // it holds itself
}

// maxLetterFields bounds what is looked at of a type that has no end.
const maxLetterFields = 20_000

// place decides about a place: a rule of the policy comes before a tag, and that
// before the name.
func (x *redactor) place(t types.Type, path []string, names []string, tag reflect.StructTag) {
	if len(x.fields) >= maxLetterFields {
		return
	}
	mode, why := "", ""
	for _, rule := range x.redact {
		sure, maybe := matches(rule.steps, path)
		rule.used = rule.used || sure || maybe
		if rule.raw = rule.raw || maybe && !sure; sure {
			mode, why = rule.mode, "redact"
		}
	}
	if mode == "" {
		mode, why = x.tagged(tag)
	}
	if mode == "" && slices.ContainsFunc(names, func(name string) bool { return soundsSecret(name, elem(t)) }) && !x.allowed(path) {
		mode, why = "seal", "name"
	}
	if mode != "" {
		x.fields = append(x.fields, LetterField{Pointer: "/" + strings.Join(path, "/"), Type: x.r.text(t), Mode: mode, Why: why})
		return
	}
	x.inside(t, path)
}

func (x *redactor) allowed(path []string) bool {
	found := false
	for _, rule := range x.allow {
		if sure, _ := matches(rule.steps, path); sure {
			rule.used, found = true, true
		}
	}
	return found
}

// tagModes are what the tag resilience says.
var tagModes = map[string]string{"secret": "seal", "pii": "seal", "omit": "omit", "hash": "hash", "mask": "mask"}

func (x *redactor) tagged(tag reflect.StructTag) (mode, why string) {
	text, ok := tag.Lookup("resilience")
	if !ok {
		return "", ""
	}
	if tagModes[text] == "" && !slices.Contains(x.badTags, text) {
		x.badTags = append(x.badTags, text)
	}
	return tagModes[text], "tag " + text
}

// inside looks at what is in a value.
func (x *redactor) inside(t types.Type, path []string) {
	if opaque, _ := encodesItself(t, true); opaque {
		x.leaf(t, path, !isText(t))
		return
	}
	switch u := t.Underlying().(type) {
	case *types.Pointer:
		x.inside(u.Elem(), path)
	case *types.Slice:
		if isBytes(t.Underlying()) {
			x.leaf(t, path, false)
			return
		}
		x.elements(u.Elem(), path)
	case *types.Array:
		x.elements(u.Elem(), path)
	case *types.Map:
		x.elements(u.Elem(), path)
	case *types.Struct:
		x.structure(u, t, path)
	case *types.Basic:
		x.leaf(t, path, false)
	default:
		x.leaf(t, path, true)
	}
}

func (x *redactor) elements(t types.Type, path []string) {
	x.place(t, append(slices.Clone(path), "*"), nil, "")
}

func (x *redactor) structure(s *types.Struct, t types.Type, path []string) {
	here := &seenType{t: t, path: "/" + strings.Join(path, "/"), from: len(x.fields)}
	for _, outer := range x.around {
		if types.Identical(outer.t, t) {
			outer.loops = true
			return
		}
	}
	x.around = append(x.around, here)
	for m := range members(s) {
		step := strings.ReplaceAll(strings.ReplaceAll(m.name, "~", "~0"), "/", "~1")
		x.place(m.field.Type(), append(slices.Clone(path), step), []string{m.name, m.field.Name()}, m.tag)
	}
	x.around = x.around[:len(x.around)-1]
	if !here.loops {
		return
	}
	for i := range x.fields[here.from:] { // what is redacted in it is so at every depth
		if f := &x.fields[here.from+i]; f.Mode != "" {
			f.Pointer = here.path + "/**" + strings.TrimPrefix(f.Pointer, here.path)
		}
	}
}

// leaf is a place that no type tells more of.
func (x *redactor) leaf(t types.Type, path []string, opaque bool) {
	if opaque {
		for _, rule := range x.redact {
			if reaches(rule.steps, path) {
				rule.used, rule.raw = true, true
			}
		}
	}
	x.fields = append(x.fields, LetterField{Pointer: "/" + strings.Join(path, "/"), Type: x.r.text(t), Opaque: opaque})
}

// isText reports whether values of t are texts in JSON.
func isText(t types.Type) bool {
	return types.TypeString(types.Unalias(t), nil) == "time.Time" || !hasCoding(t, "MarshalJSON", true) && hasCoding(t, "MarshalText", true)
}

// unused says which rules mean no place.
func (x *redactor) unused(complain func(n policy.Name, key, msg string)) {
	var known []string
	for _, f := range x.fields {
		known = append(known, f.Pointer)
	}
	for key, list := range map[string][]*rule{"deadLetter.redact": x.redact, "deadLetter.allow": x.allow} {
		for _, rule := range list {
			if !rule.used {
				what := "no argument has such a place"
				if key == "deadLetter.allow" {
					what = "nothing there has the name of a secret"
				}
				complain(rule.entry, key, fmt.Sprintf("%s: %s%s", rule.entry.Text, what, hint(rule.pointer(), known)))
			}
		}
	}
}
