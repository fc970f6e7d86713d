package generator

import (
	"go/types"
	"iter"
	"reflect"
	"strings"
)

// member is a member of the JSON object of a struct that [carry] lets through.
type member struct {
	name  string // in JSON
	field *types.Var
	tag   reflect.StructTag
	text  bool // the value is written as a string: the option "string"
}

// members yields the members of the JSON object of s, with those of the structs
// that it embeds.
func members(s *types.Struct) iter.Seq[member] {
	return func(yield func(member) bool) { eachMember(s, yield) }
}

func eachMember(s *types.Struct, yield func(member) bool) bool {
	for i := range s.NumFields() {
		f, tag := s.Field(i), reflect.StructTag(s.Tag(i))
		text := tag.Get("json")
		name, options, _ := strings.Cut(text, ",")
		if inner, ok := structOf(f.Type()); ok && f.Embedded() && name == "" {
			if opaque, _ := encodesItself(elem(f.Type()), true); !opaque {
				if !eachMember(inner, yield) {
					return false
				}
				continue
			}
		}
		if !f.Exported() || text == "-" {
			continue
		}
		if name == "" {
			name = f.Name()
		}
		if !yield(member{name, f, tag, strings.Contains(","+options+",", ",string,")}) {
			return false
		}
	}
	return true
}
