package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/resilgen/resilgen/generator"
	"github.com/resilgen/resilgen/runtime/ops"
	"github.com/resilgen/resilgen/runtime/resilience"
)

// dlqGroup are the verbs about dead letters.
func dlqGroup() group {
	return group{
		name: "dlq",
		about: `Looks at the calls that finally failed and were kept, mends and replays them: in a
running service, --addr unix:/run/x.sock (see ops.Listen), or in the directory of
its store, --dir, which the verbs that change something need for themselves.
`,
		verbs: []subverb{
			{"ls", "[filter]", "list letters, newest first", lsHelp, resilience.LetterSummary{}, dlqList},
			{"show", "id …", "print letters whole", showHelp, resilience.Letter{}, dlqShow},
			{"patterns", "[text]", "list what failed alike, print one or change what is said of it", patternsHelp, resilience.LetterPattern{}, dlqPatterns},
			{"stats", "", "count letters by queue", statsHelp, resilience.LetterStats{}, dlqStats},
			{"schema", "[dirs] [methods]", "say what letters hold, and what of it is redacted", schemaHelp, generator.LetterReport{}, dlqSchema},
			{"edit", "id", "change the arguments of a letter", editHelp, resilience.Letter{}, dlqEdit},
			{"plan", "[filter]", "say what a replay would do, and name it by a token", planHelp, resilience.Plan{}, dlqPlan},
			{"apply", "token", "replay the letters of a plan", applyHelp, applyLine{}, dlqApply},
			{"jobs", "[pause|resume|cancel] [id]", "list replays, print one or turn it", jobsHelp, resilience.Job{}, dlqJobs},
			{"discard", "id …", "say that letters are not to be replayed", discardHelp, letterOutcome{}, dlqDiscard},
			{"resolve", "id …", "say what has become of letters", resolveHelp, letterOutcome{}, dlqResolve},
			{"rm", "filter", "erase letters, and every byte of them", dlqRmHelp, ops.Erased{}, dlqErase},
			{"export", "[filter]", "print letters for an import", dlqExportHelp, nil, dlqExport},
			{"import", "file", "bring letters in that were exported", dlqImportHelp, resilience.LetterImport{}, dlqImport},
			{"verify", "", "look for what is wrong with what is kept", dlqVerifyHelp, resilience.LetterFault{}, dlqVerify},
			{"rekey", "[filter]", "seal arguments with the present key", dlqRekeyHelp, resilience.LetterRekey{}, dlqRekey},
		},
	}
}

// place is where letters are: a service, or a directory.
type place struct {
	dir, addr string
}

func (p *place) flags(flags *flag.FlagSet) {
	flags.StringVar(&p.dir, "dir", "", "the `directory` of a store")
	flags.StringVar(&p.addr, "addr", "", "the `address` of a running service: unix:/run/x.sock")
}

// open returns a client of the service or of the directory. Where changes is
// false a directory is only read.
func (p *place) open(changes bool) (*ops.Client, func() error, error) {
	switch {
	case (p.dir == "") == (p.addr == ""):
		return nil, nil, usageError{"give --addr of a running service or --dir of its store"}
	case p.dir != "":
		return openDir(p.dir, changes)
	}
	c, err := ops.Dial(p.addr)
	if err != nil {
		return nil, nil, usageError{clean(err.Error())}
	}
	return c, func() error { c.Close(); return nil }, nil
}

// letters is what verbs about letters share.
type letters struct {
	out   *output
	place place
}

func (l *letters) flags(flags *flag.FlagSet) {
	l.place.flags(flags)
	l.out.flags(flags)
}

// with runs a func with a client.
func (l *letters) with(changes bool, do func(*ops.Client) error) error {
	c, end, err := l.place.open(changes)
	if err != nil {
		return err
	}
	err = do(c)
	if e := end(); err == nil {
		err = e
	}
	return err
}

const lsHelp = `A filter is made of terms that must all hold, as "and" and "or" and "not" and
parentheses say otherwise:

  queue:payments.notify reason:exhausted since:24h
  method:Charge not state:replayed attempts>3
  error:"connection refused" args.req.customer=42
`

const showHelp = `Arguments are shown as they were kept, or as the last edit left them; what was
redacted says so.
`

// dlqList prints letters.
func dlqList(out *output, flags *flag.FlagSet) action {
	l := &letters{out: out}
	l.flags(flags)
	var q resilience.LetterQuery
	flags.IntVar(&q.Limit, "limit", 50, "print at most `n` letters; 0 is all")
	flags.StringVar(&q.Cursor, "cursor", "", "go on where a list ended that gave this `cursor`")
	flags.BoolVar(&q.OldestFirst, "oldest", false, "oldest first")
	return func(ctx context.Context, args []string) error {
		q.Filter = strings.Join(args, " ")
		return l.with(false, func(c *ops.Client) error { return l.list(ctx, c, q) })
	}
}

// list prints pages until the limit is reached.
func (l *letters) list(ctx context.Context, c *ops.Client, q resilience.LetterQuery) error {
	table := l.out.table(letterColumns)
	left := q.Limit
	for {
		page, err := c.List(ctx, q)
		if err != nil {
			return err
		}
		for _, s := range page.Letters {
			if err := l.out.row(table, s, letterRow(s)); err != nil {
				return err
			}
		}
		left -= len(page.Letters)
		q.Cursor = page.Next
		if page.Next == "" || q.Limit > 0 && left <= 0 {
			break
		}
		if q.Limit > 0 {
			q.Limit = left
		}
	}
	if err := table.print(); err != nil {
		return err
	}
	if q.Cursor != "" {
		l.out.say("there are more: --cursor %s goes on", q.Cursor)
	}
	return nil
}

var letterColumns = []column{{title: "ID"}, {title: "DIED"}, {title: "STATE"}, {title: "REASON"}, {title: "TRIES", right: true}, {title: "METHOD"}, {title: "QUEUE"}, {title: "PATTERN"}, {title: "ERROR", last: true}}

func letterRow(s resilience.LetterSummary) []string {
	return []string{s.ID, when(s.DeadAt), string(s.State), string(s.Reason), fmt.Sprint(s.AttemptCount), methodName(s), s.Queue, s.Group, s.Error}
}

// methodName is the method with the last part of its package's path.
func methodName(s resilience.LetterSummary) string {
	return shortMethod(s.Interface, s.Method) + s.Instance
}

func shortMethod(iface, method string) string {
	return iface[strings.LastIndexByte(iface, '/')+1:] + "." + method
}

// when writes a time as tables do.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// dlqShow prints letters whole.
func dlqShow(out *output, flags *flag.FlagSet) action {
	l := &letters{out: out}
	l.flags(flags)
	return func(ctx context.Context, args []string) error {
		if len(args) == 0 {
			return usageError{"dlq show wants the ids of letters; resilgen dlq ls lists them"}
		}
		return l.with(false, func(c *ops.Client) error {
			for i, id := range args {
				letter, err := c.Get(ctx, id)
				if err != nil {
					return err
				}
				if out.json {
					err = out.value(letter)
				} else {
					err = out.letter(letter, i > 0)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}
