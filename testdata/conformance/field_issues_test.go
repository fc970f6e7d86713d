package conformance

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// issueCases are from issues, changelogs and fix commits.
var issueCases = family{
	"I01": all(ownContexts, contextsThatOutliveTheCall),
	"I02": play(NewResilientHedgedOnce,
		// One of the floor is taken by a: b gets no hedge, and its attempt goes on.
		"a:hold +10ms execs=2 b:S/1s +10ms refused=2 b>ok took=1s execs=3 a!S a>ok repeated=0"),
	"I05": all(
		idle(NewResilientLimitToken, 10),
		idle(NewResilientLimitSmooth, 10),
		idle(NewResilientLimitFixed, 10),
		idle(NewResilientLimitRolling, 10)),
	"I06": with(NewResilientLimit, func(s *session, _ string) {
		counts := s.together(1000, "S")
		if counts["ok"] != 10 || counts["limited"] != 990 {
			s.t.Errorf("got %v, want 10 ok", counts)
		}
	}, ""),
	"I07": all(
		served(NewResilientLimitToken, 9*time.Second),
		served(NewResilientLimitSmooth, 9*time.Second),
		served(NewResilientLimitFixed, 9*time.Second),
		served(NewResilientLimitRolling, 9*time.Second)),
	"I08": slowObserver,
	"I09": with(NewResilientPatient, func(s *session, _ string) {
		before := s.heapObjects()
		for range 10_000 {
			c := s.start("", "F")
			synctest.Wait()
			c.cancel(nil)
			<-c.done
		}
		s.mu.Lock()
		s.events, s.order, s.last = nil, nil, nil
		s.mu.Unlock()
		if now := s.heapObjects(); now > before+5000 {
			s.t.Errorf("%d objects before, %d after 10000 delays that were cancelled", before, now)
		}
	}, ""),
}

func (s *session) heapObjects() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapObjects
}

// ownContexts makes concurrent calls, whose attempts have contexts of their
// own, with the values of their callers, alive during the call and done after.
func ownContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		kept := map[context.Context]int{}
		w, err := NewResilientTimed(&resilience.Runtime{}, doFunc(func(ctx context.Context) (int, error) {
			time.Sleep(10 * ms)
			mu.Lock()
			defer mu.Unlock()
			n := ctx.Value(callKey{}).(int)
			kept[ctx] = n
			return n, ctx.Err()
		}))
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for i := range 100 {
			group.Go(func() {
				if n, err := w.Do(context.WithValue(t.Context(), callKey{}, i)); n != i || err != nil {
					t.Errorf("call %d: %d, %v", i, n, err)
				}
			})
		}
		group.Wait()
		if len(kept) != 100 {
			t.Errorf("%d contexts of 100 calls", len(kept))
		}
		for ctx := range kept {
			if ctx.Err() != context.Canceled {
				t.Errorf("after the call: %v", ctx.Err())
			}
		}
	})
}

// contextsThatOutliveTheCall end when the caller's does, and not before.
func contextsThatOutliveTheCall(t *testing.T) {
	opened(NewResilientOpened, func(t *testing.T, o *opener, w Opener) {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := w.Open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, err := s.Read(nil); err != nil {
			t.Errorf("read after the call: %v", err)
		}
		cancel()
		if _, err := s.Read(nil); err != context.Canceled {
			t.Errorf("read after the caller left: %v", err)
		}
	})(t)
}

// together makes n calls at once and counts their outcomes.
func (s *session) together(n int, plan string) map[string]int {
	calls := make([]*call, n)
	for i := range calls {
		calls[i] = s.launch("", plan)
	}
	counts := map[string]int{}
	for _, c := range calls {
		<-c.done
		counts[c.outcome()]++
	}
	return counts
}

// idle has nobody call a limiter for a year, and then too many.
func idle[W Service](make func(*resilience.Runtime, Service) (W, error), limit int) func(*testing.T) {
	return with(make, func(s *session, _ string) {
		s.play("S>ok +8760h")
		s.limit = 1 // nobody waits
		if counts := s.together(100, "S"); counts["ok"] != limit {
			s.t.Errorf("got %v, want %d ok", counts, limit)
		}
	}, "")
}

// served has 100 wait for a limiter of 10 a second.
func served[W Service](make func(*resilience.Runtime, Service) (W, error), last time.Duration) func(*testing.T) {
	return with(make, func(s *session, _ string) {
		s.play("+1h")
		began := time.Now()
		counts := s.together(100, "S")
		if took := time.Since(began); counts["ok"] != 100 || took < last-time.Second || took > last+time.Second {
			s.t.Errorf("%v in %v, want all in %v", counts, took, last)
		}
	}, "")
}

// slowObserver has an observer take its time, and then not return: events are
// lost, and counted, but no result.
func slowObserver(t *testing.T) {
	bubble(t, func(s *session) {
		ring := resilience.NewRing(16)
		s.also = func(ctx context.Context, e resilience.Event) {
			time.Sleep(ms)
			ring.Observe(ctx, e)
		}
		wrap(s, NewResilientTimed)
		if counts := s.together(500, "F"); counts["F"] != 500 {
			t.Errorf("got %v", counts)
		}
		if kept, dropped := ring.Events(); len(kept) != 16 || dropped != 984 { // two a call
			t.Errorf("%d kept, %d dropped", len(kept), dropped)
		}
	})
	bubble(t, func(s *session) {
		release := make(chan struct{})
		s.also = func(_ context.Context, e resilience.Event) {
			if e.Kind == resilience.BreakerTransition {
				<-release
			}
		}
		wrap(s, NewResilientTwo)
		s.play("F>E a:F") // a tells of the opening, and is blocked in it
		for range 2000 {
			s.play("S>open +1s S>ok F*2>E")
		}
		if s.rt.Observer().Dropped == 0 {
			t.Error("nothing dropped")
		}
		close(release)
		s.play("a>E")
		if list := s.transitions(); !slices.Equal(list[:3], []string{"closed-open", "open-half_open", "half_open-closed"}) {
			t.Error(list[:3])
		}
	})
}
