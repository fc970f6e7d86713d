package conformance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Scenarios of one library's suite: hedge.
var hedgeScenarios = family{
	"S42": play(NewResilientS43, "S>ok execs=1", "S/10ms>ok took=10ms", "S/9ms>ok execs=1 took=9ms"),
	"S43": play(NewResilientS43,
		"S/1s,0/1s,-1/5ms>-1 execs=3 starts=0s,10ms,20ms took=25ms",
		"S/1s,0/5ms>0 execs=2 took=15ms",
		"S/25ms,0/1s,-1/1s>ok execs=3 took=25ms"),
	"S44": func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			seen := make(chan resilience.AttemptInfo, 3)
			w, err := NewResilientS43(&resilience.Runtime{}, doFunc(func(ctx context.Context) (int, error) {
				seen <- resilience.Attempt(ctx)
				<-time.After(time.Second)
				return 1, nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Do(t.Context()); err != nil {
				t.Error(err)
			}
			for i := range 3 {
				if a := <-seen; a.Number != i+1 || a.Hedge != (i > 0) {
					t.Errorf("attempt %d is told %+v", i+1, a)
				}
			}
		})
	},
	"S45": play(NewResilientPOL25, "a:hold execs=4 peak=4 starts=0s,0s,0s,0s a!S a>ok"),
	// There is no func for the delay, and a negative one is refused; what begins no
	// hedge returns what the first attempt does.
	"S46": all(
		generate("interfaces: {Gateway: {idempotent: true, hedge: {delay: -1s}}}", "delay", "-1s", "must be ≥ 0"),
		notOverridden(NewResilientS43, "conformance.S43: {hedge: {delay: -1s}}", "delay"),
		play(NewResilientFSG10, "0/1h>0 execs=1 took=1h")),
	"S47": hedgeCases["FSG-10"],
	"S48": play(NewResilientS43,
		// A failure is not what is waited for: it begins the next one, and ends none.
		"F/15ms,0/30ms,S/30ms>0 execs=3 starts=0s,10ms,15ms took=40ms",
		"S/1s,H,0/5ms>0 execs=3 took=25ms"),
	"S49": play(NewResilientS49, "a:hold +10ms execs=2 +10ms execs=2 refused=1 repeated=1 +1s a? a!S a>ok repeated=0",
		"S/1s,0/500ms>0 took=510ms execs=2 refused=1"),
	"S50": all(
		play(NewResilientS51, "a:H +5ms a^ a>canceled execs=1 took=5ms", "a:H +15ms a^ a>canceled execs=2 took=15ms"),
		play(NewResilientS50, "H>timeout execs=2 took=40ms", "H,0/20ms>0 execs=2 took=30ms")),
	"S51": all(
		nested(NewResilientS14Three, NewResilientS51, "F>E execs=6"),
		func(t *testing.T) {
			bubble(t, func(s *session) {
				wrap(s, around(NewResilientS14Three, NewResilientS51))
				s.play("F>E execs=6")
				hedges := s.told(func(e resilience.Event) bool { return e.Kind == resilience.HedgeStarted })
				retries := s.told(func(e resilience.Event) bool { return e.Kind == resilience.RetryScheduled })
				if hedges != 3 || retries != 2 {
					t.Errorf("%d hedges, %d retries, want 3 and 2", hedges, retries)
				}
			})
		},
		generate("interfaces: {Gateway: {idempotent: true, retry: {maxAttempts: 3}, hedge: {delay: 1s}}}", "hedge", "retry")),
}

var bulkheadScenarios = family{
	"S52": play(NewResilientS52, "a:hold b:hold c:S queued=1 +500ms c? a!S a>ok c>ok took=500ms b!S b>ok busy=0 order=a,b,c"),
	"S53": with(NewResilientS53, func(s *session, script string) {
		s.play(script)
		s.kinds("gave up 1, rejected 1")
	}, "a:hold b:hold S>full took=0s execs=2 rejections=1 a!S b!S a>ok b>ok"),
	"S54": play(NewResilientS53, "a:hold busy=1 b:hold busy=2 a!F a>E busy=1 b!S b>ok busy=0 P>panic busy=0 c:hold c^ c>canceled busy=0"),
	"S55": play(NewResilientS52, "a:hold b:hold S>full took=1s queued=0 execs=2"),
	"S56": play(NewResilientS56, "S*100>ok a:hold busy=1 S>full took=1ns a!S a>ok S>ok"),
	"S57": all(
		play(NewResilientQueue, "a:hold b:S +1s b^ b>canceled queued=0 took=1s c:S queued=1 a!S a>ok c>ok"),
		with(NewResilientQueue, func(s *session, script string) {
			s.play("a:hold")
			s.limit = 100 * ms
			s.play(script)
		}, "S>deadline took=100ms queued=0"),
		play(NewResilientS57Total, "a:S!3s +50ms S>timeout took=100ms queued=0 execs=1"),
		play(NewResilientS57, "a:hold S>full took=50ms queued=0")),
}

var limiterScenarios = family{
	"S58": waits(NewResilientS58, []timedWait{
		{0, 0}, {0, 100 * ms}, {0, 200 * ms}, {250 * ms, 50 * ms}, {50 * ms, 100 * ms}, {100 * ms, 100 * ms}, {time.Hour, 0}, {0, 100 * ms}, {99 * ms, 101 * ms},
	}),
	"S59": all(
		// Three in a period; those of later ones are in debt for one, two, three.
		waits(NewResilientS59, []timedWait{
			{0, 0}, {0, 0}, {0, 0}, {0, time.Second}, {0, time.Second}, {0, time.Second}, {0, 2 * time.Second}, {300 * ms, 1700 * ms},
			{0, 1700 * ms}, {0, 2700 * ms}, {10 * time.Second, 0}, {100 * ms, 0}, {100 * ms, 0}, {100 * ms, 400 * ms},
		}),
		waits(NewResilientS59Token, []timedWait{
			{0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 500 * ms}, {0, time.Second}, {0, 1500 * ms}, {250 * ms, 1750 * ms}, {time.Hour, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 500 * ms},
		})),
	"S60": all(atOnce(NewResilientS60), atOnce(NewResilientS60Smooth), atOnce(NewResilientS60Fixed), atOnce(NewResilientS60Rolling)),
	"S61": all(
		play(NewResilientS61Token, "S>ok took=0s"), play(NewResilientS61Smooth, "S>ok took=0s"),
		play(NewResilientS61Fixed, "S>ok took=0s"), play(NewResilientS61Rolling, "S>ok took=0s")),
	"S62": play(NewResilientS62, "S>ok S>limited took=0s execs=1 +500ms S>ok took=500ms execs=2"),
	"S63": play(NewResilientS59Token, "S*4>ok b:S b? waiting=1 +100ms b^ b>canceled took=100ms waiting=0 execs=4 S>ok took=400ms"),
	"S64": with(NewResilientS64, func(s *session, script string) {
		s.play(script)
		s.counts(resilience.Counters{Failure: 1, FailureRetried: 1, Attempts: 3, Retries: 2, Rejections: 4})
	}, "F>limited+E execs=3 rejections=4"),
	"S65": with(NewResilientS61Fixed, func(s *session, script string) {
		s.play(script)
		s.kinds("gave up 7, rejected 7")
	}, "S>ok S*7>limited rejections=7"),
}

// timedWait is a call that begins so long after the beginning of the one before
// and has to wait.
type timedWait struct{ after, want time.Duration }

// waits makes calls at the beginning of a period, which wait as a table says.
func waits[W Service](make func(*resilience.Runtime, Service) (W, error), table []timedWait) func(*testing.T) {
	return with(make, func(s *session, _ string) {
		s.startOfPeriod()
		var calls []*call
		for _, w := range table {
			time.Sleep(w.after)
			calls = append(calls, s.launch("", "S"))
			synctest.Wait()
		}
		for i, c := range calls {
			<-c.done
			if c.outcome() != "ok" || c.took != table[i].want {
				s.t.Errorf("call %d: %s after %v, want %v", i+1, c.outcome(), c.took, table[i].want)
			}
		}
	}, "")
}

// startOfPeriod waits for the beginning of a period, as mode fixed has them: they
// are counted from an instant that nobody is told.
func (s *session) startOfPeriod() {
	s.t.Helper()
	rt := &resilience.Runtime{}
	w, err := NewResilientS61Fixed(rt, doFunc(func(context.Context) (int, error) { return 1, nil })) // one an hour
	if err != nil {
		s.t.Fatal(err)
	}
	_, _ = w.Do(context.Background())
	time.Sleep(rt.Limiters()[0].RetryAfter)
}

// tokens is a delegate with a cost.
type tokens struct{}

func (tokens) Take(context.Context, int) error { return nil }

// atOnce takes permits one by one and at once, behind others: the last of them
// comes at the same time.
func atOnce[W Tokens](make func(*resilience.Runtime, Tokens) (W, error)) func(*testing.T) {
	return func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(6, 0))
			for range 200 {
				before, n, pause := random.IntN(11), random.IntN(10)+1, time.Duration(random.IntN(500))*ms
				one, many := time.Duration(0), time.Duration(0)
				var group sync.WaitGroup
				group.Go(func() { one = takes(t, make, pause, before, slices.Repeat([]int{1}, n)) })
				group.Go(func() { many = takes(t, make, pause, before, []int{n}) })
				group.Wait()
				if one != many {
					t.Fatalf("%d permits behind %d and %v: one by one in %v, at once in %v", n, before, pause, one, many)
				}
			}
		})
	}
}

// takes takes permits before a pause and then others, and returns when the last
// of them came.
func takes[W Tokens](t *testing.T, make func(*resilience.Runtime, Tokens) (W, error), pause time.Duration, before int, costs []int) time.Duration {
	w, err := make(&resilience.Runtime{}, tokens{})
	if err != nil {
		t.Error(err)
		return 0
	}
	began := time.Now()
	for range before {
		err = errors.Join(err, w.Take(t.Context(), 1))
	}
	time.Sleep(pause)
	for _, cost := range costs {
		err = errors.Join(err, w.Take(t.Context(), cost))
	}
	if err != nil {
		t.Error(err)
	}
	return time.Since(began)
}

var otherScenarios = family{
	"S66": all(
		play(NewResilientS66Value, "F>0 S>ok"),
		with(NewResilientS66Func, func(s *session, script string) {
			s.play(script)
			if s.last.cause != X {
				s.t.Errorf("told %v, want X itself", s.last.cause)
			}
		}, "X>fb fallbacks=1")),
	"S67": play(NewResilientS67, "S>ok fallbacks=0 X>X fallbacks=0 F>fb fallbacks=1"),
	"S68": func(t *testing.T) {
		bubble(t, func(s *session) {
			wrap(s, func(rt *resilience.Runtime, next Service) (*ResilientS68, error) {
				return NewResilientS68(rt, next, standIn{func(context.Context, error) (int, error) { return 0, Other }})
			})
			if c := s.call("F"); c.err != Other {
				t.Errorf("got %v, want the fallback's own error", c.err)
			}
		})
	},
	"S69": all(
		play(NewResilientS66Func, "a:hold a^ a>canceled fallbacks=0", "a:hold a^ a>canceled fallbacks=0 F>fb"),
		with(NewResilientS66Func, func(s *session, script string) {
			s.limit = 100 * ms
			s.play(script)
		}, "H>deadline fallbacks=0"),
		// One that is cancelled while it answers tells so itself.
		func(t *testing.T) {
			bubble(t, func(s *session) {
				wrap(s, slowFallback(NewResilientS68))
				s.play("a:F +500ms a? a^ a>canceled took=500ms fallbacks=0")
			})
		}),
	"S70": all(
		with(NewResilientS70, func(s *session, script string) {
			s.play(script)
			var e *resilience.Error
			if !errors.As(s.last.cause, &e) || e.Attempts != 3 || !errors.Is(e, E) {
				s.t.Errorf("told %v, want what was given up after 3 attempts", s.last.cause)
			}
		}, "F>fb execs=3 fallbacks=1"),
		nested(NewResilientS14Three, NewResilientS66Func, "F>fb execs=1 fallbacks=1")),
	"S71": with(NewResilientS71, func(s *session, script string) {
		s.play(script)
		if !errors.Is(s.last.cause, resilience.ErrCircuitOpen) {
			s.t.Errorf("told %v", s.last.cause)
		}
		s.play("+5s S>ok =CLOSED")
	}, "F>fb =OPEN S>fb execs=1 fallbacks=2"),

	"S72": keysOfACache,
	"S73": whatACacheKeeps,
	"S74": cacheOutsideRetry,

	"S75": all(
		budgetCases["FSG-02"],
		play(NewResilientS76, "a:F,hold repeated=1 a!S a>ok repeated=0 a:F,hold a^ a>canceled repeated=0 F,P>panic repeated=0 F,G>goexit repeated=0 F,S>ok repeated=0 refused=0")),
	"S76": with(NewResilientS76, func(s *session, script string) {
		s.play(script)
		if n := s.told(func(e resilience.Event) bool {
			return e.Kind == resilience.GaveUp && errors.Is(e.Err, resilience.ErrBudgetExhausted)
		}); n != 1 {
			s.t.Errorf("told %d times", n)
		}
	}, "a:F,hold F>budget+E execs=3 refused=1 a!S a>ok F,S>ok execs=5 refused=1"),
	"S77": play(NewResilientS49, "a:hold +10ms execs=2 b:S/1s +10ms refused=2 b>ok took=1s execs=3 a!S a>ok S/1s,0/1ms>0 execs=5 refused=2"),

	// There is no queue, no priority and no user: what is over the limit is told.
	"S78": play(NewResilientS78, "a:hold b:hold S*3>full execs=2 a!S a>ok c:hold S>full b!S c!S b>ok c>ok S>ok"),
	"S79": throttled,

	"S80": everyKind,
	"S81": func(t *testing.T) {
		bubble(t, func(s *session) {
			value := errors.New("value")
			wrap(s, func(rt *resilience.Runtime, _ Service) (*ResilientEverything, error) {
				return NewResilientEverything(rt, doFunc(func(context.Context) (int, error) { panic(value) }))
			})
			s.call("S")
			if s.last = s.call("S"); s.last.died != value {
				t.Errorf("died of %v, want the very value", s.last.died)
			}
			s.kinds("attempt failed 2, gave up 2")
			for _, e := range s.events {
				if e.Reason != "panic or Goexit" || e.Err != nil {
					t.Errorf("told %+v", e)
				}
			}
		})
	},
	"S82": with(NewResilientS35, func(s *session, script string) {
		s.play(script)
		var got []string
		for _, e := range s.events {
			got = append(got, fmt.Sprint(e.Kind, " ", e.Elapsed, " ", e.Delay))
		}
		want := []string{"attempt failed 50ms 0s", "retry scheduled 50ms 1s", "attempt failed 1.1s 0s", "retry scheduled 1.1s 1s", "attempt failed 2.15s 0s", "gave up 2.15s 0s"}
		if !slices.Equal(got, want) {
			s.t.Errorf("told %q, want %q", got, want)
		}
		var e *resilience.Error
		if !errors.As(s.last.err, &e) || e.Elapsed != 2150*ms {
			s.t.Errorf("got %+v", e)
		}
	}, "F/50ms>E took=2150ms gaps=1s,1s"),
}

// throttled has a peer that fails, and is well again.
func throttled(t *testing.T) {
	bubble(t, func(s *session) {
		wrap(s, NewResilientS79)
		ratio := func() float64 { return s.rt.AdaptiveLimits()[0].RejectionRatio }
		s.play("S*20>ok")
		if r := ratio(); r != 0 {
			t.Errorf("%.3f rejected of a peer that is well", r)
		}
		for range 200 {
			s.call("F")
		}
		// (220-2·20)/221, as the book has it.
		if r := ratio(); r < 0.81 || r > 0.82 {
			t.Errorf("%.3f rejected, want 0.814", r)
		}
		limited := 0
		for range 500 {
			if s.call("F").outcome() == "limited" {
				limited++
			}
		}
		if r := ratio(); r > 0.9 || limited < 380 || limited > 480 {
			t.Errorf("%d of 500 rejected, ratio %.3f", limited, r)
		}
		for range 600 { // each window lets in twice as many
			s.call("S")
			time.Sleep(100 * ms)
		}
		if r := ratio(); r != 0 {
			t.Errorf("%.3f rejected of a peer that is well again", r)
		}
		s.play("S*20>ok")
	})
}

// everyKind counts what is told of calls that end in every way.
func everyKind(t *testing.T) {
	for _, c := range []struct {
		run  func(*testing.T, func(*session))
		want string
	}{
		{plays(NewResilientS07, "F,F,F,F,S>ok"), "attempt failed 4, retry scheduled 4"},
		{plays(NewResilientS10, "X>X"), "attempt failed 1, gave up 1"},
		{plays(NewResilientS14Three, "F>E"), "attempt failed 3, gave up 1, retry scheduled 2"},
		{plays(NewResilientS09, "F,X>X"), "attempt failed 2, gave up 1, retry scheduled 1"},
		{plays(NewResilientR4J33, "-1>-1"), "attempt failed 3, retry scheduled 2"},
		{plays(NewResilientS15Consecutive, "F>E S*2>open +5s S>ok"), "attempt failed 1, breaker transition 3, gave up 3, rejected 2"},
		{plays(NewResilientS71, "F>fb S>fb"), "attempt failed 1, breaker transition 1, fallback used 2, gave up 2, rejected 1"},
		{plays(NewResilientS61Fixed, "S>ok S>limited"), "gave up 1, rejected 1"},
		{plays(NewResilientS53, "S>ok"), ""},
		{plays(NewResilientS53, "a:hold b:hold S>full a!S b!S a>ok b>ok"), "gave up 1, rejected 1"},
		{plays(NewResilientS32, "H>timeout"), "attempt failed 1, breaker transition 1, gave up 1"},
		{plays(NewResilientS43, "S/1s,0/5ms>0"), "hedge started 1, hedge won 1"},
		{plays(NewResilientS43, "F>E"), "attempt failed 3, gave up 1, hedge started 2"},
		{plays(NewResilientS70, "F>fb"), "attempt failed 3, fallback used 1, gave up 1, retry scheduled 2"},
		{plays(NewResilientAbandonedMany, "S!2s>timeout +1s"), "abandoned call ended 1, attempt failed 1, gave up 1"},
	} {
		c.run(t, func(s *session) { s.kinds(c.want) })
	}
	bubble(t, func(s *session) {
		wrap(s, NewResilientTwo)
		s.rt.Breaker(s.breaker).Reset()
		s.kinds("breaker reset 1")
	})
}

// plays plays a script and then looks.
func plays[W Service](make func(*resilience.Runtime, Service) (W, error), script string) func(*testing.T, func(*session)) {
	return func(t *testing.T, look func(*session)) {
		t.Helper()
		bubble(t, func(s *session) {
			wrap(s, make)
			s.play(script)
			look(s)
		})
	}
}
