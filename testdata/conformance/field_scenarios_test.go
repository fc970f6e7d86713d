package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Scenarios of one library's suite: retry.
var retryScenarios = family{
	"S01": with(NewResilientS14Three, gaveUp(3, E), "F>E execs=3"),
	"S02": play(NewResilientS14Three, "S>ok execs=1"),
	"S03": all(
		with(NewResilientS14Three, gaveUp(3, X), "F,F,X>X execs=3"),
		with(NewResilientR4J33Fail, func(s *session, script string) {
			gaveUp(3, resilience.ErrUnwantedResult)(s, script)
			if s.last.value != -3 {
				s.t.Errorf("result %d, want the last one", s.last.value)
			}
		}, "-1,-2,-3>unwanted")),
	"S04": play(NewResilientR4J33, "0>0 execs=1", "-1,0>0 execs=2"),
	"S05": with(NewResilientS05, gaveUp(2, E), "F/600ms>E execs=2 took=1200ms"),
	// There is no bare error after several attempts: who wants it, asks for it.
	"S06": with(NewResilientS06, func(s *session, script string) {
		s.play(script)
		var e *resilience.Error
		if !errors.As(s.last.err, &e) || !slices.Contains(e.Unwrap(), E) || e.Attempts != 4 {
			s.t.Errorf("got %v", s.last.err)
		}
	}, "F>E execs=4"),
	// Nothing is unlimited, but a number may be as great as one likes.
	"S07": all(
		play(NewResilientS07, "F,F,F,F,F,S>ok execs=6"),
		generate("interfaces: {Gateway: {idempotent: true, retry: {maxAttempts: -1}}}", "maxAttempts", "-1", "must be ≥ 1")),
	"S08": play(NewResilientS08, "F>E gaps=1ms,2ms,4ms,8ms,10ms,10ms"),
	"S09": with(NewResilientS09, func(s *session, script string) {
		s.play(script)
		s.kinds("attempt failed 2, gave up 1, retry scheduled 1")
		if m := s.rt.Stats().Methods[0]; m.Total.Failure != 1 || m.Breaker.Failure != 2 {
			s.t.Errorf("counted %+v, %+v", m.Total, m.Breaker)
		}
	}, "F,X>X execs=2 failures=2"),
	"S10": with(NewResilientS10, func(s *session, script string) {
		s.play(script)
		if s.last.err != X {
			s.t.Errorf("got %v, want X itself", s.last.err)
		}
		s.counts(resilience.Counters{Failure: 1, Attempts: 1})
		s.kinds("attempt failed 1, gave up 1")
	}, "X>X execs=1 calls=1 failures=0"),
	"S11": all(
		with(NewResilientDelayed, func(s *session, script string) {
			before := asked.Load()
			s.play("S>ok")
			if n := asked.Load() - before; n != 0 {
				s.t.Errorf("asked %d times for a success", n)
			}
			s.play("F,F,S>ok execs=4")
			if n := asked.Load() - before; n != 2 {
				s.t.Errorf("asked %d times for two retries", n)
			}
		}, ""),
		trap(NewResilientDelayed, "Trap")),
	"S12": all(
		play(NewResilientS35, "a:F +500ms a? a^ a>canceled+E execs=1 took=500ms"),
		play(NewResilientS35, "a:F +1500ms a? a^ a>canceled+E execs=2 took=1500ms"),
		with(NewResilientS35, func(s *session, script string) {
			s.limit = 500 * ms
			s.play(script)
		}, "F>E execs=1 took=0s")),
	"S13": with(NewResilientS14Three, func(s *session, script string) {
		s.play(script)
		var got []string
		for _, e := range s.events {
			got = append(got, fmt.Sprint(e.Kind, " ", e.Attempt))
		}
		if want := []string{"attempt failed 1", "retry scheduled 1", "attempt failed 2", "retry scheduled 2"}; !slices.Equal(got, want) {
			s.t.Errorf("got %q, want %q", got, want)
		}
		// The plan of a call is played by Attempt(ctx).Number.
	}, "F,F,S>ok execs=3"),
	"S14": all(
		// Every call of the inner one has its attempts: they multiply.
		nested(NewResilientS14Two, NewResilientS14Three, "F>E execs=6"),
		nested(NewResilientS14Three, NewResilientS14Three, "F>E execs=9"),
		interleaved(NewResilientS14E, NewResilientS14X),
		interleaved(NewResilientS14X, NewResilientS14E)),
}

// gaveUp plays a script whose last call gives up after so many attempts,
// because of an error.
func gaveUp(attempts int, because error) func(*session, string) {
	return func(s *session, script string) {
		s.t.Helper()
		s.play(script)
		var e *resilience.Error
		if !errors.As(s.last.err, &e) || e.Attempts != attempts || !errors.Is(e, because) {
			s.t.Errorf("got %v, want %v after %d attempts", s.last.err, because, attempts)
		}
	}
}

// kinds compares how often events of each kind were told.
func (s *session) kinds(want string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	count := map[string]int{}
	for _, e := range s.events {
		count[e.Kind.String()]++
	}
	var list []string
	for kind, n := range count {
		list = append(list, fmt.Sprint(kind, " ", n))
	}
	slices.Sort(list)
	if got := strings.Join(list, ", "); got != want {
		s.t.Errorf("told: %s\nwant: %s", got, want)
	}
}

// around makes a wrapper around another one.
func around[A, B Service](outer func(*resilience.Runtime, Service) (A, error), inner func(*resilience.Runtime, Service) (B, error)) func(*resilience.Runtime, Service) (A, error) {
	return func(rt *resilience.Runtime, next Service) (A, error) {
		in, err := inner(rt, next)
		if err != nil {
			var none A
			return none, err
		}
		return outer(rt, in)
	}
}

// nested is play for a wrapper around another one.
func nested[A, B Service](outer func(*resilience.Runtime, Service) (A, error), inner func(*resilience.Runtime, Service) (B, error), scripts ...string) func(*testing.T) {
	return play(around(outer, inner), scripts...)
}

// interleaved has the outer and the inner retry take turns. The delegate counts
// executions itself: each retry numbers its own attempts.
func interleaved[A, B Service](outer func(*resilience.Runtime, Service) (A, error), inner func(*resilience.Runtime, Service) (B, error)) func(*testing.T) {
	return func(t *testing.T) {
		n := 0
		w, err := around(outer, inner)(&resilience.Runtime{}, doFunc(func(context.Context) (int, error) {
			n++
			return 1, []error{E, X, E, X, nil}[n-1]
		}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Do(t.Context()); err != nil || n != 5 {
			t.Errorf("%v after %d executions, want success after 5", err, n)
		}
	}
}

var breakerScenarios = family{
	// Theirs opens on one failure when nothing is said; ours when that is said.
	"S15": play(NewResilientS15, "F>E =OPEN S>open execs=1"),
	"S16": all(
		play(NewResilientS16, "F*2>E =CLOSED F>E =OPEN", "F*2>E S>ok F*2>E =CLOSED F>E =OPEN"),
		play(NewResilientS16Consecutive, "F*2>E S>ok F*2>E =CLOSED F>E =OPEN")),
	"S17": play(NewResilientS17, "F*2>E S*2>ok F>E =OPEN", "S*5>ok F*2>E =CLOSED F>E =OPEN"),
	"S18": play(NewResilientS17, strings.Repeat("F*2>E S*3>ok =CLOSED ", 20)),
	"S19": with(NewResilientS19, func(s *session, script string) {
		s.align()
		s.play(script)
	}, "F*2>E +210ms F*2>E =CLOSED failures=2 F>E =OPEN", "F>E +90ms F>E +90ms F>E =OPEN"),
	"S20": play(NewResilientS20, "F*9>E =CLOSED S>ok =OPEN", "S*7>ok F*2>E =CLOSED F>E =OPEN", "S*70>ok F*29>E =CLOSED F>E =OPEN"),
	// A sample of three decides when it is complete.
	"S21": play(NewResilientS21, "F>E =OPEN +1s F*2>E =HALF_OPEN F>E =OPEN", "F>E +1s F*2>E S>ok =CLOSED"),
	"S22": play(NewResilientS22, "F>E +1s F*2>E S*2>ok =HALF_OPEN S>ok =OPEN", "F>E +1s F>E S*4>ok =CLOSED"),
	"S23": play(NewResilientS23, "F>E +1s S*2>ok =HALF_OPEN S>ok =CLOSED", "F>E +1s S*2>ok F>E =OPEN"),
	"S24": all(
		halfOpened(NewResilientS24Count), halfOpened(NewResilientS24Rate), halfOpened(NewResilientS24Both),
		halfOpened(NewResilientS24CountThree), halfOpened(NewResilientS24RateThree), halfOpened(NewResilientS24BothThree)),
	"S25": play(NewResilientS25, "F>E +1s a:hold b:hold c:hold S*5>open rejected=5 execs=4 =HALF_OPEN a!S a>ok =CLOSED"),
	"S26": with(NewResilientS26, func(s *session, _ string) {
		s.play("F>E =OPEN")
		for left := 10 * time.Second; left > 0; left -= time.Second {
			s.play("S>open execs=1")
			var e *resilience.Error
			after, ok := time.Duration(0), errors.As(s.last.err, &e)
			if ok {
				after, _ = e.RetryAfter()
			}
			if after != left || s.snapshot().RetryAfter != left {
				s.t.Errorf("%v, %v remain, want %v", after, s.snapshot().RetryAfter, left)
			}
			s.play("+1s")
		}
		s.play("a:hold =HALF_OPEN S>open")
		if after := s.snapshot().RetryAfter; after != 0 {
			s.t.Errorf("%v remain in half-open", after)
		}
	}, ""),
	"S27": play(NewResilientS26, "F>E +10s a:hold execs=2 S>open a!S a>ok =CLOSED", "F>E +10s F>E =OPEN S>open"),
	// Corrected: openDuration is what was written; openBackoff alone changes it.
	"S28": play(NewResilientS26, "F>E "+strings.Repeat("+9999ms S>open +1ms F>E ", 20)+"execs=21 =OPEN"),
	"S29": with(NewResilientS29, func(s *session, script string) {
		var contexts []context.Context
		s.also = func(ctx context.Context, e resilience.Event) {
			if e.Kind == resilience.BreakerTransition {
				contexts = append(contexts, ctx)
			}
		}
		s.play(script)
		s.rt.Breaker(s.breaker).ForceOpen()
		left := []resilience.Counts{{Calls: 2, Failures: 1, Consecutive: 1}, {}, {Calls: 5, Failures: 2}, {}}
		for i, e := range s.breakerEvents() {
			call, _ := contexts[i].Value(callKey{}).(*call)
			if e.Counts != left[i] || (call == nil) != (i == 3) {
				s.t.Errorf("%v: call %v", e, call)
			}
		}
		s.play("transitions=closed-open,open-half_open,half_open-closed,closed-forced_open(operator)")
	}, "S>ok F>E =OPEN +1s F*2>E S*3>ok =CLOSED"),
	"S30": play(NewResilientS30, "F>open+E execs=3 rejected=4 consecutive=3 =OPEN"),
	"S31": all(
		nestedBreakers(NewResilientS31E, NewResilientS31X, "S31E.Do", "S31X.Do"),
		nestedBreakers(NewResilientS31X, NewResilientS31E, "S31E.Do", "S31X.Do")),
	"S32": all(
		play(NewResilientS32, "H>timeout =OPEN S>open"),
		nested(NewResilientS15Consecutive, NewResilientMPTO03, "H>timeout =OPEN S>open execs=1")),
}

func (s *session) breakerEvents() (list []resilience.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == resilience.BreakerTransition {
			list = append(list, e)
		}
	}
	return list
}

// halfOpened has a breaker that opens on three failures in six ways decide on
// probes in one.
func halfOpened[W Service](make func(*resilience.Runtime, Service) (W, error)) func(*testing.T) {
	return play(make, "F*3>E =OPEN +1s S>ok =HALF_OPEN S>ok =CLOSED F*2>E =CLOSED F>E =OPEN", "F*3>E +1s S>ok F>E =OPEN +1s F>E =OPEN")
}

// nestedBreakers has one of two breakers open for E, the other one for X.
func nestedBreakers[A, B Service](outer func(*resilience.Runtime, Service) (A, error), inner func(*resilience.Runtime, Service) (B, error), forE, forX string) func(*testing.T) {
	return with(around(outer, inner), func(s *session, script string) {
		opens, stays := forE, forX
		if strings.HasPrefix(script, "X") {
			opens, stays = forX, forE
		}
		s.play(script)
		s.breaker = "conformance." + opens
		s.play("=OPEN")
		s.breaker = "conformance." + stays
		s.play("=CLOSED")
	}, "F>E S>open execs=1", "X>X S>open execs=1")
}

var timeoutScenarios = family{
	"S33": with(NewResilientS32, func(s *session, script string) { s.play(script); s.kinds("") }, "S/99ms>ok took=99ms timeouts=0"),
	"S34": with(NewResilientS34, func(s *session, script string) {
		var ended []error
		s.do = nil
		w, err := NewResilientS34(&resilience.Runtime{}, doFunc(func(ctx context.Context) (int, error) {
			if len(ended) < 2 {
				<-ctx.Done()
				ended = append(ended, ctx.Err())
				return 0, ctx.Err()
			}
			return 1, nil
		}))
		if err != nil {
			s.t.Fatal(err)
		}
		n, err := w.Do(context.Background())
		if n != 1 || err != nil || fmt.Sprint(ended) != "[context deadline exceeded context deadline exceeded]" {
			s.t.Errorf("%d, %v; %v", n, err, ended)
		}
		wrap(s, NewResilientS34)
		s.play(script)
	}, "H,H,S>ok execs=3 timeouts=2 took=200ms"),
	"S35": play(NewResilientS35, "F,F,S>ok execs=3 timeouts=0 took=2s", "F,S/90ms>ok timeouts=0 took=1090ms"),
	"S36": all(
		play(NewResilientS36, "F/60ms>timeout execs=3 took=150ms", "S/60ms>ok", "F/60ms,S/60ms>ok took=120ms"),
		// A delay that cannot end in time is not begun.
		play(NewResilientS36Delay, "F/60ms>E execs=1 took=60ms"),
		nested(NewResilientS39, NewResilientS35, "F>E execs=1 took=0s")),
	"S37": all(
		play(NewResilientS37, "H>timeout execs=3 took=100ms"),
		nested(NewResilientS39, NewResilientS43, "H>timeout execs=3 took=100ms")),
	"S38": play(slowFallback(NewResilientS38), "H>fb took=1100ms", "F>fb took=1s", "S>ok took=0s"),
	"S39": all(
		nested(NewResilientS39, slowFallback(NewResilientS39Inner), "F>timeout took=100ms", "S>ok"),
		// What was cut off was cut off by the caller, for the inner one: no fallback.
		nested(NewResilientS39, slowFallback(NewResilientS39Inner), "H>timeout took=100ms fallbacks=0")),
	"S40": all(
		play(NewResilientS40, "H>timeout took=50ms timeouts=1"),
		nested(NewResilientS40Short, NewResilientS40Long, "H>timeout took=50ms timeouts=1"),
		nested(NewResilientS40Long, NewResilientS40Short, "H>timeout took=50ms timeouts=1"),
		nested(NewResilientS40Retry, NewResilientS40Long, "H>timeout took=150ms timeouts=3")),
	"S41": all(ownContexts, func(t *testing.T) {
		var kept []context.Context
		w, err := NewResilientS51(&resilience.Runtime{}, doFunc(func(ctx context.Context) (int, error) {
			kept = append(kept, ctx)
			return 1, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Do(t.Context()); err != nil || len(kept) != 1 || kept[0].Err() != context.Canceled {
			t.Errorf("%v; after the call: %v", err, kept[0].Err())
		}
	}),
}

// slowFallback answers after a second, unless its context ends.
func slowFallback[W Service, F any](make func(*resilience.Runtime, Service, F) (W, error)) func(*resilience.Runtime, Service) (W, error) {
	answer := standIn{func(ctx context.Context, cause error) (int, error) {
		select {
		case <-time.After(time.Second):
			return answered(ctx, cause)
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}}
	return func(rt *resilience.Runtime, next Service) (W, error) { return make(rt, next, any(answer).(F)) }
}
