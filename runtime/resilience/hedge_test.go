package resilience

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// reply is what an attempt of a hedged call does.
type reply struct {
	after time.Duration
	err   error
	deaf  bool // to its context
	die   func()
}

// closable is a result that counts how often it was closed.
type closable struct {
	of     int
	closed atomic.Int32
}

func (c *closable) Close() error { c.closed.Add(1); return nil }

// hedgedCall is what came of one hedged call.
type hedgedCall struct {
	mu       sync.Mutex
	infos    []AttemptInfo
	starts   []time.Duration
	contexts []context.Context
	results  []*closable
	running  int
	peak     int

	result *closable
	err    error
	took   time.Duration
}

// hedgedTo makes a hedged call whose attempts do what replies say, the last one
// from then on.
func hedgedTo(ctx context.Context, g *Guard, replies ...reply) (h *hedgedCall) {
	h = &hedgedCall{}
	begun := time.Now()
	defer func() { h.took = time.Since(begun) }()
	call := g.Begin(ctx)
	defer call.End()
	h.result, h.err = Hedged(&call, func(ctx context.Context) (*closable, error) {
		r, result := h.enter(ctx, time.Since(begun), replies)
		defer h.leave()
		return r.do(ctx, result)
	})
	return h
}

func (h *hedgedCall) enter(ctx context.Context, at time.Duration, replies []reply) (reply, *closable) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.starts)
	h.infos, h.starts, h.contexts = append(h.infos, Attempt(ctx)), append(h.starts, at), append(h.contexts, ctx)
	h.running++
	h.peak = max(h.peak, h.running)
	result := &closable{of: n}
	h.results = append(h.results, result)
	return replies[min(n, len(replies)-1)], result
}

func (h *hedgedCall) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running--
}

func (r reply) do(ctx context.Context, result *closable) (*closable, error) {
	if r.deaf {
		time.Sleep(r.after)
	} else {
		select {
		case <-time.After(r.after):
		case <-ctx.Done():
			return nil, fmt.Errorf("cut off: %w", ctx.Err())
		}
	}
	if r.die != nil {
		r.die()
	}
	if r.err != nil {
		return nil, r.err
	}
	return result, nil
}

const ms = time.Millisecond

func hedgeOf(n int, delay time.Duration) Policy {
	return Policy{Hedge: Hedge{MaxHedges: n, Delay: delay}}
}

// TestHedge is the behaviours of a hedged call, by its attempts.
func TestHedge(t *testing.T) {
	other := errors.New("other")
	for _, c := range []struct {
		name    string
		p       Policy
		replies []reply
		starts  []time.Duration
		winner  int // -1: none
		err     error
		took    time.Duration
	}{
		{"fast: none begins", hedgeOf(1, 50*ms), []reply{{after: 49 * ms}}, []time.Duration{0}, 0, nil, 49 * ms},
		{"slow: one begins after the delay and wins", hedgeOf(1, 50*ms), []reply{{after: time.Second}, {after: 10 * ms}}, []time.Duration{0, 50 * ms}, 1, nil, 60 * ms},
		{"slow: the first attempt may still win", hedgeOf(1, 50*ms), []reply{{after: 55 * ms}, {after: time.Second}}, []time.Duration{0, 50 * ms}, 0, nil, 55 * ms},
		{"one each delay, up to the limit", hedgeOf(2, 10*ms), []reply{{after: 100 * ms}}, []time.Duration{0, 10 * ms, 20 * ms}, 0, nil, 100 * ms},
		{"all at once", hedgeOf(3, None), []reply{{after: 10 * ms}}, []time.Duration{0, 0, 0, 0}, -2, nil, 10 * ms},
		{"a failure begins the next at once", hedgeOf(2, time.Hour), []reply{{after: 5 * ms, err: errPeer}, {after: 5 * ms, err: other}, {after: 5 * ms}}, []time.Duration{0, 5 * ms, 10 * ms}, 2, nil, 15 * ms},
		{"all fail: the first one's error", hedgeOf(2, time.Hour), []reply{{err: errPeer}, {err: other}}, []time.Duration{0, 0, 0}, -1, errPeer, 0},
		{"all fail, the first one last", hedgeOf(1, 10*ms), []reply{{after: 30 * ms, err: errPeer}, {after: 5 * ms, err: other}}, []time.Duration{0, 10 * ms}, -1, errPeer, 30 * ms},
		{"a failed hedge does not beat a pending attempt", hedgeOf(1, 10*ms), []reply{{after: 100 * ms}, {err: errPeer}}, []time.Duration{0, 10 * ms}, 0, nil, 100 * ms},
		{"a hedge that fails is followed, too", hedgeOf(2, 10*ms), []reply{{after: 100 * ms}, {after: ms, err: errPeer}, {after: ms}}, []time.Duration{0, 10 * ms, 11 * ms}, 2, nil, 12 * ms},
		{"what is permanent ends the hedging", hedgeOf(3, 10*ms), []reply{{err: Permanent(errPeer)}}, []time.Duration{0}, -1, errPeer, 0},
		{"and of a hedge: the first attempt goes on", hedgeOf(3, 10*ms), []reply{{after: 100 * ms}, {err: Permanent(other)}}, []time.Duration{0, 10 * ms}, 0, nil, 100 * ms},
		{"timeout.attempt begins the next", Policy{Timeout: Timeout{Attempt: 20 * ms}, Hedge: Hedge{Delay: time.Hour}}, []reply{{after: time.Hour}, {after: 15 * ms}}, []time.Duration{0, 20 * ms}, 1, nil, 35 * ms},
		{"timeout.attempt counts from each attempt", Policy{Timeout: Timeout{Attempt: 20 * ms}, Hedge: Hedge{Delay: 10 * ms}}, []reply{{after: time.Hour}}, []time.Duration{0, 10 * ms}, -1, ErrTimeout, 30 * ms},
		{"timeout.total ends all", Policy{Timeout: Timeout{Total: 25 * ms}, Hedge: Hedge{MaxHedges: 5, Delay: 10 * ms}}, []reply{{after: time.Hour}}, []time.Duration{0, 10 * ms, 20 * ms}, -1, ErrTimeout, 25 * ms},
		{"who does not listen is waited for", hedgeOf(1, 10*ms), []reply{{after: time.Second, deaf: true}, {after: ms}}, []time.Duration{0, 10 * ms}, 1, nil, time.Second},
		{"but not under mode abandon", Policy{Timeout: Timeout{Mode: Abandon}, Hedge: Hedge{Delay: 10 * ms}}, []reply{{after: time.Second, deaf: true}, {after: ms}}, []time.Duration{0, 10 * ms}, 1, nil, 11 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := mustGuard(t, c.p)
				h := hedgedTo(t.Context(), g, c.replies...)
				if !slices.Equal(h.starts, c.starts) || h.took != c.took || !errors.Is(h.err, c.err) || c.err == nil && h.err != nil {
					t.Errorf("attempts at %v, %v after %v; want %v, %v after %v", h.starts, h.err, h.took, c.starts, c.err, c.took)
				}
				if c.winner >= 0 && (h.result == nil || h.result.of != c.winner) {
					t.Errorf("winner %+v, want attempt %d", h.result, c.winner)
				}
				time.Sleep(2 * time.Hour) // late results, and a timer that was forgotten
				synctest.Wait()
				h.check(t, g)
			})
		})
	}
}

// check fails unless every loser was ended, and its result closed once.
func (h *hedgedCall) check(t *testing.T, g *Guard) {
	t.Helper()
	if h.running != 0 || g.rt.Abandoned() != 0 {
		t.Errorf("%d run on, %d abandoned", h.running, g.rt.Abandoned())
	}
	slices.SortFunc(h.infos, func(a, b AttemptInfo) int { return a.Number - b.Number }) // those that begin at once are in any order
	for i, info := range h.infos {
		if info.Number != i+1 || info.Hedge != (i > 0) {
			t.Errorf("attempt %d: %+v", i+1, info)
		}
		if h.contexts[i].Err() == nil {
			t.Errorf("context of attempt %d lives on", i+1)
		}
	}
	if h.result != nil && h.result.closed.Load() != 0 {
		t.Error("the result was closed")
	}
}

func TestLosersAreClosedOnce(t *testing.T) {
	for _, abandon := range []TimeoutMode{Cooperative, Abandon} {
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, Policy{Timeout: Timeout{Mode: abandon}, Hedge: Hedge{MaxHedges: 2, Delay: 10 * ms}})
			h := hedgedTo(t.Context(), g, reply{after: 200 * ms, deaf: true}, reply{after: 100 * ms, deaf: true}, reply{after: 10 * ms})
			time.Sleep(time.Second)
			for i, r := range h.results {
				want := int32(1)
				if r == h.result {
					want = 0
				}
				if got := r.closed.Load(); got != want {
					t.Errorf("mode %d: result of attempt %d closed %d times, want %d", abandon, i+1, got, want)
				}
			}
			if h.result == nil || h.result.of != 2 || h.err != nil {
				t.Errorf("%+v, %v", h.result, h.err)
			}
		})
	}
}

// TestNilResultsAreNotClosed: nor does the closing of one end the process.
func TestNilResultsAreNotClosed(*testing.T) {
	discard((*closable)(nil))
	discard(1)
	discard[any](nil)
}

func TestHedgeWhenTheCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Hedge: Hedge{MaxHedges: 5, Delay: 10 * ms}, Breaker: Breaker{ConsecutiveFailures: 1}})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(25*ms, cancel)
		h := hedgedTo(ctx, g, reply{after: time.Hour})
		if h.took != 25*ms || !errors.Is(h.err, context.Canceled) || len(h.starts) != 3 {
			t.Errorf("%v after %v, %d attempts", h.err, h.took, len(h.starts))
		}
		gone := hedgedTo(ctx, g, reply{})
		if gone.err != context.Canceled || len(gone.starts) != 0 {
			t.Errorf("%v, %d attempts of a caller that is gone", gone.err, len(gone.starts))
		}
		if b := g.plan.Load().breaker; !b.closed.Load() {
			t.Error("the breaker holds it against the peer")
		}
	})
}

// TestHedgeErrorSaysSo: what a single attempt failed with stays as it is.
func TestHedgeErrorSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, hedgeOf(1, time.Hour))
		if err := hedgedTo(t.Context(), g, reply{err: Permanent(errPeer)}).err; err.Error() != errPeer.Error() {
			t.Errorf("%v", err)
		}
		err := hedgedTo(t.Context(), g, reply{err: errPeer}).err
		var e *Error
		if !errors.As(err, &e) || e.Attempts != 2 || e.Policy != "hedge" || !strings.Contains(err.Error(), "gave up after 2 attempts: gateway: 503") {
			t.Errorf("%v", err)
		}
	})
}

// TestOneOutcomeForEachAttempt: failures and successes count, what was ended
// for another attempt does not, and no slot is lost.
func TestOneOutcomeForEachAttempt(t *testing.T) {
	for _, recordOn := range []Matcher{{}, {Any: true, Kinds: KindCanceled}} {
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, Policy{Hedge: Hedge{MaxHedges: 2, Delay: 10 * ms}, Breaker: Breaker{Window: Window{Size: 100}, RecordOn: recordOn}, Bulkhead: Bulkhead{MaxConcurrent: 3}})
			h := hedgedTo(t.Context(), g, reply{after: time.Hour}, reply{after: ms, err: errPeer}, reply{after: 5 * ms})
			if h.err != nil {
				t.Fatal(h.err)
			}
			s := g.rt.Breaker(g.name).Snapshot()
			if s.Calls != 2 || s.Failures != 1 {
				t.Errorf("%d calls, %d failures", s.Calls, s.Failures)
			}
			if n := g.plan.Load().bulkhead.taken.Load(); n != 0 {
				t.Errorf("%d slots are lost", n)
			}
		})
	}
}

// TestHedgeLeavesTheQueue: one that waits for a slot does not hold up the
// winner.
func TestHedgeLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Hedge: Hedge{Delay: 10 * ms}, Bulkhead: Bulkhead{MaxConcurrent: 1, MaxWait: time.Hour}})
		h := hedgedTo(t.Context(), g, reply{after: 30 * ms})
		if h.took != 30*ms || h.err != nil || len(h.starts) != 1 {
			t.Errorf("%v after %v, %d attempts", h.err, h.took, len(h.starts))
		}
		b := g.plan.Load().bulkhead
		if b.taken.Load() != 0 || len(b.waiting) != 0 {
			t.Errorf("%d slots, %d waiting", b.taken.Load(), len(b.waiting))
		}
	})
}

// TestRejectedHedge: a rejection ends the hedging, and not the first attempt.
func TestRejectedHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Hedge: Hedge{MaxHedges: 3, Delay: 10 * ms}, Bulkhead: Bulkhead{MaxConcurrent: 1}})
		h := hedgedTo(t.Context(), g, reply{after: 100 * ms})
		if h.took != 100*ms || h.err != nil || len(h.starts) != 1 {
			t.Errorf("%v after %v, %d attempts", h.err, h.took, len(h.starts))
		}
		open := mustGuard(t, Policy{Hedge: Hedge{Delay: 10 * ms}, Breaker: Breaker{Mode: ForcedOpen}})
		if h := hedgedTo(t.Context(), open, reply{}); !errors.Is(h.err, ErrCircuitOpen) || len(h.starts) != 0 {
			t.Errorf("%v, %d attempts", h.err, len(h.starts))
		}
	})
}

func TestHedgesDrawFromTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Policy{Hedge: Hedge{Delay: 10 * ms}, Budget: Budget{MinConcurrency: 1, Ratio: 0.1}}
		g := mustGuard(t, p)
		done := make(chan *hedgedCall)
		go func() { done <- hedgedTo(t.Context(), g, reply{after: time.Second}) }()
		time.Sleep(20 * ms)
		if s := budgetOf(t, g); s.InFlight != 1 || s.Repeated != 1 {
			t.Errorf("%+v", s)
		}
		second := hedgedTo(t.Context(), g, reply{after: 30 * ms})
		if second.err != nil || len(second.starts) != 1 || second.took != 30*ms {
			t.Errorf("suppressed: %v, %d attempts", second.err, len(second.starts))
		}
		third := hedgedTo(t.Context(), g, reply{err: errPeer})
		if !errors.Is(third.err, ErrBudgetExhausted) || !errors.Is(third.err, errPeer) {
			t.Errorf("refused: %v", third.err)
		}
		first := <-done
		if len(first.starts) != 2 || first.err != nil {
			t.Errorf("%v", first.starts)
		}
		if s := budgetOf(t, g); s.InFlight != 0 || s.Repeated != 0 || s.Refused != 2 || s.Calls != 3 || s.Attempts != 4 {
			t.Errorf("%+v", s)
		}
	})
}

func TestHedgeByPercentile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Hedge: Hedge{Percentile: 95, Warmup: 20}})
		for i := range 20 {
			if h := hedgedTo(t.Context(), g, reply{after: time.Duration(i+1) * ms}); len(h.starts) != 1 {
				t.Fatalf("call %d hedged while nothing is known", i)
			}
		}
		g.rt.Apply(Development) // does not forget
		h := hedgedTo(t.Context(), g, reply{after: time.Hour}, reply{})
		if len(h.starts) != 2 || h.starts[1] < 19*ms || h.starts[1] > 19*ms+19*ms/16 || h.err != nil {
			t.Errorf("attempts at %v, want the second after 19ms, or 1/16 more", h.starts)
		}
	})
}

// TestFailuresTeachNoLatency: an outage must not make every call hedge at once
// after it.
func TestFailuresTeachNoLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Hedge: Hedge{Percentile: 50, Warmup: 1}})
		hedgedTo(t.Context(), g, reply{after: 100 * ms})
		for range 500 {
			hedgedTo(t.Context(), g, reply{err: Permanent(errPeer)})
		}
		if d, _ := g.plan.Load().hedge.delay(); d < 100*ms {
			t.Errorf("hedges after %v", d)
		}
	})
}

// TestLatenciesAgainstSorting compares estimates with the sorted durations.
func TestLatenciesAgainstSorting(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 4))
		l := &latencies{percentile: 1 + 99*random.Float64(), warmup: 1}
		var all []time.Duration
		for n := range 1000 {
			d := time.Duration(random.Int64N(1 << (1 + random.IntN(40))))
			all = append(all, d)
			l.add(d)
			if n%100 != 0 {
				continue
			}
			sorted := slices.Sorted(slices.Values(all))
			rank := int(float64(len(all))*l.percentile/100 + 1 - 1e-9)
			want := max(sorted[min(max(rank, 1), len(all))-1], 1)
			if got := l.quantile(); got < want || got > want+want/16 {
				t.Fatalf("seed %d: percentile %v of %d: %v, want %v or 1/16 more", seed, l.percentile, len(all), got, want)
			}
		}
	}
	for _, d := range []time.Duration{-1, 0, 1, 15, 16, 17, 31, 32, 1 << 40, 1<<63 - 1} {
		if i := bucketOf(d); bucketEnd(i) < d || i >= 64*16 {
			t.Errorf("bucket %d of %d ends at %d", i, d, bucketEnd(i))
		}
	}
}

// TestLatenciesFade: what was long ago counts less.
func TestLatenciesFade(t *testing.T) {
	l := &latencies{percentile: 90, warmup: 1}
	for range 3000 {
		l.add(time.Second)
	}
	for range 10 * halvedEvery {
		l.add(ms)
	}
	if got := time.Duration(l.estimate.Load()); got > 2*ms {
		t.Errorf("estimate %v", got)
	}
}

func TestPanicOfAHedge(t *testing.T) {
	for _, replies := range [][]reply{
		{{after: time.Hour}, {die: func() { panic(errPeer) }}},                           // the first one is cut off
		{{after: 20 * ms}, {after: 50 * ms, deaf: true, die: func() { panic(errPeer) }}}, // after another one has won
	} {
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, Policy{Hedge: Hedge{Delay: 10 * ms}, Breaker: Breaker{Window: Window{Size: 10}}, Bulkhead: Bulkhead{On: true}, Budget: Budget{On: true}})
			defer func() {
				p, ok := recover().(*PanicError)
				if !ok || !errors.Is(p, errPeer) || !strings.Contains(string(p.Stack), "TestPanicOfAHedge") {
					t.Errorf("recovered %v", p)
				}
				if s := g.rt.Breaker(g.name).Snapshot(); s.Failures != 1 {
					t.Errorf("%d failures", s.Failures)
				}
				noneHeld(t, g)
			}()
			hedgedTo(t.Context(), g, replies...)
		})
	}
}

func noneHeld(t *testing.T, g *Guard) {
	t.Helper()
	if s := budgetOf(t, g); s.InFlight != 0 || s.Repeated != 0 {
		t.Errorf("%+v", s)
	}
	if n := g.plan.Load().bulkhead.taken.Load(); n != 0 {
		t.Errorf("%d slots are lost", n)
	}
}

// TestPanicOfTheFirstAttempt unwinds the caller's own stack, when the hedge has
// ended.
func TestPanicOfTheFirstAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Hedge: Hedge{Delay: 10 * ms}, Bulkhead: Bulkhead{On: true}, Budget: Budget{On: true}})
		begun := time.Now()
		defer func() {
			if v := recover(); v != errPeer || time.Since(begun) != 40*ms {
				t.Errorf("recovered %v after %v", v, time.Since(begun))
			}
			noneHeld(t, g)
		}()
		hedgedTo(t.Context(), g, reply{after: 20 * ms, die: func() { panic(errPeer) }}, reply{after: 30 * ms, deaf: true})
	})
}

// TestPanicOfAFollower: an attempt that follows a failure runs where the failed
// one ran.
func TestPanicOfAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Hedge: Hedge{Delay: time.Hour}, Bulkhead: Bulkhead{On: true}, Budget: Budget{On: true}})
		defer func() {
			if v := recover(); v != errPeer {
				t.Errorf("recovered %v", v)
			}
			noneHeld(t, g)
		}()
		hedgedTo(t.Context(), g, reply{err: errPeer}, reply{die: func() { panic(errPeer) }})
	})
}

func TestGoexitOfAttempts(t *testing.T) {
	for _, replies := range [][]reply{
		{{after: time.Hour}, {die: runtime.Goexit}},
		{{after: 20 * ms, die: runtime.Goexit}, {after: time.Hour}},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, Policy{Hedge: Hedge{Delay: 10 * ms}, Bulkhead: Bulkhead{On: true}, Budget: Budget{On: true}})
			returned, done := false, make(chan struct{})
			go func() {
				defer close(done)
				hedgedTo(t.Context(), g, replies...)
				returned = true
			}()
			<-done
			if returned {
				t.Error("the caller went on")
			}
			noneHeld(t, g)
		})
	}
}

// TestContextOfTheWinner lives on where the result is read under it.
func TestContextOfTheWinner(t *testing.T) {
	for _, first := range []time.Duration{5 * ms, time.Hour} {
		for _, keep := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				p := Policy{Hedge: Hedge{Delay: 10 * ms}}
				if keep {
					p.Result = ReadOn
				}
				g := mustGuard(t, p)
				ctx, cancel := context.WithCancel(context.WithValue(t.Context(), stream{}, "value"))
				defer cancel()
				h := hedgedTo(ctx, g, reply{after: first}, reply{after: ms})
				winner := h.contexts[h.result.of]
				if alive := winner.Err() == nil; alive != keep || winner.Value(stream{}) != "value" {
					t.Errorf("keep %v: %v", keep, winner.Err())
				}
				cancel()
				if winner.Err() != context.Canceled {
					t.Error("outlives its caller")
				}
				for i, c := range h.contexts {
					for j, other := range h.contexts {
						if i != j && c == other {
							t.Error("two attempts share a context")
						}
					}
				}
			})
		}
	}
}

// TestHedgeOfAnOpening: timeout.open lets the context of the winner live, too.
func TestHedgeOfAnOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Open: 30 * ms}, Hedge: Hedge{Delay: 10 * ms}})
		h := hedgedTo(t.Context(), g, reply{after: time.Hour}, reply{after: 5 * ms})
		time.Sleep(time.Hour)
		if h.err != nil || len(h.contexts) != 2 || h.contexts[0].Err() == nil || h.contexts[1].Err() != nil {
			t.Errorf("%v, %d attempts", h.err, len(h.contexts))
		}
		if slow := hedgedTo(t.Context(), g, reply{after: time.Hour}); !errors.Is(slow.err, ErrTimeout) || slow.took != 40*ms {
			t.Errorf("%v after %v", slow.err, slow.took)
		}
		if info := h.infos[1]; info.Number != 2 || !info.Hedge || info.Left != 30*ms || !info.Limited {
			t.Errorf("%+v", info)
		}
	})
}

func TestHedgeSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, hedgeOf(1, 10*ms))
		g.rt.SetEnabled(false)
		if h := hedgedTo(t.Context(), g, reply{after: time.Second}); len(h.starts) != 1 || h.err != nil || h.took != time.Second {
			t.Errorf("%v, %d attempts", h.err, len(h.starts))
		}
		g.rt.SetEnabled(true)
		time.AfterFunc(5*ms, func() { g.rt.SetEnabled(false) })
		if h := hedgedTo(t.Context(), g, reply{after: time.Second}); len(h.starts) != 1 {
			t.Errorf("hedged after it was switched off: %v", h.starts)
		}
	})
}

func TestHedgedWithoutAHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Attempt: time.Second}})
		if h := hedgedTo(t.Context(), g, reply{after: time.Hour}); !errors.Is(h.err, ErrTimeout) || len(h.starts) != 1 {
			t.Errorf("%v, %d attempts", h.err, len(h.starts))
		}
	})
}

func TestHedgeOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Hedge: Hedge{Delay: 10 * ms}, Breaker: Breaker{PerKey: true, Window: Window{Size: 10}}})
		call := g.BeginKey(t.Context(), "eu")
		_, err := Hedged(&call, func(ctx context.Context) (int, error) {
			if !Attempt(ctx).Hedge {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return 1, nil
		})
		call.End()
		b := g.plan.Load().keys.acquire("eu")
		if n := b.calls.Load(); err != nil || n != 1 || (&CircuitBreaker{g.rt, b.what.(*breaker)}).Snapshot().Calls != 1 {
			t.Errorf("%v, %d in flight", err, n-1)
		}
	})
}

func TestHedgedResult(t *testing.T) {
	g := mustGuard(t, Policy{Hedge: Hedge{Delay: time.Hour}, Breaker: Breaker{Window: Window{Size: 10}}})
	call := g.Begin(t.Context())
	defer call.End()
	v, err := HedgedResult(&call, func(context.Context) (int, error) { return -1, nil }, func(n int) bool { return n < 0 })
	if s := g.rt.Breaker(g.name).Snapshot(); v != -1 || err != nil || s.Failures != 1 {
		t.Errorf("%d, %v, %d failures", v, err, s.Failures)
	}
}

func TestRefusedHedges(t *testing.T) {
	for _, c := range []struct {
		p    Policy
		want string
	}{
		{Policy{Hedge: Hedge{On: true}, Retry: Retry{On: true}}, "not together with retry"},
		{Policy{Hedge: Hedge{MaxHedges: -1}}, "at least 1"},
		{Policy{Hedge: Hedge{Percentile: 101}}, "in (0,100]"},
		{Policy{Hedge: Hedge{Delay: 1, Percentile: 95}}, "either delay or percentile"},
	} {
		if _, err := new(Runtime).Guard("g", c.p); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// TestHedgeAgainstModel plays random scripts beside a list of events.
func TestHedgeAgainstModel(t *testing.T) {
	for seed := range uint64(1000) {
		random := rand.New(rand.NewPCG(seed, 5))
		conf := Hedge{MaxHedges: 1 + random.IntN(4), Delay: time.Duration(1 + random.Int64N(int64(20*ms)))}
		replies := make([]reply, 1+conf.MaxHedges)
		for i := range replies {
			replies[i].after = time.Duration(random.Int64N(int64(100 * ms)))
			replies[i].err = []error{nil, nil, errPeer, fmt.Errorf("error %d", i), Permanent(errPeer)}[random.IntN(5)]
		}
		starts, winner, took := modelHedge(conf, replies)
		synctest.Test(t, func(t *testing.T) {
			h := hedgedTo(t.Context(), mustGuard(t, Policy{Hedge: conf}), replies...)
			got := -1
			if h.result != nil {
				got = h.result.of
			}
			if !slices.Equal(h.starts, starts) || got != winner || h.took != took || winner < 0 && !errors.Is(h.err, replies[0].err) {
				t.Fatalf("seed %d %+v %+v: attempts at %v, winner %d after %v (%v); want %v, %d, %v",
					seed, conf, replies, h.starts, got, h.took, h.err, starts, winner, took)
			}
		})
	}
}

// modelHedge is a hedged call as docs/policy.md says it.
func modelHedge(conf Hedge, replies []reply) (starts []time.Duration, winner int, now time.Duration) {
	ends := map[int]time.Duration{}
	left := conf.MaxHedges
	begin := func() {
		ends[len(starts)] = now + replies[len(starts)].after
		starts = append(starts, now)
	}
	begin()
	for len(ends) > 0 {
		first := -1
		for i := range ends {
			if first < 0 || ends[i] < ends[first] {
				first = i
			}
		}
		if due := starts[len(starts)-1] + conf.Delay; left > 0 && due < ends[first] {
			now = due
			left--
			begin()
			continue
		}
		now = ends[first]
		delete(ends, first)
		switch err := replies[first].err; {
		case err == nil:
			return starts, first, now
		case is(err, errPeer, false) && err != errPeer: // permanent
			left = 0
		case left > 0:
			left--
			begin()
		}
	}
	return starts, -1, now
}

// TestHedgesAmongGoroutines has 64 goroutines hedge, fail, panic and leave at
// the same time, in real time: no goroutine, slot or share of the budget is
// lost, and every result that nobody got is closed.
func TestHedgesAmongGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	g := mustGuard(t, Policy{
		Timeout: Timeout{Attempt: 5 * ms}, Hedge: Hedge{MaxHedges: 2, Delay: 20 * time.Microsecond},
		Breaker: Breaker{Window: Window{Size: 1 << 20}, FailureRateThreshold: 100}, Bulkhead: Bulkhead{MaxConcurrent: 40, MaxWait: ms}, Budget: Budget{Ratio: 0.9},
	})
	var made, closed, taken atomic.Int64
	run(64, func(n int) {
		for i := range 100 {
			func() {
				defer func() { _ = recover() }()
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+(n*i)%7)*ms)
				defer cancel()
				call := g.Begin(ctx)
				defer call.End()
				v, err := Hedged(&call, func(ctx context.Context) (tracked, error) {
					switch wait := time.After(time.Duration((n*31+i*17)%100) * time.Microsecond); {
					case (n+i)%11 == 0:
						return tracked{}, errPeer
					case (n+i)%97 == 0 && Attempt(ctx).Hedge:
						panic("hedge")
					default:
						<-wait
					}
					made.Add(1)
					return tracked{&closed}, nil
				})
				if err == nil && v.closed != nil {
					taken.Add(1)
				}
			}()
		}
	})
	noneHeld(t, g)
	if made.Load() != closed.Load()+taken.Load() {
		t.Errorf("%d results made, %d taken, %d closed", made.Load(), taken.Load(), closed.Load())
	}
	if !comesTrue(func() bool { return runtime.NumGoroutine() <= before }) {
		t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
	}
}

// tracked is a result that counts its closing.
type tracked struct{ closed *atomic.Int64 }

func (t tracked) Close() error { t.closed.Add(1); return nil }

func TestHedgeNotFiredAllocates(t *testing.T) {
	g := mustGuard(t, hedgeOf(1, time.Hour))
	least := testing.AllocsPerRun(1, func() { hedgeNotFired(g) })
	for range 50 { // the race detector has pools lose something now and then
		least = min(least, testing.AllocsPerRun(1, func() { hedgeNotFired(g) }))
	}
	if least > 3 { // the timer, the context and f
		t.Errorf("%v allocations", least)
	}
}

// TestRacesServeMoreThanOneCall: what one call left does not show in the next.
func TestRacesServeMoreThanOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, hedgeOf(2, time.Second))
		for n := range 30 {
			var begun atomic.Int64
			call := g.Begin(t.Context())
			v, err := Hedged(&call, func(ctx context.Context) (int, error) {
				number := begun.Add(1)
				if n%3 == 1 && number == 1 { // the hedge answers
					return 0, hang(ctx)
				}
				if n%3 == 2 { // every attempt fails
					return -n, errPeer
				}
				return n, nil
			})
			call.End()
			want := [3]int64{1, 2, 3}[n%3]
			if n%3 == 2 && errors.Is(err, errPeer) && v == -n {
				err, v = nil, n
			}
			if v != n || err != nil || begun.Load() != want {
				t.Fatalf("call %d: %d, %v, %d attempts, want %d", n, v, err, begun.Load(), want)
			}
		}
	})
}

func hedgeNotFired(g *Guard) {
	call := g.Begin(context.Background())
	defer call.End()
	_, _ = Hedged(&call, func(context.Context) (int, error) { _ = g; return 1, nil })
}

func BenchmarkHedgeNotFired(b *testing.B) {
	for name, p := range map[string]Policy{"delay": hedgeOf(1, time.Hour), "percentile": {Hedge: Hedge{Warmup: 1}}} {
		b.Run(name, func(b *testing.B) {
			g := mustGuard(b, p)
			if l := g.plan.Load().hedge.latencies; l != nil {
				for range 1000 {
					l.add(time.Hour)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				hedgeNotFired(g)
			}
		})
	}
}

// BenchmarkTimer is what a hedge that does not fire cannot do without.
func BenchmarkTimer(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		time.AfterFunc(time.Hour, func() {}).Stop()
	}
}

// TestHedgeAtRunTime: numbers change, and hedges and budgets are taken out and
// put back, while calls in flight stay counted.
func TestHedgeAtRunTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Hedge: Hedge{On: true}, Budget: Budget{MinConcurrency: 1, Ratio: 0.1}})
		attempts := func(o ...Override) int {
			t.Helper()
			if err := g.rt.SetOverrides(o); err != nil {
				t.Fatal(err)
			}
			return len(hedgedTo(t.Context(), g, reply{after: 100 * ms}).starts)
		}
		say := func(key, value string) Override { return Override{Key: key, Value: value} }
		if n := attempts(say("hedge.delay", "10ms"), say("hedge.maxHedges", "2"), say("retry.budget.minConcurrency", "9")); n != 3 {
			t.Errorf("%d attempts", n)
		}
		if n := attempts(say("hedge.delay", "10ms"), say("hedge.maxHedges", "2")); n != 2 {
			t.Errorf("%d attempts under the generated budget", n)
		}
		if n := attempts(say("hedge.delay", "10ms"), say("hedge.maxHedges", "2"), say("retry.budget", "none")); n != 3 || g.plan.Load().budget != nil {
			t.Errorf("%d attempts without a budget", n)
		}
		if n := attempts(say("hedge.delay", "10ms"), say("disable", "hedge")); n != 1 {
			t.Errorf("%d attempts without a hedge", n)
		}
		if err := g.rt.SetOverrides([]Override{say("hedge.delay", "10ms"), say("hedge.warmup", "5"), say("hedge.percentile", "50")}); err != nil || g.plan.Load().hedge.latencies == nil {
			t.Errorf("by percentile: %v", err)
		}
		if err := g.rt.SetOverrides([]Override{say("retry.budget.ratio", "0")}); err == nil {
			t.Error("a ratio of 0 is taken")
		}
	})
}

// TestHedgeOfWhatMayNotRunTwice: a condition says so of one call.
func TestHedgeOfWhatMayNotRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, hedgeOf(2, 10*ms))
		for _, err := range []error{nil, errPeer} {
			call := g.Begin(t.Context())
			call.Idempotent(false)
			n := 0
			_, got := Hedged(&call, func(context.Context) (int, error) {
				n++
				time.Sleep(time.Second)
				return 1, err
			})
			call.End()
			if n != 1 || got != err {
				t.Errorf("%d attempts, %v", n, got)
			}
		}
	})
}
