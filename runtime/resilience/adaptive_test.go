package resilience

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRejectionRatio(t *testing.T) {
	for _, c := range []struct {
		requests, accepts, k, most, want float64
	}{
		{0, 0, 2, 0.9, 0}, {1, 0, 2, 0.9, 0.5}, {100, 40, 2, 0.9, 20.0 / 101}, {100, 50, 2, 0.9, 0}, {100, 95, 1.11, 0.8, 0},
		{120, 90, 1 / 0.9, 0.8, 20.0 / 121}, {1000, 0, 2, 0.9, 0.9}, {1000, 0, 2, 1, 1000.0 / 1001},
	} {
		if got := (accepted{c.requests, c.accepts}).ratio(c.k, c.most); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestThrottle has a peer that goes down, stays down, and comes back: most
// attempts do not reach it then, and all of them soon after.
func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Adaptive: Adaptive{Window: time.Minute}})
		down, reached, told := false, 0, 0
		second := func(n int) {
			for range n {
				for range 100 {
					err := Try(t.Context(), g, func(context.Context) error {
						reached++
						if down {
							return errPeer
						}
						return nil
					})
					if errors.Is(err, ErrRateLimited) {
						told++
					}
					time.Sleep(10 * time.Millisecond)
				}
			}
		}
		second(300)
		if told != 0 || reached != 30_000 {
			t.Fatalf("a peer that is well: %d rejected", told)
		}
		down, reached = true, 0
		second(25) // of 60: half of the window is still accepts
		if told != 0 {
			t.Errorf("%d rejected, and more than half of the window was accepted", told)
		}
		second(65)
		reached, told = 0, 0
		second(60)
		if reached < 300 || reached > 900 || reached+told != 6000 {
			t.Errorf("%d of 6000 reach a peer that is down, want a tenth", reached)
		}
		down = false
		second(120)
		reached, told = 0, 0
		second(60)
		if told != 0 {
			t.Errorf("%d rejected by a peer that is well again", told)
		}
	})
}

// TestAcceptsAreDated: a year of success does not hide an outage.
func TestAcceptsAreDated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle("a", Adaptive{}.withDefaults(), sinceEpoch(), nil)
		th.passed.here().Add(365 * 24 * 30) // one every two minutes
		time.Sleep(365 * 24 * time.Hour)
		th.refused(t.Context(), sinceEpoch())
		if requests, accepts, _ := th.snapshot(); requests != 2 || accepts != 1 {
			t.Errorf("%d requests, %d accepts in the window, want what came in two minutes", requests, accepts)
		}
	})
}

// TestWhatIsAccepted: a peer that says no for good has answered; what the caller
// ended says nothing.
func TestWhatIsAccepted(t *testing.T) {
	for name, c := range map[string]struct {
		err               error
		requests, accepts int
	}{
		"success": {nil, 1, 1}, "failure": {errPeer, 1, 0}, "permanent": {Permanent(errPeer), 1, 1}, "timeout": {ErrTimeout, 1, 0},
		"cancelled": {context.Canceled, 0, 0}, "another guard's": {ErrCircuitOpen, 0, 0},
	} {
		g := mustGuard(t, Policy{Adaptive: Adaptive{On: true}})
		_ = Try(t.Context(), g, func(context.Context) error { return c.err })
		if s := g.rt.AdaptiveLimits()[0]; s.Requests != c.requests || s.Accepts != c.accepts {
			t.Errorf("%s: %+v", name, s)
		}
	}
	g := mustGuard(t, Policy{Adaptive: Adaptive{On: true}})
	func() {
		defer func() { _ = recover() }()
		_ = Try(t.Context(), g, func(context.Context) error { panic("peer") })
	}()
	if s := g.rt.AdaptiveLimits()[0]; s.Requests != 1 || s.Accepts != 0 {
		t.Errorf("a panic: %+v", s)
	}
}

// TestAdaptiveRejectionIsLocal: it is not retried, is no failure for the breaker,
// hands a half-open permit back, and takes no permit and no slot.
func TestAdaptiveRejectionIsLocal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{
			Retry:     Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}},
			Breaker:   Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second},
			RateLimit: RateLimit{Limit: 5, Period: time.Hour},
			Bulkhead:  Bulkhead{MaxConcurrent: 1},
			Adaptive:  Adaptive{Mode: Concurrency, InitialLimit: 1, MaxLimit: 1},
		})
		b, s := g.rt.Breakers()[0], g.plan.Load().steering
		_ = Try(t.Context(), g, func(context.Context) error { return errPeer })
		time.Sleep(time.Second)
		s.inFlight.Add(1) // of another method of the peer
		for range 20 {
			err := Try(t.Context(), g, func(context.Context) error { t.Error("called"); return nil })
			var e *Error
			if !errors.Is(err, ErrBulkheadFull) || !errors.As(err, &e) || e.Policy != "adaptive" || e.Attempts != 0 {
				t.Fatalf("%#v", err)
			}
		}
		if b.Snapshot().State != StateHalfOpen {
			t.Errorf("%+v", b.Snapshot())
		}
		s.inFlight.Add(-1)
		for range 4 {
			if err := Try(t.Context(), g, func(context.Context) error { return nil }); err != nil {
				t.Error(err)
			}
		}
		if err := Try(t.Context(), g, func(context.Context) error { return nil }); !errors.Is(err, ErrRateLimited) {
			t.Errorf("%v, want 5 permits in all", err)
		}
	})
}

// TestNobodyStaysInFlight: 64 goroutines whose delegates fail, panic, end their
// goroutine, are cancelled and are abandoned.
func TestNobodyStaysInFlight(t *testing.T) {
	for _, mode := range []TimeoutMode{Cooperative, Abandon} {
		g := mustGuard(t, Policy{Timeout: Timeout{Attempt: time.Millisecond, Mode: mode}, Adaptive: Adaptive{Mode: Concurrency, InitialLimit: 16, MaxLimit: 16}})
		var running, peak atomic.Int64
		var group sync.WaitGroup
		for n := range 64 {
			group.Go(func() {
				defer func() { _ = recover() }()
				for i := range 100 {
					func() {
						defer func() { _ = recover() }()
						ctx, cancel := context.WithCancel(context.Background())
						defer cancel()
						call := g.Begin(ctx)
						defer call.End()
						if call.Next() {
							_, err := Abandonable(&call, func(context.Context) (int, error) {
								if now := running.Add(1); now > peak.Load() {
									peak.Store(now)
								}
								defer running.Add(-1)
								switch (n + i) % 6 {
								case 0:
									panic("peer")
								case 1:
									cancel()
								case 2:
									time.Sleep(2 * time.Millisecond)
								case 3:
									return 0, errPeer
								}
								return 0, nil
							})
							call.Record(err)
						}
					}()
				}
			})
		}
		group.Wait()
		s := g.plan.Load().steering
		left := comesTrue(func() bool { return g.rt.Abandoned() == 0 && running.Load() == 0 && s.inFlight.Load() == 0 })
		if !left || peak.Load() > 16 {
			t.Errorf("%d in flight, at most %d of 16", s.inFlight.Load(), peak.Load())
		}
	}
}

func TestUpdateOfAdaptiveLimits(t *testing.T) {
	g := mustGuard(t, Policy{Adaptive: Adaptive{Mode: Concurrency}})
	mustUpdate(t, g, func(p *Policy) { p.Adaptive.MaxLimit = 5; p.Adaptive.InitialLimit = 5 })
	if s := g.rt.AdaptiveLimits()[0]; s.Limit != 5 {
		t.Errorf("%+v", s)
	}
	g = mustGuard(t, Policy{Adaptive: Adaptive{On: true}})
	for range 3 {
		_ = Try(t.Context(), g, func(context.Context) error { return errPeer })
	}
	mustUpdate(t, g, func(p *Policy) { p.Adaptive.MaxRejectionRatio = 0.25 })
	if s := g.rt.AdaptiveLimits()[0]; s.RejectionRatio != 0.25 || s.Requests != 3 {
		t.Errorf("%+v: the window keeps what it knows", s)
	}
}

func TestAdaptiveThatCannotBe(t *testing.T) {
	for want, a := range map[string]Adaptive{
		"k: must be at least 1": {K: 0.5}, "maxRejectionRatio: must be": {MaxRejectionRatio: 1.5}, "window: must be": {Window: time.Microsecond},
		"a limit must be 1 to 1000000": {Mode: Concurrency, MaxLimit: 2_000_000}, "must not decrease": {Mode: Concurrency, InitialLimit: 5, MaxLimit: 3},
		"and are 1, 5000 and 1000": {Mode: Concurrency, InitialLimit: 5000}, "and are 2000, 1000 and 1000": {Mode: Concurrency, MinLimit: 2000},
	} {
		if _, err := new(Runtime).Guard("g", Policy{Adaptive: a}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", a, err, want)
		}
	}
	for _, a := range []Adaptive{{Mode: Concurrency, MinLimit: 1000}, {Mode: Concurrency, MaxLimit: 3}, {K: 1, MaxRejectionRatio: 1}} {
		if _, err := new(Runtime).Guard("g", Policy{Adaptive: a}); err != nil {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

// TestExplainTheFirstLimit: what is printed is the limit at first.
func TestExplainTheFirstLimit(t *testing.T) {
	for _, c := range []struct {
		policy Adaptive
		want   int
		origin string
	}{
		{Adaptive{Mode: Concurrency}, 20, "default"},
		{Adaptive{Mode: Concurrency, MaxLimit: 10}, 10, "default"},
		{Adaptive{Mode: Concurrency, MinLimit: 30}, 30, "default"},
		{Adaptive{Mode: Concurrency, InitialLimit: 7}, 7, "generated"},
	} {
		g := mustGuard(t, Policy{Adaptive: c.policy})
		want := fmt.Sprintf("  %-40s %-16d %s\n", "adaptive.initialLimit", c.want, c.origin)
		if text := g.rt.Explain(""); !strings.Contains(text, want) {
			t.Errorf("%+v: no %q in\n%s", c.policy, want, text)
		}
		if got := g.rt.AdaptiveLimits()[0].Limit; got != c.want {
			t.Errorf("%+v: the limit is %d, want %d", c.policy, got, c.want)
		}
	}
}

func TestAdaptiveDoesNotAllocate(t *testing.T) {
	for _, a := range []Adaptive{{On: true}, {Mode: Concurrency}} {
		g := mustGuard(t, Policy{Adaptive: a})
		if n := testing.AllocsPerRun(100, func() { _ = viaGuard(context.Background(), g) }); n != 0 {
			t.Errorf("%+v: %v allocations", a, n)
		}
	}
}

func BenchmarkAdaptive(b *testing.B) {
	for _, mode := range []AdaptiveMode{Throttle, Concurrency} {
		b.Run(fmt.Sprint(mode), func(b *testing.B) { benchmark(b, Policy{Adaptive: Adaptive{On: true, Mode: mode}}) })
	}
}

// TestBeatenHedgeIsNoVerdict: the attempt that lost the race says nothing of the
// peer, and is not in flight any more.
func TestBeatenHedgeIsNoVerdict(t *testing.T) {
	for _, mode := range []AdaptiveMode{Throttle, Concurrency} {
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, Policy{Hedge: Hedge{Delay: time.Second}, Adaptive: Adaptive{On: true, Mode: mode}})
			var attempts atomic.Int32
			call := g.Begin(t.Context())
			v, err := Hedged(&call, func(ctx context.Context) (int32, error) {
				n := attempts.Add(1)
				if n == 1 {
					<-ctx.Done()
					return 0, ctx.Err()
				}
				return n, nil
			})
			call.End()
			if v != 2 || err != nil {
				t.Errorf("%d, %v", v, err)
			}
			want := AdaptiveSnapshot{Name: g.name, Requests: 1, Accepts: 1}
			if mode == Concurrency {
				want = AdaptiveSnapshot{Name: g.name, Limit: 20}
			}
			if s := g.rt.AdaptiveLimits()[0]; s != want {
				t.Errorf("%+v, want %+v", s, want)
			}
			if s := g.plan.Load().steering; s != nil && s.round.n != 1 {
				t.Errorf("%d samples of one attempt that counts", s.round.n)
			}
		})
	}
}
