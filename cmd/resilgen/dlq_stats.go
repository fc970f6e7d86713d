package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"

	"github.com/resilgen/resilgen/runtime/ops"
	"github.com/resilgen/resilgen/runtime/resilience"
)

const statsHelp = `Of every queue: how many letters wait for somebody, how old the oldest one is, what
has become of the others, and what retention dropped. How many the service could not
keep since it began is said in the end; a directory does not know it.
`

var statsColumns = []column{{title: "QUEUE"}, {title: "OPEN", right: true}, {title: "LETTERS", right: true}, {title: "BYTES", right: true}, {title: "OLDEST"}, {title: "STATES"}, {title: "DROPPED", last: true}}

// dlqStats counts letters.
func dlqStats(out *output, flags *flag.FlagSet) action {
	l := &letters{out: out}
	l.flags(flags)
	return func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			return usageError{"dlq stats takes no arguments; resilgen dlq ls takes a filter"}
		}
		return l.with(false, func(c *ops.Client) error {
			s, err := c.Stats(ctx)
			if err != nil {
				return err
			}
			if out.json {
				return out.value(s)
			}
			table := out.table(statsColumns)
			for _, q := range s.Queues {
				if err := out.row(table, q, statsRow(q)); err != nil {
					return err
				}
			}
			if err := table.print(); err != nil {
				return err
			}
			out.say("%d patterns", s.Patterns)
			if s.Lost > 0 {
				out.say("%d letters could not be kept", s.Lost)
			}
			return nil
		})
	}
}

func statsRow(q resilience.LetterQueueStats) []string {
	return []string{q.Name, fmt.Sprint(q.Open), fmt.Sprint(q.Letters), fmt.Sprint(q.Bytes), when(q.Oldest), byCount(q.States), byCount(q.Dropped)}
}

// byCount lists what there is more than none of, by name.
func byCount[K ~string, N int | int64](counts map[K]N) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if counts[name] > 0 {
			text += fmt.Sprintf(", %d %s", counts[name], name)
		}
	}
	if text == "" {
		return "-"
	}
	return text[2:]
}
