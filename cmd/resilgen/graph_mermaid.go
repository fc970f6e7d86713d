package main

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
)

// mermaid writes a chart in the language of Mermaid. Its nodes are called n0, n1
// and so on, since names may be words of the language.
func mermaid(c *chart) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "---\ntitle: %q\n---\nflowchart TD\n", mermaidTitle(c.title))
	for _, note := range c.notes {
		fmt.Fprintf(&b, "  %%%% %s\n", clean(note))
	}
	letters := false
	for i, v := range c.vertices {
		fmt.Fprintf(&b, "  n%d%s\n", i, mermaidShape(v))
		letters = letters || v.letter
	}
	if letters {
		fmt.Fprintf(&b, "  letters[(\"%s\")]\n", strings.TrimSuffix("dead letters<br/>"+mermaidText(c.letters), "<br/>"))
	}
	for _, a := range c.arrows {
		line := "-->"
		switch {
		case a.choice:
			line = "-.->"
		case a.taken:
			line = "==>"
		}
		fmt.Fprintf(&b, "  n%d %s n%d\n", a.from, line, a.to)
	}
	for i, v := range c.vertices {
		if v.letter {
			fmt.Fprintf(&b, "  n%d -. fails .-> letters\n", i)
		}
	}
	mermaidMarks(&b, c)
	return b.Bytes()
}

// mermaidShape is the shape of a vertex with its text.
func mermaidShape(v vertex) string {
	lines := append([]string{v.name}, vertexNotes(v)...)
	if v.join != "" {
		lines = append(lines, "joins "+v.join)
	}
	if v.fallback {
		lines = append(lines, "fallback")
	}
	for i, line := range lines {
		lines[i] = mermaidText(line)
	}
	text := `"` + strings.Join(lines, "<br/>") + `"`
	switch {
	case v.kind == kindEnd:
		return "((" + text + "))"
	case v.kind == kindSignal:
		return "{{" + text + "}}"
	case v.kind == kindWhole:
		return "[[" + text + "]]"
	case v.choice:
		return "{" + text + "}"
	}
	return "[" + text + "]"
}

// mermaidMarks says in colours where a run stands.
func mermaidMarks(b *bytes.Buffer, c *chart) {
	for _, m := range []struct {
		mark  mark
		name  string
		style string
	}{
		{markDone, "done", "fill:#dff2e1,stroke:#228833"}, {markFailed, "failed", "fill:#fbdada,stroke:#bb2222"},
		{markRunning, "running", "fill:#dbe9ff,stroke:#1155cc"}, {markWaiting, "waiting", "fill:#fff0c9,stroke:#aa7700"}, {markNotYet, "unseen", "fill:#f5f5f5,stroke:#999999"},
	} {
		var list []string
		for i, v := range c.vertices {
			if v.mark == m.mark {
				list = append(list, fmt.Sprintf("n%d", i))
			}
		}
		if len(list) > 0 {
			fmt.Fprintf(b, "  classDef %s %s,color:#222222\n  class %s %[1]s\n", m.name, m.style, strings.Join(list, ","))
		}
	}
}

// mermaidText writes text so that Mermaid shows it and does nothing else with it:
// what is no letter, digit or plain sign becomes #, its number and a semicolon.
func mermaidText(s string) string {
	var b strings.Builder
	for _, r := range graphText(s) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" .,:/_+-", r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return b.String()
}

// mermaidTitle is text for the front matter, which is YAML: what %q writes is a
// string there as long as it is printable.
func mermaidTitle(s string) string { return clean(s) }
