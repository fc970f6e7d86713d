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
