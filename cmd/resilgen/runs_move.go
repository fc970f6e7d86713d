package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/resilgen/resilgen/runtime/ops"
)

const runsCancelHelp = `Tells the run to end. Nodes that run are given their time to return, and what they
did is recorded; what is pending is not done. It cannot be taken back: resilgen runs
fork goes on from where the run stood, as another one.
`

// runsCancel ends a run.
func runsCancel(out *output, flags *flag.FlagSet) action {
	r := newRuns(out, flags)
	flags.BoolVar(&out.yes, "yes", false, "do not ask")
	return func(ctx context.Context, args []string) error {
		ref, err := r.ref("cancel", args)
		if err != nil {
			return err
		}
		if err := out.confirm(fmt.Sprintf("End the run %s for good?", ref.ID)); err != nil {
			return err
		}
		return r.with(true, func(c *ops.Client) error {
			if err := c.CancelRun(ctx, ref); err != nil {
				return err
			}
			return r.told(ref, "%s: told to end", ref.ID)
		})
	}
}

const runsForkHelp = `Makes a new run that has done what the run had done after one of its steps: of those
that its checkpoint policy keeps, the last, or the one with the version --at, as
resilgen runs show --json has it. The new run begins when a worker takes it.
`

// runsFork makes a run of another one.
func runsFork(out *output, flags *flag.FlagSet) action {
	r := newRuns(out, flags)
	var f ops.RunFork
	flags.Uint64Var(&f.At, "at", 0, "the `version` of the step after which it goes on; 0 is the last")
	flags.StringVar(&f.NewID, "as", "", "the `id` of the new run; without it one is made")
	return func(ctx context.Context, args []string) error {
		ref, err := r.ref("fork", args)
		if err != nil {
			return err
		}
		f.RunRef = ref
		return r.with(true, func(c *ops.Client) error {
			made, err := c.ForkRun(ctx, f)
			if err != nil {
				return err
			}
			if out.json {
				return out.value(made)
			}
			_, err = fmt.Fprintln(out.env.stdout, clean(made.ID))
			return err
		})
	}
}

const runsSignalHelp = `Gives the run a signal, with a value as JSON, or - for one on standard input. It is
kept until the run comes to the node that waits for it, and survives what may happen
meanwhile. Two signals with one --id are one.

  resilgen runs signal order-17 approval '{"by": "kim", "yes": true}' --addr unix:/run/x.sock
`

// runsSignal gives a run a signal.
func runsSignal(out *output, flags *flag.FlagSet) action {
	r := newRuns(out, flags)
	var s ops.RunSignal
	flags.StringVar(&s.SignalID, "id", "", "what makes two signals one: a `text`")
	return func(ctx context.Context, args []string) error {
		if len(args) < 2 || len(args) > 3 {
			return usageError{"runs signal wants the id of a run, the name of a signal and a value as JSON"}
		}
		ref, err := r.ref("signal", args[:1])
		if err != nil {
			return err
		}
		s.RunRef, s.Name = ref, args[1]
		if s.Value, err = signalValue(args[2:]); err != nil {
			return err
		}
		return r.with(true, func(c *ops.Client) error {
			if err := c.SignalRun(ctx, s); err != nil {
				return err
			}
			return r.told(ref, "%s: has the signal %s", ref.ID, s.Name)
		})
	}
}

// signalValue is the JSON of an argument, of standard input, or null.
func signalValue(args []string) (json.RawMessage, error) {
	text := []byte("null")
	if len(args) > 0 {
		text = []byte(args[0])
	}
	if len(args) > 0 && args[0] == "-" {
		var err error
		if text, err = io.ReadAll(io.LimitReader(os.Stdin, maxValue+1)); err != nil {
			return nil, err
		}
	}
	if len(text) > maxValue {
		return nil, usageError{fmt.Sprintf("the value has more than %d bytes", maxValue)}
	}
	if !json.Valid(text) {
		return nil, usageError{fmt.Sprintf("the value is no JSON: %s; a text wants quotes of its own: '\"yes\"'", clip(clean(string(text)), 60))}
	}
	return bytes.TrimSpace(text), nil
}

// maxValue is how large the value of a signal may be.
const maxValue = 8 << 20
