package resilience

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestOverridesInOrder changes one key from many goroutines: the events tell
// every value that was in force, in the order in which they were.
func TestOverridesInOrder(t *testing.T) {
	for name, then := range map[string]func(rt *Runtime){
		"calls back": func(rt *Runtime) { rt.Explain(""); rt.Health().Snapshot(); rt.Stats() },
		"panics":     func(*Runtime) { panic("observer") },
		"blocks":     func(*Runtime) { time.Sleep(time.Second) },
		"Goexits":    func(*Runtime) { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt, g, l := heard(t, Policy{Retry: Retry{On: true}})
				l.then = func(Event) { then(rt) }
				for n := range 8 {
					go func() {
						for i := range 20 {
							done := make(chan struct{})
							go func() {
								defer close(done)
								_ = rt.Update("pay.Charge", func(p *Policy) error { p.Retry.MaxAttempts = 2 + n*20 + i; return nil })
							}()
							<-done
							time.Sleep(time.Millisecond)
						}
					}()
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				seen := map[string]bool{}
				for _, e := range l.events {
					if seen[e.Value] {
						t.Fatalf("%v was told twice", e)
					}
					seen[e.Value] = true
				}
				// An observer that ends the goroutine of an update may do so before that was made.
				if last := l.events[len(l.events)-1]; name != "Goexits" && len(seen) != 160 || last.Value != fmt.Sprint(g.plan.Load().Retry.MaxAttempts) {
					t.Errorf("%d told, the last one %v, and %d is in force", len(seen), last, g.plan.Load().Retry.MaxAttempts)
				}
				l.then = nil
			})
		})
	}
}

// TestLimitsInOrder has each move of a limit begin where the one before ended.
func TestLimitsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, g, l := heard(t, Policy{Adaptive: Adaptive{Mode: Concurrency, InitialLimit: 10}})
		l.then = func(e Event) {
			if e.Kind == LimitChanged {
				time.Sleep(time.Millisecond)
			}
		}
		for i := range 30 {
			together(t, 30, func() {
				_ = Try(t.Context(), g, func(context.Context) error { time.Sleep(time.Duration(1+i%7) * time.Second); return nil })
			})
		}
		at := 10
		moves := l.of(LimitChanged)
		for _, e := range moves {
			if e.LimitFrom != at || e.LimitTo == at {
				t.Fatalf("%v, from %d", e, at)
			}
			at = e.LimitTo
		}
		if int64(at) != g.steering.limit.Load() || len(moves) < 5 {
			t.Errorf("%d moves to %d, and %d is in force", len(moves), at, g.steering.limit.Load())
		}
	})
}

// TestHealthTellsTheRuntimesObserver also where a check runs, once each, and in
// order, by the goroutine of the registry.
func TestHealthTellsTheRuntimesObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, l := heard(t, Policy{Retry: Retry{On: true}})
		var mu sync.Mutex
		var changes []HealthChange
		h, n := rt.Health(), 0
		h.OnChange(func(c HealthChange) { mu.Lock(); defer mu.Unlock(); changes = append(changes, c) })
		l.then = func(Event) { h.Snapshot(); rt.Breakers() }
		if err := h.Register(Component{Name: "db", FailAfter: 1, RecoverAfter: 1, Check: func(context.Context) error {
			if n++; n%4 == 3 {
				return errPeer
			}
			return nil
		}}); err != nil {
			t.Fatal(err)
		}
		if err := h.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
		events := l.of(HealthChanged)
		if len(events) != len(changes) || len(events) < 4 {
			t.Fatalf("%d events of %d changes", len(events), len(changes))
		}
		for i, e := range events {
			c := changes[i]
			if e.Name != c.Component || e.HealthFrom != c.From || e.HealthTo != c.To || e.Reason != c.Reason || e.Flapping != c.Flapping || e.Quiet != c.Quiet || !e.Time.Equal(c.At) {
				t.Errorf("event %+v of %+v", e, c)
			}
		}
	})
}

// TestNewsForNobody holds the new kinds to costing nothing without a listener.
func TestNewsForNobody(t *testing.T) {
	rt := &Runtime{}
	for name, p := range map[string]Policy{"throttle": {Adaptive: Adaptive{On: true}}, "steered": {Adaptive: Adaptive{Mode: Concurrency}}} {
		g, err := rt.Guard(name, p)
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		if n := testing.AllocsPerRun(1000, func() { fallible(ctx, g, errPeer) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	rt.RefuseOverrides(errPeer)
	rt.Health().Snapshot()
	if rt.news != nil || rt.Health().news != nil || rt.Observer() != (ObserverCounts{}) {
		t.Error("news for nobody")
	}
}

// TestLogLevels has people woken by what got worse, and by nothing else.
func TestLogLevels(t *testing.T) {
	for _, c := range []struct {
		e    Event
		want string
	}{
		{Event{Kind: OverrideApplied, Key: "retry.maxAttempts", Value: "4", By: "o.yaml:2:3"}, `level=INFO msg="override applied" by=o.yaml:2:3 key=retry.maxAttempts value=4`},
		{Event{Kind: OverrideRefused, Name: "p.G", Err: errPeer}, `level=WARN msg="override refused" name=p.G error="gateway: 503"`},
		{Event{Kind: LimitChanged, Name: "p.G", LimitFrom: 20, LimitTo: 10, Reason: "latency"}, `level=DEBUG msg="limit changed" name=p.G reason=latency from=20 to=10`},
		{Event{Kind: HealthChanged, Name: "db", HealthTo: Healthy}, `level=INFO msg="health changed" name=db from=starting to=healthy`},
		{Event{Kind: HealthChanged, Name: "db", HealthFrom: Healthy, HealthTo: Degraded, Reason: "circuit open"}, `level=WARN msg="health changed" name=db reason="circuit open" from=healthy to=degraded`},
		{Event{Kind: HealthChanged, Name: "db", HealthFrom: Unhealthy, HealthTo: Degraded}, `level=INFO msg="health changed" name=db from=unhealthy to=degraded`},
		{Event{Kind: HealthChanged, Name: "db", HealthFrom: Healthy, HealthTo: Maintenance}, `level=INFO msg="health changed" name=db from=healthy to=maintenance`},
		{Event{Kind: HealthChanged, Name: "db", HealthFrom: Degraded, HealthTo: Degraded, Flapping: true}, `level=WARN msg="health changed" name=db from=degraded to=degraded flapping=true`},
		{Event{Kind: HealthChanged, Name: "db", HealthFrom: Healthy, HealthTo: Unhealthy, Quiet: true, By: "disk"}, `level=INFO msg="health changed" name=db by=disk from=healthy to=unhealthy`},
	} {
		if got := logged(c.e); !strings.HasSuffix(strings.TrimSpace(got), c.want) {
			t.Errorf("got %swant …%s", got, c.want)
		}
	}
}

// TestHealthAfterCloseTellsNobody has an observer that asks for the health, which
// is made for the first time when the Runtime is closed.
func TestHealthAfterCloseTellsNobody(t *testing.T) {
	rt, _, l := heard(t, Policy{Breaker: Breaker{On: true}, Health: Health{Register: true}})
	l.then = func(Event) { rt.Health() }
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	if s := rt.Health().Snapshot(); s.Ready != StatusFail || len(l.of(HealthChanged)) != 0 {
		t.Errorf("ready %v, told %v", s.Ready, l.events)
	}
}
