package main

import (
	"encoding/json"
	"os"
	"path"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDLQJSONIsUpToDate holds the schema of what --json prints against the
// types. A member may be added; one that goes, or means something else, breaks
// those who read it.
func TestDLQJSONIsUpToDate(t *testing.T) {
	for _, g := range []group{dlqGroup(), runsGroup()} {
		jsonIsUpToDate(t, g, "../../docs/"+g.name+".schema.json")
	}
}

func jsonIsUpToDate(t *testing.T, g group, schemaPath string) {
	t.Helper()
	defs := map[string]any{}
	verbs := map[string]any{}
	for _, v := range g.verbs {
		if v.line != nil {
			verbs[v.name] = schemaOf(reflect.TypeOf(v.line), defs)
		}
	}
	text, err := json.MarshalIndent(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "What resilgen " + g.name + " VERB --json prints a line, by verb", "version": 1,
		"properties": verbs, "$defs": defs,
	}, "", "  ")
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(schemaPath, append(text, '\n'), 0o644))
	}
	want, err := os.ReadFile(schemaPath)
	require.NoError(t, err)
	require.Equal(t, string(want), string(text)+"\n", "make docs writes it again")
}

// schemaOf describes the JSON of a type. Structs go to defs.
func schemaOf(t reflect.Type, defs map[string]any) map[string]any {
	switch t {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "integer", "description": "nanoseconds"}
	case reflect.TypeFor[json.RawMessage]():
		return map[string]any{}
	case reflect.TypeFor[[]byte]():
		return map[string]any{"type": "string", "contentEncoding": "base64"}
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Pointer:
		return schemaOf(t.Elem(), defs)
	case reflect.Slice, reflect.Array:
		return map[string]any{"type": []string{"array", "null"}, "items": schemaOf(t.Elem(), defs)}
	case reflect.Map:
		return map[string]any{"type": []string{"object", "null"}, "additionalProperties": schemaOf(t.Elem(), defs)}
	case reflect.Struct:
		name := path.Base(t.PkgPath()) + "." + t.Name()
		if defs[name] == nil {
			defs[name] = true // a type may hold itself
			defs[name] = objectOf(t, defs)
		}
		return map[string]any{"$ref": "#/$defs/" + name}
	default:
		return map[string]any{"type": "integer"}
	}
}

func objectOf(t reflect.Type, defs map[string]any) map[string]any {
	members := map[string]any{}
	required := []string{} // a schema has a list
	for i := range t.NumField() {
		f := t.Field(i)
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if f.Anonymous && name == "" {
			inner := objectOf(f.Type, defs)
			for n, m := range inner["properties"].(map[string]any) {
				members[n] = m
			}
			required = append(required, inner["required"].([]string)...)
			continue
		}
		if name == "" {
			name = f.Name
		}
		members[name] = schemaOf(f.Type, defs)
		if !strings.Contains(rest, "omit") {
			required = append(required, name)
		}
	}
	return map[string]any{"type": "object", "properties": members, "required": required}
}
