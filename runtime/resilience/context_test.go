package resilience

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
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
	synctest.Test(t, func(t *testing.T) {
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
	})
}

// watchers is how many goroutines package context runs to hear of the end of a
// parent that it does not know.
func watchers() int {
	stacks := make([]byte, 4<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "created by context.(*cancelCtx).propagateCancel ")
}

func TestChildrenNeedNoGoroutine(t *testing.T) {
	under(t, t.Context(), func(ctx context.Context) {
		before := watchers()
		var cancels []context.CancelFunc
		for range 50 {
			child, cancel := context.WithCancel(ctx)
			_ = child.Done()
			cancels = append(cancels, cancel)
		}
		if n := watchers(); n > before {
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

func TestEndedContextStaysCanceled(t *testing.T) {
	for _, p := range []Timeout{{Attempt: time.Second}, {Open: time.Second}} {
		for _, look := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+v look %v", p, look), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := mustGuard(t, Policy{Timeout: p})
					var kept context.Context
					_ = Try(t.Context(), g, func(ctx context.Context) error {
						kept = ctx
						if look {
							ctx.Done()
						}
						return errPeer
					})
					if kept.Err() != context.Canceled {
						t.Errorf("after the call: %v", kept.Err())
					}
					time.Sleep(time.Minute)
					if kept.Err() != context.Canceled {
						t.Errorf("later: %v", kept.Err())
					}
					<-kept.Done()
					if kept.Err() != context.Canceled || context.Cause(kept) != context.Canceled {
						t.Errorf("with Done: %v %v", kept.Err(), context.Cause(kept))
					}
				})
			})
		}
	}
}

func TestContextErrNeverChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		defer cancel()
		under(t, parent, func(ctx context.Context) {
			time.Sleep(time.Second)
			first := ctx.Err()
			cancel()
			if second := ctx.Err(); second != first {
				t.Errorf("Err says %v, then %v", first, second)
			}
			<-ctx.Done()
			if second := ctx.Err(); second != first || !errors.Is(context.Cause(ctx), ErrTimeout) {
				t.Errorf("Err says %v, then %v cause %v", first, second, context.Cause(ctx))
			}
		})
	})
}

func TestFreedContextKeepsErr(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Open: time.Second}})
		var kept context.Context
		var during error
		_ = Try(t.Context(), g, func(ctx context.Context) error {
			time.Sleep(2 * time.Second)
			kept, during = ctx, ctx.Err()
			return nil
		})
		if kept.Err() != during {
			t.Errorf("%v then %v", during, kept.Err())
		}
	})
}

func TestOpenContextLeavesNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Open: time.Hour}})
		var kept context.Context
		_ = Try(t.Context(), g, func(ctx context.Context) error { kept = ctx; return errPeer })
		<-kept.Done()
		if s := kept.(*lazyContext).state.Load(); s.timer != nil && s.timer.Stop() {
			t.Error("timer runs")
		}
	})
}
