package resilience

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in 32 buckets for each octave of nanoseconds
// (log-linear, as in Tene's HdrHistogram): below 64 ns every nanosecond has its
// own, and no bucket is wider than a 32nd of what it holds, so that its middle is
// off by at most 1.6 %. Beyond 73 minutes everything is in the last one.
//
// 32 bits are enough for two minutes.
type histogram [38 * 32]atomic.Uint32

// logBucket is the bucket of d.
func logBucket(d time.Duration) int {
	v := uint64(max(d, 0))
	octave := max(bits.Len64(v)-6, 0)
	return min(octave*32+int(v>>octave), len(histogram{})-1)
}

// middle is the duration that a bucket stands for.
func middle(bucket int) time.Duration {
	if bucket < 64 {
		return time.Duration(bucket)
	}
	octave := bucket/32 - 1
	return time.Duration(bucket-octave*32)<<octave + time.Duration(1)<<octave/2
}

func (h *histogram) sum() (n int64) {
	for i := range h {
		n += int64(h[i].Load())
	}
	return n
}

// take moves what other has to h.
func (h *histogram) take(other *histogram) {
	for i := range other {
		if other[i].Load() != 0 {
			h[i].Add(other[i].Swap(0))
		}
	}
}

// drain empties h and returns how many there were. What is added meanwhile is
// either among them or still there.
func (h *histogram) drain() (n int64) {
	for i := range h {
		if h[i].Load() != 0 {
			n += int64(h[i].Swap(0))
		}
	}
	return n
}

// Latency are the durations of the calls that ended within the last one to two
// minutes, with an error of at most 1.6 %; sleeps between attempts are in them,
// fallbacks and calls without an attempt are not.
type Latency struct {
	Count                         int64
	Mean, P50, P90, P95, P99, Max time.Duration
}

// latencyOf sums histograms up.
func latencyOf(list ...*histogram) (l Latency) {
	var merged [len(histogram{})]uint64
	sum := 0.0
	for i := range merged {
		for _, h := range list {
			merged[i] += uint64(h[i].Load())
		}
		l.Count += int64(merged[i])
		sum += float64(merged[i]) * float64(middle(i))
	}
	if l.Count == 0 {
		return l
	}
	at := func(q float64) time.Duration {
		rank := max(uint64(math.Ceil(q*float64(l.Count))), 1)
		for i, n := range merged {
			if n >= rank {
				return middle(i)
			}
			rank -= n
		}
		return 0
	}
	l.Mean = time.Duration(sum / float64(l.Count))
	l.P50, l.P90, l.P95, l.P99, l.Max = at(0.5), at(0.9), at(0.95), at(0.99), at(1)
	return l
}
