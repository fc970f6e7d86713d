package histories

import (
	"context"
	"fmt"
	"time"
)

// modelCache keeps what calls with a key came to.
type modelCache struct {
	*model
	entries map[string]*kept
	flights map[string]*modelFlight

	hits, misses, shared, stale int
}

// kept is what is known of a key.
type kept struct {
	n             int
	fresh, usable time.Time // until when n answers, also for a failure
	failed        *modelAnswer
	until         time.Time // when the failure is forgotten
}

// modelAnswer is what an execution came to.
type modelAnswer struct {
	n    int
	err  error
	call *modelCall // what lists are asked about
}

// modelFlight is an execution that calls share.
type modelFlight struct {
	done     chan struct{}
	cancel   context.CancelFunc
	waiting  int
	answer   *modelAnswer
	panicked any
	exited   bool
}

func (k *modelCache) init(m *model) {
	k.model, k.entries, k.flights = m, map[string]*kept{}, map[string]*modelFlight{}
}

// answer finds, shares or begins an execution for a call.
func (k *modelCache) answer(c *modelCall) *modelAnswer {
	k.mu.Lock()
	if a := k.known(c); a != nil {
		defer k.mu.Unlock()
		return a
	}
	f := k.flights[c.key]
	if f != nil && !k.does("every miss executes") {
		f.waiting++
		k.shared++
	} else {
		f = k.begin(c)
	}
	k.mu.Unlock()
	select {
	case <-f.done:
	case <-c.Done():
		if k.leave(c.key, f) {
			return leaving(c)
		}
		<-f.done
	}
	if f.panicked != nil || f.exited {
		carry(0, nil, f.panicked, f.exited)
	}
	return f.answer
}

// leaving is the answer to a caller that left.
func leaving(c *modelCall) *modelAnswer {
	return &modelAnswer{0, c.Err(), &modelCall{last: c.Err(), kinds: c.left()}}
}

// known is the answer that needs no execution, nil if there is none.
func (k *modelCache) known(c *modelCall) *modelAnswer {
	now, e := time.Now(), k.entries[c.key]
	switch {
	case e != nil && now.Before(e.fresh):
		k.hits++
		return &modelAnswer{n: e.n, call: &modelCall{}}
	case c.Err() != nil:
		return leaving(c)
	case e == nil || !now.Before(e.until):
		return nil
	case now.Before(e.usable):
		k.stale++
		return &modelAnswer{n: e.n, call: &modelCall{}}
	}
	k.hits++
	return e.failed
}

// begin begins an execution. It has the values of its first caller, and no
// deadline. k.mu is held.
func (k *modelCache) begin(c *modelCall) *modelFlight {
	k.misses++
	f := &modelFlight{done: make(chan struct{}), waiting: 1}
	inner := *c
	inner.begun = time.Now()
	inner.Context, f.cancel = context.WithCancel(context.WithoutCancel(c.Context))
	k.flights[c.key] = f
	go func() {
		f.exited = true
		defer func() {
			if f.exited {
				f.panicked = recover()
			}
			k.land(&inner, f)
			close(f.done)
		}()
		k.total(&inner)
		f.answer = &modelAnswer{inner.n, k.err(&inner), &inner}
		f.exited = false
	}()
	return f
}

// leave takes a caller from an execution, which ends when every one has left. It
// reports false if the execution is over.
func (k *modelCache) leave(key string, f *modelFlight) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flights[key] != f {
		return false
	}
	if f.waiting--; f.waiting == 0 {
		delete(k.flights, key)
		f.cancel()
	}
	return true
}

// land keeps what an execution came to, if anybody still waits for it.
func (k *modelCache) land(c *modelCall, f *modelFlight) {
	f.cancel()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flights[c.key] != f {
		return
	}
	delete(k.flights, c.key)
	switch {
	case f.exited:
	case f.answer.err != nil:
		k.keepFailure(c, f)
	case !(k.has("retry.retryOnResult") && isBad(c.n)) && !(k.has("circuitBreaker.recordOnResult") && isPoor(c.n)):
		fresh := time.Now().Add(k.span("cache.ttl", 0))
		k.entries[c.key] = &kept{n: c.n, fresh: fresh, usable: fresh.Add(k.span("cache.staleOnError", 0))}
	}
}

// keepFailure remembers a failure that says something of the key, and lets an
// older value answer for it. k.mu is held.
func (k *modelCache) keepFailure(c *modelCall, f *modelFlight) {
	now, e := time.Now(), kept{}
	old, kinds := k.entries[c.key], f.answer.call.kinds
	if old != nil && (!kinds.has("Permanent") || k.does("a value answers for a permanent error")) {
		e = *old
	}
	ours := kinds.has("Canceled", "CallerDeadline", "CircuitOpen", "BulkheadFull", "RateLimited", "BudgetExhausted")
	if remember := k.span("cache.negativeTTL", 0); remember > 0 && !ours {
		e.failed = &modelAnswer{0, f.answer.err, f.answer.call} // nothing runs for who gets it
		e.until = now.Add(remember)
	}
	if old != nil || now.Before(e.until) {
		k.entries[c.key] = &e
	}
	if now.Before(e.usable) && !kinds.has("Canceled", "CallerDeadline") {
		f.answer = &modelAnswer{n: e.n, call: &modelCall{}}
		k.stale += f.waiting
	}
}

func (k *modelCache) String() string {
	return fmt.Sprintf("%d entries, %d hits, %d misses, %d shared, %d stale", len(k.entries), k.hits, k.misses, k.shared, k.stale)
}
