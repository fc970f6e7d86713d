package resilience

import (
	"context"
	"time"
)

// lock locks the breaker for a call under ctx, which causes what it changes.
func (b *breaker) lock(ctx context.Context) {
	b.mu.Lock()
	b.cause = ctx
}

// unlock tells what happened, when the lock is free.
func (b *breaker) unlock() {
	n := b.news
	b.unlockUntold()
	n.tell()
}

func (b *breaker) unlockUntold() {
	b.cause = nil
	b.mu.Unlock()
}

// Reasons of transitions that are given in more than one place.
const (
	maxWaitPassed = "maxWait passed"
	probesPassed  = "probes passed"
	newNumbers    = "new numbers"
)

// shown is the state under which an operator knows the breaker. b.mu is held.
func (b *breaker) shown() State {
	switch b.mode {
	case ForcedOpen:
		return StateForcedOpen
	case Disabled:
		return StateDisabled
	}
	return b.state
}

// counted is what the present state has counted, if anybody listens. b.mu is
// held.
func (b *breaker) counted() Counts {
	switch {
	case b.news == nil:
	case b.state == StateClosed:
		sum := b.window.read(sinceEpoch())
		return Counts{sum.calls, sum.failures, sum.slow, int(b.streak.Load())}
	case b.state == StateHalfOpen:
		return Counts{Calls: b.sample.calls, Failures: b.sample.failures, Slow: b.sample.slow}
	}
	return Counts{}
}

// report has a transition told that left from with counts, if it is one. b.mu
// is held.
func (b *breaker) report(from State, counts Counts, reason string) {
	if to := b.shown(); to != from {
		b.add(Event{Kind: BreakerTransition, From: from, To: to, Counts: counts, Reason: reason})
	}
}

// forget has a reset told. b.mu is held.
func (b *breaker) forget() { b.add(Event{Kind: BreakerReset, Counts: b.counted()}) }

// add has e told under the name of the breaker. One that was replaced has
// nothing to say any more. b.mu is held.
func (b *breaker) add(e Event) {
	if b.news == nil || b.stopped {
		return
	}
	e.Time, e.Name, e.Shadow = time.Now(), b.name, b.mode == Shadow
	ctx := b.cause
	if ctx == nil {
		ctx = context.Background()
	}
	b.news.add(ctx, e)
}

// times is how long the breaker has been in each state. An open state is over
// when it is due, not when somebody came to see. b.mu is held.
func (b *breaker) times(now time.Duration) [StateHalfOpen + 1]time.Duration {
	spent, until := b.spent, now
	if b.state == StateOpen && b.present(now) == StateHalfOpen {
		until = b.openUntil()
		spent[StateHalfOpen] += now - until
	}
	spent[b.state] += max(until-b.since, 0)
	return spent
}
