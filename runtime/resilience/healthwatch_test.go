package resilience

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &Runtime{}
		h := rt.Health()
		if err := h.Register(Watchdog(time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := h.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if s := h.Snapshot(); s.Live != StatusPass || s.Ready != StatusPass || s.Component("watchdog").State != Healthy || s.Component("watchdog").Runs < 50 {
			t.Errorf("%+v", s)
		}
		_ = rt.Close()
	})
	if err := awaitTurn(t.Context(), -1); err == nil || !strings.Contains(err.Error(), "waited") { // whatever it waited
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := awaitTurn(ctx, time.Hour); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestGuardTellsByItsTimes has a peer that gets slower without ever failing.
func TestGuardTellsByItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Retry: Retry{On: true}})
		if err := g.rt.Health().Register(Component{Name: "bank", Guard: g, DegradeWhen: HealthLimits{P95: 100 * time.Millisecond}, UnhealthyWhen: HealthLimits{P95: time.Second}}); err != nil {
			t.Fatal(err)
		}
		calls := func(n int, d time.Duration) {
			for range n {
				_ = Try(t.Context(), g, func(context.Context) error { time.Sleep(d); return nil })
			}
		}
		state := func(when string, want HealthState, reason string) {
			t.Helper()
			if h := guardHealth(t, g.rt, "bank"); h.State != want || !strings.Contains(h.Reason, reason) {
				t.Errorf("%s: %v (%s), p95 %v, want %v", when, h.State, h.Reason, h.Guarded.P95, want)
			}
		}
		state("nothing yet", Healthy, "")
		calls(19, 200*time.Millisecond)
		state("too few", Healthy, "")
		calls(1, 200*time.Millisecond)
		state("slow, not for long enough", Healthy, "")
		time.Sleep(10 * time.Second)
		state("slow", Degraded, "p95 199ms, limit 100ms")
		calls(20, 2*time.Second)
		state("very slow", Unhealthy, "p95 2")
		calls(1000, 90*time.Millisecond)
		state("within the dead band", Degraded, "p95 ")
		time.Sleep(3 * time.Minute)
		state("long ago", Healthy, "")
	})
}

func TestTimesWantHistograms(t *testing.T) {
	for name, o := range map[string]Options{"none": {DisableStats: true}, "counters": {DisableHistograms: true}} {
		rt, g := kept(t, o, Policy{Retry: Retry{On: true}})
		err := rt.Health().Register(Component{Name: "x", Guard: g, DegradeWhen: HealthLimits{P95: time.Second}})
		if err == nil || !strings.Contains(err.Error(), "p95: the Runtime keeps no histograms") {
			t.Errorf("%s: %v", name, err)
		}
		if r := g.reading(); r.P95 != 0 || r.timed != 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestAdaptiveLimitIsALoad counts what is in flight against the limit of now.
func TestAdaptiveLimitIsALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Adaptive: Adaptive{Mode: Concurrency, InitialLimit: 4}})
		for range 3 {
			go func() { _ = Try(t.Context(), g, func(context.Context) error { time.Sleep(time.Second); return nil }) }()
		}
		synctest.Wait()
		if r := g.reading(); r.Load != 0.75 {
			t.Errorf("load %v", r.Load)
		}
		time.Sleep(time.Minute)
	})
}

// TestUnregister takes components away while they run, hang and are awaited.
func TestUnregister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &Runtime{}
		h := rt.Health()
		gate, ended := make(chan struct{}), 0
		ok := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		ok(h.Register(Component{Name: "disk", Check: okCheck}))
		ok(h.Register(Component{Name: "db", Check: okCheck, DependsOn: []string{"disk"}}))
		ok(h.Register(Component{Name: "hangs", Check: func(ctx context.Context) error { <-gate; ended++; return ctx.Err() }}))
		ok(h.Register(Component{Name: "listens", Check: func(ctx context.Context) error { <-ctx.Done(); ended++; return ctx.Err() }}))
		ok(h.Start())
		for name, want := range map[string]string{"disk": `"db" depends on it`, "dusk": "there is no component"} {
			if err := h.Unregister(name); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		waiting := make(chan error)
		time.Sleep(time.Second)
		go func() { waiting <- h.Refresh(t.Context(), "listens") }()
		synctest.Wait()
		ok(h.Unregister("db"))
		ok(h.Unregister("disk"))
		ok(h.Unregister("listens"))
		ok(h.Unregister("hangs"))
		if err := <-waiting; err != nil && !strings.Contains(err.Error(), "was taken away") {
			t.Error(err)
		}
		synctest.Wait()
		if s := h.Snapshot(); len(s.Components) != 0 || s.Ready != StatusPass || ended != 1 {
			t.Errorf("%d components, ready %v, %d ended", len(s.Components), s.Ready, ended)
		}
		ok(h.Register(Component{Name: "hangs", Check: okCheck}))
		time.Sleep(time.Minute)
		if s := h.Snapshot(); s.Component("hangs").State != Healthy {
			t.Errorf("%+v", s.Component("hangs"))
		}
		if err := rt.Close(); err == nil || !strings.Contains(err.Error(), `"hangs": its check has not returned`) {
			t.Errorf("Close = %v", err)
		}
		close(gate)
		synctest.Wait()
	})
}

// TestUnregisterGivesTheNameOfAGuardBack makes and drops a wrapper many times.
func TestUnregisterGivesTheNameOfAGuardBack(t *testing.T) {
	rt := &Runtime{}
	for range 3 {
		g, err := rt.Named("eu").Guard("p.G.M", Policy{Breaker: Breaker{On: true}, Health: Health{Register: true}})
		if err != nil {
			t.Fatal(err)
		}
		if err := rt.Health().Unregister(g.name); err != nil {
			t.Error(err)
		}
	}
	if err := rt.Health().Unregister("p.G.M@eu"); err == nil || len(rt.Health().Snapshot().Components) != 0 {
		t.Error(err)
	}
}
