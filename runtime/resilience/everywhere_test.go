package resilience

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestUsersFuncsMayEndTheCall has every func of a policy panic or end its
// goroutine, in a probe of a half-open breaker: nothing stays taken, and the
// breaker has its verdict.
func TestUsersFuncsMayEndTheCall(t *testing.T) {
	for way, end := range map[string]func(){"panic": func() { panic("user") }, "goexit": runtime.Goexit} {
		match := func(error) bool { end(); return false }
		for name, teach := range map[string]func(*Policy){
			"retryOn":      func(p *Policy) { p.Retry.RetryOn.Match = match },
			"abortOn":      func(p *Policy) { p.Retry.AbortOn.Match = match },
			"recordOn":     func(p *Policy) { p.Breaker.RecordOn.Match = match },
			"ignoreOn":     func(p *Policy) { p.Breaker.IgnoreOn.Match = match },
			"applyOn":      func(p *Policy) { p.Fallback.ApplyOn.Match = match },
			"skipOn":       func(p *Policy) { p.Fallback.SkipOn.Match = match },
			"permanent":    func(p *Policy) { p.Errors.Permanent = match },
			"statusOf":     func(p *Policy) { p.Errors.StatusOf = func(error) (int, bool) { end(); return 0, false } },
			"grpcCodeOf":   func(p *Policy) { p.Errors.GRPCCodeOf = func(error) (uint32, bool) { end(); return 0, false } },
			"retryAfterOf": func(p *Policy) { p.Errors.RetryAfterOf = func(error) (time.Duration, bool) { end(); return 0, false } },
		} {
			t.Run(name+" "+way, func(t *testing.T) {
				p := Policy{
					Timeout:  Timeout{Attempt: time.Minute},
					Retry:    Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: NoBackoff}},
					Breaker:  Breaker{PerKey: true, ConsecutiveFailures: 1, InitialState: StateOpen, OpenDuration: 1},
					Bulkhead: Bulkhead{MaxConcurrent: 1},
					Fallback: Fallback{On: true},
				}
				teach(&p)
				g := mustGuard(t, p)
				var kept context.Context
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					call := g.BeginKey(context.Background(), "key")
					defer call.End()
					for call.Next() {
						kept = call.Context()
						call.Record(fmt.Errorf("wrapped: %w", errPeer))
					}
					_ = call.WantsFallback()
					t.Error("the func was not asked")
				}()
				<-done
				plan := g.plan.Load()
				key := plan.keys.byKey["key"]
				if n := plan.bulkhead.taken.Load(); n != 0 {
					t.Errorf("%d slots taken", n)
				}
				if n := key.calls.Load(); n != 0 {
					t.Errorf("%d calls keep the key", n)
				}
				if key.what.(*breaker).openings < 2 {
					t.Errorf("the probe was no failure: %d openings", key.what.(*breaker).openings)
				}
				if kept.Err() == nil {
					t.Error("the context of the attempt lives on")
				}
			})
		}
	}
}

// TestSwitchesWhileCallsRun turns every switch while 32 goroutines call; at the
// end everything is free and works.
func TestSwitchesWhileCallsRun(t *testing.T) {
	rt := &Runtime{}
	w := rt.Wrap("p.G", 1)
	g := w.Guard("M", Policy{
		Timeout:  Timeout{Attempt: time.Minute},
		Retry:    Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: NoBackoff}},
		Breaker:  Breaker{Window: Window{Type: TimeWindow, Duration: time.Millisecond}, OpenDuration: time.Microsecond, AutoHalfOpen: true},
		Bulkhead: Bulkhead{MaxConcurrent: 4, MaxWait: time.Millisecond},
	})
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	head := g.plan.Load().bulkhead
	run(33, func(n int) {
		if n == 32 {
			for i := range 300 {
				rt.SetEnabled(i%2 == 0, "p.G")
				rt.Apply(Preset(i % 3))
				for _, b := range rt.Breakers() {
					[]func(){b.ForceOpen, b.Close, b.Disable, b.Reset, func() { b.Snapshot() }}[i%5]()
				}
				if i%20 > 0 {
					continue
				}
				w := rt.Named(fmt.Sprint(i)).Wrap("p.G", 1)
				w.Guard("M", Policy{Breaker: Breaker{On: true}})
				if err := w.Err(); err != nil {
					t.Error(err)
				}
			}
			_ = rt.Close()
			return
		}
		for i := range 300 {
			func() {
				defer func() { _ = recover() }()
				_ = Try(context.Background(), g, func(ctx context.Context) error {
					switch (n + i) % 7 {
					case 0:
						return errPeer
					case 1:
						panic("peer")
					case 2:
						_ = ctx.Done()
					}
					return nil
				})
			}()
		}
	})
	if head.taken.Load() != 0 || head.queued.Load() != 0 {
		t.Errorf("%d slots taken, %d waiting", head.taken.Load(), head.queued.Load())
	}
	rt.SetEnabled(true, "p.G")
	if f, calls := failing(9, errPeer); Try(t.Context(), g, f) != errPeer || *calls != 1 {
		t.Errorf("%d calls after Close", *calls)
	}
}

// TestProbesUnderContention counts the probes of one half-open that are out
// together: whatever they end with, never more than permitted, and the breaker
// is never stuck.
func TestProbesUnderContention(t *testing.T) {
	for _, mode := range []HalfOpenMode{AllMode, RateMode} {
		g := mustGuard(t, Policy{Breaker: Breaker{Window: Window{Size: 1}, OpenDuration: 50 * time.Microsecond,
			IgnoreOn: Matcher{Match: func(err error) bool { return errors.Is(err, errIgnored) }},
			HalfOpen: HalfOpen{Mode: mode, PermittedCalls: 3, SuccessThreshold: 5, MaxWait: None}}})
		b := g.plan.Load().breaker
		var out sync.Map // by generation
		var most, calls atomic.Int64
		run(16, func(n int) {
			for i := range 500 {
				call := g.Begin(context.Background())
				func() {
					defer func() { _ = recover() }()
					defer call.End()
					for call.Next() {
						if call.holds&holdsProbe != 0 {
							count, _ := out.LoadOrStore(call.generation, new(atomic.Int64))
							for n := count.(*atomic.Int64).Add(1); ; {
								if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
									break
								}
							}
							runtime.Gosched()
							count.(*atomic.Int64).Add(-1)
						}
						calls.Add(1)
						switch (n*31 + i*7) % 11 {
						case 0:
							call.Record(errPeer)
						case 1:
							call.Record(errIgnored)
						case 2:
							panic("probe")
						default:
							call.Record(nil)
						}
					}
				}()
			}
		})
		if most.Load() > 3 || calls.Load() == 0 {
			t.Errorf("mode %d: %d probes at a time, want at most 3", mode, most.Load())
		}
		for range 100 {
			if one(t, g, 'S') == 's' && b.closed.Load() {
				break
			}
			for start := sinceEpoch(); sinceEpoch()-start < 60*time.Microsecond; {
				runtime.Gosched()
			}
		}
		if !b.closed.Load() {
			t.Errorf("mode %d: stuck in state %d with %d probes out", mode, b.state, b.probes)
		}
	}
}

// TestWaitersWhoLeaveLoseNoSlot cancels waiters while slots are handed over.
func TestWaitersWhoLeaveLoseNoSlot(t *testing.T) {
	g := mustGuard(t, Policy{Bulkhead: Bulkhead{MaxConcurrent: 2, MaxWait: time.Hour}})
	run(32, func(n int) {
		for i := range 200 {
			ctx, cancel := context.WithCancel(context.Background())
			if (n+i)%2 == 0 {
				go cancel()
			}
			_ = Try(ctx, g, func(context.Context) error { runtime.Gosched(); return nil })
			cancel()
		}
	})
	h := g.plan.Load().bulkhead
	if h.taken.Load() != 0 || h.queued.Load() != 0 || len(h.waiting) != 0 {
		t.Errorf("%d taken, %d queued", h.taken.Load(), h.queued.Load())
	}
}

// TestHappyPathsAllocateNothing guards what every call costs; a timeout costs
// its context.
func TestHappyPathsAllocateNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Policy
		want float64
	}{
		{"nothing", Policy{}, 0},
		{"consecutive", Policy{Breaker: Breaker{ConsecutiveFailures: 5}}, 0},
		{"count window", Policy{Breaker: Breaker{On: true}}, 0},
		{"time window, slow calls", Policy{Breaker: Breaker{Window: Window{Type: TimeWindow}, SlowCallDuration: time.Second}}, 0},
		{"bulkhead", Policy{Bulkhead: Bulkhead{MaxConcurrent: 10, MaxWait: time.Second}}, 0},
		{"stack", Policy{Retry: Retry{On: true}, Breaker: Breaker{On: true}, Bulkhead: Bulkhead{On: true}, Fallback: Fallback{On: true}}, 0},
		{"stack with timeout", Policy{Timeout: Timeout{Total: time.Hour}, Retry: Retry{On: true}, Breaker: Breaker{On: true}, Bulkhead: Bulkhead{On: true}}, 1},
		{"everything that guards an attempt", Policy{Timeout: Timeout{Total: time.Hour}, Breaker: Breaker{Window: Window{Type: TimeWindow}, SlowCallDuration: time.Second},
			RateLimit: RateLimit{Limit: 1_000_000}, Bulkhead: Bulkhead{On: true}, Adaptive: Adaptive{On: true}}, 1},
		{"open", Policy{Timeout: Timeout{Open: time.Hour}}, 1},
	} {
		g := mustGuard(t, c.p)
		ctx := context.Background()
		if n := testing.AllocsPerRun(100, func() { _ = viaGuard(ctx, g) }); n != c.want {
			t.Errorf("%s: %v allocations, want %v", c.name, n, c.want)
		}
	}
	g := mustGuard(t, Policy{Bulkhead: Bulkhead{MaxConcurrent: 1}})
	hold := g.Begin(context.Background())
	defer hold.End()
	hold.Next()
	if n := testing.AllocsPerRun(100, func() { _ = viaGuard(context.Background(), g) }); n > 2 {
		t.Errorf("full: %v allocations", n)
	}
}

// TestContextsOfNestedGuards: the context of an attempt is a good parent for
// everything of package context, another attempt's too.
func TestContextsOfNestedGuards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer := mustGuard(t, Policy{Timeout: Timeout{Total: 2 * time.Second}})
		inner := mustGuard(t, Policy{Timeout: Timeout{Attempt: time.Second}})
		before := watchers()
		var ran atomic.Int64
		err := Try(context.Background(), outer, func(ctx context.Context) error {
			free := context.WithoutCancel(ctx)
			stop := context.AfterFunc(ctx, func() { ran.Add(1) })
			defer stop()
			if free.Done() != nil {
				t.Error("WithoutCancel has a Done")
			}
			err := Try(ctx, inner, func(ctx context.Context) error {
				context.AfterFunc(ctx, func() { ran.Add(1) })
				child, cancel := context.WithTimeout(context.WithValue(ctx, ctxKey{}, 1), time.Minute)
				defer cancel()
				if n := watchers(); n > before {
					t.Errorf("%d goroutines of nested contexts", n-before)
				}
				if d, _ := child.Deadline(); time.Until(d) != time.Second {
					t.Errorf("deadline in %v", time.Until(d))
				}
				<-child.Done()
				if !errors.Is(context.Cause(child), ErrTimeout) || !errors.Is(context.Cause(child), context.DeadlineExceeded) ||
					context.Cause(child).Error() != "timeout.attempt passed" {
					t.Errorf("cause %v", context.Cause(child))
				}
				return child.Err()
			})
			if ctx.Err() != nil || free.Err() != nil {
				t.Errorf("the inner limit ended the outer: %v", ctx.Err())
			}
			<-ctx.Done()
			if free.Err() != nil || context.Cause(free) != nil {
				t.Errorf("WithoutCancel ended: %v", free.Err())
			}
			return err
		})
		synctest.Wait()
		if !errors.Is(err, ErrTimeout) || ran.Load() != 2 {
			t.Errorf("%v, %d of 2 AfterFuncs ran", err, ran.Load())
		}
	})
}

func TestNoContext(t *testing.T) {
	g := mustGuard(t, Policy{Timeout: Timeout{Total: time.Hour}, Retry: Retry{MaxAttempts: 2, Backoff: Backoff{InitialDelay: 1}}})
	f, calls := failing(1, errPeer)
	//lint:ignore SA1012 callers do
	if err := Try(nil, g, f); err != nil || *calls != 2 { //nolint:staticcheck // callers do
		t.Errorf("%v after %d calls", err, *calls)
	}
}

func TestWindowOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{Window: Window{Size: 1}, OpenDuration: time.Second}})
		if got := script(t, g, "SSFS+SSF+FS"); got != "ssfossffo" {
			t.Errorf("%s", got)
		}
		// More buckets than nanoseconds: each is one wide.
		g = mustGuard(t, Policy{Breaker: Breaker{Window: Window{Type: TimeWindow, Duration: 3, Buckets: 10}, MinimumCalls: 2}})
		if got := script(t, g, "F+F+FFS"); got != "ffffo" {
			t.Errorf("%s", got)
		}
	})
}

// TestCountersBeyond32Bits: nothing wraps.
func TestCountersBeyond32Bits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{Window: Window{Type: TimeWindow, Duration: time.Hour}, FailureRateThreshold: 50, MinimumCalls: 1}})
		b := g.plan.Load().breaker
		one(t, g, 'S')
		b.tally.Load().n[0].Store(5 << 32)
		b.rejected.Store(math.MaxUint32)
		b.generation.Add(1 << 33) // the next permits have a large one
		b.tally.Load().generation = b.generation.Load()
		script(t, g, "FS")
		s := (&CircuitBreaker{&Runtime{}, b}).Snapshot()
		if s.State != StateClosed || s.Calls != 5<<32+3 || s.Failures != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// hung opens the breaker of g and leaves a probe in it that comes back at the
// end of the test.
func hung(t *testing.T, g *Guard) {
	t.Helper()
	script(t, g, "F+")
	call := g.Begin(t.Context())
	if !call.Next() {
		t.Fatal("no probe was let in")
	}
	t.Cleanup(call.End)
}

func TestOnMaxWaitClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second, HalfOpen: HalfOpen{OnMaxWait: StateClosed}}})
		b := g.rt.Breakers()[0]
		hung(t, g)
		time.Sleep(time.Second)
		if s := b.Snapshot().State; s != StateClosed {
			t.Errorf("state %d after maxWait, want closed", s)
		}
		if got := script(t, g, "S"); got != "s" || g.plan.Load().breaker.state != StateClosed {
			t.Errorf("%s: want closed after maxWait", got)
		}
	})
}

func TestResetOpensWhatBeginsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{On: true, InitialState: StateOpen, OpenDuration: time.Second}})
		b := g.rt.Breakers()[0]
		script(t, g, "+S")
		b.Reset()
		if s := b.Snapshot(); s.State != StateOpen || s.RetryAfter != time.Second {
			t.Errorf("%+v", s)
		}
		if err := g.rt.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestTextsForWhoIsPaged are read at night.
func TestTextsForWhoIsPaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		total := Policy{Timeout: Timeout{Total: 1500 * time.Millisecond}, Retry: Retry{Backoff: Backoff{Strategy: NoBackoff}}}
		forced := Policy{Breaker: Breaker{On: true, Mode: ForcedOpen}}
		full := Policy{Bulkhead: Bulkhead{MaxConcurrent: 1}}
		queue := Policy{Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: time.Hour}, Timeout: Timeout{Total: time.Second}}
		for _, c := range []struct {
			p    Policy
			want string
		}{
			{total, "payments.Gateway.Charge: gave up after 1 attempt in 1.5s: timeout.total of 1.5s passed: context deadline exceeded"},
			{forced, "payments.Gateway.Charge: not attempted: circuit open"},
			{full, "payments.Gateway.Charge: not attempted: bulkhead full"},
			{queue, "payments.Gateway.Charge: not attempted in 1s: timeout.total of 1s passed"},
		} {
			g := mustGuard(t, c.p)
			if h := g.plan.Load().bulkhead; h != nil {
				h.take()
			}
			if err := Try(t.Context(), g, hang); err == nil || err.Error() != c.want {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		}
	})
	for d, want := range map[time.Duration]string{999: "999ns", 1234567: "1.23ms", 61 * time.Second: "1m1s", 90*time.Minute + 400*time.Millisecond: "1h30m0s"} {
		if got := rounded(d).String(); got != want {
			t.Errorf("rounded(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestErrorSaysWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			p    Policy
			err  error
			want time.Duration
		}{
			{Policy{Breaker: Breaker{On: true, InitialState: StateOpen, OpenDuration: 7 * time.Second}}, nil, 7 * time.Second},
			{Policy{Retry: Retry{MaxAttempts: 2}}, throttled{time.Second}, time.Second},
			{Policy{Retry: Retry{MaxAttempts: 2}}, errPeer, 0},
		} {
			g := mustGuard(t, c.p)
			err := Try(t.Context(), g, func(context.Context) error { return c.err })
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%T", err)
			}
			if d, ok := e.RetryAfter(); d != c.want || ok != (d > 0) {
				t.Errorf("%v: %v, %v, want %v", err, d, ok, c.want)
			}
		}
	})
	if Permanent(nil) != nil {
		t.Error("Permanent(nil) is an error")
	}
}

func TestPresetSlipsUnder(t *testing.T) {
	for _, c := range []struct {
		p    Policy
		want func(*plan) bool
	}{
		{Policy{Breaker: Breaker{Window: Window{Size: 4}}}, func(p *plan) bool {
			return p.breaker.conf.MinimumCalls == 4 && p.breaker.conf.OpenDuration == time.Minute
		}},
		{Policy{Breaker: Breaker{MinimumCalls: 3, OpenDuration: time.Second}}, func(p *plan) bool {
			return p.breaker.conf.MinimumCalls == 3 && p.breaker.conf.OpenDuration == time.Second
		}},
		{Policy{Breaker: Breaker{ConsecutiveFailures: 3}}, func(p *plan) bool { return !p.breaker.rate && p.breaker.conf.HalfOpen.SuccessThreshold == 2 }},
		{Policy{Retry: Retry{MaxAttempts: 2, Backoff: Backoff{Jitter: EqualJitter}}}, func(p *plan) bool {
			return p.attempts == 2 && p.backoff.Jitter == EqualJitter && p.backoff.JitterFactor == 0 && p.backoff.InitialDelay == time.Second
		}},
		{Policy{Timeout: Timeout{Total: time.Second}}, func(p *plan) bool { return !p.retries && p.breaker == nil }},
		{Policy{Preset: Development, Retry: Retry{On: true}}, func(p *plan) bool { return p.attempts == 5 }},
		{Policy{Preset: Testing, Retry: Retry{On: true}}, func(p *plan) bool { return p.attempts == 5 }}, // the one of the Runtime wins
	} {
		rt, err := Open(Options{Preset: Production})
		if err != nil {
			t.Fatal(err)
		}
		g, err := rt.Guard("x", c.p)
		if err != nil || !c.want(g.plan.Load()) {
			t.Errorf("%+v: %+v, %v", c.p, g.plan.Load(), err)
		}
		rt.Apply(Testing)
		if g.plan.Load() != nil {
			t.Error("testing guards")
		}
		rt.Apply(NoPreset)
	}
}

func TestRefusedPolicies(t *testing.T) {
	rt := &Runtime{}
	for _, p := range []Policy{
		{Retry: Retry{MaxAttempts: -1}},
		{Retry: Retry{Backoff: Backoff{Multiplier: 0.5}}},
		{Retry: Retry{Backoff: Backoff{JitterFactor: 1.5}}},
		{Breaker: Breaker{FailureRateThreshold: 101}},
		{Breaker: Breaker{SlowCallRateThreshold: 101}},
		{Breaker: Breaker{MinimumCalls: 101}},
		{Breaker: Breaker{MinimumCalls: 5, Window: Window{Size: 4}}},
	} {
		if g, err := rt.Guard("x", p); err == nil || g != nil {
			t.Errorf("%+v is accepted", p)
		}
	}
	if _, err := rt.Guard("a", Policy{Bulkhead: Bulkhead{Name: "db", MaxConcurrent: 1}}); err != nil {
		t.Fatal(err)
	}
	b, err := rt.Guard("b", Policy{Bulkhead: Bulkhead{Name: "db", MaxConcurrent: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if b.plan.Load().bulkhead != rt.guards[0].plan.Load().bulkhead {
		t.Error("a bulkhead with a name is not shared")
	}
	w := rt.Wrap("c", 1)
	w.Guard("M", Policy{Bulkhead: Bulkhead{Name: "db", MaxConcurrent: 2}})
	if err := w.Err(); err == nil || err.Error() != `c.M: bulkhead "db" has other numbers in a` {
		t.Errorf("%v", err)
	}
}

// TestKeyedBreakersAreShared by their name, and survive switching off and on.
func TestKeyedBreakersAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &Runtime{}
		p := Policy{Breaker: Breaker{Name: "hosts", PerKey: true, ConsecutiveFailures: 1, AutoHalfOpen: true, OpenDuration: time.Hour}}
		a, _ := rt.Guard("a", p)
		b, err := rt.Guard("b", p)
		if err != nil {
			t.Fatal(err)
		}
		tryKey(t, a, "eu", errPeer)
		rt.SetEnabled(false)
		rt.SetEnabled(true)
		if err := tryKey(t, b, "eu", nil); !errors.Is(err, ErrCircuitOpen) {
			t.Errorf("%v", err)
		}
		if rt.Breaker("hosts") != nil || rt.Breaker("hosts[eu]") == nil || rt.Breaker("hosts[us]") != nil {
			t.Error("handles")
		}
		handle := rt.Breaker("hosts[eu]")
		if _ = rt.Close(); handle.b.timer != nil {
			t.Error("Close left a timer")
		}
	})
}

// TestSeedFixesTheJitter: the same seed, the same waits; another one, others.
func TestSeedFixesTheJitter(t *testing.T) {
	waits := func(seed uint64) (d time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			rt, err := Open(Options{Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			g, _ := rt.Guard("x", Policy{Retry: Retry{MaxAttempts: 5}})
			start := time.Now()
			f, _ := failing(9, errPeer)
			_ = Try(t.Context(), g, f)
			d = time.Since(start)
		})
		return d
	}
	var got []time.Duration
	for _, seed := range []uint64{1, 1, 2, 0, 0} {
		got = append(got, waits(seed))
	}
	if got[0] != got[1] || got[0] == got[2] || got[3] == got[4] {
		t.Errorf("seeds 1, 1, 2 and twice none: %v", got)
	}
}

func TestBadEnvironment(t *testing.T) {
	t.Setenv("RESILIENCE_ENABLE", "false")
	t.Setenv("RESILIENCE_PRESET", "testing")
	rt, err := Open(Options{Disabled: true})
	if err == nil || rt == nil || rt.preset != Testing || !rt.pinned {
		t.Fatalf("%v", err)
	}
	rt.Apply(Production)
	g, err := rt.Guard("x", Policy{Retry: Retry{On: true}})
	if err != nil || g.plan.Load() != nil {
		t.Errorf("the environment's preset is not pinned: %v", err)
	}
}

// TestNilRuntime is the default one of the process.
func TestNilRuntime(t *testing.T) {
	var rt *Runtime
	g, err := rt.Guard("default", Policy{Retry: Retry{On: true}})
	if err != nil {
		t.Fatal(err)
	}
	rt.SetEnabled(false, "default")
	if g.plan.Load() != nil {
		t.Error("switched on")
	}
	rt.SetEnabled(true, "default")
	if rt.Named("eu").Abandoned() != 0 || rt.Breaker("none") != nil {
		t.Error("state of the default Runtime")
	}
}

// TestAbandonRaces lets the deadline and the delegate's answer come at the same
// moment: it is one or the other, and the count of the abandoned is right.
func TestAbandonRaces(t *testing.T) {
	answers := map[string]int{}
	for i := range 100 {
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, Policy{Timeout: Timeout{Attempt: time.Second, Mode: Abandon}, Bulkhead: Bulkhead{MaxConcurrent: 1},
				Breaker: Breaker{ConsecutiveFailures: 1, InitialState: StateOpen, OpenDuration: 1}})
			time.Sleep(time.Nanosecond)
			v, err := abandonableCall(t.Context(), g, deaf(time.Second+time.Duration(i%2)))
			switch {
			case v == "late" && err == nil, v == "" && errors.Is(err, ErrTimeout):
				answers[v]++
			default:
				t.Errorf("%q and %v", v, err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			b := g.plan.Load().breaker
			if g.rt.Abandoned() != 0 || g.plan.Load().bulkhead.taken.Load() != 0 || b.probes != 0 && b.state == StateHalfOpen {
				t.Errorf("%d abandoned, %d slots, %d probes", g.rt.Abandoned(), g.plan.Load().bulkhead.taken.Load(), b.probes)
			}
		})
	}
	if answers[""] == 0 {
		t.Error("nothing was abandoned")
	}
}

// TestResultsBesideErrorsAreKept, of the last execution.
func TestResultsBesideErrorsAreKept(t *testing.T) {
	g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}}})
	n := 0
	v, err := Do(t.Context(), g, func(context.Context) (int, error) { n++; return n, errPeer })
	if v != 3 || !errors.Is(err, errPeer) {
		t.Errorf("%d, %v", v, err)
	}
}

func TestBackoffBelowNothing(t *testing.T) {
	for _, b := range []Backoff{
		{Strategy: Sequence}, {Strategy: Sequence, Delays: []time.Duration{-time.Second}}, {InitialDelay: None}, {MaxDelay: None},
		{Strategy: NoBackoff, InitialDelay: time.Second}, {InitialDelay: None, Multiplier: math.MaxFloat64},
	} {
		for _, n := range []int{0, 1, 1 << 30} {
			if d := b.delay(n, 0, 0.5); d != 0 {
				t.Errorf("%+v: delay(%d) = %v, want 0", b, n, d)
			}
		}
	}
}

// TestVerdicts are what a breaker hears of each outcome.
func TestVerdicts(t *testing.T) {
	named := Matcher{Kinds: KindPermanent}
	listed := Matcher{Match: func(err error) bool { return errors.Is(err, errIgnored) }}
	for _, c := range []struct {
		name            string
		conf            Breaker
		err             error
		record          bool
		calls, failures int
	}{
		{"success", Breaker{}, nil, false, 1, 0},
		{"recorded result", Breaker{}, nil, true, 1, 1},
		{"failure", Breaker{}, errPeer, false, 1, 1},
		{"an error beside a result", Breaker{IgnoreOn: listed}, errIgnored, true, 0, 0},
		{"not listed", Breaker{RecordOn: listed}, errPeer, false, 1, 0},
		{"listed", Breaker{RecordOn: listed}, errIgnored, false, 1, 1},
		{"listed and ignored", Breaker{RecordOn: listed, IgnoreOn: listed}, errIgnored, false, 0, 0},
		{"any keeps any", Breaker{RecordOn: Matcher{Any: true, Kinds: KindPermanent}}, errPeer, false, 1, 1},
		{"floor", Breaker{}, Permanent(errPeer), false, 0, 0},
		{"floor beneath a list", Breaker{RecordOn: Matcher{Kinds: KindTimeout}}, context.Canceled, false, 0, 0},
		{"a rejection further down", Breaker{}, fmt.Errorf("call: %w", ErrCircuitOpen), false, 0, 0},
		{"lifted", Breaker{RecordOn: named}, Permanent(errPeer), false, 1, 1},
		{"lifted and ignored", Breaker{RecordOn: named, IgnoreOn: named}, Permanent(errPeer), false, 0, 0},
	} {
		c.conf.Window.Size = 10
		g := mustGuard(t, Policy{Breaker: c.conf})
		call := g.Begin(t.Context())
		for call.Next() {
			call.RecordResult(c.err, false, c.record)
		}
		call.End()
		if s := g.rt.Breakers()[0].Snapshot(); s.Calls != c.calls || s.Failures != c.failures {
			t.Errorf("%s: %d calls, %d failures, want %d, %d", c.name, s.Calls, s.Failures, c.calls, c.failures)
		}
	}
}
