package journal_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/internal/journal"
)

var heavy = flag.Int("heavy", 1, "how many times more cuts, flips and histories the proofs try")

// recorded returns a workload that met no fault, with its tape.
func recorded(t *testing.T, mode journal.Sync, seed uint64, n int) (*worker, *faultfs.Tape) {
	t.Helper()
	w := newWorker(faultfs.New(seed), options(mode), seed)
	tape := w.disk.Record()
	if err := w.work(n); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return w, tape
}

// TestKilledAnywhere kills a process at every operation.
func TestKilledAnywhere(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			w, tape := recorded(t, mode, 1, 120)
			for place, d := range tape.Play() {
				got, err := opened(d.Kill(), w.options)
				if err == nil {
					err = w.h.judge(got, place, false)
				}
				if err != nil {
					t.Fatalf("place %d: %v", place, err)
				}
			}
		})
	}
}

// TestPowerCutAnywhere cuts the power at every operation, with every fate of what
// was not flushed.
func TestPowerCutAnywhere(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			for seed := range uint64(*heavy) {
				w, tape := recorded(t, mode, seed+2, 80)
				for place, d := range tape.Play() {
					for i := range 4 {
						cut(t, w, d, place, i)
					}
				}
			}
		})
	}
}

func cut(t *testing.T, w *worker, d *faultfs.Disk, place, i int) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(place), uint64(i)))
	after := d.Cut(r, faultfs.Fate(min(i, 2)))
	got, err := opened(after, w.options)
	if err == nil {
		err = w.h.judge(got, place, w.options.Sync != journal.Always)
	}
	if err == nil {
		err = tidied(after)
	}
	if err == nil { // what was shown once must not go away
		err = again(after, w.options, got, r)
	}
	if err != nil {
		t.Fatalf("cut %d at place %d: %v", i, place, err)
	}
}

// tidied says what an open journal left behind its last batch.
func tidied(d *faultfs.Disk) error {
	report, err := journal.Verify(d)
	if errors.Is(err, journal.ErrNoJournal) {
		return nil // nothing was ever written
	}
	if err == nil && (report.Torn > 0 || len(report.Damage) > 0) {
		err = fmt.Errorf("%d bytes are left behind the last batch, %v", report.Torn, report.Damage)
	}
	return err
}

// TestLeftoversDoNotJoin puts a batch of one history behind one of another that
// has the same numbers and lengths, as a power cut could leave it if the end were
// not zeroed.
func TestLeftoversDoNotJoin(t *testing.T) {
	ends := func(words ...string) []byte {
		d := faultfs.New(1)
		j, err := journal.Open(d, options(journal.Always))
		need(t, err)
		for i, word := range words {
			_, err := j.Append(t.Context(), fmt.Sprint("k/", i), 0, []byte(word))
			need(t, err)
		}
		return firstSegment(d)
	}
	abandoned, b := ends("one", "two", "six"), ends("one", "ten")
	size := bytes.Index(abandoned, []byte("two")) - bytes.Index(abandoned, []byte("one"))
	third := 64 + 2*size
	copy(b[third:], abandoned[third:])
	d := faultfs.New(1)
	d.Put("000000000001.rj", b)
	got, err := opened(d, options(journal.Always))
	need(t, err)
	if len(got) != 2 || string(got["k/1"][0].payload) != "ten" {
		t.Errorf("it has %v", got)
	}
}

// TestIndexKnowsNothingOfANewSegment writes, after a clean end, first of all a batch
// for which the last segment has no room, so that nothing in that segment tells
// that the index is old.
func TestIndexKnowsNothingOfANewSegment(t *testing.T) {
	w := newWorker(faultfs.New(1), options(journal.Always), 1)
	w.disk.Record()
	need(t, w.open())
	for i := range 4 {
		need(t, w.put(fmt.Sprint("k/", i), make([]byte, segment/5)))
	}
	need(t, w.close())
	tape, start := w.disk.Record(), len(w.h)
	w.h = append(w.h[:start:start], act{barrier: true}) // places begin anew
	for i := range w.h {
		w.h[i].start, w.h[i].end = 0, 0
	}
	need(t, w.open())
	for range 3 {
		need(t, w.put("k/new", make([]byte, segment/5)))
	}
	for place, d := range tape.Play() {
		for i := range 8 {
			cut(t, w, d, place, i)
		}
		if err := ends(w, d, place); err != nil {
			t.Fatal(err)
		}
	}
}

// again cuts the power once more after the journal was opened and closed.
func again(d *faultfs.Disk, o journal.Options, want state, r *rand.Rand) error {
	got, err := opened(d.Cut(r, faultfs.Mixed), o)
	if err != nil {
		return fmt.Errorf("second cut: %w", err)
	}
	if !got.equal(want) {
		return fmt.Errorf("second cut: it had\n\t%v\nand has\n\t%v", want, got)
	}
	return nil
}

// TestPowerCutWhileOpening cuts the power at every operation of the recovery from
// a power cut, and again.
func TestPowerCutWhileOpening(t *testing.T) {
	w, tape := recorded(t, journal.Always, 7, 60)
	for place, d := range tape.Play() {
		if place%7 != 0 && testing.Short() {
			continue
		}
		r := rand.New(rand.NewPCG(uint64(place), 3))
		first := d.Cut(r, faultfs.Mixed)
		inner := first.Record()
		j, err := journal.Open(first, w.options)
		if err != nil {
			t.Fatalf("place %d: %v", place, err)
		}
		shown, err := show(j)
		if err != nil {
			t.Fatalf("place %d: %v", place, err)
		}
		for at, second := range inner.Play() {
			got, err := opened(second.Cut(r, faultfs.Mixed), w.options)
			if err == nil {
				err = w.h.judge(got, place, false)
			}
			if err != nil {
				t.Fatalf("place %d, place %d of opening: %v", place, at, err)
			}
		}
		first.Freeze()
		if err := again(first, w.options, shown, r); err != nil {
			t.Fatalf("place %d: killed after opening: %v", place, err)
		}
	}
}
