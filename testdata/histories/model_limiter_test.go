package histories

import (
	"fmt"
	"slices"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// modelLimiter is a rate limit that keeps everything it ever granted.
type modelLimiter struct {
	*model
	made    time.Time
	grants  []grant
	waiting []*modelTurn
}

// grant is permits that were taken; given back, if cost is negative.
type grant struct {
	at   time.Time
	cost int
	full time.Time // when the bucket would be full again
}

// modelTurn is a place in the queue.
type modelTurn struct {
	cost  int
	nudge chan struct{}
}

func (l *modelLimiter) init(m *model) { l.model, l.made = m, time.Now() }

func (l *modelLimiter) mode() string          { return l.word("rateLimit.mode", "token") }
func (l *modelLimiter) most() int             { return l.whole("rateLimit.limit", 0) }
func (l *modelLimiter) period() time.Duration { return l.span("rateLimit.period", time.Second) }
func (l *modelLimiter) each() time.Duration   { return l.period() / time.Duration(l.most()) }

// cost is how many permits a try takes.
func (l *modelLimiter) cost(c *modelCall) int {
	switch {
	case !l.has("rateLimit"), c.charged && l.word("rateLimit.scope", "") == "call":
		return 0
	case l.has("rateLimit.cost"):
		return max(c.cost, 0)
	}
	return 1
}

// take takes permits, or waits for them.
func (l *modelLimiter) take(c *modelCall) (got *grant, why refusal) {
	cost := l.cost(c)
	if cost == 0 {
		return nil, granted
	}
	l.mu.Lock()
	now := time.Now()
	ready := l.ready(now, cost)
	if len(l.waiting) == 0 && !ready.After(now) {
		defer l.mu.Unlock()
		return l.grant(c, now, cost), granted
	}
	until, late := now.Add(l.span("rateLimit.maxWait", 0)), limitedOut
	if at, why := l.until(c); !at.IsZero() && at.Before(until) {
		until, late = at, why
	}
	patience := until
	if deadline, ok := c.Deadline(); ok && deadline.Before(patience) {
		patience = deadline
	}
	if l.span("rateLimit.maxWait", 0) == 0 || ready.After(patience) && !l.does("who cannot be served in time waits") {
		defer l.mu.Unlock()
		return nil, limitedOut
	}
	w := &modelTurn{cost, make(chan struct{}, 1)}
	l.waiting = append(l.waiting, w)
	l.mu.Unlock()
	return l.wait(c, w, until, late)
}

// wait waits for the turn of w to come, and the permits.
func (l *modelLimiter) wait(c *modelCall, w *modelTurn, until time.Time, late refusal) (*grant, refusal) {
	for {
		got, at := l.look(c, w)
		if got != nil {
			return got, granted
		}
		if at.IsZero() || at.After(until) {
			at = until
		}
		timer := time.NewTimer(time.Until(at))
		why := granted
		select {
		case <-w.nudge:
		case <-timer.C:
			if !time.Now().Before(until) {
				why = late
			}
		case <-c.Done():
			why = callerLeft
		}
		if timer.Stop(); why != granted {
			l.goesAway(w)
			return nil, why
		}
	}
}

func (l *modelLimiter) goesAway(w *modelTurn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave(w)
}

// look takes the permits if it is the turn of w and they are there, or says when
// they are; it does not if it is another's turn.
func (l *modelLimiter) look(c *modelCall, w *modelTurn) (got *grant, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.waiting[0] != w {
		return nil, time.Time{}
	}
	if at = l.ready(now, w.cost); at.After(now) {
		return nil, at
	}
	l.leave(w)
	return l.grant(c, now, w.cost), now
}

// leave takes w from the queue, and tells who is first then.
func (l *modelLimiter) leave(w *modelTurn) {
	l.waiting = slices.DeleteFunc(l.waiting, func(other *modelTurn) bool { return other == w })
	l.nudge()
}

func (l *modelLimiter) nudge() {
	if len(l.waiting) > 0 {
		select {
		case l.waiting[0].nudge <- struct{}{}:
		default:
		}
	}
}

func (l *modelLimiter) grant(c *modelCall, at time.Time, cost int) *grant {
	c.charged = true
	l.grants = append(l.grants, grant{at: at, cost: cost})
	g := &l.grants[len(l.grants)-1]
	if l.bucket() {
		g.full = at.Add(l.holds() - l.level(at))
	}
	return &grant{at, cost, g.full}
}

// repay gives back what the bulkhead made useless, as far as it would not be
// back by itself.
func (l *modelLimiter) repay(c *modelCall, g *grant) {
	if g == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.charged = false
	now := time.Now()
	switch {
	case l.does("permits are not given back"):
	case !l.bucket():
		l.grants = slices.DeleteFunc(l.grants, func(other grant) bool { return other == *g })
	case g.full.After(now):
		l.grants = append(l.grants, grant{at: now, cost: -g.cost})
	}
	l.nudge()
}

func (l *modelLimiter) bucket() bool { return l.mode() == "token" || l.mode() == "smooth" }

// ready returns when cost is allowed, if nothing else is granted.
func (l *modelLimiter) ready(now time.Time, cost int) time.Time {
	for !l.allows(now, cost) {
		now = l.change(now)
	}
	return now
}

func (l *modelLimiter) allows(now time.Time, cost int) bool {
	if l.bucket() {
		return l.level(now) >= time.Duration(cost)*l.each()
	}
	sum := cost
	for _, g := range l.grants {
		if l.mode() == "fixed" && l.number(g.at) == l.number(now) || l.mode() == "rolling" && now.Sub(g.at) < l.period() {
			sum += g.cost
		}
	}
	return sum <= l.most()
}

// number is that of a fixed period: they begin with the limiter.
func (l *modelLimiter) number(at time.Time) int64 { return int64(at.Sub(l.made) / l.period()) }

// holds is how much a bucket holds, as time.
func (l *modelLimiter) holds() time.Duration {
	return time.Duration(l.whole("rateLimit.burst", l.most())) * l.each()
}

// level is what is in the bucket now.
func (l *modelLimiter) level(now time.Time) time.Duration {
	level, at := l.holds(), l.made
	if l.mode() == "smooth" && !l.does("a smooth limit begins full") {
		level = l.each()
	}
	for _, g := range l.grants {
		level = min(l.holds(), level+g.at.Sub(at)) - time.Duration(g.cost)*l.each()
		level, at = min(l.holds(), level), g.at
	}
	return min(l.holds(), level+now.Sub(at))
}

// change is the next instant at which anything may be different.
func (l *modelLimiter) change(now time.Time) time.Time {
	switch l.mode() {
	case "fixed":
		return l.made.Add(time.Duration(l.number(now)+1) * l.period())
	case "rolling":
		next := now.Add(l.period())
		for _, g := range l.grants {
			if gone := g.at.Add(l.period()); gone.After(now) && gone.Before(next) {
				next = gone
			}
		}
		return next
	}
	return now.Add(l.each() - (l.level(now)%l.each()+l.each())%l.each())
}

// rejection tells when the permits are there.
func (l *modelLimiter) rejection(c *modelCall) rejection {
	l.mu.Lock()
	defer l.mu.Unlock()
	return rejection{resilience.ErrRateLimited, l.ready(time.Now(), l.cost(c)), true}
}

func (l *modelLimiter) String() string {
	return fmt.Sprintf("%d waiting, next permit in %v", len(l.waiting), time.Until(l.ready(time.Now(), 1)))
}
