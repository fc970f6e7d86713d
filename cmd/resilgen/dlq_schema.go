package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator"
)

const schemaHelp = `The policies and the Go code of packages say it, no store is asked: of the package
here, or of those in the directories that are named, ./... being all below. Names
of methods choose among them.

  resilgen dlq schema                        the methods whose calls are kept
  resilgen dlq schema Gateway.Notify         the JSON Schema of its arguments, for an edit
  resilgen dlq schema --pii-report ./...     every place in a letter, and what happens to it
                                             before it is written: to be looked at in reviews
`

// dlqSchema says what letters hold.
func dlqSchema(out *output, flags *flag.FlagSet) action {
	out.flags(flags)
	pii := flags.Bool("pii-report", false, "print every place in the arguments that are kept, and what is done to it")
	return func(ctx context.Context, args []string) error {
		var dirs, targets []string
		for _, arg := range args {
			path := strings.ContainsAny(arg, `/\`) && !strings.HasPrefix(arg, nodePrefix)
			if strings.HasPrefix(arg, ".") || path {
				dirs = append(dirs, arg)
			} else {
				targets = append(targets, arg)
			}
		}
		reports, err := letterReports(ctx, out, dirs, targets)
		switch {
		case err != nil:
			return err
		case out.json:
			return printReports(out, reports)
		case *pii:
			return printPlaces(out, reports)
		case len(targets) > 0:
			return printSchemas(out, reports)
		}
		return printMethods(out, reports)
	}
}

// letterReports returns what the methods that are meant keep.
func letterReports(ctx context.Context, out *output, args, targets []string) ([]generator.LetterReport, error) {
	dirs, err := expand(args, generator.HasPolicies)
	if err != nil {
		return nil, err
	}
	var list []generator.LetterReport
	var known []string
	for _, dir := range dirs {
		reports, err := generator.Letters(ctx, generator.Config{Dir: dir})
		if err != nil {
			return nil, cmp.Or(ctx.Err(), err)
		}
		for _, r := range reports {
			known = append(known, r.Method)
			if len(targets) == 0 || meant(r.Method, targets) {
				list = append(list, r)
			}
		}
	}
	for _, target := range targets {
		if !slices.ContainsFunc(known, func(method string) bool { return meant(method, []string{target}) }) {
			return nil, coded{exitNotFound, fmt.Errorf("no method %s keeps its calls; %s", clean(clip(target, 80)), orNone(known))}
		}
	}
	if len(list) == 0 {
		out.say("no method here keeps its calls: deadLetter in a policy does")
	}
	return list, nil
}

// nodePrefix begins the names of nodes: workflow/Research/Plan.
const nodePrefix = "workflow/"

// meant reports whether one of the targets is the method payments.Gateway.Notify:
// as a whole, Gateway.Notify, or all of Gateway; or the node workflow/Research/Plan,
// likewise.
func meant(method string, targets []string) bool {
	_, short, _ := strings.Cut(method, ".")
	if node, ok := strings.CutPrefix(method, nodePrefix); ok {
		short = strings.Replace(node, "/", ".", 1)
	}
	iface, _, _ := strings.Cut(short, ".")
	return slices.ContainsFunc(targets, func(target string) bool { return target == method || target == short || target == iface })
}

func orNone(known []string) string {
	if len(known) == 0 {
		return "none here does"
	}
	return "these do: " + strings.Join(known, ", ")
}

func printReports(out *output, reports []generator.LetterReport) error {
	for _, r := range reports {
		if err := out.value(r); err != nil {
			return err
		}
	}
	return nil
}

func printSchemas(out *output, reports []generator.LetterReport) error {
	for _, r := range reports {
		if _, err := fmt.Fprintln(out.env.stdout, string(r.Schema)); err != nil {
			return err
		}
	}
	return nil
}

func printMethods(out *output, reports []generator.LetterReport) error {
	table := out.table([]column{{title: "METHOD"}, {title: "QUEUE"}, {title: "SIGNATURE"}, {title: "REPLAY"}, {title: "REDACTED", right: true}})
	for _, r := range reports {
		redacted := 0
		for _, f := range r.Fields {
			if f.Mode != "" {
				redacted++
			}
		}
		if err := out.row(table, r, []string{r.Method, r.Queue, r.Sig, replayWords(r), fmt.Sprintf("%d of %d", redacted, len(r.Fields))}); err != nil {
			return err
		}
	}
	return table.print()
}

// replayWords says whether letters of a method are replayed.
func replayWords(r generator.LetterReport) string {
	switch {
	case !r.Replayed:
		return "no, lacks " + strings.Join(r.Excluded, ", ")
	case !r.Idempotent:
		return "on request"
	}
	return "yes"
}

// printPlaces prints a line for every place.
func printPlaces(out *output, reports []generator.LetterReport) error {
	table := out.table([]column{{title: "METHOD"}, {title: "WRITTEN"}, {title: "WHY"}, {title: "TYPE"}, {title: "PLACE", last: true}})
	for _, r := range reports {
		for _, f := range r.Fields {
			why := f.Why
			if f.Opaque && f.Mode == "" {
				why = "what is in it is not known"
			}
			if err := out.row(table, f, []string{r.Method, cmp.Or(f.Mode, "plain"), cmp.Or(why, "-"), f.Type, f.Pointer}); err != nil {
				return err
			}
		}
		for _, name := range r.Excluded {
			if err := out.row(table, r, []string{r.Method, "not", "exclude", "-", "/" + name}); err != nil {
				return err
			}
		}
	}
	return table.print()
}
