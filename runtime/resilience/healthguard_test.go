package resilience

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// guardHealth returns the health of a component, from a fresh snapshot.
func guardHealth(t *testing.T, rt *Runtime, name string) *ComponentHealth {
	t.Helper()
	time.Sleep(freshness)
	c := rt.Health().Snapshot().Component(name)
	if c == nil {
		t.Fatalf("no component %s", name)
	}
	return c
}

func TestGuardTellsByItsBreaker(t *testing.T) {
	for _, c := range []struct {
		failOn FailOn
		open   HealthState
		ready  HealthStatus
	}{{0, Degraded, StatusWarn}, {FailNever, Degraded, StatusWarn}, {FailOpen, Unhealthy, StatusFail}} {
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 3, OpenDuration: 30 * time.Second}, Health: Health{Register: true, FailOn: c.failOn}})
			expectOf := func(want HealthState, ready HealthStatus, breaker State) {
				t.Helper()
				h := guardHealth(t, g.rt, g.name)
				if s := g.rt.Health().Snapshot(); h.State != want || s.Ready != ready || h.Breaker != breaker || s.Startup != StatusPass {
					t.Errorf("failOn %d: %v (%s), ready %v, breaker %v, want %v, %v, %v", c.failOn, h.State, h.Reason, s.Ready, h.Breaker, want, ready, breaker)
				}
			}
			expectOf(Healthy, StatusPass, StateClosed) // without Start
			script(t, g, "FF")
			expectOf(Healthy, StatusPass, StateClosed)
			script(t, g, "F")
			expectOf(c.open, c.ready, StateOpen)
			time.Sleep(30 * time.Second)
			expectOf(Degraded, StatusWarn, StateHalfOpen)
			script(t, g, "S")
			expectOf(Healthy, StatusPass, StateClosed)
		})
	}
}

func TestGuardTellsWithoutAnybodyAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: 5 * time.Second}, Health: Health{Register: true, FailOn: FailOpen}})
		var told []string
		g.rt.Health().OnChange(func(c HealthChange) { told = append(told, fmt.Sprint(c.From, " ", c.To, " ", c.Reason)) })
		h := registry(t, g.rt)
		time.Sleep(2 * time.Second)
		script(t, g, "F")
		time.Sleep(20 * time.Second)
		_ = h.Close()
		if want := []string{"starting healthy ", "healthy unhealthy circuit open", "unhealthy degraded circuit half-open"}; !slices.Equal(told, want) {
			t.Errorf("%q", told)
		}
	})
}

func TestGuardUnderSwitchesAndModes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Hour}, Health: Health{Register: true, FailOn: FailOpen}})
		b := g.rt.Breakers()[0]
		for _, step := range []struct {
			name string
			do   func()
			want HealthState
		}{
			{"closed", func() {}, Healthy},
			{"failure", func() { script(t, g, "F") }, Unhealthy},
			{"switched off", func() { g.rt.SetEnabled(false) }, Healthy},
			{"on again", func() { g.rt.SetEnabled(true) }, Unhealthy},
			{"disabled", b.Disable, Healthy},
			{"forced open", b.ForceOpen, Unhealthy},
			{"closed by hand", b.Close, Healthy},
			{"gone", func() { _ = g.rt.Close() }, Healthy},
		} {
			step.do()
			time.Sleep(flapWindow)
			if h := guardHealth(t, g.rt, g.name); h.State != step.want {
				t.Errorf("%s: %v, want %v", step.name, h.State, step.want)
			}
		}
		if s := g.rt.Health().Snapshot(); s.Ready != StatusFail {
			t.Errorf("closed and %v", s.Ready)
		}
	})
}

func TestGuardUnderOverrides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Hour}, Health: Health{Register: true, FailOn: FailOpen}})
		script(t, g, "F")
		expectOf := func(when string, want HealthState) {
			t.Helper()
			if h := guardHealth(t, g.rt, g.name); h.State != want {
				t.Errorf("%s: %v, want %v", when, h.State, want)
			}
		}
		expectOf("open", Unhealthy)
		if err := g.rt.SetOverrides([]Override{{Name: g.name, Key: "circuitBreaker", Value: none}}); err != nil {
			t.Fatal(err)
		}
		expectOf("without a breaker", Healthy)
		if err := g.rt.SetOverrides([]Override{{Name: g.name, Key: "health.failOn", Value: none}}); err == nil || !strings.Contains(err.Error(), "compiled in") {
			t.Error(err)
		}
		if err := g.rt.SetOverrides(nil); err != nil {
			t.Fatal(err)
		}
		script(t, g, "F")
		expectOf("with it again", Unhealthy)
	})
}

func TestShadowBreakerIsNoReasonToFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{Mode: Shadow, ConsecutiveFailures: 1, OpenDuration: time.Hour}, Health: Health{Register: true, FailOn: FailOpen}})
		script(t, g, "F")
		if h := guardHealth(t, g.rt, g.name); h.State != Degraded {
			t.Errorf("%v", h.State)
		}
	})
}

func TestGuardOfManyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{PerKey: true, ConsecutiveFailures: 1, FailureRateThreshold: 100, OpenDuration: time.Hour}, Health: Health{Register: true, FailOn: FailOpen}})
		use := func(key string, err error) {
			call := g.BeginKey(t.Context(), key)
			defer call.End()
			for call.Next() {
				call.Record(err)
			}
		}
		for _, step := range []struct {
			key  string
			err  error
			want HealthState
		}{{"a", nil, Healthy}, {"b", errPeer, Degraded}, {"a", errPeer, Unhealthy}, {"c", nil, Degraded}} {
			use(step.key, step.err)
			if h := guardHealth(t, g.rt, g.name); h.State != step.want {
				t.Errorf("after %s: %v, want %v (%+v)", step.key, h.State, step.want, h)
			}
		}
		if h := guardHealth(t, g.rt, g.name); h.Guarded.Samples != 4 || h.Guarded.ErrorRate != 0.5 {
			t.Errorf("%+v", h.Guarded)
		}
	})
}

func TestGuardUnderAPreset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Preset: Production, Breaker: Breaker{FailureRateThreshold: 90}, Health: Health{Register: true}})
		script(t, g, "FSSSSSSSS") // 1 of 9: too few
		h := registry(t, g.rt)
		if c := guardHealth(t, g.rt, g.name); c.State != Healthy || c.Guarded.Samples != 9 {
			t.Errorf("%+v", c)
		}
		script(t, g, "S") // a tenth is not above a tenth
		time.Sleep(time.Minute)
		if c := guardHealth(t, g.rt, g.name); c.State != Healthy {
			t.Errorf("%+v", c)
		}
		script(t, g, "F")
		time.Sleep(5 * time.Second)
		if c := guardHealth(t, g.rt, g.name); c.State != Healthy {
			t.Errorf("%+v", c)
		}
		time.Sleep(6 * time.Second)
		if c := guardHealth(t, g.rt, g.name); c.State != Degraded || c.Reason != "error rate 0.182, limit 0.1" || h.Snapshot().Ready != StatusWarn {
			t.Errorf("%+v", c)
		}
		script(t, g, "FFFFFFFFFFFFFFFFFFFFFFF")
		if c := guardHealth(t, g.rt, g.name); c.State != Unhealthy || h.Snapshot().Ready != StatusWarn { // degradable
			t.Errorf("%+v", c)
		}
		script(t, g, strings.Repeat("S", 100))
		if c := guardHealth(t, g.rt, g.name); c.State != Healthy {
			t.Errorf("%+v", c)
		}
	})
}

func TestGuardTellsByItsBulkhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Bulkhead: Bulkhead{MaxConcurrent: 4}})
		h := registry(t, g.rt, Component{Name: "x", Guard: g, Hold: None, DegradeWhen: HealthLimits{Load: 0.7}})
		expect(t, h, time.Second, "x healthy")
		for range 3 {
			go func() { _ = Try(t.Context(), g, func(context.Context) error { time.Sleep(time.Minute); return nil }) }()
		}
		if s := expect(t, h, time.Second, "x degraded"); s.Component("x").Guarded.Load != 0.75 {
			t.Errorf("%+v", s.Component("x"))
		}
		expect(t, h, time.Minute, "x healthy")
	})
}

func TestGuardAndCheckTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p patient
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Hour}})
		h := registry(t, g.rt, Component{Name: "x", Guard: g, Check: p.check, FailAfter: 2})
		expect(t, h, time.Second, "x healthy")
		script(t, g, "F")
		expect(t, h, time.Minute, "x degraded")
		p.set(errPeer)
		if s := expect(t, h, time.Minute, "x unhealthy"); s.Component("x").Reason != errPeer.Error()+"; circuit open" {
			t.Errorf("%+v", s.Component("x"))
		}
		p.set(nil)
		expect(t, h, time.Minute, "x degraded")
		g.rt.Breakers()[0].Close()
		expect(t, h, time.Second, "x healthy")
	})
}

func TestHealthOfAPolicy(t *testing.T) {
	for want, p := range map[string]Policy{
		"health.register: wants a circuitBreaker": {Health: Health{Register: true}},
		"health.failOn: wants register":           {Health: Health{FailOn: FailOpen}, Breaker: Breaker{On: true}},
	} {
		rt := &Runtime{}
		w := rt.Wrap("p.G", 1)
		w.Guard("M", p)
		if w.Err() == nil || !strings.Contains(w.Err().Error(), want) {
			t.Errorf("%v, want %s", w.Err(), want)
		}
	}
	rt := &Runtime{}
	watched := Policy{Breaker: Breaker{On: true}, Health: Health{Register: true, FailOn: FailOpen}}
	for range 2 {
		w := rt.Named("eu").Wrap("p.G", 1)
		w.Guard("M", watched)
		if w.Err() != nil {
			t.Error(w.Err())
		}
	}
	s := rt.Health().Snapshot()
	if c := s.Component("p.G.M@eu"); c == nil || c.Criticality != Critical || s.Component("p.G.M@eu#2") == nil {
		t.Errorf("%+v", s.Components)
	}
	w := rt.Wrap("p.H", 1)
	w.Guard("M", watched)
	w.Guard("M", watched)
	if w.Err() == nil {
		t.Error("two components of one name")
	}
}
