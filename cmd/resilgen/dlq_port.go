package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/resilgen/resilgen/runtime/ops"
	"github.com/resilgen/resilgen/runtime/resilience"
)

const dlqExportHelp = `Prints the letters whole as JSON Lines, oldest first, for resilgen dlq import. What
is redacted is not in them, and what is sealed stays so.
`

// dlqExport prints letters for an import.
func dlqExport(out *output, flags *flag.FlagSet) action {
	l := &letters{out: out}
	l.flags(flags)
	return func(ctx context.Context, args []string) error {
		return l.with(false, func(c *ops.Client) error {
			n := 0
			for line, err := range c.Export(ctx, strings.Join(args, " ")) {
				if err != nil {
					return err
				}
				n++
				if _, err := fmt.Fprintf(out.env.stdout, "%s\n", cleanJSON(line)); err != nil {
					return err
				}
			}
			out.say("%s", howMany(n, "letter"))
			return nil
		})
	}
}

const dlqImportHelp = `Takes what resilgen dlq export printed, from a file or, for -, from standard input.
Letters that are there already are skipped, lines that are none refused and named.

Who can forge a letter has the service make a call of their choice. So letters that
come in are tagged foreign, and those that wait are quarantined until each is released
by resilgen dlq resolve --as dead; --trust takes them as if they had been written here.
`

// Batches of an import: letters are sent until they are so many bytes.
const (
	importBatch = 1 << 20
	importLine  = 8<<20 + 256<<10 // a letter has 8 MiB at most
)

// bringing is an import.
type bringing struct {
	letters
	in      ops.ImportRequest
	bytes   int // of letters that are to be sent
	done    resilience.LetterImport
	refused int
}

// dlqImport brings letters in.
func dlqImport(out *output, flags *flag.FlagSet) action {
	b := &bringing{letters: letters{out: out}}
	b.flags(flags)
	flags.BoolVar(&b.in.Trust, "trust", false, "take the letters as if they had been written here")
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usageError{"dlq import wants a file, or - for standard input"}
		}
		in := io.Reader(os.Stdin)
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			in = f
		}
		b.warn()
		return b.with(true, func(c *ops.Client) error {
			err := b.all(ctx, c, in)
			if told := b.report(); err == nil {
				err = told
			}
			return err
		})
	}
}

// warn says that others may write where the letters go.
func (b *bringing) warn() {
	if info, err := os.Stat(b.place.dir); err == nil && info.IsDir() && info.Mode().Perm()&0o022 != 0 {
		b.out.say("warning: others may write to %s (mode %04o): who does decides which calls the service makes", b.place.dir, info.Mode().Perm())
	}
}

// all sends the lines of in, in batches.
func (b *bringing) all(ctx context.Context, c *ops.Client, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, importLine)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		switch {
		case len(line) == 0:
			continue
		case !json.Valid(line):
			b.refuse(fmt.Sprintf("line %d: no JSON", n))
			continue
		}
		if b.bytes > 0 && b.bytes+len(line) > importBatch {
			if err := b.send(ctx, c); err != nil {
				return err
			}
		}
		b.in.Letters, b.bytes = append(b.in.Letters, ops.ImportLine{Line: n, Letter: bytes.Clone(line)}), b.bytes+len(line)
	}
	err := b.send(ctx, c)
	failed := lines.Err()
	if errors.Is(failed, bufio.ErrTooLong) {
		failed = fmt.Errorf("longer than %s, which no letter is", size(importLine))
	}
	if failed != nil {
		err = errors.Join(err, fmt.Errorf("line %d: %w", n+1, failed))
	}
	return err
}

// send sends what is collected.
func (b *bringing) send(ctx context.Context, c *ops.Client) error {
	if len(b.in.Letters) == 0 {
		return nil
	}
	if ctx.Err() != nil {
		return coded{exitInterrupted, fmt.Errorf("interrupted before line %d", b.in.Letters[0].Line)}
	}
	report, err := c.Import(context.WithoutCancel(ctx), b.in)
	b.in.Letters, b.bytes = nil, 0
	b.done.Imported, b.done.Skipped = b.done.Imported+report.Imported, b.done.Skipped+report.Skipped
	for _, why := range report.Refused {
		b.refuse(why)
	}
	return err
}

// maxNamed is how many lines that are refused are named.
const maxNamed = 100

func (b *bringing) refuse(why string) {
	if b.refused++; len(b.done.Refused) < maxNamed {
		b.done.Refused = append(b.done.Refused, why)
	}
}

// report prints what was done.
func (b *bringing) report() error {
	if b.out.json {
		if err := b.out.value(b.done); err != nil {
			return err
		}
	} else {
		for _, why := range b.done.Refused {
			fmt.Fprintf(b.out.env.stderr, "refused  %s\n", clean(why))
		}
		fmt.Fprintf(b.out.env.stdout, "%d imported, %d were there, %d refused\n", b.done.Imported, b.done.Skipped, b.refused)
	}
	switch {
	case b.refused == 0:
		return nil
	case b.done.Imported > 0:
		return coded{exitPartly, fmt.Errorf("%d lines were refused", b.refused)}
	}
	return coded{exitFindings, fmt.Errorf("%d lines were refused", b.refused)}
}

const dlqVerifyHelp = `Reads every letter and pattern, opens what is sealed where the key is there, and
prints what is not as it should be. Nothing is changed. Whether the files themselves
are whole resilgen store verify says.
`

// dlqVerify looks for what is wrong.
func dlqVerify(out *output, flags *flag.FlagSet) action {
	l := &letters{out: out}
	l.flags(flags)
	return func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			return usageError{"dlq verify takes no arguments"}
		}
		return l.with(false, func(c *ops.Client) error {
			n := 0
			table := out.table([]column{{title: "KEY"}, {title: "WHAT IS WRONG", last: true}})
			for fault, err := range c.Verify(ctx) {
				if err != nil {
					return err
				}
				n++
				if err := out.row(table, fault, []string{fault.Key, fault.Why}); err != nil {
					return err
				}
			}
			if err := table.print(); err != nil || n == 0 {
				return err
			}
			return coded{exitFindings, errors.New(howMany(n, "fault"))}
		})
	}
}

const dlqRekeyHelp = `Has the service seal the arguments of letters with the present key of its Sealer,
and takes those under old keys away: a key that leaked, or is to be forgotten, is
needed no more then.
`

// dlqRekey seals letters with the present key.
func dlqRekey(out *output, flags *flag.FlagSet) action {
	l := &letters{out: out}
	l.flags(flags)
	return func(ctx context.Context, args []string) error {
		if l.place.dir != "" {
			return usageError{"dlq rekey needs the running service, since only that has the keys: give its --addr instead of --dir"}
		}
		return l.with(true, func(c *ops.Client) error {
			report, err := c.Rekey(ctx, strings.Join(args, " "))
			if err != nil {
				return err
			}
			if out.json {
				err = out.value(report)
			} else {
				for _, why := range report.Failed {
					fmt.Fprintf(out.env.stderr, "failed  %s\n", clean(why))
				}
				_, err = fmt.Fprintf(out.env.stdout, "%d rekeyed, %d need not be\n", report.Rekeyed, report.Kept)
			}
			if err == nil && len(report.Failed) > 0 {
				err = coded{exitPartly, fmt.Errorf("%s could not be rekeyed", howMany(len(report.Failed), "letter"))}
			}
			return err
		})
	}
}
