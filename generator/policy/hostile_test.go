package policy

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hostile are files that want to make a run slow, large or crash.
func hostile() map[string]string {
	n := 50_000
	var keys, anchors, chain, bombs strings.Builder
	for i := range 12_000 {
		fmt.Fprintf(&keys, "unknown%d: 1\n", i)
	}
	for i := range 10_000 {
		fmt.Fprintf(&anchors, "k%d: &a%d [x]\n", i, i)
	}
	bombs.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := range 20 {
		fmt.Fprintf(&bombs, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 9), ","))
	}
	chain.WriteString("version: 1\npolicies:\n")
	for i := range 5_000 {
		fmt.Fprintf(&chain, "  p%d: {extends: p%d, retry: true}\n", i, (i+1)%5_000)
	}
	return map[string]string{
		"size":             strings.Repeat("#", maxSize+1),
		"flow sequences":   strings.Repeat("[", 100_000),
		"flow mappings":    strings.Repeat("{a: ", n),
		"block sequences":  strings.Repeat("- ", 100_000),
		"block mappings":   strings.Repeat("? ", 100_000),
		"indented":         indented(600),
		"empty items":      "a: [" + strings.Repeat(",", 200_000) + "]",
		"items":            "version: 1\npermanent: [" + strings.Repeat("a,", 120_000) + "b]",
		"names":            "version: 1\npermanent: [" + manyNames(30_000) + "]",
		"unknown keys":     keys.String(),
		"flow keys":        "{" + strings.Repeat("a,", 120_000) + "}",
		"anchors":          anchors.String(),
		"alias bomb":       bombs.String(),
		"anchor to itself": "a: &a [*a]\nb: &b {c: *b}",
		"merge":            "version: 1\nx: &x {<<: *x}",
		"merge list":       "a: {<<: [{b: 1}, {c: 2}]}",
		"cycle":            chain.String(),
		"long key":         strings.Repeat("k", 200_000) + ": 1",
		"long plain":       "version: " + strings.Repeat("1", 200_000),
		"long comment":     strings.Repeat("# \n", 80_000),
		"quotes":           `a: "` + strings.Repeat(`\x41`, 60_000),
		"colons":           strings.Repeat(":", 200_000),
		"colon keys":       strings.Repeat("a:\n", 80_000),
		"question marks":   strings.Repeat("?\n", 100_000),
		"dashes":           strings.Repeat("-\n", 100_000),
		"stars":            strings.Repeat("*a ", 80_000),
		"ampersands":       strings.Repeat("&a ", 80_000),
		"bangs":            strings.Repeat("! ", 100_000),
		"percents":         strings.Repeat("%TAG ! a\n", 20_000),
		"pipes":            strings.Repeat("|\n", 100_000),
		"documents":        strings.Repeat("---\n", 60_000),
		"ends":             strings.Repeat("...\n", 60_000),
		"NUL":              "version: 1\n\x00",
		"invalid UTF-8":    "version: 1\n\xff\xfe",
		"UTF-16":           "\xff\xfev\x00e\x00",
		"tabs":             "version: 1\ninterfaces:\n\tG: {use: api}",
		"extends chain":    strings.Replace(chain.String(), "extends: p0,", "extends: api,", 1),
		"errors chain":     errorsChain(8_000),
		"key lists":        "version: 1\ninterfaces: {G: {methods: {\"" + strings.Repeat("A*,", 60_000) + "B\": none}}}",
		"wildcards":        "version: 1\ninterfaces: {G: {methods: {\"" + strings.Repeat("*a", 60_000) + "\": none}}}",
		"expression":       "version: 1\ninterfaces: {G: {circuitBreaker: {perKey: \"" + strings.Repeat("(", 100_000) + "\"}}}",
	}
}

func indented(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "E%d,", i)
	}
	return b.String() + "E"
}

func errorsChain(n int) string {
	var b strings.Builder
	b.WriteString("version: 1\nerrors:\n")
	for i := range n {
		fmt.Fprintf(&b, "  e%d: [e%d, e%d]\n", i, (i+1)%n, (i+2)%n)
	}
	return b.String()
}

func TestHostileFilesEnd(t *testing.T) {
	for name, text := range hostile() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			_, err := Read([]Input{{Path: "r.yaml", Data: []byte(text)}})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			var errs Errors
			if !errors.As(err, &errs) {
				if name != "names" {
					t.Fatalf("Read = %v, want errors", err)
				}
				return // long, and in order
			}
			for _, e := range errs {
				if !e.Pos.IsValid() {
					t.Errorf("%v has no position", e)
				}
			}
			size := 0
			for _, e := range errs {
				size += len(e.Error()) + len(e.Line)
			}
			t.Logf("%v, %d MiB allocated, %d errors, %d bytes of messages: %.150s", took, (after.TotalAlloc-before.TotalAlloc)>>20, len(errs), size, errs[0])
			if took > time.Second {
				t.Errorf("took %v", took)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 80<<20 {
				t.Errorf("allocated %d MiB in all", used>>20)
			}
		})
	}
}
