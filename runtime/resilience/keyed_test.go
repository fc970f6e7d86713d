package resilience

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func keyedGuard(t testing.TB, maxKeys int) *Guard {
	return mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: 10 * time.Second, PerKey: true, MaxKeys: maxKeys}})
}

func tryKey(t testing.TB, g *Guard, key string, result error) error {
	call := g.BeginKey(t.Context(), key)
	defer call.End()
	for call.Next() {
		call.Record(result)
	}
	return call.Err()
}

func TestEveryKeyHasItsBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := keyedGuard(t, 10)
		tryKey(t, g, "eu", errPeer)
		if err := tryKey(t, g, "eu", nil); !errors.Is(err, ErrCircuitOpen) {
			t.Errorf("eu: %v", err)
		}
		if err := tryKey(t, g, "us", nil); err != nil {
			t.Errorf("us: %v", err)
		}
		name := "payments.Gateway.Charge[eu]"
		if b := g.rt.Breaker(name); b == nil || b.Snapshot().State != StateOpen {
			t.Errorf("handle of eu: %v", b)
		}
		var names []string
		for _, b := range g.rt.Breakers() {
			names = append(names, b.Name())
		}
		if want := []string{name, "payments.Gateway.Charge[us]"}; !slices.Equal(names, want) {
			t.Errorf("breakers %v, want %v", names, want)
		}
		g.rt.Breaker(name).Close()
		if err := tryKey(t, g, "eu", nil); err != nil {
			t.Errorf("eu, closed by hand: %v", err)
		}
	})
}

// TestUnusedKeyGoes: the marks of CLOCK keep who was used since the hand passed.
func TestUnusedKeyGoes(t *testing.T) {
	g := keyedGuard(t, 3)
	has := func(key string) bool { return g.rt.Breaker("payments.Gateway.Charge["+key+"]") != nil }
	for _, key := range []string{"a", "b", "c", "a", "c"} {
		tryKey(t, g, key, nil)
	}
	tryKey(t, g, "d", nil)
	if !has("a") || has("b") || !has("c") || !has("d") {
		t.Errorf("%v", g.rt.Breakers())
	}
}

func TestOpenAndBusyKeysStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := keyedGuard(t, 2)
		tryKey(t, g, "open", errPeer)
		busy := g.BeginKey(t.Context(), "busy")
		busy.Next()
		for n := range 5 { // all of them share the last breaker
			if err := tryKey(t, g, fmt.Sprint("new", n), nil); err != nil {
				t.Error(err)
			}
		}
		tryKey(t, g, "new5", errPeer)
		if err := tryKey(t, g, "new6", nil); !errors.Is(err, ErrCircuitOpen) {
			t.Errorf("overflow does not share: %v", err)
		}
		if got := len(g.rt.Breakers()); got != 3 {
			t.Errorf("%d breakers, want open, busy and the shared one", got)
		}
		busy.Record(nil)
		busy.End()
		tryKey(t, g, "place", nil)
		if g.rt.Breaker("payments.Gateway.Charge[place]") == nil || g.rt.Breaker("payments.Gateway.Charge[open]") == nil {
			t.Errorf("%v", g.rt.Breakers())
		}
		// A peer that died for good does not keep its place for ever.
		time.Sleep(time.Minute)
		again := g.BeginKey(t.Context(), "place")
		defer again.End()
		tryKey(t, g, "later", nil)
		if g.rt.Breaker("payments.Gateway.Charge[later]") == nil {
			t.Errorf("%v", g.rt.Breakers())
		}
	})
}

// TestKeysUnderLoad: 64 goroutines, more keys than places, panics among them;
// at the end nothing is in flight and the limit holds.
func TestKeysUnderLoad(t *testing.T) {
	g := mustGuard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1000, PerKey: true, MaxKeys: 16}})
	run(64, func(n int) {
		for i := range 300 {
			func() {
				defer func() { _ = recover() }()
				call := g.BeginKey(context.Background(), fmt.Sprint((n*7+i)%40))
				defer call.End()
				for call.Next() {
					if i%50 == 0 {
						panic("peer")
					}
					call.Record(nil)
				}
			}()
		}
	})
	keys := g.plan.Load().keys
	for _, b := range append(keys.ring, keys.overflow) {
		if n := b.calls.Load(); n != 0 {
			t.Errorf("%s: %d calls in flight", b.what.(*breaker).name, n)
		}
	}
	if len(keys.ring) > 16 {
		t.Errorf("%d keys", len(keys.ring))
	}
}

func TestKnownKeyDoesNotAllocate(t *testing.T) {
	g := keyedGuard(t, 10)
	key := string([]byte("a key that is longer than what Go keeps without allocating"))
	if n := testing.AllocsPerRun(100, func() { tryKey(t, g, key, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPerKeyWithoutKey(t *testing.T) {
	g := keyedGuard(t, 10)
	if err := Try(t.Context(), g, func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
	if g.rt.Breaker("payments.Gateway.Charge[]") == nil {
		t.Error("no breaker for the empty key")
	}
	g.rt.SetEnabled(false)
	if err := tryKey(t, g, "eu", errPeer); err != errPeer {
		t.Errorf("switched off: %v", err)
	}
}

func BenchmarkPerKey(b *testing.B) {
	g := keyedGuard(b, 10)
	for b.Loop() {
		call := g.BeginKey(context.Background(), "eu-west-1.example.com")
		for call.Next() {
			call.Record(nil)
		}
		call.End()
	}
}

func TestDisabledKeyStays(t *testing.T) {
	g := keyedGuard(t, 1)
	tryKey(t, g, "a", nil)
	b := g.rt.Breaker("payments.Gateway.Charge[a]")
	b.Disable()
	tryKey(t, g, "b", nil)
	if g.rt.Breaker("payments.Gateway.Charge[a]") == nil {
		t.Error("what an operator disabled was evicted")
	}
}

func TestKeyedCallsStayBalancedDuringEviction(t *testing.T) {
	g := keyedGuard(t, 1)
	tryKey(t, g, "open", errPeer) // never goes
	run(8, func(n int) {
		for i := range 20000 {
			if n%2 == 0 {
				tryKey(t, g, fmt.Sprint("new", i), nil)
			} else {
				tryKey(t, g, "open", nil)
			}
		}
	})
	if n := g.plan.Load().keys.ring[0].calls.Load(); n != 0 {
		t.Errorf("%d calls in flight for ever", n)
	}
}

// TestKeyedRejectionDoesNotAllocate has two keys whose breakers are open.
func TestKeyedRejectionDoesNotAllocate(t *testing.T) {
	g := keyedGuard(t, 10)
	_, _ = tryKey(t, g, "eu", errPeer), tryKey(t, g, "us", errPeer)
	if n := testing.AllocsPerRun(100, func() { _, _ = tryKey(t, g, "eu", nil), tryKey(t, g, "us", nil) }); n != 0 {
		t.Errorf("%v allocations for two rejections, want 0", n)
	}
}

func TestOverflowHasANameOfItsOwn(t *testing.T) {
	g := keyedGuard(t, 1)
	tryKey(t, g, "", errPeer)
	tryKey(t, g, "x", errPeer)
	bs := g.rt.Breakers()
	if len(bs) != 2 || bs[0].Name() == bs[1].Name() {
		t.Errorf("%d %s", len(bs), bs[0].Name())
	}
}
