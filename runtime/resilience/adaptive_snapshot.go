package resilience

import (
	"slices"
	"strings"
)

// AdaptiveSnapshot is the adaptive part of a guard at one moment.
type AdaptiveSnapshot struct {
	Name              string // of the guard
	Requests, Accepts int    // of mode throttle, in the window
	RejectionRatio    float64
	Limit, InFlight   int // of mode concurrency
}

// AdaptiveLimits returns every adaptive part as it is now, sorted by name.
func (rt *Runtime) AdaptiveLimits() []AdaptiveSnapshot {
	root, _ := rt.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	var list []AdaptiveSnapshot
	for _, g := range root.guards {
		s := AdaptiveSnapshot{Name: g.name}
		switch {
		case g.throttle != nil:
			s.Requests, s.Accepts, s.RejectionRatio = g.throttle.snapshot()
		case g.steering != nil:
			s.Limit, s.InFlight = int(g.steering.limit.Load()), int(g.steering.inFlight.Load())
		default:
			continue
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b AdaptiveSnapshot) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (t *throttle) snapshot() (requests, accepts int, ratio float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ratio = t.ratio(sinceEpoch())
	sum := t.sum()
	return int(sum.requests + 0.5), int(sum.accepts + 0.5), ratio
}
