package resilience

import (
	"math"
	"sync/atomic"
	"time"
)

// bucket is the meter of TokenLimit and SmoothLimit: the generic cell rate
// algorithm (ITU-T Recommendation I.371, 1993), whose whole state is the instant
// at which the bucket will be full. It needs no lock.
type bucket struct {
	interval time.Duration // of one permit
	depth    time.Duration // of all that it holds
	debt     time.Duration // what a new one lacks
	full     atomic.Int64
}

func newBucket(conf *RateLimit, now time.Duration) *bucket {
	b := &bucket{interval: conf.interval()}
	b.depth = times(int64(conf.Burst), b.interval)
	if conf.Mode == SmoothLimit {
		b.debt = b.depth - b.interval
		b.full.Store(int64(now + b.debt))
	}
	return b
}

func (b *bucket) span(cost int64) time.Duration {
	if cost == 1 {
		return b.interval
	}
	return times(cost, b.interval)
}

func (b *bucket) ready(now, since time.Duration, cost int64) time.Duration {
	return max(max(time.Duration(b.full.Load()), since)+b.span(cost)-b.depth, now)
}

// take returns as receipt when the bucket is full again.
func (b *bucket) take(now, since time.Duration, cost int64) (time.Duration, bool) {
	span := b.span(cost)
	if span <= b.depth { // what overflowed while it was first in line is lost
		since = now
	}
	for {
		was := b.full.Load()
		next := max(time.Duration(was), since) + span
		if at := next - b.depth; at > now {
			return at, false
		}
		if b.full.CompareAndSwap(was, int64(next)) {
			return next, true
		}
	}
}

// repay does nothing once the bucket would have been full: what overflowed
// meanwhile is lost, whether it was taken or not.
func (b *bucket) repay(now, receipt time.Duration, cost int64) {
	if receipt > now {
		b.full.Add(-int64(b.span(cost)))
	}
}

func (b *bucket) fresh(now time.Duration) bool { return time.Duration(b.full.Load()) <= now+b.debt }

// sealedUntil is when a bucket is full that another one has replaced: later than
// anybody waits.
const sealedUntil = math.MaxInt64 - 2*halfCentury

// adopt puts what is in the bucket into another one, and seals this one, so that
// nothing is taken from it any more.
func (b *bucket) adopt(conf *RateLimit, now time.Duration) meter {
	next := newBucket(conf, now)
	lacks := max(time.Duration(b.full.Swap(int64(sealedUntil)))-now, 0)
	permits := float64(b.depth-lacks) / float64(b.interval)
	level := min(time.Duration(permits*float64(next.interval)), next.depth)
	next.full.Store(int64(now + next.depth - level))
	return next
}
