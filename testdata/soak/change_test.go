package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

func micros(least, most int) time.Duration {
	return time.Duration(least+rand.IntN(most-least+1)) * time.Microsecond
}

func some(name string) string { return "soak.Peer." + names[rand.IntN(int(mBare))] + "@" + name }

func anywhere() string {
	if rand.IntN(2) == 0 {
		return some("exact")
	}
	return some("switched")
}

// update gives a method other numbers.
func (s *soak) update(context.Context) error { return s.rt.Update(anywhere(), renumber) }

// renumber changes the numbers that p has. Bulkheads and limits never get more
// than they had.
func renumber(p *resilience.Policy) error {
	if p.Retry.MaxAttempts > 0 {
		p.Retry.MaxAttempts = 2 + rand.IntN(3)
		p.Retry.Backoff.InitialDelay = micros(50, 400)
	}
	if p.Timeout.Attempt > 0 {
		p.Timeout.Attempt = micros(800, 5000)
	}
	if p.Hedge.Delay > 0 {
		p.Hedge.Delay = micros(50, 600)
		p.Hedge.MaxHedges = 1 + rand.IntN(3)
	}
	if p.Breaker.OpenDuration > 0 && p.Breaker.Name == "" {
		p.Breaker.OpenDuration = micros(500, 6000)
		p.Breaker.Mode = []resilience.BreakerMode{resilience.Enforce, resilience.Enforce, resilience.Shadow, resilience.Disabled}[rand.IntN(4)]
	}
	if p.Breaker.Window.Duration > 0 && p.Breaker.Name == "" {
		p.Breaker.Window.Duration = micros(200_000, 203_000)
	}
	if p.Bulkhead.MaxConcurrent > 0 && p.Bulkhead.Name == "" {
		p.Bulkhead.MaxConcurrent = 2 + rand.IntN(3)
		p.Bulkhead.MaxWait = micros(100, 2000)
	}
	if p.RateLimit.Limit > 0 && p.RateLimit.Limit <= 40 {
		p.RateLimit.Limit = 10 + rand.IntN(31)
		p.RateLimit.MaxWait = micros(0, 4000)
	}
	if p.Adaptive.MaxLimit > 0 {
		p.Adaptive.MaxLimit = 10 + rand.IntN(20)
	}
	if p.Caching.TTL > 0 {
		p.Caching.TTL = micros(500, 3000)
		p.Caching.MaxEntries = 4 + rand.IntN(12)
	}
	return nil
}

// disable takes parts out of a method, or puts them back.
func (s *soak) disable(context.Context) error {
	var parts []string
	for _, part := range []string{"retry", "retry.budget", "hedge", "timeout", "circuitBreaker", "adaptive", "fallback", "chaos"} {
		if rand.IntN(10) == 0 {
			parts = append(parts, part)
		}
	}
	return s.rt.Disable(parts, anywhere())
}

func (s *soak) preset(context.Context) error {
	s.rt.Apply([]resilience.Preset{0, resilience.Production, resilience.Development}[rand.IntN(3)])
	return nil
}

// turn switches what is not counted exactly.
func (s *soak) turn(context.Context) error {
	name := some("switched")
	if rand.IntN(10) == 0 {
		name = "soak.Peer@switched"
	}
	s.rt.SetEnabled(rand.IntN(3) > 0, name)
	if rand.IntN(3) > 0 {
		return nil
	}
	return s.rt.Disable([]string{"bulkhead", "rateLimit", "cache", "timeout"}[:rand.IntN(5)], some("switched"))
}

// breaker does what operators do.
func (s *soak) breaker(ctx context.Context) error {
	list := s.rt.Breakers()
	if len(list) == 0 {
		return nil
	}
	b := list[rand.IntN(len(list))]
	if b.Name() == shared {
		return nil
	}
	switch rand.IntN(5) {
	case 0:
		b.ForceOpen()
		_ = sleep(ctx, micros(0, 2000))
		b.Close()
	case 1:
		b.Disable()
		_ = sleep(ctx, micros(0, 2000))
		b.Close()
	case 2:
		b.Snapshot()
	case 3:
		b.Close()
	default:
		if strings.Contains(b.Name(), "@switched") {
			b.Reset()
		}
	}
	return nil
}

// outage has every delegate fail for a while.
func (s *soak) outage(ctx context.Context) error {
	_ = sleep(ctx, 200*time.Millisecond)
	p := s.exact
	if rand.IntN(3) == 0 {
		p = s.switched
	}
	p.down.Store(true)
	_ = sleep(ctx, micros(5_000, 40_000))
	p.down.Store(false)
	return nil
}

// reader looks at everything there is to see, and that no counter falls.
func (s *soak) reader() func(context.Context) error {
	before := map[string]resilience.Counters{}
	return func(context.Context) error {
		most, made := callers+s.rt.Abandoned(), s.made()
		stats := s.rt.Stats()
		most += s.made() - made // which it may count among those it found, having been interrupted
		for _, m := range stats.Methods {
			if fell(before[m.Name], m.Total) {
				return fmt.Errorf("%s: a counter fell: %+v, then %+v", m.Name, before[m.Name], m.Total)
			}
			if m.InFlight < 0 || m.InFlight > most {
				return fmt.Errorf("%s: %d in flight, at most %d calls are", m.Name, m.InFlight, most)
			}
			before[m.Name] = m.Total
		}
		for _, b := range s.rt.Budgets() {
			if b.InFlight < 0 || b.Repeated < 0 {
				return fmt.Errorf("budget %s: %d in flight, %d repeated", b.Name, b.InFlight, b.Repeated)
			}
		}
		_ = s.rt.Explain(anywhere())
		_, _, _, _ = s.rt.Policies(), s.rt.Caches(), s.rt.AdaptiveLimits(), s.rt.Limiters()
		_ = s.rt.Health().Snapshot()
		return nil
	}
}

// made is how many calls callers have begun.
func (s *soak) made() (n int64) {
	for _, w := range []*world{s.exact, s.switched} {
		for m := range w.accounts {
			n += w.accounts[m].begun.Load()
		}
	}
	return n
}

func fell(a, b resilience.Counters) bool {
	return b.Success < a.Success || b.Failure < a.Failure || b.Rejected < a.Rejected || b.Canceled < a.Canceled || b.SuccessRetried < a.SuccessRetried ||
		b.FailureRetried < a.FailureRetried || b.Attempts < a.Attempts || b.Retries < a.Retries || b.Rejections < a.Rejections || b.Timeouts < a.Timeouts || b.Fallbacks < a.Fallbacks
}

func (s *soak) clear(ctx context.Context) error {
	_ = sleep(ctx, 30*time.Millisecond)
	s.rt.ClearCaches(some("exact"), "soak.Peer.Cached@switched")
	return nil
}

// rewrite writes another overrides file, sometimes a wrong one.
func (s *soak) rewrite(ctx context.Context) error {
	_ = sleep(ctx, 20*time.Millisecond)
	text := fmt.Sprintf("version: 1\ninterfaces:\n  soak.Peer@%s:\n    disable: [%s]\n    methods:\n      Retry: {retry: {maxAttempts: %d}, bulkhead: {maxConcurrent: %d}}\n      \"Hedge*\": {hedge: {maxHedges: %d}}\n",
		[]string{"exact", "switched"}[rand.IntN(2)], []string{"", "retry", "hedge", "fallback, adaptive"}[rand.IntN(4)], 1+rand.IntN(4), rand.IntN(6), 1+rand.IntN(3))
	if rand.IntN(4) == 0 {
		s.file.bad.Add(1)
		text = []string{text + "nonsense: 1\n", strings.Replace(text, "soak.Peer", "soak.Peers", 1), text[:len(text)/2] + "\n  {", strings.Replace(text, "maxAttempts: ", "maxAttempts: -", 1)}[rand.IntN(4)]
	} else {
		s.file.good.Add(1)
	}
	path := filepath.Join(s.dir, "overrides.yaml")
	if rand.IntN(2) == 0 {
		return os.WriteFile(path, []byte(text), 0o600)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
