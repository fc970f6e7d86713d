package policy

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
)

//go:embed reference.md
var reference string

// Document returns docs/policy.md: the prose of reference.md around tables
// that are printed from the table of keys.
func Document() []byte {
	var keys, later bytes.Buffer
	keys.WriteString("| key | type | default | meaning | example |\n|---|---|---|---|---|\n")
	for _, k := range table {
		if !k.Built {
			fmt.Fprintf(&later, "`%s` (%s), ", k.Path, k.Doc)
			continue
		}
		doc, kind := k.Doc, string(k.Type)
		if k.Range != "" {
			kind += " " + k.Range
		}
		if len(k.Values) > 0 {
			kind = k.names()
		}
		fmt.Fprintf(&keys, "| `%s` | %s | %s | %s | %s |\n", k.Path, kind, code(k.Default), doc, code(k.Example))
	}
	text := strings.Replace(reference, "{{keys}}\n", keys.String(), 1)
	return []byte(strings.Replace(text, "{{later}}", strings.TrimSuffix(later.String(), ", "), 1))
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}
