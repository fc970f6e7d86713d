package resilience

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// latencies estimates a percentile of the latest durations: log-linear buckets,
// 16 for each doubling, so that the estimate is never low and at most 1/16 high.
// It takes no lock. Halving the buckets now and then lets old durations fade;
// one that is added at that moment may be lost.
type latencies struct {
	percentile float64
	warmup     int64
	count      atomic.Int64
	estimate   atomic.Int64 // 0 until warmup durations are known
	buckets    [64 * 16]atomic.Uint32
}

const (
	estimatedEvery = 64   // durations
	halvedEvery    = 2048 // durations
)

// add takes a duration in.
func (l *latencies) add(d time.Duration) {
	l.buckets[bucketOf(d)].Add(1)
	n := l.count.Add(1)
	if n == l.warmup || n > l.warmup && n%estimatedEvery == 0 {
		l.estimate.Store(int64(l.quantile()))
	}
	if n%halvedEvery == 0 {
		for i := range l.buckets {
			l.buckets[i].Store(l.buckets[i].Load() / 2)
		}
	}
}

// quantile is the upper end of the bucket that holds the percentile.
func (l *latencies) quantile() time.Duration {
	var total, seen uint64
	for i := range l.buckets {
		total += uint64(l.buckets[i].Load())
	}
	rank := uint64(math.Ceil(l.percentile / 100 * float64(total)))
	for i := range l.buckets {
		if seen += uint64(l.buckets[i].Load()); seen >= rank && seen > 0 {
			return bucketEnd(i)
		}
	}
	return math.MaxInt64 // halved meanwhile
}

func bucketOf(d time.Duration) int {
	u := uint64(max(d, 1))
	if u < 16 {
		return int(u)
	}
	e := bits.Len64(u)
	return (e-4)*16 + int(u>>(e-5)&15)
}

// bucketEnd is the longest duration in bucket i.
func bucketEnd(i int) time.Duration {
	if i < 16 {
		return time.Duration(i)
	}
	return time.Duration((uint64(i%16)+17)<<(i/16-1) - 1)
}
