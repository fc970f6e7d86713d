package resilience

import (
	"context"
	"slices"
	"strings"
	"time"
)

// CircuitBreaker is the handle of a breaker in a [Runtime]: of whatever has its
// name, also after a preset gave it other numbers. It is safe for concurrent
// use.
type CircuitBreaker struct {
	rt *Runtime
	b  *breaker // as it was found
}

// current returns the breaker that has the name now.
func (c *CircuitBreaker) current() *breaker {
	c.rt.mu.Lock()
	defer c.rt.mu.Unlock()
	if b := c.rt.find(c.b.name); b != nil {
		return b
	}
	return c.b // of a key that was evicted
}

// BreakerSnapshot is a breaker at one moment.
type BreakerSnapshot struct {
	Name         string
	State        State
	Mode         BreakerMode
	Calls        int // in the window; of probes, once there were any or may be
	Failures     int
	Slow         int
	SlowFailures int           // of both
	Consecutive  int           // failures in a row
	Rejected     int64         // calls; like the next two since the breaker was made or reset
	Openings     int64         //
	Transitions  int64         //
	RetryAfter   time.Duration // until the first probe; 0 unless open

	Closed, Open, HalfOpen time.Duration // spent in each state, since the breaker was made or reset
}

// Name returns the name: "payments.Gateway.Charge", or the shared one.
func (c *CircuitBreaker) Name() string { return c.b.name }

// Snapshot returns the breaker as the next caller would find it. Looking at it
// changes nothing.
func (c *CircuitBreaker) Snapshot() BreakerSnapshot {
	b, now := c.current(), sinceEpoch()
	b.mu.Lock()
	defer b.mu.Unlock()
	state, sum := b.look(now)
	switch {
	case state == StateHalfOpen && b.state != StateHalfOpen:
		sum = counts{}
	case state != StateClosed && (b.state == StateHalfOpen || b.sample.calls > 0):
		sum = b.sample
	}
	s := BreakerSnapshot{
		Name: b.name, State: state, Mode: b.mode, Calls: sum.calls, Failures: sum.failures, Slow: sum.slow, SlowFailures: sum.both,
		Consecutive: int(b.streak.Load()), Rejected: b.rejections() - b.forgotten, Openings: b.openings, Transitions: b.transitions,
	}
	spent := b.times(now)
	s.Closed, s.Open, s.HalfOpen = spent[StateClosed], spent[StateOpen], spent[StateHalfOpen]
	if state == StateOpen && b.mode != ForcedOpen {
		s.RetryAfter = max(b.openUntil()-now, 0)
		if due, ok := b.undecidable(now); ok {
			s.RetryAfter = after(due, b.openFor()) - now
		}
	}
	return s
}

// rejections is how many attempts were ever rejected. Those of a method are in
// its statistics already. b.mu is held.
func (b *breaker) rejections() int64 {
	n := b.rejected.Load()
	for _, s := range b.countedBy {
		n += s.rejected(breakerPart)
	}
	return n
}

// countBy has the rejections of a method counted by its statistics alone.
func (b *breaker) countBy(s *methodStats) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s != nil && !slices.Contains(b.countedBy, s) {
		b.countedBy = append(b.countedBy, s)
	}
}

// look returns the state as the next caller would find it, and what the window
// holds. b.mu is held.
func (b *breaker) look(now time.Duration) (State, counts) {
	if b.state == StateClosed {
		b.fold()
	}
	sum := b.window.read(now)
	if b.state == StateClosed && (sum.calls >= b.conf.MinimumCalls || sum.failures+sum.slow == 0) {
		b.unseal(now)
	}
	return b.present(now), sum
}

// ForceOpen rejects every call, probes too, until Close or Reset.
func (c *CircuitBreaker) ForceOpen() {
	c.set(ForcedOpen, func(b *breaker) { b.rejection = &rejection{forced: true} })
}

// Disable lets every call pass and records nothing, until Close or Reset.
func (c *CircuitBreaker) Disable() { c.set(Disabled, func(*breaker) {}) }

// Close closes the breaker, with an empty window, under its policy's mode.
func (c *CircuitBreaker) Close() { c.set(unforced, func(b *breaker) { b.close(sinceEpoch(), "") }) }

// Reset makes the breaker what it was at first: in its initial state, under its
// policy's mode, with every count at 0.
func (c *CircuitBreaker) Reset() {
	c.set(unforced, func(b *breaker) {
		b.forget()
		b.close(sinceEpoch(), "")
		b.forgotten = b.rejections()
		b.openings, b.transitions = 0, 0
		clear(b.spent[:])
		if b.conf.InitialState == StateOpen && b.mode != ForcedOpen {
			b.open(sinceEpoch(), false, "")
		}
	})
}

// unforced stands for the mode of the policy.
const unforced BreakerMode = 255

func (c *CircuitBreaker) set(mode BreakerMode, then func(*breaker)) {
	b := c.current()
	b.lock(context.Background())
	defer b.unlock()
	if b.state == StateClosed {
		b.fold()
	}
	from, counts := b.shown(), b.counted()
	if b.mode = mode; mode == unforced {
		b.mode = b.conf.Mode
		b.rejection = &rejection{forced: b.mode == ForcedOpen}
	}
	b.generation.Add(1) // what is in flight belongs to another regime
	then(b)
	b.publish()
	b.report(from, counts, "operator")
}

// Breaker returns the breaker of that name, nil if there is none. One of many
// that are kept for keys has its key behind it: "payments.Gateway.Charge[eu]",
// and the one for keys beyond Breaker.MaxKeys " (other keys)".
func (rt *Runtime) Breaker(name string) *CircuitBreaker {
	root, _ := rt.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	if b := root.find(name); b != nil {
		return &CircuitBreaker{root, b}
	}
	return nil
}

// find returns the breaker of that name, nil if there is none. rt.mu is held.
func (rt *Runtime) find(name string) *breaker {
	if b := rt.breakers[name]; b != nil {
		return b
	}
	of, _, _ := strings.Cut(strings.TrimSuffix(name, otherKeys), "[")
	if keys := rt.keyed[of]; keys != nil {
		for _, b := range keys.list() {
			if b.name == name {
				return b
			}
		}
	}
	return nil
}

// Breakers returns every breaker, sorted by name.
func (rt *Runtime) Breakers() []*CircuitBreaker {
	root, _ := rt.root()
	var list []*CircuitBreaker
	for _, b := range root.allBreakers() {
		list = append(list, &CircuitBreaker{root, b})
	}
	slices.SortFunc(list, func(a, b *CircuitBreaker) int { return strings.Compare(a.b.name, b.b.name) })
	return list
}

// ResetBreakers is [CircuitBreaker.Reset] of every breaker.
func (rt *Runtime) ResetBreakers() {
	for _, b := range rt.Breakers() {
		b.Reset()
	}
}

// allBreakers returns every breaker, in no order.
func (rt *Runtime) allBreakers() (list []*breaker) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	for _, b := range rt.breakers {
		list = append(list, b)
	}
	for _, keys := range rt.keyed {
		list = append(list, keys.list()...)
	}
	return list
}
