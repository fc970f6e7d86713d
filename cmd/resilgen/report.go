package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/resilgen/resilgen/generator"
	"github.com/resilgen/resilgen/generator/policy"
)

// environment is what verbs talk to.
type environment struct {
	stdout, stderr     io.Writer
	status             *status
	colorOut, colorErr bool
	all                bool     // print every complaint
	json               bool     // print complaints as JSON
	strict             bool     // warnings are errors
	verbose            bool     // how far a run is stands in logs, too
	lenient            bool     // errors of judgement are warnings
	loader             string   // who reads packages, see generator.Config
	sarif              bool     // print findings as SARIF
	overrides          []string // overrides files to look at
	failOn             string   // the changes that fail a run
	prune              bool     // remove what has no policies any more
	warnings, orphans  int
	made               map[string]bool // paths of generated files, changed or not
}

// Colours, as terminals know them.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
)

// colorful reports whether w is a terminal whose user wants colours.
func colorful(w io.Writer) bool {
	return terminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func paint(on bool, color, text string) string {
	if !on {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// report prints err and returns the exit code.
func (env *environment) report(err error) int {
	var complaints policy.Errors
	var wrong usageError
	var exit coded
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitOK
	case err == errFound:
		return exitFindings
	case errors.As(err, &complaints):
		env.complain(complaints)
		return exitFindings
	case errors.As(err, &exit):
		fmt.Fprintf(env.stderr, "resilgen: %s\n", cleanLines(err.Error()))
		return exit.code
	}
	fmt.Fprintf(env.stderr, "resilgen: %v\n", err)
	switch {
	case errors.As(err, &wrong):
		return exitUsage
	case errors.Is(err, generator.ErrInternal):
		return exitInternal
	}
	return exitFindings
}

// shown is how many complaints are printed without -all.
const shown = 10

func (env *environment) complain(list policy.Errors) {
	for i, e := range list {
		if i == shown && !env.all && !env.json {
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
	switch severity(e) {
	case "warning":
		fmt.Fprint(env.stderr, paint(env.colorErr, yellow, "warning:")+" ")
	case "info":
		fmt.Fprint(env.stderr, paint(env.colorErr, green, "info:")+" ")
	}
	text := e.Error()
	pos := len(e.Pos.String())
	fmt.Fprintln(env.stderr, paint(env.colorErr, bold, text[:pos])+text[pos:])
	if e.Line == "" || !e.Pos.IsValid() {
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
	fmt.Fprintf(env.stderr, "\t%s\n\t%s%s\n", e.Line, string(pad), paint(env.colorErr, red, "^"))
}

// severity returns error, warning or info.
func severity(e *policy.Error) string {
	switch {
	case e.Info:
		return "info"
	case e.Warning:
		return "warning"
	}
	return "error"
}

// printJSON prints e as one line.
func (env *environment) printJSON(e *policy.Error) {
	line, err := json.Marshal(struct {
		File     string `json:"file"`
		Line     int    `json:"line"`
		Column   int    `json:"column"`
		Severity string `json:"severity"`
		ID       string `json:"id,omitempty"`
		Key      string `json:"key,omitempty"`
		Message  string `json:"message"`
	}{e.Pos.File, e.Pos.Line, e.Pos.Col, severity(e), e.ID, e.Key, e.Msg})
	if err == nil {
		fmt.Fprintf(env.stdout, "%s\n", line)
	}
}

// warn prints a warning and counts it.
func (env *environment) warn(e *policy.Error) {
	env.warnings++
	env.print(e)
}
