package resilience

import (
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAutoHalfOpenLetsSeldomCallersIn: the peer has long recovered, and somebody
// calls every 12 seconds. A half-open that nobody probed can still decide.
func TestAutoHalfOpenLetsSeldomCallersIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: 5 * time.Second, AutoHalfOpen: true}})
		if got := script(t, g, "F"+strings.Repeat("++++++++++++S", 20)); !strings.Contains(got, "s") {
			t.Errorf("%s: no call is let in any more", got)
		}
		_ = g.rt.Close()
	})
}

func TestBreakerThatBeginsOpenWithATimer(_ *testing.T) {
	for range 100 {
		b := newBreaker("", Breaker{On: true, InitialState: StateOpen, OpenDuration: 1, AutoHalfOpen: true}, true, nil)
		for b.mu.Lock(); b.state != StateHalfOpen; b.mu.Lock() {
			b.mu.Unlock()
		}
		b.mu.Unlock()
	}
}

func TestForceOpenKeepsTheCounts(t *testing.T) {
	g := mustGuard(t, Policy{Breaker: Breaker{Window: Window{Size: 50}}})
	script(t, g, "SSSSSSSSSS")
	b := g.rt.Breakers()[0]
	b.ForceOpen()
	if s := b.Snapshot(); s.Calls != 10 {
		t.Errorf("%+v", s)
	}
}

func TestForcedOpenStaysForcedForWhoLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second, HalfOpen: HalfOpen{SuccessThreshold: 2}}})
		script(t, g, "F+S") // half-open
		b := g.rt.Breakers()[0]
		b.ForceOpen()
		time.Sleep(time.Minute)
		b.Snapshot()
		b.Snapshot()
		err := Try(t.Context(), g, hang)
		if d, ok := err.(*Error).RetryAfter(); ok {
			t.Errorf("forced open, but %v (%v)", err, d)
		}
		if s := b.Snapshot(); s.Openings != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestSnapshotMovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: 2 * time.Second}})
		script(t, g, "F++")
		g.rt.Breakers()[0].Snapshot()
		if got := script(t, g, "+++S"); got != "s" {
			t.Errorf("after a look at it: %s, want s", got)
		}
	})
}

// TestSeldomSuccessesClose: two successes are to close, and somebody calls every
// 90 seconds. No probe hangs and none fails, so nothing is left to wait for.
func TestSeldomSuccessesClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Minute, HalfOpen: HalfOpen{SuccessThreshold: 2}}})
		if got := script(t, g, "F"+strings.Repeat(strings.Repeat("+", 90)+"S", 20)); strings.Contains(got, "o") {
			t.Errorf("%s: a healthy peer is rejected every other time for ever", got)
		}
	})
}

func TestBulkheadRejectionIsNotSlow(t *testing.T) {
	g := mustGuard(t, Policy{Bulkhead: Bulkhead{MaxConcurrent: 1}, Breaker: Breaker{SlowCallDuration: time.Second, RecordOn: Matcher{Kinds: KindBulkheadFull}}})
	_ = Try(t.Context(), g, func(ctx context.Context) error {
		_ = Try(ctx, g, func(context.Context) error { return nil })
		return nil
	})
	if s := g.rt.Breakers()[0].Snapshot(); s.Slow != 0 || s.Failures != 1 {
		t.Errorf("%+v", s)
	}
}

func TestThresholdNone(t *testing.T) {
	g := mustGuard(t, Policy{Breaker: Breaker{Window: Window{Size: 4}, FailureRateThreshold: None, SlowCallDuration: time.Hour}})
	if got := script(t, g, "SSSSSSFSS"); got != "ssssssfss" {
		t.Errorf("failure rate none: %s", got)
	}
	g = mustGuard(t, Policy{Breaker: Breaker{Window: Window{Size: 4}, FailureRateThreshold: 100, SlowCallDuration: time.Hour, SlowCallRateThreshold: None}})
	if got := script(t, g, "SSSSSSFSS"); got != "ssssssfss" {
		t.Errorf("slow rate none: %s", got)
	}
}

func TestCloseLeavesNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Hour, AutoHalfOpen: true}})
		b := g.plan.Load().breaker
		_ = Try(t.Context(), g, func(context.Context) error { _ = g.rt.Close(); return errPeer })
		if b.timer != nil {
			t.Error("a call in flight started a timer after Close")
		}
	})
}

func TestHugeWindowIsRefused(t *testing.T) {
	for _, w := range []Window{{Size: math.MaxInt}, {Type: TimeWindow, Buckets: math.MaxInt}} {
		func() {
			defer func() {
				if v := recover(); v != nil {
					t.Errorf("%+v: %v", w, v)
				}
			}()
			if _, err := new(Runtime).Guard("x", Policy{Breaker: Breaker{Window: w}}); err == nil {
				t.Error("accepted")
			}
		}()
	}
}

func TestRateModeWithoutARateIsRefused(t *testing.T) {
	if p := (Policy{Breaker: Breaker{ConsecutiveFailures: 3, HalfOpen: HalfOpen{Mode: RateMode}}}); p.check() == nil {
		t.Error("rate mode with lone consecutiveFailures")
	}
}

// TestTransitionsAreChanges has an operator close what is closed, open what is
// open, and reset: a transition is counted where there is one.
func TestTransitionsAreChanges(t *testing.T) {
	g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1}})
	b := g.rt.Breakers()[0]
	counted := func(what string, want int64) {
		t.Helper()
		if got := b.Snapshot().Transitions; got != want {
			t.Errorf("%s: %d transitions, want %d", what, got, want)
		}
	}
	b.Close()
	b.Close()
	counted("closed twice while closed", 0)
	_ = Try(t.Context(), g, func(context.Context) error { return errPeer })
	counted("opened by a failure", 1)
	b.Close()
	counted("closed by hand", 2)
	b.ForceOpen()
	b.Close()
	counted("forced open and closed: the state beneath stayed closed", 2)
	b.Reset()
	counted("reset", 0)
}
