package resilience

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// What random histories (testdata/histories) found.

// TestLateOnlyAttempt is the timeout's doing, also where a retry might follow.
func TestLateOnlyAttempt(t *testing.T) {
	for _, r := range []Retry{{}, {MaxAttempts: 1}, {MaxAttempts: 2, MaxDuration: time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, Policy{Timeout: Timeout{Attempt: time.Second}, Retry: r})
			var e *Error
			if err := Try(t.Context(), g, hang); !errors.As(err, &e) || e.Policy != "timeout" || e.Attempts != 1 || !errors.Is(err, ErrTimeout) {
				t.Errorf("%+v: %v", r, err)
			}
		})
	}
}

// TestPoorResultAfterTheCallerLeft is no success of the peer.
func TestPoorResultAfterTheCallerLeft(t *testing.T) {
	g := mustGuard(t, Policy{Breaker: Breaker{On: true}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	call := g.Begin(ctx)
	defer call.End()
	for call.Next() {
		cancel()
		call.RecordResult(nil, false, true)
	}
	if b := g.rt.Breakers()[0].Snapshot(); b.Calls != 0 {
		t.Errorf("%d calls, %d failures", b.Calls, b.Failures)
	}
}

// TestMaxDurationPassesInTheQueue ends a call as it would have ended before the
// queue.
func TestMaxDurationPassesInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			first error // nil: a result that is not wanted
			want  error
		}{{errPeer, errPeer}, {nil, ErrUnwantedResult}} {
			g := mustGuard(t, Policy{
				Retry:    Retry{MaxAttempts: 2, MaxDuration: time.Second, FailOnExhaustedResult: true, Backoff: Backoff{InitialDelay: time.Millisecond}},
				Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: time.Hour},
			})
			call := g.Begin(t.Context())
			for call.Next() {
				call.RecordResult(c.first, c.first == nil, false)
				go func() {
					_ = Try(context.Background(), g, func(context.Context) error { time.Sleep(time.Hour); return nil })
				}()
				synctest.Wait()
			}
			if err := call.Err(); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			call.End()
			time.Sleep(time.Hour)
		}
	})
}

// TestRejectedAndThenMaxDurationPasses: a call that nothing answered is no
// success.
func TestRejectedAndThenMaxDurationPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{
			Retry:    Retry{MaxAttempts: 2, MaxDuration: time.Second, RetryOn: Matcher{Kinds: KindBulkheadFull}, Backoff: Backoff{InitialDelay: time.Millisecond}},
			Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: 700 * time.Millisecond},
		})
		go func() {
			_ = Try(context.Background(), g, func(context.Context) error { time.Sleep(time.Hour); return nil })
		}()
		synctest.Wait()
		if err := Try(t.Context(), g, hang); !errors.Is(err, ErrBulkheadFull) {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Hour)
	})
}
