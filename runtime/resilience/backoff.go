package resilience

import (
	"math"
	"time"
)

// delay returns the wait before retry n, counted from 0. prev is the delay
// before (the initial delay for n = 0) and r is uniform in [0,1). The formulas
// are those of docs/policy.md; full, equal and decorrelated jitter are from
// Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
func (b *Backoff) delay(n int, prev time.Duration, r float64) time.Duration {
	if b.Strategy == NoBackoff {
		return 0
	}
	limit := orDuration(b.MaxDelay, maxDelay)
	initial := float64(orDuration(b.InitialDelay, 100*time.Millisecond))
	if b.Jitter == DecorrelatedJitter {
		return saturate(initial+r*(3*float64(prev)-initial), limit)
	}
	if b.Jitter == DecorrelatedJitterV2 {
		return saturate(smooth(float64(n), r)*initial/1.4, limit)
	}
	return saturate(b.spread(math.Min(b.base(n, initial), float64(limit)), r), limit)
}

// maxDelay is the default of Backoff.MaxDelay.
const maxDelay = 10 * time.Second

// base is the delay before jitter; it may be +Inf.
func (b *Backoff) base(n int, initial float64) float64 {
	switch b.Strategy {
	case Constant:
		return initial
	case Linear:
		return initial * float64(n+1)
	case Fibonacci:
		return initial * fibonacci(n)
	case Sequence:
		if len(b.Delays) == 0 {
			return 0
		}
		return float64(max(0, b.Delays[min(n, len(b.Delays)-1)]))
	default:
		if initial == 0 {
			return 0 // 0·Inf is not a number
		}
		return initial * math.Pow(orFloat(b.Multiplier, 2), float64(n))
	}
}

func (b *Backoff) spread(d, r float64) float64 {
	switch b.Jitter {
	case NoJitter:
		return d
	case EqualJitter:
		return d/2 + r*d/2
	case RatioJitter:
		f := orFloat(b.JitterFactor, 0.5)
		return d * (1 - f + 2*f*r)
	default:
		return r * d
	}
}

// fibonacci returns 1, 2, 3, 5, 8 …, and +Inf where a float64 ends.
func fibonacci(n int) float64 {
	a, b := 1.0, 2.0
	for range n {
		a, b = b, a+b
		if math.IsInf(a, 1) {
			break
		}
	}
	return a
}

// smooth is the difference of two neighbours of 2^t·tanh(√(4t)), the formula
// of Polly's DecorrelatedJitterV2.
func smooth(n, r float64) float64 {
	at := func(t float64) float64 { return math.Exp2(t) * math.Tanh(math.Sqrt(4*t)) }
	next := at(n + r)
	if n == 0 {
		return next
	}
	if math.IsInf(next, 1) {
		return next
	}
	return next - at(n-1+r)
}

// saturate is d, but no more than limit; a float64 that is as large as the end
// of time does not fit into a Duration.
func saturate(d float64, limit time.Duration) time.Duration {
	if math.IsNaN(d) || d >= float64(limit) {
		return limit
	}
	return time.Duration(max(d, 0))
}

// orDuration returns d, the default if it was not given, 0 for None.
func orDuration(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return max(d, 0)
}

func orInt(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return max(n, 0)
}

func orFloat(f, otherwise float64) float64 {
	if f == 0 {
		return otherwise
	}
	return max(f, 0)
}
