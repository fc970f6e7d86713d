package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// lookedAt is what the verbs that read every file of a store print as JSON.
type lookedAt struct {
	V   int // of this format: 1
	Dir string
	New string `json:",omitempty"` // where a copy is
	resilience.StoreReport
}

// storeVerify reads everything.
func storeVerify(out *output, flags *flag.FlagSet) action {
	out.flags(flags)
	return func(_ context.Context, args []string) error {
		dir, err := storeDir("verify", args)
		if err != nil {
			return err
		}
		if err := aStore(dir); err != nil {
			return err
		}
		r, err := resilience.VerifyStore(dir)
		if err != nil {
			return err
		}
		return out.report(lookedAt{1, dir, "", r}, exitUnhealthy)
	}
}

// storeRepair saves what can be proven.
func storeRepair(out *output, flags *flag.FlagSet) action {
	out.flags(flags)
	return func(_ context.Context, args []string) error {
		if len(args) != 2 {
			return usageError{"store repair wants the damaged directory and a new one"}
		}
		if err := existing(args[0], false); err != nil {
			return err
		}
		r, err := resilience.RepairStore(args[0], args[1])
		if err != nil {
			return err
		}
		return out.report(lookedAt{1, args[0], args[1], r}, exitPartly)
	}
}

// storeCopy makes a backup.
func storeCopy(out *output, flags *flag.FlagSet) action {
	out.flags(flags)
	return func(_ context.Context, args []string) error {
		if len(args) != 2 {
			return usageError{"store copy wants the directory and a new one"}
		}
		if err := existing(args[0], false); err != nil {
			return err
		}
		r, err := resilience.CopyStore(args[0], args[1])
		if err != nil {
			return err
		}
		return out.report(lookedAt{1, args[0], args[1], r}, exitUnhealthy)
	}
}

// report prints what was found, and fails with code where something is missing.
func (o *output) report(r lookedAt, code int) error {
	err := error(nil)
	if o.json {
		err = o.value(r)
	} else {
		err = o.reportText(r)
	}
	if err != nil || len(r.Damage) == 0 {
		return err
	}
	return coded{code, fmt.Errorf("%s: %d places are damaged, first %w", r.Dir, len(r.Damage), r.Damage[0])}
}

func (o *output) reportText(r lookedAt) error {
	var b bytes.Buffer
	s := &sheet{&b, o.env.colorOut}
	s.fact("store", r.Dir, fmt.Sprintf("format %d", r.Format))
	s.fact("kept", fmt.Sprintf("%d keys in %d records", r.Keys, r.Live), size(r.LiveBytes))
	s.fact("files", fmt.Sprint(len(r.Segments)), size(r.Bytes), fmt.Sprintf("%d records in %d batches", r.Records, r.Batches))
	switch {
	case r.Clean:
		s.fact("last end", "clean")
	case r.Torn > 0:
		s.fact("last end", fmt.Sprintf("none yet, or killed: %d bytes of a last write that is not whole", r.Torn))
	default:
		s.fact("last end", "none yet: it is open, or was killed")
	}
	s.waiting(r.Waiting)
	for _, d := range r.Damage {
		s.fact("damage", d.Error())
	}
	if len(r.Damage) == 0 {
		s.fact("damage", "none")
	}
	s.fact("new store", r.New)
	_, err := o.env.stdout.Write(b.Bytes())
	return err
}

// upgraded is what store upgrade prints as JSON.
type upgraded struct {
	V        int // of this format: 1
	Dir      string
	From, To int // formats
}

// storeUpgrade goes on to the newest format.
func storeUpgrade(out *output, flags *flag.FlagSet) action {
	out.flags(flags)
	return func(_ context.Context, args []string) error {
		dir, err := storeDir("upgrade", args)
		if err != nil {
			return err
		}
		if err := existing(dir, true); err != nil {
			return err
		}
		from, to, err := resilience.UpgradeStore(dir)
		if err != nil {
			return err
		}
		if out.json {
			return out.value(upgraded{1, dir, from, to})
		}
		text := fmt.Sprintf("%s: format %d is the newest; nothing was done", dir, to)
		if from != to {
			text = fmt.Sprintf("%s: from format %d to %d", dir, from, to)
		}
		_, err = fmt.Fprintln(out.env.stdout, clean(text))
		return err
	}
}

// rawEntry is a line of store dump --raw.
type rawEntry struct {
	File     string             `json:"file"`
	Offset   int64              `json:"offset"`
	Batch    uint64             `json:"batch"`
	Durable  uint64             `json:"durable"`
	Kind     string             `json:"kind"`
	Key      string             `json:"key,omitempty"`
	Version  resilience.Version `json:"version"`
	At       time.Time          `json:"at"`
	Live     bool               `json:"live,omitempty"`
	Through  uint64             `json:"through,omitempty"`
	From, To uint64             `json:",omitempty"`
	JSON     json.RawMessage    `json:"json,omitempty"`
	Bytes    []byte             `json:"bytes,omitempty"`
}

var rawColumns = []column{{title: "FILE"}, {title: "AT BYTE", right: true}, {title: "BATCH", right: true}, {title: "KIND"}, {title: "VERSION", right: true}, {title: "KEY"}, {title: "BYTES", right: true}, {title: "VALUE", last: true}}

// raw prints the records as they lie.
func (o *output) raw(ctx context.Context, args []string, prefix string) error {
	dir, err := storeDir("dump", args)
	if err != nil {
		return err
	}
	table := o.table(rawColumns)
	r, err := resilience.DumpStore(dir, func(e resilience.StoreEntry) error {
		if err := ctx.Err(); err != nil || !strings.HasPrefix(e.Key, prefix) {
			return err
		}
		line := rawEntry{File: e.File, Offset: e.Offset, Batch: e.Batch, Durable: e.Durable, Kind: e.Kind, Key: e.Key, Version: resilience.Version(e.Version),
			At: time.Unix(0, e.Time).UTC(), Live: e.Live, Through: e.Through, From: e.From, To: e.To}
		if payload := bytes.Clone(e.Payload); json.Valid(payload) {
			line.JSON = payload
		} else {
			line.Bytes = payload
		}
		return o.row(table, line, []string{e.File, fmt.Sprint(e.Offset), fmt.Sprint(e.Batch), e.Kind, fmt.Sprint(e.Version), e.Key, fmt.Sprint(len(e.Payload)), rawValue(e)})
	})
	if err != nil {
		return err
	}
	if err := table.print(); err != nil || len(r.Damage) == 0 {
		return err
	}
	return coded{exitUnhealthy, fmt.Errorf("%s: %d places are damaged, first %w", dir, len(r.Damage), r.Damage[0])}
}

// rawValue is what a table shows of a record.
func rawValue(e resilience.StoreEntry) string {
	switch e.Kind {
	case "drop":
		return fmt.Sprintf("up to version %d", e.Through)
	case "removed":
		return fmt.Sprintf("files %d to %d", e.From, e.To)
	case "record":
		if !e.Live {
			return "(dropped)"
		}
	}
	return clip(string(e.Payload), 200)
}
