package resilience

// adopt takes conf, with every default filled in. b.mu is held, or b is new.
func (b *breaker) adopt(conf Breaker, rate bool) {
	b.conf, b.rate = conf, rate
	b.windowed.Store(rate || conf.SlowCallDuration > 0)
	b.slow.Store(int64(conf.SlowCallDuration))
}

// reconfigure gives the breaker other numbers. It stays in its state, and the
// window keeps its outcomes unless its shape is another one. An open breaker
// stays open until the new openDuration is over, counted from when it opened; a
// half-open one whose probes suffice by now decides. What an operator told the
// breaker still holds. What there is to tell waits for [Runtime.tellNews]: the
// Runtime's lock is held.
func (b *breaker) reconfigure(conf Breaker, rate bool) {
	conf = conf.withDefaults()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate == rate && numbersOf(b.conf) == numbersOf(conf) {
		return
	}
	if b.state == StateClosed {
		b.fold() // the next success is judged by the new numbers
	}
	old := b.conf
	b.adopt(conf, rate)
	if old.Window.shape() != conf.Window.shape() {
		b.window = newWindow(conf.Window)
		b.tally.Store(nil)
	}
	if old.Mode != conf.Mode && b.mode == old.Mode {
		from, counts := b.shown(), b.counted()
		b.changeMode(conf.Mode)
		b.report(from, counts, newNumbers)
	}
	switch b.state {
	case StateOpen:
		b.reopen()
	case StateHalfOpen:
		b.settle()
	}
	b.publish()
}

// shape is what two windows must agree in for outcomes to mean the same.
func (w Window) shape() Window {
	if w.Type == TimeWindow {
		w.Size = 0
	} else {
		w.Duration, w.Buckets = 0, 0
	}
	return w
}

// changeMode makes m the mode of the policy. Probes that are out while nothing
// is recorded never come back: a half-open breaker begins anew.
func (b *breaker) changeMode(m BreakerMode) {
	b.mode = m
	if m == ForcedOpen {
		b.rejection = &rejection{forced: true}
	}
	if b.state == StateHalfOpen {
		b.generation.Add(1)
		b.probes, b.passed, b.probing, b.sample = 0, 0, 0, counts{}
	}
}

// reopen makes an open breaker stay open for what is now its time.
func (b *breaker) reopen() {
	b.disarm()
	if b.mode != ForcedOpen {
		b.rejection = &rejection{until: b.openUntil()}
	}
	b.arm()
}

// settle decides a half-open state by the probes that have come back: where
// they are enough by now, no other one is let through that could.
func (b *breaker) settle() {
	if b.mode == ForcedOpen || b.mode == Disabled {
		return
	}
	h := &b.conf.HalfOpen
	switch {
	case h.Mode == RateMode && b.sample.calls >= h.PermittedCalls && b.tooMany(b.sample) != "":
		b.open(sinceEpoch(), true, newNumbers)
	case h.Mode == RateMode && b.sample.calls >= h.PermittedCalls, h.Mode == AllMode && b.passed >= h.SuccessThreshold:
		b.close(sinceEpoch(), newNumbers)
	}
}

// reconfigure gives the breakers of all keys other numbers.
func (k *keyedBreakers) reconfigure(conf Breaker, rate bool) {
	for _, u := range k.change(func() { k.conf, k.rate = conf, rate }) {
		u.what.(*breaker).reconfigure(conf, rate)
	}
}

// resize gives the bulkhead other numbers. Slots that are taken stay taken:
// fewer take effect as they are given back, more go to who waits. Who waits
// already waits on.
func (b *bulkhead) resize(conf Bulkhead) {
	conf = conf.withDefaults()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conf.Store(&conf)
	b.slots.Store(int64(conf.MaxConcurrent))
	b.handOver()
}
