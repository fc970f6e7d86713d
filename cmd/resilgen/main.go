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
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // schedules are checked where no time zones are installed

	"github.com/resilgen/resilgen/generator/policy"
)

// Exit codes.
const (
	exitOK          = 0
	exitFindings    = 1 // the input is wrong, or check found a difference
	exitUsage       = 2
	exitInternal    = 3
	exitInterrupted = 130
)

const usage = `resilgen writes resilient wrappers around Go interfaces.

  resilgen init [Interface …]        write a starter resilience.yaml and the go:generate line
  resilgen init --workflow           write a program with a workflow that can be killed and goes on
  resilgen generate [flags] [dirs]   write the generated files of packages; ./... means all below
  resilgen check [flags] [dirs]      fail, with a diff, if a generated file is not up to date
  resilgen lint [flags] [dirs]       every check, also those that look at the code around; -sarif for code scanning
  resilgen diff [flags] [revision]   what got weaker, stronger or other since a git revision, or another file
  resilgen explain Gateway[.Charge]  print effective policies, where each value comes from, the worst case
  resilgen simulate Gateway.Charge   what a policy makes of a load and an outage, in virtual time, with the real runtime
  resilgen graph Research            draw a workflow or a pipeline: text, Mermaid or SVG
  resilgen explain RG023             print what a check is about, with an example
  resilgen dlq VERB [flags]          look at the calls that finally failed, mend and replay them
  resilgen ckpt VERB [flags]         look at the results that were kept so that nothing is done twice
  resilgen runs VERB [flags]         look at the runs of workflows: what was done, and where they stand
  resilgen store VERB DIR            look at, check and mend the directory in which a service keeps what is durable
  resilgen schema                    print the JSON Schema of policy files
  resilgen completion bash|zsh|fish  print a completion script
  resilgen version                   print the version

resilgen help VERB says more, and lists the flags. Exit codes: 0 done, 1 findings,
2 usage, 3 internal error, 130 interrupted. NO_COLOR=1 switches colours off.
`

// verb is a subcommand. Its error decides the exit code.
type verb func(ctx context.Context, env *environment, args []string) error

// verbs returns the verbs; a func, since completion itself is one.
func verbs() map[string]verb {
	table := map[string]verb{
		"generate": generate, "check": check, "init": initialize, "explain": explain, "lint": lintVerb, "diff": changes,
		"simulate": simulate, "graph": graphVerb,
		"schema": schema, "completion": completion, "version": version,
	}
	for _, g := range groups() {
		table[g.name] = func(ctx context.Context, env *environment, args []string) error { return g.run(ctx, env, args) }
	}
	return table
}

func verbNames() []string { return slices.Sorted(maps.Keys(verbs())) }

// usageError is a command line that cannot be understood.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// errFound says that what was printed fails the run.
var errFound = errors.New("")

// errDiffers says that check printed a difference.
var errDiffers = errors.New("generated files are not up to date; run resilgen generate")

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := interruptible()
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// gcPercent has the first collection wait for 12 MB, which most runs do not
// need: a process of some milliseconds need not tidy up.
const gcPercent = 300

// interruptible returns a context that the first Ctrl-C ends; a second one
// ends the process.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	status := newStatus(stderr)
	defer status.close()
	env := &environment{stdout: stdout, stderr: status, status: status, colorOut: colorful(stdout), colorErr: colorful(stderr)}
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(env.stderr, "resilgen: internal error, which is a bug: please report it with the policy and the interface\n%v\n%s", p, debug.Stack())
			code = exitInternal
		}
	}()
	if len(args) == 0 {
		fmt.Fprint(env.stderr, usage)
		return exitUsage
	}
	name, args := args[0], args[1:]
	if name == "help" || wantsHelp(name) {
		if len(args) == 0 {
			fmt.Fprint(stdout, usage)
			return exitOK
		}
		name, args = args[0], append(args[1:], "-h")
	}
	v := verbs()[name]
	if v == nil {
		hint := ""
		if near := policy.Nearest(name, verbNames()); near != "" {
			hint = " (did you mean " + near + "?)"
		}
		fmt.Fprintf(env.stderr, "resilgen: no verb %q%s\n\n%s", name, hint, usage)
		return exitUsage
	}
	err := env.call(ctx, name, v, args)
	if errors.Is(err, context.Canceled) && !errors.As(err, new(coded)) {
		fmt.Fprintln(env.stderr, "resilgen: interrupted; every file is as it was")
		return exitInterrupted
	}
	return env.report(err)
}

// call runs a verb. Some have flags and read them; to the others a flag is a
// mistake, but for the one that asks for help.
func (env *environment) call(ctx context.Context, name string, v verb, args []string) error {
	if _, ok := findGroup(name); ok {
		return v(ctx, env, args)
	}
	for _, arg := range args {
		switch {
		case name == "generate" || name == "check" || name == "lint" || name == "diff" || name == "simulate" || name == "graph" || name == "init":
		case wantsHelp(arg):
			env.help(name)
			return nil
		case strings.HasPrefix(arg, "-"):
			return usageError{name + " takes no flags, and was given " + arg}
		}
	}
	return v(ctx, env, args)
}

func wantsHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }

func version(_ context.Context, env *environment, args []string) error {
	if len(args) > 0 {
		return usageError{"version takes no arguments"}
	}
	_, err := fmt.Fprintln(env.stdout, "resilgen", toolVersion())
	return err
}

// toolVersion is that of the module, as the go command has built it.
func toolVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
