package resilience

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// limiter lets calls through at a rate; who waits is served in order.
//
// Permits are taken when they are used, not when they are waited for, so a
// waiter who leaves has nothing to give back but its place. A bucket without
// waiters is asked without the lock; who begins to wait says so in queued
// before it looks at the permits.
type limiter struct {
	keyUse // of one that is kept for a key
	name   string
	conf   atomic.Pointer[RateLimit] // every default filled in; an update replaces it
	bucket atomic.Pointer[bucket]    // the meter, if it needs no lock
	turned *limited                  // what a call is told that is turned away and wanted one permit
	queued atomic.Int64

	mu      sync.Mutex
	meter   meter
	waiting list.List // of *turn
	wanted  int64     // permits, by those who wait
}

// turn is a place in the queue.
type turn struct {
	cost    int64
	since   time.Duration // when it became the first one; 0 until then
	ready   time.Duration // when the permits of the first one are there
	receipt time.Duration
	granted bool
	place   *list.Element
	nudge   chan struct{} // told to look again
}

func newLimiter(name string, conf RateLimit) *limiter {
	l := &limiter{name: name}
	l.turned = &limited{l: l, cost: 1}
	conf = conf.withDefaults()
	l.conf.Store(&conf)
	l.meterBy(newMeter(&conf, sinceEpoch()))
	return l
}

// meterBy makes m the meter. l.mu is held, or l is new.
func (l *limiter) meterBy(m meter) {
	b, _ := m.(*bucket)
	l.meter = m
	l.bucket.Store(b)
}

// reconfigure gives the limiter other numbers. What was taken stays taken, and a
// higher limit adds nothing to the running period. Who waits already waits on,
// no longer than before.
func (l *limiter) reconfigure(conf RateLimit) {
	conf = conf.withDefaults()
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.conf.Load()
	if old.Limit == conf.Limit && old.Period == conf.Period && old.Burst == conf.Burst {
		l.conf.Store(&conf)
		return
	}
	l.conf.Store(&conf)
	now := sinceEpoch()
	l.meterBy(l.meter.adopt(&conf, now))
	l.serve(now)
}

// keyedLimiters keeps a limiter for each key.
type keyedLimiters struct {
	*keyRing
	conf RateLimit
}

func newKeyedLimiters(name string, conf RateLimit) *keyedLimiters {
	k := &keyedLimiters{conf: conf}
	k.keyRing = newKeyRing(name, conf.withDefaults().MaxKeys, func(name string) keyed { return newLimiter(name, k.conf) })
	return k
}

// reconfigure gives the limiters of all keys other numbers.
func (k *keyedLimiters) reconfigure(conf RateLimit) {
	for _, u := range k.change(func() { k.conf = conf }) {
		u.what.(*limiter).reconfigure(conf)
	}
}

// quick takes permits that are there, if nobody waits.
func (l *limiter) quick(now time.Duration, cost int64) (receipt time.Duration, ok bool) {
	for b := l.bucket.Load(); b != nil; b = l.bucket.Load() {
		if l.queued.Load() > 0 {
			return 0, false
		}
		receipt, ok = b.take(now, now, cost)
		if ok || b == l.bucket.Load() { // else it was replaced meanwhile
			return receipt, ok
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting.Len() > 0 {
		return 0, false
	}
	return l.meter.take(now, now, cost)
}

// acquire waits for permits until MaxWait, due (unless zero) or ctx ends. The
// error is a *limited, late for due, or the context's. Who cannot be served in
// time, even if all before it leave, does not wait.
func (l *limiter) acquire(ctx context.Context, due time.Duration, late error, cost int64) (receipt time.Duration, err error) {
	until, reason := after(sinceEpoch(), l.conf.Load().MaxWait), error(l.rejection(cost))
	if due != 0 && due < until {
		until, reason = due, late
	}
	sooner := until
	if deadline, ok := ctx.Deadline(); ok {
		sooner = min(sooner, instant(deadline))
	}
	w := l.join(sooner, cost)
	if w == nil {
		return 0, l.rejection(cost)
	}
	return l.wait(ctx, w, until, reason)
}

func (l *limiter) rejection(cost int64) *limited {
	if cost == 1 {
		return l.turned
	}
	return &limited{l: l, cost: cost}
}

// join returns a place in the queue, nil if waiting until then is of no use.
func (l *limiter) join(until time.Duration, cost int64) *turn {
	if l.conf.Load().MaxWait == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := sinceEpoch(); l.meter.ready(now, now, cost) > until {
		return nil
	}
	w := &turn{cost: cost, nudge: make(chan struct{}, 1)}
	w.place = l.waiting.PushBack(w)
	l.wanted += cost
	l.queued.Store(int64(l.waiting.Len()))
	return w
}

func (l *limiter) wait(ctx context.Context, w *turn, until time.Duration, reason error) (time.Duration, error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		at, granted := l.look(w)
		switch {
		case !granted:
		case ctx.Err() != nil:
			return 0, l.leave(w, ctx.Err())
		default:
			return w.receipt, nil
		}
		if at == 0 || at > until {
			at = until
		}
		timer.Reset(at - sinceEpoch())
		select {
		case <-w.nudge:
		case <-timer.C:
			if sinceEpoch() >= until {
				return w.receipt, l.leave(w, reason)
			}
		case <-ctx.Done():
			return 0, l.leave(w, ctx.Err())
		}
	}
}

// look serves who is due, and returns when w is to look again, 0 if it is not
// the first one, or that it was served.
func (l *limiter) look(w *turn) (at time.Duration, granted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serve(sinceEpoch())
	return w.ready, w.granted
}

// serve gives permits to who waits longest, and tells the first one that still
// waits when to look again. l.mu is held.
func (l *limiter) serve(now time.Duration) {
	for front := l.waiting.Front(); front != nil; front = l.waiting.Front() {
		w := front.Value.(*turn)
		if w.since == 0 {
			w.since = now
		}
		at, ok := l.meter.take(now, w.since, w.cost)
		if ok {
			w.granted, w.receipt = true, at
			l.remove(w)
		}
		if ok || at != w.ready { // news for w
			w.ready = at
			select {
			case w.nudge <- struct{}{}:
			default:
			}
		}
		if !ok {
			break
		}
	}
	l.queued.Store(int64(l.waiting.Len()))
}

func (l *limiter) remove(w *turn) {
	l.waiting.Remove(w.place)
	l.wanted -= w.cost
}

// leave gives up a place in the queue, or what was granted meanwhile: but who
// only lost patience takes it.
func (l *limiter) leave(w *turn, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := sinceEpoch()
	l.serve(now)
	_, patience := err.(*limited)
	switch {
	case w.granted && patience:
		return nil
	case w.granted:
		l.meter.repay(now, w.receipt, w.cost)
	default:
		l.remove(w)
	}
	l.serve(now)
	return err
}

// repay gives permits back that were taken for nothing.
func (l *limiter) repay(receipt time.Duration, cost int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := sinceEpoch()
	l.meter.repay(now, receipt, cost)
	l.serve(now)
}

func (l *limiter) use() *keyUse { return &l.keyUse }
func (l *limiter) stop()        {}

// idle reports whether nobody gains by a new limiter in place of this one. That
// it has not been used for long makes no difference.
func (l *limiter) idle(bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.meter.fresh(sinceEpoch())
}

// limited is why a limiter turned a call away. When to come again is computed
// when asked.
type limited struct {
	l    *limiter
	cost int64
	told atomic.Pointer[Error]
}

func (r *limited) Error() string {
	after, _ := r.RetryAfter()
	return "rate limited, come again in " + rounded(after).String()
}

func (r *limited) Is(target error) bool { return target == ErrRateLimited }

// RetryAfter returns when the permits would be there, behind those who wait.
func (r *limited) RetryAfter() (time.Duration, bool) {
	l := r.l
	l.mu.Lock()
	defer l.mu.Unlock()
	now := sinceEpoch()
	since := now
	if front := l.waiting.Front(); front != nil && front.Value.(*turn).since != 0 {
		since = front.Value.(*turn).since
	}
	return l.meter.ready(now, since, l.wanted+r.cost) - now, true
}

// ticket is what a call paid for its attempt.
type ticket struct {
	l       *limiter // nil: nothing
	receipt time.Duration
	cost    int32 // as the call has it
}

// free is the cost of a call that takes no permits.
const free = -1

// Cost says how many permits the call takes, instead of one; none, if n is 0
// or less. It is called before the first Next.
func (c *Call) Cost(n int) {
	c.cost = free
	if n > 0 {
		c.cost = permits(n)
	}
}

// LimitKey says which of the limiters kept for keys the call asks. It is called
// once, before the first Next and after End was deferred.
func (c *Call) LimitKey(key string) {
	if c.plan != nil && c.plan.limiters != nil {
		c.limiter = c.plan.limiters.acquire(key).what.(*limiter)
		c.holds |= holdsLimiter
	}
}

// charge takes permits for an attempt, or ends the call.
func (c *Call) charge() (t ticket, ok bool) {
	l, cost := c.limiter, int64(c.cost)
	switch {
	case cost < 0:
		return t, true
	case cost == 0:
		cost = 1
	}
	if l == nil {
		l = c.plan.limiter
	}
	if l == nil {
		c.LimitKey("")
		l = c.limiter
	}
	now := c.start
	if now == 0 || c.tries > 1 || c.plan.nest != nil {
		now = sinceEpoch()
	}
	t = ticket{l: l, cost: c.cost}
	if t.receipt, ok = l.quick(now, cost); !ok {
		if t.receipt, ok = c.lineUp(l, cost); !ok {
			return t, false
		}
	}
	if c.plan.RateLimit.Scope == PerCall {
		c.cost = free
	}
	return t, true
}

// lineUp waits for permits, if the call may.
func (c *Call) lineUp(l *limiter, cost int64) (receipt time.Duration, ok bool) {
	due, late := c.bound()
	receipt, err := l.acquire(c.caller, due, late, cost)
	if err != nil {
		c.turnedAway(limiterPart, err)
	}
	return receipt, err == nil
}

// repay gives back what the attempt paid, since it was not made.
func (c *Call) repay(t ticket) {
	if t.l != nil {
		t.l.repay(t.receipt, int64(max(t.cost, 1)))
		c.cost = t.cost
	}
}

// tooMany returns the error of a call that a limiter turned away at once: one
// for each limiter, like [plan.rejection].
func (p *plan) tooMany(reason *limited) *Error {
	place := &p.tooFast
	if p.limiters != nil {
		place = &reason.told
	}
	e := place.Load()
	if e == nil || e.reason != error(reason) || e.Method != p.name {
		e = &Error{Method: p.name, Policy: partNames[limiterPart], reason: reason}
		place.Store(e)
	}
	return e
}
