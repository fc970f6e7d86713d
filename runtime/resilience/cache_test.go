package resilience

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// cachedCall is the body of a generated method.
func cachedCall(ctx context.Context, c *Cache[string, int], key string, f func(context.Context) (int, error)) (int, Outcome) {
	if v, ok := c.Get(key); ok {
		return v, Outcome{}
	}
	return c.Fill(ctx, key, func(ctx context.Context) (v int, _ Outcome) {
		var err error
		call := c.guard.Begin(ctx)
		defer call.End()
		for call.Next() {
			v, err = f(call.Context())
			call.Record(err)
		}
		return v, call.Outcome()
	})
}

// source answers 1, 2, 3 … after a second, or fails with err.
type source struct {
	mu    sync.Mutex
	calls int
	err   error
}

func (s *source) get(ctx context.Context) (int, error) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	return s.calls, s.err
}

func caching(t *testing.T, p Policy) *Cache[string, int] {
	t.Helper()
	return NewCache[string, int](mustGuard(t, p))
}

func TestCacheKeepsSuccessesForTheirTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := caching(t, Policy{Caching: Caching{TTL: time.Minute}}), &source{}
		for i, want := range []int{1, 1, 2} {
			if v, o := cachedCall(t.Context(), c, "a", s.get); v != want || o.Err() != nil {
				t.Errorf("call %d: %d, %v, want %d", i, v, o.Err(), want)
			}
			time.Sleep(30*time.Second - time.Duration(i)*time.Nanosecond)
			if i == 1 {
				time.Sleep(time.Second)
			}
		}
		if v, _ := cachedCall(t.Context(), c, "b", s.get); v != 3 {
			t.Errorf("another key got %d", v)
		}
		if got := c.snapshot(); got.Hits != 1 || got.Misses != 3 || got.Entries != 2 {
			t.Errorf("%+v", got)
		}
	})
}

func TestCacheKeepsNoErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := caching(t, Policy{Caching: Caching{TTL: time.Minute}}), &source{err: errors.New("failing")}
		for range 2 {
			if _, o := cachedCall(t.Context(), c, "a", s.get); o.Err() != s.err {
				t.Errorf("got %v", o.Err())
			}
		}
		if s.calls != 2 {
			t.Errorf("%d executions, want 2", s.calls)
		}
	})
}

func TestCacheRemembersErrorsForTheirTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := caching(t, Policy{Caching: Caching{TTL: time.Minute, NegativeTTL: 10 * time.Second}, Fallback: Fallback{On: true}})
		s := &source{err: errors.New("failing")}
		for range 3 {
			if _, o := cachedCall(t.Context(), c, "a", s.get); o.Err() != s.err || !o.WantsFallback() {
				t.Errorf("got %v, fallback %v", o.Err(), o.WantsFallback())
			}
		}
		time.Sleep(10 * time.Second)
		_, _ = cachedCall(t.Context(), c, "a", s.get)
		if s.calls != 2 {
			t.Errorf("%d executions, want 2", s.calls)
		}
	})
}

// What the caller ended, and what a policy of ours rejected, says nothing of the
// key.
func TestCacheRemembersNoRejections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := caching(t, Policy{Caching: Caching{TTL: time.Minute, NegativeTTL: time.Hour}, Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Second}})
		s := &source{err: errors.New("failing")}
		_, _ = cachedCall(t.Context(), c, "a", s.get)
		if _, o := cachedCall(t.Context(), c, "b", s.get); !errors.Is(o.Err(), ErrCircuitOpen) {
			t.Fatal(o.Err())
		}
		time.Sleep(time.Second)
		s.err = nil
		if v, o := cachedCall(t.Context(), c, "b", s.get); v != 2 || o.Err() != nil {
			t.Errorf("%d, %v", v, o.Err())
		}
		s.err = context.Canceled
		for range 2 {
			_, _ = cachedCall(t.Context(), c, "c", s.get)
		}
		if s.calls != 4 {
			t.Errorf("%d executions, want 4", s.calls)
		}
	})
}

func TestStaleValueAnswersForAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := caching(t, Policy{Caching: Caching{TTL: time.Minute, StaleOnError: time.Minute}}), &source{}
		_, _ = cachedCall(t.Context(), c, "a", s.get)
		time.Sleep(time.Minute)
		s.err = errors.New("failing")
		if v, o := cachedCall(t.Context(), c, "a", s.get); v != 1 || o.Err() != nil {
			t.Errorf("%d, %v, want the old value", v, o.Err())
		}
		if got := c.snapshot(); got.Stale != 1 || got.Misses != 2 {
			t.Errorf("%+v", got)
		}
		time.Sleep(time.Minute)
		if _, o := cachedCall(t.Context(), c, "a", s.get); o.Err() != s.err {
			t.Errorf("too old a value answered: %v", o.Err())
		}
	})
}

// A permanent error is an answer: what was there is no more.
func TestPermanentErrorTakesTheStaleValueAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := caching(t, Policy{Caching: Caching{TTL: time.Minute, StaleOnError: time.Hour}}), &source{}
		_, _ = cachedCall(t.Context(), c, "a", s.get)
		time.Sleep(time.Minute)
		for _, err := range []error{Permanent(errors.New("gone")), errors.New("failing")} {
			s.err = err
			if _, o := cachedCall(t.Context(), c, "a", s.get); !errors.Is(o.Err(), err) {
				t.Errorf("got %v, want %v", o.Err(), err)
			}
		}
	})
}

func TestStaleValueAnswersWhileTheFailureIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := caching(t, Policy{Caching: Caching{TTL: time.Minute, StaleOnError: time.Hour, NegativeTTL: time.Minute}}), &source{}
		_, _ = cachedCall(t.Context(), c, "a", s.get)
		time.Sleep(time.Minute)
		s.err = errors.New("failing")
		for range 3 {
			if v, o := cachedCall(t.Context(), c, "a", s.get); v != 1 || o.Err() != nil {
				t.Errorf("%d, %v, want the old value", v, o.Err())
			}
		}
		if s.calls != 2 || c.snapshot().Stale != 3 {
			t.Errorf("%d executions, want 2; %+v", s.calls, c.snapshot())
		}
	})
}

func TestUnwantedResultIsNotKept(t *testing.T) {
	g := mustGuard(t, Policy{Caching: Caching{TTL: time.Minute}})
	c := NewCache[string, int](g)
	for want := range 2 {
		v, o := c.Fill(t.Context(), "a", func(ctx context.Context) (int, Outcome) {
			call := g.Begin(ctx)
			defer call.End()
			for call.Next() {
				call.RecordResult(nil, false, true)
			}
			return want, call.Outcome()
		})
		if v != want || o.Err() != nil {
			t.Errorf("%d, %v, want %d", v, o.Err(), want)
		}
	}
}

type valueKey struct{}

// Calls of one key share an execution under the first one's values; the first
// one may leave.
func TestConcurrentMissesShareOneExecution(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := caching(t, Policy{Caching: Caching{TTL: time.Minute}}), &source{}
		first, leave := context.WithCancel(context.WithValue(t.Context(), valueKey{}, "first"))
		seen := make(chan any, 1)
		get := func(ctx context.Context) (int, error) {
			seen <- ctx.Value(valueKey{})
			return s.get(ctx)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, o := cachedCall(first, c, "a", get); o.Err() != context.Canceled {
				t.Errorf("who left got %v", o.Err())
			}
		})
		synctest.Wait()
		for range 3 {
			wg.Go(func() {
				if v, o := cachedCall(t.Context(), c, "a", get); v != 1 || o.Err() != nil {
					t.Errorf("%d, %v", v, o.Err())
				}
			})
		}
		synctest.Wait()
		leave()
		wg.Wait()
		if got := c.snapshot(); s.calls != 1 || got.Misses != 1 || got.Shared != 3 || got.Hits != 0 || got.Entries != 1 {
			t.Errorf("%d executions; %+v", s.calls, got)
		}
		if v := <-seen; v != "first" {
			t.Errorf("the values of %v", v)
		}
	})
}

// When all have left the execution is cancelled, and who comes then begins anew.
func TestExecutionEndsWhenAllHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := caching(t, Policy{Caching: Caching{TTL: time.Minute}, Fallback: Fallback{On: true}})
		var ended atomic.Bool
		slow := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			ended.Store(true)
			time.Sleep(time.Second)
			return 7, nil
		}
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second)
				defer cancel()
				if _, o := cachedCall(ctx, c, "a", slow); o.Err() != context.DeadlineExceeded || o.WantsFallback() {
					t.Errorf("got %v, fallback %v", o.Err(), o.WantsFallback())
				}
				if i == 0 && ended.Load() {
					t.Error("the first one that left ended it")
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		if !ended.Load() || c.guard.rt.Abandoned() != 1 {
			t.Errorf("ended %v, %d abandoned", ended.Load(), c.guard.rt.Abandoned())
		}
		if v, o := cachedCall(t.Context(), c, "a", (&source{}).get); v != 1 || o.Err() != nil {
			t.Errorf("%d, %v: who came later shared what was cancelled", v, o.Err())
		}
		synctest.Wait()
		if c.guard.rt.Abandoned() != 0 {
			t.Error("still abandoned")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, o := cachedCall(ctx, c, "b", slow); o.Err() != context.Canceled {
			t.Errorf("got %v", o.Err())
		}
	})
}

func TestPanicOfTheExecutionReachesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := caching(t, Policy{Caching: Caching{TTL: time.Minute, NegativeTTL: time.Minute}})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				defer func() {
					p, ok := recover().(*PanicError)
					if !ok || p.Value != "boom" || !strings.Contains(string(p.Stack), "explode") {
						t.Errorf("got %v", p)
					}
				}()
				_, _ = cachedCall(t.Context(), c, "a", explode)
			})
		}
		wg.Wait()
		for range 3 {
			wg.Go(func() {
				returned := false
				defer func() {
					if v := recover(); v != nil || returned {
						t.Errorf("recovered %v, returned %v", v, returned)
					}
				}()
				_, _ = cachedCall(t.Context(), c, "a", func(context.Context) (int, error) {
					time.Sleep(time.Second)
					runtime.Goexit()
					return 0, nil
				})
				returned = true
			})
		}
		wg.Wait()
		if got := c.snapshot(); got.Misses != 2 || got.Entries != 0 || len(c.flights) != 0 {
			t.Errorf("%+v, %d in flight", got, len(c.flights))
		}
	})
}

func explode(context.Context) (int, error) {
	time.Sleep(time.Second)
	panic("boom")
}

func TestCacheIsSwitchedOff(t *testing.T) {
	g := mustGuard(t, Policy{Caching: Caching{TTL: time.Minute}})
	c := NewCache[string, int](g)
	n := 0
	get := func(context.Context) (int, error) { n++; return n, nil }
	_, _ = cachedCall(t.Context(), c, "a", get)
	g.rt.SetEnabled(false)
	for range 2 {
		_, _ = cachedCall(t.Context(), c, "a", get)
	}
	if n != 3 {
		t.Errorf("%d executions, want 3", n)
	}
	g.rt.SetEnabled(true)
	if v, _ := cachedCall(t.Context(), c, "a", get); v != 1 || n != 3 {
		t.Errorf("%d after %d executions", v, n)
	}
	g.rt.ClearCaches(g.name)
	if v, _ := cachedCall(t.Context(), c, "a", get); v != 4 || g.rt.Caches()[0].Entries != 1 {
		t.Errorf("%d, %+v", v, g.rt.Caches())
	}
}

func TestNaNIsNotCached(t *testing.T) {
	c := NewCache[float64, int](mustGuard(t, Policy{Caching: Caching{TTL: time.Minute}}))
	for range 3 {
		_, _ = c.Fill(t.Context(), math.NaN(), func(context.Context) (int, Outcome) { return 1, Outcome{} })
	}
	if len(c.flights)+len(c.slots) != 0 {
		t.Error("a key that cannot be found was kept")
	}
}

// Random histories against a map of what was stored when: a value is never
// another key's nor too old, there are never too many, and what was used last is
// kept.
func TestCacheAgainstAModel(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			limit := 1 + r.IntN(8)
			c := caching(t, Policy{Caching: Caching{TTL: time.Minute, MaxEntries: limit}})
			stored := map[string]time.Time{}
			last := ""
			for range 500 {
				key := strconv.Itoa(r.IntN(2 * limit))
				executed := false
				v, o := cachedCall(t.Context(), c, key, func(context.Context) (int, error) {
					executed = true
					if r.IntN(4) == 0 {
						return 0, errors.New("failing")
					}
					n, _ := strconv.Atoi(key)
					return n, nil
				})
				switch {
				case o.Err() == nil && strconv.Itoa(v) != key:
					t.Fatalf("seed %d: %s got %d", seed, key, v)
				case !executed && time.Since(stored[key]) >= time.Minute:
					t.Fatalf("seed %d: a value of %v ago", seed, time.Since(stored[key]))
				case executed && key == last && time.Since(stored[key]) < time.Minute:
					t.Fatalf("seed %d: %s was used last, and is gone", seed, key)
				}
				if last = ""; o.Err() == nil {
					last = key
					if executed {
						stored[key] = time.Now()
					}
				}
				if n := len(c.ring); n > limit || n != len(c.slots) {
					t.Fatalf("seed %d: %d entries, %d in the ring, of %d", seed, len(c.slots), n, limit)
				}
				time.Sleep(time.Duration(r.IntN(10)) * time.Second)
			}
			got := c.snapshot()
			if got.Hits+got.Misses != 500 || got.Hits == 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestCacheShrinks(t *testing.T) {
	g := mustGuard(t, Policy{Caching: Caching{TTL: time.Minute, MaxEntries: 10}})
	c := NewCache[string, int](g)
	get := func(context.Context) (int, error) { return 1, nil }
	for i := range 20 {
		_, _ = cachedCall(t.Context(), c, strconv.Itoa(i), get)
	}
	if err := g.rt.Update(g.name, func(p *Policy) error { p.Caching.MaxEntries = 3; return nil }); err != nil {
		t.Fatal(err)
	}
	_, _ = cachedCall(t.Context(), c, "new", get)
	if n := c.snapshot().Entries; n != 3 {
		t.Errorf("%d entries, want 3", n)
	}
}

// Many callers, panics, cancellations and clearing at once.
func TestCacheUnderLoad(t *testing.T) {
	c := caching(t, Policy{Caching: Caching{TTL: time.Millisecond, StaleOnError: time.Millisecond, NegativeTTL: time.Microsecond, MaxEntries: 4}})
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(n)))
			for range 500 {
				func() {
					defer func() { _ = recover() }()
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(200))*time.Microsecond)
					defer cancel()
					key := strconv.Itoa(r.IntN(8))
					choice := r.IntN(10)
					v, o := cachedCall(ctx, c, key, func(context.Context) (int, error) {
						switch choice {
						case 0:
							panic("boom")
						case 1:
							return 0, errors.New("failing")
						}
						n, _ := strconv.Atoi(key)
						return n, nil
					})
					if o.Err() == nil && strconv.Itoa(v) != key {
						t.Errorf("%s got %d", key, v)
					}
					if choice == 2 {
						c.clear()
					}
				}()
			}
		})
	}
	wg.Wait()
	for c.guard.rt.Abandoned() > 0 {
		runtime.Gosched()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.flights) != 0 || len(c.slots) != len(c.ring) || len(c.ring) > 4 {
		t.Errorf("%d in flight, %d slots, %d in the ring", len(c.flights), len(c.slots), len(c.ring))
	}
}

func TestCacheHitAllocatesNothing(t *testing.T) {
	c := caching(t, Policy{Caching: Caching{TTL: time.Hour}})
	get := func(context.Context) (int, error) { return 1, nil }
	for i := range 100 {
		_, _ = cachedCall(t.Context(), c, strconv.Itoa(i), get)
	}
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		if _, ok := c.Get("17"); !ok {
			_, _ = cachedCall(ctx, c, "17", get)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCachingIsChecked(t *testing.T) {
	var rt Runtime
	for _, conf := range []Caching{{MaxEntries: 3}, {TTL: -1}, {TTL: time.Second, MaxEntries: -1}} {
		if _, err := rt.Guard(fmt.Sprint(conf), Policy{Caching: conf}); err == nil {
			t.Errorf("%+v was accepted", conf)
		}
	}
}

func BenchmarkCacheHit(b *testing.B) {
	var rt Runtime
	g, _ := rt.Guard("hit", Policy{Caching: Caching{TTL: time.Hour}})
	c := NewCache[string, int](g)
	get := func(context.Context) (int, error) { return 1, nil }
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = "customer-" + strconv.Itoa(i)
	}
	for range 300 {
		for _, key := range keys {
			_, _ = cachedCall(b.Context(), c, key, get)
		}
	}
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			c.Get(keys[7])
		}
	})
	b.Run("many", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				c.Get(keys[i%len(keys)])
			}
		})
	})
	b.Run("clock", func(b *testing.B) {
		for b.Loop() {
			sinceEpoch()
		}
	})
}
