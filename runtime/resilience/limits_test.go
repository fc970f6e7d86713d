package resilience

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// TestForever is about limits that end after time does: they are no limits, and
// not ones that have passed long ago.
func TestForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const forever = time.Duration(math.MaxInt64)
		g := mustGuard(t, Policy{Timeout: Timeout{Total: forever, Attempt: forever - 1}, Retry: Retry{MaxAttempts: 2, MaxDuration: forever, Backoff: Backoff{Jitter: NoJitter}}})
		f, calls := failing(1, errPeer)
		if err := Try(t.Context(), g, f); err != nil || *calls != 2 {
			t.Errorf("%d calls, %v", *calls, err)
		}
		g = mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: forever, HalfOpen: HalfOpen{MaxWait: forever}}})
		if got := script(t, g, "F+S+S"); got != "foo" {
			t.Errorf("got %s, want a breaker that stays open", got)
		}
	})
}

// TestMaxDurationCountsFromTheBeginning has a first attempt that takes most of
// it.
func TestMaxDurationCountsFromTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 9, MaxDuration: time.Second, Backoff: Backoff{Strategy: Constant, InitialDelay: 100 * time.Millisecond, Jitter: NoJitter}}})
		attempts := 0
		err := Try(t.Context(), g, func(context.Context) error {
			attempts++
			time.Sleep(600 * time.Millisecond)
			return errPeer
		})
		if attempts != 2 || !errors.Is(err, errPeer) {
			t.Errorf("%d attempts, want 2: the third would begin 1.4s after the first (%v)", attempts, err)
		}
	})
}

// TestMaxWaitEndsWhenItIsDue has a probe that hangs, and nobody calls until the
// breaker, open since maxWait passed, is half-open once more.
func TestMaxWaitEndsWhenItIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second}})
		b := g.rt.Breakers()[0]
		hung(t, g)
		for _, want := range []State{StateHalfOpen, StateOpen, StateHalfOpen} {
			if s := b.Snapshot(); s.State != want || (s.RetryAfter == time.Second) != (want == StateOpen) {
				t.Errorf("%+v, want state %d", s, want)
			}
			time.Sleep(time.Second)
		}
		if got := script(t, g, "S"); got != "s" {
			t.Errorf("got %s: it was open since maxWait passed, for no longer than openDuration", got)
		}
	})
}

func TestSnapshotTellsOfProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range []HalfOpenMode{AllMode, RateMode} {
			g := mustGuard(t, Policy{Breaker: Breaker{Window: Window{Size: 4}, OpenDuration: time.Second,
				HalfOpen: HalfOpen{Mode: mode, PermittedCalls: 4, SuccessThreshold: 4}}})
			b := g.rt.Breakers()[0]
			script(t, g, "FFFF")
			if s := b.Snapshot(); s.Calls != 4 || s.Failures != 4 {
				t.Errorf("open: %+v", s)
			}
			script(t, g, "+")
			if s := b.Snapshot(); s.State != StateHalfOpen || s.Calls != 0 || s.Failures != 0 {
				t.Errorf("half-open: %+v", s)
			}
			script(t, g, "SS")
			if s := b.Snapshot(); s.Calls != 2 || s.Failures != 0 {
				t.Errorf("after two probes: %+v", s)
			}
			script(t, g, "SS")
			if s := b.Snapshot(); s.State != StateClosed || s.Calls != 0 {
				t.Errorf("closed: %+v", s)
			}
		}
	})
}

func TestShadowGoesOnRecording(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{Window: Window{Size: 4}, MinimumCalls: 1, Mode: Shadow}})
		script(t, g, "FSSS")
		if s := g.rt.Breakers()[0].Snapshot(); s.State != StateOpen || s.Calls != 4 || s.Failures != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestRejectionIsRecordedOnlyByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			recordOn, ignoreOn Kind
			want               int
		}{{0, 0, 0}, {KindBulkheadFull, 0, 1}, {KindBulkheadFull, KindBulkheadFull, 0}, {KindTimeout, 0, 0}} {
			g := mustGuard(t, Policy{Bulkhead: Bulkhead{MaxConcurrent: 1}, Breaker: Breaker{
				ConsecutiveFailures: 5, RecordOn: Matcher{Kinds: c.recordOn}, IgnoreOn: Matcher{Kinds: c.ignoreOn}}})
			if err := Try(t.Context(), g, func(ctx context.Context) error {
				if err := Try(ctx, g, func(context.Context) error { return nil }); !errors.Is(err, ErrBulkheadFull) {
					t.Errorf("%v, want a full bulkhead", err)
				}
				if s := g.rt.Breakers()[0].Snapshot(); s.Consecutive != c.want {
					t.Errorf("%+v: %d failures", c, s.Consecutive)
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestCallerWhoLeavesASleep finds both why the call ended and what it slept
// for, and no fallback.
func TestCallerWhoLeavesASleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Retry: Retry{Backoff: Backoff{InitialDelay: time.Hour, MaxDelay: time.Hour, Jitter: NoJitter}}, Fallback: Fallback{On: true}})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		call := g.Begin(ctx)
		defer call.End()
		for call.Next() {
			call.Record(errPeer)
		}
		if err := call.Err(); !errors.Is(err, context.Canceled) || !errors.Is(err, errPeer) || call.WantsFallback() {
			t.Errorf("%v, fallback %v", err, call.WantsFallback())
		}
	})
}
