package resilience

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// An observer may end the goroutine of whoever tells it, at each kind of event:
// everything comes back.
func TestObserverMayEndTheGoroutine(t *testing.T) {
	for kind := AttemptFailed; eventNames[min(int(kind), len(eventNames)-1)] != "" && int(kind) < len(eventNames); kind++ {
		for _, hedges := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, " hedges ", hedges), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { observerEnds(t, kind, hedges) })
			})
		}
	}
}

func observerEnds(t *testing.T, kind EventKind, hedges bool) {
	var off bool
	rt, err := Open(Options{Observe: func(_ context.Context, e Event) {
		if e.Kind == kind && !off {
			runtime.Goexit()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	p := Policy{
		Timeout:   Timeout{Attempt: time.Second},
		Budget:    Budget{On: true},
		Breaker:   Breaker{ConsecutiveFailures: 2, OpenDuration: time.Second, PerKey: true, HalfOpen: HalfOpen{MaxWait: None}},
		RateLimit: RateLimit{Mode: RollingLimit, Limit: 20, Period: time.Minute, PerKey: true},
		Bulkhead:  Bulkhead{MaxConcurrent: 2, MaxWait: 10 * time.Millisecond},
		Adaptive:  Adaptive{Mode: Concurrency},
		Fallback:  Fallback{On: true},
	}
	if p.Hedge = (Hedge{Delay: 10 * time.Millisecond, MaxHedges: 2}); !hedges {
		p.Hedge, p.Retry = Hedge{}, Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: Constant, InitialDelay: time.Millisecond}}
	}
	g, err := rt.Guard("ended", p)
	if err != nil {
		t.Fatal(err)
	}
	do := func(f func(context.Context) (int, error)) (err error) {
		call := g.BeginKey(t.Context(), "key")
		defer call.End()
		call.LimitKey("key")
		if hedges {
			_, err = Hedged(&call, f)
		} else {
			for call.Next() {
				_, err = f(call.Context())
				call.Record(err)
			}
			err = call.Err()
		}
		_ = call.WantsFallback()
		return err
	}
	plans := []func(context.Context) (int, error){
		func(context.Context) (int, error) { return 1, nil },
		func(context.Context) (int, error) { return 0, errPeer },
		func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() },
		func(context.Context) (int, error) { panic("boom") },
		func(ctx context.Context) (int, error) {
			if Attempt(ctx).Number == 1 {
				time.Sleep(50 * time.Millisecond)
				return 0, errPeer
			}
			return 1, nil
		},
		func(ctx context.Context) (int, error) {
			if Attempt(ctx).Number == 2 {
				panic("boom")
			}
			time.Sleep(50 * time.Millisecond)
			return 0, errPeer
		},
	}
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			defer func() { _ = recover() }()
			_ = do(plans[i%len(plans)])
		})
		if i%3 == 0 {
			time.Sleep(700 * time.Millisecond)
		}
	}
	group.Wait()
	off = true
	time.Sleep(time.Hour)
	if b := rt.Stats().Bulkheads[0]; b.InFlight != 0 || b.Waiting != 0 {
		t.Errorf("%+v", b)
	}
	if b := rt.Budgets()[0]; b.InFlight != 0 || b.Repeated != 0 {
		t.Errorf("%+v", b)
	}
	if a := rt.AdaptiveLimits()[0]; a.InFlight != 0 {
		t.Errorf("%+v", a)
	}
	if m := rt.Stats().Methods[0]; m.InFlight != 0 {
		t.Errorf("%d calls in flight", m.InFlight)
	}
	plan := g.plan.Load()
	if n := plan.keys.acquire("key").calls.Load(); n != 1 {
		t.Errorf("%d calls of the key's breaker", n-1)
	}
	if n := plan.limiters.acquire("key").calls.Load(); n != 1 {
		t.Errorf("%d calls of the key's limiter", n-1)
	}
	for i := range 20 { // one after another: the probe's permit is there, and every other one
		if err := do(plans[0]); err != nil {
			t.Errorf("call %d: %v", i, err)
			return
		}
	}
}

// A call that is rejected when it has paid is paid back, whoever hears of it.
func TestRejectedCallIsPaidBackBeforeItIsTold(t *testing.T) {
	bulkhead, adaptive := Bulkhead{MaxConcurrent: None}, Adaptive{Mode: Concurrency, InitialLimit: 1, MaxLimit: 1}
	for name, p := range map[string]Policy{
		"bulkhead":        {Bulkhead: bulkhead},
		"adaptive":        {Adaptive: adaptive},
		"bulkhead nested": {Bulkhead: bulkhead, Breaker: Breaker{On: true}, Order: []Layer{LayerRateLimit, LayerBulkhead, LayerBreaker}},
		"adaptive nested": {Adaptive: adaptive, Breaker: Breaker{On: true}, Order: []Layer{LayerRateLimit, LayerAdaptive, LayerBreaker}},
		"breaker nested":  {Breaker: Breaker{InitialState: StateOpen}, Order: []Layer{LayerRateLimit, LayerBreaker}},
	} {
		rt, err := Open(Options{Observe: func(context.Context, Event) { runtime.Goexit() }})
		if err != nil {
			t.Fatal(err)
		}
		p.RateLimit = RateLimit{Mode: RollingLimit, Limit: 2, Period: time.Hour}
		g, err := rt.Guard(name, p)
		if err != nil {
			t.Fatal(err)
		}
		if g.steering != nil {
			g.steering.enter()
		}
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() { _ = Try(t.Context(), g, func(context.Context) error { return nil }) })
		}
		group.Wait()
		if l := rt.Limiters()[0]; l.RetryAfter != 0 {
			t.Errorf("%s: %+v: who was rejected has paid", name, l)
		}
	}
}

// A limit that moves is told in the middle of an attempt's end, and of an
// admission.
func TestObserverOfLimitsMayEndTheGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for mode, conf := range map[string]Adaptive{"concurrency": {Mode: Concurrency}, "throttle": {Mode: Throttle, Window: time.Second}} {
			told := 0
			rt, err := Open(Options{Observe: func(_ context.Context, e Event) {
				if e.Kind == LimitChanged {
					told++
					runtime.Goexit()
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			g, err := rt.Guard(mode, Policy{Adaptive: conf, Bulkhead: Bulkhead{MaxConcurrent: 1}})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 500 {
				var group sync.WaitGroup
				group.Go(func() {
					defer func() { _ = recover() }()
					_ = Try(t.Context(), g, func(context.Context) error {
						time.Sleep(time.Millisecond)
						if i%100 < 50 {
							panic("boom")
						}
						return nil
					})
				})
				group.Wait()
			}
			if a := rt.AdaptiveLimits()[0]; told == 0 || a.InFlight != 0 {
				t.Errorf("%s: told %d times, %+v", mode, told, a)
			}
			if m, b := rt.Stats().Methods[0], rt.Stats().Bulkheads[0]; m.InFlight != 0 || b.InFlight != 0 {
				t.Errorf("%s: %d calls in flight, %+v", mode, m.InFlight, b)
			}
		}
	})
}

// A throttle that is calm again says so in the middle of an admission: what the
// attempt paid comes back.
func TestPassedCallIsPaidBackWhereTheThrottleEndsIt(t *testing.T) {
	for _, order := range [][]Layer{nil, {LayerRateLimit, LayerAdaptive, LayerBreaker}} {
		synctest.Test(t, func(t *testing.T) {
			told := 0
			rt, err := Open(Options{Observe: func(_ context.Context, e Event) {
				if e.Kind == LimitChanged && e.Reason == "rejects none" {
					told++
					runtime.Goexit()
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			const limit = 100
			p := Policy{Adaptive: Adaptive{Window: time.Second}, RateLimit: RateLimit{Mode: RollingLimit, Limit: limit, Period: time.Hour}, Order: order}
			if order != nil {
				p.Breaker = Breaker{ConsecutiveFailures: 1000}
			}
			g, err := rt.Guard("passed", p)
			if err != nil {
				t.Fatal(err)
			}
			executed := 0
			try := func(result error) error {
				return Try(t.Context(), g, func(context.Context) error { executed++; return result })
			}
			for range 50 {
				_ = try(errPeer)
			}
			time.Sleep(time.Minute)
			var group sync.WaitGroup
			group.Go(func() { _ = try(nil) })
			group.Wait()
			for admitted := true; admitted; {
				admitted = try(nil) == nil
			}
			if told != 1 || executed != limit {
				t.Errorf("%v: told %d times, %d executions for %d permits", order, told, executed, limit)
			}
		})
	}
}

// What is around all attempts is told at the end of a call: a call that ends there
// is over.
func TestObserverMayEndTheGoroutineAtTheEnd(t *testing.T) {
	rt, err := Open(Options{Observe: func(_ context.Context, e Event) {
		if e.Kind == BreakerTransition {
			runtime.Goexit()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	g, err := rt.Guard("ends", Policy{
		Retry:   Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: NoBackoff}},
		Breaker: Breaker{ConsecutiveFailures: 1}, Order: []Layer{LayerBreaker, LayerRetry},
	})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() { _ = Try(t.Context(), g, func(context.Context) error { return errPeer }) })
	group.Wait()
	if m := rt.Stats().Methods[0]; m.InFlight != 0 || m.Total.Failure != 1 {
		t.Errorf("%d calls in flight, %+v", m.InFlight, m.Total)
	}
}

// A probe that was let in for another attempt, and ended before that began, says
// nothing of the peer.
func TestAdmissionThatEndsTheGoroutineIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, err := Open(Options{Observe: func(_ context.Context, e Event) {
			if e.To == StateHalfOpen {
				runtime.Goexit()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		g, err := rt.Guard("probe", Policy{
			Retry:   Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: Constant, InitialDelay: 2 * time.Second, Jitter: NoJitter}},
			Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second},
		})
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		group.Go(func() { _ = Try(t.Context(), g, func(context.Context) error { return errPeer }) })
		group.Wait()
		if s := rt.Breakers()[0].Snapshot(); s.State != StateHalfOpen || s.Openings != 1 || g.plan.Load().breaker.probes != 0 {
			t.Errorf("%+v", s)
		}
	})
}
