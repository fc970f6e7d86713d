package resilience

import "time"

// counts are the outcomes in a window.
type counts struct{ calls, failures, slow int }

func (c *counts) add(o mark, n int) {
	c.calls += n
	if o&markFailure != 0 {
		c.failures += n
	}
	if o&markSlow != 0 {
		c.slow += n
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
	if w.conf.Type == TimeWindow {
		w.turn(now)
		w.buckets[w.head%int64(len(w.buckets))].add(o, 1)
		w.sum.add(o, 1)
		return
	}
	w.sum.add(o, 1)
	if len(w.ring) < cap(w.ring) {
		w.ring = append(w.ring, o)
		return
	}
	w.sum.add(w.ring[w.next], -1)
	w.ring[w.next] = o
	w.next = (w.next + 1) % len(w.ring)
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

func (w *window) clear() {
	*w = *newWindow(w.conf)
}
