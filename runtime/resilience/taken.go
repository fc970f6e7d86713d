package resilience

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
	t.Breaker = b.next()
	return t
}

// Taken returns what the call took, or what the one took whose execution it shared. A
// result that was there took no attempts.
func (o Outcome) Taken() Taken {
	t := Taken{Attempts: int(o.tries), FallbackUsed: o.falls}
	if o.falls {
		t.Cause = o.err
	}
	if o.plan != nil {
		t.Breaker = o.plan.breaker.next()
	}
	return t
}

// next is the state as the next caller would find it, 0 without a breaker.
func (b *breaker) next() State {
	switch {
	case b == nil:
		return 0
	case b.closed.Load():
		return StateClosed
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mode == ForcedOpen {
		return StateForcedOpen
	}
	return b.present(sinceEpoch())
}

// Breaker returns the breaker of g, nil if it has none or one for each key.
func (g *Guard) Breaker() *CircuitBreaker {
	name, _ := g.breakerName()
	return g.rt.Breaker(name)
}
