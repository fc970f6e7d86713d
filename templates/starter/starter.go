// Package starter holds what resilgen init writes.
package starter

import (
	_ "embed"
	"strings"
)

//go:embed resilience.yaml
var text string

// YAML returns a resilience.yaml for interfaces.
func YAML(interfaces []string) string {
	var b strings.Builder
	b.WriteString(text)
	for _, name := range interfaces {
		b.WriteString("  " + name + ":\n    use: remote\n    leaveOut: all\n    methods:\n      # \"Get*, List*\": {idempotent: true}\n")
	}
	return strings.ReplaceAll(b.String(), "    methods:\n      # ", "    # methods:\n    #   ")
}
