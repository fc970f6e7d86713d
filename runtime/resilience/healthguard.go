package resilience

import (
	"fmt"
	"slices"
	"time"
)

// guardReading is how a guard does: the failures in the window of its breaker,
// and the time that its latest calls took.
type guardReading struct {
	HealthReading
	timed   int   // samples behind P95
	minimum int   // calls that say something
	breaker State // 0: it has none, or is switched off
}

// rates are the reading without the times, which have samples of their own.
func (r guardReading) rates() HealthReading {
	r.P95 = 0
	return r.HealthReading
}

func (r guardReading) times() HealthReading { return HealthReading{Samples: r.timed, P95: r.P95} }

// reading returns how the guard does, from its breaker, what limits its calls in
// flight, and its statistics. A guard that keeps a breaker for each key is
// half-open while some are open: one peer of many does not make it fail.
func (g *Guard) reading() guardReading {
	p := g.plan.Load()
	if p == nil {
		return guardReading{}
	}
	var r guardReading
	switch {
	case p.breaker != nil:
		r = p.breaker.reading()
	case p.keys != nil:
		r = p.keys.reading()
	}
	if b := p.bulkhead; b != nil {
		r.Load = float64(b.taken.Load()) / float64(max(b.slots.Load(), 1))
	}
	if s := p.steering; s != nil {
		r.Load = max(r.Load, float64(s.inFlight.Load())/float64(max(s.limit.Load(), 1)))
	}
	l := g.stats.latency(sinceEpoch())
	r.P95, r.timed = l.P95, int(l.Count)
	return r
}

// latency is that of the latest calls; zero without histograms.
func (s *methodStats) latency(now time.Duration) Latency {
	if s == nil || !s.times {
		return Latency{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut(now)
	return latencyOf(s.histograms()...)
}

func (b *breaker) reading() guardReading {
	b.mu.Lock()
	defer b.mu.Unlock()
	state, sum := b.look(sinceEpoch())
	switch {
	case b.mode == ForcedOpen:
		state = StateOpen
	case b.mode == Disabled:
		return guardReading{}
	case b.mode == Shadow && state == StateOpen:
		state = StateHalfOpen // it rejects nothing
	}
	return readingOf(state, sum, b.conf.MinimumCalls)
}

func readingOf(state State, sum counts, minimum int) guardReading {
	r := guardReading{HealthReading: HealthReading{Samples: sum.calls}, breaker: state, minimum: minimum}
	if sum.calls > 0 {
		r.ErrorRate = float64(sum.failures) / float64(sum.calls)
	}
	return r
}

// reading sums up the breakers of all keys.
func (k *keyedBreakers) reading() guardReading {
	var sum counts
	open, troubled, minimum := 0, 0, 0
	list := k.list()
	for _, b := range list {
		r := b.reading()
		sum.calls += r.Samples
		sum.failures += int(r.ErrorRate*float64(r.Samples) + 0.5)
		minimum = max(minimum, r.minimum)
		if r.breaker == StateOpen {
			open++
		}
		if r.breaker == StateOpen || r.breaker == StateHalfOpen {
			troubled++
		}
	}
	state := StateClosed
	switch {
	case open > 0 && open == len(list):
		state = StateOpen
	case troubled > 0:
		state = StateHalfOpen
	}
	return readingOf(state, sum, minimum)
}

// enlist adds g, and makes it a component of the health if its policy says so.
// What is wanted of the policy is wanted of the generated one: an override may
// switch the breaker off.
func (rt *Runtime) enlist(g *Guard) error {
	health := &g.policy.Health
	switch {
	case health.Register && !g.policy.Breaker.set():
		return fmt.Errorf("%s: health.register: wants a circuitBreaker, which tells how the method is", g.name)
	case health.FailOn != 0 && !health.Register:
		return fmt.Errorf("%s: health.failOn: wants register", g.name)
	}
	if err := rt.add(g); err != nil || !health.Register {
		return err
	}
	return rt.announce(g)
}

// announce makes g a component of the health, once somebody asks for that. A
// program that never does gets along without the code of it: nothing but
// [Runtime.Health] refers to that, so that the linker leaves it out.
func (rt *Runtime) announce(g *Guard) error {
	rt.mu.Lock()
	register, closed := rt.guardHealth, rt.closed
	taken := slices.ContainsFunc(rt.awaitHealth, func(other *Guard) bool { return other.name == g.name })
	if register == nil && !closed && !taken && g.name != "" {
		rt.awaitHealth = append(rt.awaitHealth, g)
	}
	rt.mu.Unlock()
	reason := ""
	switch {
	case register != nil:
		return register(g)
	case g.name == "":
		reason = "it needs a name"
	case closed:
		reason = "the registry is closed"
	case taken:
		reason = "the name is taken"
	default:
		return nil
	}
	return fmt.Errorf("health: component %q: %s", g.name, reason)
}

// guard adds a guard as its policy says.
func (h *HealthRegistry) guard(g *Guard) error {
	c := Component{Name: g.name, Kind: "component", Criticality: Degradable, Guard: g, FailOn: g.policy.Health.FailOn}
	if c.FailOn == FailOpen {
		c.Criticality = Critical
	}
	return h.Register(c)
}
