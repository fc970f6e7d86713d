package resilience

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// wants reports whether a call that ends with err wants its fallback.
func wants(ctx context.Context, g *Guard, err error) bool {
	call := g.Begin(ctx)
	defer call.End()
	for call.Next() {
		call.Record(err)
	}
	return call.WantsFallback()
}

// openBreaker is one that lets nobody in.
func openBreaker() Breaker {
	return Breaker{On: true, InitialState: StateOpen, OpenDuration: time.Hour}
}

// lateContext is past its deadline while its timer is about to fire.
type lateContext struct {
	context.Context
	due time.Time
}

func (c lateContext) Deadline() (time.Time, bool) { return c.due, true }

func TestCallersDeadlineByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1}})
		ctx := lateContext{t.Context(), time.Now().Add(time.Second)}
		_ = Try(ctx, g, func(context.Context) error { time.Sleep(time.Second); return os.ErrDeadlineExceeded })
		if s := g.rt.Breakers()[0].Snapshot(); s.State != StateClosed {
			t.Errorf("%+v", s)
		}
	})
}

func TestCallerWhoLeavesAfterARejection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Fallback: Fallback{On: true}, Breaker: openBreaker(),
			Retry: Retry{RetryAfter: RetryAfter{Ignore: true}, RetryOn: Matcher{Any: true, Kinds: KindCircuitOpen}, Backoff: Backoff{InitialDelay: time.Minute, MaxDelay: time.Minute, Jitter: NoJitter}}})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		call := g.Begin(ctx)
		defer call.End()
		for call.Next() {
			call.Record(nil)
		}
		if err := call.Err(); !errors.Is(err, context.Canceled) || call.WantsFallback() {
			t.Errorf("%v, fallback %v", err, call.WantsFallback())
		}
	})
}

func TestCallerWhoLeavesAfterAnUnwantedResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Fallback: Fallback{On: true}, Retry: Retry{FailOnExhaustedResult: true, Backoff: Backoff{InitialDelay: time.Minute, MaxDelay: time.Minute, Jitter: NoJitter}}})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		call := g.Begin(ctx)
		defer call.End()
		for call.Next() {
			call.RecordResult(nil, true, false)
		}
		if err := call.Err(); !errors.Is(err, context.Canceled) || call.WantsFallback() {
			t.Errorf("%v, fallback %v", err, call.WantsFallback())
		}
	})
}

func TestApplyOnAnyCoversARejection(t *testing.T) {
	g := mustGuard(t, Policy{Breaker: openBreaker(), Fallback: Fallback{On: true, ApplyOn: Matcher{Any: true, Kinds: KindPermanent}}})
	if !wants(t.Context(), g, nil) {
		t.Error("applyOn {add: [Permanent]} keeps any error, an open circuit is one")
	}
	g = mustGuard(t, Policy{Breaker: openBreaker(), Fallback: Fallback{On: true, ApplyOn: Matcher{Match: func(err error) bool { return errors.Is(err, ErrCircuitOpen) }}}})
	if !wants(t.Context(), g, nil) {
		t.Error("applyOn's func is not asked about a rejection")
	}
}

func TestSkipOnWinsForARejection(t *testing.T) {
	g := mustGuard(t, Policy{Breaker: openBreaker(), Fallback: Fallback{On: true, SkipOn: Matcher{Kinds: KindCircuitOpen}}})
	if wants(t.Context(), g, nil) {
		t.Error("the fallback answers for an open circuit that skipOn names")
	}
}

func TestFloorLiftedByUsersMatcher(t *testing.T) {
	g := mustGuard(t, Policy{Retry: Retry{RetryOn: Matcher{Match: func(err error) bool { return errors.Is(err, fs.ErrNotExist) }}, Backoff: Backoff{Strategy: NoBackoff}}})
	f, calls := failing(9, fs.ErrNotExist)
	_ = Try(t.Context(), g, f)
	if *calls != 3 {
		t.Errorf("%d calls, want 3: retryOn names it", *calls)
	}
	g = mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, RecordOn: Matcher{Match: func(err error) bool { return errors.Is(err, fs.ErrNotExist) }}}})
	_ = Try(t.Context(), g, func(context.Context) error { return fs.ErrNotExist })
	if got := script(t, g, "S"); got != "o" {
		t.Errorf("record: %s", got)
	}
	g = mustGuard(t, Policy{Fallback: Fallback{ApplyOn: Matcher{Match: func(err error) bool { return errors.Is(err, fs.ErrNotExist) }}}})
	if !wants(t.Context(), g, fs.ErrNotExist) {
		t.Error("fallback")
	}
}

func TestFailedResultOfCallerWhoLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1}})
	call := g.Begin(ctx)
	for call.Next() {
		cancel()
		call.RecordResult(nil, false, true)
	}
	call.End()
	if got := script(t, g, "S"); got != "s" {
		t.Errorf("%s: a result for a caller that left is a verdict", got)
	}
}

func TestUnwantedForCallerWhoLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	g := mustGuard(t, Policy{Retry: Retry{FailOnExhaustedResult: true}})
	call := g.Begin(ctx)
	for call.Next() {
		cancel()
		call.RecordResult(nil, true, false)
	}
	if call.Err() == nil {
		t.Error("an unwanted result is a success because the caller left")
	}
	call.End()
}

func TestTimeoutWithCanceledInItIsATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Attempt: time.Second}, Breaker: Breaker{ConsecutiveFailures: 1}, Fallback: Fallback{On: true}})
		call := g.Begin(t.Context())
		defer call.End()
		for call.Next() {
			<-call.Context().Done()
			call.Record(fmt.Errorf("get: %w", context.Canceled))
		}
		if !call.WantsFallback() {
			t.Error("no fallback")
		}
		if s := g.rt.Breakers()[0].Snapshot(); s.State != StateOpen {
			t.Errorf("the breaker did not hear of the timeout: %+v", s)
		}
	})
}

func TestAttemptTimeoutIsAnError(t *testing.T) {
	for _, p := range []Timeout{{Attempt: time.Second}, {Open: time.Second}, {Attempt: time.Second, Mode: Abandon}} {
		t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := mustGuard(t, Policy{Timeout: p})
				err := Try(t.Context(), g, hang)
				var e *Error
				if !errors.As(err, &e) || e.Policy != "timeout" || e.Attempts != 1 {
					t.Errorf("%T %v", err, err)
				}
			})
		})
	}
}
