package resilience

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestCallerAndTotalEndTogetherInTheQueue(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, Policy{Timeout: Timeout{Total: time.Second}, Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: time.Hour}})
			g.plan.Load().bulkhead.take()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := Try(ctx, g, hang)
			var e *Error
			if err != context.DeadlineExceeded && !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
		})
	}
}

func TestCallerWhoLeavesTheQueueOfASecondAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: time.Hour},
			Retry: Retry{Backoff: Backoff{Strategy: Constant, InitialDelay: time.Second, Jitter: NoJitter}}})
		ctx, cancel := context.WithCancel(t.Context())
		hold := make(chan struct{})
		var group sync.WaitGroup
		time.AfterFunc(10*time.Second, cancel)
		err := Try(ctx, g, func(context.Context) error {
			group.Go(func() { _ = Try(context.Background(), g, func(context.Context) error { <-hold; return nil }) })
			return errPeer
		})
		if !errors.Is(err, context.Canceled) || !errors.Is(err, errPeer) {
			t.Errorf("%v", err)
		}
		close(hold)
		group.Wait()
	})
}

func TestHandedSlotIsTaken(t *testing.T) {
	for range 200 {
		b := newBulkhead("", Bulkhead{MaxConcurrent: 1, MaxWait: 1})
		b.queued.Store(1) // somebody else is between joining the queue and leaving it
		if err := b.acquire(context.Background(), 0, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMaxDurationHoldsInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: time.Hour},
			Retry: Retry{MaxAttempts: 5, MaxDuration: 2 * time.Second, Backoff: Backoff{Strategy: Constant, InitialDelay: time.Second, Jitter: NoJitter}}})
		var group sync.WaitGroup
		calls := 0
		_ = Try(t.Context(), g, func(context.Context) error {
			if calls++; calls == 1 {
				group.Go(func() {
					_ = Try(context.Background(), g, func(context.Context) error { time.Sleep(time.Minute); return nil })
				})
			}
			return errPeer
		})
		if calls != 1 {
			t.Errorf("%d attempts, the second one began a minute after the first", calls)
		}
		group.Wait()
	})
}

func TestTotalTimeoutOfTheQueueIsTransient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Total: time.Second}, Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: time.Hour}, Fallback: Fallback{ApplyOn: Matcher{Kinds: KindTransient}}})
		_ = Try(t.Context(), g, func(_ context.Context) error {
			if !wants(context.Background(), g, nil) {
				t.Error("a timeout is transient")
			}
			return nil
		})
	})
}
