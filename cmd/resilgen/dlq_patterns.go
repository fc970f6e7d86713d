package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/runtime/ops"
	"github.com/resilgen/resilgen/runtime/resilience"
)

const patternsHelp = `Letters that failed alike are of one pattern. Those are listed whose id or state is
the text, or that have it in their title, errors or method: the ones with the most
open letters first. With --id one is printed whole; --set, --owner and --note change
what is said of it. One that is resolved and comes back has regressed, but in the
versions that had it before.
`

var patternColumns = []column{{title: "PATTERN"}, {title: "STATE"}, {title: "OPEN", right: true}, {title: "TOTAL", right: true}, {title: "1H", right: true}, {title: "LAST SEEN"}, {title: "METHOD"}, {title: "REASON"}, {title: "TITLE", last: true}}

func patternRow(p resilience.LetterPattern) []string {
	return []string{p.ID, string(p.State), fmt.Sprint(p.Open), fmt.Sprint(p.Total), fmt.Sprint(p.LastHour), when(p.LastSeen), shortMethod(p.Interface, p.Method), string(p.Reason), p.Title}
}

// dlqPatterns lists patterns, prints one or changes what is said of it.
func dlqPatterns(out *output, flags *flag.FlagSet) action {
	l := &letters{out: out}
	l.flags(flags)
	id := flags.String("id", "", "print this `pattern` whole")
	var change resilience.PatternChange
	flags.Func("set", "`state`: ongoing, resolved or muted", func(state string) error {
		change.State = resilience.PatternState(state)
		return nil
	})
	flags.StringVar(&change.ResolvedIn, "in", "", "the `version` in which it is resolved")
	flags.StringVar(&change.Owner, "owner", "", "`who` takes care of it")
	flags.StringVar(&change.Note, "note", "", "a `text`, which is kept with it")
	return func(ctx context.Context, args []string) error {
		changes := change != resilience.PatternChange{}
		if *id == "" && changes || *id != "" && len(args) > 0 {
			return usageError{"dlq patterns wants a text, or --id and what to change"}
		}
		return l.with(changes, func(c *ops.Client) error {
			if *id == "" {
				return l.patterns(ctx, c, strings.Join(args, " "))
			}
			p, err := onePattern(ctx, c, *id, change, changes)
			if err != nil {
				return err
			}
			return l.out.pattern(p)
		})
	}
}

func onePattern(ctx context.Context, c *ops.Client, id string, change resilience.PatternChange, changes bool) (resilience.LetterPattern, error) {
	if changes {
		return c.SetPattern(ctx, id, change)
	}
	return c.Pattern(ctx, id)
}

func (l *letters) patterns(ctx context.Context, c *ops.Client, text string) error {
	list, err := c.Patterns(ctx, text)
	if err != nil {
		return err
	}
	table := l.out.table(patternColumns)
	for _, p := range list {
		if err := l.out.row(table, p, patternRow(p)); err != nil {
			return err
		}
	}
	return table.print()
}

// pattern prints p whole.
func (o *output) pattern(p resilience.LetterPattern) error {
	if o.json {
		return o.value(p)
	}
	var b bytes.Buffer
	s := &sheet{&b, o.env.colorOut}
	s.fact("pattern", p.ID, string(p.State))
	s.fact("title", p.Title)
	s.fact("method", p.Interface+"."+p.Method)
	s.fact("reason", string(p.Reason), p.Errors)
	s.fact("owner", p.Owner)
	s.fact("resolved", labelled("in", p.ResolvedIn), labelled("at", whenSet(p.ResolvedAt)))
	s.fact("letters", fmt.Sprintf("%d open, %d ever", p.Open, p.Total))
	s.fact("rate", fmt.Sprintf("%d in a minute, %d in an hour, %d in a day", p.LastMinute, p.LastHour, p.LastDay))
	s.fact("hours", bars(p.Hours))
	s.fact("seen", "first "+when(p.FirstSeen), "last "+when(p.LastSeen))
	s.counts("versions", p.Versions)
	s.counts("hosts", p.Hosts)
	s.counts("policies", p.Policies)
	s.fact("examples", slices.Compact(full(append([]string{p.FirstLetter, p.LastLetter}, p.Samples...)...))...)
	for _, n := range p.Notes {
		s.fact("note", when(n.At), labelled("by", n.By), n.Text, labelled("tags", strings.Join(n.Tags, " ")))
	}
	_, err := o.env.stdout.Write(b.Bytes())
	return err
}

// counts prints how often each value was seen, the most frequent first.
func (s *sheet) counts(name string, by map[string]int64) {
	names := slices.Sorted(maps.Keys(by))
	slices.SortStableFunc(names, func(a, b string) int { return int(by[b] - by[a]) })
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = fmt.Sprintf("%s: %d", n, by[n])
	}
	s.fact(name, parts...)
}

// bars draws numbers, the greatest one as a full block.
func bars(list []int) string {
	const steps = "▁▂▃▄▅▆▇█"
	most := 0
	for _, n := range list {
		most = max(most, n)
	}
	var b strings.Builder
	for _, n := range list {
		switch {
		case n <= 0:
			b.WriteByte('.')
		default:
			b.WriteRune([]rune(steps)[int(7*float64(n)/float64(most))])
		}
	}
	return b.String()
}
