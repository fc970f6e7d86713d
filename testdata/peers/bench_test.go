package peers

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

type peer struct {
	name string
	wrap func(Service) Service
}

var (
	retryPeers = []peer{
		{"resilgen", resilgenRetryOf},
		{"resilgen-budget", resilgenBudgetOf},
		{"hand", handRetryOf},
		{"failsafe-go", failsafeRetryOf},
		{"failsafe-go-budget", failsafeBudgetOf},
		{"failsafe-go-noctx", failsafeRetryMinOf},
		{"cenkalti", cenkaltiOf},
		{"avast-noctx", avastOf},
		{"avast-ctx", avastCtxOf},
		{"sethvargo", sethvargoOf},
		{"eapache", eapacheRetryOf},
		{"goresilience", grRetryOf},
		{"r8e", r8eRetryOf},
	}
	breakerPeers = []peer{
		{"resilgen", resilgenBreakerOf},
		{"resilgen-count", resilgenBreakerCountOf},
		{"resilgen-time", resilgenBreakerTimeOf},
		{"failsafe-go", failsafeBreakerOf},
		{"failsafe-go-noctx", failsafeBreakerMinOf},
		{"failsafe-go-window", failsafeBreakerWindowOf},
		{"gobreaker", gobreakerOf},
		{"gobreaker-window", gobreakerWindowOf},
		{"gobreaker-twostep", gobreakerTwoStepOf},
		{"mercari", mercariOf},
		{"eapache", eapacheBreakerOf},
		{"autobreaker", autobreakerOf},
		{"cep21", cepBreakerOf},
		{"goresilience", grBreakerOf},
		{"r8e", r8eBreakerOf},
		{"hystrix-go", hystrixOf}, // with timeout and bulkhead: it has no other form
	}
	perKeyPeers = []peer{ // nobody else keeps breakers by key
		{"resilgen", resilgenBreakerPerKeyOf},
		{"gobreaker-syncmap", gobreakerPerKeyOf},
	}
	manyKeysPeers = []peer{
		{"resilgen", resilgenBreakerManyKeysOf},
		{"gobreaker-syncmap", gobreakerManyKeysOf},
	}
	cachePeers = []peer{
		{"resilgen", resilgenCacheStringOf},
		{"resilgen-int", resilgenCacheIntOf},
		{"hand", handCacheOf},
		{"failsafe-go", failsafeCacheOf},
	}
	guardedPeers = []peer{
		{"resilgen", resilgenGuardedOf},
		{"resilgen-nohistogram", resilgenGuardedNoHistogramOf},
		{"composed-gobreaker", composedGuardedOf},
		{"failsafe-go", failsafeGuardedOf},
	}
	timeoutPeers = []peer{
		{"resilgen", resilgenTimeoutOf},
		{"hand", handTimeoutOf},
		{"failsafe-go", failsafeTimeoutOf},
		{"cep21", cepTimeoutOf},
		{"eapache", eapacheTimeoutOf},
		{"r8e", r8eTimeoutOf},
		{"goresilience", grTimeoutOf},
	}
	bulkheadPeers = []peer{
		{"resilgen", resilgenBulkheadOf},
		{"hand", handBulkheadOf},
		{"atomic", atomicBulkheadOf},
		{"x-sync-semaphore", syncSemaphoreOf},
		{"failsafe-go", failsafeBulkheadOf},
		{"cep21", cepBulkheadOf},
		{"eapache", eapacheBulkheadOf},
		{"platinummonkey-fixed", platinumFixedOf},
		{"goresilience", grBulkheadOf},
		{"r8e", r8eBulkheadOf},
	}
	ratePeers = []peer{
		{"resilgen", resilgenRateLimitOf},
		{"resilgen-smooth", resilgenRateSmoothOf},
		{"resilgen-fixed", resilgenRateFixedOf},
		{"resilgen-rolling", resilgenRateRollingOf},
		{"x-time-rate-allow", xtimeAllowOf},
		{"x-time-rate-wait", xtimeWaitOf},
		{"uber", uberOf},
		{"failsafe-go-smooth", failsafeRateSmoothOf},
		{"failsafe-go-bursty", failsafeRateBurstyOf},
		{"failsafe-go-standalone-try", failsafeRateTryOf},
		{"r8e", r8eRateOf},
	}
	fallbackPeers = []peer{
		{"resilgen", resilgenFallbackOf},
		{"hand", handFallbackOf},
		{"failsafe-go", failsafeFallback},
		{"cep21", cepFallbackOf},
		{"r8e", r8eFallbackOf},
	}
	hedgePeers = []peer{
		{"resilgen", resilgenHedgeOf},
		{"timer", handHedgeOf},
		{"failsafe-go", failsafeHedgeOf},
		{"r8e", r8eHedgeOf},
	}
	adaptivePeers = []peer{
		{"resilgen-throttle", resilgenThrottleOf},
		{"resilgen-concurrency", resilgenConcurrencyOf},
		{"resilgen-vegas", resilgenVegasOf},
		{"failsafe-go", failsafeAdaptiveOf},
		{"failsafe-go-throttler", failsafeThrottleOf},
		{"platinummonkey-vegas", platinumVegasOf},
		{"r8e", r8eAdaptiveOf},
	}
	fullPeers = []peer{
		{"resilgen", resilgenFullOf},
		{"resilgen-histogram", resilgenFullHistogramOf},
		{"resilgen-notimeout", resilgenFullNoTimeoutOf},
		{"resilgen-nobulkhead", resilgenFullNoBulkheadOf},
		{"failsafe-go", failsafeFullOf},
		{"r8e", r8eFullOf},
		{"goresilience", grFullOf},
		{"composed-sethvargo-gobreaker", composedSethvargoOf},
		{"composed-cenkalti-gobreaker", composedCenkaltiOf},
		{"cep21-noretry", cepFullOf},
		{"hystrix-go-noretry", hystrixFallbackOf},
	}
	emptyPeers = []peer{
		{"resilgen", resilgenEmptyOf},
		{"failsafe-go", failsafeOf()},
		{"r8e", r8eEmptyOf},
	}
)

var (
	sinkInt int
	sinkErr error
)

// base keeps the results above the range of integers that Go boxes for free.
const base = 1 << 20

// measure starts a measurement and returns what ends it. Beside the wall time
// it reports the processor time of the whole process, collector included: on a
// shared machine the wall time also counts what other processes took.
func measure(b *testing.B) func() {
	runtime.GC()
	b.ReportAllocs()
	start := cpuTime()
	b.ResetTimer()
	return func() {
		b.StopTimer()
		b.ReportMetric(float64(cpuTime()-start)/float64(b.N), "cpu-ns/op")
	}
}

func cpuTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func serial(b *testing.B, ctx context.Context, s Service) {
	var v int
	var err error
	defer measure(b)()
	for i := 0; i < b.N; i++ {
		v, err = s.Do(ctx, base+i)
	}
	sinkInt, sinkErr = v, err
}

func parallel(b *testing.B, ctx context.Context, s Service) {
	defer measure(b)()
	b.RunParallel(func(pb *testing.PB) {
		n := base
		var v int
		for pb.Next() {
			v, _ = s.Do(ctx, n)
			n++
		}
		if v == -1 {
			b.Error("unreachable")
		}
	})
}

// run is b.Run. One peer never cancels the contexts it makes, so their timers live
// for the whole timeout. They are waited for so that no other peer pays for them.
func run(b *testing.B, p peer, name string, f func(b *testing.B)) {
	ran := false
	b.Run(name, func(b *testing.B) { ran = true; f(b) })
	if ran && p.name == "goresilience" {
		time.Sleep(callTimeout + 100*time.Millisecond)
		runtime.GC()
	}
}

func happy(b *testing.B, peers []peer) {
	for _, p := range peers {
		run(b, p, p.name, func(b *testing.B) { serial(b, context.Background(), p.wrap(newOK())) })
	}
}

func happyParallel(b *testing.B, peers []peer) {
	for _, p := range peers {
		run(b, p, p.name, func(b *testing.B) { parallel(b, context.Background(), p.wrap(newOK())) })
	}
}

func BenchmarkDirect(b *testing.B) {
	b.Run("interface", func(b *testing.B) { serial(b, context.Background(), newOK()) })
	b.Run("wrapper", func(b *testing.B) { serial(b, context.Background(), passThroughOf(newOK())) })
}

type passThrough struct{ next Service }

func (s *passThrough) Do(ctx context.Context, n int) (int, error) { return s.next.Do(ctx, n) }

//go:noinline
func passThroughOf(next Service) Service { return &passThrough{next} }

// BenchmarkClock is one reading of the clock, which time windows and timeouts need.
func BenchmarkClock(b *testing.B) {
	for b.Loop() {
		_ = time.Now()
	}
}

func BenchmarkNoPolicy(b *testing.B)        { happy(b, emptyPeers) }
func BenchmarkRetry(b *testing.B)           { happy(b, retryPeers) }
func BenchmarkBreaker(b *testing.B)         { happy(b, breakerPeers) }
func BenchmarkPerKey(b *testing.B)          { happy(b, perKeyPeers) }
func BenchmarkBulkhead(b *testing.B)        { happy(b, bulkheadPeers) }
func BenchmarkRateLimiter(b *testing.B)     { happy(b, ratePeers) }
func BenchmarkFallback(b *testing.B)        { happy(b, fallbackPeers) }
func BenchmarkHedge(b *testing.B)           { happy(b, hedgePeers) }
func BenchmarkAdaptiveLimiter(b *testing.B) { happy(b, adaptivePeers) }
func BenchmarkFullStack(b *testing.B)       { happy(b, fullPeers) }
func BenchmarkGuarded(b *testing.B)         { happy(b, guardedPeers) }

// BenchmarkManyKeys: a breaker for each of ten thousand keys, all known.
func BenchmarkManyKeys(b *testing.B) {
	for _, p := range manyKeysPeers {
		b.Run(p.name, func(b *testing.B) { serial(b, context.Background(), warm(p, len(manyKeys))) })
	}
}

// warm makes a Service that has seen every key, thrice.
func warm(p peer, keys int) Service {
	s := p.wrap(newOK())
	for i := range 3 * keys {
		s.Do(context.Background(), base+i)
	}
	return s
}

// BenchmarkCacheHit: every call is answered without an execution.
func BenchmarkCacheHit(b *testing.B)         { cacheHit(b, serial) }
func BenchmarkParallelCacheHit(b *testing.B) { cacheHit(b, parallel) }

func cacheHit(b *testing.B, measured func(*testing.B, context.Context, Service)) {
	for _, p := range cachePeers {
		b.Run(p.name, func(b *testing.B) { measured(b, context.Background(), warm(p, len(keys))) })
	}
}

func BenchmarkParallelBreaker(b *testing.B)     { happyParallel(b, breakerPeers) }
func BenchmarkParallelBulkhead(b *testing.B)    { happyParallel(b, bulkheadPeers) }
func BenchmarkParallelRateLimiter(b *testing.B) { happyParallel(b, ratePeers) }
func BenchmarkParallelRetry(b *testing.B)       { happyParallel(b, retryPeers) }
func BenchmarkParallelTimeout(b *testing.B)     { happyParallel(b, timeoutPeers[:1]) }
func BenchmarkParallelAdaptive(b *testing.B)    { happyParallel(b, adaptivePeers) }
func BenchmarkParallelGuarded(b *testing.B)     { happyParallel(b, guardedPeers) }
func BenchmarkParallelDirect(b *testing.B)      { parallel(b, context.Background(), newOK()) }
func BenchmarkParallelFullStack(b *testing.B)   { happyParallel(b, fullPeers) }

func BenchmarkTimeout(b *testing.B) {
	for _, p := range timeoutPeers {
		run(b, p, "background/"+p.name, func(b *testing.B) { serial(b, context.Background(), p.wrap(newOK())) })
	}
	for _, p := range timeoutPeers {
		run(b, p, "server-ctx/"+p.name, func(b *testing.B) {
			ctx, cancel := cancelable()
			defer cancel()
			serial(b, ctx, p.wrap(newOK()))
		})
	}
	for _, p := range timeoutPeers {
		run(b, p, "server-ctx-done/"+p.name, func(b *testing.B) {
			ctx, cancel := cancelable()
			defer cancel()
			serial(b, ctx, p.wrap(newDone()))
		})
	}
}

func fullServerCtx(b *testing.B, op func() Service) {
	for _, p := range fullPeers {
		run(b, p, p.name, func(b *testing.B) {
			ctx, cancel := cancelable()
			defer cancel()
			serial(b, ctx, p.wrap(op()))
		})
	}
}

func BenchmarkFullStackServerCtx(b *testing.B)     { fullServerCtx(b, newOK) }
func BenchmarkFullStackServerCtxDone(b *testing.B) { fullServerCtx(b, newDone) }

// Failure paths.

// counting tells whether a rejected call reached the operation.
type counting struct {
	next  Service
	calls atomic.Int64
}

func (s *counting) Do(ctx context.Context, n int) (int, error) {
	s.calls.Add(1)
	return s.next.Do(ctx, n)
}

// trip calls until a call is rejected without reaching the operation.
func trip(tb testing.TB, s Service, c *counting) {
	tb.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		before := c.calls.Load()
		s.Do(context.Background(), base)
		if c.calls.Load() == before {
			return
		}
	}
	tb.Fatal("the breaker never opened")
}

func openBench(b *testing.B, measured func(*testing.B, context.Context, Service)) {
	for _, p := range breakerPeers {
		b.Run(p.name, func(b *testing.B) {
			c := &counting{next: newFail()}
			s := p.wrap(c)
			trip(b, s, c)
			before := c.calls.Load()
			measured(b, context.Background(), s)
			if c.calls.Load() != before {
				b.Fatal("the breaker let a call through")
			}
		})
	}
}

func BenchmarkBreakerOpen(b *testing.B)         { openBench(b, serial) }
func BenchmarkParallelBreakerOpen(b *testing.B) { openBench(b, parallel) }

// BenchmarkRetryExhausted: three failing attempts, no delay.
func BenchmarkRetryExhausted(b *testing.B) {
	for _, p := range retryPeers {
		b.Run(p.name, func(b *testing.B) { serial(b, context.Background(), p.wrap(newFail())) })
	}
}

// BenchmarkRetryRecovers: two failing attempts, then a good one, no delay.
func BenchmarkRetryRecovers(b *testing.B) {
	for _, p := range retryPeers {
		b.Run(p.name, func(b *testing.B) { serial(b, context.Background(), p.wrap(newFlaky())) })
	}
}

// BenchmarkFallbackUsed: the operation fails and the fallback answers.
func BenchmarkFallbackUsed(b *testing.B) {
	for _, p := range fallbackPeers {
		b.Run(p.name, func(b *testing.B) { serial(b, context.Background(), p.wrap(newFail())) })
	}
}

// The adapters do what they say.

func all() map[string][]peer {
	return map[string][]peer{
		"retry": retryPeers, "breaker": breakerPeers, "perKey": perKeyPeers, "manyKeys": manyKeysPeers, "guarded": guardedPeers, "timeout": timeoutPeers, "bulkhead": bulkheadPeers,
		"rate": ratePeers, "fallback": fallbackPeers, "hedge": hedgePeers, "adaptive": adaptivePeers,
		"full": fullPeers, "empty": emptyPeers,
	}
}

func TestHappyPath(t *testing.T) {
	for group, peers := range all() {
		for _, p := range peers {
			t.Run(group+"/"+p.name, func(t *testing.T) {
				s := p.wrap(newOK())
				for i := range 100 {
					if v, err := s.Do(context.Background(), i); v != i+1 || err != nil {
						t.Fatalf("Do(%d) = %d, %v", i, v, err)
					}
				}
			})
		}
	}
}

func TestRetries(t *testing.T) {
	for _, p := range retryPeers {
		t.Run(p.name, func(t *testing.T) {
			c := &counting{next: newFail()}
			if _, err := p.wrap(c).Do(context.Background(), 1); !errors.Is(err, ErrBoom) {
				t.Errorf("error %v", err)
			}
			if c.calls.Load() != attempts {
				t.Errorf("%d calls", c.calls.Load())
			}
			c = &counting{next: newFlaky()}
			if v, err := p.wrap(c).Do(context.Background(), 1); v != 2 || err != nil || c.calls.Load() != attempts {
				t.Errorf("%d, %v after %d calls", v, err, c.calls.Load())
			}
		})
	}
}

func TestBreakersOpen(t *testing.T) {
	for _, p := range breakerPeers {
		t.Run(p.name, func(t *testing.T) {
			c := &counting{next: newFail()}
			trip(t, p.wrap(c), c)
		})
	}
}

func TestCachesAnswer(t *testing.T) {
	for _, p := range cachePeers {
		t.Run(p.name, func(t *testing.T) {
			c := &counting{next: newOK()}
			s := p.wrap(c)
			for i := range 100 {
				if v, err := s.Do(context.Background(), i); v != i%len(keys)+1 || err != nil {
					t.Fatalf("Do(%d) = %d, %v", i, v, err)
				}
			}
			if n := c.calls.Load(); n != int64(len(keys)) {
				t.Errorf("%d executions for %d keys", n, len(keys))
			}
		})
	}
}

type blocking struct{}

func (blocking) Do(ctx context.Context, n int) (int, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(time.Minute):
		return n, nil
	}
}

func TestTimeouts(t *testing.T) {
	for _, p := range timeoutPeers {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := p.wrap(blocking{}).Do(context.Background(), 1)
			if d := time.Since(start); err == nil || d < callTimeout || d > callTimeout+30*time.Second {
				t.Errorf("error %v after %v", err, d)
			}
		})
	}
}

func TestFallbacks(t *testing.T) {
	for _, p := range append(append([]peer{}, fallbackPeers...), fullPeers...) {
		t.Run(p.name, func(t *testing.T) {
			if v, err := p.wrap(newFail()).Do(context.Background(), 7); err != nil || (v != -7 && v != -1) {
				t.Errorf("%d, %v", v, err)
			}
		})
	}
}
