package lint

import (
	"bytes"
	"fmt"
	"strings"
)

// Document returns docs/checks.md, printed from the table.
func Document() []byte {
	var b bytes.Buffer
	b.WriteString(`# Checks

What resilgen looks for. ` + "`make docs`" + ` writes this file from the table of checks,
` + "`resilgen explain RG023`" + ` prints one entry.

An error ends a run, and nothing silences it: what was asked for cannot work. An
error of judgement is about what may be right for reasons that only you know:
` + "`lint: {ignore: {RG011: \"why\"}}`" + ` silences it where it stands, ` + "`-lint=warn`" + ` makes
a warning of it for a run. Warnings are printed, and fail with ` + "`-strict`" + `. Infos are
printed by ` + "`resilgen lint`" + ` alone and fail nothing. Both can be ignored with a
reason; an ignore that ignores nothing is a warning.

| check | severity | what holds | looked for by |
|---|---|---|---|
`)
	for _, r := range Rules() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s |\n", r.ID, strings.ToLower(r.ID), r.Weight(), r.Doc, r.Verbs())
	}
	for _, r := range Rules() {
		fmt.Fprintf(&b, "\n## %s\n\n%s: %s. %s\n\nNot like this:\n\n%s\nbut:\n\n%s", r.ID, r.Weight(), r.Doc, r.Why, r.Fires.markdown(), r.Holds.markdown())
	}
	return b.Bytes()
}

// Weight says what the rule does to a run.
func (r Rule) Weight() string {
	if r.Milder {
		return r.Severity.String() + " or warning"
	}
	return r.Severity.String()
}

// Verbs says which commands look for it.
func (r Rule) Verbs() string {
	switch {
	case r.Command != "":
		return r.Command
	case r.Severity == Info:
		return "lint"
	}
	return "generate, check, lint"
}

// Explain returns what there is to say about the rule, as plain text.
func (r Rule) Explain() string {
	return fmt.Sprintf("%s  %s, found by %s\n%s\n\n%s\n\nNot like this:\n\n%s\nbut:\n\n%s",
		r.ID, r.Weight(), r.Verbs(), r.Doc, r.Why, indent(r.Fires.text("")), indent(r.Holds.text("")))
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString("    ")
		}
		b.WriteString(line)
	}
	return b.String()
}

// text returns the policy, and the Go code if it matters, with a fence before
// and after each if there is one.
func (e Example) text(fence string) string {
	block := func(language, text string) string {
		if fence == "" {
			return text
		}
		return fence + language + "\n" + text + fence + "\n"
	}
	_, yaml, _ := strings.Cut(e.YAML(), "\n")
	text := block("yaml", yaml)
	if e.Overrides != "" {
		text += "\n" + block("yaml", "# overrides.yaml\n"+strings.TrimSpace(e.Overrides)+"\n")
	}
	if e.Go != "" {
		text += "\n" + block("go", strings.TrimSpace(e.Go)+"\n")
	}
	return text
}

func (e Example) markdown() string { return e.text("```") }
