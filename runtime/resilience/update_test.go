package resilience

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// every is a policy with every part on.
func every() Policy {
	return Policy{
		Timeout:  Timeout{Total: time.Minute, Attempt: time.Second, Open: time.Second},
		Retry:    Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}},
		Budget:   Budget{Ratio: 0.5},
		Breaker:  Breaker{FailureRateThreshold: 50},
		Bulkhead: Bulkhead{MaxConcurrent: 5}, RateLimit: RateLimit{Limit: 100}, Adaptive: Adaptive{On: true},
		Fallback: Fallback{On: true}, Caching: Caching{TTL: time.Minute},
	}
}

func mustUpdate(t testing.TB, g *Guard, f func(p *Policy)) {
	t.Helper()
	if err := g.rt.Update(g.name, func(p *Policy) error { f(p); return nil }); err != nil {
		t.Fatal(err)
	}
}

// TestUpdateOfEveryField changes each field of a Policy: it is in force then,
// or was refused; none is ignored.
func TestUpdateOfEveryField(t *testing.T) {
	refused := map[string]bool{}
	fields(reflect.TypeFor[Policy](), nil, func(path []int, _ string) {
		p := every()
		if reflect.TypeFor[Policy]().Field(path[0]).Name == "Hedge" {
			p.Retry, p.Hedge = Retry{}, Hedge{On: true}
		}
		g := mustGuard(t, p)
		name, at := "", reflect.TypeFor[Policy]()
		for _, i := range path {
			name += "." + at.Field(i).Name
			at = at.Field(i).Type
		}
		var want any
		err := g.rt.Update(g.name, func(p *Policy) error {
			v := reflect.ValueOf(p).Elem().FieldByIndex(path)
			if v.Kind() == reflect.Bool {
				v.SetBool(!v.Bool())
			} else {
				give(v)
			}
			want = v.Interface()
			return nil
		})
		got := reflect.ValueOf(g.plan.Load().Policy).Elem().FieldByIndex(path).Interface()
		switch {
		case err != nil:
			refused[name] = true
			if !strings.Contains(err.Error(), "compiled in") {
				t.Errorf("%s: %v", name, err)
			}
			before := reflect.ValueOf(p).FieldByIndex(path)
			if before.Kind() != reflect.Func && !reflect.DeepEqual(got, before.Interface()) {
				t.Errorf("%s: refused and changed to %v", name, got)
			}
		case strings.HasSuffix(name, ".On") && name != ".Fallback.On": // says nothing beside other values
		case !reflect.DeepEqual(got, want):
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	})
	for _, name := range []string{".Retry.RetryOn.Match", ".Retry.AbortOn.Kinds", ".Breaker.RecordOn.Any", ".Fallback.SkipOn.Match", ".Fallback.On",
		".Errors.Permanent", ".Errors.RetryAfterOf", ".Breaker.PerKey", ".Breaker.Name", ".Bulkhead.Name", ".Timeout.Mode", ".Breaker.InitialState"} {
		if !refused[name] {
			t.Errorf("%s is compiled in and was not refused", name)
		}
	}
	for name := range refused {
		if strings.Contains(name, "Max") && !strings.HasSuffix(name, ".MaxKeys") || strings.Contains(name, "Duration") {
			t.Errorf("%s is a number and was refused", name)
		}
	}
}

func TestSettingsReadWhatTheyWrite(t *testing.T) {
	values := map[string][]string{"retry.backoff.delays": {"1s,2s"}}
	for i := range settings {
		s := &settings[i]
		good := 0
		for _, text := range append(values[s.key], "1", "7", "90", "0", "0.5", "2.5", "250ms", "0s", "none", "true", "false", "time", "count", "all", "rate", "full", "open", "shadow", "testing", "linear", "unbounded", "") {
			var p Policy
			if err := s.set(&p, text); err != nil {
				continue
			}
			good++
			var q Policy
			if err := s.set(&q, s.get(&p)); err != nil || s.get(&q) != s.get(&p) {
				t.Errorf("%s: %q reads as %q, and that as %q (%v)", s.key, text, s.get(&p), s.get(&q), err)
			}
		}
		if good < 2 {
			t.Errorf("%s takes %d values", s.key, good)
		}
		if s.set(&Policy{}, "-1s") == nil || s.set(&Policy{}, "-3") == nil || s.set(&Policy{}, "nonsense") == nil {
			t.Errorf("%s takes nonsense", s.key)
		}
	}
}

func TestUpdateIsRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Policy
		f    func(*Policy)
		want string
	}{
		{"below the range", every(), func(p *Policy) { p.Retry.MaxAttempts = -4 }, "retry.maxAttempts: must be ≥ 1 (is -4)"},
		{"what Guard refuses", every(), func(p *Policy) { p.Breaker.MinimumCalls = 500 }, "circuitBreaker.minimumCalls: must not be greater than window.size"},
		{"percent", every(), func(p *Policy) { p.Breaker.FailureRateThreshold = 101 }, "circuitBreaker.failureRateThreshold: must be in (0,100] (is 101)"},
		{"a part that is not there", Policy{Bulkhead: Bulkhead{On: true}}, func(p *Policy) { p.Retry.MaxAttempts = 2 }, "retry: the generated policy has none, and what is not compiled in cannot be switched on"},
		{"a limit for a stream", Policy{Timeout: Timeout{Open: time.Second}}, func(p *Policy) { p.Timeout.Attempt = time.Second }, "Runtime.Update: timeout.attempt: the generated policy has none, and what is not compiled in cannot be switched on"},
		{"a word that is none", every(), func(p *Policy) { p.Breaker.Mode = 9 }, `circuitBreaker.mode: "9" is none of enforce, shadow, disabled, forcedOpen`},
	} {
		g := mustGuard(t, c.p)
		before := g.plan.Load()
		err := g.rt.Update(g.name, func(p *Policy) error { c.f(p); return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
		if g.plan.Load() != before || len(g.rt.overrides.updated) > 0 {
			t.Errorf("%s: something changed", c.name)
		}
	}
	g := mustGuard(t, every())
	if err := g.rt.Update(g.name, func(*Policy) error { return errPeer }); !errors.Is(err, errPeer) {
		t.Errorf("the func's own error: %v", err)
	}
	if err := g.rt.Update("payments.Gatway.Charge", nil); err == nil || !strings.Contains(err.Error(), "did you mean payments.Gateway.Charge?") {
		t.Errorf("%v", err)
	}
}

func TestUpdateTakesPartsOutAndPutsThemBack(t *testing.T) {
	g := mustGuard(t, every())
	mustUpdate(t, g, func(p *Policy) { p.Retry = Retry{} })
	if p := g.plan.Load(); p.retries || p.attempts != 1 {
		t.Error("retry is still there")
	}
	mustUpdate(t, g, func(p *Policy) { p.Retry.MaxAttempts = 7 })
	if p := g.plan.Load(); p.attempts != 7 || p.Retry.Backoff.Strategy != NoBackoff {
		t.Errorf("%d attempts, strategy %d: the generated values are the base", p.attempts, p.Retry.Backoff.Strategy)
	}
}

// TestPrecedence goes from the default up.
func TestPrecedence(t *testing.T) {
	attempts := func(g *Guard) int { return int(g.plan.Load().attempts) }
	rt := &Runtime{}
	g, _ := rt.Wrap("p.G", 1).Guard("M", Policy{Retry: Retry{On: true}}), 0
	h := rt.Wrap("p.H", 1).Guard("M", Policy{Retry: Retry{MaxAttempts: 2}})
	steps := []struct {
		name string
		do   func() error
		g, h int
	}{
		{"default", func() error { return nil }, 3, 2},
		{"preset", func() error { rt.Apply(Production); return nil }, 5, 2},
		{"environment", func() error {
			err := rt.readEnvironment([]string{"RESILIENCE_RETRY_MAXATTEMPTS=6"})
			rt.recompile()
			return err
		}, 6, 6},
		{"overrides of an interface", func() error { return rt.SetOverrides([]Override{{Name: "p.G", Key: "retry.maxAttempts", Value: "7"}}) }, 7, 6},
		{"of a method", func() error {
			return rt.SetOverrides([]Override{{Name: "p.G.M", Key: "retry.maxAttempts", Value: "8"}, {Name: "p.G", Key: "retry.maxAttempts", Value: "7"},
				{Name: "p.?.M*", Key: "retry.maxAttempts", Value: "9"}, {Name: "p.*", Key: "retry.maxAttempts", Value: "10"}})
		}, 8, 9},
		{"update", func() error {
			return rt.Update("p.G", func(p *Policy) error { p.Retry.MaxAttempts++; return nil })
		}, 9, 9},
		{"preset below all", func() error { rt.Apply(Development); return nil }, 9, 9},
		{"overrides taken back", func() error { return rt.SetOverrides(nil) }, 9, 6},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if attempts(g) != s.g || attempts(h) != s.h {
			t.Errorf("%s: %d and %d attempts, want %d and %d", s.name, attempts(g), attempts(h), s.g, s.h)
		}
	}
}

func TestUpdateKeepsTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name  string
			f     func(*Policy)
			calls int
		}{
			{"threshold", func(p *Policy) { p.Breaker.FailureRateThreshold = 80 }, 6},
			{"what another kind of window has", func(p *Policy) { p.Breaker.OpenDuration = time.Hour }, 6},
			{"size", func(p *Policy) { p.Breaker.Window.Size = 50 }, 0},
			{"type", func(p *Policy) { p.Breaker.Window = Window{Type: TimeWindow} }, 0},
		} {
			g := mustGuard(t, Policy{Breaker: Breaker{Window: Window{Size: 20}, MinimumCalls: 10}})
			script(t, g, "SSFSFS")
			mustUpdate(t, g, c.f)
			if s := g.rt.Breaker(g.name).Snapshot(); s.Calls != c.calls {
				t.Errorf("%s: %d calls in the window, want %d", c.name, s.Calls, c.calls)
			}
		}
	})
}

func TestUpdateOfAnOpenBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, auto := range []bool{false, true} {
			g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Minute, AutoHalfOpen: auto}})
			script(t, g, "F+")
			mustUpdate(t, g, func(p *Policy) { p.Breaker.Window.Size = 7; p.Breaker.OpenDuration = 3 * time.Second })
			if s := g.rt.Breaker(g.name).Snapshot(); s.State != StateOpen || s.RetryAfter != 2*time.Second {
				t.Errorf("auto %t: %+v: it has been open for a second of three", auto, s)
			}
			if got := script(t, g, "S+S+S"); got != "oos" {
				t.Errorf("auto %t: %s", auto, got)
			}
			mustUpdate(t, g, func(p *Policy) { p.Breaker.Mode = ForcedOpen })
			if got := script(t, g, "S"); got != "o" {
				t.Errorf("auto %t: forced open: %s", auto, got)
			}
			mustUpdate(t, g, func(p *Policy) { p.Breaker.Mode = Enforce })
			if got := script(t, g, "SFS"); got != "sfo" {
				t.Errorf("auto %t: enforced again: %s", auto, got)
			}
		}
	})
}

// TestUpdateOfAHalfOpenBreaker makes the sample smaller than what has come back,
// which nothing would ever complete.
func TestUpdateOfAHalfOpenBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for probes, want := range map[string]State{"SS": StateClosed, "FS": StateOpen} {
			g := mustGuard(t, Policy{Breaker: Breaker{MinimumCalls: 1, OpenDuration: time.Second, HalfOpen: HalfOpen{Mode: RateMode}}})
			script(t, g, "F+"+probes)
			mustUpdate(t, g, func(p *Policy) { p.Breaker.HalfOpen.PermittedCalls = 2 })
			if s := g.rt.Breaker(g.name).Snapshot(); s.State != want {
				t.Errorf("%s: %+v", probes, s)
			}
		}
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second, HalfOpen: HalfOpen{SuccessThreshold: 4, MaxWait: None}}})
		script(t, g, "F+SS")
		call := g.Begin(t.Context())
		call.Next() // a probe that is out while nothing is recorded
		mustUpdate(t, g, func(p *Policy) { p.Breaker.Mode = Disabled })
		call.Record(nil)
		call.End()
		mustUpdate(t, g, func(p *Policy) { p.Breaker.Mode = Enforce; p.Breaker.HalfOpen.SuccessThreshold = 2 })
		if got := script(t, g, "SSF"); got != "ssf" {
			t.Errorf("%s: no probe is let through", got)
		}
	})
}

// TestReconfiguredBreakerAgainstModel is TestBreakerAgainstModel with other
// numbers every now and then.
func TestReconfiguredBreakerAgainstModel(t *testing.T) {
	for seed := range histories(300) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 3))
			conf := randomBreaker(random)
			g := mustGuard(t, Policy{Breaker: conf})
			handle, model := g.plan.Load().breaker, &modelBreaker{conf: conf, state: StateClosed}
			failures := 1 + random.IntN(50)
			for step := range 300 {
				if random.IntN(10) == 0 {
					time.Sleep(time.Duration(random.Int64N(int64(4 * time.Second))))
				}
				if random.IntN(15) == 0 {
					next := randomBreaker(random)
					if random.IntN(2) == 0 {
						next.Window, next.MinimumCalls = model.conf.Window, model.conf.MinimumCalls
					}
					mustUpdate(t, g, func(p *Policy) { p.Breaker = next })
					model.reconfigure(next)
				}
				fails, slow := random.IntN(100) < failures, model.conf.SlowCallDuration > 0 && random.IntN(100) < failures
				var m mark
				if fails {
					m |= markFailure
				}
				if slow {
					m |= markSlow
				}
				allowed := model.allow()
				err := Try(t.Context(), g, func(context.Context) error {
					if slow {
						time.Sleep(model.conf.SlowCallDuration + 1)
					}
					if fails {
						return errPeer
					}
					return nil
				})
				if allowed {
					model.record(m)
				}
				if rejected := errors.Is(err, ErrCircuitOpen); rejected == allowed {
					t.Fatalf("seed %d step %d %+v: %v", seed, step, model.conf, err)
				}
				got := (&CircuitBreaker{&Runtime{}, handle}).Snapshot()
				if sum := model.counts(); random.IntN(5) == 0 && model.state == StateClosed &&
					(got.State != StateClosed || sum != counts{got.Calls, got.Failures, got.Slow, got.SlowFailures} || got.Consecutive != model.row) {
					t.Fatalf("seed %d step %d %+v: %+v, want %+v, %d in a row", seed, step, model.conf, got, sum, model.row)
				}
			}
		})
	}
}

func (b *modelBreaker) reconfigure(conf Breaker) {
	if conf.Window != b.conf.Window {
		b.calls = nil
	}
	b.conf = conf
	if b.state == StateHalfOpen && b.passed >= conf.HalfOpen.SuccessThreshold {
		b.state, b.calls, b.row = StateClosed, nil, 0
	}
}

func TestResizedBulkhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Bulkhead: Bulkhead{MaxConcurrent: 2, MaxWait: time.Minute}})
		release := make(chan struct{})
		var in atomic.Int64
		for range 5 {
			go func() {
				_ = Try(t.Context(), g, func(context.Context) error { in.Add(1); <-release; in.Add(-1); return nil })
			}()
		}
		see := func(when string, want int64) {
			t.Helper()
			synctest.Wait()
			if n := in.Load(); n != want {
				t.Errorf("%s: %d in flight, want %d", when, n, want)
			}
		}
		resize := func(n int) { mustUpdate(t, g, func(p *Policy) { p.Bulkhead.MaxConcurrent = n }) }
		see("at first", 2)
		resize(4)
		see("more slots go to who waits", 4)
		resize(1)
		see("fewer slots", 4)
		for left := int64(3); left >= 1; left-- {
			release <- struct{}{}
			see("given back", left)
		}
		release <- struct{}{}
		see("the last in the queue", 1)
		resize(None)
		release <- struct{}{}
		see("closed", 0)
		mustUpdate(t, g, func(p *Policy) { p.Bulkhead.MaxWait = None })
		if err := Try(t.Context(), g, func(context.Context) error { return nil }); !errors.Is(err, ErrBulkheadFull) {
			t.Errorf("a bulkhead of no slots: %v", err)
		}
	})
}

func TestSharedPartsStayOfOneMind(t *testing.T) {
	rt := &Runtime{}
	shared := Breaker{Name: "db", MinimumCalls: 10}
	var guards []*Guard
	for _, name := range []string{"p.A", "p.B"} {
		guards = append(guards, rt.Wrap(name, 1).Guard("M", Policy{Breaker: shared, Bulkhead: Bulkhead{Name: "db", MaxConcurrent: 3}}))
	}
	other := rt.Wrap("p.C", 1).Guard("M", Policy{Breaker: Breaker{MinimumCalls: 10}})
	mustUpdate(t, guards[0], func(p *Policy) { p.Breaker.MinimumCalls = 20; p.Bulkhead.MaxConcurrent = 4 })
	for _, g := range guards {
		if p := g.plan.Load(); p.Breaker.MinimumCalls != 20 || p.breaker.conf.MinimumCalls != 20 || p.Bulkhead.MaxConcurrent != 4 {
			t.Errorf("%s: %+v", g.name, p.Breaker)
		}
	}
	if other.plan.Load().Breaker.MinimumCalls != 10 {
		t.Error("a breaker of its own changed")
	}
	if err := rt.SetOverrides([]Override{{Name: "p.A.M", Key: "circuitBreaker.openDuration", Value: "1s"}, {Name: "p.B.M", Key: "circuitBreaker.openDuration", Value: "2s"}}); err == nil || !strings.Contains(err.Error(), `circuitBreaker "db" has other numbers in p.A.M`) {
		t.Errorf("%v", err)
	}
	late := rt.Wrap("p.D", 1)
	g := late.Guard("M", Policy{Breaker: shared})
	if err := late.Err(); err != nil || g.plan.Load().Breaker.MinimumCalls != 20 {
		t.Errorf("a guard that comes later: %v", err)
	}
}

func TestLateGuardThatOverridesDoNotFit(t *testing.T) {
	rt := &Runtime{}
	rt.Wrap("p.G", 1).Guard("A", Policy{Breaker: Breaker{Window: Window{Size: 500}}})
	if err := rt.SetOverrides([]Override{{Name: "p.G", Key: "circuitBreaker.minimumCalls", Value: "200"}}); err != nil {
		t.Fatal(err)
	}
	w := rt.Wrap("p.G", 1)
	g := w.Guard("B", Policy{Breaker: Breaker{Window: Window{Size: 100}, MinimumCalls: 50}})
	if w.Err() != nil || g.plan.Load().Breaker.MinimumCalls != 50 || !strings.Contains(rt.Explain("p.G.B"), "overrides are left out, since they do not fit: p.G.B#2: circuitBreaker.minimumCalls") {
		t.Errorf("%v\n%s", w.Err(), rt.Explain("p.G.B"))
	}
	if err := rt.SetOverrides([]Override{{Name: "p.G", Key: "circuitBreaker.minimumCalls", Value: "300"}}); err == nil || g.misfit == nil {
		t.Errorf("%v, misfit %v", err, g.misfit)
	}
	if err := rt.SetOverrides([]Override{{Name: "p.G", Key: "circuitBreaker.minimumCalls", Value: "60"}}); err != nil || g.plan.Load().Breaker.MinimumCalls != 60 {
		t.Errorf("it fits now: %v", err)
	}
}

func TestDisable(t *testing.T) {
	rt := &Runtime{}
	g := rt.Wrap("p.G", 1).Guard("M", every())
	f := func() (attempts int, breaker, fallback bool) {
		p := g.plan.Load()
		return int(p.attempts), p.breaker != nil, p.mayFall
	}
	for _, c := range []struct {
		parts, names []string
		want         string
	}{
		{[]string{"retry", "fallback"}, nil, "1 true false"},
		{[]string{"circuitBreaker"}, []string{"p.G"}, "3 false true"},
		{nil, []string{"p.G.M"}, "3 true true"},
	} {
		if err := rt.Disable(c.parts, c.names...); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(f()); got != c.want {
			t.Errorf("%v %v: %s, want %s", c.parts, c.names, got, c.want)
		}
	}
	if rt.Disable([]string{"rety"}) == nil || rt.Disable(nil, "p.X") == nil {
		t.Error("what there is not was taken out")
	}
}

func TestDisabledRetryEndsASleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Retry: Retry{Backoff: Backoff{Strategy: Constant, InitialDelay: time.Minute, MaxDelay: time.Minute, Jitter: NoJitter}}})
		f, calls := failing(9, errPeer)
		time.AfterFunc(time.Second, func() {
			if err := g.rt.Disable([]string{"retry"}); err != nil {
				t.Error(err)
			}
		})
		if err := Try(t.Context(), g, f); !errors.Is(err, errPeer) || *calls != 1 {
			t.Errorf("%d calls, %v", *calls, err)
		}
	})
}

func TestNameWithAPath(t *testing.T) {
	rt := &Runtime{}
	a := rt.Wrap("p.G", 1)
	x := a.Guard("M", every())
	b := rt.Wrap("p.G", 1)
	b.pkg = "example.com/other/p"
	y := b.Guard("M", every())
	if err := rt.Update("p.G", func(*Policy) error { return nil }); err == nil || !strings.Contains(err.Error(), "write the path of one of them") {
		t.Errorf("%v", err)
	}
	if x.pkg != "github.com/resilgen/resilgen/runtime/resilience" {
		t.Errorf("package %q", x.pkg)
	}
	for _, name := range []string{"example.com/other/p.G", "example.com/other/p.G.M", "example.com/other/p.G#2"} {
		if err := rt.Update(name, func(p *Policy) error { p.Retry.MaxAttempts++; return nil }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if x.plan.Load().attempts != 3 || y.plan.Load().attempts != 6 {
		t.Errorf("%d and %d attempts", x.plan.Load().attempts, y.plan.Load().attempts)
	}
}

// TestUpdateWhileCallsRun changes everything there is to change under load, for
// the race detector; nothing stays taken.
func TestUpdateWhileCallsRun(t *testing.T) {
	g := mustGuard(t, Policy{
		Timeout: Timeout{Attempt: time.Minute}, Retry: Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: NoBackoff}},
		Breaker: Breaker{ConsecutiveFailures: 1000000, SlowCallDuration: time.Hour}, Bulkhead: Bulkhead{MaxConcurrent: 64, MaxWait: time.Minute},
	})
	var stop atomic.Bool
	var updates int
	run(9, func(n int) {
		if n == 8 {
			for i := range 300 {
				mustUpdate(t, g, func(p *Policy) {
					p.Retry.MaxAttempts = 1 + i%4
					p.Breaker.Window = Window{Size: 50 + i%3}
					p.Breaker.SlowCallDuration = time.Duration(i%2) * time.Hour
					p.Breaker.Mode = []BreakerMode{Enforce, Shadow, Disabled}[i%3]
					p.Bulkhead.MaxConcurrent = 1 + i%7
				})
				updates++
			}
			stop.Store(true)
			return
		}
		for i := 0; !stop.Load(); i++ {
			if err := Try(t.Context(), g, func(context.Context) error {
				if i%5 == 0 {
					return errPeer
				}
				return nil
			}); err != nil && !errors.Is(err, errPeer) && !errors.Is(err, ErrCircuitOpen) {
				t.Error(err)
				return
			}
		}
	})
	if n := g.plan.Load().bulkhead.taken.Load(); n != 0 || updates != 300 {
		t.Errorf("%d slots taken after %d updates", n, updates)
	}
}

func TestUpdateFromWithin(t *testing.T) {
	g := mustGuard(t, every())
	times := 0
	err := g.rt.Update(g.name, func(p *Policy) error {
		if times++; times == 1 { // somebody else is faster
			mustUpdate(t, g, func(p *Policy) { p.Retry.MaxAttempts = 10 })
		}
		p.Retry.MaxAttempts++
		return nil
	})
	if err != nil || times != 2 || g.plan.Load().attempts != 11 {
		t.Errorf("%v, %d times, %d attempts", err, times, g.plan.Load().attempts)
	}
}

func TestExplain(t *testing.T) {
	rt := &Runtime{}
	if err := rt.readEnvironment([]string{"RESILIENCE_RETRY_MAXATTEMPTS=6"}); err != nil {
		t.Fatal(err)
	}
	g := rt.Wrap("p.G", 1).Guard("M", Policy{Preset: Production, Retry: Retry{MaxAttempts: 2}, Breaker: Breaker{On: true}, Bulkhead: Bulkhead{MaxConcurrent: 3}, Fallback: Fallback{On: true}})
	if err := rt.SetOverrides([]Override{{Name: "p.G", Key: "circuitBreaker.openDuration", Value: "1s", Origin: "overrides.yaml:3:4"}, {Name: "p.G.M", Key: disable, Value: "bulkhead", Origin: "overrides.yaml:5:6"}}); err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, g, func(p *Policy) { p.Breaker.Mode = Shadow })
	info := rt.Policies()[0]
	if !info.Drifted() || info.Name != "p.G.M" {
		t.Errorf("%+v", info)
	}
	want := "p.G.M: policy " + info.Running + ", generated " + info.Generated + `
  bulkhead                                 none             overrides.yaml:5:6
  fallback                                 on               generated
  preset                                   production       in force
  retry.maxAttempts                        6                RESILIENCE_RETRY_MAXATTEMPTS
  retry.backoff.strategy                   exponential      default
  retry.backoff.initialDelay               1s               preset production
  retry.backoff.multiplier                 2                preset production
  retry.backoff.maxDelay                   30s              preset production
  retry.backoff.jitter                     ratio            preset production
  retry.backoff.jitterFactor               0.2              preset production
  retry.retryAfter.honor                   true             default
  retry.retryAfter.max                     30s              default
  retry.budget.ratio                       0.2              preset production
  retry.budget.minConcurrency              3                preset production
  circuitBreaker.window.type               count            default
  circuitBreaker.window.size               100              default
  circuitBreaker.minimumCalls              10               preset production
  circuitBreaker.failureRateThreshold      50               default
  circuitBreaker.openDuration              1s               overrides.yaml:3:4
  circuitBreaker.autoHalfOpen              false            default
  circuitBreaker.halfOpen.mode             all              default
  circuitBreaker.halfOpen.successThreshold 2                preset production
  circuitBreaker.halfOpen.permittedCalls   1                default
  circuitBreaker.halfOpen.maxWait          1s               default
  circuitBreaker.halfOpen.onMaxWait        open             default
  circuitBreaker.mode                      shadow           Runtime.Update
  nesting                                  fallback > retry > circuitBreaker > delegate
`
	if got := rt.Explain("p.G.M"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	rt.SetEnabled(false)
	if text := rt.Explain(""); !strings.Contains(text, "switched off") {
		t.Error(text)
	}
	if text := rt.Explain("p.H"); text != "there is no interface and no method \"p.H\" with a policy (did you mean p.G?)\n" {
		t.Error(text)
	}
}

func TestHashesHaveOneLength(t *testing.T) {
	rt := &Runtime{}
	for n := range 100 { // some of which begin with a 0
		rt.Wrap("p.G"+strconv.Itoa(n), n).Guard("M", Policy{Retry: Retry{MaxAttempts: n + 2}})
	}
	for _, info := range rt.Policies() {
		if len(info.Running) != 16 || len(info.Generated) != 16 {
			t.Errorf("%+v", info)
		}
	}
}

func TestDriftGoesAway(t *testing.T) {
	g := mustGuard(t, every())
	drifted := func() bool { info := g.rt.Policies()[0]; return info.Drifted() }
	if drifted() {
		t.Error("drifted from itself")
	}
	mustUpdate(t, g, func(p *Policy) { p.Retry.MaxAttempts = 9 })
	if !drifted() {
		t.Error("nine attempts are no drift")
	}
	mustUpdate(t, g, func(p *Policy) { p.Retry.MaxAttempts = 3 })
	if drifted() {
		t.Error("as generated, and drifted")
	}
}
