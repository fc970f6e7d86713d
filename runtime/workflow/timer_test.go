package workflow

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestTimersOutliveTheProcess: a delay, a route that sends later and the wait for
// a signal end when they would have, whoever goes on with the run.
func TestTimersOutliveTheProcess(t *testing.T) {
	late := func() Graph {
		g := graph(says("A", "B"), says("B", end))
		g.Nodes[1].Delay = 48 * time.Hour
		return g
	}
	routed := func() Graph {
		return graph(routes("A", func(_ context.Context, in string) (string, Route, error) {
			return in, To(Target[string]("B")).After(48 * time.Hour), nil
		}, "B"), says("B", end))
	}
	for name, c := range map[string]struct {
		graph func() Graph
		want  string
	}{
		"delay":  {late, "completed B(A(in))"},
		"after":  {routed, "completed B(in)"},
		"signal": {func() Graph { return approval(48 * time.Hour) }, "completed Ship()"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stores, begun := resilience.MemoryStores(), time.Now()
				for n := range 5 { // stopped in peace each time
					ctx, stop := context.WithTimeout(t.Context(), time.Hour)
					if got, err := opened(t, &stores, c.graph()).Run(ctx, "in", Options{ID: "r"}); !errors.Is(err, context.DeadlineExceeded) {
						t.Fatalf("process %d: %+v, %v", n, got, err)
					}
					stop()
					time.Sleep(5 * time.Hour)
				}
				got, err := opened(t, &stores, c.graph()).Run(t.Context(), "in", Options{ID: "r"})
				if took := time.Since(begun); outcome(got, err) != c.want || took < 48*time.Hour || took > 48*time.Hour+time.Second {
					t.Errorf("%s after %v, want %s after 48h", outcome(got, err), took, c.want)
				}
			})
		})
	}
}

// TestWaitingHoldsNothing: a worker's turn ends where a run only waits, says until when,
// and one that comes too early does nothing and writes nothing.
func TestWaitingHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		var called atomic.Int32
		g := graph(works("A", func(_ context.Context, in string) (string, error) { called.Add(1); return in, nil }, "B"), says("B", end))
		g.Nodes[1].Delay = 48 * time.Hour
		g.Limits.Duration = time.Minute // of which waiting takes nothing
		e := opened(t, &stores, g)
		put, err := e.e.g.entryOf("r", Of("in"))
		if err != nil {
			t.Fatal(err)
		}
		due := time.Now().Add(48 * time.Hour)
		before := resilience.Version(0)
		for n := range 3 {
			stands, err := e.e.work(t.Context(), &turn{entry: put})
			if err != nil || stands.status != Waiting || !stands.due.Equal(due) || called.Load() != 1 {
				t.Fatalf("turn %d: %+v, %v; A called %d times", n, stands, err, called.Load())
			}
			head, err := headOf(t.Context(), stores.Log, e.e.g.runKey("r"))
			if err != nil || n > 0 && head.Version != before {
				t.Errorf("turn %d wrote version %d, %v", n, head.Version, err)
			}
			before = head.Version
			time.Sleep(time.Hour)
		}
		time.Sleep(time.Until(due))
		if stands, err := e.e.work(t.Context(), &turn{entry: put}); err != nil || stands.status != Completed {
			t.Errorf("%+v, %v", stands, err)
		}
	})
}
