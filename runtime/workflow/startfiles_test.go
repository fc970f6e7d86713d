package workflow

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// openedIn returns an engine over the store in a directory, and what closes that.
func openedIn(t *testing.T, dir string, g Graph) (e *Engine[string, string], end func()) {
	t.Helper()
	rt, err := resilience.Open(resilience.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	e, err = New[string, string](rt, g)
	if err != nil {
		t.Fatal(err)
	}
	return e, func() {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestStartIsDurable puts runs into the queue of a directory, of which the next process
// takes one by Recover and another by a worker that is stopped in it; the third
// process ends that, and the fourth knows what came of them all.
func TestStartIsDurable(t *testing.T) {
	dir, calls := t.TempDir(), &counter{}
	g := chain(3, 0, calls)
	large := strings.Repeat("x", 3<<20)
	e, end := openedIn(t, dir, g)
	for id, in := range map[string]string{"small": "in", "large": large} {
		if _, err := e.Start(t.Context(), in, Options{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Start(t.Context(), strings.Repeat("x", maxPayload), Options{}); !errors.Is(err, resilience.ErrTooLarge) {
		t.Errorf("an input over the limit: %v, want ErrTooLarge", err)
	}
	end()

	e, end = openedIn(t, dir, g)
	recovered := 0
	for id, err := range e.Recover(t.Context(), 2) {
		if err != nil {
			t.Errorf("%s: %v", id, err)
		}
		recovered++
	}
	reached := make(chan bool)
	slow := chain(3, 0, calls)
	slow.Nodes[1] = works("N1", func(ctx context.Context, _ string) (string, error) {
		close(reached)
		<-ctx.Done()
		return "", ctx.Err()
	}, "N2")
	if _, err := e.Start(t.Context(), "in", Options{ID: "stopped"}); err != nil {
		t.Fatal(err)
	}
	stopping, err := New[string, string](e.e.rt, slow)
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, stopping.Worker(WorkerOptions{Grace: -1, Lease: 24 * time.Hour}))
	<-reached
	mustStop(t, stop)
	end()

	e, end = openedIn(t, dir, g)
	stop = start(t, e.Worker(WorkerOptions{}))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // the claim of the process before ends with it, and not in a day
	defer cancel()
	if got, err := e.Get("stopped").Result(ctx); err != nil || got.Output != "inN0N1N2" {
		t.Errorf("%+v, %v", got, err)
	}
	mustStop(t, stop)
	end()

	e, end = openedIn(t, dir, g)
	defer end()
	for id, in := range map[string]string{"small": "in", "large": large, "stopped": "in"} {
		if got, err := e.Get(id).Result(t.Context()); err != nil || got.Output != in+"N0N1N2" || got.StepCount != 3 {
			t.Errorf("%s: %d steps, %.40q, %v", id, got.StepCount, got.Output, err)
		}
	}
	if recovered != 2 {
		t.Errorf("%d were recovered, want 2", recovered)
	}
	calls.wantOnce(t, 9)
}

// TestEntryThatNeverCameIntoTheLog has the first message of a run become a letter that
// ended each of the processes that claimed it.
func TestEntryThatNeverCameIntoTheLog(t *testing.T) {
	stores, calls := resilience.MemoryStores(), &counter{}
	e := opened(t, &stores, chain(2, 0, calls))
	h, err := e.Start(t.Context(), "in", Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range entryDeliveries {
		c, err := stores.Queue.Claim(t.Context(), e.e.g.queueOf(""), time.Minute, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Nack(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	stop := start(t, e.Worker(WorkerOptions{}))
	got, err := h.Result(t.Context())
	if !errors.Is(err, ErrParked) || got.NodeFailures["N0"] != 1 || len(got.DeadLetters) != 1 {
		t.Errorf("%+v, %v; want it parked with a letter", got, err)
	}
	mustStop(t, stop)
	calls.wantOnce(t, 0)
}

func FuzzEntry(f *testing.F) {
	f.Add("r", []byte(`{"id":"r","new":true,"input":"in","key":"k"}`))
	f.Add("r", []byte(`{"id":1}`))
	f.Add("a_2f", []byte(`{"id":"a/"}`))
	f.Fuzz(func(t *testing.T, id string, body []byte) {
		e, err := decodeEntry(resilience.Entry{ID: id, Body: body})
		if err == nil && resilience.StoreKey(e.ID) != id {
			t.Errorf("entry %q is about run %q", id, e.ID)
		}
	})
}
