package resilience

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

type ctxKey struct{}

// under runs f with the context of an attempt under a timeout of a second.
func under(t *testing.T, parent context.Context, f func(context.Context)) {
	t.Helper()
	g := mustGuard(t, Policy{Timeout: Timeout{Attempt: time.Second}})
	_ = Try(parent, g, func(ctx context.Context) error { f(ctx); return nil })
}

func TestLazyContextTellsByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		under(t, context.WithValue(t.Context(), ctxKey{}, 7), func(ctx context.Context) {
			if d, ok := ctx.Deadline(); !ok || time.Until(d) != time.Second {
				t.Errorf("Deadline = %v, %v", d, ok)
			}
			if ctx.Err() != nil || context.Cause(ctx) != nil || ctx.Value(ctxKey{}) != 7 {
				t.Errorf("fresh: %v, %v, %v", ctx.Err(), context.Cause(ctx), ctx.Value(ctxKey{}))
			}
			time.Sleep(time.Second)
			if ctx.Err() != context.DeadlineExceeded || !errors.Is(context.Cause(ctx), ErrTimeout) || ctx.Value(ctxKey{}) != 7 {
				t.Errorf("due: %v, %v, %v", ctx.Err(), context.Cause(ctx), ctx.Value(ctxKey{}))
			}
			<-ctx.Done()
		})
	})
}

func TestLazyContextIsCanceledAfterwards(t *testing.T) {
	for _, look := range []bool{false, true} {
		var kept context.Context
		under(t, t.Context(), func(ctx context.Context) {
			if kept = ctx; look {
				_ = ctx.Done()
			}
		})
		<-kept.Done()
		if kept.Err() != context.Canceled {
			t.Errorf("looked at %v: Err = %v, want Canceled", look, kept.Err())
		}
	}
}

func TestChildrenNeedNoGoroutine(t *testing.T) {
	under(t, t.Context(), func(ctx context.Context) {
		before := runtime.NumGoroutine()
		var cancels []context.CancelFunc
		for range 50 {
			child, cancel := context.WithCancel(ctx)
			_ = child.Done()
			cancels = append(cancels, cancel)
		}
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("%d goroutines for 50 children", n-before)
		}
		for _, cancel := range cancels {
			cancel()
		}
	})
}

func TestSoonerDeadlineOfTheCallerIsPassedOn(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	under(t, ctx, func(got context.Context) {
		if got != ctx {
			t.Error("the delegate got another context than the caller's")
		}
	})
}

func TestParentsEndReachesTheDelegate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("shutdown")
		time.AfterFunc(time.Millisecond, func() { cancel(why) })
		under(t, ctx, func(ctx context.Context) {
			<-ctx.Done()
			if ctx.Err() != context.Canceled || context.Cause(ctx) != why {
				t.Errorf("%v, %v", ctx.Err(), context.Cause(ctx))
			}
		})
	})
}

func TestTimeoutAllocatesOnce(t *testing.T) {
	g := mustGuard(t, Policy{Timeout: Timeout{Total: time.Hour, Attempt: time.Minute}})
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() { _ = viaGuard(ctx, g) }); n != 1 {
		t.Errorf("%v allocations a call, want 1", n)
	}
}
