package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// counted makes o count the segments that are rewritten.
func counted(o journal.Options, n *int) journal.Options {
	o.OnEvent = func(e journal.Event) {
		if e.Kind == journal.Compacted {
			*n++
		}
	}
	return o
}

// TestCompactionKeepsWhatIsLive does random things and compacts after each, over
// many lives of the journal.
func TestCompactionKeepsWhatIsLive(t *testing.T) {
	for seed := range uint64(10 * *heavy) {
		n := 0
		w := newWorker(faultfs.New(seed), counted(options(journal.Always), &n), seed+100)
		w.disk.Record()
		need(t, w.open())
		for range 400 {
			need(t, w.step())
			need(t, w.tidy(w.j.Compact))
			bounded(t, w)
		}
		need(t, w.close())
		got, err := opened(w.disk, w.options)
		need(t, err)
		if !got.equal(w.s) {
			t.Fatalf("seed %d: after another open it has\n\t%v\nwant\n\t%v", seed, got, w.s)
		}
		if n < 6 {
			t.Errorf("seed %d: %d segments were rewritten", seed, n)
		}
	}
}

// bounded checks that the disk holds little that is not live.
func bounded(t *testing.T, w *worker) {
	t.Helper()
	s := w.j.Stats()
	var live, largest int64
	for key, list := range w.s {
		for _, r := range list {
			live += int64(24+len(key)+len(r.payload)+7) &^ 7
		}
	}
	for _, name := range w.disk.Names() {
		if strings.HasSuffix(name, ".rj") {
			largest = max(largest, int64(len(w.disk.Bytes(name))))
		}
	}
	if used := w.disk.Used(); used > live*5/2+2*largest+segment+8192 {
		t.Fatalf("%d bytes of disk for %d that are live, largest segment %d, %+v", used, live, largest, s)
	}
}

// TestErasedBytesAreNowhere drops records and looks for their bytes in every file,
// while others stay.
func TestErasedBytesAreNowhere(t *testing.T) {
	for seed := range uint64(5) {
		w := newWorker(faultfs.New(seed), options(journal.Always), seed)
		w.disk.Record()
		need(t, w.open())
		r := rand.New(rand.NewPCG(seed, 1))
		for i := range 60 {
			need(t, w.put(fmt.Sprint("k/", i%20), fmt.Appendf(nil, "canary-%02d-%0*d", i%20, r.IntN(500), 0)))
		}
		for gone := range 20 {
			if gone == 10 { // and over a crash
				w.disk = w.disk.Kill()
				w.disk.Record()
				need(t, w.open())
			}
			need(t, w.drop(fmt.Sprint("k/", gone)))
			for len(w.s[fmt.Sprint("k/", gone)]) > 0 {
				need(t, w.drop(fmt.Sprint("k/", gone)))
			}
			need(t, w.tidy(w.j.Erase))
			for _, name := range w.disk.Names() {
				for i := range gone + 1 {
					if bytes.Contains(w.disk.Bytes(name), fmt.Appendf(nil, "canary-%02d", i)) {
						t.Fatalf("seed %d: %s has what was erased with key %d, after %d", seed, name, i, gone)
					}
				}
			}
		}
		need(t, w.close())
	}
}

// TestCompactionBesideWriters lets the compactor of a journal run while 64
// goroutines append, drop and scan, and somebody erases.
func TestCompactionBesideWriters(t *testing.T) {
	var rewritten atomic.Int64
	o := wide(journal.Always)
	o.SegmentSize = 8 << 10
	o.OnEvent = func(e journal.Event) {
		switch e.Kind {
		case journal.Compacted:
			rewritten.Add(1)
		case journal.CompactionFailed:
			t.Error(e.Err)
		}
	}
	d := faultfs.New(1)
	for seed := range uint64(4) {
		j, err := journal.Open(d, o)
		need(t, err)
		all := crowd(t, j, seed, func() { need(t, j.Erase(context.Background())) })
		live, err := show(j)
		need(t, err)
		need(t, j.Close())
		d = d.Cut(dice(seed), faultfs.Mixed)
		got, err := opened(d, o)
		need(t, err)
		if !got.equal(live) {
			t.Errorf("seed %d: after opening again it is not what it was", seed)
		}
		for _, w := range all {
			if err := w.found(got); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		}
		j, err = journal.Open(d, o)
		need(t, err)
		for key := range got { // the next crowd begins with nothing
			need(t, j.Drop(context.Background(), key, got.last(key)))
		}
		need(t, j.Close())
	}
	if n := rewritten.Load(); n < 10 {
		t.Errorf("%d segments were rewritten", n)
	}
}

// TestFullDiskIsEmptied fills a disk, drops the oldest half by way of the reserve, and
// writes again.
func TestFullDiskIsEmptied(t *testing.T) {
	d := faultfs.New(1)
	d.SetSize(256 << 10)
	j, err := journal.Open(d, options(journal.Always))
	need(t, err)
	ctx, last := context.Background(), state{}
	for round := range 6 {
		key, written := "", 0
		for i := 0; err == nil; i++ {
			var v uint64
			key = fmt.Sprintf("k/%d/%03d", round, i/60)
			if v, err = j.Append(ctx, key, last.last(key), make([]byte, 300)); err == nil {
				last[key] = append(last[key], rec{v, make([]byte, 300)})
				written++
			}
		}
		if !errors.Is(err, journal.ErrFull) || written < 80 {
			t.Fatalf("round %d: after %d records %v", round, written, err)
		}
		for _, key := range slices.Sorted(maps.Keys(last))[:len(last)/2] {
			err = j.Drop(ctx, key, last.last(key))
			delete(last, key)
			need(t, errors.Join(err, j.Compact(ctx)))
		}
		got, err := show(j)
		if err != nil || !got.equal(last) {
			t.Fatalf("round %d: it has\n\t%v\nwant\n\t%v\n%v", round, got, last, err)
		}
	}
	need(t, j.Close())
}

// TestDropOutlivesWhatItKills rewrites the segment with a drop while one before it,
// which is mostly live, still holds what was dropped; and then that one, too.
func TestDropOutlivesWhatItKills(t *testing.T) {
	w := newWorker(faultfs.New(1), options(journal.Always), 1)
	w.disk.Record()
	need(t, w.open())
	need(t, w.put("k/victim", []byte("dropped")))
	i := 0
	for ; segments(w.disk) < 2; i++ {
		need(t, w.put(fmt.Sprint("k/stays/", i), make([]byte, segment/8)))
	}
	need(t, w.dropAll("k/victim"))
	for ; segments(w.disk) < 3; i++ {
		need(t, w.put("k/goes", make([]byte, segment/8)))
	}
	need(t, w.dropAll("k/goes"))
	first := w.disk.Names()[0]
	for round := range 2 {
		before := segments(w.disk)
		need(t, w.tidy(w.j.Compact))
		if there := slices.Contains(w.disk.Names(), first); segments(w.disk) >= before || there != (round == 0) {
			t.Fatalf("round %d: %q", round, w.disk.Names())
		}
		need(t, ends(w, w.disk, w.disk.Place()))
		for i := range i {
			need(t, w.dropAll(fmt.Sprint("k/stays/", i)))
		}
	}
}

// TestRemovalOutlivesItsSegment rewrites a segment, and then the one that says so,
// while others lie between.
func TestRemovalOutlivesItsSegment(t *testing.T) {
	w := newWorker(faultfs.New(1), options(journal.Always), 1)
	w.disk.Record()
	need(t, w.open())
	grow := func(until int) {
		for at := 1; at < until; at = segments(w.disk) {
			need(t, w.put(fmt.Sprint("k/", at), make([]byte, segment/5)))
		}
	}
	grow(5)
	need(t, w.dropAll("k/2"))
	need(t, w.tidy(w.j.Compact))
	for segments(w.disk) < 5 { // without the second
		need(t, w.put("k/5", make([]byte, segment/5)))
	}
	need(t, w.dropAll("k/5"))
	need(t, w.tidy(w.j.Compact))
	var left []string
	for _, name := range w.disk.Names() {
		if name, ok := strings.CutSuffix(name, ".rj"); ok {
			left = append(left, strings.TrimLeft(name, "0"))
		}
	}
	if !slices.Equal(left, []string{"1", "3", "4", "6"}) {
		t.Fatalf("left are %q", left)
	}
	need(t, ends(w, w.disk, w.disk.Place()))
}

func (w *worker) dropAll(key string) error {
	a := act{key: key, drop: true, through: w.s.last(key), start: w.disk.Place()}
	return w.done(a, w.j.Drop(context.Background(), key, a.through))
}

func segments(d *faultfs.Disk) (n int) {
	for _, name := range d.Names() {
		if strings.HasSuffix(name, ".rj") {
			n++
		}
	}
	return n
}

// TestUnlinkThatFails lets one file stay after all that it said is elsewhere, or
// gone: drops of what it holds must stay, too.
func TestUnlinkThatFails(t *testing.T) {
	for _, kind := range []faultfs.Kind{faultfs.Remove, faultfs.SyncDir} {
		w := newWorker(faultfs.New(1), options(journal.Always), 1)
		w.disk.Record()
		need(t, w.open())
		for i := range 60 {
			need(t, w.put(fmt.Sprint("k/", i%5), make([]byte, segment/8)))
		}
		for i := range 4 {
			need(t, w.dropAll(fmt.Sprint("k/", i)))
		}
		first, failures := "", 0
		w.disk.Inject(func(op faultfs.Op) (f faultfs.Fault) {
			if op.Kind == faultfs.Remove && first == "" {
				first = op.Name
			}
			if op.Kind == kind && failures < 5 && first != "" && (op.Name == first || kind == faultfs.SyncDir) {
				failures++
				f = faultfs.EIO
			}
			return f
		})
		w.fault = faultfs.EIO.Err
		for range 8 {
			need(t, w.tidy(w.j.Compact))
			if err := ends(w, w.disk, w.disk.Place()); err != nil {
				t.Fatalf("%v fails: %v", kind, err)
			}
		}
		if failures == 0 {
			t.Error("nothing failed")
		}
	}
}

func dice(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 4)) }
