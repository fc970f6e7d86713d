package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/ops"
	"github.com/resilgen/resilgen/runtime/resilience"
)

const planHelp = `Says which letters a replay would take and which not, by pattern, and what would
have to be allowed. Nothing is replayed. The token that it prints, given to
resilgen dlq apply within 15 minutes, does just that: letters that come later are
not touched, those that have changed are skipped and named.
`

// dlqPlan says what a replay would do.
func dlqPlan(out *output, flags *flag.FlagSet) action {
	l := &letters{out: out}
	l.flags(flags)
	var o resilience.ReplayOptions
	replayFlags(flags, &o)
	return func(ctx context.Context, args []string) error {
		if l.place.dir != "" {
			return errOnlyService("dlq plan")
		}
		return l.with(true, func(c *ops.Client) error {
			p, err := c.Plan(ctx, strings.Join(args, " "), o)
			if err != nil {
				return err
			}
			if out.json {
				return out.value(p)
			}
			return out.plan(p, l.place)
		})
	}
}

func replayFlags(flags *flag.FlagSet, o *resilience.ReplayOptions) {
	flags.Func("rate", "replays that begin in a `second`, or in another time: 5, 5/s, 300/m (default 5)", func(text string) (err error) {
		o.Rate, err = perSecond(text)
		return err
	})
	flags.IntVar(&o.Concurrency, "concurrency", 0, "`n` replays at a time (default 1)")
	flags.IntVar(&o.Max, "max", 0, "at most `n` letters, the oldest ones (default 1000)")
	flags.IntVar(&o.Attempts, "attempts", 0, "`n` attempts of the policy in each replay (default 1)")
	flags.DurationVar(&o.Timeout, "timeout", 0, "`limit` of each replay (default 1m)")
	flags.Func("through", "`what`: policy, the default, or direct, the implementation past the policy", func(text string) error {
		if text != "policy" && text != "direct" {
			return errors.New("want policy or direct")
		}
		o.Direct = text == "direct"
		return nil
	})
	flags.BoolVar(&o.NoCanary, "no-canary", false, "do not try one letter of each pattern before the others")
	flags.Func("stop-errors", "stop when this `percentage` of the last replays failed: 20% is the default, none is never", func(text string) (err error) {
		o.StopErrors, err = percentage(text)
		return err
	})
	flags.IntVar(&o.StopWindow, "stop-window", 0, "`n` last replays that --stop-errors looks at (default 20)")
}

// perSecond reads a rate: 5, 5/s, 300/m, 1000/h.
func perSecond(text string) (float64, error) {
	number, unit, _ := strings.Cut(text, "/")
	per, ok := map[string]time.Duration{"": time.Second, "s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !ok || !(n > 0) {
		return 0, errors.New("want a number, or one a time: 5/s, 300/m, 1000/h")
	}
	return n / per.Seconds(), nil
}

// percentage reads 20% or none.
func percentage(text string) (float64, error) {
	if text == "none" {
		return resilience.None, nil
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(n > 0 && n <= 100) {
		return 0, errors.New("want more than 0% and at most 100%, or none")
	}
	return n, nil
}

// plan prints p, and how to apply it.
func (o *output) plan(p resilience.Plan, at place) error {
	var b bytes.Buffer
	s := &sheet{&b, o.env.colorOut}
	s.fact("replay", howMany(p.Count, "letter"), spread(p.First, p.Last), labelled("of queues", strings.Join(p.Queues, " ")))
	if p.Count > 0 {
		s.fact("takes", "at least "+p.EstDuration.Round(time.Second).String(), fmt.Sprintf("%.4g a second, %d at a time", p.Options.Rate, p.Options.Concurrency), through(p.Options))
	}
	s.fact("types", some(p.BySig.Same, "the same"), some(p.BySig.Convertible, "converted"), some(p.BySig.Lossy, "with a loss"))
	if p.Sealed > 0 {
		s.fact("sealed", howMany(p.Sealed, "letter")+" with encrypted arguments")
	}
	if p.Beyond > 0 {
		s.fact("beyond", howMany(p.Beyond, "letter")+" more than --max")
	}
	s.groups(p.ByGroup)
	if len(p.Left) > 0 {
		s.heading("not replayed")
	}
	for _, left := range p.Left {
		s.line(1, "%d: %s", left.Count, left.Why)
		s.line(2, "%s", strings.Join(left.Letters, " "))
	}
	if p.Count > 0 {
		fmt.Fprintln(&b)
		s.fact("token", p.Token, "until "+when(p.Until))
		s.fact("apply", applyCommand(p, at))
	}
	_, err := o.env.stdout.Write(b.Bytes())
	return err
}

func (s *sheet) groups(list []resilience.PlanGroup) {
	if len(list) > 0 {
		s.heading("patterns")
	}
	for _, g := range list {
		s.line(1, "%s", strings.Join(full(fmt.Sprint(g.Count), g.Group, some(g.Lossy, "with a loss"), g.Error), "  "))
		for _, c := range g.Changes {
			s.line(2, "%s  %s  becomes  %s", c.Pointer, orNothing(c.From), orNothing(c.To))
		}
	}
}

// applyCommand is what applies p, with what it has to allow.
func applyCommand(p resilience.Plan, at place) string {
	addr := at.addr
	if addr == "" {
		addr = "unix:…"
	}
	words := []string{"resilgen dlq apply --addr", shellWord(addr)}
	if p.NonIdempotent > 0 {
		words = append(words, "--allow-duplicates", shellWord(strings.Join(p.Queues, ",")))
	}
	for _, g := range p.ByGroup {
		if g.Lossy > 0 {
			words = append(words, "--allow-lossy", shellWord(g.Group))
		}
	}
	return strings.Join(append(words, p.Token), " ")
}

// shellWord quotes what a shell would take for more than a word: the name of a queue
// is not to become a command where the line is pasted.
func shellWord(s string) string {
	harmless := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_./:,@+", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !harmless(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func through(o resilience.ReplayOptions) string {
	if o.Direct {
		return "past the policy"
	}
	return "through the policy"
}

// howMany is "1 letter" or "2 letters".
func howMany(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func some(n int, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s", n, what)
}

func spread(first, last time.Time) string {
	if first.IsZero() {
		return ""
	}
	return "that died from " + when(first) + " to " + when(last)
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}
