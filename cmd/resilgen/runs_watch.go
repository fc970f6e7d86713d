package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/resilgen/resilgen/runtime/ops"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// watch calls draw until the run has ended or parked, or once where watching is off.
// A run without an output is an error then.
func (r *runs) watch(ctx context.Context, ref ops.RunRef, every time.Duration, draw func(*workflow.RunDetail) error) error {
	for seen := (drawnRun{}); ; {
		var d workflow.RunDetail
		err := r.with(false, func(c *ops.Client) (err error) {
			d, err = c.Run(ctx, ref)
			return err
		})
		if err != nil {
			return err
		}
		now := drawnRun{d.Version, d.Status}
		if now != seen {
			if err := r.redraw(&d, seen != drawnRun{}, draw); err != nil {
				return err
			}
		}
		seen = now
		switch {
		case every == 0:
			return nil
		case d.Status == workflow.Completed || d.Status == workflow.CompletedWithDeadLetters:
			return nil
		case d.Status.Ended() || d.Status == workflow.Parked:
			return coded{exitFindings, fmt.Errorf("%s: %s", ref.ID, d.Status)}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}

// drawnRun is what of a run is drawn again when it changes.
type drawnRun struct {
	version uint64
	status  workflow.Status
}

// redraw draws on a clean screen, or below what was drawn before where there is
// none.
func (r *runs) redraw(d *workflow.RunDetail, again bool, draw func(*workflow.RunDetail) error) error {
	if again && !r.out.json {
		next := "\n"
		if r.out.width() > 0 {
			next = "\x1b[H\x1b[2J"
		}
		if _, err := io.WriteString(r.out.env.stdout, next); err != nil {
			return err
		}
	}
	return draw(d)
}

// watching declares the flags of verbs that watch, and returns what says how often
// they look: 0 is once.
func watching(flags *flag.FlagSet) func() (time.Duration, error) {
	watch := flags.Bool("watch", false, "draw again when something was done, until the run ends or parks; exit with 1 if it has no output then")
	every := flags.Duration("every", time.Second, "how often to look, with --watch: a `duration`")
	return func() (time.Duration, error) {
		switch {
		case *every < 10*time.Millisecond:
			return 0, usageError{"--every wants at least 10ms"}
		case !*watch:
			return 0, nil
		}
		return *every, nil
	}
}

const runsShowHelp = `What a step sent stands under it. A join stands under the last that it waited for,
where the others say "below".
`

// runsShow prints a run.
func runsShow(out *output, flags *flag.FlagSet) action {
	r := newRuns(out, flags)
	pace := watching(flags)
	return func(ctx context.Context, args []string) error {
		ref, err := r.ref("show", args)
		if err != nil {
			return err
		}
		every, err := pace()
		if err != nil {
			return err
		}
		return r.watch(ctx, ref, every, func(d *workflow.RunDetail) error {
			if out.json {
				return out.value(d)
			}
			return out.run(d, time.Now())
		})
	}
}

const runsGraphHelp = `The graph is the one with which the run began, or with which it last went on: the
code is not needed.
`

// runsGraph draws the graph of a run.
func runsGraph(out *output, flags *flag.FlagSet) action {
	r := newRuns(out, flags)
	pace := watching(flags)
	var picture pictureFlags
	picture.declare(flags)
	return func(ctx context.Context, args []string) error {
		ref, err := r.ref("graph", args)
		if err != nil {
			return err
		}
		every, err := pace()
		if err == nil {
			err = picture.check()
		}
		if err != nil {
			return err
		}
		return r.watch(ctx, ref, every, func(d *workflow.RunDetail) error {
			return picture.write(ctx, out, runGraph(d, time.Now()))
		})
	}
}
