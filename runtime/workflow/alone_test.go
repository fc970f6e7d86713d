package workflow

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// sharedLog does not say that one process has it alone.
type sharedLog struct{ resilience.Log }

// sullenLeases lose every lease after a while.
type sullenLeases struct {
	resilience.Leases
	lost atomic.Bool
}

func (l *sullenLeases) Renew(ctx context.Context, lease resilience.Lease, ttl time.Duration) error {
	if l.lost.Load() {
		return resilience.ErrFenced
	}
	return l.Leases.Renew(ctx, lease, ttl)
}

// TestTwoTakeOneRun has several go on with a run that stopped, at once: one does,
// the others are told that it is busy.
func TestTwoTakeOneRun(t *testing.T) {
	for name, wrap := range map[string]func(resilience.Stores) resilience.Stores{
		"one process": func(s resilience.Stores) resilience.Stores { return s },
		"shared":      func(s resilience.Stores) resilience.Stores { s.Log = sharedLog{s.Log}; return s },
	} {
		t.Run(name, func(t *testing.T) {
			stores := wrap(resilience.MemoryStores())
			var calls atomic.Int32
			stop := true
			ctx, cancel := context.WithCancel(t.Context())
			g := graph(says("A", "B"), works("B", func(c context.Context, in string) (string, error) {
				if stop {
					cancel()
					return "", c.Err()
				}
				calls.Add(1)
				time.Sleep(10 * time.Millisecond)
				return in, nil
			}, end))
			if _, err := opened(t, &stores, g).Run(ctx, "in", Options{ID: "r"}); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			stop = false
			var wait sync.WaitGroup
			var done, busy atomic.Int32
			for range 8 {
				e := opened(t, &stores, g)
				wait.Go(func() {
					switch got, err := e.Resume(t.Context(), "r"); {
					case err == nil && got.Output == "A(in)":
						done.Add(1)
					case errors.Is(err, ErrRunBusy):
						busy.Add(1)
					default:
						t.Errorf("%+v, %v", got, err)
					}
				})
			}
			wait.Wait()
			if calls.Load() != 1 || done.Load() == 0 {
				t.Errorf("%d calls, %d done, %d busy", calls.Load(), done.Load(), busy.Load())
			}
		})
	}
}

func TestRunWhoseLeaseIsLostStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		leases := &sullenLeases{Leases: stores.Leases}
		stores.Log, stores.Leases = sharedLog{stores.Log}, leases
		g := graph(works("A", func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() }, end))
		time.AfterFunc(time.Minute, func() { leases.lost.Store(true) })
		begun := time.Now()
		_, err := opened(t, &stores, g).Run(t.Context(), "in", Options{ID: "r"})
		if !errors.Is(err, resilience.ErrFenced) || time.Since(begun) > time.Minute+defaultLease {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// TestFencedRunStops has somebody else take a run while a node runs: what the node
// comes to is not recorded.
func TestFencedRunStops(t *testing.T) {
	stores := resilience.MemoryStores()
	entered, leave := make(chan bool), make(chan bool)
	first := true
	g := graph(works("A", func(context.Context, string) (string, error) {
		if first {
			first = false
			entered <- true
			<-leave
			return "old", nil
		}
		return "new", nil
	}, end))
	e := opened(t, &stores, g)
	var wait sync.WaitGroup
	wait.Go(func() {
		if _, err := e.Run(t.Context(), "in", Options{ID: "r"}); !errors.Is(err, resilience.ErrFenced) {
			t.Errorf("fenced: %v", err)
		}
	})
	<-entered
	r := e.e.newRun(Options{})
	r.id, r.log = "r", newRunLog(stores.Log, g.runKey("r"))
	if err := r.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	live.tokens.Delete(ownerToken{e.e.rt, r.s.Token}) // as if it was in another process
	if err := r.goOn(t.Context()); err != nil {
		t.Error(err)
	}
	leave <- true
	wait.Wait()
	if got, err := e.Resume(t.Context(), "r"); err != nil || got.Output != "new" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestNodesAreWaitedForWhenNothingCanBeRecorded has one of two nodes meet a store
// that is gone.
func TestNodesAreWaitedForWhenNothingCanBeRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		var out atomic.Int32
		g := graph(says("A", "B", "C"), works("B", func(context.Context, string) (string, error) {
			_ = stores.Close()
			return "", nil
		}, end), works("C", func(ctx context.Context, _ string) (string, error) {
			out.Add(1)
			defer out.Add(-1)
			<-ctx.Done()
			time.Sleep(time.Second)
			return "", nil
		}))
		g.Concurrency = 2
		if _, err := opened(t, &stores, g).Run(t.Context(), "in", Options{ID: "r"}); !errors.Is(err, resilience.ErrClosed) || out.Load() != 0 {
			t.Errorf("%v, %d nodes run on", err, out.Load())
		}
	})
}

func TestRecordsOfAnotherRunAreRefused(t *testing.T) {
	stores := resilience.MemoryStores()
	e := opened(t, &stores, graph(says("A", end)))
	if _, err := e.Run(t.Context(), "in", Options{ID: "r"}); err != nil {
		t.Fatal(err)
	}
	other := graph(says("A", end))
	other.Name = "Orders"
	after := resilience.Version(0)
	for r, err := range stores.Log.Scan(t.Context(), e.e.g.runKey("r"), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if after, err = stores.Log.Append(t.Context(), other.runKey("r"), after, r.Body); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := opened(t, &stores, other).Resume(t.Context(), "r"); err == nil {
		t.Error("accepted")
	}
}
