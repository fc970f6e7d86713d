package workflow

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// moodyLog fails appends to runs as fail says, asked for the n-th one: before it
// writes, or, if lost, after.
type moodyLog struct {
	resilience.Log
	n    int
	fail func(n int) (lost bool, err error)
}

func (l *moodyLog) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	l.n++
	lost, err := l.fail(l.n)
	if err != nil && !lost {
		return 0, err
	}
	v, wrong := l.Log.Append(ctx, key, after, body)
	if wrong == nil && err != nil {
		return 0, err
	}
	return v, wrong
}

// TestStoreThatFailsNowAndThen has each append of a run fail in turn, with and
// without having written, and the run come to its end, each step once.
func TestStoreThatFailsNowAndThen(t *testing.T) {
	for _, lost := range []bool{false, true} {
		for _, why := range []error{resilience.ErrUnavailable, resilience.ErrStoreFull, context.DeadlineExceeded} {
			for at := 1; at <= 5; at++ {
				if lost && errors.Is(why, resilience.ErrStoreFull) {
					continue // that one says that nothing was written
				}
				synctest.Test(t, func(t *testing.T) {
					stores := resilience.MemoryStores()
					stores.Log = &moodyLog{Log: stores.Log, fail: func(n int) (bool, error) {
						if n >= at && n < at+3 && (!lost || n == at) {
							return lost, why
						}
						return false, nil
					}}
					got, err := opened(t, &stores, diamond()).Run(t.Context(), "in", Options{ID: "r"})
					if err != nil || got.Status != Completed || len(got.Steps) != 4 {
						t.Errorf("append %d, %v, lost %v: %+v, %v", at, why, lost, got, err)
					}
				})
			}
		}
	}
}

// TestStoreThatIsGone stops a run after a while, which goes on when the store is
// back: the node whose step was not recorded runs again.
func TestStoreThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		broken := stores
		broken.Log = &moodyLog{Log: stores.Log, fail: func(n int) (bool, error) {
			if n > 2 {
				return false, resilience.ErrUnavailable
			}
			return false, nil
		}}
		begun := time.Now()
		got, err := opened(t, &broken, diamond()).Run(t.Context(), "in", Options{ID: "r"})
		if !errors.Is(err, resilience.ErrUnavailable) || got.Status.Ended() || time.Since(begun) < storeLimit || time.Since(begun) > storeLimit+time.Second {
			t.Errorf("%+v, %v after %v", got, err, time.Since(begun))
		}
		if got, err = opened(t, &stores, diamond()).Resume(t.Context(), "r"); err != nil || got.Status != Completed || len(got.Steps) != 4 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// TestLogThatWentBack takes records away behind a run's back.
func TestLogThatWentBack(t *testing.T) {
	stores := resilience.MemoryStores()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	g := graph(says("A", "B"), says("B", "C"), works("C", func(c context.Context, _ string) (string, error) { cancel(); return "", c.Err() }, end))
	e := opened(t, &stores, g)
	_, _ = e.Run(ctx, "in", Options{ID: "r"})
	key := e.e.g.runKey("r")
	other := resilience.MemoryStores()
	var after resilience.Version
	n := 0
	for r, err := range stores.Log.Scan(t.Context(), key, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			continue // the step of A is missing
		}
		if after, err = other.Log.Append(t.Context(), key, after, r.Body); err != nil {
			t.Fatal(err)
		}
	}
	r := e.e.newRun(Options{})
	r.id, r.log = "r", newRunLog(stores.Log, key)
	if err := r.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := opened(t, &other, g).Resume(t.Context(), "r"); n != 3 || !errors.Is(err, ErrLogWentBack) {
		t.Errorf("one of %d records is missing: %v", n, err)
	}
	if err := stores.Log.Drop(t.Context(), key, r.log.last); err != nil {
		t.Fatal(err)
	}
	if err := r.goOn(t.Context()); !errors.Is(err, ErrLogWentBack) {
		t.Errorf("the log is gone: %v", err)
	}
}

func TestSwitchedOff(t *testing.T) {
	stores := resilience.MemoryStores()
	e := opened(t, &stores, diamond())
	e.e.rt.SetDurable(false, "workflow/Research")
	if got, err := e.Run(t.Context(), "in", Options{ID: "r"}); err != nil || got.Status != Completed || keys(t, stores) != 0 {
		t.Errorf("%+v, %v, %d records", got, err, keys(t, stores))
	}
	if _, err := e.Resume(t.Context(), "r"); !errors.Is(err, ErrDisabled) {
		t.Errorf("resumed: %v", err)
	}
	e.e.rt.SetDurable(true, "workflow/Research")
	if _, err := e.Resume(t.Context(), "r"); !errors.Is(err, ErrRunUnknown) {
		t.Errorf("what was in memory is known: %v", err)
	}
	if _, err := opened(t, nil, diamond()).Resume(t.Context(), "r"); !errors.Is(err, resilience.ErrNoStore) {
		t.Errorf("without a store: %v", err)
	}
	if got, err := e.Run(t.Context(), "in", Options{ID: "s", NoCheckpoint: true}); err != nil || got.Status != Completed || keys(t, stores) != 0 {
		t.Errorf("%+v, %v, %d records", got, err, keys(t, stores))
	}
}
