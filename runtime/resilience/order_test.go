package resilience

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var everyOrder = []Layer{LayerFallback, LayerCache, LayerTotal, LayerRetry, LayerBreaker, LayerRateLimit, LayerBulkhead, LayerAdaptive, LayerAttempt, LayerOpen, LayerChaos}

// allLayers returns a policy with every layer but the hedge.
func allLayers() Policy {
	return Policy{
		Timeout: Timeout{Total: time.Hour, Attempt: time.Minute, Open: time.Minute}, Retry: fast, Breaker: Breaker{ConsecutiveFailures: 9}, RateLimit: RateLimit{Limit: 99},
		Bulkhead: Bulkhead{On: true}, Adaptive: Adaptive{On: true}, Fallback: Fallback{On: true}, Chaos: Chaos{Latency: 1}, Caching: Caching{TTL: 1},
	}
}

func TestDefaultOrderIsThatOfTheLayers(t *testing.T) {
	p := allLayers()
	if got := p.nesting(); !slices.Equal(got, everyOrder) || p.nested() != nil {
		t.Errorf("%v", got)
	}
	p.Order = everyOrder
	if p.nested() != nil || p.check() != nil {
		t.Errorf("the default order, given: %v", p.check())
	}
	for l := LayerFallback; l <= LayerChaos; l++ {
		if l != LayerHedge && !l.in(&p) || l.in(&Policy{}) || strings.HasPrefix(l.String(), "Layer(") {
			t.Errorf("%v", l)
		}
	}
	if Layer(0).String() != "Layer(0)" || (LayerChaos+1).String() != "Layer(13)" {
		t.Error("layers that do not exist have a name")
	}
}

func TestOrdersThatAreRefused(t *testing.T) {
	swapped := func(a, b Layer) []Layer {
		list := slices.Clone(everyOrder)
		i, j := slices.Index(list, a), slices.Index(list, b)
		list[i], list[j] = list[j], list[i]
		return list
	}
	for _, c := range []struct {
		want  string
		order []Layer
		teach func(*Policy)
	}{
		{"fallback must be outside cache", swapped(LayerFallback, LayerCache), nil},
		{"fallback must be outside retry", []Layer{LayerRetry, LayerFallback, LayerBreaker, LayerRateLimit, LayerBulkhead, LayerAdaptive}, nil},
		{"cache must be outside timeout.total", swapped(LayerCache, LayerTotal), nil},
		{"timeout.total must be outside retry", swapped(LayerTotal, LayerRetry), nil},
		{"circuitBreaker must be outside timeout.attempt", swapped(LayerBreaker, LayerAttempt), nil},
		{"adaptive must be outside timeout.attempt", swapped(LayerAdaptive, LayerAttempt), nil},
		{"timeout.attempt must be outside chaos", swapped(LayerAttempt, LayerChaos), nil},
		{"retry must be outside timeout.attempt", swapped(LayerRetry, LayerAttempt), nil},
		{"must be neighbours", swapped(LayerBulkhead, LayerOpen), nil},
		{"leaves out adaptive", []Layer{LayerRetry, LayerBreaker, LayerRateLimit, LayerBulkhead}, nil},
		{"retry stands in it twice", append(slices.Clone(everyOrder), LayerRetry), nil},
		{"there is no Layer(77)", append(slices.Clone(everyOrder), 77), nil},
		{"there is no Layer(0)", append(slices.Clone(everyOrder), 0), nil},
		{"adaptive counts attempts here", swapped(LayerRetry, LayerAdaptive), func(p *Policy) { p.Adaptive.Mode = Concurrency }},
		{"bulkhead counts attempts here", swapped(LayerRetry, LayerBulkhead), func(p *Policy) { p.Timeout.Mode = Abandon }},
		{"rateLimit with scope call must be outside retry", everyOrder, func(p *Policy) { p.RateLimit.Scope = PerCall }},
		{"fallback must be outside hedge", []Layer{LayerHedge, LayerFallback, LayerBreaker, LayerRateLimit, LayerBulkhead, LayerAdaptive}, func(p *Policy) { p.Retry, p.Hedge = Retry{}, Hedge{On: true} }},
	} {
		p := allLayers()
		p.Order = c.order
		if c.teach != nil {
			c.teach(&p)
		}
		if _, err := (&Runtime{}).Guard("M", p); err == nil || !strings.Contains(err.Error(), "order: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %s", c.order, err, c.want)
		}
	}
}

// TestOrderEndsEverywhere ends calls in every way under every order: nothing
// stays taken, and a probe has a verdict or its permit goes back.
func TestOrderEndsEverywhere(t *testing.T) {
	p := allLayers()
	p.Fallback, p.Caching, p.Chaos, p.Timeout.Open = Fallback{}, Caching{}, Chaos{}, 0
	p.Breaker = Breaker{PerKey: true, ConsecutiveFailures: 1, InitialState: StateOpen, OpenDuration: 1}
	p.RateLimit = RateLimit{Limit: 9, Period: time.Hour, Mode: RollingLimit, PerKey: true}
	p.Bulkhead, p.Adaptive = Bulkhead{MaxConcurrent: 1}, Adaptive{MaxRejectionRatio: 1e-12}
	for i, order := range acceptedOrders(p) {
		if testing.Short() && i%16 > 0 {
			continue
		}
		p.Order = order
		for name, delegate := range map[string]func(context.CancelFunc) error{
			"success": func(context.CancelFunc) error { return nil },
			"failure": func(context.CancelFunc) error { return errPeer },
			"leaving": func(cancel context.CancelFunc) error { cancel(); return context.Canceled },
			"panic":   func(context.CancelFunc) error { panic("peer") },
			"goexit":  func(context.CancelFunc) error { runtime.Goexit(); return nil },
		} {
			ending(t, p, name, delegate)
		}
	}
}

func ending(t *testing.T, p Policy, name string, delegate func(context.CancelFunc) error) {
	t.Helper()
	g := mustGuard(t, p)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		call := g.BeginKey(ctx, "key")
		defer call.End()
		call.LimitKey("key")
		for call.Next() {
			call.Record(delegate(cancel))
		}
	}()
	<-done
	plan := g.plan.Load()
	key := plan.keys.byKey["key"]
	limit := plan.limiters.byKey["key"]
	b := key.what.(*breaker)
	if plan.bulkhead.taken.Load() != 0 || key.calls.Load() != 0 || limit.calls.Load() != 0 || b.probes != 0 {
		t.Errorf("%v, %s: %d slots, %d and %d calls, %d probes", p.Order, name, plan.bulkhead.taken.Load(), key.calls.Load(), limit.calls.Load(), b.probes)
	}
	want := map[string]State{"success": StateClosed, "failure": StateOpen, "leaving": StateHalfOpen, "panic": StateOpen, "goexit": StateOpen}[name]
	if b.state != want {
		t.Errorf("%v, %s: the breaker is %v", p.Order, name, b.state)
	}
	if used := limit.what.(*limiter).meter.(*rollingMeter).used; used < 1 {
		t.Errorf("%v, %s: %d permits used", p.Order, name, used)
	}
}

// outside returns a policy whose parts are around the retry or the hedge.
func outside(p Policy, order ...Layer) Policy {
	p.Order = order
	return p
}

func TestBreakerAroundTheRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, outside(Policy{Retry: Retry{MaxAttempts: 2, Backoff: constant(100 * ms)}, Breaker: Breaker{ConsecutiveFailures: 2, SlowCallDuration: 150 * ms, SlowCallRateThreshold: 100, MinimumCalls: 9}},
			LayerBreaker, LayerRetry))
		b := g.rt.Breaker(g.name)
		takes := func(err error, d time.Duration) error {
			return Try(t.Context(), g, func(context.Context) error { time.Sleep(d); return err })
		}
		for i, c := range []struct {
			err         error
			takes       time.Duration
			calls, slow int
		}{
			{nil, 0, 1, 0},
			{errPeer, 10 * ms, 2, 0},
			{nil, 200 * ms, 3, 1},
			{errPeer, 60 * ms, 4, 2}, // two attempts and the sleep between them
		} {
			_ = takes(c.err, c.takes)
			if s := b.Snapshot(); s.Calls != c.calls || s.Slow != c.slow || s.State != StateClosed {
				t.Errorf("%d: %+v", i, s)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*ms, cancel)
		if err := Try(ctx, g, func(context.Context) error { return errPeer }); err == nil || b.Snapshot().Calls != 4 {
			t.Errorf("a caller that left while it slept counts: %+v", b.Snapshot())
		}
		_ = takes(errPeer, 0)
		if s := b.Snapshot(); s.State != StateOpen {
			t.Errorf("%+v", s)
		}
		if err := takes(nil, 0); !errors.Is(err, ErrCircuitOpen) || b.Snapshot().Rejected != 1 {
			t.Errorf("%v %+v", err, b.Snapshot())
		}
	})
}

func constant(d time.Duration) Backoff {
	return Backoff{Strategy: Constant, InitialDelay: d, Jitter: NoJitter}
}

// TestUnwantedResultAroundTheRetry: a breaker around the retry hears the error
// that unwanted results have become, and of results nothing but recordOnResult.
func TestUnwantedResultAroundTheRetry(t *testing.T) {
	for _, c := range []struct {
		fails, record bool
		ignore        Matcher
		want          int
	}{
		{false, false, Matcher{}, 0}, {false, true, Matcher{}, 1}, {true, false, Matcher{}, 1},
		{true, false, Matcher{Match: func(err error) bool { return err == ErrUnwantedResult }}, 0},
	} {
		retry := fast
		retry.FailOnExhaustedResult = c.fails
		g := mustGuard(t, outside(Policy{Retry: retry, Breaker: Breaker{On: true, IgnoreOn: c.ignore}}, LayerBreaker, LayerRetry))
		call := g.Begin(t.Context())
		for call.Next() {
			call.RecordResult(nil, true, c.record)
		}
		call.End()
		if got := g.rt.Breaker(g.name).Snapshot().Failures; got != c.want || (call.Err() != nil) != c.fails {
			t.Errorf("%+v: %d failures, %v", c, got, call.Err())
		}
	}
}

// TestHedgeInsideOthers: breaker, limiter, bulkhead and throttle around a hedge
// are asked once for a call, and hear how that ended.
func TestHedgeInsideOthers(t *testing.T) {
	p := outside(Policy{
		Hedge: Hedge{Delay: 100 * ms}, Breaker: Breaker{ConsecutiveFailures: 1}, Bulkhead: Bulkhead{MaxConcurrent: 1},
		RateLimit: RateLimit{Mode: RollingLimit, Limit: 9, Period: time.Hour}, Adaptive: Adaptive{On: true},
	}, LayerRateLimit, LayerBreaker, LayerBulkhead, LayerAdaptive, LayerHedge)
	for name, c := range map[string]struct {
		attempts [2]func(context.Context) (int, error)
		judge    func(int) bool
		state    State
		accepts  float64
	}{
		"the first wins":       {[2]func(context.Context) (int, error){answers(1, 0), answers(2, 0)}, nil, StateClosed, 1},
		"the hedge wins":       {[2]func(context.Context) (int, error){answers(1, time.Second), answers(2, 0)}, nil, StateClosed, 1},
		"the hedge is bad":     {[2]func(context.Context) (int, error){answers(1, time.Second), answers(2, 0)}, func(n int) bool { return n == 2 }, StateOpen, 1},
		"the first is bad":     {[2]func(context.Context) (int, error){answers(1, 0), answers(2, 0)}, func(n int) bool { return n == 1 }, StateOpen, 1},
		"both fail":            {[2]func(context.Context) (int, error){fails, fails}, nil, StateOpen, 0},
		"one fails, one wins":  {[2]func(context.Context) (int, error){fails, answers(2, 0)}, nil, StateClosed, 1},
		"the first panics":     {[2]func(context.Context) (int, error){panics, answers(2, 0)}, nil, StateOpen, 0},
		"the hedge panics":     {[2]func(context.Context) (int, error){answers(1, time.Second), panics}, nil, StateOpen, 0},
		"the hedge exits":      {[2]func(context.Context) (int, error){answers(1, time.Second), exits}, nil, StateOpen, 0},
		"both leave the place": {[2]func(context.Context) (int, error){answers(1, 50*ms), answers(2, 0)}, nil, StateClosed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := mustGuard(t, p)
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					call := g.Begin(context.Background())
					defer call.End()
					n := make(chan int, 2)
					n <- 0
					n <- 1
					_, _ = HedgedResult(&call, func(ctx context.Context) (int, error) { return c.attempts[<-n](ctx) }, c.judge)
				}()
				<-done
				plan := g.plan.Load()
				plan.throttle.date(sinceEpoch())
				sum, used := plan.throttle.sum(), plan.limiter.meter.(*rollingMeter).used
				if plan.breaker.state != c.state || plan.bulkhead.taken.Load() != 0 || used != 1 || sum != (accepted{1, c.accepts}) {
					t.Errorf("breaker %v, %d slots, %d permits, throttle %+v", plan.breaker.state, plan.bulkhead.taken.Load(), used, sum)
				}
			})
		})
	}
}

func answers(n int, after time.Duration) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		select {
		case <-time.After(after):
			return n, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func fails(context.Context) (int, error)  { return 0, errPeer }
func panics(context.Context) (int, error) { panic("peer") }
func exits(context.Context) (int, error)  { runtime.Goexit(); return 0, nil }

// TestLimitOfAnAttemptInTheQueue: outside the bulkhead the limit of an attempt
// counts the queue. A wait that it ends is a timeout that is retried, told and
// counted, and no verdict on the peer.
func TestLimitOfAnAttemptInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []Event
		rt, err := Open(Options{Observe: func(_ context.Context, e Event) { events = append(events, e) }})
		if err != nil {
			t.Fatal(err)
		}
		g, err := rt.Guard("M", outside(Policy{
			Timeout: Timeout{Attempt: 100 * ms}, Retry: Retry{MaxAttempts: 3, Backoff: constant(50 * ms)},
			Breaker: Breaker{ConsecutiveFailures: 1}, Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: time.Minute},
		}, LayerRetry, LayerBreaker, LayerAttempt, LayerBulkhead))
		if err != nil {
			t.Fatal(err)
		}
		head := g.plan.Load().bulkhead
		head.take()
		time.AfterFunc(170*ms, head.release)
		var info AttemptInfo
		err = Try(t.Context(), g, func(ctx context.Context) error { info = Attempt(ctx); return nil })
		if err != nil || info.Number != 1 || info.Left != 80*ms {
			t.Errorf("%v %+v", err, info)
		}
		head.take()
		begun := time.Now()
		err = Try(t.Context(), g, func(context.Context) error { return nil })
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, ErrTimeout) || e.Attempts != 0 || e.Policy != "timeout" || time.Since(begun) != 400*ms {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		if s := g.plan.Load().breaker; s.state != StateClosed || head.queued.Load() != 0 {
			t.Errorf("%v, %d queue", s.state, head.queued.Load())
		}
		text := ""
		for _, e := range events {
			text += e.Kind.String() + " " + e.By + "; "
		}
		want := "rejected timeout; retry scheduled ; " + strings.Repeat("rejected timeout; retry scheduled ; ", 2) + "rejected timeout; gave up timeout; "
		if text != want {
			t.Errorf("got  %s\nwant %s", text, want)
		}
		if s := rt.Stats().Methods[0]; s.Total.Rejections != 4 || s.Total.Failure != 1 || s.Total.Success != 1 {
			t.Errorf("%+v", s.Total)
		}
	})
}

// TestTotalInsideTheQueue: timeout.total begins where it stands.
func TestTotalInsideTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, p := range []Policy{
			outside(Policy{Timeout: Timeout{Total: 100 * ms}, Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: time.Minute}}, LayerBulkhead, LayerTotal),
			outside(Policy{Timeout: Timeout{Total: 100 * ms}, Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: time.Minute}, Retry: fast}, LayerBulkhead, LayerTotal, LayerRetry),
		} {
			g := mustGuard(t, p)
			head := g.plan.Load().bulkhead
			head.take()
			time.AfterFunc(time.Second, head.release)
			var left time.Duration
			if err := Try(t.Context(), g, func(ctx context.Context) error { left = Attempt(ctx).Left; return nil }); err != nil || left != 100*ms {
				t.Errorf("%v: %v, %v left", p.Order, err, left)
			}
		}
	})
}

// TestRateLimitAroundTheRetry: one permit for a call, with its cost, and none
// where nothing was executed.
func TestRateLimitAroundTheRetry(t *testing.T) {
	for _, scope := range []ChargeScope{PerAttempt, PerCall} {
		g := mustGuard(t, outside(Policy{
			Retry: fast, RateLimit: RateLimit{Mode: FixedLimit, Limit: 10, Period: time.Hour, Scope: scope}, Bulkhead: Bulkhead{MaxConcurrent: 1},
		}, LayerRateLimit, LayerRetry, LayerBulkhead))
		used := func() int64 { return g.plan.Load().limiter.meter.(*fixedMeter).used }
		costs := func(n int) error {
			call := g.Begin(t.Context())
			defer call.End()
			call.Cost(n)
			for call.Next() {
				call.Record(errPeer)
			}
			return call.Err()
		}
		if err := costs(4); !errors.Is(err, errPeer) || used() != 4 {
			t.Errorf("%v, %d used", err, used())
		}
		g.plan.Load().bulkhead.take()
		if err := costs(5); !errors.Is(err, ErrBulkheadFull) || used() != 4 {
			t.Errorf("%v, %d used", err, used())
		}
		g.plan.Load().bulkhead.release()
		if err := costs(0); !errors.Is(err, errPeer) || used() != 4 {
			t.Errorf("%v, %d used", err, used())
		}
		if err := costs(7); !errors.Is(err, ErrRateLimited) || used() != 4 {
			t.Errorf("%v, %d used", err, used())
		}
	}
}

// TestOuterRejectionsAreNotRetried although retryOn names them: the retry is
// inside.
func TestOuterRejectionsAreNotRetried(t *testing.T) {
	retry := fast
	retry.RetryOn = Matcher{Any: true, Kinds: KindBulkheadFull | KindCircuitOpen | KindRateLimited}
	g := mustGuard(t, outside(Policy{Retry: retry, Bulkhead: Bulkhead{MaxConcurrent: None}}, LayerBulkhead, LayerRetry))
	err := Try(t.Context(), g, func(context.Context) error { return nil })
	if s := g.rt.Stats().Methods[0].Total; !errors.Is(err, ErrBulkheadFull) || s.Rejections != 1 || s.Rejected != 1 || s.Retries != 0 {
		t.Errorf("%v %+v", err, s)
	}
}

func TestOrderIsCompiledIn(t *testing.T) {
	g := mustGuard(t, outside(Policy{Retry: fast, Bulkhead: Bulkhead{On: true}}, LayerBulkhead, LayerRetry))
	err := g.rt.Update(g.name, func(p *Policy) error { p.Order[0], p.Order[1] = LayerRetry, LayerBulkhead; return nil })
	if err == nil || !strings.Contains(err.Error(), "order: compiled in") || g.plan.Load().nest == nil {
		t.Errorf("%v", err)
	}
	if err := g.rt.SetOverrides([]Override{{Key: "order", Value: "none"}}); err == nil || !strings.Contains(err.Error(), "compiled in") {
		t.Errorf("%v", err)
	}
	if text := g.rt.Explain(""); !strings.Contains(text, "bulkhead > retry > delegate\n") {
		t.Error(text)
	}
	if other := mustGuard(t, Policy{Retry: fast, Bulkhead: Bulkhead{On: true}}); other.rt.Policies()[0].Generated == g.rt.Policies()[0].Generated {
		t.Error("the order is not in the hash of the policy")
	}
	for _, part := range []string{"retry", "bulkhead"} {
		if err := g.rt.Disable([]string{part}); err != nil {
			t.Error(err)
		}
		if err := peerFails(g); !errors.Is(err, errPeer) || g.plan.Load().nest != nil {
			t.Errorf("without %s: %v", part, err)
		}
	}
}

// TestOrdersAllocateNothing that the default order does not.
func TestOrdersAllocateNothing(t *testing.T) {
	p := Policy{Retry: fast, Breaker: Breaker{On: true}, RateLimit: RateLimit{Limit: mostPermits, Period: time.Second}, Bulkhead: Bulkhead{On: true}, Adaptive: Adaptive{On: true}}
	for _, order := range acceptedOrders(p) {
		p.Order = order
		g := mustGuard(t, p)
		if n := testing.AllocsPerRun(100, func() { _ = viaGuard(context.Background(), g) }); n != 0 {
			t.Fatalf("%v: %v allocations", order, n)
		}
	}
}

func BenchmarkOrder(b *testing.B) {
	p := Policy{Retry: fast, Breaker: Breaker{On: true}, Bulkhead: Bulkhead{On: true}}
	for _, order := range [][]Layer{nil, {LayerRetry, LayerBulkhead, LayerBreaker}, {LayerBreaker, LayerBulkhead, LayerRetry}} {
		p.Order = order
		b.Run(fmt.Sprint(order), func(b *testing.B) { benchmark(b, p) })
	}
}

// TestLimitOfAnAttemptOutsideEverything: also where it has come to be the outermost
// layer because another one was taken out.
func TestLimitOfAnAttemptOutsideEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Policy{Timeout: Timeout{Attempt: time.Second, Open: time.Second}, Bulkhead: Bulkhead{MaxConcurrent: 1}, Order: []Layer{LayerAttempt, LayerBulkhead}}
		if err := Try(t.Context(), mustGuard(t, p), func(context.Context) error { return nil }); err != nil {
			t.Error(err)
		}
		p.Retry, p.Order = Retry{On: true}, []Layer{LayerRetry, LayerAttempt, LayerBulkhead}
		g := mustGuard(t, p)
		if err := g.rt.Disable([]string{"retry"}); err != nil {
			t.Fatal(err)
		}
		if err := Try(t.Context(), g, func(context.Context) error { return nil }); err != nil {
			t.Error(err)
		}
	})
}
