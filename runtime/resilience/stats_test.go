package resilience

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// kept returns a guard under p of a Runtime with o.
func kept(t testing.TB, o Options, p Policy) (*Runtime, *Guard) {
	t.Helper()
	rt, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	g, err := rt.Guard("pay.Charge", p)
	if err != nil {
		t.Fatal(err)
	}
	return rt, g
}

func hurried(n int) Retry { return Retry{MaxAttempts: n, Backoff: Backoff{Strategy: NoBackoff}} }

// counting are calls, and what is counted of them.
var counting = map[string]struct {
	p        Policy
	do       func(ctx context.Context, g *Guard)
	want     Counters
	rejected map[string]int64
	breaker  Verdicts
}{
	"success": {Policy{Retry: hurried(3)}, func(ctx context.Context, g *Guard) { fallible(ctx, g, nil) },
		Counters{Success: 1, Attempts: 1}, nil, Verdicts{}},
	"success after retries": {Policy{Retry: hurried(4)}, func(ctx context.Context, g *Guard) { fallible(ctx, g, errPeer, errPeer, errPeer, nil) },
		Counters{Success: 1, SuccessRetried: 1, Attempts: 4, Retries: 3}, nil, Verdicts{}},
	"failure after retries": {Policy{Retry: hurried(2), Fallback: Fallback{On: true}}, func(ctx context.Context, g *Guard) { fallible(ctx, g, errPeer) },
		Counters{Failure: 1, FailureRetried: 1, Attempts: 2, Retries: 1, Fallbacks: 1}, nil, Verdicts{}},
	"unwanted result": {Policy{Retry: hurried(2)}, func(ctx context.Context, g *Guard) {
		call := g.Begin(ctx)
		defer call.End()
		for call.Next() {
			call.RecordResult(nil, true, false)
		}
	}, Counters{Success: 1, SuccessRetried: 1, Attempts: 2, Retries: 1}, nil, Verdicts{}},
	"hedge": {Policy{Hedge: Hedge{Delay: time.Second}}, func(ctx context.Context, g *Guard) {
		call := g.Begin(ctx)
		defer call.End()
		var n atomic.Int64
		_, _ = Hedged(&call, func(ctx context.Context) (int, error) {
			if n.Add(1) == 1 {
				return 0, hang(ctx)
			}
			return 0, nil
		})
	}, Counters{Success: 1, SuccessRetried: 1, Attempts: 2, Retries: 1}, nil, Verdicts{}},
	"failed hedges": {Policy{Hedge: Hedge{Delay: time.Second}}, func(ctx context.Context, g *Guard) {
		call := g.Begin(ctx)
		defer call.End()
		_, _ = Hedged(&call, func(context.Context) (int, error) { return 0, errPeer })
	}, Counters{Failure: 1, FailureRetried: 1, Attempts: 2, Retries: 1}, nil, Verdicts{}},
	"hedge not needed": {Policy{Hedge: Hedge{Delay: time.Second}}, func(ctx context.Context, g *Guard) {
		call := g.Begin(ctx)
		defer call.End()
		_, _ = Hedged(&call, func(context.Context) (int, error) { return 0, nil })
	}, Counters{Success: 1, Attempts: 1}, nil, Verdicts{}},
	"rate limit": {Policy{RateLimit: RateLimit{Limit: 1, Period: time.Hour}}, func(ctx context.Context, g *Guard) {
		fallible(ctx, g, nil)
		fallible(ctx, g, nil)
	}, Counters{Success: 1, Rejected: 1, Attempts: 1, Rejections: 1}, map[string]int64{"rateLimit": 1}, Verdicts{}},
	"budget": {Policy{Retry: hurried(3), Budget: Budget{Ratio: 0.1, MinConcurrency: None}}, func(ctx context.Context, g *Guard) { fallible(ctx, g, errPeer) },
		Counters{Failure: 1, Attempts: 1, Rejections: 1}, map[string]int64{"retry.budget": 1}, Verdicts{}},
	"timeout": {Policy{Timeout: Timeout{Attempt: time.Second}, Retry: hurried(2)}, func(ctx context.Context, g *Guard) { _ = Try(ctx, g, hang) },
		Counters{Failure: 1, FailureRetried: 1, Attempts: 2, Retries: 1, Timeouts: 2}, nil, Verdicts{}},
	"caller left": {Policy{Retry: hurried(2)}, func(ctx context.Context, g *Guard) {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_ = Try(ctx, g, hang)
		_ = Try(ctx, g, hang)
	}, Counters{Canceled: 2, Attempts: 1}, nil, Verdicts{}},
	"the delegate's own cancellation": {Policy{Retry: hurried(2)}, func(ctx context.Context, g *Guard) { fallible(ctx, g, context.Canceled) },
		Counters{Failure: 1, Attempts: 1}, nil, Verdicts{}},
	"panic": {Policy{Breaker: Breaker{On: true}}, func(ctx context.Context, g *Guard) {
		defer func() { _ = recover() }()
		_ = Try(ctx, g, func(context.Context) error { panic("boom") })
	}, Counters{Failure: 1, Attempts: 1}, nil, Verdicts{Failure: 1}},
	"breaker": {Policy{Breaker: Breaker{ConsecutiveFailures: 2, IgnoreOn: Matcher{Match: func(err error) bool { return err == errIgnored }}}, Fallback: Fallback{On: true}},
		func(ctx context.Context, g *Guard) {
			for _, err := range []error{nil, errIgnored, errPeer, errPeer, nil, nil} {
				fallible(ctx, g, err)
			}
		}, Counters{Success: 1, Failure: 3, Rejected: 2, Attempts: 4, Rejections: 2, Fallbacks: 5},
		map[string]int64{"circuitBreaker": 2}, Verdicts{Success: 1, Failure: 2, Ignored: 1}},
	"retry into an open breaker": {Policy{Retry: Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff},
		RetryOn: Matcher{Any: true, Kinds: KindCircuitOpen}, RetryAfter: RetryAfter{Ignore: true}}, Breaker: Breaker{ConsecutiveFailures: 1}},
		func(ctx context.Context, g *Guard) { fallible(ctx, g, errPeer) },
		Counters{Failure: 1, Attempts: 1, Rejections: 2}, map[string]int64{"circuitBreaker": 2}, Verdicts{Failure: 1}},
	"retry until the breaker lets it": {Policy{Retry: Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: Constant, InitialDelay: 3 * time.Second, Jitter: NoJitter},
		RetryOn: Matcher{Any: true, Kinds: KindCircuitOpen}, RetryAfter: RetryAfter{Ignore: true}}, Breaker: Breaker{ConsecutiveFailures: 1, InitialState: StateOpen}},
		func(ctx context.Context, g *Guard) { fallible(ctx, g, nil) },
		Counters{Success: 1, Attempts: 1, Rejections: 2}, map[string]int64{"circuitBreaker": 2}, Verdicts{Success: 1}},
	"no budget for another try": {Policy{Retry: Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}, RetryOn: Matcher{Any: true, Kinds: KindCircuitOpen}},
		Budget: Budget{Ratio: 0.1, MinConcurrency: None}, Breaker: Breaker{InitialState: StateOpen}},
		func(ctx context.Context, g *Guard) { fallible(ctx, g, nil) },
		Counters{Rejected: 1, Rejections: 2}, map[string]int64{"circuitBreaker": 1, "retry.budget": 1}, Verdicts{}},
	"rejected, and no time for another try": {Policy{Retry: Retry{MaxAttempts: 3, Backoff: Backoff{InitialDelay: time.Second}, MaxDuration: time.Millisecond,
		RetryOn: Matcher{Any: true, Kinds: KindCircuitOpen}}, Breaker: Breaker{InitialState: StateOpen}},
		func(ctx context.Context, g *Guard) { fallible(ctx, g, nil) },
		Counters{Rejected: 1, Rejections: 1}, map[string]int64{"circuitBreaker": 1}, Verdicts{}},
	"a rejected hedge": {Policy{Hedge: Hedge{Delay: time.Second}, Bulkhead: Bulkhead{MaxConcurrent: 1}}, func(ctx context.Context, g *Guard) {
		call := g.Begin(ctx)
		defer call.End()
		_, _ = Hedged(&call, func(context.Context) (int, error) { time.Sleep(3 * time.Second); return 0, nil })
	}, Counters{Success: 1, Attempts: 1, Rejections: 1}, map[string]int64{"bulkhead": 1}, Verdicts{}},
	"bulkhead": {Policy{Bulkhead: Bulkhead{MaxConcurrent: 1}}, func(ctx context.Context, g *Guard) {
		_ = Try(ctx, g, func(ctx context.Context) error { fallible(ctx, g, nil); return nil })
	}, Counters{Success: 1, Rejected: 1, Attempts: 1, Rejections: 1}, map[string]int64{"bulkhead": 1}, Verdicts{}},
}

func TestStats(t *testing.T) {
	for name, c := range counting {
		for mode, o := range map[string]Options{"histograms": {}, "counters": {DisableHistograms: true}} {
			t.Run(name+" "+mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					rt, g := kept(t, o, c.p)
					c.do(t.Context(), g)
					m := rt.Stats().Methods[0]
					if c.rejected == nil {
						c.rejected = map[string]int64{}
					}
					if m.Total != c.want || m.InFlight != idle(o) || m.Breaker != c.breaker || !reflect.DeepEqual(m.Rejected, c.rejected) {
						t.Errorf("got %+v, %d in flight, breaker %+v, rejected %v\nwant %+v, %+v, %v",
							m.Total, m.InFlight, m.Breaker, m.Rejected, c.want, c.breaker, c.rejected)
					}
					if want := c.want.Attempts - c.want.Retries; mode == "histograms" && m.Latency.Count != want {
						t.Errorf("%d in the histogram, want %d", m.Latency.Count, want)
					}
					if sum := added(m.Minutes); sum != c.want {
						t.Errorf("minutes %+v, want %+v", sum, c.want)
					}
				})
			})
		}
	}
}

// TestRejectionsOfASharedBreaker are those of all its methods, of which a reset
// takes nothing.
func TestRejectionsOfASharedBreaker(t *testing.T) {
	for mode, o := range map[string]Options{"statistics": {}, "none": {DisableStats: true}} {
		t.Run(mode, func(t *testing.T) {
			rt, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			w := rt.Wrap("pay.Gateway", 1)
			p := Policy{Breaker: Breaker{Name: "peer", InitialState: StateOpen, OpenDuration: time.Hour}}
			guards := []*Guard{w.Guard("Charge", p), w.Guard("Refund", p)}
			call := func() {
				for _, g := range guards {
					fallible(t.Context(), g, nil)
				}
			}
			call()
			call()
			b := rt.Breaker("peer")
			if n := b.Snapshot().Rejected; n != 4 {
				t.Errorf("%d rejected, want 4", n)
			}
			b.Reset()
			call()
			if n := b.Snapshot().Rejected; n != 2 {
				t.Errorf("%d rejected since the reset, want 2", n)
			}
			for _, m := range rt.Stats().Methods {
				if m.Total.Rejected != 3 || m.Rejected["circuitBreaker"] != 3 {
					t.Errorf("%s: %+v, %v, want 3 rejected", m.Name, m.Total, m.Rejected)
				}
			}
		})
	}
}

// TestSlicesWithoutHistograms: failures in good number find out that a slice is
// over.
func TestSlicesWithoutHistograms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, g := kept(t, Options{DisableHistograms: true}, Policy{Retry: hurried(1)})
		align()
		for range 3 {
			for range 2 * looksEvery {
				fallible(t.Context(), g, errPeer)
			}
			time.Sleep(10 * time.Second)
		}
		slices := rt.Stats().Methods[0].TenSeconds
		for i, want := range []int64{3 * looksEvery, 2 * looksEvery, looksEvery, 0} { // the first look of each comes late
			if len(slices) != 4 || slices[i].Failure != want {
				t.Fatalf("%+v", slices)
			}
		}
	})
}

// added sums slices up.
func added(list []Slice) (sum Counters) {
	for _, s := range list {
		fields := sum.fields()
		for i, n := range s.fields() {
			*fields[i] += *n
		}
	}
	return sum
}

// TestStatsAddUp has 16 goroutines call for three minutes of the bubble's while
// somebody looks: no number falls or is negative, and in the end all are right.
func TestStatsAddUp(t *testing.T) {
	for mode, o := range map[string]Options{"histograms": {}, "counters": {DisableHistograms: true}} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt, g := kept(t, o, Policy{Retry: hurried(2), Bulkhead: Bulkhead{MaxConcurrent: 8}})
				var want [4]atomic.Int64 // success, failure, rejected, canceled
				var group sync.WaitGroup
				for seed := range uint64(16) {
					group.Go(func() { callAtRandom(rand.New(rand.NewPCG(seed, 2)), g, &want) })
				}
				stop := make(chan struct{})
				var watcher sync.WaitGroup
				watcher.Go(func() { watch(t, rt, stop) })
				group.Wait()
				close(stop)
				watcher.Wait()
				m := rt.Stats().Methods[0]
				if got := [4]int64{m.Total.Success, m.Total.Failure, m.Total.Rejected, m.Total.Canceled}; got !=
					[4]int64{want[0].Load(), want[1].Load(), want[2].Load(), want[3].Load()} || m.InFlight != idle(o) {
					t.Errorf("got %v and %d in flight, want %d %d %d %d", got, m.InFlight, want[0].Load(), want[1].Load(), want[2].Load(), want[3].Load())
				}
				if sum := added(m.Minutes); sum != m.Total {
					t.Errorf("minutes %+v, total %+v", sum, m.Total)
				}
			})
		})
	}
}

// callAtRandom makes calls and counts how they end.
func callAtRandom(random *rand.Rand, g *Guard, want *[4]atomic.Int64) {
	for range 300 {
		ctx, cancel := context.WithCancel(context.Background())
		err := Try(ctx, g, func(context.Context) error {
			time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
			switch random.IntN(4) {
			case 0:
				return errPeer
			case 1:
				if random.IntN(2) == 0 {
					cancel()
					return ctx.Err()
				}
			}
			return nil
		})
		cancel()
		switch {
		case err == nil:
			want[0].Add(1)
		case errors.Is(err, ErrBulkheadFull):
			outcome := 2
			if e := new(Error); errors.As(err, &e) && e.Attempts > 0 {
				outcome = 1 // the second attempt found no slot: the first one had failed
			}
			want[outcome].Add(1)
			time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
		case errors.Is(err, context.Canceled):
			want[3].Add(1)
		default:
			want[1].Add(1)
		}
	}
}

// watch looks at the statistics until stop.
func watch(t *testing.T, rt *Runtime, stop <-chan struct{}) {
	var before Counters
	for {
		m := rt.Stats().Methods[0]
		now, old := m.Total.fields(), before.fields()
		for i := range now {
			if *now[i] < *old[i] {
				t.Errorf("counter %d fell from %d to %d", i, *old[i], *now[i])
			}
		}
		if m.InFlight < idle(Options{DisableHistograms: rt.noHistograms}) {
			t.Errorf("%d in flight", m.InFlight)
		}
		before = m.Total
		select {
		case <-stop:
			return
		case <-time.After(101 * time.Millisecond):
		}
	}
}

// idle is what InFlight is while there are no calls.
func idle(o Options) int64 {
	if o.DisableHistograms {
		return -1 // not known
	}
	return 0
}

func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, g := kept(t, Options{}, Policy{Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: time.Hour}})
		for range 3 {
			go func() { _ = Try(t.Context(), g, func(context.Context) error { time.Sleep(time.Second); return nil }) }()
		}
		synctest.Wait()
		s := rt.Stats()
		if b := s.Bulkheads[0]; s.Methods[0].InFlight != 3 || b != (BulkheadSnapshot{"pay.Charge", 1, 1, 2}) {
			t.Errorf("%d in flight, %+v", s.Methods[0].InFlight, b)
		}
		time.Sleep(time.Minute)
		s = rt.Stats()
		if b := s.Bulkheads[0]; s.Methods[0].InFlight != 0 || b != (BulkheadSnapshot{"pay.Charge", 1, 0, 0}) {
			t.Errorf("%d in flight, %+v", s.Methods[0].InFlight, b)
		}
	})
}

// align sleeps to the beginning of a minute since epoch.
func align() { time.Sleep(time.Minute - sinceEpoch()%time.Minute) }

// TestSlices has n calls succeed in the n-th ten seconds.
func TestSlices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, g := kept(t, Options{}, Policy{Retry: hurried(1)})
		align()
		begun := time.Now()
		for n := range 20 {
			for range n {
				fallible(t.Context(), g, nil)
			}
			if n < 19 {
				time.Sleep(10 * time.Second)
			}
		}
		m := rt.Stats().Methods[0]
		expect := func(name string, list []Slice, width time.Duration, first int, want ...int64) {
			t.Helper()
			if len(list) != len(want) {
				t.Fatalf("%d %s, want %d", len(list), name, len(want))
			}
			for i, s := range list {
				if at := begun.Add(time.Duration(first+i) * width); s.Success != want[i] || !s.Begin.Equal(at) {
					t.Errorf("%s %d: %d from %v, want %d from %v", name, i, s.Success, s.Begin, want[i], at)
				}
			}
		}
		expect("slices", m.TenSeconds, 10*time.Second, 14, 14, 15, 16, 17, 18, 19)
		expect("minutes", m.Minutes, time.Minute, 0, 15, 51, 87, 37)
		time.Sleep(2 * time.Hour)
		m = rt.Stats().Methods[0]
		if sum := added(append(m.TenSeconds, m.Minutes...)); sum != (Counters{}) || m.Total.Success != 190 {
			t.Errorf("after two hours %+v, %d in all", sum, m.Total.Success)
		}
	})
}

// TestLatencyForgets keeps a call in the quantiles for one to two minutes, and
// in the counters for ever.
func TestLatencyForgets(t *testing.T) {
	for _, idle := range []time.Duration{59 * time.Second, 119 * time.Second, 120 * time.Second, time.Hour, time.Hour + time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			rt, g := kept(t, Options{}, Policy{Retry: hurried(1)})
			align()
			fallible(t.Context(), g, nil)
			time.Sleep(idle)
			m := rt.Stats().Methods[0]
			if want := int64(1); m.Total.Success != want || (m.Latency.Count == want) != (idle < 2*time.Minute) {
				t.Errorf("after %v: %+v, %d in the histogram", idle, m.Total, m.Latency.Count)
			}
			fallible(t.Context(), g, nil)
			if m = rt.Stats().Methods[0]; m.Total.Success != 2 || m.InFlight != 0 {
				t.Errorf("after %v: %+v", idle, m.Total)
			}
		})
	}
}

func TestStatsSwitchedOff(t *testing.T) {
	rt, g := kept(t, Options{DisableStats: true}, Policy{Retry: hurried(2), Breaker: Breaker{On: true}, Fallback: Fallback{On: true}})
	fallible(t.Context(), g, errPeer)
	if s := rt.Stats(); len(s.Methods) != 0 || len(s.Breakers) != 1 {
		t.Errorf("%+v", s)
	}
	rt, g = kept(t, Options{DisableHistograms: true}, Policy{Retry: hurried(2)})
	fallible(t.Context(), g, nil)
	if m := rt.Stats().Methods[0]; m.Latency != (Latency{}) || g.stats.past != nil {
		t.Errorf("%+v", m)
	}
	if s := new(Runtime).Stats(); len(s.Methods)+len(s.Breakers)+len(s.Bulkheads)+len(s.Limiters)+len(s.Budgets) != 0 {
		t.Errorf("%+v", s)
	}
}

// TestStatsNames keeps methods of one name apart by what is before it.
func TestStatsNames(t *testing.T) {
	rt := new(Runtime)
	for _, name := range []string{"pay.Gateway", "bank.Gateway"} {
		rt.Named("eu").Wrap(name, 1).Guard("Charge", Policy{})
	}
	s := rt.Stats()
	for i, want := range [][3]string{{"bank.Gateway.Charge@eu", "bank.Gateway", "Charge"}, {"pay.Gateway.Charge@eu", "pay.Gateway", "Charge"}} {
		if m := s.Methods[i]; [3]string{m.Name, m.Interface, m.Method} != want {
			t.Errorf("got %q %q %q, want %q", m.Name, m.Interface, m.Method, want)
		}
	}
}

// TestTimeInStates counts an open state as over when it is due.
func TestTimeInStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, g := kept(t, Options{}, Policy{Breaker: Breaker{ConsecutiveFailures: 1}})
		time.Sleep(3 * time.Second)
		fallible(t.Context(), g, errPeer)
		time.Sleep(7 * time.Second)
		expect := func(closed, open, halfOpen time.Duration) {
			t.Helper()
			if s := rt.Breaker("pay.Charge").Snapshot(); [3]time.Duration{s.Closed, s.Open, s.HalfOpen} != [3]time.Duration{closed, open, halfOpen} {
				t.Errorf("closed %v, open %v, half-open %v, want %v, %v, %v", s.Closed, s.Open, s.HalfOpen, closed, open, halfOpen)
			}
		}
		expect(3*time.Second, 5*time.Second, 2*time.Second)
		fallible(t.Context(), g, nil)
		time.Sleep(time.Second)
		expect(4*time.Second, 5*time.Second, 2*time.Second)
		rt.Breaker("pay.Charge").Reset()
		expect(0, 0, 0)
	})
}

// TestBuckets holds every bucket to the bound of the error, and the buckets to
// their order.
func TestBuckets(t *testing.T) {
	last := len(histogram{}) - 1
	for _, d := range []time.Duration{-1, 0, 1, 63, 64, 65, 127, 128, time.Second, 73 * time.Minute} {
		inBucket(t, d)
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		inBucket(t, time.Duration(random.Uint64()>>(22+random.IntN(42))))
	}
	for i := range last + 1 {
		if got := logBucket(middle(i)); got != i {
			t.Errorf("the middle of bucket %d is in %d", i, got)
		}
	}
	if logBucket(1<<62) != last {
		t.Error("what is too long is not in the last bucket")
	}
}

func inBucket(t *testing.T, d time.Duration) {
	t.Helper()
	want := float64(max(d, 0))
	if off := float64(middle(logBucket(d))) - want; off > want/64 || -off > want/64 {
		t.Errorf("%v counts as %v", d, middle(logBucket(d)))
	}
}

// TestStatsFitTheirSpace bounds what a guard takes.
func TestStatsFitTheirSpace(t *testing.T) {
	guard := unsafe.Sizeof(Guard{}) + unsafe.Sizeof(plan{}) + unsafe.Sizeof(methodStats{})
	all := guard + unsafe.Sizeof(recent{}) + 3*unsafe.Sizeof(histogram{})
	t.Logf("a guard takes %d bytes (Guard %d, plan %d, Policy %d, statistics %d), with histograms %d",
		guard, unsafe.Sizeof(Guard{}), unsafe.Sizeof(plan{}), unsafe.Sizeof(Policy{}), unsafe.Sizeof(methodStats{}), all)
	if guard > 2<<10 || all > 24<<10 {
		t.Error("want 2 KB, and 24 KB with histograms")
	}
}

func BenchmarkStats(b *testing.B) {
	ctx := context.Background()
	for _, c := range []struct {
		name string
		o    Options
	}{{"none", Options{DisableStats: true}}, {"counters", Options{DisableHistograms: true}}, {"histograms", Options{}}} {
		_, g := kept(b, c.o, Policy{Retry: hurried(3)})
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = viaGuard(ctx, g)
			}
		})
		b.Run(c.name+"-parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = viaGuard(ctx, g)
				}
			})
		})
	}
}
