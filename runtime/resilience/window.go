package resilience

import "time"

// counts are the outcomes in a window.
type counts struct{ calls, failures, slow, both int }

func (c *counts) add(o mark, n int) {
	c.calls += n
	if o&markFailure != 0 {
		c.failures += n
	}
	if o&markSlow != 0 {
		c.slow += n
	}
	if o == markFailure|markSlow {
		c.both += n
	}
}

// mark is what a window remembers of a call.
type mark uint8

const (
	markFailure mark = 1 << iota
	markSlow
)

// window remembers outcomes: a ring of the last calls, or buckets of time.
// It is used under the breaker's lock.
type window struct {
	conf Window
	sum  counts

	ring []mark // of a count window; next is where the oldest is
	next int

	buckets []counts
	head    int64 // number of the newest bucket since the epoch
}

func newWindow(conf Window) *window {
	w := &window{conf: conf}
	if conf.Type == TimeWindow {
		w.buckets = make([]counts, conf.Buckets)
		w.head = -1
	} else {
		w.ring = make([]mark, 0, conf.Size)
	}
	return w
}

// width is the time of one bucket.
func (w *window) width() time.Duration {
	return max(w.conf.Duration/time.Duration(w.conf.Buckets), 1)
}

func (w *window) add(now time.Duration, o mark) {
	w.sum.add(o, 1)
	switch {
	case w.conf.Type == TimeWindow:
		w.turn(now)
		w.buckets[w.head%int64(len(w.buckets))].add(o, 1)
	case len(w.ring) < cap(w.ring):
		w.ring = append(w.ring, o)
	default:
		w.sum.add(w.ring[w.next], -1)
		w.ring[w.next] = o
		w.next = (w.next + 1) % len(w.ring)
	}
}

// turn drops the buckets that left the window. A clock that went backwards
// keeps the newest bucket.
func (w *window) turn(now time.Duration) {
	head := max(int64(now/w.width()), w.head)
	for n := max(w.head+1, head-int64(len(w.buckets))+1); n <= head; n++ {
		old := &w.buckets[n%int64(len(w.buckets))]
		w.sum.calls -= old.calls
		w.sum.failures -= old.failures
		w.sum.slow -= old.slow
		w.sum.both -= old.both
		*old = counts{}
	}
	w.head = head
}

// read returns what the window holds now.
func (w *window) read(now time.Duration) counts {
	if w.conf.Type == TimeWindow {
		w.turn(now)
	}
	return w.sum
}

// succeed adds n successes, of the bucket that began at from. One that has left
// the window meanwhile takes them along.
func (w *window) succeed(from time.Duration, n int64) {
	switch {
	case n <= 0:
	case w.conf.Type == TimeWindow:
		number := int64(from / w.width())
		if number > w.head {
			w.turn(from)
		}
		if number > w.head-int64(len(w.buckets)) {
			w.buckets[number%int64(len(w.buckets))].add(0, int(n))
			w.sum.add(0, int(n))
		}
	case n >= int64(cap(w.ring)):
		w.ring, w.next = w.ring[:cap(w.ring)], 0
		clear(w.ring)
		w.sum = counts{calls: len(w.ring)}
	default:
		for range n {
			w.add(0, 0)
		}
	}
}

// bounds returns when the bucket of now begins and ends.
func (w *window) bounds(now time.Duration) (from, until time.Duration) {
	from = now - now%w.width()
	return from, from + w.width()
}

func (w *window) clear() {
	*w = *newWindow(w.conf)
}

// tally counts successes that need not be put into the window one by one, for
// one generation of the breaker and, in a time window, one bucket.
type tally struct {
	n           spread // negative once sealed
	generation  uint64
	from, until time.Duration // of the bucket; 0 in a count window
	enough      int64         // more would push each other out of the window
}

const sealed = -1 << 62

// add counts a success and reports whether it could. A healthy breaker of a
// count window writes nothing once its window is full of successes.
func (t *tally) add(clock func() time.Duration) bool {
	if t.until > 0 {
		if now := clock(); now < t.from || now >= t.until {
			return false
		}
	}
	n := t.n.here()
	return n.Load() >= t.enough || n.Add(1) > 0
}

// seal ends the counting and returns the count. A success that comes at the
// same moment either is in it or is told to take the lock.
func (t *tally) seal() int64 { return t.n.swap(sealed) }
