package resilience

import (
	"context"
	"sync"
)

// Ring keeps the last events that it was told, for a page or a test that looks
// at them later. It is safe for concurrent use.
type Ring struct {
	mu     sync.Mutex
	events []Event
	told   int64
}

// NewRing returns a Ring of n events, at least one.
func NewRing(n int) *Ring { return &Ring{events: make([]Event, max(n, 1))} }

// Observe keeps e, in place of the oldest event if the ring is full. It is made
// for [Options.Observe].
func (r *Ring) Observe(_ context.Context, e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events[r.told%int64(len(r.events))] = e
	r.told++
}

// Events returns what the ring holds, oldest first, and how many events had to
// make room.
func (r *Ring) Events() (events []Event, dropped int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := int64(len(r.events))
	dropped = max(r.told-size, 0)
	for n := dropped; n < r.told; n++ {
		events = append(events, r.events[n%size])
	}
	return events, dropped
}
