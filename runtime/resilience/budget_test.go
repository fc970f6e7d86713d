package resilience

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fast retries at once.
var fast = Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}}

func budgetOf(t *testing.T, g *Guard) BudgetSnapshot {
	t.Helper()
	list := g.rt.Budgets()
	if len(list) != 1 {
		t.Fatalf("budgets: %+v", list)
	}
	return list[0]
}

// retrying begins a call that fails once and then waits in its second attempt
// for stop; it reports how it ended.
func retrying(g *Guard, stop <-chan struct{}) <-chan error {
	done := make(chan error, 1)
	go func() {
		n := 0
		done <- Try(context.Background(), g, func(context.Context) error {
			if n++; n == 1 {
				return errPeer
			}
			<-stop
			return nil
		})
	}()
	synctest.Wait()
	return done
}

// peerFails makes a call whose delegate fails.
func peerFails(g *Guard) error {
	return Try(context.Background(), g, func(context.Context) error { return errPeer })
}

func TestBudgetHasAFloorAndAShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Retry: fast, Budget: Budget{Ratio: 0.5, MinConcurrency: 2}})
		stop := make(chan struct{})
		first, second := retrying(g, stop), retrying(g, stop)
		err := <-retrying(g, stop)
		if !errors.Is(err, ErrBudgetExhausted) || !errors.Is(err, errPeer) {
			t.Errorf("third: %v", err)
		}
		var e *Error
		if !errors.As(err, &e) || e.Attempts != 1 || e.Policy != "retry.budget" || !strings.Contains(e.Error(), "gave up after 1 attempt: retry budget exhausted: gateway: 503") {
			t.Errorf("%v of %+v", err, e)
		}
		// Two more calls in flight make room for a third one: half of six.
		var holding []func()
		for range 3 {
			call := g.Begin(t.Context())
			call.Next()
			holding = append(holding, call.End)
		}
		third := retrying(g, stop)
		if s := budgetOf(t, g); s.InFlight != 6 || s.Repeated != 3 || s.Refused != 1 {
			t.Errorf("%+v", s)
		}
		for _, end := range holding {
			end()
		}
		close(stop)
		for _, c := range []<-chan error{first, second, third} {
			if err := <-c; err != nil {
				t.Error(err)
			}
		}
		if s := budgetOf(t, g); s.InFlight != 0 || s.Repeated != 0 || s.Calls != 7 || s.Attempts != 10 || s.Amplification() != 10.0/7 {
			t.Errorf("%+v, amplification %v", s, s.Amplification())
		}
	})
}

// TestRetriesThatWaitCount: load that will come counts.
func TestRetriesThatWaitCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Retry: Retry{Backoff: Backoff{Strategy: Constant, InitialDelay: time.Minute, MaxDelay: time.Minute, Jitter: NoJitter}}, Budget: Budget{MinConcurrency: 1}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- peerFails(g) }()
		synctest.Wait()
		if err := peerFails(g); !errors.Is(err, ErrBudgetExhausted) {
			t.Errorf("beside one that waits: %v", err)
		}
		if err := <-done; !errors.Is(err, errPeer) || errors.Is(err, ErrBudgetExhausted) {
			t.Errorf("the one that waits: %v", err)
		}
		go func() { done <- Try(ctx, g, func(context.Context) error { return errPeer }) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if s := budgetOf(t, g); s.Repeated != 0 || s.InFlight != 0 {
			t.Errorf("a caller that left in its sleep holds on: %+v", s)
		}
	})
}

func TestBudgetSurvivesPanicAndGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Retry: fast, Budget: Budget{MinConcurrency: 1}})
		for _, die := range []func(){func() { panic("x") }, runtime.Goexit} {
			go func() {
				defer func() { _ = recover() }()
				n := 0
				_ = Try(context.Background(), g, func(context.Context) error {
					if n++; n == 2 {
						die()
					}
					return errPeer
				})
			}()
			synctest.Wait()
		}
		if s := budgetOf(t, g); s.InFlight != 0 || s.Repeated != 0 || s.Attempts != 4 {
			t.Errorf("%+v", s)
		}
	})
}

func TestBudgetIsSharedByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &Runtime{}
		p := Policy{Retry: fast, Budget: Budget{Name: "peer", MinConcurrency: 1}}
		a, err := rt.Guard("a", p)
		b, err2 := rt.Guard("b", p)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		stop := make(chan struct{})
		first := retrying(a, stop)
		if err := peerFails(b); !errors.Is(err, ErrBudgetExhausted) {
			t.Error(err)
		}
		close(stop)
		<-first
		p.Budget.MinConcurrency = 2
		if _, err := rt.Guard("c", p); err == nil || !strings.Contains(err.Error(), `c: retry.budget "peer" has other numbers in a`) {
			t.Error(err)
		}
		if list := rt.Budgets(); len(list) != 1 || list[0].Name != "peer" || list[0].Calls != 2 {
			t.Errorf("%+v", list)
		}
	})
}

func TestPresetsBringABudget(t *testing.T) {
	for _, c := range []struct {
		preset Preset
		given  Budget
		want   Budget
	}{
		{NoPreset, Budget{}, Budget{}},
		{Development, Budget{}, Budget{}},
		{Production, Budget{}, Budget{On: true, Ratio: 0.2, MinConcurrency: 3}},
		{Production, Budget{Ratio: None}, Budget{}},
		{Production, Budget{Ratio: 0.5}, Budget{On: true, Ratio: 0.5, MinConcurrency: 3}},
		{NoPreset, Budget{MinConcurrency: None}, Budget{On: true, Ratio: 0.2}},
		{NoPreset, Budget{On: true}, Budget{On: true, Ratio: 0.2, MinConcurrency: 3}},
	} {
		g := mustGuard(t, Policy{Preset: c.preset, Retry: fast, Budget: c.given})
		var got Budget
		if b := g.plan.Load().budget; b != nil {
			got = *b.conf.Load()
		}
		if got != c.want {
			t.Errorf("preset %d, %+v: %+v, want %+v", c.preset, c.given, got, c.want)
		}
	}
	rt := &Runtime{}
	if rt.API("peer").plan.Load().budget == nil {
		t.Error("the built-in policy has no budget")
	}
	g := mustGuard(t, Policy{Preset: Production, Bulkhead: Bulkhead{On: true}})
	if g.plan.Load().budget != nil {
		t.Error("a budget where nothing is retried")
	}
}

// TestRefusedResults: a result that is not wanted is what the caller gets, as
// when attempts are used up.
func TestRefusedResults(t *testing.T) {
	for _, fail := range []bool{false, true} {
		r := fast
		r.FailOnExhaustedResult = fail
		g := mustGuard(t, Policy{Retry: r, Budget: Budget{MinConcurrency: None, Ratio: 0.1}})
		call := g.Begin(t.Context())
		for call.Next() {
			call.RecordResult(nil, true, false)
		}
		err := call.Err()
		call.End()
		if fail != errors.Is(err, ErrUnwantedResult) || fail != errors.Is(err, ErrBudgetExhausted) || !fail && err != nil {
			t.Errorf("fail %v: %v", fail, err)
		}
	}
}

// TestRefusedRejections: what was to be retried is a rejection.
func TestRefusedRejections(t *testing.T) {
	g := mustGuard(t, Policy{
		Retry: Retry{RetryOn: Matcher{Any: true, Kinds: KindCircuitOpen}, Backoff: Backoff{Strategy: NoBackoff}}, Fallback: Fallback{ApplyOn: Matcher{Kinds: KindBudgetExhausted}},
		Breaker: Breaker{Mode: ForcedOpen}, Budget: Budget{MinConcurrency: None, Ratio: 0.1},
	})
	call := g.Begin(t.Context())
	defer call.End()
	for call.Next() {
		t.Error("let in")
	}
	if err := call.Err(); !errors.Is(err, ErrBudgetExhausted) || !errors.Is(err, ErrCircuitOpen) || !call.WantsFallback() {
		t.Errorf("%v, wants fallback: %v", err, call.WantsFallback())
	}
}

func TestBudgetExhaustedIsAKind(t *testing.T) {
	g := mustGuard(t, Policy{Retry: fast, Budget: Budget{MinConcurrency: None, Ratio: 0.1}})
	k, _ := (&Errors{}).kindsOf(peerFails(g))
	if k&KindBudgetExhausted == 0 || k&floor != 0 {
		t.Errorf("kinds %b", k)
	}
}

// TestBudgetAgainstModel plays random calls beside a list of those in flight.
func TestBudgetAgainstModel(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 3))
		conf := Budget{Ratio: 0.05 + 0.9*random.Float64(), MinConcurrency: 1 + random.IntN(4)}
		g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 1000, Backoff: Backoff{Strategy: NoBackoff}}, Budget: conf})
		type flight struct {
			call     *Call
			repeated bool
		}
		var flying []*flight
		refused, calls, attempts := int64(0), int64(0), int64(0)
		for range 500 {
			switch n := random.IntN(3); {
			case n == 0 || len(flying) == 0:
				call := g.Begin(t.Context())
				call.Next()
				flying = append(flying, &flight{call: &call})
			case n == 1:
				i := random.IntN(len(flying))
				f := flying[i]
				repeated := 0
				for _, other := range flying {
					if other.repeated {
						repeated++
					}
				}
				may := f.repeated || repeated < max(conf.MinConcurrency, int(conf.Ratio*float64(len(flying))))
				f.call.Record(errPeer)
				if got := f.call.Next(); got != may {
					t.Fatalf("seed %d %+v: %d of %d repeated: %v, want %v", seed, conf, repeated, len(flying), got, may)
				}
				f.repeated = f.repeated || may
				if !may {
					refused++
					attempts, calls = attempts+int64(f.call.attempts), calls+1
					f.call.End()
					flying = slices.Delete(flying, i, i+1)
				}
			default:
				i := random.IntN(len(flying))
				flying[i].call.Record(nil)
				flying[i].call.End()
				attempts, calls = attempts+int64(flying[i].call.attempts), calls+1
				flying = slices.Delete(flying, i, i+1)
			}
			if s := budgetOf(t, g); s.Refused != refused || s.Calls != calls || s.Attempts != attempts || s.InFlight != int64(len(flying)) {
				t.Fatalf("seed %d: %+v, want %d refused, %d calls, %d attempts, %d in flight", seed, s, refused, calls, attempts, len(flying))
			}
		}
	}
}

// TestBudgetAmongGoroutines: nothing is lost and the floor is never passed.
func TestBudgetAmongGoroutines(t *testing.T) {
	g := mustGuard(t, Policy{Retry: fast, Budget: Budget{Ratio: 0.01, MinConcurrency: 4}})
	b := g.plan.Load().budget
	run(64, func(n int) {
		for i := range 300 {
			_ = Try(context.Background(), g, func(context.Context) error {
				if got := b.repeated.Load(); got > 4 {
					t.Errorf("%d repeated at a time", got)
				}
				if (n+i)%3 == 0 {
					return nil
				}
				return errPeer
			})
		}
	})
	if s := budgetOf(t, g); s.InFlight != 0 || s.Repeated != 0 || s.Calls != 64*300 {
		t.Errorf("%+v", s)
	}
}

func TestBudgetDoesNotAllocate(t *testing.T) {
	g := mustGuard(t, Policy{Retry: Retry{On: true}, Budget: Budget{On: true}})
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() { _ = viaGuard(ctx, g) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkBudget(b *testing.B) {
	for name, p := range map[string]Policy{"without": {Retry: fast}, "with": {Retry: fast, Budget: Budget{On: true}}} {
		b.Run(name, func(b *testing.B) {
			g := mustGuard(b, p)
			ctx := context.Background()
			for b.Loop() {
				_ = viaGuard(ctx, g)
			}
		})
	}
}
