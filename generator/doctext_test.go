package generator

import (
	"strings"
	"testing"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// What is said about a method mentions every part of its policy.
func TestEveryPartIsMentioned(t *testing.T) {
	for _, part := range policy.Parts() {
		yaml := "version: 1\ninterfaces: {G: {idempotent: true, " + policy.Lookup(part).Example + "}}"
		set, err := policy.Read([]policy.Input{{Path: "resilience.yaml", Data: []byte(yaml)}})
		if err != nil {
			t.Fatal(err)
		}
		list, errs := set.Files[0].Interfaces[0].Resolve([]policy.Method{{Name: "Get"}})
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		if text := nesting(list[0]); !strings.Contains(text, part) {
			t.Errorf("nesting with %s = %q", part, text)
		}
		m := &templates.Method{Name: "Get", Policy: &templates.Literal{}}
		m.Fallback.Method = part == "fallback"
		if text := sentence(&templates.Wrapper{Short: "G"}, m, list[0]); text == "Get calls the wrapped G." {
			t.Errorf("sentence says nothing of %s", part)
		}
		if text := describe(m, list[0]); strings.HasPrefix(text, ";") {
			t.Errorf("describe with %s = %q", part, text)
		}
	}
}
