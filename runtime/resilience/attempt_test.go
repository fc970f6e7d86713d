package resilience

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// attemptsOf returns what each attempt of a call under p was told.
func attemptsOf(t *testing.T, ctx context.Context, p Policy, results ...error) []AttemptInfo {
	t.Helper()
	g := mustGuard(t, p)
	var seen []AttemptInfo
	_ = Try(ctx, g, func(ctx context.Context) error {
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		seen = append(seen, Attempt(child))
		return results[len(seen)-1]
	})
	return seen
}

func TestAttemptTellsNumberAndWhatFailedBefore(t *testing.T) {
	fast := Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}}
	for name, p := range map[string]Policy{
		"bare":       {Retry: fast},
		"timeout":    {Retry: fast, Timeout: Timeout{Attempt: time.Minute}},
		"open":       {Retry: fast, Timeout: Timeout{Open: time.Minute}},
		"background": {Retry: Retry{MaxAttempts: 3, Backoff: Backoff{InitialDelay: time.Second}}, Timeout: Timeout{Total: time.Hour}},
	} {
		synctest.Test(t, func(t *testing.T) {
			second := errors.New("second")
			seen := attemptsOf(t, context.WithValue(t.Context(), stream{}, 1), p, errPeer, second, nil)
			want := []AttemptInfo{{Number: 1}, {Number: 2, Before: errPeer}, {Number: 3, Before: second}}
			for i, got := range seen {
				got.Left, got.Limited = 0, false
				if got != want[i] {
					t.Errorf("%s: attempt %d: %+v, want %+v", name, i+1, got, want[i])
				}
			}
			if len(seen) != 3 {
				t.Errorf("%s: %d attempts", name, len(seen))
			}
		})
	}
}

func TestAttemptTellsTheTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deadline, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, c := range []struct {
			ctx     context.Context
			timeout Timeout
			left    time.Duration
			limited bool
		}{
			{t.Context(), Timeout{}, 0, false},
			{t.Context(), Timeout{Attempt: time.Minute}, time.Minute, true},
			{t.Context(), Timeout{Open: time.Minute}, time.Minute, true},
			{deadline, Timeout{Attempt: time.Minute}, time.Second, true},
			{deadline, Timeout{Attempt: time.Millisecond}, time.Millisecond, true},
			{deadline, Timeout{}, time.Second, true},
		} {
			got := attemptsOf(t, c.ctx, Policy{Timeout: c.timeout, Bulkhead: Bulkhead{On: true}}, nil)[0]
			if got.Left != c.left || got.Limited != c.limited {
				t.Errorf("%+v: %+v, want %v, %v", c.timeout, got, c.left, c.limited)
			}
		}
	})
}

func TestAttemptTellsOfRejectionsBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{
			Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: 10 * time.Second},
			Retry:   Retry{MaxAttempts: 5, RetryOn: Matcher{Any: true, Kinds: KindCircuitOpen}, Backoff: Backoff{Strategy: Constant, InitialDelay: time.Second, Jitter: NoJitter}},
		})
		var seen []AttemptInfo
		err := Try(t.Context(), g, func(ctx context.Context) error {
			seen = append(seen, Attempt(ctx))
			if len(seen) == 1 {
				return errPeer
			}
			return nil
		})
		if err != nil || len(seen) != 2 || seen[1].Number != 2 || !errors.Is(seen[1].Before, ErrCircuitOpen) {
			t.Errorf("%v, %+v", err, seen)
		}
	})
}

func TestAttemptOfNobody(t *testing.T) {
	if got := Attempt(t.Context()); got != (AttemptInfo{Number: 1}) {
		t.Errorf("%+v", got)
	}
}

// TestAttemptsOfNestedGuards: a guard with a timeout tells of its own attempt.
func TestAttemptsOfNestedGuards(t *testing.T) {
	outer := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: NoBackoff}}})
	inner := mustGuard(t, Policy{Timeout: Timeout{Total: time.Minute}})
	var numbers []int
	_ = Try(t.Context(), outer, func(ctx context.Context) error {
		return Try(ctx, inner, func(ctx context.Context) error {
			numbers = append(numbers, Attempt(ctx).Number)
			return errPeer
		})
	})
	if len(numbers) != 2 || numbers[0] != 1 || numbers[1] != 1 {
		t.Errorf("%v", numbers)
	}
}

// TestAttemptContextsMakeNoGoroutine: children of a later attempt's context
// find the cancelable context beneath it.
func TestAttemptContextsMakeNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		seen := attemptsOf(t, ctx, Policy{Retry: Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: NoBackoff}}}, errPeer, nil)
		if len(seen) != 2 {
			t.Fatal(seen)
		}
		later := &attemptContext{ctx, 2, false, nil}
		child, stop := context.WithCancel(later)
		defer stop()
		cancel(errPeer)
		if child.Err() != context.Canceled || context.Cause(child) != errPeer || context.Cause(later) != errPeer {
			t.Errorf("%v, cause %v", child.Err(), context.Cause(child))
		}
	})
}
