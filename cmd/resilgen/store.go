package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// exitUnhealthy says that something that was kept is lost or changed.
const exitUnhealthy = 6

// storeGroup are the verbs about the directory of a store.
func storeGroup() group {
	return group{
		name: "store",
		about: `Looks at the directory in which a service keeps what is durable, Options.Dir: its
checkpoints, dead letters, queues and cells. What only reads takes no lock and changes
nothing, so the service may run.
`,
		verbs: []subverb{
			{"stat", "DIR", "how much is kept, and in which files", statHelp, nil, storeStat},
			{"verify", "DIR", "read everything, and say what is damaged or missing", verifyHelp, nil, storeVerify},
			{"repair", "DIR NEW", "copy what can be proven of a damaged store into a new one", repairHelp, nil, storeRepair},
			{"compact", "DIR", "give back the room of what was dropped", compactHelp, nil, storeCompact},
			{"copy", "DIR NEW", "copy a store, which may be in use, into a new one", copyHelp, nil, storeCopy},
			{"upgrade", "DIR", "make a store one of the newest format", upgradeHelp, nil, storeUpgrade},
			{"dump", "DIR", "print everything that is kept", dumpHelp, nil, storeDump},
			{"check", "DIR", "measure what a durable step costs on the disk of a directory", checkHelp, nil, storeCheck},
		},
	}
}

const statHelp = `Kinds are the first parts of keys: ckpt, dlq, queue, cell, lease and what you keep
yourself. A service may have the store open.
`

const dumpHelp = `Values come by key and version, one a line; with --json as {"key", "version", "at"} and
"json" if the value is JSON, else "bytes" in base64. What is in it was redacted, or not,
when it was kept: treat it as the service's data. --raw prints the records of every
kind as they lie in the files, dropped ones and those that wait in EMERGENCY, too, and
goes on behind what is damaged.
`

const verifyHelp = `It writes nothing and takes no lock, so the service may run. Damage is what was durable
and cannot be read: each with the file, the place, and which versions are missing. It
exits with 6 then, and store repair saves the rest.
`

const repairHelp = `NEW is a directory that is empty or not there; DIR stays as it is, and must not be in
use. What is missing is printed, and exits with 3; the new store is whole without it.
`

const copyHelp = `NEW is a directory that is empty or not there. Beside a running service the copy has all
but the newest moment. What a restored copy repeats is in docs/durability.md: never run
it beside the original.
`

const upgradeHelp = `A program goes on in the format that it finds, so that a deployment can be rolled back;
this is the step after which it cannot. There is one format yet. The store must not be
in use.
`

const checkHelp = `Writes and flushes some hundred times, in a file that it takes away again, one after
another and after pauses of 10 ms, and says what that means for a checkpoint, a letter
or a step. A flush that is too fast to be one is a doubt, and exits with 6.
`

const compactHelp = `A store does so by itself while it is open, where less than half of a file is kept. With
--erase, what was dropped is in no file any more afterwards. The store must not be in
use.
`

// storeDir returns the one directory that a verb is about.
func storeDir(verb string, args []string) (string, error) {
	if len(args) != 1 {
		return "", usageError{"store " + verb + " wants one directory"}
	}
	return args[0], nil
}

// readStore calls do with a store that is only read.
func readStore(verb string, args []string, do func(*resilience.Store) error) error {
	dir, err := storeDir(verb, args)
	if err != nil {
		return err
	}
	if err := aStore(dir); err != nil {
		return err
	}
	s, err := resilience.OpenStore(dir, resilience.StoreOptions{ReadOnly: true, Newest: true, OnDamage: resilience.QuarantineDamage, AllowRemote: true})
	if err != nil {
		return err
	}
	err = do(s)
	if e := s.Close(); err == nil {
		err = e
	}
	return err
}

// storeNumbers is what store stat prints as JSON.
type storeNumbers struct {
	V                    int // of this format: 1
	Dir                  string
	Kinds                map[string]int // keys by kind
	Keys, Records        int
	LiveBytes, FileBytes int64
	Segments             int
	Version              resilience.Version
	CleanEnd             bool   // the last process closed it
	Damage               string `json:",omitempty"`
	Waiting              int    `json:",omitempty"` // records in EMERGENCY
}

// storeStat prints the numbers of a store.
func storeStat(out *output, flags *flag.FlagSet) action {
	out.flags(flags)
	return func(ctx context.Context, args []string) error {
		return readStore("stat", args, func(s *resilience.Store) error {
			kinds, err := s.Kinds(ctx)
			if err != nil {
				return err
			}
			st := s.Stats()
			n := storeNumbers{V: 1, Dir: st.Dir, Kinds: kinds, Keys: st.Keys, Records: st.Records, LiveBytes: st.LiveBytes, FileBytes: st.FileBytes,
				Segments: st.Segments, Version: st.Version, CleanEnd: st.Indexed, Waiting: st.Waiting}
			if st.Damage != nil {
				n.Damage = st.Damage.Error()
			}
			if err := out.numbers(n); err != nil || n.Damage == "" {
				return err
			}
			return coded{exitUnhealthy, st.Damage}
		})
	}
}

func (o *output) numbers(n storeNumbers) error {
	if o.json {
		return o.value(n)
	}
	var b bytes.Buffer
	s := &sheet{&b, o.env.colorOut}
	s.fact("store", n.Dir)
	s.fact("keys", fmt.Sprint(n.Keys), fmt.Sprintf("in %d records", n.Records))
	for _, kind := range slices.Sorted(maps.Keys(n.Kinds)) {
		s.fact("", fmt.Sprintf("%7d %s", n.Kinds[kind], kind))
	}
	s.fact("bytes", size(n.LiveBytes)+" kept", fmt.Sprintf("%s in %d files", size(n.FileBytes), n.Segments))
	s.fact("version", fmt.Sprint(n.Version))
	if n.CleanEnd {
		s.fact("last end", "clean")
	} else {
		s.fact("last end", "none yet: it is open, or was killed")
	}
	s.waiting(n.Waiting)
	s.fact("damage", n.Damage)
	_, err := o.env.stdout.Write(b.Bytes())
	return err
}

// waiting tells how many records stand beside a store.
func (s *sheet) waiting(n int) {
	if n > 0 {
		s.fact("waiting", inEmergency(n))
	}
}

func inEmergency(n int) string {
	return fmt.Sprintf("%d records in EMERGENCY, which whoever opens it next takes in", n)
}

// size writes a number of bytes as people say it.
func size(n int64) string {
	unit, f := "B", float64(n)
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f < 1024 {
			break
		}
		unit, f = next, f/1024
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}

// dumped is a line of store dump.
type dumped struct {
	Key     string             `json:"key"`
	Version resilience.Version `json:"version"`
	At      time.Time          `json:"at"`
	JSON    json.RawMessage    `json:"json,omitempty"`
	Bytes   []byte             `json:"bytes,omitempty"`
}

var dumpColumns = []column{{title: "KEY"}, {title: "VERSION", right: true}, {title: "AT"}, {title: "BYTES", right: true}, {title: "VALUE", last: true}}

// storeDump prints what is in a store.
func storeDump(out *output, flags *flag.FlagSet) action {
	out.flags(flags)
	prefix := flags.String("prefix", "", "only keys that begin with `text`: dlq/")
	raw := flags.Bool("raw", false, "records of every kind as they lie in the files")
	return func(ctx context.Context, args []string) error {
		if *raw {
			return out.raw(ctx, args, *prefix)
		}
		return readStore("dump", args, func(s *resilience.Store) error {
			table := out.table(dumpColumns)
			for r, err := range s.Values(ctx, *prefix) {
				if err != nil {
					return err
				}
				d := dumped{Key: r.Key, Version: r.Version, At: r.At.UTC()}
				if json.Valid(r.Body) {
					d.JSON = r.Body
				} else {
					d.Bytes = r.Body
				}
				if err := out.row(table, d, []string{r.Key, fmt.Sprint(r.Version), when(r.At), fmt.Sprint(len(r.Body)), clip(string(r.Body), 200)}); err != nil {
					return err
				}
			}
			if n := s.Stats().Waiting; n > 0 {
				out.say("%s; --raw prints them", inEmergency(n))
			}
			return table.print()
		})
	}
}

// storeCompact rewrites the files of a store.
func storeCompact(out *output, flags *flag.FlagSet) action {
	out.flags(flags)
	erase := flags.Bool("erase", false, "rewrite every file that holds something that was dropped")
	return func(ctx context.Context, args []string) error {
		dir, err := storeDir("compact", args)
		if err != nil {
			return err
		}
		s, err := openExisting(dir)
		if err != nil {
			return err
		}
		before := s.Stats()
		if *erase {
			err = s.Erase(ctx)
		}
		if err == nil {
			err = s.Compact(ctx)
		}
		after := s.Stats()
		if e := s.Close(); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
		return out.compacted(before, after)
	}
}

// openExisting opens a store to change it, and makes none.
func openExisting(dir string) (*resilience.Store, error) {
	if err := existing(dir, true); err != nil {
		return nil, err
	}
	return resilience.OpenStore(dir, resilience.StoreOptions{})
}

// compactedStore is what store compact prints as JSON.
type compactedStore struct {
	V                        int // of this format: 1
	Dir                      string
	FileBytes, BytesBefore   int64
	Segments, SegmentsBefore int
}

func (o *output) compacted(before, after resilience.StoreStats) error {
	if o.json {
		return o.value(compactedStore{1, after.Dir, after.FileBytes, before.FileBytes, after.Segments, before.Segments})
	}
	_, err := fmt.Fprintf(o.env.stdout, "%s in %d files, before %s in %d; %s are kept\n", size(after.FileBytes), after.Segments,
		size(before.FileBytes), before.Segments, size(after.LiveBytes))
	return err
}

// storeCheck measures a disk.
func storeCheck(out *output, flags *flag.FlagSet) action {
	out.flags(flags)
	return func(ctx context.Context, args []string) error {
		dir, err := storeDir("check", args)
		if err != nil {
			return err
		}
		out.say("writing and flushing in %s for about a second …", dir)
		c, err := resilience.CheckDisk(ctx, dir)
		if err != nil {
			return err
		}
		if err := out.disk(c); err != nil || len(c.Doubts) == 0 {
			return err
		}
		return coded{exitUnhealthy, fmt.Errorf("%s: %s", dir, strings.Join(c.Doubts, "; "))}
	}
}

func (o *output) disk(c resilience.DiskCheck) error {
	if o.json {
		return o.value(c)
	}
	var b bytes.Buffer
	s := &sheet{&b, o.env.colorOut}
	s.fact("directory", c.Dir)
	for _, f := range []struct {
		name  string
		times resilience.FlushTimes
		what  string
	}{{"flush", c.Flush, "one after another"}, {"after 10ms", c.Idle, "each after 10 ms of rest"}} {
		s.fact(f.name, "median "+short(f.times.Median), "p99 "+short(f.times.P99), "worst "+short(f.times.Worst), fmt.Sprintf("(%d, %s)", f.times.Flushes, f.what))
	}
	fmt.Fprintf(&b, "\nA durable step, a checkpoint and a letter cost one flush each: %s here, and %s\n"+
		"after a rest; %d a second from one goroutine. Those that run at the same time share\n"+
		"flushes. With Options.Sync at interval nobody waits for them, and a crash of the\n"+
		"system may take the last interval.\n", short(c.Flush.Median), short(c.Idle.Median), time.Second/max(c.Flush.Median, 1))
	_, err := o.env.stdout.Write(b.Bytes())
	return err
}

// short writes a time in three digits or so.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
