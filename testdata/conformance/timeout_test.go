package conformance

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

var timeoutCases = family{
	"MP-TO-02": play(NewResilientMPTO02, "S/2500ms>timeout took=2s", "F/2500ms>timeout", "S/1500ms>ok took=1500ms", "F/1500ms>E"),
	"MP-TO-03": play(NewResilientMPTO03, "S/1s>timeout took=500ms", "S/10ms>ok"),
	"MP-TO-04": all(
		play(NewResilientMPTO04Longer, "S/1500ms>ok", "S/2500ms>timeout took=2s"),
		play(NewResilientMPTO04Shorter, "S/1s>timeout took=500ms")),
	"MP-TO-08": play(NewResilientMPTO08,
		"a:S!3s +500ms a>timeout took=500ms b:S b? +500ms b>timeout took=500ms execs=1 "+
			"c:S d:S d>full c? +500ms c>timeout execs=1 +2s S>ok execs=2"),
	"MP-TO-09": all(
		play(NewResilientMPTO09, "a:S/400ms +100ms b:H b? +300ms a>ok b>timeout took=500ms execs=2"),
		play(NewResilientMPTO09Attempt, "a:S/400ms +100ms b:H b? +300ms a>ok b>timeout took=800ms execs=2")),
	"MP-TO-12": play(NewResilientMPTO12, "S!5s>timeout took=2s", "S!500ms>ok took=500ms"),
	"MP-TO-13": play(NewResilientMPTO13, "a:hold +1s a^ a>canceled took=1s =CLOSED calls=0 failures=0"),
	"MP-TO-14": play(NewResilientMPTO14, "a:S!10s +1s a^ a>canceled took=1s S>full +8999ms S>full +1ms S>ok"),
	"MP-TO-15": play(NewResilientSMR11, "a:hold b:S c:S c>full b^ b>canceled d:S d? a!S a>ok d>ok execs=2 order=a,d"),
	"MP-TO-16": play(NewResilientMPTO16, "a:hold a^ a>canceled execs=1"),
	"R4J-50":   play(NewResilientR4J50, "S/2s>timeout took=1s", "H>timeout took=1s"),
	"POL-35": all(
		with(NewResilientR4J50, func(s *session, script string) {
			s.play(script)
			if err := s.last.err; err == context.DeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) {
				s.t.Errorf("got %#v, want more than the context's error, and that", err)
			}
		}, "H>timeout timeouts=1"),
		with(NewResilientR4J50, func(s *session, script string) {
			s.play("a:cause +500ms")
			s.calls["a"].cancel(errCaller)
			synctest.Wait()
			s.play(script)
		}, "a>caller took=500ms timeouts=0")),
	"HYX-15": all(
		play(NewResilientHYX15, "S!2s>ok took=2s slow=1 calls=1 failures=0 fallbacks=0", "F!2s>fb fallbacks=1 failures=1"),
		play(NewResilientHYX15Abandon, "S!2s>fb took=1s fallbacks=1 calls=1 failures=1 +5s calls=1 failures=1 fallbacks=1")),
	"MSX-01": generate("interfaces: {Gateway: {timeout: {total: 30s, attempt: 40s}}}", "timeout", "30s", "40s", "(RG001)"),
}

var bulkheadCases = family{
	"MP-BH-02": all(
		play(NewResilientMPBH02, "a:hold b:hold S>full took=0s execs=2"),
		warned("interfaces: {Gateway: {bulkhead: {maxConcurrent: 2, maxQueue: 3}}}", "(RG051)")),
	"MP-BH-04": play(NewResilientMPBH04, "a:hold b:hold c:S d:S S>full c? d? a!S b!S a>ok b>ok c>ok d>ok execs=4"),
	"MP-BH-05": all(
		pressure(NewResilientMPBH05, 5),
		pressure(NewResilientMPBH05Queue, 10)),
	"MP-BH-07": play(NewResilientMPBH07, "a:hold b:S +1050ms b? a!S a>ok b>ok took=1100ms execs=2 order=a,b"),
	"MP-BH-08": play(NewResilientMPBH08, "a:F +500ms b:hold execs=2 +500ms a>full+E took=1s b!S b>ok execs=2"),
	"MP-BH-09": all(
		play(NewResilientMPBH09, "a:hold S>full took=0s execs=1"),
		play(NewResilientMPBH09On, "a:hold S>full took=0s execs=1"),
		play(NewResilientMPBH09Abort, "a:hold S>full took=0s execs=1"),
		play(NewResilientMPBH09One, "a:hold S>full took=0s execs=1")),
	"MP-BH-10": play(NewResilientMPBH10,
		"a:F,S b:hold +200ms a? execs=2 b!S b>ok a>ok order=a,b,a",
		"a:F,S b:hold c:S +100ms a>full+E b!S b>ok c>ok order=a,b,c"),
	"MP-BH-11": play(NewResilientMPBH11, "a:hold,S b:S b? a!F a>ok b>ok order=a,b,a"),
	"SMR-11":   play(NewResilientSMR11, "a:hold b:S b^ b>canceled c:S c? a!S a>ok c>ok execs=2", "P>panic S>ok", "a:hold b:S a!S a>ok b>ok"),
}

// pressure makes 100 calls of 50ms, 25ms apart, and then 100 at once, of which
// only enough find a place.
func pressure[W Service](make func(*resilience.Runtime, Service) (W, error), enough int) func(*testing.T) {
	return func(t *testing.T) {
		for _, apart := range []time.Duration{25 * ms, 0} {
			bubble(t, func(s *session) {
				wrap(s, make)
				var calls []*call
				for range 100 {
					calls = append(calls, s.start("", "S/50ms"))
					time.Sleep(apart)
				}
				count := map[string]int{}
				for _, c := range calls {
					<-c.done
					count[c.outcome()]++
				}
				if s.peak > 5 || count["ok"] < enough || count["ok"]+count["full"] != 100 {
					t.Errorf("%d at a time, outcomes %v", s.peak, count)
				}
				if apart == 0 && (s.peak != 5 || count["ok"] != enough) {
					t.Errorf("all at once: %d at a time, outcomes %v, want 5 and %d ok", s.peak, count, enough)
				}
			})
		}
	}
}
