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

// abandonableCall is the body of a generated method.
func abandonableCall(ctx context.Context, g *Guard, f func(context.Context) (string, error)) (v string, err error) {
	call := g.Begin(ctx)
	defer call.End()
	for call.Next() {
		v, err = Abandonable(&call, f)
		call.Record(err)
	}
	return v, call.Err()
}

// deaf is a delegate that does not listen to its context.
func deaf(d time.Duration) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		time.Sleep(d)
		return "late", nil
	}
}

func TestAbandonReturnsAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Attempt: time.Second, Mode: Abandon}, Bulkhead: Bulkhead{MaxConcurrent: 1}})
		start := time.Now()
		v, err := abandonableCall(t.Context(), g, deaf(time.Minute))
		if v != "" || !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%q, %v after %v", v, err, time.Since(start))
		}
		if n := g.rt.Abandoned(); n != 1 {
			t.Errorf("%d abandoned, want 1", n)
		}
		if _, err := abandonableCall(t.Context(), g, deaf(0)); !errors.Is(err, ErrBulkheadFull) {
			t.Errorf("the slot of a running delegate was given away: %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if v, err := abandonableCall(t.Context(), g, deaf(0)); v != "late" || err != nil || g.rt.Abandoned() != 0 {
			t.Errorf("%q, %v, %d abandoned", v, err, g.rt.Abandoned())
		}
	})
}

func TestAbandonWhenTheCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Total: time.Hour, Mode: Abandon}, Retry: Retry{MaxAttempts: 3}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := abandonableCall(ctx, g, deaf(time.Minute))
		if err != context.DeadlineExceeded {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Minute)
	})
}

func TestAbandonRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Attempt: time.Second, Mode: Abandon}, Retry: Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}}})
		_, err := abandonableCall(t.Context(), g, deaf(time.Minute))
		if !errors.Is(err, ErrTimeout) || g.rt.Abandoned() != 3 {
			t.Errorf("%v, %d abandoned", err, g.rt.Abandoned())
		}
		time.Sleep(2 * time.Minute)
	})
}

func TestPanicIsCarriedBack(t *testing.T) {
	g := mustGuard(t, Policy{Timeout: Timeout{Total: time.Hour, Mode: Abandon}, Bulkhead: Bulkhead{MaxConcurrent: 1}})
	defer func() {
		p, ok := recover().(*PanicError)
		if !ok || !errors.Is(p, errPeer) || !strings.Contains(string(p.Stack), "TestPanicIsCarriedBack") || !strings.Contains(p.Error(), errPeer.Error()) {
			t.Errorf("recovered %v", p)
		}
		if _, err := abandonableCall(t.Context(), g, deaf(0)); err != nil {
			t.Errorf("slot is lost: %v", err)
		}
	}()
	_, _ = abandonableCall(t.Context(), g, func(context.Context) (string, error) { panic(errPeer) })
}

func TestGoexitIsRepeated(t *testing.T) {
	g := mustGuard(t, Policy{Timeout: Timeout{Total: time.Hour, Mode: Abandon}})
	done := make(chan bool)
	go func() {
		returned := false
		defer func() { done <- returned }()
		_, _ = abandonableCall(context.Background(), g, func(context.Context) (string, error) {
			runtime.Goexit()
			return "", nil
		})
		returned = true
	}()
	if <-done {
		t.Error("the caller went on")
	}
}

// TestAbandonedPanicReachesNobody: the process lives on.
func TestAbandonedPanicReachesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Attempt: time.Second, Mode: Abandon}})
		_, err := abandonableCall(t.Context(), g, func(context.Context) (string, error) {
			time.Sleep(time.Minute)
			panic("late")
		})
		if !errors.Is(err, ErrTimeout) {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if g.rt.Abandoned() != 0 {
			t.Error("still counted")
		}
	})
}

func TestAbandonSwitchedOff(t *testing.T) {
	g := mustGuard(t, Policy{Timeout: Timeout{Total: 1, Mode: Abandon}})
	g.rt.SetEnabled(false)
	if v, err := abandonableCall(t.Context(), g, deaf(0)); v != "late" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}

// stream is what an opening call returns: it reads on under the context.
type stream struct{ ctx context.Context }

func open(ctx context.Context, g *Guard, f func(context.Context) (*stream, error)) (s *stream, err error) {
	call := g.Begin(ctx)
	defer call.End()
	for call.Next() {
		s, err = f(call.Context())
		call.Record(err)
	}
	return s, call.Err()
}

func TestOpenLetsTheContextLive(t *testing.T) {
	for _, look := range []bool{false, true} {
		t.Run(fmt.Sprint("done read ", look), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := mustGuard(t, Policy{Timeout: Timeout{Open: time.Second, Total: 2 * time.Second}})
				ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), stream{}, "value"))
				s, err := open(ctx, g, func(ctx context.Context) (*stream, error) {
					if _, ok := ctx.Deadline(); ok {
						t.Error("the deadline is told")
					}
					if look {
						_ = ctx.Done()
					}
					return &stream{ctx}, nil
				})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				if s.ctx.Err() != nil || s.ctx.Value(stream{}) != "value" || context.Cause(s.ctx) != nil {
					t.Errorf("ended with the call: %v", s.ctx.Err())
				}
				cancel(errPeer)
				<-s.ctx.Done()
				if s.ctx.Err() != context.Canceled || context.Cause(s.ctx) != errPeer {
					t.Errorf("%v, cause %v", s.ctx.Err(), context.Cause(s.ctx))
				}
			})
		})
	}
}

func TestOpenEndsASlowOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Open: time.Second}})
		start := time.Now()
		_, err := open(t.Context(), g, func(ctx context.Context) (*stream, error) {
			<-ctx.Done()
			if ctx.Err() != context.DeadlineExceeded || !errors.Is(context.Cause(ctx), ErrTimeout) {
				t.Errorf("%v, cause %v", ctx.Err(), context.Cause(ctx))
			}
			return nil, ctx.Err()
		})
		if !errors.Is(err, ErrTimeout) || time.Since(start) != time.Second || !strings.Contains(err.Error(), "timeout.open of 1s") {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestFailedOpeningEndsItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Open: time.Second}})
		var kept context.Context
		_, err := open(t.Context(), g, func(ctx context.Context) (*stream, error) {
			kept = ctx
			_ = ctx.Done()
			return nil, errPeer
		})
		if err != errPeer || kept.Err() != context.Canceled {
			t.Errorf("%v, context %v", err, kept.Err())
		}
	})
}

func TestKindsOfGRPC(t *testing.T) {
	code := uint32(0)
	e := &Errors{GRPCCodeOf: func(error) (uint32, bool) { return code, true }}
	for c, want := range map[uint32]Kind{3: KindPermanent, 4: KindTransient, 5: KindPermanent, 8: 0, 14: KindGRPCUnavailable | KindTransient, 16: KindPermanent} {
		code = c
		for _, err := range []error{errPeer, fmt.Errorf("call: %w", errPeer)} {
			if got, _ := e.kindsOf(err); got != want {
				t.Errorf("code %d: %b, want %b", c, got, want)
			}
		}
	}
}
