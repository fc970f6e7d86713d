package conformance

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// failureCases are failure modes of today's libraries.
var failureCases = family{
	"F01": play(NewResilientOne, "P*3>panic busy=0 S>ok", "G*3>goexit busy=0 S>ok"),
	"F02": all(
		play(NewResilientTwo, "F*2>E S>open +1s P>panic =OPEN S>open +1s S>ok =CLOSED"),
		play(NewResilientTwoThree, "F*2>E +1s P>panic =OPEN +1s a:hold G>goexit =OPEN a!S a>ok +1s S*3>ok =CLOSED")),
	"F03": play(NewResilientTwo, "P*2>panic =OPEN consecutive=2 openings=1 S>open execs=2", "P>panic G>goexit =OPEN"),
	"F04": all(
		with(NewResilientHedged, func(s *session, script string) {
			s.play(script)
			s.diedOf("P")
		}, "S/1s,P>panic took=10ms", "hold,P/5ms>panic took=15ms"),
		with(NewResilientAbandoned, func(s *session, script string) {
			s.play(script)
			s.diedOf("P")
		}, "P>panic busy=0", "P!500ms>panic took=500ms busy=0"),
		play(NewResilientAbandoned, "P!2s>timeout took=1s busy=1 +1s busy=0 S>ok")),
	"F05": all(
		stampede(NewResilientTwo, 1),
		stampede(NewResilientTwoThree, 3)),
	"F06": play(NewResilientTwo, "a:hold F*2>E +1s b:hold =HALF_OPEN a!S a>ok =HALF_OPEN S>open b!S b>ok =CLOSED"),
	"F07": play(NewResilientTwoThree,
		"a:hold b:hold F*2>E +1s c:hold d:hold e:hold S>open a!S b!F a>ok b>E =HALF_OPEN S*2>open execs=7 c!S d!S c>ok d>ok =HALF_OPEN e!S e>ok =CLOSED",
		"a:hold b:hold F*2>E +1s c:hold d:hold a!S b!S a>ok b>ok e:hold S>open execs=7"),
	"F08": all(
		play(NewResilientTwoHour, "a:hold F*2>E a!S a>ok =OPEN +59m59s S>open +1s =HALF_OPEN S>ok =CLOSED"),
		with(NewResilientTwo, func(s *session, script string) {
			s.play("a:hold")
			s.rt.Breaker(s.breaker).ForceOpen()
			s.play(script)
		}, "a!S a>ok S>open +1h S*20>open execs=1")),
	"F09": with(NewResilientTwo, func(s *session, _ string) {
		for range 10 {
			s.play("a:hold a^ a>canceled =CLOSED consecutive=0")
		}
		s.limit = time.Second
		s.play("H*10>deadline =CLOSED S>ok F>E =CLOSED")
	}, ""),
	"F10": play(NewResilientTwo, "F*2>E +1s a:hold a^ a>canceled =HALF_OPEN calls=0 F>E =OPEN"),
	"F11": with(NewResilientTwo, func(s *session, script string) {
		var seen []resilience.State
		s.also = func(_ context.Context, e resilience.Event) {
			b := s.rt.Breaker(s.breaker).Snapshot()
			if e.Kind == resilience.BreakerTransition {
				seen = append(seen, b.State)
			}
			_, _, _ = s.rt.Stats(), s.rt.Breakers(), s.rt.Health().Snapshot()
		}
		s.play(script)
		if got := fmt.Sprint(seen); got != "[open half_open closed]" {
			s.t.Errorf("a listener saw %s", got)
		}
	}, "F*2>E S>open +1s S>ok =CLOSED"),
	"F12": with(NewResilientAbandonedMany, func(s *session, _ string) {
		before := runtime.NumGoroutine()
		for i := range 50 {
			s.start(fmt.Sprint("c", i), "S!5s")
		}
		time.Sleep(time.Second)
		for i := range 50 {
			s.play(fmt.Sprintf("c%d>timeout", i))
		}
		if n := s.rt.Abandoned(); n != 50 {
			s.t.Errorf("%d abandoned, want 50", n)
		}
		s.play("+4s")
		for n := 0; runtime.NumGoroutine() > before && n < 1_000_000; n++ {
			runtime.Gosched() // one that is over counts for a moment
		}
		if n := s.rt.Abandoned(); n != 0 || runtime.NumGoroutine() > before {
			s.t.Errorf("%d abandoned, %d goroutines, %d before", n, runtime.NumGoroutine(), before)
		}
	}, ""),
	"F13": noGoroutineForEachObject,
	"F14": all(
		play(NewResilientQueue, "a:hold b:S +1s b? b^ b>canceled took=1s queued=0 a!S a>ok S>ok busy=0"),
		with(NewResilientQueue, func(s *session, script string) {
			s.play("a:hold")
			impatient(s, script)
		}, "S>deadline took=50ms queued=0 a!S a>ok S>ok busy=0")),
	"F15": play(NewResilientNinety, "F*8>E S*2>ok =CLOSED", "F*3>E S*7>ok =CLOSED", "S>ok F*9>E =OPEN"),
	"F16": play(NewResilientThrice, "F>E execs=3 took=2s gaps=1s,1s", "a:F +500ms a^ a>canceled+E took=500ms execs=1"),
	"F17": all(
		givenBack(NewResilientLimitToken, "100ms"),
		givenBack(NewResilientLimitSmooth, "100ms"),
		givenBack(NewResilientLimitRolling, "1s")),
	"F18": all(
		play(NewResilientOne, "S*1000>ok"),
		play(NewResilientQueueBrief, "S*1000>ok")),
	"F19": play(NewResilientTwoRetried, "F,F>open+E execs=2 rejected=1 S>open took=0s execs=2 rejected=2"),
	"F20": play(NewResilientThrice, "Canceled>canceled+Canceled execs=1 took=0s"),
	"F21": all(
		with(NewResilientThrice, func(s *session, script string) {
			s.limit = 100 * ms
			s.play(script)
		}, "F>E execs=1 took=0s"),
		with(NewResilientThriceTimed, func(s *session, script string) {
			s.limit = 2500 * ms
			s.play(script)
		}, "F>E execs=2 took=1s"),
		play(NewResilientThrice, "a:F,F +1500ms a^ a>canceled+E execs=2")),
	"F22": play(NewResilientWindowed, "S>ok F*3>E failures=3 calls=4 +1200ms failures=0 calls=0"),
	"F23": play(NewResilientTwo, "F*2>E +999ms =OPEN +1ms =HALF_OPEN"),
	"F24": play(NewResilientSparse, strings.Repeat("F>E +60ms ", 5)+"=CLOSED consecutive=5 F>E =OPEN"),
	"F25": play(NewResilientThriceTimed, "F>E execs=3 gaps=1s,2s F>E execs=6 gaps=1s,2s a:F b:F a>E gaps=1s,2s b>E gaps=1s,2s execs=12"),
}

// diedOf fails unless the last call raised again what a delegate of another
// goroutine panicked with, and with that goroutine's stack.
func (s *session) diedOf(value any) {
	s.t.Helper()
	p, ok := s.last.died.(*resilience.PanicError)
	if !ok || p.Value != value || !strings.Contains(string(p.Stack), "perform") {
		s.t.Errorf("died of %v", s.last.died)
	}
}

// stampede makes 100 calls at once when a breaker is due, which only so many
// pass.
func stampede[W Service](make func(*resilience.Runtime, Service) (W, error), pass int) func(*testing.T) {
	return with(make, func(s *session, _ string) {
		s.play("F*2>E +1s")
		for i := range 100 {
			s.start(fmt.Sprint("c", i), "hold")
		}
		synctest.Wait()
		s.play(fmt.Sprintf("execs=%d peak=%d rejected=%d =HALF_OPEN", 2+pass, pass, 100-pass))
	}, "")
}

// noGoroutineForEachObject runs without a bubble, whose goroutines are counted
// too.
func noGoroutineForEachObject(t *testing.T) {
	before := runtime.NumGoroutine()
	rt, err := resilience.Open(resilience.Options{Observe: func(context.Context, resilience.Event) {}})
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	delegate := doFunc(func(context.Context) (int, error) {
		if n.Add(1)%2 == 0 {
			return 0, resilience.Permanent(E) // no delay, no hedge
		}
		return 1, nil
	})
	for i := range 100 {
		a, err1 := NewResilientEverything(rt.Named(fmt.Sprint(i)), delegate)
		b, err2 := NewResilientEverythingHedged(rt.Named(fmt.Sprint(i)), delegate)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			_, _ = a.Do(t.Context())
			_, _ = b.Do(t.Context())
		}
	}
	for until := time.Now().Add(time.Minute); runtime.NumGoroutine() > before && time.Now().Before(until); {
		time.Sleep(time.Millisecond) // a hedge that a busy machine began is over soon
	}
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines before, %d with 200 wrappers", before, now)
	}
	if err := rt.Close(); err != nil {
		t.Error(err)
	}
}

// givenBack has 20 callers leave the queue of a limiter that serves 10 in a
// second.
func givenBack[W Service](make func(*resilience.Runtime, Service) (W, error), after string) func(*testing.T) {
	return with(make, func(s *session, _ string) {
		for i := 0; s.limiter().RetryAfter == 0 && i < 10; i++ {
			s.play("S>ok")
		}
		for i := range 20 {
			s.start(fmt.Sprint("c", i), "S")
		}
		synctest.Wait()
		s.play("waiting=20")
		for i := range 20 {
			s.play(fmt.Sprintf("c%[1]d^ c%[1]d>canceled", i))
		}
		s.play("waiting=0 after=" + after)
	}, "")
}
