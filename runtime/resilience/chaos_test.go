package resilience

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestChaosIsInNoBinaryWithoutItsTag looks for its symbol.
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
}
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
		if got := strings.Contains(string(symbols), "Call).disturb"); got != want {
			t.Errorf("tags %q: chaos is there: %v, want %v", tags, got, want)
		}
		if err := exec.Command(binary).Run(); (err != nil) != want {
			t.Errorf("tags %q: %v", tags, err)
		}
	}
}
