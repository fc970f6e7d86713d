package generator

import (
	"fmt"
	"go/types"
	"reflect"
	"strings"

	"golang.org/x/tools/go/types/typeutil"
)

// carry reports whether encoding/json brings every value of type t back as it
// was, where it is encoded by way of a pointer. If not, path leads from at to what
// it loses or refuses, "req.Body.Reader", "req.Items[].Done", and reason says why.
// What [carry] cannot know is left to the encoder: a NaN, a pointer to itself,
// bytes in a string that are no UTF-8.
//
// leave reports whether a field is meant to be lost; nil: none is.
func carry(t types.Type, at string, leave func(field *types.Var, tag string) bool) (path, reason string, ok bool) {
	c := &carrier{leave: leave}
	path, reason = c.check(t, at, true)
	return path, reason, reason == ""
}

// carrier remembers what was found to be fine, or is being looked at: a type
// that holds itself by a pointer is as good as what else it holds.
type carrier struct {
	leave func(field *types.Var, tag string) bool
	seen  [2]typeutil.Map // by whether the value is addressable
}

// check looks at a type at a path. addressable says that the encoder can call
// methods of its pointer.
func (c *carrier) check(t types.Type, at string, addressable bool) (path, reason string) {
	seen := &c.seen[0]
	if addressable {
		seen = &c.seen[1]
	}
	if seen.Set(t, true) != nil {
		return "", ""
	}
	if opaque, reason := encodesItself(t, addressable); opaque || reason != "" {
		return at, reason
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return at, basicReason(u)
	case *types.Pointer:
		return c.check(u.Elem(), at, true)
	case *types.Slice:
		return c.check(u.Elem(), at+"[]", true)
	case *types.Array:
		return c.check(u.Elem(), at+"[]", addressable)
	case *types.Map:
		if reason := keyReason(u.Key()); reason != "" {
			return at + "[key]", reason
		}
		return c.check(u.Elem(), at+"[]", false)
	case *types.Struct:
		return c.fields(u, t, at, addressable)
	case *types.Chan:
		return at, "a channel is no data"
	case *types.Signature:
		return at, "a func is no data"
	}
	return c.open(t, at, addressable)
}

// open looks at an interface or a type parameter. The latter is as good as the
// types that it may be.
func (c *carrier) open(t types.Type, at string, addressable bool) (path, reason string) {
	param, ok := types.Unalias(t).(*types.TypeParam)
	if !ok {
		return at, briefly(t) + " is an interface, and JSON does not say what was in it"
	}
	terms := termsOf(param)
	for _, term := range terms {
		if path, reason := c.check(term, at, addressable); reason != "" {
			return path, reason
		}
	}
	if len(terms) == 0 {
		return at, "the type parameter " + briefly(t) + " may be a type that JSON does not carry"
	}
	return "", ""
}

// termsOf returns the types that a constraint lists, nil where it lists none.
func termsOf(param *types.TypeParam) []types.Type {
	var list []types.Type
	iface := param.Constraint().Underlying().(*types.Interface)
	for e := range iface.EmbeddedTypes() {
		union, ok := types.Unalias(e).Underlying().(*types.Union)
		if !ok {
			if !types.IsInterface(e) {
				list = append(list, e)
			}
			continue
		}
		for term := range union.Terms() {
			list = append(list, term.Type())
		}
	}
	return list
}

func basicReason(b *types.Basic) string {
	switch {
	case b.Kind() == types.UnsafePointer:
		return "an unsafe.Pointer is no data"
	case b.Info()&types.IsComplex != 0:
		return "JSON has no complex numbers"
	case b.Kind() == types.Invalid:
		return "its type is not known: does the package compile?"
	}
	return ""
}

func keyReason(key types.Type) string {
	b, basic := key.Underlying().(*types.Basic)
	if basic && b.Info()&(types.IsString|types.IsInteger) != 0 {
		return ""
	}
	if hasCoding(key, "MarshalText", false) && hasCoding(key, "UnmarshalText", true) {
		return ""
	}
	return "JSON has text as keys of objects: " + briefly(key) + " is neither a string nor an integer, nor has it MarshalText and UnmarshalText"
}

// encodesItself reports whether t has methods that write and read it. Half of
// them is a reason to refuse it, and so are methods of one embedded field, which
// know nothing of the others.
func encodesItself(t types.Type, addressable bool) (opaque bool, reason string) {
	if types.IsInterface(t) || isPointer(t) {
		return false, ""
	}
	for _, format := range []string{"JSON", "Text"} {
		writes, reads := hasCoding(t, "Marshal"+format, addressable), hasCoding(t, "Unmarshal"+format, true)
		switch {
		case writes && reads:
			return true, promotedReason(t, "Marshal"+format)
		case writes:
			return false, fmt.Sprintf("%s has Marshal%s and no Unmarshal%[2]s", briefly(t), format)
		case reads && hasCoding(t, "Marshal"+format, true):
			return false, fmt.Sprintf("the encoder does not call the Marshal%s of a *%s on a value in a map: keep pointers there", format, briefly(t))
		case reads:
			return false, fmt.Sprintf("%s has Unmarshal%s and no Marshal%[2]s", briefly(t), format)
		}
	}
	return false, ""
}

func isPointer(t types.Type) bool {
	_, ok := t.Underlying().(*types.Pointer)
	return ok
}

// hasCoding reports whether t, or a pointer to it where that counts, has a method
// of encoding.
func hasCoding(t types.Type, name string, pointer bool) bool {
	if pointer && !isPointer(t) {
		t = types.NewPointer(t)
	}
	m := types.NewMethodSet(t).Lookup(nil, name)
	if m == nil {
		return false
	}
	sig := m.Obj().(*types.Func).Signature()
	if strings.HasPrefix(name, "Unmarshal") {
		return sig.Params().Len() == 1 && isBytes(sig.Params().At(0).Type()) && sig.Results().Len() == 1
	}
	return sig.Params().Len() == 0 && sig.Results().Len() == 2 && isBytes(sig.Results().At(0).Type())
}

func isBytes(t types.Type) bool {
	s, ok := types.Unalias(t).(*types.Slice)
	return ok && types.Identical(s.Elem(), types.Typ[types.Byte])
}

// promotedReason refuses a struct that is encoded by a method of what it embeds,
// and holds something beside that.
func promotedReason(t types.Type, name string) string {
	s, ok := t.Underlying().(*types.Struct)
	_, index, _ := types.LookupFieldOrMethod(types.NewPointer(t), false, nil, name)
	if !ok || len(index) < 2 {
		return ""
	}
	for i := range s.NumFields() {
		if i != index[0] && !empty(s.Field(i).Type()) && s.Field(i).Name() != "_" {
			return fmt.Sprintf("its %s is that of the embedded %s, which leaves out the field %s", name, s.Field(index[0]).Name(), s.Field(i).Name())
		}
	}
	return ""
}

// empty reports whether values of t hold nothing that counts: they have no size,
// or are locks.
func empty(t types.Type) bool {
	if _, named := types.Unalias(t).(*types.Named); named && isLock(t) {
		return true
	}
	switch u := t.Underlying().(type) {
	case *types.Struct:
		for f := range u.Fields() {
			if !empty(f.Type()) {
				return false
			}
		}
		return true
	case *types.Array:
		return u.Len() == 0 || empty(u.Elem())
	}
	return false
}

func isLock(t types.Type) bool {
	set := types.NewMethodSet(types.NewPointer(t))
	return set.Lookup(nil, "Lock") != nil && set.Lookup(nil, "Unlock") != nil
}

// briefly is a type as a message names it.
func briefly(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string { return p.Name() })
}

// jsonField is a field as encoding/json sees it.
type jsonField struct {
	field  *types.Var
	at     string // the path to it
	name   string
	tagged bool // the name is from its tag
}

// fields looks at the fields of a struct, and at those that it takes over from
// structs that it embeds: of several with one name the least deep one counts, then
// one with a tag, and of equals none does.
func (c *carrier) fields(s *types.Struct, t types.Type, at string, addressable bool) (path, reason string) {
	level, known := []embedded{{s, t, at}}, map[string]bool{}
	var above typeutil.Map
	for len(level) > 0 {
		var found []jsonField
		var next []embedded
		for _, e := range level {
			if above.At(e.t) != nil {
				return e.at, "its fields are hidden by those of the " + briefly(e.t) + " around it or beside it"
			}
			fields, deeper, path, reason := c.level(e)
			if reason != "" {
				return path, reason
			}
			found, next = append(found, fields...), append(next, deeper...)
		}
		if path, reason := shadowed(found, known); reason != "" {
			return path, reason
		}
		for _, f := range found {
			known[f.name] = true
			if path, reason := c.check(f.field.Type(), f.at, addressable); reason != "" {
				return path, reason
			}
		}
		for _, e := range level {
			above.Set(e.t, true)
		}
		level = next
	}
	return "", ""
}

// embedded is a struct whose fields count as those of another one.
type embedded struct {
	s  *types.Struct
	t  types.Type
	at string
}

// level returns the fields that a struct brings, and the structs that it embeds.
func (c *carrier) level(e embedded) (found []jsonField, deeper []embedded, path, reason string) {
	kept := types.NewMethodSet(types.NewPointer(e.t)).Lookup(nil, "ProtoReflect") != nil
	for i := range e.s.NumFields() {
		f, tag := e.s.Field(i), reflect.StructTag(e.s.Tag(i)).Get("json")
		at := e.at + "." + f.Name()
		name, _, _ := strings.Cut(tag, ",")
		inner, isStruct := structOf(f.Type())
		switch {
		case f.Name() == "_" || empty(f.Type()) || c.leave != nil && c.leave(f, e.s.Tag(i)):
		case !f.Exported() && (!f.Embedded() || !isStruct):
			if !kept { // else what is not exported is the bookkeeping of a message
				return nil, nil, at, "a field that is not exported is lost"
			}
		case tag == "-":
			return nil, nil, at, `a field with the tag json:"-" is lost`
		case f.Embedded() && isStruct && name == "":
			if !f.Exported() && isPointer(f.Type()) {
				return nil, nil, at, "the decoder cannot set an embedded pointer to a type that is not exported"
			}
			deeper = append(deeper, embedded{inner, elem(f.Type()), at})
		case !f.Exported():
			return nil, nil, at, "a field that is not exported is lost"
		case name == "":
			found = append(found, jsonField{f, at, f.Name(), false})
		default:
			found = append(found, jsonField{f, at, name, true})
		}
	}
	return found, deeper, "", ""
}

// elem is what t points to, or t.
func elem(t types.Type) types.Type {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		return p.Elem()
	}
	return t
}

func structOf(t types.Type) (*types.Struct, bool) {
	s, ok := elem(t).Underlying().(*types.Struct)
	return s, ok
}

// shadowed names a field that the encoder leaves out because of another one: of
// its own level, or of known ones above.
func shadowed(level []jsonField, known map[string]bool) (path, reason string) {
	first := map[string]jsonField{}
	for _, f := range level {
		other, twice := first[f.name]
		if !twice {
			first[f.name] = f
		}
		switch {
		case known[f.name]:
			return f.at, fmt.Sprintf("another field hides it under the JSON name %q", f.name)
		case twice && f.tagged && !other.tagged:
			return other.at, fmt.Sprintf("%s hides it under the JSON name %q", f.at, f.name)
		case twice:
			return f.at, fmt.Sprintf("%s has the JSON name %q too", other.at, f.name)
		}
	}
	return "", ""
}
