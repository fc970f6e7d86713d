package resilience

import (
	"sync"
	"time"
)

// maxLeap is how far the clock may be set forward before that is not believed.
const maxLeap = time.Hour

// wallTime is a clock for what outlives the process: the greatest wall time that
// was seen, in this process or by who wrote a record. Set back, the system's clock
// stands still here until it is there again. Set forward by more than an hour, it
// is not believed, and this one goes on as the monotonic clock says: nothing is
// thought old too soon. The zero value has seen nothing.
type wallTime struct {
	mu   sync.Mutex
	last time.Time     // the greatest
	at   time.Duration // since epoch, when that was seen
}

// now returns the time.
func (w *wallTime) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.see(time.Now().Round(0), sinceEpoch())
}

// written notes the time of a record.
func (w *wallTime) written(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.see(time.Now().Round(0), sinceEpoch())
	if t.After(w.last) && t.Sub(w.last) <= maxLeap {
		w.last = t
	}
}

// see returns the time after the system's clock said wall, at a reading of the
// monotonic one. w.mu is held.
func (w *wallTime) see(wall time.Time, at time.Duration) time.Time {
	if !w.last.IsZero() && wall.Sub(w.last) > at-w.at+maxLeap {
		wall = w.last.Add(at - w.at)
	}
	if wall.After(w.last) {
		w.last = wall
	}
	w.at = at
	return w.last
}
