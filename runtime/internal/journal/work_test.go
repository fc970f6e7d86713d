package journal_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// segment is small, so that a short workload rotates.
const segment = 4 << 10

// options returns those of the tests: the same ID and no goroutine, so that the
// disk sees the same operations every time.
func options(sync journal.Sync) journal.Options {
	return journal.Options{Sync: sync, SegmentSize: segment, Serial: true, ID: [16]byte{15: 1}}
}

// worker does things to a journal on a disk that may fail, keeps the history and
// checks every answer.
type worker struct {
	disk    *faultfs.Disk
	options journal.Options
	j       *journal.Journal
	h       history
	s       state // what h says
	r       *rand.Rand
	newest  uint64
	fault   error // that the disk may report
	evict   bool  // with a fault the cache forgets what was not flushed
	certain int   // from this place of the tape on, h is what happened
}

func newWorker(d *faultfs.Disk, o journal.Options, seed uint64) *worker {
	return &worker{disk: d, options: o, s: state{}, r: rand.New(rand.NewPCG(seed, 5))}
}

// work opens the journal, does n things to it, and closes it.
func (w *worker) work(n int) error {
	if err := w.open(); err != nil {
		return err
	}
	for i := range n {
		if err := w.step(); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return w.close()
}

func (w *worker) step() error {
	key := fmt.Sprint("k/", w.r.IntN(5))
	switch p := w.r.IntN(20); {
	case p == 0:
		if err := w.close(); err != nil {
			return err
		}
		return w.open()
	case p <= 3:
		return w.drop(key)
	case p == 4:
		return w.conflict(key)
	case p == 5:
		return w.tidy(w.j.Compact)
	case p == 6 && w.r.IntN(2) == 0:
		return w.tidy(w.j.Erase)
	}
	return w.append(key)
}

// size is often that of a note, sometimes 0 and sometimes as large as can be.
func (w *worker) size() int {
	switch w.r.IntN(8) {
	case 0:
		return 0
	case 1:
		return segment/4 - 200
	}
	return w.r.IntN(400)
}

func (w *worker) append(key string) error {
	payload := make([]byte, w.size())
	for i := range payload {
		payload[i] = byte(w.r.Uint32())
	}
	return w.put(key, payload)
}

func (w *worker) put(key string, payload []byte) error {
	a := act{key: key, payload: payload, start: w.disk.Place()}
	v, err := w.j.Append(context.Background(), key, w.s.last(key), payload)
	if err == nil && v <= w.newest {
		return fmt.Errorf("append got version %d after %d", v, w.newest)
	}
	if err == nil {
		w.newest = v
	}
	a.version = v
	return w.done(a, err)
}

func (w *worker) drop(key string) error {
	a := act{key: key, drop: true, through: w.s.last(key), start: w.disk.Place()}
	if list := w.s[key]; len(list) > 1 && w.r.IntN(2) == 0 {
		a.through = list[w.r.IntN(len(list))].version
	}
	return w.done(a, w.j.Drop(context.Background(), key, a.through))
}

func (w *worker) conflict(key string) error {
	_, err := w.j.Append(context.Background(), key, w.s.last(key)+1, []byte("must not be there"))
	if w.fault != nil && errors.Is(err, journal.ErrFull) {
		return nil // that, too, says that nothing was written
	}
	if !errors.Is(err, journal.ErrConflict) {
		return fmt.Errorf("append after what is not there: %v", err)
	}
	return nil
}

// tidy compacts or erases, which must change nothing that shows.
func (w *worker) tidy(do func(context.Context) error) error {
	err := do(context.Background())
	switch {
	case err == nil:
	case w.fault == nil || !errors.Is(err, journal.ErrUnavailable) && !errors.Is(err, journal.ErrFull) && !errors.Is(err, w.fault):
		return fmt.Errorf("tidy: %w", err)
	case errors.Is(err, journal.ErrUnavailable):
		if err := w.reopen(); err != nil {
			return err
		}
		if got, err := w.show(); err != nil {
			return err
		} else if w.evict && w.options.Sync != journal.Always {
			return w.lost(got)
		}
	}
	return w.check()
}

// done puts an act into the history, once it is known whether it happened.
func (w *worker) done(a act, err error) error {
	switch {
	case err == nil:
	case w.fault == nil:
		return err
	case errors.Is(err, journal.ErrFull):
		a.absent = true
	case errors.Is(err, journal.ErrUnavailable):
		if err := w.reopen(); err != nil {
			return err
		}
		if a, err = w.settle(a); err != nil {
			return err
		}
	default:
		return fmt.Errorf("an error that is none of the journal's: %w", err)
	}
	a.end = w.disk.Place()
	w.h = append(w.h, a)
	a.on(w.s)
	return w.check()
}

// settle asks the journal whether an act happened.
func (w *worker) settle(a act) (act, error) {
	got, err := w.show()
	if err != nil {
		return a, err
	}
	with := w.s.clone()
	a.version = 0
	a.on(with)
	switch {
	case got.equal(w.s):
		a.absent = true
	case got.equal(with):
		a.version = got.last(a.key)
		w.newest = max(w.newest, got.newest())
	case w.evict && w.options.Sync != journal.Always:
		a.absent = true
		return a, w.lost(got)
	default:
		return a, fmt.Errorf("after reopening it has\n\t%v\nwant one of\n\t%v\n\t%v", got, w.s, with)
	}
	return a, nil
}

// lost finds out how much of the end of the history is gone, which must not reach
// beyond the last barrier.
func (w *worker) lost(got state) error {
	for k := len(w.h); k >= 0; k-- {
		if s := w.h[:k].state(); got.equal(s) {
			w.h, w.s, w.newest, w.certain = w.h[:k], s, s.newest(), w.disk.Place()
			return nil
		}
		if k == 0 || w.h[k-1].barrier {
			break
		}
	}
	return fmt.Errorf("after reopening it has\n\t%v\nwhich it never had since the last barrier; the last is\n\t%v", got, w.s)
}

// check compares all that the journal shows with the model.
func (w *worker) check() error {
	got, err := w.show()
	if err != nil {
		return err
	}
	if !got.equal(w.s) {
		return fmt.Errorf("it has\n\t%v\nwant\n\t%v", got, w.s)
	}
	return nil
}

// show reads the journal, again where the disk could not.
func (w *worker) show() (got state, err error) {
	err = w.try("read", func() error {
		got, err = show(w.j)
		return err
	})
	return got, err
}

func (w *worker) open() error {
	return w.try("open", func() (err error) {
		w.j, err = journal.Open(w.disk, w.options)
		return err
	})
}

func (w *worker) reopen() error {
	if w.evict {
		w.disk.Evict()
	}
	return w.try("reopen", w.j.Reopen)
}

// try does what may fail as often as the disk does, and mends the disk after
// three times.
func (w *worker) try(what string, do func() error) error {
	var err error
	for i := range 5 {
		if i == 3 {
			w.disk.Inject(nil)
		}
		if err = do(); err == nil {
			return nil
		}
		if w.fault == nil || !errors.Is(err, w.fault) && !errors.Is(err, journal.ErrFull) {
			break
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (w *worker) close() error {
	a := act{barrier: true, start: w.disk.Place()}
	err := w.j.Close()
	if err != nil && (w.fault == nil || !errors.Is(err, w.fault) && !errors.Is(err, journal.ErrUnavailable) && !errors.Is(err, journal.ErrFull)) {
		return fmt.Errorf("close: %w", err)
	}
	if a.end = w.disk.Place(); err == nil {
		w.h = append(w.h, a)
	}
	return nil
}

// opened opens a journal on a disk that does not fail, and returns what it shows.
func opened(d *faultfs.Disk, o journal.Options) (state, error) {
	j, err := journal.Open(d, o)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	s, err := show(j)
	if err := errors.Join(err, j.Close()); err != nil {
		return nil, err
	}
	return s, nil
}

var modes = []journal.Sync{journal.Always, journal.Interval, journal.Never}

func TestWorkload(t *testing.T) {
	for _, mode := range modes {
		for seed := range uint64(20) {
			w := newWorker(faultfs.New(seed), options(mode), seed)
			w.disk.Record()
			if err := w.work(150); err != nil {
				t.Fatalf("%v, seed %d: %v", mode, seed, err)
			}
		}
	}
}

func need(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
