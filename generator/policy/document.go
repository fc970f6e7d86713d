package policy

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
)

//go:embed reference.md
var reference string

// Document returns docs/policy.md: the prose of reference.md around what is
// printed from the tables. A line {{…}} of the prose names what stands there.
func Document() []byte {
	var out bytes.Buffer
	for line := range strings.Lines(reference) {
		part := documentParts[strings.TrimSpace(line)]
		if part == nil {
			out.WriteString(line)
			continue
		}
		part(&out)
	}
	return out.Bytes()
}

var documentParts = map[string]func(*bytes.Buffer){
	"{{file}}":           func(b *bytes.Buffer) { keyTables(b, InFile, "") },
	"{{entry}}":          func(b *bytes.Buffer) { keyTables(b, InPolicy|InInterface|InMethod, "") },
	"{{timeout}}":        func(b *bytes.Buffer) { keyTables(b, inEntry, "timeout") },
	"{{retry}}":          func(b *bytes.Buffer) { keyTables(b, inEntry, "retry") },
	"{{hedge}}":          func(b *bytes.Buffer) { keyTables(b, inEntry, "hedge") },
	"{{circuitBreaker}}": func(b *bytes.Buffer) { keyTables(b, inEntry, "circuitBreaker") },
	"{{checkpoint}}":     func(b *bytes.Buffer) { keyTables(b, inEntry, "checkpoint") },
	"{{cache}}":          func(b *bytes.Buffer) { keyTables(b, inEntry, "cache") },
	"{{rateLimit}}":      func(b *bytes.Buffer) { keyTables(b, inEntry, "rateLimit") },
	"{{bulkhead}}":       func(b *bytes.Buffer) { keyTables(b, inEntry, "bulkhead") },
	"{{fallback}}":       func(b *bytes.Buffer) { keyTables(b, inEntry, "fallback") },
	"{{adaptive}}":       func(b *bytes.Buffer) { keyTables(b, inEntry, "adaptive") },
	"{{deadLetter}}":     func(b *bytes.Buffer) { keyTables(b, inEntry, "deadLetter") },
	"{{chaos}}":          func(b *bytes.Buffer) { keyTables(b, inEntry, "chaos") },
	"{{order}}":          func(b *bytes.Buffer) { keyRows(b, func(k *Key) bool { return k.Path == "order" }) },
	"{{workflows}}":      func(b *bytes.Buffer) { keyRows(b, func(k *Key) bool { return k.Places&InWorkflow != 0 }) },
	"{{nodes}}":          func(b *bytes.Buffer) { keyRows(b, func(k *Key) bool { return k.Places&InNode != 0 }) },
	"{{pipelines}}":      func(b *bytes.Buffer) { keyRows(b, func(k *Key) bool { return k.Places&(InPipeline|InStage) != 0 }) },
	"{{values}}":         valueTable,
	"{{matchers}}":       matcherTable,
	"{{builtin}}":        func(b *bytes.Buffer) { codeBlock(b, "policies:", builtinSource) },
	"{{presets}}":        func(b *bytes.Buffer) { codeBlock(b, "", presetSource) },
}

// keyTables prints the keys that are built: those of a part, or those beside
// the parts.
func keyTables(b *bytes.Buffer, places Place, part string) {
	keyRows(b, func(k *Key) bool {
		return k.Type != Layers && k.Places&places != 0 && (k.Path == part || k.part() == part && k.Type != Part)
	})
}

func keyRows(b *bytes.Buffer, in func(*Key) bool) {
	b.WriteString("| key | type | default | meaning | example |\n|---|---|---|---|---|\n")
	for _, k := range Keys() {
		if !k.Built || !in(k) {
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", k.Path, k.typeText(), codeOr(k.Default), cell(k.meaning()), code(k.Example))
	}
}

// typeText says what a value looks like.
func (k *Key) typeText() string {
	var text string
	switch {
	case len(k.Values) > 0:
		var names []string
		for _, v := range k.Values {
			names = append(names, code(v.Name))
		}
		text = strings.Join(names, ", ")
		if k.Type == Layers || k.Type == Words {
			text = "list of " + text
		}
	case k.Type == structural:
		text = k.written
	case k.group() && k.plain():
		text = "mapping or `true`"
	case k.group():
		text = "mapping"
	default:
		text = typeNames[k.Type]
		if k.Range != "" {
			text += " " + k.Range
		}
	}
	if k.Unset != "" {
		text += ", or " + code(k.Unset)
	}
	return text
}

var typeNames = map[Type]string{
	Duration: "duration", Durations: "list of durations", Int: "integer", Number: "number", Percent: "percent",
	Bool: "`true` or `false`", Condition: "`true`, `false`, a Go condition in quotes, or a mapping", Text: "name", Func: "Go func", Expression: "Go expression, quoted", Matchers: "list of matchers",
	Texts: "list of texts", Cron: "cron expression, quoted", Pairs: "mapping of parameters to Go names", Bytes: "size",
}

func (k *Key) meaning() string {
	text := k.Doc
	for _, n := range k.needs {
		text += " Acts only beside `" + lastName(n.path) + "`"
		if len(n.values) > 0 {
			text += " " + strings.Join(n.values, ", ")
		}
		text += "."
	}
	if !k.RunTime && k.Places&inEntry != 0 && k.Type != structural && !strings.HasPrefix(k.Path, "idempotent") && !k.Hint {
		text += " Compiled in."
	}
	return text
}

// valueTable prints what the values of enums mean.
func valueTable(b *bytes.Buffer) {
	b.WriteString("| key | value | meaning |\n|---|---|---|\n")
	for _, k := range Keys() {
		for i, v := range k.Values {
			key := ""
			if i == 0 {
				key = code(k.Path)
			}
			if k.Built {
				fmt.Fprintf(b, "| %s | `%s` | %s |\n", key, v.Name, cell(v.Doc))
			}
		}
	}
}

func matcherTable(b *bytes.Buffer) {
	b.WriteString("| matcher | errors | floor |\n|---|---|---|\n")
	for _, m := range builtinMatchers {
		doc, floor := m.Doc, ""
		if m.Floor {
			floor = "yes"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", m.Name, cell(doc), floor)
	}
}

func codeBlock(b *bytes.Buffer, head, source string) {
	b.WriteString("```yaml\n")
	indent := ""
	if head != "" {
		b.WriteString(head + "\n")
		indent = "  "
	}
	for line := range strings.Lines(strings.TrimPrefix(source, "\n")) {
		b.WriteString(indent + line)
	}
	b.WriteString("```\n")
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + cell(s) + "`"
}

// codeOr prints a default: words as they are, values as code.
func codeOr(s string) string {
	if strings.Contains(s, " ") {
		return cell(s)
	}
	return code(s)
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
