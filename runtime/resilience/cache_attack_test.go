package resilience

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestPanicIsCarriedOnce over several goroutines of ours.
func TestPanicIsCarriedOnce(t *testing.T) {
	var rt Runtime
	inner, err1 := rt.Guard("inner", Policy{Timeout: Timeout{Attempt: time.Hour, Mode: Abandon}})
	outer, err2 := rt.Guard("outer", Policy{Timeout: Timeout{Attempt: time.Hour, Mode: Abandon}})
	kept, err3 := rt.Guard("kept", Policy{Caching: Caching{TTL: time.Hour}})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	cache := NewCache[int, int](kept)
	left := func(g *Guard, f func(context.Context) (int, error)) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) {
			call := g.Begin(ctx)
			defer call.End()
			call.Next()
			return Abandonable(&call, f)
		}
	}
	dies := func(context.Context) (int, error) { panic("boom") }
	for name, f := range map[string]func(context.Context) (int, error){
		"abandon twice": left(outer, left(inner, dies)),
		"cache around abandon": func(ctx context.Context) (int, error) {
			v, o := cache.Fill(ctx, 1, func(ctx context.Context) (int, Outcome) {
				_, _ = left(inner, dies)(ctx)
				return 0, Outcome{}
			})
			return v, o.Err()
		},
	} {
		func() {
			defer func() {
				if p, ok := recover().(*PanicError); !ok || p.Value != "boom" {
					t.Errorf("%s: died of %v", name, p)
				}
			}()
			_, _ = f(t.Context())
		}()
	}
}

// toldTo is what an observer was told.
type toldTo struct {
	mu       sync.Mutex
	events   []Event
	contexts []context.Context
}

func (o *toldTo) observe(ctx context.Context, e Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events, o.contexts = append(o.events, e), append(o.contexts, ctx)
}

func (o *toldTo) of(kind EventKind) (events []Event, contexts []context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, e := range o.events {
		if e.Kind == kind {
			events, contexts = append(events, e), append(contexts, o.contexts[i])
		}
	}
	return events, contexts
}

// What an execution comes to that everybody left is told, and harms nobody.
func TestAbandonedExecutionIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			end  func() error
			want func(Event) bool
		}{
			{func() error { return errPeer }, func(e Event) bool { return e.Err == errPeer }},
			{func() error { panic("boom") }, func(e Event) bool { p, ok := e.Err.(*PanicError); return ok && p.Value == "boom" }},
			{func() error { runtime.Goexit(); return nil }, func(e Event) bool { return e.Reason == "Goexit" }},
		} {
			var told toldTo
			rt, err := Open(Options{Observe: told.observe})
			if err != nil {
				t.Fatal(err)
			}
			g, err := rt.Guard("kept", Policy{Caching: Caching{TTL: time.Hour}})
			if err != nil {
				t.Fatal(err)
			}
			cache := NewCache[string, int](g)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, o := cache.Fill(ctx, "a", func(context.Context) (int, Outcome) {
				time.Sleep(time.Minute)
				return 1, Outcome{err: c.end()}
			})
			cancel()
			if o.Err() != context.DeadlineExceeded || rt.Abandoned() != 1 {
				t.Errorf("%v, %d abandoned", o.Err(), rt.Abandoned())
			}
			time.Sleep(time.Hour)
			events, _ := told.of(AbandonedEnded)
			if len(events) != 1 || events[0].Name != "kept" || !c.want(events[0]) || rt.Abandoned() != 0 {
				t.Errorf("told %v, %d abandoned", events, rt.Abandoned())
			}
		}
	})
}

// Who invalidates what is kept must not be answered from before.
func TestClearedCacheKeepsNothingFromBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := caching(t, Policy{Caching: Caching{TTL: time.Hour, StaleOnError: time.Hour}})
		var truth atomic.Int64
		read := func(context.Context) (int, error) {
			n := truth.Load()
			time.Sleep(time.Duration(2-n) * time.Second) // what was read before comes later
			return int(n), nil
		}
		get := func(want int64) func() {
			return func() {
				if v, o := cachedCall(t.Context(), c, "a", read); int64(v) != want || o.Err() != nil {
					t.Errorf("got %d, %v, want %d", v, o.Err(), want)
				}
			}
		}
		var before, after sync.WaitGroup
		before.Go(get(0))
		synctest.Wait()
		truth.Store(1)
		c.guard.rt.ClearCaches()
		for range 2 {
			after.Go(get(1)) // not what was read before
		}
		after.Wait()
		before.Wait()
		get(1)() // nor what that came to
		if s := c.snapshot(); s.Entries != 1 || s.Misses != 2 || s.Shared != 1 || s.Hits != 1 || len(c.flights) != 0 {
			t.Errorf("%+v, %d in flight", s, len(c.flights))
		}
	})
}

func TestRefusalByTheBudgetIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := caching(t, Policy{Caching: Caching{TTL: time.Hour, NegativeTTL: time.Hour},
			Retry: Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: NoBackoff}}, Budget: Budget{Ratio: 0.01, MinConcurrency: 1}})
		var busy sync.WaitGroup
		busy.Go(func() {
			_ = Try(t.Context(), c.guard, func(ctx context.Context) error {
				if Attempt(ctx).Number == 1 {
					return errPeer
				}
				time.Sleep(time.Second)
				return nil
			})
		})
		synctest.Wait()
		fails := func(context.Context) (int, error) { return 0, errPeer }
		if _, o := cachedCall(t.Context(), c, "a", fails); !errors.Is(o.Err(), ErrBudgetExhausted) {
			t.Errorf("got %v", o.Err())
		}
		busy.Wait()
		if v, o := cachedCall(t.Context(), c, "a", func(context.Context) (int, error) { return 7, nil }); v != 7 || o.Err() != nil {
			t.Errorf("got %d, %v: the refusal was kept", v, o.Err())
		}
	})
}

// An execution that asks for its own key, itself or by way of another one, would
// wait for itself.
func TestExecutionThatAsksForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := caching(t, Policy{Caching: Caching{TTL: time.Hour}})
		var asks func(ctx context.Context, keys ...string) (int, error)
		asks = func(ctx context.Context, keys ...string) (int, error) {
			if len(keys) == 0 {
				return 1, nil
			}
			v, o := cachedCall(ctx, c, keys[0], func(ctx context.Context) (int, error) { return asks(ctx, keys[1:]...) })
			return v + 1, o.Err()
		}
		for _, keys := range [][]string{{"a", "a"}, {"b", "c", "b"}, {"d", "e", "e", "d", "d"}} {
			if v, err := asks(t.Context(), keys...); v != len(keys)+1 || err != nil {
				t.Errorf("%v: %d, %v", keys, v, err)
			}
		}
		if n := len(c.flights); n != 0 {
			t.Errorf("%d in flight", n)
		}
	})
}

// The use of a fallback is told with the context of the call that used it.
func TestFallbackOfASharedExecutionIsToldForEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told toldTo
		rt, err := Open(Options{Observe: told.observe})
		if err != nil {
			t.Fatal(err)
		}
		g, err := rt.Guard("kept", Policy{Caching: Caching{TTL: time.Hour, NegativeTTL: time.Second}, Fallback: Fallback{On: true}})
		if err != nil {
			t.Fatal(err)
		}
		c, s := NewCache[string, int](g), &source{err: errPeer}
		var group sync.WaitGroup
		call := func(i int) {
			if _, o := cachedCall(context.WithValue(t.Context(), valueKey{}, i), c, "a", s.get); !o.WantsFallback() {
				t.Errorf("call %d wants no fallback", i)
			}
		}
		for i := range 3 {
			group.Go(func() { call(i) })
		}
		group.Wait()
		call(3) // remembered
		if k := c.slots["a"].kept.Load(); k.failed.caller != nil {
			t.Error("a context is kept with the failure")
		}
		seen := map[any]bool{}
		_, contexts := told.of(FallbackUsed)
		for _, ctx := range contexts {
			seen[ctx.Value(valueKey{})] = true
		}
		if len(contexts) != 4 || len(seen) != 4 || s.calls != 1 {
			t.Errorf("told with %v, %d executions", seen, s.calls)
		}
	})
}

// TestCacheAttacked by everything at once: callers leave, executions die, what is
// kept is cleared, and numbers and switches change. Nobody may be answered with
// what was read before the last clearing, or for another key, and nothing may be
// left.
func TestCacheAttacked(t *testing.T) {
	var rt Runtime
	g, err := rt.Guard("attacked", Policy{Caching: Caching{TTL: 50 * time.Microsecond, MaxEntries: 8, StaleOnError: 20 * time.Microsecond, NegativeTTL: 20 * time.Microsecond}, Hedge: Hedge{Delay: 30 * time.Microsecond}})
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		key     int
		version int64
	}
	c := NewCache[int, answer](g)
	var version, cleared, done atomic.Int64 // what is read; what it was at the last clearing
	read := func(key int, random uint64) func(context.Context) (answer, Outcome) {
		return func(ctx context.Context) (answer, Outcome) {
			call := g.Begin(ctx)
			defer call.End()
			v, _ := Hedged(&call, func(ctx context.Context) (answer, error) {
				a := answer{key, version.Load()}
				for range random % 5 {
					runtime.Gosched()
				}
				switch {
				case random%7 == 0:
					return answer{}, errPeer
				case random%11 == 0:
					panic("boom")
				case random%13 == 0:
					runtime.Goexit()
				case random%17 == 0:
					<-ctx.Done()
					return answer{}, ctx.Err()
				}
				return a, nil
			})
			return v, call.Outcome()
		}
	}
	var group sync.WaitGroup
	callers := 8
	for i := range callers {
		random := rand.New(rand.NewPCG(uint64(i), 1))
		group.Go(func() {
			defer done.Add(1)
			for range 1000 {
				var one sync.WaitGroup
				key, n, least := random.IntN(12), random.Uint64(), cleared.Load()
				patience := time.Duration(random.IntN(200)) * time.Microsecond
				one.Go(func() {
					defer func() { _ = recover() }()
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					defer cancel()
					v, ok := c.Get(key)
					if !ok {
						var o Outcome
						if v, o = c.Fill(ctx, key, read(key, n)); o.Err() != nil {
							return
						}
					}
					if v.key != key || v.version < least {
						t.Errorf("asked for %d of %d or later, got %+v", key, least, v)
					}
				})
				one.Wait()
			}
		})
	}
	group.Go(func() {
		for i := 0; done.Load() < int64(callers); i++ {
			switch i % 4 {
			case 0:
				now := version.Add(1)
				rt.ClearCaches()
				cleared.Store(now)
			case 1:
				_ = rt.Update("attacked", func(p *Policy) error { p.Caching.MaxEntries = i%16 + 1; return nil })
			case 2:
				rt.SetEnabled(i%8 == 2)
			case 3:
				_, _ = rt.Caches(), rt.Stats()
			}
			runtime.Gosched()
		}
	})
	group.Wait()
	rt.SetEnabled(true)
	for rt.Abandoned() > 0 {
		runtime.Gosched()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.flights) != 0 || len(c.ring) != len(c.slots) || len(c.ring) > 16 {
		t.Errorf("%d in flight, %d of %d kept", len(c.flights), len(c.ring), len(c.slots))
	}
	for i, s := range c.ring {
		if c.slots[s.key] != s || s.kept.Load() == nil {
			t.Errorf("place %s is of nobody", strconv.Itoa(i))
		}
	}
}
