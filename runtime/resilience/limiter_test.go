package resilience

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pay makes a call that costs so many permits and returns its error.
func pay(ctx context.Context, g *Guard, cost int) error {
	call := g.Begin(ctx)
	defer call.End()
	call.Cost(cost)
	for call.Next() {
		call.Record(nil)
	}
	return call.Err()
}

// retryAfter is when err, a rejection by the limiter, says to come again.
func retryAfter(t *testing.T, err error) time.Duration {
	t.Helper()
	var asked interface {
		RetryAfter() (time.Duration, bool)
	}
	if !errors.Is(err, ErrRateLimited) || !errors.As(err, &asked) {
		t.Fatalf("%v, want a rejection by the limiter", err)
	}
	d, ok := asked.RetryAfter()
	if !ok {
		t.Errorf("%v does not say when to come again", err)
	}
	return d
}

// TestRejectionSaysWhenToComeAgain has two calls at 0 and a third one 100ms
// later, of two that are allowed a second: who comes when it is told to is let
// in, and who comes a nanosecond sooner is not.
func TestRejectionSaysWhenToComeAgain(t *testing.T) {
	for mode, want := range map[LimitMode]time.Duration{
		TokenLimit: 400 * time.Millisecond, FixedLimit: 900 * time.Millisecond, RollingLimit: 900 * time.Millisecond, SmoothLimit: 400 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, Policy{RateLimit: RateLimit{Mode: mode, Limit: 2}})
			if err := pay(t.Context(), g, 1); err != nil {
				t.Errorf("mode %d: %v", mode, err)
			}
			if err := pay(t.Context(), g, 1); (err == nil) == (mode == SmoothLimit) {
				t.Errorf("mode %d: the second call: %v", mode, err)
			}
			time.Sleep(100 * time.Millisecond)
			if got := retryAfter(t, pay(t.Context(), g, 1)); got != want {
				t.Errorf("mode %d: come again in %v, want %v", mode, got, want)
			}
			time.Sleep(want - 1)
			err := pay(t.Context(), g, 1)
			if got := retryAfter(t, err); got != 1 {
				t.Errorf("mode %d: a nanosecond too soon: %v", mode, got)
			}
			if text := err.Error(); text != "payments.Gateway.Charge: not attempted: rate limited, come again in 1ns" {
				t.Error(text)
			}
			time.Sleep(time.Nanosecond)
			if err := pay(t.Context(), g, 1); err != nil {
				t.Errorf("mode %d: %v", mode, err)
			}
		})
	}
}

// TestIdleForAYear: what accrues has a limit, and what is owed is forgotten.
func TestIdleForAYear(t *testing.T) {
	for mode := range RollingLimit + 1 {
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, Policy{RateLimit: RateLimit{Mode: mode, Limit: 3}})
			for range 3 {
				if pay(t.Context(), g, 1) != nil {
					break
				}
			}
			time.Sleep(year)
			admitted := 0
			for pay(t.Context(), g, 1) == nil {
				admitted++
			}
			if admitted != 3 {
				t.Errorf("mode %d: %d calls at once after a year, want 3", mode, admitted)
			}
		})
	}
}

// TestClockThatSteps: instants are monotonic, so that no clock that is set reaches a
// limiter; and one that is given an earlier instant all the same admits nothing more.
func TestClockThatSteps(t *testing.T) {
	if text := epoch.String(); !strings.Contains(text, " m=") {
		t.Errorf("instants are counted from %s, which has no monotonic reading", text)
	}
	const now, hour = 1000 * time.Hour, time.Hour
	for mode := range RollingLimit + 1 {
		m := newMeter(&RateLimit{Mode: mode, Limit: 3, Burst: 3, Period: time.Second}, now)
		admitted := func(at time.Duration) (n int) {
			for ok := true; ok && n < 10; n++ {
				_, ok = m.take(at, at, 1)
			}
			return n - 1
		}
		admitted(now)
		for _, step := range []struct {
			to   time.Duration
			want int
		}{{now - hour, 0}, {now, 0}, {now + hour, 3}, {now, 0}, {now + hour + 2*time.Second, 3}} {
			if n := admitted(step.to); n != step.want {
				t.Errorf("mode %d: %d permits at %v, want %d", mode, n, step.to-now, step.want)
			}
			if at := m.ready(step.to, step.to, 1); at <= step.to {
				t.Errorf("mode %d: one more is ready at %v, which is %v", mode, at-now, step.to-now)
			}
		}
	}
}

// TestCostOfMoreThanThereIs: it is paid in instalments, by who is first in line.
func TestCostOfMoreThanThereIs(t *testing.T) {
	for mode, want := range map[LimitMode]time.Duration{
		TokenLimit: 500 * time.Millisecond, SmoothLimit: 500 * time.Millisecond, FixedLimit: 500 * time.Millisecond, RollingLimit: 500 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, Policy{RateLimit: RateLimit{Mode: mode, Limit: 1, Period: 250 * time.Millisecond, MaxWait: 2 * time.Second}})
			begun := time.Now()
			var group sync.WaitGroup
			group.Go(func() { // behind it, for one permit
				time.Sleep(time.Millisecond)
				if err := pay(t.Context(), g, 1); err != nil || time.Since(begun) != want+250*time.Millisecond {
					t.Errorf("mode %d: the next one: %v after %v", mode, err, time.Since(begun))
				}
			})
			if err := pay(t.Context(), g, 3); err != nil || time.Since(begun) != want {
				t.Errorf("mode %d: %v after %v, want %v", mode, err, time.Since(begun), want)
			}
			group.Wait()
			begun = time.Now()
			if err := pay(t.Context(), g, 100); !errors.Is(err, ErrRateLimited) || time.Since(begun) != 0 {
				t.Errorf("mode %d: %v after %v, want a rejection at once: it cannot be served in time", mode, err, time.Since(begun))
			}
		})
	}
}

// TestRejectedByTheBulkheadIsNotCharged has one slot, which is taken: a call
// that gets none gives its permit back, in every mode, however it leaves.
func TestRejectedByTheBulkheadIsNotCharged(t *testing.T) {
	for mode := range RollingLimit + 1 {
		for _, wait := range []time.Duration{0, time.Second} {
			synctest.Test(t, func(t *testing.T) {
				g := mustGuard(t, Policy{RateLimit: RateLimit{Mode: mode, Limit: 3, Period: time.Hour}, Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: wait}})
				time.Sleep(2 * time.Hour)
				hold := g.Begin(t.Context())
				if !hold.Next() {
					t.Fatal(hold.Err())
				}
				for range 5 {
					if err := pay(t.Context(), g, 2); !errors.Is(err, ErrBulkheadFull) {
						t.Errorf("mode %d: %v", mode, err)
					}
				}
				hold.Record(nil)
				hold.End()
				if err := pay(t.Context(), g, 2); err != nil {
					t.Errorf("mode %d, wait %v: %v", mode, wait, err)
				}
				if err := pay(t.Context(), g, 1); !errors.Is(err, ErrRateLimited) {
					t.Errorf("mode %d, wait %v: %v, want 3 permits and no more", mode, wait, err)
				}
			})
		}
	}
}

// TestWhatOverflowsIsNotGivenBack: a bucket that was full again since has lost
// the permit, whoever had it.
func TestWhatOverflowsIsNotGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter("", RateLimit{Limit: 1})
		now := sinceEpoch()
		receipt, _ := l.quick(now, 1)
		time.Sleep(10 * time.Second)
		if _, ok := l.quick(sinceEpoch(), 1); !ok {
			t.Fatal("no permit after 10s")
		}
		l.repay(receipt, 1)
		if _, ok := l.quick(sinceEpoch(), 1); ok {
			t.Error("two permits at once out of a bucket that holds one")
		}
	})
}

// TestWaiterLeavesAsItIsServed: a caller that leaves at the very moment gives
// the permit to the next one in line.
func TestWaiterLeavesAsItIsServed(t *testing.T) {
	for mode := range RollingLimit + 1 {
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, Policy{RateLimit: RateLimit{Mode: mode, Limit: 1, MaxWait: 1500 * time.Millisecond}})
			begun := time.Now()
			_ = pay(t.Context(), g, 1)
			var group sync.WaitGroup
			var served atomic.Int32
			for i := range 5 {
				group.Go(func() {
					time.Sleep(time.Duration(i+1) * time.Millisecond)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if left := time.Second - time.Since(begun); i < 4 {
						defer time.AfterFunc(left, cancel).Stop()
					}
					if pay(ctx, g, 1) == nil {
						served.Add(1)
						if d := time.Since(begun); d != time.Second {
							t.Errorf("mode %d: served after %v", mode, d)
						}
					}
				})
			}
			group.Wait()
			if served.Load() != 1 {
				t.Errorf("mode %d: %d served, want one permit for one of them", mode, served.Load())
			}
		})
	}
}

// TestLimiterInsideBreaker: a rejection is no failure, and a half-open breaker
// has its permit back; recordOn alone makes it one.
func TestLimiterInsideBreaker(t *testing.T) {
	for _, recorded := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := Policy{RateLimit: RateLimit{Limit: 1, Period: time.Minute}, Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second}}
			if recorded {
				p.Breaker.RecordOn = Matcher{Any: true, Kinds: KindRateLimited}
			}
			g := mustGuard(t, p)
			b := g.rt.Breakers()[0]
			if err := Try(t.Context(), g, func(context.Context) error { return errPeer }); err != errPeer {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			for range 3 {
				if err := pay(t.Context(), g, 1); !errors.Is(err, ErrRateLimited) {
					t.Errorf("%v, want a probe that the limiter turns away", err)
				}
				if recorded {
					break
				}
			}
			want := StateHalfOpen
			if recorded {
				want = StateOpen
			}
			if s := b.Snapshot(); s.State != want {
				t.Errorf("recorded %v: %+v", recorded, s)
			}
			if recorded {
				return
			}
			time.Sleep(time.Minute)
			if err := pay(t.Context(), g, 1); err != nil || b.Snapshot().State != StateClosed {
				t.Errorf("%v, %+v", err, b.Snapshot())
			}
		})
	}
}

// TestOpenBreakerSpendsNoPermit: the limiter is inside the breaker.
func TestOpenBreakerSpendsNoPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{RateLimit: RateLimit{Limit: 2, Period: time.Hour}, Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second}})
		_ = Try(t.Context(), g, func(context.Context) error { return errPeer })
		for range 10 {
			if err := pay(t.Context(), g, 1); !errors.Is(err, ErrCircuitOpen) {
				t.Error(err)
			}
		}
		time.Sleep(time.Second)
		if err := pay(t.Context(), g, 1); err != nil {
			t.Errorf("%v, want the second permit", err)
		}
	})
}

// TestRetriesAndTheLimiter: a rejection ends a retry unless retryOn names it,
// and then it is waited for; the scope says what is charged.
func TestRetriesAndTheLimiter(t *testing.T) {
	retry := Retry{MaxAttempts: 4, Backoff: Backoff{Strategy: Constant, InitialDelay: 10 * time.Millisecond, Jitter: NoJitter}}
	named := retry
	named.RetryOn = Matcher{Any: true, Kinds: KindRateLimited}
	for name, c := range map[string]struct {
		p     Policy
		calls int
		least time.Duration
	}{
		"ends it":     {Policy{Retry: retry, RateLimit: RateLimit{Limit: 2, Period: time.Second}}, 2, 0},
		"waits":       {Policy{Retry: named, RateLimit: RateLimit{Limit: 2, Period: time.Second}}, 3, 500 * time.Millisecond},
		"by the call": {Policy{Retry: retry, RateLimit: RateLimit{Limit: 1, Period: time.Hour, Scope: PerCall}}, 4, 30 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, c.p)
			f, calls := failing(9, errPeer)
			begun := time.Now()
			err := Try(t.Context(), g, f)
			if *calls != c.calls || !errors.Is(err, errPeer) || time.Since(begun) < c.least {
				t.Errorf("%s: %d calls in %v: %v, want %d", name, *calls, time.Since(begun), err, c.calls)
			}
			if limited := errors.Is(err, ErrRateLimited); limited != (name == "ends it") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// TestWaitOfTheLimiterIsBounded by timeout.total, by retry.maxDuration, and by
// the caller's deadline. A wait that would pass what is known is not begun.
func TestWaitOfTheLimiterIsBounded(t *testing.T) {
	limit := RateLimit{Limit: 1, Period: 10 * time.Second, MaxWait: time.Minute}
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		g := mustGuard(t, Policy{RateLimit: limit, Timeout: Timeout{Total: time.Second}})
		_ = pay(t.Context(), g, 1)
		if err := pay(t.Context(), g, 1); !errors.Is(err, ErrRateLimited) || time.Since(begun) != 0 {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		g = mustGuard(t, Policy{RateLimit: limit})
		_ = pay(ctx, g, 1)
		if err := pay(ctx, g, 1); !errors.Is(err, ErrRateLimited) || time.Since(begun) != 0 {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
	synctest.Test(t, func(t *testing.T) { // the second one in line learns it late
		g := mustGuard(t, Policy{RateLimit: limit, Timeout: Timeout{Total: 11 * time.Second}})
		_ = pay(t.Context(), g, 1)
		begun := time.Now()
		var group sync.WaitGroup
		group.Go(func() {
			if err := pay(t.Context(), g, 1); err != nil || time.Since(begun) != 10*time.Second {
				t.Errorf("%v after %v", err, time.Since(begun))
			}
		})
		synctest.Wait()
		if err := pay(t.Context(), g, 1); !errors.Is(err, ErrTimeout) || time.Since(begun) != 11*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		group.Wait()
	})
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{RateLimit: limit, Retry: Retry{MaxAttempts: 3, MaxDuration: 5 * time.Second, Backoff: Backoff{Strategy: NoBackoff}}})
		begun := time.Now()
		f, calls := failing(9, errPeer)
		if err := Try(t.Context(), g, f); *calls != 1 || !errors.Is(err, errPeer) || time.Since(begun) > 5*time.Second {
			t.Errorf("%d calls, %v after %v", *calls, err, time.Since(begun))
		}
	})
}

func payKey(ctx context.Context, g *Guard, key string) error {
	call := g.Begin(ctx)
	defer call.End()
	call.LimitKey(key)
	for call.Next() {
		call.Record(nil)
	}
	return call.Err()
}

// TestEveryKeyHasItsLimiter, as long as there are places: a limiter goes when
// all its permits are back, and not before, so nobody gains by many keys.
func TestEveryKeyHasItsLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{RateLimit: RateLimit{Limit: 1, PerKey: true, MaxKeys: 2}})
		for key, want := range map[string]bool{"eu": true, "us": true} {
			if err := payKey(t.Context(), g, key); (err == nil) != want {
				t.Errorf("%s: %v", key, err)
			}
		}
		if err := payKey(t.Context(), g, "eu"); !errors.Is(err, ErrRateLimited) {
			t.Errorf("eu again: %v", err)
		}
		if err := payKey(t.Context(), g, "asia"); err != nil {
			t.Errorf("the first one without a place: %v", err)
		}
		if err := payKey(t.Context(), g, "africa"); !errors.Is(err, ErrRateLimited) {
			t.Errorf("%v, want one limiter for all without a place", err)
		}
		time.Sleep(time.Second)
		if err := payKey(t.Context(), g, "asia"); err != nil {
			t.Errorf("asia: %v", err)
		}
		var names []string
		for _, s := range g.rt.Limiters() {
			names = append(names, fmt.Sprint(s.Name, " ", s.RetryAfter))
		}
		if got := strings.Join(names, ", "); !strings.Contains(got, "payments.Gateway.Charge[asia] 1s") || !strings.Contains(got, "payments.Gateway.Charge (other keys) 0s") {
			t.Error(got)
		}
		ring := g.plan.Load().limiters
		if ring.byKey["asia"] == nil || len(ring.byKey) != 2 {
			t.Errorf("%d keys, want asia in a place that was free again", len(ring.byKey))
		}
		if err := pay(t.Context(), g, 1); err != nil {
			t.Errorf("without a key: %v", err)
		}
		for key, u := range ring.byKey {
			if n := u.calls.Load(); n != 0 {
				t.Errorf("%s: %d in flight", key, n)
			}
		}
	})
}

func TestSharedLimiter(t *testing.T) {
	rt, _ := Open(Options{})
	shared := RateLimit{Name: "peer", Limit: 2, Period: time.Hour}
	a, err := rt.Guard("a", Policy{RateLimit: shared})
	if err != nil {
		t.Fatal(err)
	}
	same := shared
	same.Burst, same.Scope = 2, PerCall // what the default comes to, and how it is charged
	b, err := rt.Guard("b", Policy{RateLimit: same})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []*Guard{a, b} {
		if err := pay(t.Context(), g, 1); err != nil {
			t.Error(err)
		}
	}
	for _, g := range []*Guard{a, b, a} {
		var e *Error
		if err := pay(t.Context(), g, 1); !errors.As(err, &e) || e.Method != g.name || e.Policy != "rateLimit" {
			t.Errorf("%s: %v", g.name, err)
		}
	}
	other := shared
	other.Limit = 3
	if _, err := rt.Guard("c", Policy{RateLimit: other}); err == nil || err.Error() != `c: rateLimit "peer" has other numbers in a` {
		t.Errorf("%v", err)
	}
	if _, err := rt.Guard("peer", Policy{RateLimit: RateLimit{Limit: 1}}); err == nil || !strings.Contains(err.Error(), "is the name of another one") {
		t.Errorf("%v", err)
	}
}

func TestLimitsThatCannotBe(t *testing.T) {
	for want, r := range map[string]RateLimit{
		"limit: is not given":             {Period: time.Second},
		"limit: must be 1 to 1000000000":  {Limit: -1},
		"limit: must be 1 to 1000000000 ": {Limit: mostPermits + 1, Mode: FixedLimit},
		"burst: must be":                  {Limit: 1, Burst: mostPermits + 1},
		"period: must be 1ms to 8784h":    {Limit: 1, Period: 500},
		"period: must be 1ms to 8784h ":   {Limit: 1, Period: year + 1},
		"limit: must be at most 1000000":  {Limit: mostRolling + 1, Mode: RollingLimit},
		"rateLimit: a permit takes whole": {Limit: 300_000_000},
		"maxKeys: must be at least 1":     {Limit: 1, PerKey: true, MaxKeys: -1},
	} {
		_, err := new(Runtime).Guard("g", Policy{RateLimit: r})
		if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%+v: %v, want %s", r, err, want)
		}
	}
	for _, r := range []RateLimit{{Limit: mostPermits}, {Limit: 1, Period: year, Burst: mostPermits}, {Limit: mostRolling, Mode: RollingLimit}, {Limit: 7}} {
		g, err := new(Runtime).Guard("g", Policy{RateLimit: r})
		if err != nil {
			t.Errorf("%+v: %v", r, err)
			continue
		}
		if err := pay(t.Context(), g, 1<<40); err != nil && !errors.Is(err, ErrRateLimited) {
			t.Errorf("%+v: %v", r, err)
		}
		if err := pay(t.Context(), g, 1); err != nil && retryAfter(t, err) < 0 {
			t.Errorf("%+v: %v", r, err)
		}
		if err := pay(t.Context(), g, 0); err != nil {
			t.Errorf("%+v: %v, want nothing charged", r, err)
		}
	}
}

// TestEndOfTime has every number as large as it may be: nothing overflows.
func TestEndOfTime(t *testing.T) {
	for mode := range RollingLimit + 1 {
		synctest.Test(t, func(t *testing.T) {
			conf := RateLimit{Mode: mode, Limit: 1, Period: year, MaxWait: 1<<63 - 1}
			l := newLimiter("", conf)
			for range 5 {
				now := sinceEpoch()
				for _, cost := range []int64{1, 2, 1 << 31, 1 << 40} {
					if at := l.meter.ready(now, now, cost); at < now {
						t.Errorf("mode %d: %d permits were there %v ago", mode, cost, now-at)
					}
				}
				_, _ = l.quick(now, 1<<31)
				_, _ = l.quick(now, 1)
				time.Sleep(30 * 365 * 24 * time.Hour)
			}
		})
	}
}

// TestNoPermitIsLost: 64 goroutines under the race detector, of which some
// leave, some are turned away by the bulkhead and some panic. What is left
// afterwards is what was not used.
func TestNoPermitIsLost(t *testing.T) {
	for mode := range RollingLimit + 1 {
		const limit = 20_000
		g := mustGuard(t, Policy{RateLimit: RateLimit{Mode: mode, Limit: limit, Period: 1000 * time.Hour, MaxWait: time.Millisecond}, Bulkhead: Bulkhead{MaxConcurrent: 8}})
		if mode == SmoothLimit {
			g.plan.Load().limiter.bucket.Load().full.Store(0) // as if it had been idle
		}
		var used atomic.Int64
		run(64, func(n int) {
			for i := range 200 {
				func() {
					defer func() { _ = recover() }()
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					if (n+i)%7 == 0 {
						time.AfterFunc(10*time.Microsecond, cancel)
					}
					call := g.Begin(ctx)
					defer call.End()
					if call.Next() {
						used.Add(1)
						if i%50 == 0 {
							panic("peer")
						}
						call.Record(nil)
					}
				}()
			}
		})
		left := int64(0)
		for pay(context.Background(), g, 1) == nil {
			left++
		}
		if used.Load()+left != limit {
			t.Errorf("mode %d: %d used, %d left of %d", mode, used.Load(), left, limit)
		}
		if l := g.plan.Load().limiter; l.waiting.Len() != 0 || l.wanted != 0 || l.queued.Load() != 0 {
			t.Errorf("mode %d: %d wait for %d", mode, l.waiting.Len(), l.wanted)
		}
	}
}

// TestQueueUnderLoad has 64 goroutines wait for few permits and leave at
// random: no more are served than there are, nobody waits for ever.
func TestQueueUnderLoad(t *testing.T) {
	for mode := range RollingLimit + 1 {
		synctest.Test(t, func(t *testing.T) {
			const period = 10 * time.Millisecond
			g := mustGuard(t, Policy{RateLimit: RateLimit{Mode: mode, Limit: 10, Period: period, MaxWait: time.Second}})
			begun := time.Now()
			var used atomic.Int64
			run(64, func(n int) {
				r := rand.New(rand.NewPCG(uint64(n), 7))
				for range 50 {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(100))*time.Millisecond)
					if pay(ctx, g, 1) == nil {
						used.Add(1)
					}
					cancel()
				}
			})
			most := int64(time.Since(begun)/period+2) * 10
			if used.Load() > most || used.Load() < most/2 {
				t.Errorf("mode %d: %d served in %v", mode, used.Load(), time.Since(begun))
			}
			if l := g.plan.Load().limiter; l.waiting.Len() != 0 || l.wanted != 0 || l.queued.Load() != 0 {
				t.Errorf("mode %d: %d wait for %d", mode, l.waiting.Len(), l.wanted)
			}
		})
	}
}

// TestUpdateOfALimit has a fixed period in which one of one permit is taken, and
// a call that waits: a higher limit adds nothing to the running period, and all
// of it to the next. A lower one leaves what is within it.
func TestUpdateOfALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const period = 250 * time.Millisecond
		g := mustGuard(t, Policy{RateLimit: RateLimit{Mode: FixedLimit, Limit: 1, Period: period, MaxWait: 200 * time.Millisecond}})
		begun := time.Now()
		_ = pay(t.Context(), g, 1)
		time.Sleep(100 * time.Millisecond)
		var group sync.WaitGroup
		group.Go(func() {
			if err := pay(t.Context(), g, 1); err != nil || time.Since(begun) != period {
				t.Errorf("%v after %v", err, time.Since(begun))
			}
		})
		synctest.Wait()
		mustUpdate(t, g, func(p *Policy) { p.RateLimit.Limit = 2 })
		group.Wait()
		if err := pay(t.Context(), g, 1); err != nil {
			t.Errorf("the second of two: %v", err)
		}
		if err := pay(t.Context(), g, 1); !errors.Is(err, ErrRateLimited) {
			t.Errorf("the third of two: %v", err)
		}
		time.Sleep(period)
		_ = pay(t.Context(), g, 1)
		mustUpdate(t, g, func(p *Policy) { p.RateLimit.Limit, p.RateLimit.MaxWait = 1, None })
		if err := pay(t.Context(), g, 1); !errors.Is(err, ErrRateLimited) {
			t.Errorf("one of one is taken: %v", err)
		}
	})
	for mode := range RollingLimit + 1 { // a call that was too many then is too many now
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, Policy{RateLimit: RateLimit{Mode: mode, Limit: 2, Period: time.Hour}})
			for range 2 {
				_ = pay(t.Context(), g, 1) // of mode smooth, one is turned away
			}
			mustUpdate(t, g, func(p *Policy) { p.RateLimit.Limit = 1 })
			if err := pay(t.Context(), g, 1); !errors.Is(err, ErrRateLimited) {
				t.Errorf("mode %d: fewer: %v", mode, err)
			}
			mustUpdate(t, g, func(p *Policy) { p.RateLimit.Limit = 3600 })
			if err := pay(t.Context(), g, 1); (err == nil) != (mode == RollingLimit) {
				t.Errorf("mode %d: more: %v", mode, err)
			}
			time.Sleep(2 * time.Second)
			if err := pay(t.Context(), g, 1); (err == nil) == (mode == FixedLimit) {
				t.Errorf("mode %d: more, after a while: %v", mode, err)
			}
		})
	}
}

// TestUpdateLosesNoPermit changes the numbers ten thousand times while 8
// goroutines take what there is.
func TestUpdateLosesNoPermit(t *testing.T) {
	const limit = 50_000
	for mode := range RollingLimit + 1 {
		l := newLimiter("", RateLimit{Mode: mode, Limit: limit, Period: 1000 * time.Hour})
		if b := l.bucket.Load(); b != nil {
			b.full.Store(0)
		}
		var used atomic.Int64
		done := make(chan struct{})
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for used.Load() < limit*9/10 {
					if _, ok := l.quick(sinceEpoch(), 1); ok {
						used.Add(1)
					}
				}
			})
		}
		go func() { group.Wait(); close(done) }()
		for n := 0; ; n++ {
			select {
			case <-done:
			default:
				l.reconfigure(RateLimit{Mode: mode, Limit: limit, Burst: limit + n%2, Period: 1000*time.Hour + time.Duration(n%2)*time.Second})
				continue
			}
			break
		}
		for {
			if _, ok := l.quick(sinceEpoch(), 1); !ok {
				break
			}
			used.Add(1)
		}
		if n := used.Load(); n > limit+1 || n < limit*999/1000 {
			t.Errorf("mode %d: %d permits of %d", mode, n, limit)
		}
	}
}

func TestLimiterDoesNotAllocate(t *testing.T) {
	for _, c := range []struct {
		p    Policy
		want float64
	}{
		{Policy{RateLimit: RateLimit{Limit: mostPermits}}, 0},
		{Policy{RateLimit: RateLimit{Limit: mostRolling, Mode: FixedLimit, MaxWait: time.Second}}, 0},
		{Policy{RateLimit: RateLimit{Limit: mostPermits, PerKey: true}, Breaker: Breaker{On: true}, Bulkhead: Bulkhead{On: true}}, 0},
		{Policy{RateLimit: RateLimit{Limit: 1, Period: time.Hour}}, 0}, // a rejection
	} {
		g := mustGuard(t, c.p)
		if n := testing.AllocsPerRun(100, func() { _ = payKey(context.Background(), g, "eu") }); n != c.want {
			t.Errorf("%+v: %v allocations, want %v", c.p.RateLimit, n, c.want)
		}
	}
}

func BenchmarkRateLimit(b *testing.B) {
	for mode, name := range []string{"token", "smooth", "fixed", "rolling"} {
		b.Run(name, func(b *testing.B) {
			conf := RateLimit{Mode: LimitMode(mode), Limit: mostPermits}
			if conf.Mode == RollingLimit {
				conf.Limit, conf.Period = 100_000, time.Millisecond
			}
			benchmark(b, Policy{RateLimit: conf})
		})
	}
}

func BenchmarkRateLimitRejection(b *testing.B) {
	g := mustGuard(b, Policy{RateLimit: RateLimit{Limit: 1, Period: time.Hour}})
	b.ReportAllocs()
	for b.Loop() {
		_ = pay(context.Background(), g, 1)
	}
}

func ExampleRateLimit() {
	g, err := new(Runtime).Guard("mail", Policy{RateLimit: RateLimit{Limit: 2, Period: time.Hour, Mode: FixedLimit}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		err := Try(context.Background(), g, func(context.Context) error { return nil })
		fmt.Println(errors.Is(err, ErrRateLimited))
	}
	// Output:
	// false
	// false
	// true
}
