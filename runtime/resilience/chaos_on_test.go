//go:build resilience_chaos

package resilience

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestChaosDisturbsItsShare(t *testing.T) {
	rt := &Runtime{seed: 1}
	g, err := rt.Guard("x", Policy{Chaos: Chaos{InjectionRatio: 0.2, Fault: errPeer}})
	if err != nil {
		t.Fatal(err)
	}
	f, calls := failing(0, nil)
	faults := 0
	for range 10_000 {
		if err := Try(t.Context(), g, f); errors.Is(err, errPeer) {
			faults++
		}
	}
	if faults < 1800 || faults > 2200 || *calls != 10_000-faults {
		t.Errorf("%d faults and %d calls of 10000, want about 2000 and the rest", faults, *calls)
	}
}

// TestChaosIsInnermost: what guards the call sees the faults.
func TestChaosIsInnermost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{
			Retry:   Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}},
			Timeout: Timeout{Attempt: time.Second},
			Breaker: Breaker{ConsecutiveFailures: 3},
			Chaos:   Chaos{InjectionRatio: 1, Fault: errPeer, Latency: time.Minute},
		})
		start := time.Now()
		err := Try(t.Context(), g, func(context.Context) error { t.Error("called"); return nil })
		if took := time.Since(start); took != 3*time.Second || !errors.Is(err, ErrTimeout) || !errors.Is(err, errPeer) {
			t.Errorf("%v after %v, want a timeout of each of three attempts", err, took)
		}
		if s := g.rt.Breakers()[0].Snapshot(); s.State != StateOpen {
			t.Errorf("%+v", s)
		}
	})
}

func TestChaosPanics(t *testing.T) {
	g := mustGuard(t, Policy{Chaos: Chaos{InjectionRatio: 1, Panic: true}, Bulkhead: Bulkhead{MaxConcurrent: 1}})
	for range 2 { // the slot comes back
		func() {
			defer func() {
				if v := recover(); v != ErrChaos {
					t.Errorf("recovered %v", v)
				}
			}()
			_ = Try(t.Context(), g, func(context.Context) error { return nil })
		}()
	}
}

func TestChaosUnderProduction(t *testing.T) {
	p := Policy{Preset: Production, Chaos: Chaos{InjectionRatio: 1, Fault: errPeer}}
	if _, err := new(Runtime).Guard("x", p); err == nil {
		t.Error("accepted")
	}
	rt, err := Open(Options{ChaosInProduction: true})
	if err != nil {
		t.Fatal(err)
	}
	g, err := rt.Guard("x", p)
	if err != nil {
		t.Fatal(err)
	}
	if err := Try(t.Context(), g, func(context.Context) error { return nil }); !errors.Is(err, errPeer) {
		t.Errorf("allowed: %v", err)
	}
	rt = &Runtime{}
	g, err = rt.Guard("x", Policy{Chaos: Chaos{InjectionRatio: 1, Fault: errPeer}})
	if err != nil {
		t.Fatal(err)
	}
	rt.Apply(Production)
	if err := Try(t.Context(), g, func(context.Context) error { return nil }); err != nil {
		t.Errorf("production was applied: %v", err)
	}
	rt.SetEnabled(false)
	if err := Try(t.Context(), g, func(context.Context) error { return nil }); err != nil {
		t.Errorf("switched off: %v", err)
	}
}

// TestChaosOfHedges: each attempt has its own, as if the delegate had made it.
func TestChaosOfHedges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Hedge: Hedge{Delay: 10 * ms}, Chaos: Chaos{InjectionRatio: 0.5, Latency: time.Hour}})
		hedges := 0
		for range 20 {
			h := hedgedTo(t.Context(), g, reply{after: ms})
			if h.took == 11*ms {
				hedges++ // the first attempt was slowed down, and never reached the delegate
			}
		}
		if hedges == 0 {
			t.Error("no hedge saved a call")
		}
	})
}

// quoted calls as generated code does, and judges quotes below 0 as told.
func quoted(ctx context.Context, g *Guard, retry, record bool, quote func(context.Context) (int, error)) (n int, err error) {
	call := g.Begin(ctx)
	defer call.End()
	for call.Next() {
		if call.Injected() {
			n, err = -1, nil
		} else {
			n, err = quote(call.Context())
		}
		call.RecordResult(err, retry && err == nil && n < 0, record && err == nil && n < 0)
	}
	return n, call.Err()
}

func TestChaosInjectsItsShareOfResults(t *testing.T) {
	g := mustGuard(t, Policy{Chaos: Chaos{InjectionRatio: 0.2, Result: true}})
	injected, calls := 0, 0
	for range 10_000 {
		n, err := quoted(t.Context(), g, false, false, func(context.Context) (int, error) { calls++; return 1, nil })
		if err != nil {
			t.Fatal(err)
		}
		if n == -1 {
			injected++
		}
	}
	if injected < 1800 || injected > 2200 || calls != 10_000-injected {
		t.Errorf("%d results and %d calls of 10000, want about 2000 and the rest", injected, calls)
	}
}

// TestChaosDrawsResultsForEachAttempt: a retry is drawn for anew.
func TestChaosDrawsResultsForEachAttempt(t *testing.T) {
	g := mustGuard(t, Policy{
		Retry: Retry{MaxAttempts: 50, Backoff: Backoff{Strategy: NoBackoff}},
		Chaos: Chaos{InjectionRatio: 0.5, Result: true},
	})
	tries := 0
	for range 100 {
		call := g.Begin(t.Context())
		for call.Next() {
			tries++
			call.RecordResult(nil, call.Injected(), false)
		}
		call.End()
	}
	if tries < 150 || tries > 250 {
		t.Errorf("%d attempts of 100 calls, want about 200", tries)
	}
}

// TestChaosResultsAreJudged: retryOnResult and recordOnResult see them.
func TestChaosResultsAreJudged(t *testing.T) {
	never := func(context.Context) (int, error) { t.Error("called"); return 0, nil }
	g := mustGuard(t, Policy{
		Retry:   Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}, FailOnExhaustedResult: true},
		Breaker: Breaker{ConsecutiveFailures: 3},
		Chaos:   Chaos{InjectionRatio: 1, Result: true},
	})
	if n, err := quoted(t.Context(), g, true, true, never); n != -1 || !errors.Is(err, ErrUnwantedResult) {
		t.Errorf("%d, %v: want the last of three that nobody wants", n, err)
	}
	if s := g.rt.Breakers()[0].Snapshot(); s.State != StateOpen {
		t.Errorf("%+v, want the breaker open after three", s)
	}
	g = mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1}, Chaos: Chaos{InjectionRatio: 1, Result: true}})
	if n, err := quoted(t.Context(), g, false, false, never); n != -1 || err != nil {
		t.Errorf("%d, %v: want the injected result", n, err)
	}
	if s := g.rt.Breakers()[0].Snapshot(); s.State != StateClosed {
		t.Errorf("%+v: nobody judged the result", s)
	}
}

// TestChaosResultsComeInTime: a latency goes before them, and one that is too long
// leaves the delegate with a context that is over.
func TestChaosResultsComeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for latency, want := range map[time.Duration]error{100 * ms: nil, time.Minute: ErrTimeout} {
			g := mustGuard(t, Policy{Timeout: Timeout{Attempt: time.Second}, Chaos: Chaos{InjectionRatio: 1, Result: true, Latency: latency}})
			start := time.Now()
			_, err := quoted(t.Context(), g, false, false, func(ctx context.Context) (int, error) { return 0, ctx.Err() })
			if took := time.Since(start); took != min(latency, time.Second) || !errors.Is(err, want) {
				t.Errorf("latency %v: %v after %v, want %v", latency, err, took, want)
			}
		}
	})
}

// TestChaosResultsAreSwitchedOff where chaos is.
func TestChaosResultsAreSwitchedOff(t *testing.T) {
	g := mustGuard(t, Policy{Chaos: Chaos{InjectionRatio: 1, Result: true}})
	off := map[string]func(){
		"production": func() { g.rt.Apply(Production) },
		"switched":   func() { g.rt.SetEnabled(false) },
	}
	for _, name := range []string{"production", "switched"} {
		off[name]()
		if n, err := quoted(t.Context(), g, false, false, func(context.Context) (int, error) { return 1, nil }); n != 1 || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}
