// Resilgen reads resilience policies in YAML and writes plain, type-safe Go.
//
// A file resilience.yaml beside a package's Go files declares policies:
//
//	version: 1
//	interfaces:
//	  Gateway:
//	    methods:
//	      Charge: {idempotent: true, timeout: {attempt: 2s}, retry: {maxAttempts: 4}}
//
// and resilgen generate writes resilience_gen.go with a ResilientGateway, a
// Gateway that calls another one under these policies.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"

	"github.com/resilgen/resilgen/generator/policy"
)

// Exit codes.
const (
	exitOK       = 0
	exitFindings = 1 // the input is wrong, or check found a difference
	exitUsage    = 2
	exitInternal = 3
)

const usage = `resilgen writes resilient wrappers around Go interfaces.

  resilgen init [Interface …]        write a starter resilience.yaml and the go:generate line
  resilgen generate [flags] [dirs]   write the generated files of packages; ./... means all below
  resilgen check [dirs]              fail, with a diff, if a generated file is not up to date
  resilgen explain Gateway[.Charge]  print effective policies, where each value comes from, the worst case
  resilgen schema                    print the JSON Schema of policy files
  resilgen completion bash|zsh|fish  print a completion script
  resilgen version                   print the version

Exit codes: 0 done, 1 findings, 2 usage, 3 internal error.
`

// verb is a subcommand. Its error decides the exit code.
type verb func(ctx context.Context, env *environment, args []string) error

// verbs returns the verbs; a func, since completion itself is one.
func verbs() map[string]verb {
	return map[string]verb{
		"generate": generate, "check": check, "init": initialize, "explain": explain,
		"schema": schema, "completion": completion, "version": version,
	}
}

// environment is what verbs talk to.
type environment struct {
	stdout, stderr io.Writer
	all            bool // print every complaint
	json           bool // print complaints as JSON
	strict         bool // warnings are errors
	warnings       int
}

// usageError is a command line that cannot be understood.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// errDiffers says that check printed a difference.
var errDiffers = errors.New("generated files are not up to date; run resilgen generate")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	env := &environment{stdout: stdout, stderr: stderr}
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprint(stderr, usage)
		if len(args) == 0 {
			return exitUsage
		}
		return exitOK
	}
	v := verbs()[args[0]]
	if v == nil {
		fmt.Fprintf(stderr, "resilgen: no verb %q\n\n%s", args[0], usage)
		return exitUsage
	}
	return env.report(v(ctx, env, args[1:]))
}

// report prints err and returns the exit code.
func (env *environment) report(err error) int {
	var complaints policy.Errors
	var wrong usageError
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &complaints):
		env.complain(complaints)
		return exitFindings
	case errors.As(err, &wrong):
		fmt.Fprintf(env.stderr, "resilgen: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(env.stderr, "resilgen: %v\n", err)
	return exitFindings
}

// shown is how many complaints are printed without -all.
const shown = 10

func (env *environment) complain(list policy.Errors) {
	if env.json {
		for _, e := range list {
			env.print(e)
		}
		return
	}
	for i, e := range list {
		if i == shown && !env.all {
			fmt.Fprintf(env.stderr, "… and %d more; -all shows them\n", len(list)-i)
			return
		}
		env.print(e)
	}
}

// print shows e with its source line and a caret.
func (env *environment) print(e *policy.Error) {
	if env.json {
		env.printJSON(e)
		return
	}
	if e.Warning {
		fmt.Fprint(env.stderr, "warning: ")
	}
	fmt.Fprintln(env.stderr, e)
	if e.Line == "" {
		return
	}
	pad := make([]rune, 0, e.Pos.Col)
	for i, c := range []rune(e.Line) {
		if i >= e.Pos.Col-1 {
			break
		}
		if c != '\t' {
			c = ' '
		}
		pad = append(pad, c)
	}
	fmt.Fprintf(env.stderr, "\t%s\n\t%s^\n", e.Line, string(pad))
}

// printJSON prints e as one line.
func (env *environment) printJSON(e *policy.Error) {
	severity := "error"
	if e.Warning {
		severity = "warning"
	}
	line, err := json.Marshal(struct {
		File     string `json:"file"`
		Line     int    `json:"line"`
		Column   int    `json:"column"`
		Severity string `json:"severity"`
		ID       string `json:"id,omitempty"`
		Key      string `json:"key,omitempty"`
		Message  string `json:"message"`
	}{e.Pos.File, e.Pos.Line, e.Pos.Col, severity, e.ID, e.Key, e.Msg})
	if err == nil {
		fmt.Fprintf(env.stdout, "%s\n", line)
	}
}

// warn prints a warning and counts it.
func (env *environment) warn(e *policy.Error) {
	env.warnings++
	env.print(e)
}

func version(_ context.Context, env *environment, _ []string) error {
	v := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		v = info.Main.Version
	}
	_, err := fmt.Fprintln(env.stdout, "resilgen", v)
	return err
}
