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
		"long number":      "version: 1\ninterfaces: {G: {retry: {maxAttempts: " + strings.Repeat("9", 250_000) + "}}}",
		"long duration":    "version: 1\ninterfaces: {G: {timeout: {total: " + strings.Repeat("1h", 120_000) + "}}}",
		"long exponent":    "version: 1\ninterfaces: {G: {retry: {backoff: {multiplier: 1e" + strings.Repeat("9", 250_000) + "}}}}",
		"long name":        "version: 1\ninterfaces: {G: {bulkhead: {name: \"" + strings.Repeat("é", 120_000) + "\"}}}",
		"long interface":   "version: 1\ninterfaces: {" + strings.Repeat("a/", 120_000) + "b.G: none}",
		"numbers as keys":  strings.Repeat("1: a\n", 50_000),
		"same key":         strings.Repeat("a: 1\n", 50_000),
		"mixed brackets":   strings.Repeat("[{a: ", 40) + strings.Repeat("x", 200_000),
		"byte order marks": strings.Repeat("\uFEFF", 80_000),
		"returns":          "version: 1\r\n" + strings.Repeat("\r\n", 120_000) + "x: 1",
		"unknown parents":  unknownParents(6_000),
		"unknown uses":     unknownUses(6_000),
		"many interfaces":  manyInterfaces(8_000),
		"many methods":     manyMethods(8_000),
		"deep policies":    deepPolicies(2_000),
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
		"nodes":            manyNodes(10_000),
		"edges":            "version: 1\nworkflows: {R: {handlers: N, entry: A, nodes: {A: {next: [" + manyNames(30_000) + "]}}}}",
		"stages":           "version: 1\npipelines: {P: {handlers: S, stages: [" + manyNames(30_000) + "]}}",
		"cron":             "version: 1\nworkflows: {R: {handlers: N, entry: A, nodes: {A: {next: [end]}}, schedules: {s: {input: f, cron: \"" + strings.Repeat("1,", 120_000) + "1 * * * *\"}}}}",
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

// unknownParents has policies that extend what there is not, and nearly.
func unknownParents(n int) string {
	var b strings.Builder
	b.WriteString("version: 1\npolicies:\n")
	for i := range n {
		fmt.Fprintf(&b, "  policy%d: {extends: polizy%d}\n", i, i)
	}
	return b.String()
}

func unknownUses(n int) string {
	var b strings.Builder
	b.WriteString("version: 1\ninterfaces:\n")
	for i := range n {
		fmt.Fprintf(&b, "  Interface%d: {use: databse%d}\n", i, i)
	}
	return b.String()
}

func manyInterfaces(n int) string {
	var b strings.Builder
	b.WriteString("version: 1\ninterfaces:\n")
	for i := range n {
		fmt.Fprintf(&b, "  Interface%d: {use: api}\n", i)
	}
	return b.String()
}

// manyMethods has entries for methods that there are not, and nearly.
func manyMethods(n int) string {
	var b strings.Builder
	b.WriteString("version: 1\ninterfaces:\n  G:\n    methods:\n")
	for i := range n {
		fmt.Fprintf(&b, "      Metod%d: {retry: none}\n", i)
	}
	return b.String()
}

// deepPolicies has long chains of policies with much in them, used by many.
func deepPolicies(n int) string {
	var b strings.Builder
	b.WriteString("version: 1\npolicies:\n  p0: {extends: api}\n")
	for i := 1; i < 99; i++ {
		fmt.Fprintf(&b, "  p%d: {extends: p%d, retry: {backoff: {initialDelay: 1s, maxDelay: 9s, multiplier: 3, jitter: ratio, jitterFactor: 0.1}}, circuitBreaker: {minimumCalls: 5, openDuration: 1s}}\n", i, i-1)
	}
	b.WriteString("interfaces:\n  G:\n    use: p98\n    methods:\n")
	for i := range n {
		fmt.Fprintf(&b, "      Method%d: {use: p98}\n", i)
	}
	return b.String()
}

func manyNodes(n int) string {
	var b strings.Builder
	b.WriteString("version: 1\nworkflows: {R: {handlers: N, entry: N0, nodes: {\n")
	for i := range n {
		fmt.Fprintf(&b, "  N%d: {next: [N%d, end]},\n", i, (i+1)%n)
	}
	return b.String() + "}}}\n"
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

// inOrder are long files that Read finds nothing wrong with.
var inOrder = map[string]bool{"names": true, "long duration": true, "many interfaces": true, "many methods": true, "edges": true, "deep policies": true}

func TestHostileFilesEnd(t *testing.T) {
	for name, text := range hostile() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start, worked := time.Now(), processTime()
			_, err := Read([]Input{{Path: "r.yaml", Data: []byte(text)}})
			// A machine that does other things, too, stretches the one, but not the other.
			took := min(time.Since(start), processTime()-worked)
			runtime.ReadMemStats(&after)
			var errs Errors
			if !errors.As(err, &errs) {
				if !inOrder[name] {
					t.Fatalf("Read = %v, want errors", err)
				}
				return
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
