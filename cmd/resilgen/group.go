package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/runtime/ops"
	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// Exit codes of the verbs that look at what a service keeps, besides those of
// all. exitFindings says that it failed.
const (
	exitPartly      = 3 // some of it was done
	exitNotFound    = 4
	exitConflict    = 5 // in use, changed meanwhile, or a plan that has ended
	exitRefused     = 7 // it needs a confirmation, or a flag
	exitUnavailable = 8
)

// group is a verb with verbs of its own: resilgen dlq ls.
type group struct {
	name, about string // about is what its help begins with
	verbs       []subverb
}

// subverb is a verb of a group. begin declares its flags and returns what runs
// with the arguments that are no flags; these may stand between them.
type subverb struct {
	name  string
	args  string // what it takes: "[filter]"
	about string // in a line
	help  string // more, in paragraphs
	line  any    // what --json prints a line of
	begin func(out *output, flags *flag.FlagSet) action
}

type action func(ctx context.Context, args []string) error

// groups are the verbs that have verbs; funcs, since their help lists verbs.
func groups() []group { return []group{dlqGroup(), ckptGroup(), runsGroup(), storeGroup()} }

func findGroup(name string) (group, bool) {
	for _, g := range groups() {
		if g.name == name {
			return g, true
		}
	}
	return group{}, false
}

func (g group) find(name string) (subverb, bool) {
	for _, v := range g.verbs {
		if v.name == name {
			return v, true
		}
	}
	return subverb{}, false
}

func (g group) names() []string {
	names := make([]string, len(g.verbs))
	for i, v := range g.verbs {
		names[i] = v.name
	}
	return names
}

// run is the verb of a group.
func (g group) run(ctx context.Context, env *environment, args []string) error {
	if len(args) == 0 {
		return usageError{fmt.Sprintf("%s wants one of its verbs: %s", g.name, strings.Join(g.names(), ", "))}
	}
	name, args := args[0], args[1:]
	if name == "help" || wantsHelp(name) {
		return g.printHelp(env, args)
	}
	v, ok := g.find(name)
	if !ok {
		hint := ""
		if near := policy.Nearest(name, g.names()); near != "" {
			hint = " (did you mean " + near + "?)"
		}
		return usageError{fmt.Sprintf("no verb %s %s%s; resilgen help %s lists them", g.name, clean(clip(name, 40)), hint, g.name)}
	}
	out, flags := env.output(), g.flags(v)
	do := v.begin(out, flags)
	rest, err := parseBetween(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return g.printHelp(env, []string{name})
	case err != nil:
		return usageError{fmt.Sprintf("%s; resilgen %s %s -h lists the flags", clean(err.Error()), g.name, name)}
	}
	out.settle()
	return out.failed(ctx, do(ctx, rest))
}

// flags returns an empty set for a verb.
func (g group) flags(v subverb) *flag.FlagSet {
	flags := flag.NewFlagSet(g.name+" "+v.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// parseBetween parses flags wherever they stand, up to --, and returns the rest.
func parseBetween(flags *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		left := flags.Args()
		if len(left) == 0 || len(left) < len(args) && args[len(args)-len(left)-1] == "--" {
			return append(rest, left...), nil
		}
		rest, args = append(rest, left[0]), left[1:]
	}
}

// printHelp prints the help of the group, or of one of its verbs.
func (g group) printHelp(env *environment, args []string) error {
	if len(args) == 0 {
		fmt.Fprintf(env.stdout, "usage: resilgen %s VERB [flags] …\n\n%s\n", g.name, g.about)
		for _, v := range g.verbs {
			fmt.Fprintf(env.stdout, "  %-34s %s\n", strings.TrimSpace(v.name+" "+v.args), v.about)
		}
		fmt.Fprintf(env.stdout, "\nresilgen %s VERB -h says more, and lists the flags.\n", g.name)
		return nil
	}
	v, ok := g.find(args[0])
	if !ok {
		return usageError{fmt.Sprintf("no verb %s %s", g.name, clean(clip(args[0], 40)))}
	}
	flags := g.flags(v)
	v.begin(env.output(), flags)
	fmt.Fprintf(env.stdout, "usage: resilgen %s %s\n\n%s.\n", g.name, strings.TrimSpace(v.name+" [flags] "+v.args), upperFirst(v.about))
	if v.help != "" {
		fmt.Fprint(env.stdout, "\n"+v.help)
	}
	if v.line != nil {
		fmt.Fprintf(env.stdout, "\n--json prints a %T a line; docs/%s.schema.json has its schema.\n", v.line, g.name)
	}
	fmt.Fprintln(env.stdout)
	var list strings.Builder
	flags.SetOutput(&list)
	flags.PrintDefaults()
	fmt.Fprint(env.stdout, strings.ReplaceAll("\n"+list.String(), "\n  -", "\n  --")[1:])
	return nil
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// output is how the verbs of groups answer: data to standard output, words to
// standard error.
type output struct {
	env         *environment
	json, quiet bool
	color       string
	yes         bool
}

func (env *environment) output() *output { return &output{env: env} }

// flags declares the flags that every verb has that prints something.
func (o *output) flags(flags *flag.FlagSet) {
	flags.BoolVar(&o.json, "json", false, "print JSON, one value a line")
	flags.BoolVar(&o.quiet, "quiet", false, "print no words on standard error but for what failed")
	o.color = "auto"
	flags.Func("color", "`when` to use colours: auto, always or never", func(when string) error {
		if when != "auto" && when != "always" && when != "never" {
			return errors.New("want auto, always or never")
		}
		o.color = when
		return nil
	})
}

// settle decides about colours: the flag wins, then NO_COLOR and CLICOLOR_FORCE.
func (o *output) settle() {
	switch {
	case o.color == "always":
		o.env.colorOut = true
	case o.color == "never":
		o.env.colorOut = false
	case os.Getenv("NO_COLOR") == "" && os.Getenv("CLICOLOR_FORCE") != "" && os.Getenv("CLICOLOR_FORCE") != "0":
		o.env.colorOut = true
	}
}

// say prints words about what is done.
func (o *output) say(format string, args ...any) {
	if !o.quiet {
		fmt.Fprintln(o.env.stderr, cleanLines(fmt.Sprintf(format, args...)))
	}
}

// value prints v as a line of JSON.
func (o *output) value(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.env.stdout, "%s\n", cleanJSON(text))
	return err
}

// confirm asks whether to go on. Without somebody at a terminal to answer it
// refuses, unless the flag yes was given.
func (o *output) confirm(question string) error {
	if o.yes {
		return nil
	}
	if !terminal(os.Stdin) || !terminal(os.Stderr) {
		return coded{exitRefused, errors.New("nobody is at the terminal to confirm it; --yes does")}
	}
	fmt.Fprintf(o.env.stderr, "%s [y/N] ", clean(question))
	var answer string
	if _, err := fmt.Fscanln(os.Stdin, &answer); err != nil || answer != "y" && answer != "yes" {
		return coded{exitRefused, errors.New("not confirmed; nothing was done")}
	}
	return nil
}

// coded is an error with an exit code of its own.
type coded struct {
	code int
	err  error
}

func (e coded) Error() string { return e.err.Error() }

// failed gives err its exit code.
func (o *output) failed(ctx context.Context, err error) error {
	var wrong usageError
	switch {
	case err == nil || errors.As(err, new(coded)) || errors.As(err, &wrong) || errors.As(err, new(policy.Errors)):
		return err
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return coded{exitInterrupted, errors.New("interrupted")}
	}
	return coded{codeOf(err), err}
}

// codeOf returns the exit code of an error of a store or a service.
func codeOf(err error) int {
	for _, c := range []struct {
		err  error
		code int
	}{
		{resilience.ErrConflict, exitConflict}, {resilience.ErrFenced, exitConflict}, {resilience.ErrBusy, exitConflict}, {resilience.ErrHeld, exitConflict},
		{resilience.ErrNoStore, exitUnavailable}, {resilience.ErrUnavailable, exitUnavailable}, {resilience.ErrStoreFull, exitUnavailable},
		{resilience.ErrClosed, exitUnavailable}, {resilience.ErrNoLetter, exitNotFound}, {resilience.ErrNoCheckpoint, exitNotFound},
		{workflow.ErrRunUnknown, exitNotFound}, {workflow.ErrRunID, exitUsage}, {workflow.ErrRunBusy, exitConflict}, {workflow.ErrRunOver, exitConflict}, {workflow.ErrRunExists, exitConflict}, {workflow.ErrRunInput, exitConflict},
		{workflow.ErrGraphChanged, exitConflict}, {workflow.ErrLogWentBack, exitUnhealthy}, {os.ErrNotExist, exitNotFound},
		{syscall.EROFS, exitUnavailable}, // a file system that is mounted to be read
	} {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	var corrupt *resilience.CorruptError
	if errors.As(err, &corrupt) {
		return exitUnhealthy
	}
	var p *ops.Problem
	if !errors.As(err, &p) {
		return exitFindings
	}
	return cmp.Or(map[ops.Code]int{ops.BadRequest: exitUsage, ops.NotFound: exitNotFound, ops.Conflict: exitConflict, ops.Busy: exitConflict, ops.Refused: exitRefused,
		ops.Unavailable: exitUnavailable}[p.Code], exitFindings)
}
