package lint

import (
	"math"
	"time"

	"github.com/resilgen/resilgen/generator/policy"
)

// Worst is how long a call may take.
type Worst struct {
	Bounded    bool          // there is a timeout
	Limit      time.Duration // the longest call
	Unbounded  time.Duration // attempts and sleeps, without timeout.total
	RetryAfter time.Duration // the longest call when the peer asks for waits; 0 if not longer
}

// PerAttempt is the limit of one execution, 0 if there is none.
func PerAttempt(e *policy.Effective) time.Duration {
	attempt, open := e.Dur("timeout.attempt"), e.Dur("timeout.open")
	if attempt == 0 || open > 0 && open < attempt {
		return open
	}
	return attempt
}

// waits is how long attempt n, counted from 0, may wait before it begins, or
// before its limit does.
func waits(e *policy.Effective, n int) (wait time.Duration) {
	for _, part := range []string{"rateLimit", "bulkhead"} {
		free := n > 0 && e.Str(part+".scope") == "call"
		if !free && !e.Nests(part, e.Loop()) && !e.Nests(part, "timeout.total") && !e.Nests("timeout.attempt", part) && !e.Nests("timeout.open", part) {
			wait += e.Dur(part + ".maxWait")
		}
	}
	return wait
}

// waitsOutside is how long a call may wait before the retry, and before
// timeout.total begins.
func waitsOutside(e *policy.Effective) (call, total time.Duration) {
	for _, part := range []string{"rateLimit", "bulkhead"} {
		switch wait := e.Dur(part + ".maxWait"); {
		case e.Nests(part, "timeout.total"):
			total += wait
		case e.Nests(part, e.Loop()):
			call += wait
		}
	}
	return call, total
}

// WorstCase is A·(T+Q) + D (docs/policy.md), cut by timeout.total, and what may
// be waited before that begins.
func WorstCase(e *policy.Effective) Worst {
	w := worstWithin(e)
	if _, before := waitsOutside(e); w.Bounded && before > 0 {
		w.Limit += before
		if w.RetryAfter > 0 {
			w.RetryAfter += before
		}
	}
	return w
}

// worstWithin is WorstCase from where timeout.total begins.
func worstWithin(e *policy.Effective) Worst {
	attempt, total := PerAttempt(e), e.Dur("timeout.total")
	bounded := attempt > 0 || total > 0
	n := 1
	var sleeps, prev time.Duration
	if e.Has("retry") {
		n = e.Int("retry.maxAttempts")
		_, prev = Delay(e, 0, 0)
		for i := range n - 1 {
			_, prev = Delay(e, i, prev)
			sleeps += prev
		}
	}
	before, _ := waitsOutside(e)
	if !bounded {
		before = 0
	}
	if e.Has("hedge") {
		if bounded {
			attempt += waits(e, 0)
		}
		return hedgedWorst(e, attempt, before, bounded)
	}
	all := before + time.Duration(n)*attempt
	if bounded {
		all += waits(e, 0) + time.Duration(n-1)*waits(e, 1)
	}
	w := Worst{Bounded: bounded, Unbounded: all + sleeps}
	w.Limit = w.Unbounded
	if e.Has("retry") && e.Bool("retry.retryAfter.honor") {
		w.RetryAfter = all + time.Duration(n-1)*max(e.Dur("retry.retryAfter.max"), 0)
	}
	if total > 0 {
		if PerAttempt(e) == 0 {
			w.Limit = total
		}
		w.Limit, w.RetryAfter = min(w.Limit, total), min(w.RetryAfter, total)
	}
	if w.RetryAfter <= w.Limit {
		w.RetryAfter = 0
	}
	return w
}

// hedgedWorst is H·min(S,T+Q) + T+Q for H hedges that begin S apart, and what is
// waited before all, cut by timeout.total. S by a percentile is not known, but no
// longer than an attempt.
func hedgedWorst(e *policy.Effective, attempt, before time.Duration, bounded bool) Worst {
	apart := attempt
	if delay, ok := e.Get("hedge.delay"); ok && !delay.None {
		apart = min(apart, delay.V.(time.Duration))
	}
	w := Worst{Bounded: bounded, Unbounded: before + time.Duration(e.Int("hedge.maxHedges"))*apart + attempt}
	w.Limit = w.Unbounded
	if total := e.Dur("timeout.total"); total > 0 && (PerAttempt(e) == 0 || total < w.Limit) {
		w.Limit = total
	}
	return w
}

// Delay returns the least and the largest wait before retry n, counted from 0,
// after a wait of prev. The formulas are those of docs/policy.md.
func Delay(e *policy.Effective, n int, prev time.Duration) (low, high time.Duration) {
	initial, limit := e.Dur("retry.backoff.initialDelay"), e.Dur("retry.backoff.maxDelay")
	b, c := float64(initial), float64(limit)
	var d float64
	switch e.Str("retry.backoff.strategy") {
	case "none":
		return 0, 0
	case "constant":
		d = b
	case "linear":
		d = b * float64(n+1)
	case "fibonacci":
		x, y := 1.0, 2.0
		for range min(n, 1000) {
			x, y = y, x+y
		}
		d = b * x
	case "sequence":
		v, _ := e.Get("retry.backoff.delays")
		if list, _ := v.V.([]time.Duration); len(list) > 0 {
			d = float64(list[min(n, len(list)-1)])
		}
	default:
		d = b * math.Pow(e.Float("retry.backoff.multiplier"), float64(n))
	}
	d = min(d, c)
	switch e.Str("retry.backoff.jitter") {
	case "none":
		return time.Duration(d), time.Duration(d)
	case "equal":
		return time.Duration(d / 2), time.Duration(d)
	case "ratio":
		f := e.Float("retry.backoff.jitterFactor")
		return time.Duration(d * (1 - f)), time.Duration(min(d*(1+f), c))
	case "decorrelated":
		return min(initial, limit), time.Duration(min(3*math.Max(float64(prev), b), c))
	case "decorrelatedV2":
		return 0, limit
	}
	return 0, time.Duration(d)
}
