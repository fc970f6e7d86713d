package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// writer appends to a key of its own, and now and then to one that all want.
type writer struct {
	j     *journal.Journal
	key   string
	r     *rand.Rand
	last  uint64
	acked []rec
	maybe []byte // payload of the append of which nothing is known
	won   []rec  // of the key that all want
	gone  bool   // the last thing was a drop of which nothing is known
}

const contested = "w/all"

// write appends, and ends early where the journal does.
func (w *writer) write(each func()) error {
	for i := range 30 {
		each()
		payload := fmt.Appendf(nil, "%s %d %0*d", w.key, i, w.r.IntN(200), 0)
		err := w.own(payload)
		if err == nil && w.r.IntN(8) == 0 {
			err = w.drop()
		}
		if err == nil && w.r.IntN(4) == 0 {
			err = w.contest(payload)
		}
		if errors.Is(err, journal.ErrClosed) || errors.Is(err, journal.ErrUnavailable) || errors.Is(err, faultfs.ErrFrozen) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s, append %d: %w", w.key, i, err)
		}
	}
	return nil
}

// own appends under a context that often ends too early, and then looks whether
// the record is there.
func (w *writer) own(payload []byte) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if w.r.IntN(3) == 0 {
		go func() { runtime.Gosched(); cancel() }()
	}
	v, err := w.j.Append(ctx, w.key, w.last, payload)
	switch {
	case err == nil:
		w.last, w.acked = v, append(w.acked, rec{v, payload})
		return nil
	case errors.Is(err, context.Canceled) && !errors.Is(err, journal.ErrUnknown):
		return nil // nothing was written
	case errors.Is(err, journal.ErrUnknown) || errors.Is(err, journal.ErrUnavailable):
		w.maybe = payload
	}
	if !errors.Is(err, journal.ErrUnknown) {
		return err
	}
	return w.settle(payload)
}

// settle appends once more, which either succeeds or conflicts with the record
// that came through.
func (w *writer) settle(payload []byte) error {
	v, err := w.j.Append(context.Background(), w.key, w.last, payload)
	if errors.Is(err, journal.ErrConflict) {
		for r, err := range w.j.Scan(context.Background(), w.key, w.last) {
			if err != nil {
				return err
			}
			if !bytes.Equal(r.Payload, payload) {
				return fmt.Errorf("conflict with %q", r.Payload)
			}
			v = r.Version
		}
		if v == 0 {
			return errors.New("conflict with nothing")
		}
		err = nil
	}
	if err == nil {
		w.last, w.acked, w.maybe = v, append(w.acked, rec{v, payload}), nil
	}
	return err
}

// drop drops all that w has.
func (w *writer) drop() error {
	err := w.j.Drop(context.Background(), w.key, w.last)
	if err == nil {
		w.last, w.acked = 0, nil
	}
	w.gone = errors.Is(err, journal.ErrUnavailable)
	return err
}

// contest appends to the key of all, if nobody else does meanwhile.
func (w *writer) contest(payload []byte) error {
	var last uint64
	for r, err := range w.j.Scan(context.Background(), contested, 0) {
		if err != nil {
			return err
		}
		last = r.Version
	}
	v, err := w.j.Append(context.Background(), contested, last, payload)
	if errors.Is(err, journal.ErrConflict) {
		return nil
	}
	if err == nil {
		w.won = append(w.won, rec{v, payload})
	}
	return err
}

// found says what of w is missing or was never written.
func (w *writer) found(s state) error {
	list := s[w.key]
	if n := len(w.acked); len(list) == n+1 && bytes.Equal(list[n].payload, w.maybe) && w.maybe != nil {
		list = list[:n]
	}
	if !(state{"": list}).equal(state{"": w.acked}) && (!w.gone || len(list) > 0) {
		return fmt.Errorf("%s has %d records, %d were acknowledged", w.key, len(list), len(w.acked))
	}
	for _, want := range w.won {
		there := false
		for _, r := range s[contested] {
			there = there || r.version == want.version && bytes.Equal(r.payload, want.payload)
		}
		if !there {
			return fmt.Errorf("%s won version %d of the contested key, and lost it", w.key, want.version)
		}
	}
	return nil
}

// crowd runs 64 writers. One of them calls end in the middle.
func crowd(t *testing.T, j *journal.Journal, seed uint64, end func()) []*writer {
	t.Helper()
	var (
		all     []*writer
		wg      sync.WaitGroup
		written atomic.Int64
	)
	each := func() {
		if written.Add(1) == int64(seed%8+1)*200 {
			end()
		}
	}
	for i := range 64 {
		w := &writer{j: j, key: fmt.Sprint("w/", i), r: rand.New(rand.NewPCG(seed, uint64(i)))}
		all = append(all, w)
		wg.Go(func() {
			if err := w.write(each); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return all
}

func wide(mode journal.Sync) journal.Options {
	return journal.Options{Sync: mode, SyncInterval: time.Millisecond, SegmentSize: 32 << 10}
}

func TestManyWriters(t *testing.T) {
	for _, mode := range modes {
		d := faultfs.New(1)
		before := runtime.NumGoroutine()
		j, err := journal.Open(d, wide(mode))
		need(t, err)
		all := crowd(t, j, 1, func() {})
		live, err := show(j)
		need(t, err)
		need(t, j.Close())
		gone(t, before)
		got, err := opened(d.Cut(rand.New(rand.NewPCG(1, 1)), faultfs.Lost), wide(mode))
		need(t, err)
		if !got.equal(live) {
			t.Errorf("%v: after closing it is not what it was before", mode)
		}
		for _, w := range all {
			if err := w.found(got); err != nil {
				t.Errorf("%v: %v", mode, err)
			}
		}
	}
}

// gone waits for the goroutines of a journal that was closed.
func gone(t *testing.T, before int) {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < time.Minute; runtime.Gosched() { // the system may have taken its turn from one that returns
		if runtime.NumGoroutine() <= before {
			return
		}
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
}

// TestCrashAmongWriters freezes the disk while 64 goroutines write, closes it
// under them, or lets it fail; then cuts the power.
func TestCrashAmongWriters(t *testing.T) {
	ends := map[string]func(*faultfs.Disk, *journal.Journal){
		"killed": func(d *faultfs.Disk, _ *journal.Journal) { d.Freeze() },
		"closed": func(_ *faultfs.Disk, j *journal.Journal) { _ = j.Close() },
		"broken": func(d *faultfs.Disk, _ *journal.Journal) {
			d.Inject(func(op faultfs.Op) (f faultfs.Fault) {
				if op.Kind == faultfs.Sync {
					f = faultfs.EIO
				}
				return f
			})
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(5 * *heavy) {
				d := faultfs.New(seed)
				j, err := journal.Open(d, wide(journal.Always))
				need(t, err)
				all := crowd(t, j, seed, func() { end(d, j) })
				d.Freeze()
				_ = j.Close()
				for fate := range faultfs.Mixed + 1 {
					got, err := opened(d.Cut(rand.New(rand.NewPCG(seed, 4)), fate), wide(journal.Always))
					need(t, err)
					for _, w := range all {
						if err := w.found(got); err != nil {
							t.Errorf("seed %d, %v: %v", seed, fate, err)
						}
					}
				}
			}
		})
	}
}
