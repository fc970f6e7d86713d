package resilience

import (
	"slices"
	"strings"
	"time"
)

// LimiterSnapshot is a rate limiter at one moment.
type LimiterSnapshot struct {
	Name       string        // "payments.Gateway.Charge", or the shared one; its key behind it, like that of a breaker
	Waiting    int           // calls in the queue
	RetryAfter time.Duration // until a call of one permit would be served, behind those who wait; 0: at once
}

// Limiters returns every rate limiter as it is now, sorted by name.
func (rt *Runtime) Limiters() []LimiterSnapshot {
	root, _ := rt.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	var list []LimiterSnapshot
	for _, l := range root.limiters {
		list = append(list, l.snapshot())
	}
	for _, keys := range root.limitKeys {
		for _, u := range keys.all() {
			list = append(list, u.what.(*limiter).snapshot())
		}
	}
	slices.SortFunc(list, func(a, b LimiterSnapshot) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (l *limiter) snapshot() LimiterSnapshot {
	after, _ := l.turned.RetryAfter()
	return LimiterSnapshot{Name: l.name, Waiting: int(l.queued.Load()), RetryAfter: after}
}
