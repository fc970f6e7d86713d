package resilience

import (
	"context"
	"errors"
	"sync"
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

// TestPermitThatComesBackOverflows: who waited for it has not saved up what a
// full bucket lost meanwhile.
func TestPermitThatComesBackOverflows(t *testing.T) {
	const ms = time.Millisecond
	b := newBucket(&RateLimit{Limit: 1, Burst: 1, Period: 100 * ms}, 0)
	b.take(0, 0, 1)
	receipt, _ := b.take(100*ms, 100*ms, 1)
	b.repay(190*ms, receipt, 1)
	if _, ok := b.take(190*ms, 110*ms, 1); !ok {
		t.Error("the permit did not come back")
	}
	if at := b.ready(190*ms, 190*ms, 1); at != 290*ms {
		t.Errorf("the next one at %v, want 290ms", at)
	}
}

// TestPanicFreesWhatTheFirstAttemptHolds is told to the breaker, and frees its slot, before
// its hedges have returned; they count as attempts.
func TestPanicFreesWhatTheFirstAttemptHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Hedge: Hedge{Delay: time.Second}, Breaker: Breaker{On: true}, Bulkhead: Bulkhead{MaxConcurrent: 2}, Budget: Budget{On: true}})
		var group sync.WaitGroup
		group.Go(func() {
			defer func() { _ = recover() }()
			call := g.Begin(t.Context())
			defer call.End()
			_, _ = Hedged(&call, func(ctx context.Context) (int, error) {
				if Attempt(ctx).Number > 1 {
					time.Sleep(time.Hour)
					return 1, nil
				}
				time.Sleep(2 * time.Second)
				panic("first")
			})
		})
		time.Sleep(3 * time.Second)
		if b := g.rt.Breakers()[0].Snapshot(); b.Failures != 1 {
			t.Errorf("%d failures", b.Failures)
		}
		if err := Try(t.Context(), g, func(context.Context) error { return nil }); err != nil {
			t.Errorf("with one attempt in flight: %v", err)
		}
		group.Wait()
		if b := g.rt.Budgets()[0]; b.Attempts != 3 {
			t.Errorf("%d attempts, want 3", b.Attempts)
		}
	})
}

// TestSlotForOneWhoLeaves goes to the next one also where both happen at the same
// moment.
func TestSlotForOneWhoLeaves(t *testing.T) {
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		b := newBulkhead("b", Bulkhead{MaxConcurrent: 1, MaxWait: time.Hour})
		b.quick()
		turn := make(chan struct{})
		b.waiting = append(b.waiting, turn)
		cancel()
		b.release()
		b.serve()
		if err := b.wait(ctx, time.Hour, 0, nil, turn); err != context.Canceled {
			t.Fatalf("%v", err)
		}
		if n := b.taken.Load(); n != 0 {
			t.Fatalf("%d slots taken", n)
		}
	}
}
