package journal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// trouble is a way in which a disk fails.
type trouble struct {
	name  string
	fault faultfs.Fault
	ever  bool // from then on, in what is of that kind
	reads bool // instead of what changes something
	evict bool // and the cache forgets
}

var troubles = []trouble{
	{name: "EIO once", fault: faultfs.EIO},
	{name: "EIO once, evicted", fault: faultfs.EIO, evict: true},
	{name: "EIO for ever", fault: faultfs.EIO, ever: true},
	{name: "short write", fault: faultfs.Short(syscall.EIO, 700)},
	{name: "ENOSPC once", fault: faultfs.NoRoom},
	{name: "ENOSPC for ever", fault: faultfs.NoRoom, ever: true},
	{name: "short of room", fault: faultfs.Short(syscall.ENOSPC, 100)},
	{name: "EIO from a read", fault: faultfs.EIO, reads: true},
}

// on makes the n-th operation fail, if it is of the right sort, and reports to
// hit that it did.
func (tr trouble) on(d *faultfs.Disk, n int, hit *bool) {
	at := faultfs.At(n, tr.fault, tr.ever)
	d.Inject(func(op faultfs.Op) faultfs.Fault {
		if op.N == n && op.Kind.Changes() == tr.reads {
			return faultfs.Fault{}
		}
		f := at(op)
		*hit = *hit || f.Err != nil
		return f
	})
}

// TestEveryOperationFails lets every twenty-third operation of a workload fail in turn,
// and every one where -heavy is 2 or more, and kills the process or cuts the power in the end and somewhere after the fault.
func TestEveryOperationFails(t *testing.T) {
	for _, mode := range modes {
		w, _ := recorded(t, mode, 11, 50)
		ops, stride := w.disk.Ops(), 23
		switch {
		case *heavy > 1:
			stride = 1
		case testing.Short():
			stride = 53
		}
		for i, tr := range troubles {
			t.Run(fmt.Sprint(mode, "/", tr.name), func(t *testing.T) {
				hits := 0
				for n := i % stride; n < ops; n += stride {
					hit, err := failsAt(tr, mode, n)
					if err != nil {
						t.Fatalf("operation %d: %v", n, err)
					}
					if hit {
						hits++
					}
				}
				if hits == 0 {
					t.Error("nothing failed")
				}
			})
		}
	}
}

func failsAt(tr trouble, mode journal.Sync, n int) (hit bool, err error) {
	w := newWorker(faultfs.New(uint64(n)), options(mode), 11)
	w.fault, w.evict = tr.fault.Err, tr.evict
	tape := w.disk.Record()
	tr.on(w.disk, n, &hit)
	if err := w.work(50); err != nil || !hit {
		return hit, err
	}
	w.disk.Inject(nil)
	w.fault = nil
	if err := w.work(3); err != nil {
		return true, fmt.Errorf("after the fault: %w", err)
	}
	r := rand.New(rand.NewPCG(uint64(n), 6))
	place := w.certain + r.IntN(w.disk.Place()-w.certain)
	for at, d := range tape.Play() {
		if at == place || at == w.disk.Place() {
			err = errors.Join(err, ends(w, d, at))
		}
	}
	return true, err
}

// ends compares what a killed process and what a power cut leaves with what w did.
func ends(w *worker, d *faultfs.Disk, place int) error {
	if err := end(w, d.Kill(), place, false); err != nil {
		return fmt.Errorf("killed at place %d: %w", place, err)
	}
	r := rand.New(rand.NewPCG(uint64(place), 8))
	for fate := range faultfs.Mixed + 1 {
		if err := end(w, d.Cut(r, fate), place, w.options.Sync != journal.Always); err != nil {
			return fmt.Errorf("power cut at place %d, %v: %w", place, fate, err)
		}
	}
	return nil
}

func end(w *worker, d *faultfs.Disk, place int, loses bool) error {
	got, err := opened(d, w.options)
	if err == nil {
		err = w.h.judge(got, place, loses)
	}
	if err == nil {
		err = tidied(d)
	}
	return err
}

// TestShortWriteLeavesNothing lets a batch be written in part, for want of room, up
// to all of it, and goes on in another segment: a power cut must not bring it
// back.
func TestShortWriteLeavesNothing(t *testing.T) {
	for part := int64(8); part <= 152; part += 8 {
		w := newWorker(faultfs.New(uint64(part)), options(journal.Always), 1)
		tape := w.disk.Record()
		need(t, w.open())
		for i := range 4 {
			need(t, w.put(fmt.Sprint("k/", i), make([]byte, segment/5)))
		}
		w.fault = syscall.ENOSPC
		var hit bool
		w.disk.Inject(func(op faultfs.Op) (f faultfs.Fault) {
			if op.Kind == faultfs.Write && !hit {
				hit, f = true, faultfs.Short(syscall.ENOSPC, part)
			}
			return f
		})
		need(t, w.put("k/short", make([]byte, 80)))
		if !w.h[len(w.h)-1].absent {
			t.Fatal("nothing failed")
		}
		need(t, w.put("k/next", make([]byte, segment/5)))
		for place, d := range tape.Play() {
			if err := ends(w, d, place); err != nil {
				t.Fatalf("after %d bytes: %v", part, err)
			}
		}
	}
}
