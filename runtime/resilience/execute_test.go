package resilience

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var errWobbly = errors.New("wobbly")

// wobbly fails so many times, a second each.
func wobbly(failures int) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		time.Sleep(time.Second)
		if failures--; failures >= 0 {
			return "", errWobbly
		}
		return "value", nil
	}
}

func instead(_ context.Context, cause error) (string, error) {
	return "instead of " + cause.Error(), nil
}

func TestExecute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &Runtime{}
		g, err := rt.Guard("wobbly", Policy{Retry: Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}}, Breaker: Breaker{ConsecutiveFailures: 4}})
		if err != nil {
			t.Fatal(err)
		}
		if e := Execute(t.Context(), g, wobbly(2), instead); e != (Execution[string]{Value: "value", Attempts: 3, Elapsed: 3 * time.Second, Breaker: StateClosed}) {
			t.Errorf("%+v", e)
		}
		if e := Execute(t.Context(), g, wobbly(9), nil); !errors.Is(e.Err, errWobbly) || e.Attempts != 3 || e.FallbackUsed {
			t.Errorf("%+v", e)
		}
		e := Execute(t.Context(), g, wobbly(9), instead)
		if e.Err != nil || e.Attempts != 1 || !e.FallbackUsed || e.Breaker != StateOpen || e.Value[:11] != "instead of " {
			t.Errorf("%+v", e)
		}
		if n := g.stats.fallbacks.Load(); n != 1 {
			t.Errorf("%d fallbacks counted", n)
		}
		rt.ResetBreakers()
		if e := Execute(t.Context(), g, wobbly(0), nil); e.Err != nil || e.Breaker != StateClosed {
			t.Errorf("after a reset %+v", e)
		}
	})
}

// TestExecuteForAllButFallback: who left gets no fallback, nor who asked for what
// cannot be.
func TestExecuteForAllButFallback(t *testing.T) {
	rt := &Runtime{}
	g, err := rt.Guard("wobbly", Policy{})
	if err != nil {
		t.Fatal(err)
	}
	left, leave := context.WithCancel(t.Context())
	for name, f := range map[string]func(context.Context) (string, error){
		"permanent": func(context.Context) (string, error) { return "", Permanent(errWobbly) },
		"canceled":  func(ctx context.Context) (string, error) { leave(); return "", ctx.Err() },
	} {
		if e := Execute(left, g, f, instead); e.Err == nil || e.FallbackUsed || e.Value != "" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	rt.SetEnabled(false)
	if e := Execute(t.Context(), g, wobbly(1), instead); !errors.Is(e.Err, errWobbly) || e.FallbackUsed {
		t.Errorf("switched off: %+v", e)
	}
}
