package resilience

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestOwnRejectionSaysWhenToRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{
			Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: 5 * time.Second},
			Retry:   Retry{MaxAttempts: 3, RetryOn: Matcher{Any: true, Kinds: KindCircuitOpen}, Backoff: Backoff{Strategy: NoBackoff}}})
		f, calls := failing(1, errPeer)
		if err := Try(t.Context(), g, f); err != nil || *calls != 2 {
			t.Errorf("%d calls, %v; want the second one once the breaker lets it", *calls, err)
		}
	})
}

func TestRetryAfterFuncIsAskedBehindAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: NoBackoff}}})
		g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: NoBackoff}}, Errors: Errors{RetryAfterOf: func(err error) (time.Duration, bool) { return 7 * time.Second, errors.Is(err, errPeer) }}})
		start := time.Now()
		_ = Try(t.Context(), g, func(ctx context.Context) error {
			return Try(ctx, inner, func(context.Context) error { return errPeer })
		})
		if d := time.Since(start); d < 7*time.Second {
			t.Errorf("slept %v", d)
		}
	})
}

func TestJitterOfRetryAfterIsRandom(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			rt := &Runtime{}
			g, _ := rt.Guard("x", Policy{Retry: Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}}})
			start, n := time.Now(), 0
			_ = Try(t.Context(), g, func(context.Context) error {
				if n++; n == 1 {
					return errPeer
				} else if n == 2 {
					return throttled{10 * time.Second}
				}
				return nil
			})
			seen[time.Since(start)] = true
		})
	}
	if len(seen) == 1 {
		t.Errorf("%v", seen)
	}
}

func TestRetryAfterOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 2, RetryAfter: RetryAfter{Max: math.MaxInt64}}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		f, calls := failing(9, throttled{math.MaxInt64})
		_ = Try(ctx, g, f)
		if *calls != 1 {
			t.Errorf("%d calls though the peer asked for 292 years", *calls)
		}
	})
}

func TestLongRetryAfterOfIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 3}, Errors: Errors{RetryAfterOf: func(error) (time.Duration, bool) { return time.Minute, true }}})
		err := Try(t.Context(), g, func(context.Context) error { return fmt.Errorf("x: %w", errPeer) })
		var asked interface{ RetryAfter() (time.Duration, bool) }
		if !errors.As(err, &asked) {
			t.Fatalf("%T %v says not when", err, err)
		}
		if d, ok := asked.RetryAfter(); d != time.Minute || !ok {
			t.Errorf("%v %v", d, ok)
		}
	})
}

func TestSaturationAtTheEndOfTime(t *testing.T) {
	const forever = time.Duration(math.MaxInt64)
	for s := Constant; s <= Sequence; s++ {
		for j := NoJitter; j <= DecorrelatedJitterV2; j++ {
			b := Backoff{Strategy: s, Jitter: j, MaxDelay: forever, InitialDelay: time.Hour, Multiplier: 10, Delays: []time.Duration{forever}}
			prev := time.Hour
			for n := range 2000 {
				prev = b.delay(n, prev, 0.999)
				if prev < 0 {
					t.Errorf("strategy %d jitter %d: delay(%d) = %v", s, j, n, prev)
					break
				}
			}
		}
	}
	b := newBreaker("", Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second, OpenBackoff: OpenBackoff{Multiplier: 10, MaxDuration: forever}}, false, nil)
	b.reopened = 100
	if until := b.openUntil() - b.openedAt; until < time.Hour {
		t.Errorf("opening 100 lasts %v", until)
	}
}
