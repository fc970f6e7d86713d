package generator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/types"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/tools/go/types/typeutil"
)

// shapeOf returns the fingerprint of a type: the first 16 hexadecimal digits of
// the SHA-256 of its [expansion].
func shapeOf(t types.Type) string { return fingerprint(expansion(t)) }

// fingerprint returns the first 16 hexadecimal digits of the SHA-256 of text.
func fingerprint(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// expansion spells a type out as JSON has to do with it: the names of fields,
// their json tags and kinds down to the leaves. The names of types do not matter,
// nor the order of fields, other tags, and fields that are not in the JSON. A type
// that encodes itself is its name, with the path of its package. A struct that
// comes again, be it in itself, is its number.
func expansion(t types.Type) string {
	x := &expander{}
	x.expand(t)
	return x.text.String()
}

type expander struct {
	text    strings.Builder
	structs typeutil.Map // → number
}

func (x *expander) expand(t types.Type) {
	if opaque, _ := encodesItself(t, true); opaque {
		x.text.WriteString(types.TypeString(types.Unalias(t), (*types.Package).Path))
		return
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		x.text.WriteString(types.Typ[u.Kind()].Name())
	case *types.Pointer:
		x.text.WriteString("*")
		x.expand(u.Elem())
	case *types.Slice:
		x.text.WriteString("[]")
		x.expand(u.Elem())
	case *types.Array:
		fmt.Fprintf(&x.text, "[%d]", u.Len())
		x.expand(u.Elem())
	case *types.Map:
		x.text.WriteString("map[")
		x.expand(u.Key())
		x.text.WriteString("]")
		x.expand(u.Elem())
	case *types.Struct:
		x.fields(u, t)
	case *types.Chan:
		x.text.WriteString([]string{"chan ", "chan<- ", "<-chan "}[u.Dir()])
		x.expand(u.Elem())
	case *types.Signature:
		x.signature(u)
	case *types.Interface:
		x.open(u, t)
	}
}

func (x *expander) fields(s *types.Struct, t types.Type) {
	if n := x.structs.At(t); n != nil {
		fmt.Fprintf(&x.text, "#%d", n)
		return
	}
	x.structs.Set(t, x.structs.Len()+1)
	var order []int
	for i := range s.NumFields() {
		if reflect.StructTag(s.Tag(i)).Get("json") != "-" && (s.Field(i).Exported() || s.Field(i).Embedded()) {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(s.Field(a).Name(), s.Field(b).Name()) })
	x.text.WriteString("{")
	for n, i := range order {
		f := s.Field(i)
		if n > 0 {
			x.text.WriteString("; ")
		}
		if f.Embedded() {
			x.text.WriteString("embedded ")
		}
		fmt.Fprintf(&x.text, "%s ", f.Name())
		x.expand(f.Type())
		if tag, ok := reflect.StructTag(s.Tag(i)).Lookup("json"); ok {
			fmt.Fprintf(&x.text, " %q", tag)
		}
	}
	x.text.WriteString("}")
}

func (x *expander) signature(sig *types.Signature) {
	x.text.WriteString("func")
	for _, list := range []*types.Tuple{sig.Params(), sig.Results()} {
		x.text.WriteString("(")
		for i := range list.Len() {
			if i > 0 {
				x.text.WriteString(", ")
			}
			x.expand(list.At(i).Type())
		}
		x.text.WriteString(")")
	}
}

// open spells an interface: a named one and a type parameter by its name, another
// one by its methods.
func (x *expander) open(u *types.Interface, t types.Type) {
	switch types.Unalias(t).(type) {
	case *types.Named, *types.TypeParam:
		x.text.WriteString(types.TypeString(types.Unalias(t), (*types.Package).Path))
		return
	}
	x.text.WriteString("interface{")
	for i := range u.NumMethods() { // in the order of their names
		fmt.Fprintf(&x.text, "%s ", u.Method(i).Name())
		x.signature(u.Method(i).Signature())
		x.text.WriteString("; ")
	}
	x.text.WriteString("}")
}
