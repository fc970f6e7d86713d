package resilience

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// script runs letters against a guard: S success, F failure, I ignored, P
// panic, + a second passes. It returns one letter a call: s, f, i, p, or o for
// a rejection by the breaker.
func script(t *testing.T, g *Guard, steps string) string {
	t.Helper()
	var out strings.Builder
	for _, step := range steps {
		if step == '+' {
			time.Sleep(time.Second)
			continue
		}
		out.WriteByte(one(t, g, step))
	}
	return out.String()
}

var errIgnored = errors.New("ignored")

func one(t *testing.T, g *Guard, step rune) (result byte) {
	defer func() {
		if recover() != nil {
			result = 'p'
		}
	}()
	err := Try(t.Context(), g, func(context.Context) error {
		switch step {
		case 'F':
			return errPeer
		case 'I':
			return errIgnored
		case 'P':
			panic("peer")
		}
		return nil
	})
	switch {
	case err == nil:
		return 's'
	case errors.Is(err, ErrCircuitOpen):
		return 'o'
	case errors.Is(err, errIgnored):
		return 'i'
	}
	return 'f'
}

func TestBreakerScripts(t *testing.T) {
	ignore := Matcher{Match: func(err error) bool { return errors.Is(err, errIgnored) }}
	count4 := Window{Type: CountWindow, Size: 4}
	for _, c := range []struct {
		name        string
		conf        Breaker
		steps, want string
		state       State
	}{
		{"opens at the rate", Breaker{Window: count4, FailureRateThreshold: 75}, "FFFFS", "ffffo", StateOpen},
		{"stays closed below the rate", Breaker{Window: count4, FailureRateThreshold: 75}, "FFSSFSFS", "ffssfsfs", StateClosed},
		{"decides on a success too", Breaker{Window: count4}, "FFSSS", "ffsso", StateOpen},
		{"needs the minimum", Breaker{Window: count4, MinimumCalls: 3}, "FFFS", "fffo", StateOpen},
		{"probe closes, window empty", Breaker{Window: count4, OpenDuration: time.Second}, "FFFF+SFFF", "ffffsfff", StateClosed},
		{"failed probe opens", Breaker{Window: count4, OpenDuration: time.Second}, "FFFF+FS", "fffffo", StateOpen},
		{"several successes close", Breaker{Window: count4, OpenDuration: time.Second, HalfOpen: HalfOpen{SuccessThreshold: 3}}, "FFFF+SSFS", "ffffssfo", StateOpen},
		{"consecutive", Breaker{ConsecutiveFailures: 3}, "FFSFFFS", "ffsfffo", StateOpen},
		{"consecutive beside a rate", Breaker{ConsecutiveFailures: 2, Window: Window{Size: 50}}, "SSFFS", "ssffo", StateOpen},
		{"ignored is neither", Breaker{ConsecutiveFailures: 2, IgnoreOn: ignore}, "FIFS", "fifo", StateOpen},
		{"ignored probe hands its permit back", Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second, IgnoreOn: ignore}, "F+IIS", "fiis", StateClosed},
		{"panic is a failure", Breaker{ConsecutiveFailures: 2}, "PPS", "ppo", StateOpen},
		{"panic of a probe opens", Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second}, "F+PS+S", "fpos", StateClosed},
		{"panic can be ignored", Breaker{ConsecutiveFailures: 1, IgnoreOn: Matcher{Kinds: KindPanic}}, "PPS", "pps", StateClosed},
		{"recordOn makes the rest successes", Breaker{ConsecutiveFailures: 1, RecordOn: ignore}, "FFIS", "ffio", StateOpen},
		{"shadow never rejects", Breaker{ConsecutiveFailures: 1, Mode: Shadow}, "FFS", "ffs", StateOpen},
		{"disabled records nothing", Breaker{ConsecutiveFailures: 1, Mode: Disabled}, "FFS", "ffs", StateClosed},
		{"forced open runs no probe", Breaker{On: true, Mode: ForcedOpen}, "S++S", "oo", StateClosed},
		{"initially open", Breaker{On: true, InitialState: StateOpen, OpenDuration: time.Second}, "S+S", "os", StateClosed},
		{"time window forgets", Breaker{Window: Window{Type: TimeWindow, Duration: 4 * time.Second, Buckets: 4}, MinimumCalls: 4}, "FFF+++++F", "ffff", StateClosed},
		{"time window remembers", Breaker{Window: Window{Type: TimeWindow, Duration: 4 * time.Second, Buckets: 4}, MinimumCalls: 4}, "FFF++FS", "ffffo", StateOpen},
		{"half-open by rate closes", Breaker{ConsecutiveFailures: 2, FailureRateThreshold: 60, OpenDuration: time.Second, HalfOpen: HalfOpen{Mode: RateMode, PermittedCalls: 4}}, "FF+FSFSS", "fffsfss", StateClosed},
		{"half-open by rate opens", Breaker{ConsecutiveFailures: 2, FailureRateThreshold: 50, OpenDuration: time.Second, HalfOpen: HalfOpen{Mode: RateMode, PermittedCalls: 4}}, "FF+FSFSS", "fffsfso", StateOpen},
		{"open duration grows", Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second, OpenBackoff: OpenBackoff{Multiplier: 2}}, "F+F+S+S", "ffos", StateClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := mustGuard(t, Policy{Breaker: c.conf})
				if got := script(t, g, c.steps); got != c.want {
					t.Errorf("%s = %s, want %s", c.steps, got, c.want)
				}
				if s := g.rt.Breaker(g.name).Snapshot(); s.State != c.state {
					t.Errorf("state %d, want %d", s.State, c.state)
				}
			})
		})
	}
}

func TestRejectionTellsWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{
			Retry:   Retry{MaxAttempts: 9, Backoff: Backoff{Strategy: Constant, InitialDelay: time.Second, Jitter: NoJitter}},
			Breaker: Breaker{ConsecutiveFailures: 4, OpenDuration: 30 * time.Second},
		})
		err := Try(t.Context(), g, func(context.Context) error { return errPeer })
		if want := "payments.Gateway.Charge: gave up after 4 attempts in 4s: circuit open, next try in 29s: gateway: 503"; err.Error() != want {
			t.Errorf("Try = %v\nwant  %s", err, want)
		}
		if !errors.Is(err, ErrCircuitOpen) || !errors.Is(err, errPeer) {
			t.Errorf("%v matches not both the reason and the last error", err)
		}
	})
}

func TestCallerWhoLeftIsNoVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second}})
		leave := func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			_ = Try(ctx, g, hang)
		}
		leave()
		if got := script(t, g, "SF+"); got != "sf" {
			t.Errorf("after a caller left: %s, want sf", got)
		}
		leave() // as a probe: hands its permit back
		if got := script(t, g, "S"); got != "s" {
			t.Errorf("after a probe's caller left: %s, want s", got)
		}
	})
}

func TestLateResultChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second}})
		late := make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() { _ = Try(t.Context(), g, func(context.Context) error { <-late; return nil }) })
		synctest.Wait()
		script(t, g, "F+F") // opens, probes, opens again
		close(late)
		group.Wait()
		if got := script(t, g, "S"); got != "o" {
			t.Errorf("after a late success: %s, want o", got)
		}
	})
}

func TestHalfOpenAdmitsExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second, HalfOpen: HalfOpen{PermittedCalls: 3}}})
		script(t, g, "F+")
		var in atomic.Int64
		hold := make(chan struct{})
		var group sync.WaitGroup
		for range 64 {
			group.Go(func() {
				_ = Try(t.Context(), g, func(context.Context) error { in.Add(1); <-hold; return nil })
			})
		}
		synctest.Wait()
		if n := in.Load(); n != 3 {
			t.Errorf("%d probes of 64 calls, want 3", n)
		}
		close(hold)
		group.Wait()
	})
}

func TestHangingProbesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second}})
		script(t, g, "F+")
		hold := make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() { _ = Try(t.Context(), g, func(context.Context) error { <-hold; return nil }) })
		synctest.Wait()
		if got := script(t, g, "S+S+S"); got != "oos" {
			t.Errorf("around a hanging probe: %s, want oos: open again after maxWait, then probed", got)
		}
		close(hold)
		group.Wait()
	})
}

func TestAutoHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second, AutoHalfOpen: true, HalfOpen: HalfOpen{MaxWait: None}}})
		script(t, g, "F")
		time.Sleep(time.Second)
		synctest.Wait()
		b := g.rt.breakers[g.name]
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.state != StateHalfOpen {
			t.Errorf("state %d without a caller, want half-open", b.state)
		}
	})
}

func TestAdministration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second}})
		b := g.rt.Breakers()[0]
		for _, s := range []struct {
			do          func()
			steps, want string
		}{{b.ForceOpen, "S++S", "oo"}, {b.Close, "SFS", "sfo"}, {b.Disable, "FFS", "ffs"}, {b.Reset, "SFS", "sfo"}} {
			s.do()
			if got := script(t, g, s.steps); got != s.want {
				t.Errorf("%s = %s, want %s", s.steps, got, s.want)
			}
		}
		if s := b.Snapshot(); s.Name != g.name || s.RetryAfter != time.Second || s.Rejected != 1 || s.Openings != 1 {
			t.Errorf("snapshot %+v", s)
		}
	})
}

func TestSharedByName(t *testing.T) {
	rt := &Runtime{}
	conf := Breaker{Name: "db", ConsecutiveFailures: 1}
	a, _ := rt.Guard("a", Policy{Breaker: conf})
	b, err := rt.Guard("b", Policy{Breaker: conf})
	if err != nil {
		t.Fatal(err)
	}
	script(t, a, "F")
	if got := script(t, b, "S"); got != "o" {
		t.Errorf("the other guard: %s, want o", got)
	}
	conf.ConsecutiveFailures = 2
	if _, err := rt.Guard("c", Policy{Breaker: conf}); err == nil || err.Error() != `c: circuitBreaker "db" has other numbers in a` {
		t.Errorf("other numbers: %v", err)
	}
	conf.ConsecutiveFailures = 1
	for n, most := range []time.Duration{0, time.Hour} { // the default, written or not
		conf.Name, conf.OpenBackoff = "slow", OpenBackoff{Multiplier: 2, MaxDuration: most}
		if _, err := rt.Guard("slow"+string(rune('a'+n)), Policy{Breaker: conf}); err != nil {
			t.Errorf("maxDuration %v: %v", most, err)
		}
	}
}

func TestScopes(t *testing.T) {
	rt := &Runtime{}
	w := rt.Wrap("a.B", 1)
	conf := Breaker{Scope: InterfaceScope, ConsecutiveFailures: 1}
	x, y := w.Guard("X", Policy{Breaker: conf}), w.Guard("Y", Policy{Breaker: conf})
	script(t, x, "F")
	if got := script(t, y, "S"); got != "o" {
		t.Errorf("another method of the instance: %s, want o", got)
	}
	if got := script(t, rt.Wrap("a.B", 1).Guard("X", Policy{Breaker: conf}), "S"); got != "s" {
		t.Errorf("another instance: %s, want s", got)
	}
}

// TestWindowsAgainstModel compares both windows with a list of everything.
func TestWindowsAgainstModel(t *testing.T) {
	type entry struct {
		at time.Duration
		m  mark
	}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		conf := Window{Type: CountWindow, Size: 1 + random.IntN(20)}
		if seed%2 == 0 {
			conf = Window{Type: TimeWindow, Duration: 10 * time.Second, Buckets: 1 + random.IntN(10)}
		}
		w := newWindow(conf)
		var all []entry
		now := time.Duration(random.Int64N(int64(time.Hour)))
		for step := range 300 {
			now += time.Duration(random.Int64N(int64(2 * time.Second)))
			if random.IntN(20) == 0 {
				now += time.Minute
			}
			e := entry{now, mark(random.IntN(4))}
			all = append(all, e)
			w.add(now, e.m)
			var want counts
			for i, e := range all {
				if conf.Type == CountWindow && i >= len(all)-conf.Size ||
					conf.Type == TimeWindow && now/w.width()-e.at/w.width() < time.Duration(conf.Buckets) {
					want.add(e.m, 1)
				}
			}
			if got := w.read(now); got != want {
				t.Fatalf("seed %d step %d %+v: %+v, want %+v", seed, step, conf, got, want)
			}
		}
	}
}

func TestBulkheadIsFIFO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: time.Minute, MaxQueue: 3}})
		hold := make(chan struct{})
		var order []int
		var mu sync.Mutex
		var group sync.WaitGroup
		var full atomic.Int64
		for i := range 6 {
			group.Go(func() {
				err := Try(t.Context(), g, func(context.Context) error {
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
					<-hold
					return nil
				})
				if errors.Is(err, ErrBulkheadFull) {
					full.Add(1)
				}
			})
			synctest.Wait()
		}
		close(hold)
		group.Wait()
		if got := fmt.Sprint(order); got != "[0 1 2 3]" || full.Load() != 2 {
			t.Errorf("order %s and %d rejected, want [0 1 2 3] and 2", got, full.Load())
		}
	})
}

func TestBulkheadWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: time.Second}, Breaker: Breaker{ConsecutiveFailures: 1}})
		hold := make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() { _ = Try(t.Context(), g, func(context.Context) error { <-hold; return nil }) })
		synctest.Wait()
		start := time.Now()
		err := Try(t.Context(), g, hang)
		if !errors.Is(err, ErrBulkheadFull) || time.Since(start) != time.Second {
			t.Errorf("Try = %v after %v, want full after 1s", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := Try(ctx, g, hang); err != context.DeadlineExceeded {
			t.Errorf("Try = %v, want the caller's deadline itself", err)
		}
		close(hold)
		group.Wait()
		if got := script(t, g, "SS"); got != "ss" {
			t.Errorf("afterwards %s, want ss: slots are free, the breaker heard nothing", got)
		}
	})
}

// TestEverythingComesBack ends delegates in every way and then needs each slot.
func TestEverythingComesBack(t *testing.T) {
	g := mustGuard(t, Policy{Bulkhead: Bulkhead{MaxConcurrent: 4}, Breaker: Breaker{ConsecutiveFailures: 1 << 30}})
	ends := []func(context.Context) error{
		func(context.Context) error { return nil },
		func(context.Context) error { return errPeer },
		func(context.Context) error { panic("peer") },
		func(context.Context) error { runtime.Goexit(); return nil },
	}
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			for range 100 {
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					_ = Try(context.Background(), g, ends[i%len(ends)])
				}()
				<-done
			}
		})
	}
	group.Wait()
	h := g.rt.bulkheads[g.name]
	if h.taken.Load() != 0 || len(h.waiting) != 0 {
		t.Errorf("%d slots taken, %d waiting after all is done", h.taken.Load(), len(h.waiting))
	}
}

// TestBulkheadConserves has waiters give up while slots are handed over.
func TestBulkheadConserves(t *testing.T) {
	h := newBulkhead("", Bulkhead{MaxConcurrent: 3, MaxWait: 20 * time.Microsecond})
	var in, most atomic.Int64
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			for range 300 {
				if h.acquire(context.Background(), 0, nil) != nil {
					continue
				}
				for n := in.Add(1); ; {
					if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
						break
					}
				}
				runtime.Gosched()
				in.Add(-1)
				h.release()
			}
		})
	}
	group.Wait()
	if h.taken.Load() != 0 || h.queued.Load() != 0 || most.Load() > 3 {
		t.Errorf("%d taken, %d queued after all is done; %d at a time, want at most 3", h.taken.Load(), h.queued.Load(), most.Load())
	}
}

func TestOpenBreakerRejectsWithoutAllocating(t *testing.T) {
	g := mustGuard(t, Policy{Breaker: Breaker{On: true, InitialState: StateOpen, OpenDuration: time.Hour}})
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() { _ = viaGuard(ctx, g) }); n != 0 {
		t.Errorf("%v allocations a rejection, want 0", n)
	}
}

func TestPanicInMatcherReleases(t *testing.T) {
	g := mustGuard(t, Policy{Bulkhead: Bulkhead{MaxConcurrent: 1},
		Breaker: Breaker{ConsecutiveFailures: 9, RecordOn: Matcher{Match: func(error) bool { panic("matcher") }}}})
	if got := script(t, g, "FFSS"); got != "ppss" {
		t.Errorf("%s, want ppss", got)
	}
}

func TestNoSlotIsHeldDuringSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Bulkhead: Bulkhead{MaxConcurrent: 1}, Retry: Retry{MaxAttempts: 2, Backoff: Backoff{InitialDelay: time.Minute, MaxDelay: time.Minute, Jitter: NoJitter}}})
		f, _ := failing(1, errPeer)
		var group sync.WaitGroup
		group.Go(func() { _ = Try(t.Context(), g, f) })
		synctest.Wait()
		if got := script(t, g, "S"); got != "s" {
			t.Errorf("while the other sleeps: %s, want s", got)
		}
		group.Wait()
	})
}

func TestCircuitOpenIsRetriedOnlyByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{
			Retry:   Retry{MaxAttempts: 7, RetryOn: Matcher{Any: true, Kinds: KindCircuitOpen}, Backoff: Backoff{Strategy: NoBackoff}},
			Breaker: Breaker{ConsecutiveFailures: 3, OpenDuration: time.Hour},
		})
		f, calls := failing(99, errPeer)
		var e *Error
		if err := Try(t.Context(), g, f); !errors.As(err, &e) || *calls != 3 || e.Attempts != 3 {
			t.Errorf("Try = %v after %d calls, want 3 of 7 attempts executed", err, *calls)
		}
	})
}

func BenchmarkBreakerClosed(b *testing.B) {
	for _, c := range []struct {
		name string
		conf Breaker
	}{
		{"consecutive", Breaker{ConsecutiveFailures: 5}},
		{"count", Breaker{Window: Window{Size: 100}}},
		{"time", Breaker{Window: Window{Type: TimeWindow}}},
	} {
		b.Run(c.name, func(b *testing.B) { benchmark(b, Policy{Breaker: c.conf}) })
	}
}

func BenchmarkBulkhead(b *testing.B) { benchmark(b, Policy{Bulkhead: Bulkhead{MaxConcurrent: 10}}) }

func BenchmarkFullStack(b *testing.B) {
	p := Policy{Retry: Retry{MaxAttempts: 3}, Breaker: Breaker{ConsecutiveFailures: 5}, Bulkhead: Bulkhead{MaxConcurrent: 10}, Fallback: Fallback{On: true}}
	b.Run("without timeout", func(b *testing.B) { benchmark(b, p) })
	p.Timeout.Total = time.Second
	b.Run("with timeout", func(b *testing.B) { benchmark(b, p) })
}

func BenchmarkClock(b *testing.B) {
	for b.Loop() {
		_ = time.Now()
	}
}

func BenchmarkRejection(b *testing.B) {
	benchmark(b, Policy{Breaker: Breaker{On: true, InitialState: StateOpen, OpenDuration: time.Hour}})
}

func benchmark(b *testing.B, p Policy) {
	g := mustGuard(b, p)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		_ = viaGuard(ctx, g)
	}
}

func viaGuard(ctx context.Context, g *Guard) error {
	call := g.Begin(ctx)
	defer call.End()
	for call.Next() {
		call.Record(nil)
	}
	return call.Err()
}
