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
	"github.com/resilgen/resilgen/runtime/resilience"
)

const editHelp = `The arguments that a replay uses are changed by a JSON Patch (RFC 6902) over an
object with a member for each argument, or replaced by a whole object. The service
decodes the result strictly into the types of the method. What the call had stays
in the letter as revision 0, and every edit is kept. An edited call is another one:
it gets another idempotency key, but for --keep-key. What takes the place of
something redacted is sealed, but for --plain.

  resilgen dlq edit ID --patch '[{"op": "replace", "path": "/customerID", "value": "c-42"}]' --why typo
`

// edited is what dlq edit is told.
type edited struct {
	letters
	change          resilience.LetterEditRequest
	patch, document string // JSON, @file, or @- for standard input
	rev             uint64
}

// dlqEdit changes the arguments of a letter.
func dlqEdit(out *output, flags *flag.FlagSet) action {
	e := &edited{letters: letters{out: out}}
	e.flags(flags)
	flags.StringVar(&e.patch, "patch", "", "`JSON` Patch, @file, or @- for standard input")
	flags.StringVar(&e.document, "document", "", "all arguments as `JSON`, @file, or @- for standard input")
	flags.StringVar(&e.change.Reason, "why", "", "a `reason`, which is kept with the edit")
	flags.BoolVar(&e.change.KeepKey, "keep-key", false, "keep the idempotency key: the call is still the same one")
	flags.BoolVar(&e.change.Plain, "plain", false, "write as it is what takes the place of something redacted")
	flags.Uint64Var(&e.rev, "rev", 0, "refuse if the letter is not at this `revision` any more (default any)")
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 || (e.patch == "") == (e.document == "") {
			return usageError{"dlq edit wants the id of a letter, and --patch or --document"}
		}
		if e.place.dir != "" {
			return errOnlyService("dlq edit")
		}
		if err := e.read(); err != nil {
			return err
		}
		return e.with(true, func(c *ops.Client) error {
			l, err := c.Edit(ctx, args[0], e.change)
			if err != nil {
				return err
			}
			if out.json {
				return out.value(l)
			}
			var b bytes.Buffer
			s := &sheet{&b, out.env.colorOut}
			s.fact("letter", l.ID, string(l.State))
			s.arguments(l)
			_, err = out.env.stdout.Write(b.Bytes())
			return err
		})
	}
}

// read fills in the change.
func (e *edited) read() (err error) {
	e.change.Rev = resilience.Version(e.rev)
	if e.patch != "" {
		e.change.Patch, err = jsonOf("--patch", e.patch)
	} else {
		e.change.Document, err = jsonOf("--document", e.document)
	}
	return err
}

// maxEdit is how much of a file is read: a service takes 64 KiB with what is around.
const maxEdit = 60 << 10

// jsonOf returns the JSON that a flag gives: itself, or in a file.
func jsonOf(name, text string) (json.RawMessage, error) {
	data := []byte(text)
	if text[0] == '@' {
		var err error
		if data, err = readInput(text[1:], maxEdit); err != nil {
			return nil, err
		}
	}
	if !json.Valid(data) {
		return nil, usageError{name + " is no JSON"}
	}
	return data, nil
}

// readInput reads a file, or standard input where it is called -.
func readInput(path string, most int64) ([]byte, error) {
	in := io.ReadCloser(os.Stdin)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s: more than %d bytes", clean(path), most)
	}
	if in != os.Stdin {
		_ = in.Close() // it was only read
	}
	return data, err
}
