package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/runtime/ops"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// runsGroup are the verbs about runs of workflows.
func runsGroup() group {
	return group{
		name: "runs",
		about: `Looks at the runs of workflows and moves them: in a running service, --addr
unix:/run/x.sock (see ops.Listen), or in the directory of its store, --dir, which
the verbs that change something need for themselves.
`,
		verbs: []subverb{
			{"ls", "", "list runs, newest first", runsLsHelp, workflow.RunSummary{}, runsList},
			{"show", "id", "print a run: where it stands, and what was done as a tree", runsShowHelp, workflow.RunDetail{}, runsShow},
			{"graph", "id", "draw the graph of a run with what ran when", runsGraphHelp, graphLine{}, runsGraph},
			{"resume", "id", "have a worker take a run that stopped", runsResumeHelp, ops.RunRef{}, runsResume},
			{"cancel", "id", "end a run", runsCancelHelp, ops.RunRef{}, runsCancel},
			{"fork", "id", "make a run that goes on where another one stood", runsForkHelp, ops.RunRef{}, runsFork},
			{"signal", "id name [value]", "tell a run what it waits for", runsSignalHelp, ops.RunRef{}, runsSignal},
			{"export", "id", "print the records of a run", runsExportHelp, nil, runsExport},
		},
	}
}

// runs is what verbs about runs share.
type runs struct {
	letters
	workflow string
}

// newRuns declares the flags that the verbs share.
func newRuns(out *output, flags *flag.FlagSet) *runs {
	r := &runs{letters: letters{out: out}}
	r.flags(flags)
	flags.StringVar(&r.workflow, "workflow", "", "the `name` of the workflow: Research, or with the path of its package")
	return r
}

// ref names the run of the arguments.
func (r *runs) ref(verb string, args []string) (ops.RunRef, error) {
	if len(args) != 1 || args[0] == "" {
		return ops.RunRef{}, usageError{"runs " + verb + " wants the id of a run; resilgen runs ls lists them"}
	}
	return ops.RunRef{Workflow: r.workflow, ID: args[0]}, nil
}

// told prints what was done with a run.
func (r *runs) told(ref ops.RunRef, format string, args ...any) error {
	if r.out.json {
		return r.out.value(ref)
	}
	r.out.say(format, args...)
	return nil
}

const runsLsHelp = `The page that follows is printed with --cursor. A status is one of

  pending      it waits for a first worker
  running      somebody has it
  waiting      for what the last column says
  interrupted  it could go on, and nobody has it: who had it stopped, or was killed
  refused      its graph has changed, and who tried could not go on with it
  parked       dead letters stand between it and its output

or completed, completed_with_dead_letters, failed, cancelled and limit_exceeded. Of a
directory that a process has open, a run is running which that process had last.
`

var statuses = []string{
	string(workflow.Pending), string(workflow.Running), string(workflow.Waiting), string(workflow.Interrupted), string(workflow.Refused), string(workflow.Parked), string(workflow.Completed),
	string(workflow.CompletedWithDeadLetters), string(workflow.Failed), string(workflow.Cancelled), string(workflow.LimitExceeded),
}

// runsList prints runs.
func runsList(out *output, flags *flag.FlagSet) action {
	r := newRuns(out, flags)
	var q workflow.RunQuery
	flags.StringVar((*string)(&q.Status), "status", "", "only runs with the `status`")
	flags.IntVar(&q.Limit, "limit", 50, "print at most `n` runs; 0 is all")
	flags.StringVar(&q.Cursor, "cursor", "", "go on where a list ended that gave this `cursor`")
	flags.BoolVar(&q.OldestFirst, "oldest", false, "oldest first")
	return func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			return usageError{"runs ls takes no arguments; --workflow and --status choose runs"}
		}
		if err := knownStatus(string(q.Status)); err != nil {
			return err
		}
		q.Workflow = r.workflow
		return r.with(false, func(c *ops.Client) error { return r.list(ctx, c, q) })
	}
}

func knownStatus(status string) error {
	if status == "" {
		return nil
	}
	for _, s := range statuses {
		if s == status {
			return nil
		}
	}
	if near := policy.Nearest(status, statuses); near != "" {
		return usageError{fmt.Sprintf("no status %s (did you mean %s?)", clean(clip(status, 40)), near)}
	}
	return usageError{fmt.Sprintf("no status %s; there are %s", clean(clip(status, 40)), strings.Join(statuses, ", "))}
}

var runColumns = []column{{title: "ID"}, {title: "STARTED"}, {title: "STATUS"}, {title: "STEPS", right: true}, {title: "FAILED", right: true}, {title: "COST", right: true}, {title: "WORKFLOW"}, {title: "WAITS FOR", last: true}}

func runRow(s workflow.RunSummary) []string {
	return []string{s.ID, when(s.Started), string(s.Status), fmt.Sprint(s.Steps), fmt.Sprint(s.Failures), fmt.Sprintf("%.6g", s.Cost), shortInterface(s.Workflow), s.Waiting}
}

// list prints pages until the limit is reached.
func (r *runs) list(ctx context.Context, c *ops.Client, q workflow.RunQuery) error {
	table := r.out.table(runColumns)
	limit, left := q.Limit, q.Limit
	for {
		if q.Limit = 1000; limit > 0 {
			q.Limit = min(left, 1000)
		}
		page, err := c.Runs(ctx, q)
		if err != nil {
			return err
		}
		for _, s := range page.Runs {
			if err := r.out.row(table, s, runRow(s)); err != nil {
				return err
			}
		}
		left -= len(page.Runs)
		if q.Cursor = page.Next; q.Cursor == "" || limit > 0 && left <= 0 {
			break
		}
	}
	if err := table.print(); err != nil {
		return err
	}
	if q.Cursor != "" {
		r.out.say("there are more: --cursor %s goes on", q.Cursor)
	}
	return nil
}

const runsResumeHelp = `Puts the run into the queue from which workers take runs. One that is run already,
or has ended, stays as it is. In a directory that no service has open, it goes on
as soon as one does.
`

// runsResume puts a run into its queue.
func runsResume(out *output, flags *flag.FlagSet) action {
	r := newRuns(out, flags)
	return func(ctx context.Context, args []string) error {
		ref, err := r.ref("resume", args)
		if err != nil {
			return err
		}
		return r.with(true, func(c *ops.Client) error {
			if err := c.ResumeRun(ctx, ref); err != nil {
				return err
			}
			return r.told(ref, "%s: a worker takes it next", ref.ID)
		})
	}
}

const runsExportHelp = `Prints the records of the run as JSON Lines, oldest first, as they are kept: they
have what went into nodes and came out of them.
`

// runsExport prints records.
func runsExport(out *output, flags *flag.FlagSet) action {
	r := newRuns(out, flags)
	return func(ctx context.Context, args []string) error {
		ref, err := r.ref("export", args)
		if err != nil {
			return err
		}
		return r.with(false, func(c *ops.Client) error {
			n := 0
			for line, err := range c.ExportRun(ctx, ref) {
				if err != nil {
					return err
				}
				n++
				if _, err := fmt.Fprintf(out.env.stdout, "%s\n", cleanJSON(line)); err != nil {
					return err
				}
			}
			out.say("%s", howMany(n, "record"))
			return nil
		})
	}
}
