package resilience

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestChaosIsInNoBinaryWithoutItsTag looks for its symbol, and for that of a func
// whose results are injected.
func TestChaosIsInNoBinaryWithoutItsTag(t *testing.T) {
	dir := t.TempDir()
	code := `package main

import (
	"context"
	"github.com/resilgen/resilgen/runtime/resilience"
)

func main() {
	g, _ := new(resilience.Runtime).Guard("x", resilience.Policy{Chaos: resilience.Chaos{InjectionRatio: 1, Panic: true}})
	_ = resilience.Try(context.Background(), g, func(context.Context) error { return nil })
	g, _ = new(resilience.Runtime).Guard("y", resilience.Policy{Chaos: resilience.Chaos{InjectionRatio: 1, Result: true}})
	call := g.Begin(context.Background())
	defer call.End()
	for call.Next() {
		if call.Injected() {
			brokenQuote()
		}
		call.Record(nil)
	}
}

//go:noinline
func brokenQuote() int { return -1 }
`
	main := filepath.Join(dir, "main.go")
	if err := os.WriteFile(main, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	for tags, want := range map[string]bool{"": false, "resilience_chaos": true} {
		binary := filepath.Join(dir, "x"+tags)
		if out, err := exec.Command("go", "build", "-tags", tags, "-o", binary, main).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		symbols, err := exec.Command("go", "tool", "nm", binary).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, symbol := range []string{"Call).disturb", "Call).Injected", "main.brokenQuote"} {
			if got := strings.Contains(string(symbols), symbol); got != want {
				t.Errorf("tags %q: %s is there: %v, want %v", tags, symbol, got, want)
			}
		}
		if err := exec.Command(binary).Run(); (err != nil) != want {
			t.Errorf("tags %q: %v", tags, err)
		}
	}
}

func TestChaosResultStandsAlone(t *testing.T) {
	for _, c := range []Chaos{{Result: true, Fault: errPeer}, {Result: true, Panic: true}} {
		if _, err := new(Runtime).Guard("x", Policy{Chaos: c}); err == nil || !strings.Contains(err.Error(), "chaos.result: ") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
