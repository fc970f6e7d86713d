package conformance

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// ownCases are those that no library tests.
var ownCases = family{
	"O01": all(
		play(NewResilientTwo, "F*2>E +1s a:hold S>open a^ a>canceled =HALF_OPEN calls=0 S>ok =CLOSED"),
		play(NewResilientTwoThree, "F*2>E +1s a:hold b:hold c:hold S>open a^ a>canceled d:hold S>open b!S c!S d!S b>ok c>ok d>ok =CLOSED"),
		with(NewResilientTwo, func(s *session, script string) {
			s.play("F*2>E +1s")
			s.limit = 100 * ms
			s.play(script)
		}, "H>deadline =HALF_OPEN calls=0 S>ok =CLOSED")),
	"O02": play(NewResilientTwo,
		"F*2>E +1s a:hold +999ms =HALF_OPEN S>open +1ms =OPEN S>open +999ms S>open +1ms S>ok =CLOSED a!F a>E =CLOSED consecutive=0",
		"F*2>E +1s a:hold +2s =HALF_OPEN b:hold S>open a!S a>ok =HALF_OPEN S>open b!S b>ok =CLOSED"),
	"O03": with(NewResilientEverything, func(s *session, script string) {
		s.also = func(context.Context, resilience.Event) { panic("listener") }
		s.play(script)
		s.restored()
		if n := s.rt.Observer().Panics; n == 0 {
			s.t.Error("no panic counted")
		}
	}, "F>E X>fb H>timeout F,S>ok a:hold a^ a>canceled b:F b>E S>ok S>ok"),
	"O04": func(t *testing.T) {
		for _, die := range []func(){func() { panic("fallback") }, runtime.Goexit} {
			bubble(t, func(s *session) {
				wrap(s, func(rt *resilience.Runtime, next Service) (*ResilientSpare, error) {
					return NewResilientSpare(rt, next, standIn{func(context.Context, error) (int, error) { die(); return 0, nil }})
				})
				for range 3 {
					if c := s.call("F"); c.died != "fallback" && c.outcome() != "goexit" {
						t.Errorf("got %v", c.outcome())
					}
				}
				s.play("busy=0 S>ok")
				s.restored()
			})
		}
	},
	"O05": all(
		trap(NewResilientTrapped, "Trap"), trap(NewResilientTrappedAbort, "Trap"), trap(NewResilientTrappedRecord, "Trap"),
		trap(NewResilientTrappedIgnore, "Trap"), trap(NewResilientTrappedResult, "-3"), trap(NewResilientTrappedApply, "Trap")),
	"O06": trap(NewResilientDelayed, "Trap"),
	"O07": all(
		with(NewResilientEverything, func(s *session, script string) {
			s.play(script)
			s.restored()
			if f := s.snapshot().Failures; f != 3 {
				s.t.Errorf("%d failures, want 3", f)
			}
		}, "G>goexit F,G>goexit busy=0 S>ok"),
		with(NewResilientEverythingHedged, func(s *session, script string) {
			s.play(script)
			s.restored()
		}, "G>goexit S/1s,G>goexit S/100ms,S/50ms>ok busy=0"),
		with(NewResilientAbandoned, func(s *session, script string) {
			s.play(script)
			s.restored()
		}, "G>goexit busy=0 S>ok G!2s>timeout +1s busy=0 S>ok")),
	"O08": wallClock,
	"O09": deadlineInThePast,
	"O10": noContext,
	"O11": all(
		together(NewResilientTimed, "S/1s", "ok", "timeout"),
		together(NewResilientTimedTotal, "S/1s", "ok", "timeout"),
		together(NewResilientAbandonedMany, "S!1s", "ok", "timeout"),
		together(NewResilientTimed, "S!1s", "ok", "ok")),
	"O12": all(
		handed(NewResilientTimedQueue, func(s *session) { s.play("busy=0 queued=0 S>ok") }),
		handed(NewResilientQueue, func(s *session) { s.limit = 0; s.play("busy=0 queued=0 S>ok") })),
	"O13": beyond32Bits,
	"O14": otherNumbers,
	"O15": manyKeys,
}

// restored fails unless nothing is in flight, and 10 calls one after the other
// pass.
func (s *session) restored() {
	s.t.Helper()
	s.play("busy=0 queued=0 S*10>ok busy=0")
	if m := s.rt.Stats().Methods[0]; m.InFlight != 0 {
		s.t.Errorf("%d in flight", m.InFlight)
	}
	for _, b := range s.rt.Budgets() {
		if b.Repeated != 0 {
			s.t.Errorf("%d repeated", b.Repeated)
		}
	}
	for _, a := range s.rt.AdaptiveLimits() {
		if a.InFlight != 0 {
			s.t.Errorf("%d in flight under the adaptive limit", a.InFlight)
		}
	}
}

// trap makes calls for which a func of the policy panics.
func trap[W Service](make func(*resilience.Runtime, Service) (W, error), step string) func(*testing.T) {
	return with(make, func(s *session, script string) {
		s.play(script)
		if err, ok := s.last.died.(error); !ok || !errors.Is(err, Trap) {
			s.t.Errorf("died of %v", s.last.died)
		}
		s.restored()
	}, step+"*3>panic busy=0")
}

// wallClock has callers whose deadlines have no monotonic reading, as they come
// over the wire.
func wallClock(t *testing.T) {
	bubble(t, func(s *session) {
		w := wrap(s, NewResilientThriceTimed)
		for _, c := range []struct {
			after time.Duration
			execs int
		}{{-time.Hour, 0}, {500 * ms, 1}, {1500 * ms, 2}, {time.Hour, 3}} {
			ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(c.after).Round(0))
			k := &call{plan: []string{"F"}, raised: map[string]error{}}
			_, err := w.Do(context.WithValue(ctx, callKey{}, k))
			cancel()
			if err == nil || len(k.starts) != c.execs {
				t.Errorf("deadline in %v: %d executions, want %d; %v", c.after, len(k.starts), c.execs, err)
			}
		}
	})
}

func deadlineInThePast(t *testing.T) {
	bubble(t, func(s *session) {
		for _, do := range []func(context.Context) (int, error){
			wrap(s, NewResilientEverything).Do, wrap(s, NewResilientEverythingHedged).Do, wrap(s, NewResilientAbandonedMany).Do, wrap(s, NewResilientQueue).Do,
		} {
			ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Nanosecond))
			if _, err := do(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			cancel()
		}
		s.play("execs=0")
		for _, b := range s.rt.Breakers() {
			if n := b.Snapshot().Calls; n != 0 {
				t.Errorf("%s was told of %d calls", b.Name(), n)
			}
		}
	})
}

func noContext(t *testing.T) {
	var none context.Context
	works := doFunc(func(ctx context.Context) (int, error) { return 1, ctx.Err() })
	rt := &resilience.Runtime{}
	everything, err1 := NewResilientEverything(rt, works)
	hedged, err2 := NewResilientEverythingHedged(rt, works)
	abandoned, err3 := NewResilientAbandonedMany(rt, works)
	spare, err4 := NewResilientSpare(rt, doFunc(func(context.Context) (int, error) { return 0, E }), standIn{func(ctx context.Context, _ error) (int, error) {
		if ctx != nil {
			t.Errorf("the fallback has %v, and not what the caller gave", ctx)
		}
		return Answer, nil
	}})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	for i, do := range []func(context.Context) (int, error){everything.Do, hedged.Do, abandoned.Do} {
		if n, err := do(none); n != 1 || err != nil {
			t.Errorf("wrapper %d: %d, %v", i, n, err)
		}
	}
	if n, err := spare.Do(none); n != Answer || err != nil {
		t.Errorf("fallback: %d, %v", n, err)
	}
}

// together has many delegates end at the very instant of their timeout.
func together[W Service](make func(*resilience.Runtime, Service) (W, error), plan string, outcomes ...string) func(*testing.T) {
	return func(t *testing.T) {
		for range 20 {
			with(make, func(s *session, _ string) {
				counts := s.together(100, plan)
				if counts[outcomes[0]]+counts[outcomes[1]] != 100 && (outcomes[0] != outcomes[1] || counts[outcomes[0]] != 100) {
					t.Errorf("got %v", counts)
				}
				m := s.rt.Stats().Methods[0]
				if m.Total.Success != int64(counts["ok"]) || m.Total.Failure != int64(counts["timeout"]) || m.InFlight != 0 {
					t.Errorf("%+v, want %v", m, counts)
				}
			}, "")(t)
		}
	}
}

// handed has a slot come free at the very instant at which who waits for it must
// leave.
func handed[W Service](make func(*resilience.Runtime, Service) (W, error), check func(*session)) func(*testing.T) {
	return func(t *testing.T) {
		for range 40 {
			with(make, func(s *session, _ string) {
				s.limit = time.Second
				a := s.start("a", "S!1s")
				synctest.Wait()
				counts := s.together(5, "S")
				<-a.done
				if counts["ok"]+counts["deadline"]+counts["timeout"]+counts["full"] != 5 {
					t.Errorf("got %v", counts)
				}
				check(s)
			}, "")(t)
		}
	}
}

// otherNumbers changes every number, and switches, while calls run; what was
// counted must add up.
func otherNumbers(t *testing.T) {
	rt := &resilience.Runtime{}
	var execs atomic.Int64
	w, err := NewResilientEverything(rt, doFunc(func(ctx context.Context) (int, error) {
		if execs.Add(1)%7 == 0 {
			return 0, E
		}
		return 1, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var calls, ok atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				calls.Add(1)
				if n, err := w.Do(context.Background()); err == nil && n == 1 {
					ok.Add(1)
				}
			}
		})
	}
	for i := range 300 {
		n := i%5 + 1
		err := rt.Update("conformance.Everything", func(p *resilience.Policy) error {
			p.Retry.MaxAttempts, p.Bulkhead.MaxConcurrent, p.Timeout.Attempt = n, n, time.Duration(n)*time.Second
			p.Retry.Backoff.InitialDelay, p.Breaker.MinimumCalls, p.RateLimit.Limit = time.Microsecond, 90+n, 1000000+n
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	group.Wait()
	m := rt.Stats().Methods[0]
	if m.Total.Calls() != calls.Load() || m.Total.Success != ok.Load() || m.Total.Attempts != execs.Load() || m.InFlight != 0 {
		t.Errorf("%+v, want %d calls, %d successes, %d attempts", m.Total, calls.Load(), ok.Load(), execs.Load())
	}
	if b := rt.Stats().Bulkheads[0]; b.InFlight != 0 || b.Waiting != 0 {
		t.Errorf("%+v", b)
	}
}

// hosts fails for those with an odd last digit.
type hosts struct{}

func (hosts) Get(_ context.Context, host string) (int, error) {
	if (host[len(host)-1]-'0')%2 == 1 {
		return 0, E
	}
	return 1, nil
}

// manyKeys has a breaker for each of 10000 keys, of which every other one opens.
func manyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &resilience.Runtime{}
		w, err := NewResilientKeyed(rt, hosts{})
		if err != nil {
			t.Fatal(err)
		}
		get := func(i int, want error) {
			if _, err := w.Get(t.Context(), fmt.Sprint("host-", i)); !errors.Is(err, want) {
				t.Fatalf("host %d: %v, want %v", i, err, want)
			}
		}
		wants := [][]error{{nil, E}, {nil, resilience.ErrCircuitOpen}}
		for _, want := range wants {
			var group sync.WaitGroup
			for part := range 10 {
				group.Go(func() {
					for i := part; i < 10_000; i += 10 {
						get(i, want[i%2])
					}
				})
			}
			group.Wait()
		}
		for i := range 1000 { // a closed one makes room, an open one never does
			get(20_000+2*i, nil)
		}
		for i := 1; i < 10_000; i += 2 {
			get(i, resilience.ErrCircuitOpen)
		}
		if n := len(rt.Breakers()); n != 10_000 {
			t.Errorf("%d breakers, want 10000", n)
		}
	})
}
