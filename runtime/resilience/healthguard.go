package resilience

// guardReading is how a guard does.
type guardReading struct {
	HealthReading
	minimum int   // calls that say something
	breaker State // 0: it has none, or is switched off
}

// reading returns how the guard does, from its breaker and its bulkhead. A guard
// that keeps a breaker for each key is half-open while some are open: one peer
// of many does not make it fail.
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
		r.Load = float64(b.taken.Load()) / float64(b.conf.MaxConcurrent)
	}
	return r
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
	open, troubled := 0, 0
	list := k.list()
	for _, b := range list {
		r := b.reading()
		sum.calls += r.Samples
		sum.failures += int(r.ErrorRate*float64(r.Samples) + 0.5)
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
	return readingOf(state, sum, k.conf.withDefaults().MinimumCalls)
}

// enlist adds g, and makes it a component of the health if its policy says so.
func (rt *Runtime) enlist(g *Guard) error {
	if err := rt.add(g); err != nil || !g.policy.Health.Register {
		return err
	}
	c := Component{Name: g.name, Kind: "component", Criticality: Degradable, Guard: g, FailOn: g.policy.Health.FailOn}
	if c.FailOn == FailOpen {
		c.Criticality = Critical
	}
	return rt.Health().Register(c)
}
