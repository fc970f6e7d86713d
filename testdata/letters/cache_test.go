package letters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestBehindCache: what the cache answers is no letter. Calls that share an
// execution are each kept, with arguments and a key of their own; the replay of one
// fills the cache, which answers the others.
func TestBehindCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		down := true
		g, rt, p := wrapped(t, func(context.Context) error {
			if time.Sleep(time.Millisecond); down {
				return errDown
			}
			return nil
		})
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() {
				_, err := g.Cached(ctx, "k", fmt.Sprint("n", i))
				deadLettered(t, err)
			})
		}
		all.Wait()
		if p.calls.Load() != 1 {
			t.Errorf("%d executions", p.calls.Load())
		}
		var notes []string
		for _, s := range kept(t, rt) {
			l, err := rt.DeadLetters().Get(ctx, s.ID)
			if err != nil || l.AttemptCount != 1 || len(l.Attempts) != 1 {
				t.Errorf("letter %+v, %v", l, err)
			}
			notes = append(notes, string(l.Call.Args[1].JSON))
		}
		if slices.Sort(notes); !slices.Equal(notes, []string{`"n0"`, `"n1"`, `"n2"`}) {
			t.Errorf("letters of %v", notes)
		}
		down = false
		if job := replay(t, rt, resilience.ReplayOptions{}); job.Succeeded != 3 || p.calls.Load() != 2 {
			t.Errorf("job %+v, %d executions", job, p.calls.Load())
		}
		down = true
		if n, err := g.Cached(ctx, "k", "hit"); n != 1 || err != nil {
			t.Error(n, err)
		}
		if len(kept(t, rt)) != 3 {
			t.Error("what the cache answered was kept")
		}
	})
}

// TestStaleIsNoReplay: a value that is too old answers callers, and does not make
// a replay a success.
func TestStaleIsNoReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		var o outage
		g, rt, p := wrapped(t, o.do)
		_, err := g.Cached(ctx, "k", "first")
		deadLettered(t, err)
		time.Sleep(time.Minute) // what is remembered of it is gone
		o.healed.Store(true)
		if _, err := g.Cached(ctx, "k", "second"); err != nil {
			t.Fatal(err)
		}
		o.healed.Store(false)
		time.Sleep(2 * time.Minute)
		calls := p.calls.Load()
		if job := replay(t, rt, resilience.ReplayOptions{}); job.Failed != 1 || p.calls.Load() != calls+1 {
			t.Errorf("job %+v, %d executions", job, p.calls.Load()-calls)
		}
		if n, err := g.Cached(ctx, "k", "third"); n != 1 || err != nil { // by what is too old
			t.Error(n, err)
		}
		// The failure is remembered now, and a replay asks the peer all the same.
		calls = p.calls.Load()
		if job := replay(t, rt, resilience.ReplayOptions{}); job.Failed != 1 || p.calls.Load() != calls+1 {
			t.Errorf("job %+v, %d executions", job, p.calls.Load()-calls)
		}
		o.healed.Store(true)
		if job := replay(t, rt, resilience.ReplayOptions{}); job.Succeeded != 1 {
			t.Errorf("job %+v", job)
		}
		if len(kept(t, rt)) != 1 {
			t.Errorf("%d letters", len(kept(t, rt)))
		}
	})
}

// TestRememberedFailure: a call that a remembered failure answers is kept, without
// attempts of its own, and replayed by a call.
func TestRememberedFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		var o outage
		g, rt, p := wrapped(t, o.do)
		_, err := g.Cached(ctx, "k", "first")
		deadLettered(t, err)
		_, err = g.Cached(ctx, "k", "second")
		deadLettered(t, err)
		if !errors.Is(err, errDown) || p.calls.Load() != 1 {
			t.Errorf("%v after %d executions", err, p.calls.Load())
		}
		list := kept(t, rt)
		if len(list) != 2 || list[0].AttemptCount != 0 || list[1].AttemptCount != 1 {
			t.Fatalf("letters %+v", list)
		}
		o.healed.Store(true)
		if job := replay(t, rt, resilience.ReplayOptions{}); job.Succeeded != 2 || p.calls.Load() != 2 {
			t.Errorf("job %+v, %d executions", job, p.calls.Load())
		}
	})
}

// TestPanicBehindCache is kept by who called, and goes on.
func TestPanicBehindCache(t *testing.T) {
	g, rt, _ := wrapped(t, func(context.Context) error { panic("broken") })
	func() {
		defer func() {
			if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), "broken") {
				t.Errorf("recovered %v", v)
			}
		}()
		_, _ = g.Cached(context.Background(), "k", "n")
	}()
	one(t, rt, "Cached", resilience.ReasonPanic)
}
