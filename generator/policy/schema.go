package policy

import (
	"encoding/json"
	"strings"
)

// Schema returns docs/resilience.schema.json, a JSON Schema (draft 2020-12) of
// policy files, from the table of keys.
func Schema() []byte {
	entry := object(schemaOf(""))
	entry["properties"].(node)["use"] = node{"type": "string"}
	method := node{"oneOf": []any{node{"const": "none"}, entry}}
	iface := clone(entry)
	iface["properties"].(node)["of"] = node{"type": "string"}
	iface["properties"].(node)["leaveOut"] = node{"oneOf": []any{node{"const": "all"}, names}}
	iface["properties"].(node)["methods"] = node{"type": "object", "additionalProperties": method}
	named := clone(object(schemaOf("")))
	named["properties"].(node)["extends"] = node{"type": "string"}
	root := object(node{
		"version": node{"const": 1}, "preset": node{"enum": []string{"production", "development", "testing"}},
		"errors":    node{"type": "object", "additionalProperties": names},
		"policies":  node{"type": "object", "additionalProperties": named},
		"permanent": names, "statusOf": node{"type": "string"}, "retryAfterOf": node{"type": "string"},
		"interfaces": node{"type": "object", "additionalProperties": node{"oneOf": []any{node{"const": "none"}, iface}}},
	})
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Policies of resilgen"
	root["required"] = []string{"version"}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return append(text, '\n')
}

type node = map[string]any

var names = node{"oneOf": []any{node{"type": "string"}, node{"type": "array", "items": node{"type": "string"}}}}

func object(properties node) node {
	return node{"type": "object", "properties": properties, "additionalProperties": false}
}

// clone copies an object so that it can have more properties.
func clone(n node) node {
	properties := node{}
	for k, v := range n["properties"].(node) {
		properties[k] = v
	}
	return object(properties)
}

// schemaOf returns the properties below path.
func schemaOf(path string) node {
	properties := node{}
	for _, child := range children(path) {
		k := byPath[strings.TrimPrefix(path+"."+child, ".")]
		if !k.Built {
			continue
		}
		value := k.schema()
		value["description"] = k.Doc
		if k.Type != Enum { // some have a none of their own
			value = node{"description": k.Doc, "oneOf": []any{node{"const": "none"}, value}}
		}
		properties[child] = value
	}
	return properties
}

func (k *Key) schema() node {
	switch k.Type {
	case Part:
		return object(schemaOf(k.Path))
	case Switch:
		return node{"oneOf": []any{node{"type": "boolean"}, object(schemaOf(k.Path))}}
	case Duration:
		return node{"type": "string", "pattern": durationPattern}
	case Durations:
		return node{"type": "array", "minItems": 1, "items": node{"type": "string", "pattern": durationPattern}}
	case Int, Float:
		n := node{"type": map[Type]string{Int: "integer", Float: "number"}[k.Type], "minimum": k.Min}
		if k.Max > 0 {
			n["maximum"] = k.Max
		}
		return n
	case Bool:
		return node{"type": "boolean"}
	case Enum:
		return node{"enum": strings.Split(k.names(), ", ")}
	case Matchers:
		change := object(node{"add": names, "remove": names})
		return node{"oneOf": append(append([]any{}, names["oneOf"].([]any)...), change)}
	}
	return node{"type": "string"}
}

const durationPattern = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`
