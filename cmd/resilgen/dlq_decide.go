package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/resilgen/resilgen/runtime/ops"
	"github.com/resilgen/resilgen/runtime/resilience"
)

const discardHelp = `A discarded letter is kept until retention takes it, and resilgen dlq resolve
--as dead takes the decision back. With --filter the letters are counted and you
are asked; what changes after the count is left alone and named. Ctrl-C ends
after the letter at hand.
`

const resolveHelp = `done says that the work is done although no replay says so, dead that the letter
waits for a replay: also one that was discarded, whose replay ended with its
process (in_doubt), or that failed too often (quarantined).
`

// letterOutcome is what a verb made of a letter.
type letterOutcome struct {
	ID      string                 `json:"id"`
	State   resilience.LetterState `json:"state,omitempty"`
	Problem string                 `json:"problem,omitempty"`
}

// decision is what discard and resolve share.
type decision struct {
	letters
	filter          string
	why             string
	changed, failed int
	first           error // of those that failed
}

func (d *decision) flags(flags *flag.FlagSet) {
	d.letters.flags(flags)
	flags.StringVar(&d.why, "why", "", "a `reason`, which is kept with the letter")
	flags.StringVar(&d.filter, "filter", "", "all letters that a `filter` chooses, instead of ids")
	flags.BoolVar(&d.out.yes, "yes", false, "do not ask about what a filter chooses")
}

// dlqDiscard says that letters are not to be replayed.
func dlqDiscard(out *output, flags *flag.FlagSet) action {
	d := &decision{letters: letters{out: out}}
	d.flags(flags)
	return func(ctx context.Context, args []string) error {
		return d.run(ctx, args, "discard", func(ctx context.Context, c *ops.Client, s resilience.LetterSummary) (resilience.Letter, error) {
			return c.Discard(ctx, s.ID, ops.Decision{Rev: s.Rev, Why: d.why})
		})
	}
}

// dlqResolve says what has become of letters.
func dlqResolve(out *output, flags *flag.FlagSet) action {
	d := &decision{letters: letters{out: out}}
	d.flags(flags)
	as := flags.String("as", "", "`what` has become of them: done or dead")
	return func(ctx context.Context, args []string) error {
		state, ok := map[string]resilience.LetterState{"done": resilience.LetterReplayed, "dead": resilience.LetterDead}[*as]
		if !ok {
			return usageError{"dlq resolve wants --as done or --as dead"}
		}
		return d.run(ctx, args, "resolve", func(ctx context.Context, c *ops.Client, s resilience.LetterSummary) (resilience.Letter, error) {
			return c.Resolve(ctx, s.ID, ops.Decision{Rev: s.Rev, As: state, Why: d.why})
		})
	}
}

type decide func(ctx context.Context, c *ops.Client, s resilience.LetterSummary) (resilience.Letter, error)

// run decides about the letters that are named, or that the filter chooses.
func (d *decision) run(ctx context.Context, ids []string, verb string, do decide) error {
	if (len(ids) == 0) == (d.filter == "") {
		return usageError{fmt.Sprintf("dlq %s wants the ids of letters, or --filter", verb)}
	}
	return d.with(true, func(c *ops.Client) error {
		var list []resilience.LetterSummary
		for _, id := range ids {
			list = append(list, resilience.LetterSummary{ID: id})
		}
		if d.filter != "" {
			var err error
			if list, err = d.chosen(ctx, c); err != nil || len(list) == 0 {
				return err
			}
			if err := d.out.confirm(verb + " " + howMany(len(list), "letter") + "?"); err != nil {
				return err
			}
		}
		return d.each(ctx, c, list, do)
	})
}

// chosen are the letters that the filter chooses, as they are now.
func (d *decision) chosen(ctx context.Context, c *ops.Client) (list []resilience.LetterSummary, err error) {
	q := resilience.LetterQuery{Filter: d.filter, OldestFirst: true}
	for {
		page, err := c.List(ctx, q)
		if err != nil {
			return nil, err
		}
		list = append(list, page.Letters...)
		if q.Cursor = page.Next; q.Cursor == "" {
			if len(list) == 0 {
				d.out.say("no letter is chosen")
			}
			return list, nil
		}
	}
}

// each decides about one after the other, until the first Ctrl-C.
func (d *decision) each(ctx context.Context, c *ops.Client, list []resilience.LetterSummary, do decide) error {
	for i, s := range list {
		if ctx.Err() != nil {
			return coded{exitInterrupted, fmt.Errorf("interrupted after %d of %d letters; %d failed", i, len(list), d.failed)}
		}
		l, err := do(context.WithoutCancel(ctx), c, s)
		if err := d.tell(s.ID, l, err); err != nil {
			return err
		}
	}
	return d.sum()
}

// tell prints what was made of a letter.
func (d *decision) tell(id string, l resilience.Letter, err error) error {
	o := letterOutcome{ID: id, State: l.State}
	if err != nil {
		o.State, o.Problem = "", err.Error()
		d.failed++
		if d.first == nil {
			d.first = err
		}
	} else {
		d.changed++
	}
	switch {
	case d.out.json:
		return d.out.value(o)
	case err != nil:
		fmt.Fprintf(d.out.env.stderr, "%s  %s\n", clean(id), clean(o.Problem))
		return nil
	}
	_, err = fmt.Fprintf(d.out.env.stdout, "%s  %s\n", clean(id), clean(string(l.State)))
	return err
}

// sum is nil if every letter was changed.
func (d *decision) sum() error {
	switch {
	case d.failed == 0:
		return nil
	case d.changed == 0:
		return coded{codeOf(d.first), fmt.Errorf("nothing was changed, %d failed", d.failed)}
	}
	return coded{exitPartly, fmt.Errorf("%d changed, %d failed", d.changed, d.failed)}
}

const dlqRmHelp = `For what somebody has a right to have forgotten: when it returns, no byte of the
letters is left in the files of the store. Their ids stay, and what their patterns
counted. Copies and exports are not touched. You are asked before.

  resilgen dlq rm --addr unix:/run/x.sock args.customerID=c-42
`

// dlqErase drops letters for good.
func dlqErase(out *output, flags *flag.FlagSet) action {
	d := &decision{letters: letters{out: out}}
	d.letters.flags(flags)
	flags.BoolVar(&out.yes, "yes", false, "do not ask")
	return func(ctx context.Context, args []string) error {
		if d.filter = strings.Join(args, " "); d.filter == "" {
			return usageError{"dlq rm wants a filter: every letter that it chooses is erased"}
		}
		return d.with(true, func(c *ops.Client) error {
			list, err := d.chosen(ctx, c)
			if err != nil || len(list) == 0 {
				return err
			}
			if err := out.confirm("erase " + howMany(len(list), "letter") + " for good?"); err != nil {
				return err
			}
			erased, err := c.Erase(context.WithoutCancel(ctx), d.filter)
			if err != nil {
				return err
			}
			if out.json {
				return out.value(erased)
			}
			_, err = fmt.Fprintf(out.env.stdout, "%s erased\n", howMany(erased.Erased, "letter"))
			return err
		})
	}
}
