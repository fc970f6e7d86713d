package lint

import (
	"fmt"
	"go/types"
)

// nothingToKeep says why no result of the method can be kept.
func nothingToKeep(m *Method) string {
	if m.Err >= 0 && m.Sig.Results().Len() == 1 {
		return "the method has no result beside its error"
	}
	for v := range m.Sig.Results().Variables() {
		if outlivesCall(v.Type(), 1) || hasMethod(v.Type(), "Close") {
			return fmt.Sprintf("the result %s is used up by the first caller", types.TypeString(v.Type(), short))
		}
	}
	return ""
}

// Incomparable says why values of t do not tell the calls of a cache apart, ""
// if they do.
func Incomparable(t types.Type) string {
	if types.TypeString(t, nil) == "context.Context" {
		return "it holds a context, which is another one for each call"
	}
	if types.TypeString(t, nil) == "time.Time" {
		return "it holds a time.Time, whose == compares more than the instant: take its UnixNano()"
	}
	if _, param := types.Unalias(t).(*types.TypeParam); param {
		if !types.Comparable(t) {
			return "the constraint of " + t.String() + " is not comparable"
		}
		return ""
	}
	switch u := t.Underlying().(type) {
	case *types.Signature, *types.Slice, *types.Map:
		return "a " + kind(u) + " cannot be compared"
	case *types.Chan:
		return "a channel is not what the result depends on"
	case *types.Pointer:
		return "pointers are compared by address, and each call has another one: take a field"
	case *types.Interface:
		return "an interface may hold what cannot be compared, and panics then: take a field or a string"
	case *types.Array:
		return Incomparable(u.Elem())
	case *types.Struct:
		for f := range u.Fields() {
			if why := Incomparable(f.Type()); why != "" {
				return "its field " + f.Name() + ": " + why
			}
		}
	case *types.Basic:
		if u.Kind() == types.UntypedNil || u.Kind() == types.UnsafePointer {
			return u.Name() + " tells nothing apart"
		}
	}
	return ""
}

func kind(t types.Type) string {
	switch t.(type) {
	case *types.Slice:
		return "slice"
	case *types.Map:
		return "map"
	}
	return "func"
}
