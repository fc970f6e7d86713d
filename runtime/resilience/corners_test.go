package resilience

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestProbeWhoseCallerLeavesTheQueue hands both its permit and its place back.
func TestProbeWhoseCallerLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: time.Hour}, Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second, HalfOpen: HalfOpen{MaxWait: None}}})
		hold := make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() { _ = Try(context.Background(), g, func(context.Context) error { <-hold; return nil }) })
		synctest.Wait()
		b := g.plan.Load().breaker
		b.mu.Lock()
		b.open(sinceEpoch(), false, "")
		b.mu.Unlock()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := Try(ctx, g, hang); err != context.DeadlineExceeded {
			t.Errorf("%v", err)
		}
		close(hold)
		group.Wait()
		if got := script(t, g, "S"); got != "s" {
			t.Errorf("%s, want s", got)
		}
	})
}

// manyErrors cannot be compared: == of two would panic.
type manyErrors []error

func (m manyErrors) Error() string { return fmt.Sprint(len(m), " errors") }

func TestErrorsThatCannotBeCompared(t *testing.T) {
	for _, err := range []error{manyErrors{errPeer}, fmt.Errorf("call: %w", manyErrors{errPeer})} {
		g := mustGuard(t, Policy{Timeout: Timeout{Total: time.Hour}, Breaker: Breaker{On: true}, Retry: Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: NoBackoff}}})
		if got := Try(t.Context(), g, func(context.Context) error { return err }); !errors.As(got, new(manyErrors)) {
			t.Errorf("%v", got)
		}
	}
}

// TestDelegateMayTurnSwitches: no lock is held while the user's code runs.
func TestDelegateMayTurnSwitches(t *testing.T) {
	g := mustGuard(t, Policy{Breaker: Breaker{On: true, IgnoreOn: Matcher{Match: func(error) bool { return false }}}})
	_ = Try(t.Context(), g, func(context.Context) error {
		g.rt.Breakers()[0].ForceOpen()
		g.rt.SetEnabled(false)
		g.rt.SetEnabled(true)
		return errPeer
	})
	if got := script(t, g, "S"); got != "o" {
		t.Errorf("%s, want o", got)
	}
}

// TestLateSuccessLeavesTheStreak of a newer generation alone.
func TestLateSuccessLeavesTheStreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 2, OpenDuration: time.Second}})
		late := make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() { _ = Try(t.Context(), g, func(context.Context) error { <-late; return nil }) })
		synctest.Wait()
		script(t, g, "FF+SF")
		close(late)
		group.Wait()
		if got := script(t, g, "FS"); got != "fo" {
			t.Errorf("%s, want fo", got)
		}
	})
}

// TestContextIsSafeForConcurrentUse while its attempt ends.
func TestContextIsSafeForConcurrentUse(t *testing.T) {
	for _, p := range []Timeout{{Attempt: time.Hour}, {Open: time.Hour}} {
		g := mustGuard(t, Policy{Timeout: p})
		for i := range 300 {
			parent, cancel := context.WithCancel(context.Background())
			var group sync.WaitGroup
			var kept context.Context
			_ = Try(parent, g, func(ctx context.Context) error {
				kept = ctx
				for range 4 {
					group.Go(func() {
						_, _ = ctx.Deadline()
						_, _ = ctx.Err(), ctx.Value(ctxKey{})
						child, cancel := context.WithCancel(ctx)
						defer cancel()
						_ = context.Cause(child)
						if i%2 == 0 {
							<-ctx.Done()
						}
					})
				}
				if i%3 == 0 {
					return errPeer
				}
				return nil
			})
			cancel()
			group.Wait()
			<-kept.Done()
			if !errors.Is(kept.Err(), context.Canceled) {
				t.Fatalf("%+v: %v", p, kept.Err())
			}
		}
	}
}
