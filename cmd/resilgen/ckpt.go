package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// ckptGroup are the verbs about checkpoints.
func ckptGroup() group {
	return group{
		name: "ckpt",
		about: `Looks at the results that were kept so that nothing is done twice, in the directory
of a store, --dir. Reading one needs nobody's leave; rm, prune and import want the
directory for themselves: stop the service first.
`,
		verbs: []subverb{
			{"ls", "", "list checkpoints", "--json prints a resilience.Checkpoint a line, without its value.\n", nil, ckptList},
			{"show", "id …", "print checkpoints whole", "A value that is sealed stays so. --json prints a resilience.Checkpoint a line.\n", nil, ckptShow},
			{"verify", "", "read every checkpoint, and tell which cannot be", "It exits with 1 if there is one.\n", nil, ckptVerify},
			{"prune", "", "remove those that are too old to answer", "", nil, ckptPrune},
			{"rm", "id …", "remove checkpoints: their calls are made again", "", nil, ckptRemove},
			{"export", "[file]", "write checkpoints as lines of JSON", "Values are written as they are kept: a file may hold what customers said.\n", nil, ckptExport},
			{"import", "file", "take in what export wrote", "What is imported answers calls: whoever wrote the file decides what they return.\nSo it needs --trust.\n", nil, ckptImport},
		},
	}
}

// kept is what verbs about checkpoints share.
type kept struct {
	out   *output
	dir   string
	query resilience.CheckpointQuery
	erase bool // what was removed is to be in no file any more
}

func (k *kept) flags(flags *flag.FlagSet) {
	flags.StringVar(&k.dir, "dir", "", "the `directory` of a store")
	k.out.flags(flags)
}

// choice declares the flags that choose checkpoints.
func (k *kept) choice(flags *flag.FlagSet) {
	flags.StringVar(&k.query.Interface, "interface", "", "only of the interface with the `name`: payments.Gateway, or with the whole path")
	flags.StringVar(&k.query.Method, "method", "", "only of methods with the `name`")
	flags.StringVar(&k.query.Key, "key", "", "only with keys that begin with `text`")
	flags.BoolVar(&k.query.Expired, "expired", false, "only those that are too old to answer")
}

// with runs a func with the checkpoints of the directory.
func (k *kept) with(ctx context.Context, changes bool, do func(*resilience.CheckpointBox) error) error {
	if k.dir == "" {
		return usageError{"give --dir, the directory of a store"}
	}
	if err := present(k.dir, changes); err != nil {
		return err
	}
	store, err := resilience.OpenStore(k.dir, resilience.StoreOptions{ReadOnly: !changes})
	if err != nil {
		return err
	}
	rt, err := resilience.Open(resilience.Options{Stores: store.Stores()})
	if err == nil {
		err = do(rt.Checkpoints())
		if k.erase && err == nil {
			err = store.Erase(context.WithoutCancel(ctx)) // what is removed is to be gone
		}
		err = errors.Join(err, rt.Close())
	}
	return errors.Join(err, store.Close())
}

// noArgs refuses arguments where none are taken.
func noArgs(verb string, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Sprintf("ckpt %s takes no arguments, and was given %s", verb, clean(clip(args[0], 40)))}
	}
	return nil
}

var checkpointColumns = []column{{title: "KEPT"}, {title: "ENDS"}, {title: "TRIES", right: true}, {title: "METHOD"}, {title: "TYPE"}, {title: "KEY"}, {title: "ID", last: true}}

func checkpointRow(c *resilience.Checkpoint) []string {
	ends := "never"
	if c.TTL > 0 {
		ends = when(c.At.Add(c.TTL))
	}
	return []string{when(c.At), ends, fmt.Sprint(c.Attempts), shortInterface(c.Interface) + "." + c.Method, c.Type, c.Key, c.ID()}
}

// shortInterface is an interface with the last part of its package's path.
func shortInterface(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '/' {
			return name[i+1:]
		}
	}
	return name
}

// ckptList prints checkpoints without their values.
func ckptList(out *output, flags *flag.FlagSet) action {
	k := &kept{out: out}
	k.flags(flags)
	k.choice(flags)
	return func(ctx context.Context, args []string) error {
		if err := noArgs("ls", args); err != nil {
			return err
		}
		return k.with(ctx, false, func(b *resilience.CheckpointBox) error { return k.list(ctx, b) })
	}
}

func (k *kept) list(ctx context.Context, b *resilience.CheckpointBox) error {
	table, damaged := k.out.table(checkpointColumns), 0
	for c, err := range b.All(ctx, k.query) {
		switch {
		case errors.Is(err, resilience.ErrCheckpointDamaged):
			damaged++
			continue
		case err != nil:
			return err
		}
		c.Value, c.Sealed = nil, nil
		if err := k.out.row(table, c, checkpointRow(&c)); err != nil {
			return err
		}
	}
	if damaged > 0 {
		k.out.say("%d cannot be read: resilgen ckpt verify says why", damaged)
	}
	return table.print()
}

// ckptShow prints checkpoints with their values.
func ckptShow(out *output, flags *flag.FlagSet) action {
	k := &kept{out: out}
	k.flags(flags)
	return func(ctx context.Context, args []string) error {
		if len(args) == 0 {
			return usageError{"ckpt show wants the ids of checkpoints; resilgen ckpt ls lists them"}
		}
		return k.with(ctx, false, func(b *resilience.CheckpointBox) error {
			for i, id := range args {
				c, err := b.Get(ctx, id)
				if err == nil && out.json {
					err = out.value(c)
				} else if err == nil {
					err = out.checkpoint(&c, i > 0)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// checkpoint prints c whole.
func (o *output) checkpoint(c *resilience.Checkpoint, again bool) error {
	if again {
		fmt.Fprintln(o.env.stdout)
	}
	ends := "never"
	if c.TTL > 0 {
		ends = when(c.At.Add(c.TTL))
	}
	value := string(c.Value)
	if c.Sealed != nil {
		value = fmt.Sprintf("%d bytes, sealed with the key %s", len(c.Sealed), c.KeyID)
	}
	for _, line := range [][2]string{
		{"id", c.ID()}, {"interface", c.Interface}, {"method", c.Method}, {"key", c.Key}, {"type", c.Type + " of shape " + c.Shape},
		{"arguments", c.Args}, {"kept", when(c.At)}, {"ends", ends}, {"attempts", fmt.Sprint(c.Attempts)}, {"value", value},
	} {
		if _, err := fmt.Fprintf(o.env.stdout, "%-10s %s\n", line[0], clean(line[1])); err != nil {
			return err
		}
	}
	return nil
}

// checkpointDamage is a line of ckpt verify.
type checkpointDamage struct {
	ID    string `json:"id"`
	Error string `json:"error"`
}

// ckptVerify reads everything.
func ckptVerify(out *output, flags *flag.FlagSet) action {
	k := &kept{out: out}
	k.flags(flags)
	return func(ctx context.Context, args []string) error {
		if err := noArgs("verify", args); err != nil {
			return err
		}
		return k.with(ctx, false, func(b *resilience.CheckpointBox) error { return k.verify(ctx, b) })
	}
}

func (k *kept) verify(ctx context.Context, b *resilience.CheckpointBox) error {
	table, whole, damaged := k.out.table([]column{{title: "ID"}, {title: "ERROR", last: true}}), 0, 0
	for _, err := range b.All(ctx, resilience.CheckpointQuery{}) {
		var d *resilience.CheckpointDamage
		switch {
		case err == nil:
			whole++
		case errors.As(err, &d):
			damaged++
			if err := k.out.row(table, checkpointDamage{d.ID, d.Error()}, []string{d.ID, d.Error()}); err != nil {
				return err
			}
		default:
			return err
		}
	}
	if err := table.print(); err != nil {
		return err
	}
	k.out.say("%d whole, %d damaged", whole, damaged)
	if damaged > 0 {
		return coded{exitFindings, fmt.Errorf("%d of %d checkpoints cannot be read", damaged, whole+damaged)}
	}
	return nil
}

// ckptPrune removes what has ended.
func ckptPrune(out *output, flags *flag.FlagSet) action {
	k := &kept{out: out}
	k.flags(flags)
	return func(ctx context.Context, args []string) error {
		if err := noArgs("prune", args); err != nil {
			return err
		}
		return k.with(ctx, true, func(b *resilience.CheckpointBox) error {
			n, err := b.Prune(ctx)
			out.say("%d removed", n)
			return err
		})
	}
}

// ckptRemove removes some.
func ckptRemove(out *output, flags *flag.FlagSet) action {
	k := &kept{out: out}
	k.flags(flags)
	flags.BoolVar(&out.yes, "yes", false, "do not ask")
	flags.BoolVar(&k.erase, "erase", false, "also rewrite the files that had their bytes")
	return func(ctx context.Context, args []string) error {
		if len(args) == 0 {
			return usageError{"ckpt rm wants the ids of checkpoints; resilgen ckpt ls lists them"}
		}
		if err := out.confirm(fmt.Sprintf("Remove %d, so that their calls are made again?", len(args))); err != nil {
			return err
		}
		return k.with(ctx, true, func(b *resilience.CheckpointBox) error {
			for n, id := range args {
				err := b.Remove(ctx, id)
				if err != nil && n > 0 {
					out.say("%d removed before", n)
					return coded{exitPartly, err}
				}
				if err != nil {
					return err
				}
			}
			out.say("%d removed", len(args))
			return nil
		})
	}
}

// ckptExport writes checkpoints to a file, or to standard output.
func ckptExport(out *output, flags *flag.FlagSet) action {
	k := &kept{out: out}
	k.flags(flags)
	k.choice(flags)
	return func(ctx context.Context, args []string) error {
		if len(args) > 1 {
			return usageError{"ckpt export takes one file"}
		}
		return k.with(ctx, false, func(b *resilience.CheckpointBox) error {
			if len(args) == 0 {
				buffered := bufio.NewWriterSize(out.env.stdout, 64<<10)
				return errors.Join(k.export(ctx, b, jsonCleaner{buffered}), buffered.Flush())
			}
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			buffered := bufio.NewWriterSize(f, 64<<10)
			return errors.Join(k.export(ctx, b, buffered), buffered.Flush(), f.Sync(), f.Close())
		})
	}
}

func (k *kept) export(ctx context.Context, b *resilience.CheckpointBox, w io.Writer) error {
	n, err := b.Export(ctx, w, k.query)
	k.out.say("%d written", n)
	if errors.Is(err, resilience.ErrCheckpointDamaged) {
		return coded{exitPartly, err}
	}
	return err
}

// jsonCleaner writes JSON to what may be a terminal, of which it is given whole
// lines.
type jsonCleaner struct{ w io.Writer }

func (c jsonCleaner) Write(text []byte) (int, error) {
	if _, err := c.w.Write(cleanJSON(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// ckptImport takes checkpoints from a file.
func ckptImport(out *output, flags *flag.FlagSet) action {
	k := &kept{out: out}
	k.flags(flags)
	trust := flags.Bool("trust", false, "the file comes from whom it should")
	replace := flags.Bool("replace", false, "also replace those that are there")
	return func(ctx context.Context, args []string) error {
		switch {
		case len(args) != 1:
			return usageError{"ckpt import wants one file"}
		case !*trust:
			return coded{exitRefused, errors.New("what is imported answers calls: if the file comes from whom it should, say --trust")}
		}
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		return k.with(ctx, true, func(b *resilience.CheckpointBox) error {
			written, there, err := b.Import(ctx, f, *replace)
			out.say("%d written, %d were there", written, there)
			if err != nil && written > 0 {
				return coded{exitPartly, err}
			}
			return err
		})
	}
}
