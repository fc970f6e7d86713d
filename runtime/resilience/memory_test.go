package resilience

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// TestMemoryOfGuards makes a thousand guards and measures what one takes: itself
// 2 KB, with the state of every part twice as much, with histograms no more than
// 24 KB in all.
func TestMemoryOfGuards(t *testing.T) {
	full := Policy{
		Timeout:   Timeout{Total: time.Second, Attempt: time.Second},
		Retry:     Retry{MaxAttempts: 3},
		Budget:    Budget{On: true},
		Breaker:   Breaker{ConsecutiveFailures: 5},
		Bulkhead:  Bulkhead{MaxConcurrent: 10},
		RateLimit: RateLimit{Limit: 1000},
		Fallback:  Fallback{On: true},
	}
	counted, timed := Policy{Breaker: Breaker{On: true}}, Policy{Breaker: Breaker{Window: Window{Type: TimeWindow}}}
	for _, c := range []struct {
		name   string
		o      Options
		policy Policy
		call   bool
		most   uint64
	}{
		{"retry alone", Options{}, Policy{Retry: Retry{On: true}}, false, 2 << 10},
		{"every part", Options{}, full, false, 4 << 10},
		{"a count window", Options{}, counted, false, 4 << 10},
		{"a time window", Options{}, timed, false, 4 << 10},
		{"every part without statistics, called", Options{DisableStats: true}, full, true, 4 << 10},
		{"every part without histograms, called", Options{DisableHistograms: true}, full, true, 8 << 10},
		{"every part, called", Options{}, full, true, 24 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			bytes := guardBytes(t, c.o, c.policy, c.call)
			for range 2 { // what tests before have left may be in the way
				bytes = min(bytes, guardBytes(t, c.o, c.policy, c.call))
			}
			t.Logf("%d bytes", bytes)
			if bytes > c.most {
				t.Errorf("%d bytes a guard, want at most %d", bytes, c.most)
			}
		})
	}
}

// guardBytes returns what one of a thousand guards takes.
func guardBytes(t *testing.T, o Options, p Policy, called bool) uint64 {
	rt, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	guards := make([]*Guard, 1000)
	bytes := allocated(func() {
		for i := range guards {
			if guards[i], err = rt.Guard(fmt.Sprint("guard", i), p); err != nil {
				t.Fatal(err)
			}
			if called {
				_ = Try(t.Context(), guards[i], func(context.Context) error { return nil })
			}
		}
	})
	runtime.KeepAlive(guards)
	runtime.KeepAlive(rt)
	return bytes / uint64(len(guards))
}

// TestMemoryOfRollingLimits fills a rolling limit, which remembers each permit of
// its period in 8 bytes.
func TestMemoryOfRollingLimits(t *testing.T) {
	const limit = 1 << 18
	bytes := rollingBytes(t, limit)
	for range 2 { // what tests before have left may be in the way
		bytes = min(bytes, rollingBytes(t, limit))
	}
	t.Logf("%d bytes for %d permits", bytes, limit)
	if bytes > 8*limit+64<<10 { // the rest is the statistics of one method
		t.Errorf("%d bytes, want 8 for each of %d permits", bytes, limit)
	}
}

// rollingBytes returns what a rolling limit takes that is full.
func rollingBytes(t *testing.T, limit int) uint64 {
	var rt Runtime
	g, err := rt.Guard("rolling", Policy{RateLimit: RateLimit{Mode: RollingLimit, Limit: limit, Period: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	bytes := allocated(func() {
		for range limit {
			if err := Try(t.Context(), g, func(context.Context) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
	})
	runtime.KeepAlive(g)
	return bytes
}

// allocated returns how much more is in use after f.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return after.HeapAlloc - before.HeapAlloc
}
