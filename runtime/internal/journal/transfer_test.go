package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// lived returns a journal that was written to, compacted and killed, and what it
// has.
func lived(t *testing.T, seed uint64) *worker {
	t.Helper()
	w := newWorker(faultfs.New(seed), options(journal.Always), seed)
	w.disk.Record()
	need(t, w.open())
	for range 150 {
		need(t, w.step())
	}
	need(t, w.append("k/end"))
	return w
}

// untouched returns d, and reports what is written to it.
func untouched(t *testing.T, d *faultfs.Disk) *faultfs.Disk {
	d.Inject(func(op faultfs.Op) faultfs.Fault {
		if op.Kind.Changes() {
			t.Errorf("something was written: %v", op)
		}
		return faultfs.Fault{}
	})
	return d
}

func TestVerifyAndDumpTellWhatIsThere(t *testing.T) {
	for seed := range uint64(5) {
		w := lived(t, seed)
		for name, d := range map[string]*faultfs.Disk{"in use": w.disk, "killed": w.disk.Kill()} {
			got := state{}
			report, err := journal.Dump(untouched(t, d), func(e journal.Entry) error {
				switch {
				case e.Kind == "drop":
					act{key: e.Key, drop: true, through: e.Through}.on(got)
				case e.Kind == "record" && e.Live:
					got[e.Key] = slices.DeleteFunc(got[e.Key], func(r rec) bool { return r.version == e.Version })
					i := slices.IndexFunc(got[e.Key], func(r rec) bool { return r.version > e.Version })
					if i < 0 {
						i = len(got[e.Key])
					}
					got[e.Key] = slices.Insert(got[e.Key], i, rec{e.Version, bytes.Clone(e.Payload)})
				}
				return nil
			})
			need(t, err)
			d.Inject(nil)
			if !got.equal(w.s) {
				t.Errorf("seed %d, %s: dumped\n\t%v\nwant\n\t%v", seed, name, got, w.s)
			}
			live := 0
			for _, list := range w.s {
				live += len(list)
			}
			if report.Keys != len(w.s) || report.Live != live || len(report.Damage) > 0 || report.Torn > 0 || report.Clean || report.Version != w.newest {
				t.Errorf("seed %d, %s: %+v; want %d keys, %d records, version %d", seed, name, report, len(w.s), live, w.newest)
			}
		}
		need(t, w.j.Close())
		if report, err := journal.Verify(w.disk); err != nil || !report.Clean {
			t.Errorf("seed %d, closed: %+v, %v", seed, report, err)
		}
	}
}

// TestRepairKeepsWhatCanBeProven flips bits, lets Verify find them, and looks at
// what Repair makes of the rest.
func TestRepairKeepsWhatCanBeProven(t *testing.T) {
	w := lived(t, 2)
	killed := w.disk.Kill()
	ever := map[string]bool{} // all records there ever were
	for _, a := range w.h {
		ever[fmt.Sprint(a.key, a.version, a.payload)] = true
	}
	tried := 0
	for _, name := range killed.Names() {
		b := killed.Bytes(name)
		if !strings.HasSuffix(name, ".rj") {
			continue
		}
		for at := 0; at < len(b); at += max(1, 61 / *heavy) {
			d := killed.Kill()
			flipped := slices.Clone(b)
			flipped[at] ^= 1 << (at % 8)
			d.Put(name, flipped)
			if err := repaired(t, d, w.s, ever); err != nil {
				t.Fatalf("%s with bit %d of byte %d: %v", name, at%8, at, err)
			}
			tried++
		}
	}
	t.Log(tried, "flips")
}

func repaired(t *testing.T, d *faultfs.Disk, want state, ever map[string]bool) error {
	found, err := journal.Verify(untouched(t, d))
	if err != nil {
		return err
	}
	if len(found.Damage) == 0 && found.Torn == 0 {
		return errors.New("not found")
	}
	to := faultfs.New(1)
	report, err := journal.Repair(d, to, options(journal.Always))
	if err != nil {
		return err
	}
	got, err := opened(to, options(journal.Always))
	if err != nil {
		return err
	}
	for key, list := range got {
		for _, r := range list {
			if !ever[fmt.Sprint(key, r.version, r.payload)] {
				return fmt.Errorf("%s has a record %d that never was", key, r.version)
			}
		}
	}
	for key, list := range want {
		for _, r := range list {
			if !slices.ContainsFunc(got[key], func(x rec) bool { return x.version == r.version }) && !told(report, r.version) {
				return fmt.Errorf("version %d of %s is missing, and %+v does not say so", r.version, key, report)
			}
		}
	}
	return nil
}

// told reports whether a record is among those that a report calls missing, or was
// in the last batch, which may be one that was never finished.
func told(r journal.Report, version uint64) bool {
	if r.Torn > 0 && version > r.Version {
		return true
	}
	return slices.ContainsFunc(r.Damage, func(d journal.Damage) bool {
		return d.First > 0 // copies have old versions: a batch of them may be any
	})
}

func TestCopies(t *testing.T) {
	for seed := range uint64(5) {
		w := lived(t, seed)
		to := faultfs.New(1)
		_, err := w.j.Copy(to)
		need(t, err)
		if got, err := opened(to, w.options); err != nil || !got.equal(w.s) {
			t.Errorf("seed %d: copy of an open journal has\n\t%v, %v\nwant\n\t%v", seed, got, err, w.s)
		}
		beside := faultfs.New(1)
		_, err = journal.Copy(w.disk, beside, w.options)
		need(t, err)
		got, err := opened(beside, w.options)
		last := w.h[len(w.h)-1]
		if err != nil || !got.equal(w.h[:len(w.h)-1].state()) {
			t.Errorf("seed %d: copy beside a writer has\n\t%v, %v\nwant all but version %d", seed, got, err, last.version)
		}
		killed := faultfs.New(1)
		_, err = journal.Copy(w.disk.Kill(), killed, w.options)
		need(t, err)
		if got, err := opened(killed, w.options); err != nil || !got.equal(w.s) {
			t.Errorf("seed %d: copy after a kill has\n\t%v, %v\nwant\n\t%v", seed, got, err, w.s)
		}
		if _, err = journal.Copy(w.disk, killed, w.options); err == nil {
			t.Errorf("seed %d: copied over another journal", seed)
		}
		goesOn(t, killed, w)
	}
}

// goesOn checks that a copy gives out later versions, also when all is dropped.
func goesOn(t *testing.T, d *faultfs.Disk, w *worker) {
	t.Helper()
	ctx := context.Background()
	j, err := journal.Open(d, w.options)
	need(t, err)
	for key, list := range w.s {
		need(t, j.Drop(ctx, key, list[len(list)-1].version))
	}
	last := j.Stats().Version
	to := faultfs.New(2)
	_, err = j.Copy(to)
	need(t, err)
	c, err := journal.Open(to, w.options)
	need(t, err)
	if v, err := c.Append(ctx, "k/new", 0, nil); err != nil || v <= last {
		t.Errorf("a copy of nothing gives version %d after %d, %v", v, last, err)
	}
	need(t, errors.Join(c.Close(), j.Close()))
}

// TestCopyThatIsCutOff cuts the power at every operation of a copy: what is there
// then is the whole copy, or none.
func TestCopyThatIsCutOff(t *testing.T) {
	w := lived(t, 3)
	to := faultfs.New(1)
	tape := to.Record()
	_, err := w.j.Copy(to)
	need(t, err)
	whole := 0
	for place, d := range tape.Play() {
		got, err := opened(d.Cut(dice(uint64(place)), faultfs.Mixed), w.options)
		var corrupt *journal.CorruptError
		switch {
		case errors.As(err, &corrupt) || err == nil && len(got) == 0:
		case err == nil && got.equal(w.s):
			whole++
		default:
			t.Fatalf("place %d: %v, %v", place, got, err)
		}
	}
	if whole == 0 {
		t.Error("the copy was never there")
	}
}

// TestReadersBesideWriters verifies and copies while 64 goroutines write and the
// compactor runs.
func TestReadersBesideWriters(t *testing.T) {
	d := faultfs.New(1)
	o := wide(journal.Always)
	o.SegmentSize = 8 << 10
	j, err := journal.Open(d, o)
	need(t, err)
	// A directory has a journal from the first record on: readers begin after it.
	_, err = j.Append(context.Background(), contested, 0, nil)
	need(t, err)
	need(t, j.Drop(context.Background(), contested, 1<<60))
	var ended atomic.Bool
	read := make(chan struct{})
	go func() {
		defer close(read)
		for last := false; !last; {
			last = ended.Load()
			if report, err := journal.Verify(d); err != nil || len(report.Damage) > 0 {
				t.Errorf("verify: %+v, %v", report, err)
			}
			if report, err := journal.Copy(d, faultfs.New(1), o); err != nil {
				t.Errorf("copy: %+v, %v", report, err)
			}
		}
	}()
	for seed := range uint64(3) {
		for _, w := range crowd(t, j, seed, func() {}) {
			need(t, j.Drop(context.Background(), w.key, 1<<60))
		}
		need(t, j.Drop(context.Background(), contested, 1<<60))
	}
	ended.Store(true)
	<-read
	need(t, j.Close())
}
