package resilience

import "time"

// Taken is what a call took.
type Taken struct {
	Attempts     int   // executions of the delegate
	FallbackUsed bool  // the fallback was asked for an answer
	Cause        error // that it was asked for
	Breaker      State // as the next caller would find it, closed where it enforces nothing; 0 without one

	failed *Call // of a guard that keeps letters
}

// Taken returns what the call took until now: all of it once End has been called.
// It costs nothing to calls that nobody asks.
func (c *Call) Taken() Taken {
	t := Taken{Attempts: int(c.attempts), FallbackUsed: c.fell}
	if c.fell {
		t.Cause = c.Err()
	}
	t.failed = c.noted(Outcome{plan: c.plan, err: c.Err()}).failed
	b := c.breaker
	if b == nil && c.plan != nil {
		b = c.plan.breaker
	}
	switch {
	case b == nil:
	case b.closed.Load():
		t.Breaker = StateClosed
	default:
		t.Breaker = b.next(sinceEpoch)
	}
	return t
}

// next is the state as the next caller would find it.
func (b *breaker) next(clock func() time.Duration) State {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mode == ForcedOpen {
		return StateForcedOpen
	}
	return b.present(clock())
}

// Breaker returns the breaker of g, nil if it has none or one for each key.
func (g *Guard) Breaker() *CircuitBreaker {
	name, _ := g.breakerName()
	return g.rt.Breaker(name)
}
