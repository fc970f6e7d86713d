package main

import (
	"flag"
	"fmt"
)

// helps say of each verb what it takes, does and answers. Flags follow.
var helps = map[string]string{
	"init": `usage: resilgen init [Interface …]
       resilgen init --workflow

Writes a starter resilience.yaml for the interfaces that are named, or all that
the package here declares and that have no policies yet, and resilience.go with
the go:generate line. With --workflow it writes a program instead, into a directory
without Go files: a workflow of five nodes with a join, which can be killed while
it runs and goes on where it stopped. What exists stays as it is.
`,
	"generate": `usage: resilgen generate [flags] [dirs]

Writes the generated files of the packages in dirs, or here; ./... means all
packages of the module below. A run writes every file or none, and leaves files
alone whose bytes would not change. Exit code 1: a policy cannot work.
`,
	"check": `usage: resilgen check [flags] [dirs]

Writes nothing, and prints the differences if a generated file is not what
resilgen generate would write, for CI. Exit code 1: there are differences, or a
policy cannot work.
`,
	"lint": `usage: resilgen lint [flags] [dirs]

Prints everything there is to say about the policies in dirs, or here; ./...
means all packages of the module below: what generate says, notes, and what
takes a look at the code of the module: retries that multiply, wrappers made for
each request, fallbacks that call themselves or wait for ever, calls past the
wrapper. With -overrides it also says what a service with these policies would
refuse of an overrides file, and which breakers it makes forget what they have
seen. Exit code 1: there is an error; with -strict, or a warning.
`,
	"diff": `usage: resilgen diff [flags] [revision or file] [dirs]

Prints what changed in the policies in dirs, or here, since a git revision, HEAD
by default, or from another policy file: what got weaker (more attempts, longer
timeouts, thresholds that are reached later, parts that are gone), stronger, or
other. Of workflows and pipelines it prints what changed in the graph: nodes,
edges, limits, timeouts, signals, types, stages; and what is refused: which runs
under way do not go on in the present graph, and the call of workflow.Migrate
that maps them. Types are compared with those in the generated file of the
revision; a policy file knows none. Exit code 1: with -fail-on, there are such
changes. A lint key that ignores RG09B with a reason excuses what got weaker.
`,
	"explain": `usage: resilgen explain Interface[.Method] | RG023

Prints what is in force for each method of an interface that the policies here
name: every value with the file:line:col it comes from, the nesting of the
parts, the worst case, and when attempts begin. An interface of another package
is named as the policies name it, io.ReadCloser, or by its name alone. Of an
interface it also tells which others (io.WriterTo) the package's own types have
that a type assertion does not find behind the wrapper.
The number of a check prints what it is about, why, and an example.
`,
	"simulate": `usage: resilgen simulate Interface.Method [flags]

Sends a modelled load through the wrapper of the package here to a modelled
callee, in virtual time, and prints what came of it: what callers got, how long
it took, the load on the callee, and what the breaker did when. The generated
code and the runtime are the real ones, compiled with the package, whether its
generated files are there and up to date or not; nothing is written into it.
The matchers of the policy (retryOn and its kin) are the package's own. Nothing
else of it is called: fallbacks are counted, arguments and results are empty.

A seed gives the same output each time. RESILIENCE_… variables act as they do in
a service, so that RESILIENCE_RETRY_MAXATTEMPTS=2 tries another number, and
RESILIENCE_ENABLED=false shows what happens without a policy.

  resilgen simulate Gateway.Charge --arrivals 200/s --outage 30s --latency p50=20ms,p99=400ms --failures 5%
`,
	"graph": `usage: resilgen graph Research [flags]

Draws a workflow or a pipeline that the policies here declare: its nodes with
their policies in words, joins, choices, signals, fallbacks and where dead letters
go. The format is text for a terminal, mermaid for documents, or svg, which needs
nothing to be looked at but a browser. What a run has made of it resilgen runs
graph draws.

  resilgen graph Research -o research.svg
`,
	"schema": `usage: resilgen schema

Prints the JSON Schema of policy files, for editors.
`,
	"completion": `usage: resilgen completion bash|zsh|fish

Prints a script that completes verbs, flags and directories:

  source <(resilgen completion bash)      in ~/.bashrc; zsh likewise in ~/.zshrc
  resilgen completion fish | source       in config.fish
`,
	"version": `usage: resilgen version

Prints the version.
`,
}

// help prints what is to say about a verb.
func (env *environment) help(verb string) {
	fmt.Fprint(env.stdout, helps[verb])
	var flags *flag.FlagSet
	switch verb {
	case "generate":
		flags, _ = env.generateFlags()
	case "check":
		flags = env.flags(verb)
	case "lint":
		flags = env.lintFlags()
	case "diff":
		flags = env.diffFlags()
	case "init":
		flags, _ = env.initFlags()
	case "graph":
		flags, _ = env.graphFlags()
	case "simulate":
		flags, _ = env.simulateFlags()
	default:
		return
	}
	fmt.Fprintln(env.stdout)
	flags.SetOutput(env.stdout)
	flags.PrintDefaults()
}
