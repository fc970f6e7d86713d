package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/resilgen/resilgen/templates/starter"
)

// initFlags are those of init.
func (env *environment) initFlags() (*flag.FlagSet, *bool) {
	flags := flag.NewFlagSet("init", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	workflow := flags.Bool("workflow", false, "write a program with a workflow, for an empty directory")
	return flags, workflow
}

// initWorkflow writes a program with a workflow into a directory without Go files.
func initWorkflow(env *environment) error {
	there, err := filepath.Glob("*.go")
	if err != nil {
		return err
	}
	if len(there) > 0 {
		return fmt.Errorf("there are Go files here (%s); the program wants a directory of its own", clean(clip(there[0], 40)))
	}
	mod, err := goMod()
	if err != nil {
		return err
	}
	var wrote []string
	for _, f := range starter.Workflow() {
		if err := create(f.Name, f.Text, "take another directory"); err != nil {
			for _, name := range wrote {
				err = errors.Join(err, os.Remove(name))
			}
			return err
		}
		wrote = append(wrote, f.Name)
	}
	fmt.Fprintf(env.stdout, "wrote %s: the workflow Research, of five nodes\n\nnext:\n", strings.Join(wrote, ", "))
	steps := []string{"go generate, and go mod tidy", "go build -o first . && ./first   and kill it on the way, with Ctrl-C or kill -9",
		"go tool resilgen runs show first --dir state", "./first   which goes on where it stopped"}
	if !strings.Contains(mod, toolPath) {
		steps = append([]string{"go get -tool " + toolPath}, steps...)
	}
	for n, step := range steps {
		fmt.Fprintf(env.stdout, "  %d. %s\n", n+1, step)
	}
	return nil
}
