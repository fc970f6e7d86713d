package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/ops"
	"github.com/resilgen/resilgen/runtime/resilience"
)

const applyHelp = `The running service replays the letters of a plan, whose token is all the
confirmation there is: only it has the methods, so --dir is refused. What becomes
of each letter is printed as it ends. Ctrl-C pauses the job when the replays that
run have ended, a second one just leaves; resilgen dlq jobs resume goes on.
Exit code 3: some letters were not replayed.
`

// applyLine is a line of dlq apply --json: what became of a letter, or, last, of
// the job.
type applyLine struct {
	Result *resilience.JobResult `json:"result,omitempty"`
	Job    *resilience.Job       `json:"job,omitempty"`
}

// applying follows a job.
type applying struct {
	letters
	detach bool
	seen   int // results that were printed
}

// pollEvery is how often a job is asked how far it is.
const pollEvery = 250 * time.Millisecond

// dlqApply replays the letters of a plan.
func dlqApply(out *output, flags *flag.FlagSet) action {
	a := &applying{letters: letters{out: out}}
	a.flags(flags)
	var o resilience.ApplyOptions
	flags.StringVar(&o.Queue, "allow-duplicates", "", "replay letters of methods that are not idempotent, of this `queue`")
	flags.Func("allow-lossy", "replay letters of this `pattern` although the plan tells of losses; may be given again", func(group string) error {
		o.AllowLossy = append(o.AllowLossy, group)
		return nil
	})
	flags.BoolVar(&a.detach, "detach", false, "do not wait for the job")
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usageError{"dlq apply wants the token of a plan; resilgen dlq plan makes one"}
		}
		if a.place.dir != "" {
			return errOnlyService("dlq apply")
		}
		o.AllowDuplicates = o.Queue != ""
		return a.with(true, func(c *ops.Client) error {
			j, err := c.Apply(ctx, args[0], o)
			if err != nil {
				return err
			}
			a.out.say("job %s replays %s", j.ID, howMany(j.Total, "letter"))
			if a.detach {
				return a.end(j)
			}
			return a.follow(ctx, c, j.ID)
		})
	}
}

// errOnlyService refuses what a directory cannot do.
func errOnlyService(verb string) error {
	return usageError{verb + " needs the running service, since only that has the methods: give its --addr instead of --dir"}
}

// follow prints what becomes of letters until the job ends or somebody interrupts.
func (a *applying) follow(ctx context.Context, c *ops.Client, id string) error {
	for {
		j, err := c.Job(context.WithoutCancel(ctx), id, a.seen)
		if err == nil {
			err = a.results(j)
		}
		if err != nil {
			return err
		}
		if j.State != resilience.JobRunning {
			return a.end(j)
		}
		if ctx.Err() != nil {
			return a.pause(context.WithoutCancel(ctx), c, j)
		}
		a.progress(j)
		select {
		case <-ctx.Done():
		case <-time.After(pollEvery):
		}
	}
}

// results prints those that are new.
func (a *applying) results(j resilience.Job) error {
	a.seen += len(j.Done)
	for _, r := range j.Done {
		var err error
		if a.out.json {
			err = a.out.value(applyLine{Result: &r})
		} else {
			_, err = fmt.Fprintln(a.out.env.stdout, clean(strings.Join(full(r.Letter, r.Outcome, r.Why), "  ")))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *applying) progress(j resilience.Job) {
	if !a.out.quiet {
		a.out.env.status.say("%s", clean(strings.Join(full(fmt.Sprintf("%d of %d letters", j.Total-j.Left, j.Total), some(j.Failed+j.Quarantined, "failed"), labelled("waits", j.Waits), labelled("until", whenSet(j.ETA))), ", ")))
	}
}

// pause is what the first Ctrl-C does.
func (a *applying) pause(ctx context.Context, c *ops.Client, j resilience.Job) error {
	paused, err := c.TurnJob(ctx, j.ID, "pause", "interrupted")
	if err != nil {
		return err
	}
	return coded{exitInterrupted, fmt.Errorf("interrupted: job %s is %s after %d of %d letters; resilgen dlq jobs resume %s goes on", j.ID, paused.State, paused.Total-paused.Left, paused.Total, j.ID)}
}

// end prints what became of the job, and decides the exit code.
func (a *applying) end(j resilience.Job) error {
	j.Done = nil
	if a.out.json {
		if err := a.out.value(applyLine{Job: &j}); err != nil {
			return err
		}
	} else {
		a.out.say("%s", jobWords(j))
	}
	switch {
	case a.detach || j.State == resilience.JobDone && j.Succeeded == j.Total:
		return nil
	case j.Succeeded > 0:
		return coded{exitPartly, fmt.Errorf("%d of %d letters were replayed", j.Succeeded, j.Total)}
	}
	return coded{exitFindings, fmt.Errorf("none of %d letters was replayed", j.Total)}
}

// jobWords sums a job up.
func jobWords(j resilience.Job) string {
	return strings.Join(full("job "+j.ID, string(j.State)+suffix(": ", j.Why), some(j.Succeeded, "succeeded"), some(j.Failed, "failed"),
		some(j.Quarantined, "quarantined"), some(j.Skipped, "skipped"), some(j.InDoubt, "in doubt"), some(j.Left, "left")), ", ")
}

func suffix(between, text string) string {
	if text == "" {
		return ""
	}
	return between + text
}

const jobsHelp = `Without words it lists all jobs, the youngest first; with an id it prints that one
and what became of each letter. pause, resume and cancel turn a job: a replay that
runs goes on, a job that stopped because too many replays failed can be resumed, one
that is cancelled cannot.
`

var jobColumns = []column{{title: "ID"}, {title: "STATE"}, {title: "MADE"}, {title: "LETTERS", right: true}, {title: "OK", right: true}, {title: "FAILED", right: true}, {title: "SKIPPED", right: true}, {title: "LEFT", right: true}, {title: "FILTER", last: true}}

func jobRow(j resilience.Job) []string {
	return []string{j.ID, string(j.State), when(j.Made), fmt.Sprint(j.Total), fmt.Sprint(j.Succeeded), fmt.Sprint(j.Failed + j.Quarantined), fmt.Sprint(j.Skipped + j.InDoubt), fmt.Sprint(j.Left), j.Filter}
}

// dlqJobs lists jobs, prints one or turns it.
func dlqJobs(out *output, flags *flag.FlagSet) action {
	l := &letters{out: out}
	l.flags(flags)
	why := flags.String("why", "", "a `reason` to turn a job, which is kept with it")
	return func(ctx context.Context, args []string) error {
		turn := ""
		if len(args) > 0 && strings.Contains("|pause|resume|cancel|", "|"+args[0]+"|") {
			turn, args = args[0], args[1:]
		}
		switch {
		case turn != "" && len(args) != 1 || len(args) > 1:
			return usageError{"dlq jobs wants nothing, the id of a job, or pause, resume or cancel and an id"}
		case turn != "" && turn != "cancel" && l.place.dir != "":
			return errOnlyService("dlq jobs " + turn)
		}
		return l.with(turn != "", func(c *ops.Client) error {
			if len(args) == 0 {
				return l.jobs(ctx, c)
			}
			j, err := l.job(ctx, c, args[0], turn, *why)
			if err != nil {
				return err
			}
			return l.printJob(j)
		})
	}
}

func (l *letters) job(ctx context.Context, c *ops.Client, id, turn, why string) (resilience.Job, error) {
	if turn != "" {
		return c.TurnJob(ctx, id, turn, why)
	}
	return c.Job(ctx, id, 0)
}

func (l *letters) jobs(ctx context.Context, c *ops.Client) error {
	list, err := c.Jobs(ctx)
	if err != nil {
		return err
	}
	table := l.out.table(jobColumns)
	for _, j := range list {
		if err := l.out.row(table, j, jobRow(j)); err != nil {
			return err
		}
	}
	return table.print()
}

func (l *letters) printJob(j resilience.Job) error {
	if l.out.json {
		return l.out.value(j)
	}
	var b bytes.Buffer
	s := &sheet{&b, l.out.env.colorOut}
	s.fact("job", j.ID, string(j.State), j.Why, labelled("waits", j.Waits))
	s.fact("letters", howMany(j.Total, "letter"), some(j.Succeeded, "succeeded"), some(j.Failed, "failed"), some(j.Quarantined, "quarantined"), some(j.Skipped, "skipped"), some(j.InDoubt, "in doubt"), some(j.Left, "left"))
	s.fact("filter", j.Filter)
	s.fact("plan", j.Token)
	s.fact("made", when(j.Made), labelled("by", j.Apply.By), labelled("changed", whenSet(j.Changed)), labelled("ends about", whenSet(j.ETA)))
	s.fact("allowed", labelled("duplicates of", j.Apply.Queue), labelled("losses of", strings.Join(j.Apply.AllowLossy, " ")))
	for _, c := range j.Log {
		s.line(1, "%s", strings.Join(full(when(c.At), string(c.To), labelled("by", c.By), c.Why), "  "))
	}
	if len(j.Done) > 0 {
		s.heading("letters")
	}
	for _, r := range j.Done {
		s.line(1, "%s", strings.Join(full(when(r.At), r.Letter, r.Outcome, r.Why), "  "))
	}
	_, err := l.out.env.stdout.Write(b.Bytes())
	return err
}
