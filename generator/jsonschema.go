package generator

import (
	"fmt"
	"go/types"
	"slices"
	"strconv"
	"strings"

	"github.com/resilgen/resilgen/templates"
)

// schemaNode is an object of a JSON Schema, in the order in which it is written.
type schemaNode []schemaMember

// schemaMember is a member of a schemaNode. Its value is a string, a bool, a
// number, a []string, a []schemaNode or a schemaNode.
type schemaMember struct {
	name  string
	value any
}

// maxDefinitions bounds a schema: what is named beyond it may be anything. It is
// there to be read by somebody who edits a letter.
const maxDefinitions = 60

// schemaMaker describes types as encoding/json writes them.
type schemaMaker struct {
	definitions schemaNode
	names       map[string]string // printed type → its definition
}

// letterSchema describes the arguments of a letter, all of which must be there.
func letterSchema(l *templates.Letters) string {
	s := &schemaMaker{names: map[string]string{}}
	var properties schemaNode
	var names []string
	for _, f := range l.Fields {
		var is schemaNode // whatever a codec writes
		switch {
		case f.Store != nil:
			is = schemaNode{{"type", "string"}, {"minLength", 1}}
		case f.Codec == nil:
			is = s.describe(f.Type)
		}
		properties, names = append(properties, schemaMember{f.JSON, is}), append(names, f.JSON)
	}
	root := schemaNode{{"$schema", "https://json-schema.org/draft/2020-12/schema"}}
	root = append(root, closed(properties)...)
	if len(names) > 0 {
		root = append(root, schemaMember{"required", names})
	}
	if len(s.definitions) > 0 {
		root = append(root, schemaMember{"$defs", s.definitions})
	}
	return root.text("")
}

// closed describes an object that has no members but these.
func closed(properties schemaNode) schemaNode {
	n := schemaNode{{"type", "object"}}
	if len(properties) > 0 {
		n = append(n, schemaMember{"properties", properties})
	}
	return append(n, schemaMember{"additionalProperties", false})
}

// describe describes values of type t.
func (s *schemaMaker) describe(t types.Type) schemaNode {
	if opaque, _ := encodesItself(t, true); opaque {
		return opaqueSchema(t)
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return basicSchema(u)
	case *types.Pointer:
		return nullable(s.describe(u.Elem()))
	case *types.Slice:
		if isBytes(t.Underlying()) {
			return schemaNode{{"type", []string{"string", "null"}}, {"contentEncoding", "base64"}}
		}
		return schemaNode{{"type", []string{"array", "null"}}, {"items", s.describe(u.Elem())}}
	case *types.Array:
		return schemaNode{{"type", "array"}, {"items", s.describe(u.Elem())}, {"maxItems", u.Len()}}
	case *types.Map:
		return schemaNode{{"type", []string{"object", "null"}}, {"additionalProperties", s.describe(u.Elem())}}
	case *types.Struct:
		return s.structure(u, t)
	}
	return nil
}

// opaqueSchema describes a type that writes itself, of which little is known.
func opaqueSchema(t types.Type) schemaNode {
	switch {
	case types.TypeString(types.Unalias(t), nil) == "time.Time":
		return schemaNode{{"type", "string"}, {"format", "date-time"}}
	case isText(t):
		return schemaNode{{"type", "string"}}
	}
	return nil
}

func basicSchema(b *types.Basic) schemaNode {
	switch info := b.Info(); {
	case info&types.IsBoolean != 0:
		return schemaNode{{"type", "boolean"}}
	case info&types.IsString != 0:
		return schemaNode{{"type", "string"}}
	case info&types.IsUnsigned != 0:
		return schemaNode{{"type", "integer"}, {"minimum", 0}}
	case info&types.IsInteger != 0:
		return schemaNode{{"type", "integer"}}
	case info&types.IsFloat != 0:
		return schemaNode{{"type", "number"}}
	}
	return nil
}

// nullable is n, or null.
func nullable(n schemaNode) schemaNode {
	if len(n) == 0 {
		return n
	}
	switch kind := n[0].value.(type) {
	case []string:
		return n
	case string:
		if n[0].name == "type" {
			n = slices.Clone(n)
			n[0].value = []string{kind, "null"}
			return n
		}
	}
	return schemaNode{{"anyOf", []schemaNode{n, {{"type", "null"}}}}}
}

// structure describes a struct: one that has a name once, in a definition.
func (s *schemaMaker) structure(u *types.Struct, t types.Type) schemaNode {
	named, ok := types.Unalias(t).(*types.Named)
	if !ok {
		return closed(s.members(u))
	}
	key := types.TypeString(named, nil)
	if s.names[key] == "" {
		if len(s.names) >= maxDefinitions {
			return schemaNode{{"type", "object"}}
		}
		s.names[key] = s.definition(named)
		at := len(s.definitions)
		s.definitions = append(s.definitions, schemaMember{s.names[key], nil}) // its place, while its fields are looked at
		s.definitions[at].value = closed(s.members(u))
	}
	return schemaNode{{"$ref", "#/$defs/" + s.names[key]}}
}

// definition names the definition of a type: as the type, with a number if that is
// taken.
func (s *schemaMaker) definition(t *types.Named) string {
	base := t.Obj().Name()
	for arg := range t.TypeArgs().Types() {
		base += "_" + strings.Map(identifierRune, types.TypeString(arg, func(*types.Package) string { return "" }))
	}
	name := base
	for i := 2; slices.ContainsFunc(s.definitions, func(m schemaMember) bool { return m.name == name }); i++ {
		name = fmt.Sprint(base, i)
	}
	return name
}

func identifierRune(c rune) rune {
	if c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
		return c
	}
	return '_'
}

func (s *schemaMaker) members(u *types.Struct) schemaNode {
	var list schemaNode
	for m := range members(u) {
		is := schemaNode{{"type", "string"}}
		if !m.text {
			is = s.describe(m.field.Type())
		}
		list = append(list, schemaMember{m.name, is})
	}
	return list
}

// text is n as JSON: what fits stands in one line.
func (n schemaNode) text(indent string) string {
	if len(n) == 0 {
		return "{}"
	}
	words := make([]string, len(n))
	for i, m := range n {
		words[i] = strconv.Quote(m.name) + ": " + schemaText(m.value, indent+"  ")
	}
	line := "{" + strings.Join(words, ", ") + "}"
	if len(indent)+len(line) <= 100 && !strings.Contains(line, "\n") {
		return line
	}
	return "{\n" + indent + "  " + strings.Join(words, ",\n"+indent+"  ") + "\n" + indent + "}"
}

func schemaText(value any, indent string) string {
	var words []string
	switch v := value.(type) {
	case schemaNode:
		return v.text(indent)
	case []schemaNode:
		for _, n := range v {
			words = append(words, n.text(indent))
		}
	case []string:
		for _, text := range v {
			words = append(words, strconv.Quote(text))
		}
	case string:
		return strconv.Quote(v)
	default:
		return fmt.Sprint(v)
	}
	return "[" + strings.Join(words, ", ") + "]"
}
