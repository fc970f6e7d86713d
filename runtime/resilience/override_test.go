package resilience

import (
	"context"
	"math/rand/v2"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSetOverridesIsRefused(t *testing.T) {
	rt := &Runtime{}
	g := rt.Wrap("p.G", 1).Guard("M", Policy{Retry: Retry{MaxAttempts: 2}, Breaker: Breaker{MinimumCalls: 10}})
	rt.Wrap("p.H", 1).Guard("M", Policy{Bulkhead: Bulkhead{On: true}})
	before := g.plan.Load()
	for _, c := range []struct {
		o    Override
		want string
	}{
		{Override{"p.G.M", "retry.retryOn", "x", "f:1:2"}, "f:1:2: retry.retryOn: compiled in: change the policy file and generate again"},
		{Override{"p.G.M", "chaos.result", "x", "f:1:2"}, "f:1:2: chaos.result: compiled in: change the policy file and generate again"},
		{Override{"p.G.M", "statusOf", "x", "f:1:2"}, "f:1:2: statusOf: compiled in: change the policy file and generate again"},
		{Override{"p.G.M", "fallback", none, "f:1:2"}, "f:1:2: fallback: compiled in: change the policy file and generate again"},
		{Override{"p.G.M", "retry.maxRetries", "1", "f:1:2"}, "f:1:2: retry.maxRetries: there is no such key, or it may not change at run time"},
		{Override{"p.G.M", "retry", "false", "f:1:2"}, `f:1:2: retry: wants none or true, not "false"`},
		{Override{"p.G", "bulkhead.maxWait", "1s", ""}, "p.G: bulkhead.maxWait: the generated policy has none, and what is not compiled in cannot be switched on"},
		{Override{"p.G", "bulkhead", none, "f:1:2"}, "f:1:2: bulkhead: the generated policy has none, and what is not compiled in cannot be switched on"},
		{Override{"p.G", "circuitBreaker.window.duration", "1s", "f:1:2"}, "f:1:2: circuitBreaker.window.duration: acts on nothing beside the other values"},
		{Override{"p.G", disable, "retry,x", "f:1:2"}, "f:1:2: disable: there is no part x to take out, only " + strings.Join(allParts(), ", ")},
		{Override{"p.G", "preset", "production", "f:1:2"}, "f:1:2: preset: a preset is for everything"},
		{Override{"", "preset", "prod", "f:1:2"}, `f:1:2: preset: "prod" is none of production, development, testing`},
		{Override{"p.X", "retry", none, "f:1:2"}, `f:1:2: retry: there is no interface and no method "p.X" with a policy (did you mean p.G?)`},
		{Override{"p.G.X*", "retry", none, "f:1:2"}, `f:1:2: retry: there is no interface and no method "p.G.X*" with a policy (did you mean p.G.M?)`},
		{Override{"quite.Another", "retry", none, "f:1:2"}, `f:1:2: retry: there is no interface and no method "quite.Another" with a policy`},
	} {
		// What is right beside it is not in force either.
		err := rt.SetOverrides([]Override{{Name: "p.G", Key: "retry.maxAttempts", Value: "9"}, c.o})
		if err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v", c.o, err)
		}
		if g.plan.Load() != before || rt.overrides.listed != nil {
			t.Fatalf("%+v: something changed", c.o)
		}
	}
}

func allParts() (keys []string) {
	for _, p := range policyParts {
		keys = append(keys, p.key)
	}
	return keys
}

// TestPresetOfOverrides: a file's preset wins over the program's, and not over
// that of the environment.
func TestPresetOfOverrides(t *testing.T) {
	rt := &Runtime{enabled: map[string]bool{}}
	g := rt.Wrap("p.G", 1).Guard("M", Policy{Preset: Testing, Retry: Retry{On: true}})
	see := func(when string, want int) {
		t.Helper()
		attempts := 0
		if p := g.plan.Load(); p != nil {
			attempts = int(p.attempts)
		}
		if attempts != want {
			t.Errorf("%s: %d attempts, want %d", when, attempts, want)
		}
	}
	see("generated for tests: off", 0)
	rt.Apply(Development)
	see("the program's", 3)
	if err := rt.SetOverrides([]Override{{Key: "preset", Value: "production", Origin: "f:1:2"}}); err != nil {
		t.Fatal(err)
	}
	see("the file's", 5)
	if text := rt.Explain(""); !strings.Contains(text, "preset                                   production       f:1:2") {
		t.Error(text)
	}
	if err := rt.readEnvironment([]string{"RESILIENCE_PRESET=testing"}); err != nil {
		t.Fatal(err)
	}
	rt.recompile()
	see("the environment's: off", 0)
}

func TestUpdateOfBreakersByKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Breaker: Breaker{PerKey: true, ConsecutiveFailures: 1, OpenDuration: time.Minute}})
		try := func(key string, err error) error {
			call := g.BeginKey(t.Context(), key)
			defer call.End()
			for call.Next() {
				call.Record(err)
			}
			return call.Err()
		}
		_ = try("a", errPeer)
		mustUpdate(t, g, func(p *Policy) { p.Breaker.OpenDuration = time.Second; p.Breaker.ConsecutiveFailures = 2 })
		if try("a", nil) == nil {
			t.Error("a is closed")
		}
		time.Sleep(time.Second)
		if err := try("a", nil); err != nil {
			t.Errorf("a is open for longer than a second: %v", err)
		}
		_ = try("b", errPeer)
		if err := try("b", nil); err != nil {
			t.Errorf("b, made after the update, opened at the first failure: %v", err)
		}
	})
}

// TestBulkheadResizedAtRandom resizes a bulkhead under a random load: there are
// never more than the most slots since the last one was given back, nobody waits
// while a slot is free, and in the end all are free.
func TestBulkheadResizedAtRandom(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 4))
			b := newBulkhead("b", Bulkhead{MaxConcurrent: 3, MaxWait: time.Hour})
			var in, came atomic.Int64
			leave := make(chan struct{})
			limit, most := int64(3), int64(3)
			for step := range 200 {
				switch random.IntN(3) {
				case 0:
					came.Add(1)
					go func() {
						defer came.Add(-1)
						if b.acquire(context.Background(), 0, nil) == nil {
							in.Add(1)
							<-leave
							in.Add(-1)
							b.release()
						}
					}()
				case 1:
					select {
					case leave <- struct{}{}:
					default:
					}
				case 2:
					limit = int64(random.IntN(6))
					conf := Bulkhead{MaxConcurrent: int(limit), MaxWait: time.Hour}
					if limit == 0 {
						conf.MaxConcurrent = None
					}
					b.resize(conf)
				}
				synctest.Wait()
				n, waiting := in.Load(), came.Load()-in.Load()
				if most = max(limit, min(most, n)); n > most || waiting > 0 && n < limit || b.taken.Load() != n {
					t.Fatalf("seed %d step %d: %d in flight of %d, %d taken, %d wait", seed, step, n, limit, b.taken.Load(), waiting)
				}
			}
			b.resize(Bulkhead{MaxConcurrent: 1000, MaxWait: time.Hour})
			synctest.Wait()
			for came.Load() > 0 {
				leave <- struct{}{}
				synctest.Wait()
			}
			if n := b.taken.Load(); n != 0 {
				t.Errorf("seed %d: %d slots taken", seed, n)
			}
		})
	}
}

// TestGlobsAreThoseOfPath compares matches with path.Match on every short glob
// and text of few letters.
func TestGlobsAreThoseOfPath(t *testing.T) {
	var words func(letters []string, n int) []string
	words = func(letters []string, n int) []string {
		list := []string{""}
		if n == 0 {
			return list
		}
		for _, rest := range words(letters, n-1) {
			for _, l := range letters {
				list = append(list, l+rest)
			}
		}
		return list
	}
	texts := words([]string{"a", "é"}, 5)
	for _, glob := range words([]string{"a", "é", "*", "?"}, 4) {
		for _, text := range texts {
			if want, _ := path.Match(glob, text); matches(glob, text) != want {
				t.Errorf("matches(%q, %q) = %v", glob, text, !want)
			}
		}
	}
	if matches(strings.Repeat("*a", 1000), strings.Repeat("a", 999)+"b") {
		t.Error("a long glob matches")
	}
}
