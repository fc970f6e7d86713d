package resilience

import (
	"slices"
	"strings"
	"time"
)

// CircuitBreaker is the handle of a breaker in a [Runtime]. It is safe for
// concurrent use.
type CircuitBreaker struct{ b *breaker }

// BreakerSnapshot is a breaker at one moment.
type BreakerSnapshot struct {
	Name        string
	State       State
	Mode        BreakerMode
	Calls       int // in the window; of probes, once there were any or may be
	Failures    int
	Slow        int
	Consecutive int           // failures in a row
	Rejected    int64         // calls; like the next two since the breaker was made or reset
	Openings    int64         //
	Transitions int64         //
	RetryAfter  time.Duration // until the first probe; 0 unless open
}

// Name returns the name: "payments.Gateway.Charge", or the shared one.
func (c *CircuitBreaker) Name() string { return c.b.name }

// Snapshot returns the breaker as it is now.
func (c *CircuitBreaker) Snapshot() BreakerSnapshot {
	b, now := c.b, sinceEpoch()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(now)
	if b.state == StateClosed {
		b.fold()
	}
	sum := b.window.read(now)
	if b.state == StateHalfOpen || b.sample.calls > 0 {
		sum = b.sample
	}
	if b.state == StateClosed && (sum.calls >= b.conf.MinimumCalls || sum.failures+sum.slow == 0) {
		b.unseal(now)
	}
	s := BreakerSnapshot{
		Name: b.name, State: b.state, Mode: b.mode, Calls: sum.calls, Failures: sum.failures, Slow: sum.slow,
		Consecutive: int(b.streak.Load()), Rejected: b.rejected.Load(), Openings: b.openings, Transitions: b.transitions,
	}
	if b.state == StateOpen {
		s.RetryAfter = max(b.openUntil()-now, 0)
	}
	return s
}

// ForceOpen rejects every call, probes too, until Close or Reset.
func (c *CircuitBreaker) ForceOpen() {
	c.set(ForcedOpen, func() { c.b.rejection = &rejection{forced: true} })
}

// Disable lets every call pass and records nothing, until Close or Reset.
func (c *CircuitBreaker) Disable() { c.set(Disabled, func() {}) }

// Close closes the breaker, with an empty window, under its policy's mode.
func (c *CircuitBreaker) Close() { c.set(c.b.conf.Mode, c.b.close) }

// Reset makes the breaker what it was at first: in its initial state, under its
// policy's mode, with every count at 0.
func (c *CircuitBreaker) Reset() {
	c.set(c.b.conf.Mode, func() {
		c.b.close()
		c.b.rejected.Store(0)
		c.b.openings, c.b.transitions = 0, 0
		if c.b.conf.InitialState == StateOpen {
			c.b.open(sinceEpoch(), false)
		}
	})
}

func (c *CircuitBreaker) set(mode BreakerMode, then func()) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	c.b.mode = mode
	c.b.generation.Add(1) // what is in flight belongs to another regime
	then()
	c.b.publish()
}

// Breaker returns the breaker of that name, nil if there is none. One of many
// that are kept for keys has its key behind it: "payments.Gateway.Charge[eu]",
// and the one for keys beyond Breaker.MaxKeys an empty one.
func (rt *Runtime) Breaker(name string) *CircuitBreaker {
	root, _ := rt.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	if b := root.breakers[name]; b != nil {
		return &CircuitBreaker{b}
	}
	of, _, keyed := strings.Cut(name, "[")
	if keys := root.keyed[of]; keyed && keys != nil {
		for _, b := range keys.list() {
			if b.name == name {
				return &CircuitBreaker{b}
			}
		}
	}
	return nil
}

// Breakers returns every breaker, sorted by name.
func (rt *Runtime) Breakers() []*CircuitBreaker {
	root, _ := rt.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	var list []*CircuitBreaker
	for _, b := range root.breakers {
		list = append(list, &CircuitBreaker{b})
	}
	for _, keys := range root.keyed {
		for _, b := range keys.list() {
			list = append(list, &CircuitBreaker{b})
		}
	}
	slices.SortFunc(list, func(a, b *CircuitBreaker) int { return strings.Compare(a.b.name, b.b.name) })
	return list
}
