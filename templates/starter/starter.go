// Package starter holds what resilgen init writes.
package starter

import (
	_ "embed"
	"slices"
	"strings"
)

//go:embed resilience.yaml
var text string

// Interface is an interface to write policies for.
type Interface struct {
	Name    string
	Methods []string // that are declared in it, not those of embedded ones
}

// YAML returns a resilience.yaml for interfaces. What may be retried is for a
// person to say: the lines for it are there, as comments.
func YAML(interfaces []Interface) string {
	var b strings.Builder
	b.WriteString(text)
	for _, i := range interfaces {
		b.WriteString("  " + i.Name + ":\n    use: remote\n    leaveOut: all       # a part that cannot act on a method is left out there\n    # methods:\n")
		methods := slices.DeleteFunc(slices.Clone(i.Methods), closes)
		if len(methods) == 0 {
			methods = []string{`"*"`}
		}
		for _, m := range methods {
			b.WriteString("    #   " + m + ": {idempotent: true}\n")
		}
	}
	return b.String()
}

// closes reports whether the method passes through unless it is named.
func closes(method string) bool { return method == "Close" || method == "Shutdown" || method == "Stop" }

//go:embed workflow.yaml
var workflowYAML string

//go:embed nodes.txt
var nodesGo string

//go:embed main.txt
var mainGo string

// File is one to write.
type File struct{ Name, Text string }

// Workflow returns the files of a program with a workflow.
func Workflow() []File {
	return []File{{"resilience.yaml", workflowYAML}, {"nodes.go", nodesGo}, {"main.go", mainGo}}
}
