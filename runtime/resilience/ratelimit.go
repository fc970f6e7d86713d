package resilience

import (
	"math"
	"time"
)

// RateLimit limits executions in a period. Limit has no default: a RateLimit
// without one is off.
type RateLimit struct {
	Name  string      // shares the permits with every RateLimit of this name in the Runtime
	Mode  LimitMode   // default TokenLimit
	Limit int         // permits in a Period, 1 to 1e9; at most 1e6 of RollingLimit
	Burst int         // of TokenLimit, the permits it holds at most; default Limit
	Scope ChargeScope // default PerAttempt

	Period  time.Duration // 1ms to a year; default 1s
	MaxWait time.Duration // in the queue, FIFO; default none: nobody queues

	// PerKey keeps one limiter for each key given to [Call.LimitKey], and no more
	// than MaxKeys: roughly the least recently used goes, of those that are in
	// nobody's use and have every permit back. If there is none, one shared limiter
	// serves the keys that found no place.
	PerKey  bool
	MaxKeys int // default 1000
}

// LimitMode is how a [RateLimit] counts.
type LimitMode uint8

// Modes of rate limits. RollingLimit remembers when each permit was taken,
// 8 bytes for each of Limit; the others need nothing for a permit.
const (
	// TokenLimit is a bucket of Burst permits, full at first, which refills at
	// Limit in a Period.
	TokenLimit LimitMode = iota
	// SmoothLimit gives a permit every Period/Limit. What is not taken accrues, up
	// to Limit; at first there is one.
	SmoothLimit
	// FixedLimit gives Limit permits in each Period; the first one begins when the
	// limiter is made.
	FixedLimit
	// RollingLimit gives Limit permits in any Period.
	RollingLimit
)

// ChargeScope is what takes a permit.
type ChargeScope uint8

// Scopes of charges.
const (
	PerAttempt ChargeScope = iota // every execution
	PerCall                       // the first execution of a call
)

// withDefaults returns r with every number filled in.
func (r RateLimit) withDefaults() RateLimit {
	r.Period = orDuration(r.Period, time.Second)
	r.MaxWait = max(r.MaxWait, 0)
	r.Burst = orInt(r.Burst, r.Limit)
	if r.Mode != TokenLimit {
		r.Burst = r.Limit
	}
	r.MaxKeys = orInt(r.MaxKeys, 1000)
	if !r.PerKey {
		r.MaxKeys = 0
	}
	return r
}

// interval is the time of one permit, in whole nanoseconds: never less than
// what the limit allows.
func (r *RateLimit) interval() time.Duration {
	return (r.Period + time.Duration(r.Limit) - 1) / time.Duration(r.Limit)
}

const (
	mostPermits = 1_000_000_000
	mostRolling = 1_000_000
	year        = 366 * 24 * time.Hour
	// halfCentury is the most that a bucket owes or holds: instants are a century
	// and the life of the process, and sums of them must not overflow.
	halfCentury = century / 2
)

// check calls refuse for what cannot work.
func (r *RateLimit) check(refuse func(bad bool, text string)) {
	if *r == (RateLimit{}) {
		return
	}
	d := r.withDefaults()
	refuse(r.Limit == 0, "rateLimit.limit: is not given")
	refuse(r.Limit < 0 || r.Limit > mostPermits, "rateLimit.limit: must be 1 to 1000000000")
	refuse(r.Burst < 0 || r.Burst > mostPermits, "rateLimit.burst: must be 1 to 1000000000")
	refuse(d.Period < time.Millisecond || d.Period > year, "rateLimit.period: must be 1ms to 8784h")
	refuse(r.MaxKeys < 0, "rateLimit.maxKeys: must be at least 1")
	refuse(r.Mode == RollingLimit && r.Limit > mostRolling, "rateLimit.limit: must be at most 1000000 in mode rolling, which remembers every permit")
	bucket := r.Mode == TokenLimit || r.Mode == SmoothLimit
	if bucket && d.Limit > 0 && d.Limit <= mostPermits && d.Period >= time.Millisecond {
		exact := float64(d.Period) / float64(d.Limit)
		refuse(float64(d.interval()) > exact*1.01, "rateLimit: a permit takes whole nanoseconds, which is more than 1 % off this limit")
	}
}

// limitName is the name under which the limiter of g is kept, and whether that
// was asked for.
func (g *Guard) limitName() (name string, shared bool) {
	if name := g.policy.RateLimit.Name; name != "" {
		return name, true
	}
	return g.name, false
}

// agreeOnLimit compares the limiters of two guards, if their name is the same.
func (g *Guard) agreeOnLimit(mine *RateLimit, other *Guard, theirs *RateLimit) error {
	name, shared := g.limitName()
	as, theyShare := other.limitName()
	switch {
	case mine.Limit == 0 || theirs.Limit == 0 || name != as:
		return nil
	case !shared || !theyShare:
		return g.differs("rateLimit", name, otherName, other)
	}
	p, q := mine.withDefaults(), theirs.withDefaults()
	p.Scope, q.Scope = 0, 0 // how a call is charged
	if p != q {
		return g.differs("rateLimit", name, otherNumbers, other)
	}
	return nil
}

// limiterFor returns the limiter of g, or its limiters by key, under the numbers
// of p. rt.mu is held.
func (rt *Runtime) limiterFor(g *Guard, p *Policy) (*limiter, *keyedLimiters) {
	conf := p.RateLimit
	name, _ := g.limitName()
	switch {
	case conf.Limit == 0:
		return nil, nil
	case conf.PerKey:
		k := rt.limitKeys[name]
		if k == nil {
			k = newKeyedLimiters(name, conf)
			put(&rt.limitKeys, name, k)
		}
		k.reconfigure(conf)
		return nil, k
	}
	l := rt.limiters[name]
	if l == nil {
		l = newLimiter(name, conf)
		put(&rt.limiters, name, l)
	}
	l.reconfigure(conf)
	return l, nil
}

// put is m[name] = v for a map that may not be made yet.
func put[V any](m *map[string]V, name string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[name] = v
}

// meter counts the permits of one mode. Instants are since [epoch]. Who takes
// cost permits has been the first in line since an instant: that matters only
// where cost is more than there can be at once, and is paid in instalments.
type meter interface {
	// ready returns when cost permits are there for who is first in line.
	ready(now, since time.Duration, cost int64) time.Duration
	// take takes them, if they are there, and returns a receipt; else when they
	// are there.
	take(now, since time.Duration, cost int64) (at time.Duration, ok bool)
	// repay gives back what was taken under the receipt, as far as it would not
	// have come back by itself.
	repay(now, receipt time.Duration, cost int64)
	// fresh reports whether a new meter would allow no more than this one.
	fresh(now time.Duration) bool
	// adopt returns the meter under other numbers. What was taken stays taken, and
	// a higher limit adds nothing to what is there now.
	adopt(conf *RateLimit, now time.Duration) meter
}

func newMeter(conf *RateLimit, now time.Duration) meter {
	switch conf.Mode {
	case FixedLimit:
		return &fixedMeter{born: now, period: conf.Period, limit: int64(conf.Limit)}
	case RollingLimit:
		return &rollingMeter{period: conf.Period, limit: int64(conf.Limit)}
	}
	return newBucket(conf, now)
}

// times is n·d for numbers that are not negative, no more than halfCentury.
func times(n int64, d time.Duration) time.Duration {
	if n > 0 && d > halfCentury/time.Duration(n) {
		return halfCentury
	}
	return time.Duration(n) * d
}

// fixedMeter counts the permits of the present period.
type fixedMeter struct {
	born, period time.Duration
	limit        int64
	number       int64 // of the period in which used were taken
	used         int64
}

// fit returns the first period in which cost fits, and what is used of it then.
// More than a whole period gives takes what is left of periods in a row.
func (f *fixedMeter) fit(now, since time.Duration, cost int64) (number, used int64) {
	if cost <= f.limit {
		since = now
	}
	number = max(int64((since-f.born)/f.period), f.number)
	if number == f.number {
		used = f.used
	}
	switch {
	case used+cost <= f.limit:
		return number, used + cost
	case cost <= f.limit:
		return number + 1, cost
	}
	more := (used + cost - 1) / f.limit
	return number + more, used + cost - more*f.limit
}

func (f *fixedMeter) begins(number int64) time.Duration {
	return after(f.born, times(number, f.period))
}

func (f *fixedMeter) ready(now, since time.Duration, cost int64) time.Duration {
	number, _ := f.fit(now, since, cost)
	return max(f.begins(number), now)
}

func (f *fixedMeter) take(now, since time.Duration, cost int64) (time.Duration, bool) {
	number, used := f.fit(now, since, cost)
	at := f.begins(number)
	if at > now {
		return at, false
	}
	f.number, f.used = max(number, int64((now-f.born)/f.period)), used
	return f.begins(f.number), true
}

func (f *fixedMeter) repay(_, receipt time.Duration, cost int64) {
	if receipt == f.begins(f.number) {
		f.used = max(f.used-cost, 0)
	}
}

func (f *fixedMeter) fresh(now time.Duration) bool {
	return f.used == 0 || int64((now-f.born)/f.period) > f.number
}

// adopt lets the running period go on with what is left of it.
func (f *fixedMeter) adopt(conf *RateLimit, now time.Duration) meter {
	number, used := f.fit(now, now, 0)
	limit := int64(conf.Limit)
	left := max(min(f.limit, limit)-used, 0)
	return &fixedMeter{born: f.begins(number), period: conf.Period, limit: limit, used: limit - left}
}

// rollingMeter remembers when the permits of the last period were taken, in a
// ring that grows up to limit.
type rollingMeter struct {
	period time.Duration
	limit  int64
	taken  []time.Duration
	head   int // the oldest
	used   int
	last   time.Duration // when any was taken
}

// at returns when the i-th oldest was taken.
func (r *rollingMeter) at(i int) *time.Duration { return &r.taken[(r.head+i)%len(r.taken)] }

// forget drops what has left the period.
func (r *rollingMeter) forget(now time.Duration) {
	for r.used > 0 && *r.at(0)+r.period <= now {
		r.head = (r.head + 1) % len(r.taken)
		r.used--
	}
}

func (r *rollingMeter) ready(now, since time.Duration, cost int64) time.Duration {
	r.forget(now)
	switch over := int64(r.used) + cost - r.limit; {
	case over <= 0:
		return now
	case cost <= r.limit:
		return *r.at(int(over) - 1) + r.period
	}
	return after(max(r.last+r.period, since), times((cost-1)/r.limit, r.period))
}

func (r *rollingMeter) take(now, since time.Duration, cost int64) (time.Duration, bool) {
	if r.last > now {
		now = r.last // taken by a goroutine that looked at the clock after us
	}
	if at := r.ready(now, since, cost); at > now {
		return at, false
	}
	for range (cost-1)%r.limit + 1 { // of instalments, the last one
		r.add(now)
	}
	return now, true
}

func (r *rollingMeter) add(now time.Duration) {
	if r.used == len(r.taken) {
		grown := make([]time.Duration, min(max(2*int64(r.used), 4), r.limit))
		for i := range r.used {
			grown[i] = *r.at(i)
		}
		r.taken, r.head = grown, 0
	}
	r.used++
	*r.at(r.used - 1) = now
	r.last = now
}

func (r *rollingMeter) repay(_, receipt time.Duration, cost int64) {
	kept := 0
	left := (cost-1)%r.limit + 1
	for i := range r.used {
		if t := *r.at(i); t != receipt || left == 0 {
			*r.at(kept) = t
			kept++
		} else {
			left--
		}
	}
	r.used = kept
}

func (r *rollingMeter) fresh(now time.Duration) bool {
	r.forget(now)
	return r.used == 0
}

func (r *rollingMeter) adopt(conf *RateLimit, _ time.Duration) meter {
	r.period, r.limit = conf.Period, int64(conf.Limit)
	return r
}

// permits caps a number of permits, so that sums of them do not overflow.
func permits(n int) int32 { return int32(min(n, math.MaxInt32)) }
