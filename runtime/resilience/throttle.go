package resilience

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// throttle counts how many attempts the peer accepts.
//
// Accepted ones are counted without a clock, and dated when it matters, at the
// next failure or rejection: evenly over the time since, as they came.
type throttle struct {
	passed spread      // accepted since dated
	calm   atomic.Bool // nothing is rejected

	mu    sync.Mutex
	conf  Adaptive // every default filled in
	news  *news    // nil if nobody listens
	name  string   // of the guard
	parts [throttleParts]accepted
	head  int64         // number of the newest part
	dated time.Duration // when passed was counted last
}

// accepted is a part of the window.
type accepted struct{ requests, accepts float64 }

// throttleParts is how many parts the window has.
const throttleParts = 30

func newThrottle(name string, conf Adaptive, now time.Duration, o *observer) *throttle {
	t := &throttle{conf: conf, dated: now, name: name}
	if o != nil {
		t.news = &news{to: o}
	}
	t.calm.Store(true)
	t.turn(now)
	return t
}

// reconfigure gives the throttle other numbers. A window of another length
// begins empty.
func (t *throttle) reconfigure(conf Adaptive) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.conf; old.Window != conf.Window {
		t.parts, t.head = [throttleParts]accepted{}, 0
	}
	t.conf = conf
	t.judge(context.Background(), t.ratio(sinceEpoch()))
}

// judge notes whether attempts are to be rejected, and has told when that
// changes. t.mu is held.
func (t *throttle) judge(ctx context.Context, ratio float64) {
	calm := ratio == 0
	if t.calm.Swap(calm) == calm || t.news == nil {
		return
	}
	sum, reason := t.sum(), "rejects some"
	if calm {
		reason = "rejects none"
	}
	t.news.add(ctx, Event{Kind: LimitChanged, Time: time.Now(), Name: t.name, By: partNames[adaptivePart], Reason: reason,
		Counts: Counts{Calls: int(sum.requests + 0.5), Failures: int(sum.requests - sum.accepts + 0.5)}})
}

func (t *throttle) width() time.Duration { return t.conf.Window / throttleParts }

// part returns the part with the number.
func (t *throttle) part(number int64) *accepted { return &t.parts[number%throttleParts] }

// turn makes the part of now the newest one.
func (t *throttle) turn(now time.Duration) {
	head := max(int64(now/t.width()), t.head)
	for n := max(t.head+1, head-throttleParts+1); n <= head; n++ {
		*t.part(n) = accepted{}
	}
	t.head = head
}

// date puts what passed into the parts of the time since the last dating.
func (t *throttle) date(now time.Duration) {
	t.turn(now)
	n := float64(t.passed.swap(0))
	since := now - t.dated
	if n > 0 && since <= 0 {
		t.part(t.head).add(n, n)
	}
	for number := max(t.head-throttleParts+1, 0); n > 0 && since > 0 && number <= t.head; number++ {
		from, until := time.Duration(number)*t.width(), time.Duration(number+1)*t.width()
		if within := min(until, now) - max(from, t.dated); within > 0 {
			share := n * float64(within) / float64(since)
			t.part(number).add(share, share)
		}
	}
	t.dated = max(t.dated, now)
}

func (a *accepted) add(requests, accepts float64) {
	a.requests += requests
	a.accepts += accepts
}

// ratio is the share of attempts to reject now. t.mu is held.
func (t *throttle) ratio(now time.Duration) float64 {
	t.date(now)
	return t.sum().ratio(t.conf.K, t.conf.MaxRejectionRatio)
}

func (t *throttle) sum() (sum accepted) {
	for _, p := range t.parts {
		sum.add(p.requests, p.accepts)
	}
	return sum
}

func (a accepted) ratio(k, most float64) float64 {
	return min(max(0, (a.requests-k*a.accepts)/(a.requests+1)), most)
}

// rejects reports whether an attempt is rejected, for a random number in [0,1).
func (t *throttle) rejects(ctx context.Context, now time.Duration, r float64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	ratio := t.ratio(now)
	t.judge(ctx, ratio)
	if r >= ratio {
		return false
	}
	t.part(t.head).add(1, 0)
	return true
}

// refused counts an attempt that the peer did not accept.
func (t *throttle) refused(ctx context.Context, now time.Duration) {
	defer t.news.tell()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn(now)
	t.part(t.head).add(1, 0)
	t.judge(ctx, t.ratio(now))
}
