package resilience

import (
	"testing"
	"testing/synctest"
)

func TestBuiltinGuardsOfInstances(t *testing.T) {
	rt := &Runtime{}
	if eu, us := rt.Named("eu").API("gw"), rt.Named("us").API("gw"); eu == us || eu.name != "gw@eu" {
		t.Errorf("eu and us share %s", eu.name)
	}
}

func TestBuiltinGuardOfAnotherPolicy(t *testing.T) {
	rt := &Runtime{}
	rt.API("x")
	if g := rt.FileSystem("x"); g.policy.Breaker.set() {
		t.Error("FileSystem returned the guard of API")
	}
}

func TestBuiltinGuardConcurrently(t *testing.T) {
	for range 50 {
		rt := &Runtime{}
		run(16, func(int) { rt.API("x") })
		if n := len(rt.Breakers()); n != 1 || rt.API("x").name != "x" {
			t.Fatalf("%d breakers, guard %s", n, rt.API("x").name)
		}
	}
}

func TestForcedOpenSurvivesApply(t *testing.T) {
	g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 5}})
	g.rt.Breakers()[0].ForceOpen()
	g.rt.Apply(Production)
	if got := script(t, g, "S"); got != "o" {
		t.Errorf("%s", got)
	}
}

func TestUnnamedBreakersOfOneName(t *testing.T) {
	rt := &Runtime{}
	x, _ := rt.Guard("db", Policy{Breaker: Breaker{ConsecutiveFailures: 1}})
	y, err := rt.Guard("y", Policy{Breaker: Breaker{Name: "db", ConsecutiveFailures: 2}})
	if err != nil {
		return
	}
	script(t, x, "F")
	rt.SetEnabled(true)
	if got := script(t, x, "S"); got != "o" {
		t.Errorf("%s", got)
	}
	_ = y
	if n := len(rt.Breakers()); n != 2 {
		t.Errorf("%d breakers listed of 2", n)
	}
}

func TestSharedNameUnderTwoPresets(t *testing.T) {
	rt := &Runtime{}
	a, err1 := rt.Guard("a", Policy{Preset: Production, Breaker: Breaker{Name: "db", ConsecutiveFailures: 1}})
	b, err2 := rt.Guard("b", Policy{Preset: Development, Breaker: Breaker{Name: "db", ConsecutiveFailures: 1}})
	if err1 == nil && err2 == nil && a.plan.Load().breaker != b.plan.Load().breaker {
		t.Error("two breakers of one name, and no error")
	}
}

func TestScopeInterfaceWithOtherNumbersIsRefused(t *testing.T) {
	rt := &Runtime{}
	w := rt.Wrap("a.B", 1)
	w.Guard("X", Policy{Breaker: Breaker{Scope: InterfaceScope, ConsecutiveFailures: 1}})
	w.Guard("Y", Policy{Breaker: Breaker{Scope: InterfaceScope, ConsecutiveFailures: 2}})
	if w.Err() == nil {
		t.Error("two breakers where one for all methods was asked for")
	}
}

func TestInterfaceScopeKeepsStateOverSwitch(t *testing.T) {
	rt := &Runtime{}
	w := rt.Wrap("a.B", 1)
	x := w.Guard("X", Policy{Breaker: Breaker{Scope: InterfaceScope, ConsecutiveFailures: 1}})
	w.Guard("Y", Policy{Breaker: Breaker{Scope: InterfaceScope, ConsecutiveFailures: 2}})
	script(t, x, "F")
	rt.SetEnabled(true)
	if got := script(t, x, "S"); got != "o" {
		t.Errorf("%s: SetEnabled(true) closed an open breaker", got)
	}
}

func TestSwitchOfAnInstance(t *testing.T) {
	rt := &Runtime{}
	g := rt.Named("eu").Wrap("p.G", 1).Guard("M", Policy{Retry: Retry{Backoff: Backoff{Strategy: NoBackoff}}})
	rt.SetEnabled(false, "p.G@eu")
	f, calls := failing(9, errPeer)
	_ = Try(t.Context(), g, f)
	if *calls != 1 {
		t.Errorf("%d", *calls)
	}
}

func TestApplyLeavesNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, AutoHalfOpen: true}})
		b := g.plan.Load().breaker
		script(t, g, "F")
		g.rt.Apply(Production)
		if g.plan.Load().breaker != b && b.timer != nil {
			t.Error("timer of a breaker that nobody uses")
		}
	})
}
