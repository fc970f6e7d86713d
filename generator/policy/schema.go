package policy

import (
	"encoding/json"
	"strings"
)

// node is a node of the schema. encoding/json sorts the keys of a map, so the
// same table gives the same bytes.
type node map[string]any

const (
	durationPattern = `^(0|\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*)$`

	// Letters of every script, said so that each engine of regular expressions
	// understands it: what is excluded is the rest of ASCII.
	letter = `[^\x00-@\x5b-\x5e\x60\x7b-\x7f]`
	inWord = `[^\x00-/:-@\x5b-\x5e\x60\x7b-\x7f]`                     // the same, or a digit
	dashed = `[^\x00-,\x2e\x2f:-@\x5b-\x5e\x60\x7b-\x7f]`             // and -
	globs  = `[^\x00-\x1f!-)\x2b\x2d-\x2f:->@\x5b-\x5e\x60\x7b-\x7f]` // what methodsPattern takes: words, *, ?, commas and spaces

	matcherPattern = `^` + letter + inWord + `*(\.` + letter + inWord + `*)?$`
	policyPattern  = `^` + letter + dashed + `*$`
	methodsPattern = `^` + globs + `+$`

	identifierPattern = `^` + letter + inWord + `*$`
	handoffPattern    = `^ *` + letter + dashed + `* *-> *` + letter + dashed + `* *$`
	sizePattern       = `^[1-9][0-9]*(B|KiB|MiB|GiB)$`
)

// Schema returns docs/resilience.schema.json, the JSON schema of policy files,
// printed from the table. It is draft 7, which editors know best. What the
// schema cannot say, what a key needs beside it, the reader still checks.
func Schema() []byte {
	root := object("", InFile)
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "resilgen policies"
	root["required"] = []string{"version"}
	definitions := node{
		"duration": node{"type": "string", "pattern": durationPattern, "description": "A Go duration with a unit, like 250ms or 1m30s."},
		"matchers": node{"type": "array", "uniqueItems": true, "items": node{"type": "string", "pattern": matcherPattern},
			"description": "Go errors, error types, funcs func(error) bool, names of errors, and built-in matchers."},
		"policy":    object("", InPolicy),
		"interface": object("", InInterface),
		"method":    object("", InMethod),
		"workflow":  object("workflows", InWorkflow),
		"pipeline":  object("pipelines", InPipeline),
		"node":      beside(object("workflows.nodes", InNode)),
		"stage":     beside(object("pipelines.stages", InStage)),
	}
	for _, k := range Keys() {
		if k.Type == Part && k.Built {
			definitions[k.Path] = object(k.Path, inEntry)
		}
	}
	root["definitions"] = definitions
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // strings, numbers and lists of them always marshal
	}
	return append(text, '\n')
}

// object describes the mapping of the keys below path, and refuses others.
func object(path string, place Place) node {
	properties := node{}
	for _, k := range children(path, place) {
		if !k.Built {
			continue
		}
		n := k.schema()
		n["description"] = k.schemaDoc()
		properties[k.name()] = n
	}
	return node{"type": "object", "additionalProperties": false, "properties": properties}
}

func (k *Key) schemaDoc() string {
	text := strings.ReplaceAll(k.Doc, "`", "")
	if k.Default != "" {
		text += " Default: " + k.Default + "."
	}
	return text
}

// schema describes the value of a key.
func (k *Key) schema() node {
	var forms []any
	switch {
	case k.Type == structural:
		return structureOf(k.Path)
	case k.Type == Part:
		forms = append(forms, ref(k.Path))
		if k.plain() {
			forms = append(forms, node{"const": true})
		}
	case k.Type == Section:
		forms = append(forms, object(k.Path, k.Places))
		if k.GoField != "" {
			forms = append(forms, node{"const": true})
		}
	default:
		forms = append(forms, k.scalarSchema())
	}
	if k.Type == Duration && !k.above {
		forms = append(forms, node{"const": 0})
	}
	if k.Unset != "" {
		forms = append(forms, node{"const": k.Unset})
	}
	if len(forms) == 1 {
		return forms[0].(node)
	}
	return node{"anyOf": forms}
}

func (k *Key) scalarSchema() node {
	switch k.Type {
	case Duration:
		return ref("duration")
	case Durations:
		return node{"type": "array", "minItems": 1, "items": ref("duration")}
	case Int, Number, Percent:
		return k.numberSchema()
	case Bool:
		return node{"type": "boolean"}
	case Condition:
		return node{"anyOf": []any{node{"type": "boolean"}, node{"type": "string", "minLength": 1}, object(k.Path, inEntry)}}
	case Enum, Layers:
		var names []string
		for _, v := range k.Values {
			names = append(names, v.Name)
		}
		if k.Type == Enum {
			return node{"enum": names}
		}
		return node{"type": "array", "minItems": 1, "uniqueItems": true, "items": node{"enum": names}}
	case Matchers:
		edit := node{"add": ref("matchers"), "remove": ref("matchers")}
		return node{"anyOf": []any{ref("matchers"), node{
			"type": "object", "additionalProperties": false, "minProperties": 1, "properties": edit}}}
	case Words, Texts:
		return k.listSchema()
	case Pairs:
		return named(identifierPattern, node{"type": "string", "pattern": matcherPattern})
	case Bytes:
		return node{"anyOf": []any{node{"type": "integer", "minimum": 1}, node{"type": "string", "pattern": sizePattern}}}
	case Func:
		return node{"type": "string", "pattern": matcherPattern}
	}
	return node{"type": "string", "minLength": 1}
}

// listSchema describes a list, or what to add to one and remove from it.
func (k *Key) listSchema() node {
	items := node{"type": "string", "minLength": 1}
	if k.Type == Words {
		items = node{"enum": k.words()}
	}
	list := node{"type": "array", "uniqueItems": true, "items": items}
	return node{"anyOf": []any{list, node{
		"type": "object", "additionalProperties": false, "minProperties": 1, "properties": node{"add": list, "remove": list}}}}
}

func (k *Key) numberSchema() node {
	n := node{"type": "number", "minimum": k.min}
	if k.Type == Int {
		n["type"] = "integer"
	}
	switch {
	case k.Type == Percent:
		n["minimum"] = 1 // less is a ratio, taken for a percentage
	case k.above:
		delete(n, "minimum")
		n["exclusiveMinimum"] = k.min
	}
	if k.max > 0 {
		n["maximum"] = k.max
	}
	return n
}

func ref(name string) node { return node{"$ref": "#/definitions/" + name} }

// structures describe the keys that code of their own reads.
var structures = map[string]func() node{
	"version":    func() node { return node{"const": 1} },
	"errors":     func() node { return named(matcherPattern, ref("matchers")) },
	"policies":   func() node { return named(policyPattern, ref("policy")) },
	"permanent":  func() node { return ref("matchers") },
	"interfaces": func() node { return node{"type": "object", "additionalProperties": orNone("interface", "null")} },
	"methods":    func() node { return named(methodsPattern, orNone("method", "")) },
	"extends":    policyNode,
	"use":        policyNode,
	"of":         func() node { return node{"type": "string", "minLength": 1} },
	"leaveOut": func() node {
		return node{"anyOf": []any{node{"const": "all"}, node{"type": "array", "minItems": 1, "items": node{"type": "string"}}}}
	},
	"lint": func() node {
		reasons := named(checkID.String(), node{"type": "string", "minLength": 1})
		return node{"type": "object", "additionalProperties": false, "properties": node{"ignore": reasons}}
	},
}

// graphStructures describe those of workflows and pipelines.
func graphStructures() map[string]func() node {
	name := func() node { return node{"type": "string", "pattern": identifierPattern} }
	goName := func() node { return node{"type": "string", "minLength": 1} }
	names := func() node { return node{"type": "array", "minItems": 1, "uniqueItems": true, "items": name()} }
	mapping := func(path string) node { return object(path, InNode) }
	return map[string]func() node{
		"workflows":          func() node { return named(identifierPattern, ref("workflow")) },
		"workflows.handlers": goName,
		"workflows.entry":    name,
		"workflows.use":      policyNode,
		"workflows.lint":     structures["lint"],
		"workflows.roles":    func() node { return named(policyPattern, names()) },
		"workflows.forbid": func() node {
			return node{"type": "array", "minItems": 1, "uniqueItems": true, "items": node{"type": "string", "pattern": handoffPattern}}
		},
		"workflows.schedules":         func() node { return named(policyPattern, object("workflows.schedules", InWorkflow)) },
		"workflows.nodes":             func() node { return named(identifierPattern, ref("node")) },
		"workflows.nodes.next":        names,
		"workflows.nodes.waitFor":     func() node { return node{"anyOf": []any{names(), mapping("workflows.nodes.waitFor")}} },
		"workflows.nodes.waitFor.any": names,
		"workflows.nodes.waitFor.all": names,
		"workflows.nodes.signal":      func() node { return node{"anyOf": []any{goName(), mapping("workflows.nodes.signal")}} },
		"workflows.nodes.signal.type": func() node { return node{"type": "string", "pattern": matcherPattern} },
		"workflows.nodes.workflow":    name,
		"workflows.nodes.pipeline":    name,
		"pipelines":                   func() node { return named(identifierPattern, ref("pipeline")) },
		"pipelines.handlers":          goName,
		"pipelines.use":               policyNode,
		"pipelines.lint":              structures["lint"],
		"pipelines.stages": func() node {
			return node{"type": "array", "minItems": 1, "items": node{"anyOf": []any{name(), oneOf(ref("stage"))}}}
		},
	}
}

// oneOf describes a mapping of one name of the user's.
func oneOf(value node) node {
	n := named(identifierPattern, value)
	n["minProperties"], n["maxProperties"] = 1, 1
	return n
}

func structureOf(path string) node {
	if own := structures[path]; own != nil {
		return own()
	}
	return graphStructures()[path]()
}

// beside is a mapping of the keys of a method and of others.
func beside(own node) node {
	all := object("", InMethod)
	for name, n := range own["properties"].(node) {
		all["properties"].(node)[name] = n
	}
	return all
}

func policyNode() node { return node{"type": "string", "pattern": policyPattern} }

// named describes a mapping of the user's names.
func named(names string, values node) node {
	return node{"type": "object", "additionalProperties": false, "patternProperties": node{names: values}}
}

func orNone(definition, other string) node {
	forms := []any{ref(definition), node{"const": none}}
	if other != "" {
		forms = append(forms, node{"type": other})
	}
	return node{"anyOf": forms}
}
