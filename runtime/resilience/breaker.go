package resilience

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// outcome is the verdict on a call that a breaker admitted.
type outcome uint8

const (
	outcomeSuccess outcome = iota
	outcomeFailure
	outcomeIgnored // neither: a probe's permit goes back
)

// permit lets one call through; its generation keeps a late result from
// touching a newer state.
type permit struct {
	generation uint64
	probe      bool
}

// breaker is the state of a circuit breaker. Times are since an epoch of the
// process, and come in.
type breaker struct {
	name string
	conf Breaker // every default filled in
	rate bool    // the failure rate decides, not consecutive failures alone

	// closed is true while calls may pass without the lock: the breaker is closed
	// and nothing needs to know of a call before it ends.
	closed     atomic.Bool
	generation atomic.Uint64 // changes with every transition
	streak     atomic.Int64  // failures in a row, for a success to reset without the lock
	rejected   atomic.Int64

	mu          sync.Mutex
	state       State
	mode        BreakerMode
	window      *window
	openedAt    time.Duration
	reopened    int // failed probes since CLOSED
	probes      int // out
	passed      int // in a row, in AllMode
	sample      counts
	halfAt      time.Duration
	transitions int64
	openings    int64
	rejection   *rejection
	timer       *time.Timer // of AutoHalfOpen
}

// withDefaults fills in what was not given.
func (b Breaker) withDefaults() Breaker {
	if b.Window.Type != TimeWindow {
		b.Window.Type = CountWindow
	}
	b.Window.Size = max(orInt(b.Window.Size, 100), 1)
	b.Window.Duration = orDuration(b.Window.Duration, 30*time.Second)
	b.Window.Buckets = max(orInt(b.Window.Buckets, 10), 1)
	minimum := 20
	if b.Window.Type == CountWindow {
		minimum = min(minimum, b.Window.Size)
	}
	b.MinimumCalls = max(orInt(b.MinimumCalls, minimum), 1)
	b.FailureRateThreshold = orFloat(b.FailureRateThreshold, 50)
	b.SlowCallRateThreshold = orFloat(b.SlowCallRateThreshold, 100)
	b.ConsecutiveFailures = orInt(b.ConsecutiveFailures, 0)
	b.SlowCallDuration = max(b.SlowCallDuration, 0)
	b.OpenDuration = orDuration(b.OpenDuration, 5*time.Second)
	b.MaxKeys = max(orInt(b.MaxKeys, 1000), 1)
	if b.InitialState != StateOpen {
		b.InitialState = StateClosed
	}
	b.HalfOpen = b.HalfOpen.withDefaults(b.OpenDuration)
	return b
}

func (h HalfOpen) withDefaults(open time.Duration) HalfOpen {
	permitted := 1
	if h.Mode == RateMode {
		permitted = 10
	} else {
		h.Mode = AllMode
	}
	h.PermittedCalls = max(orInt(h.PermittedCalls, permitted), 1)
	h.SuccessThreshold = max(orInt(h.SuccessThreshold, 1), 1)
	if h.MaxWait == 0 {
		h.MaxWait = open
	}
	if h.OnMaxWait != StateClosed {
		h.OnMaxWait = StateOpen
	}
	return h
}

// byRate reports whether a rate key was given, or nothing else decides.
func (b *Breaker) byRate() bool {
	return b.ConsecutiveFailures <= 0 || b.FailureRateThreshold > 0 || b.MinimumCalls > 0 || b.Window != Window{}
}

// newBreaker returns a breaker in its initial state. rate says whether the
// failure rate decides, see [Breaker.byRate].
func newBreaker(name string, conf Breaker, rate bool) *breaker {
	b := &breaker{name: name, conf: conf.withDefaults(), rate: rate, mode: conf.Mode, state: StateClosed}
	b.window = newWindow(b.conf.Window)
	b.rejection = &rejection{breaker: b}
	if b.conf.InitialState == StateOpen {
		b.open(sinceEpoch(), false)
	}
	b.publish()
	return b
}

// needsClock reports whether closed calls must be timed.
func (b *breaker) needsClock() bool {
	return b.conf.SlowCallDuration > 0 || b.conf.Window.Type == TimeWindow
}

// publish lets closed calls pass without the lock. b.mu is held, or b is new.
func (b *breaker) publish() {
	b.closed.Store(b.state == StateClosed && b.mode != ForcedOpen || b.mode == Disabled)
}

// allow asks for a call. clock is read only if the breaker is not closed.
func (b *breaker) allow(clock func() time.Duration) (permit, bool) {
	if b.closed.Load() {
		return permit{generation: b.generation.Load()}, true
	}
	return b.allowSlow(clock())
}

func (b *breaker) allowSlow(now time.Duration) (permit, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mode == ForcedOpen {
		b.rejected.Add(1)
		return permit{}, false
	}
	b.expire(now)
	if b.state == StateHalfOpen && b.probes < b.room() {
		b.probes++
		return permit{b.generation.Load(), true}, true
	}
	if b.state == StateClosed || b.mode != Enforce {
		return permit{generation: b.generation.Load()}, true
	}
	b.rejected.Add(1)
	return permit{}, false
}

// room is how many probes may be out: in RateMode no more than the sample
// still needs.
func (b *breaker) room() int {
	if b.conf.HalfOpen.Mode == RateMode {
		return b.conf.HalfOpen.PermittedCalls - b.sample.calls
	}
	return b.conf.HalfOpen.PermittedCalls
}

// expire makes the transitions that only time makes. b.mu is held.
func (b *breaker) expire(now time.Duration) {
	if b.state == StateOpen && now >= b.openUntil() {
		b.halfOpen(now)
	}
	if b.state == StateHalfOpen && b.conf.HalfOpen.MaxWait > 0 && now >= b.halfAt+b.conf.HalfOpen.MaxWait {
		if b.conf.HalfOpen.OnMaxWait == StateClosed {
			b.close()
		} else {
			b.open(now, false)
		}
	}
}

// openUntil is when the first probe may go.
func (b *breaker) openUntil() time.Duration {
	d := b.conf.OpenDuration
	if m := b.conf.OpenBackoff.Multiplier; m > 1 {
		grown := float64(d) * math.Pow(m, float64(b.reopened))
		limit := float64(orDuration(b.conf.OpenBackoff.MaxDuration, time.Hour))
		d = max(d, saturate(grown, limit))
	}
	return b.openedAt + d
}

func (b *breaker) halfOpen(now time.Duration) {
	b.to(StateHalfOpen)
	b.halfAt = now
	b.probes, b.passed, b.sample = 0, 0, counts{}
}

func (b *breaker) open(now time.Duration, failedProbe bool) {
	if failedProbe {
		b.reopened++
	}
	b.to(StateOpen)
	b.openings++
	b.openedAt = now
	b.rejection = &rejection{breaker: b, until: b.openUntil()}
	if b.conf.AutoHalfOpen {
		b.timer = time.AfterFunc(b.openUntil()-now, b.tick)
	}
}

func (b *breaker) close() {
	b.to(StateClosed)
	b.reopened = 0
	b.streak.Store(0)
	b.window.clear()
}

// tick is the timer's turn.
func (b *breaker) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(sinceEpoch())
}

// stop ends the timer.
func (b *breaker) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
}

func (b *breaker) to(s State) {
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
	b.state = s
	b.transitions++
	b.generation.Add(1)
	b.publish()
}

// record tells how a call ended. A success of a healthy breaker that counts
// consecutive failures alone writes nothing.
func (b *breaker) record(clock func() time.Duration, p permit, o outcome, took time.Duration) {
	if o == outcomeIgnored && !p.probe {
		return
	}
	if !p.probe && !b.rate && b.conf.SlowCallDuration == 0 && o == outcomeSuccess {
		if b.streak.Load() != 0 && b.generation.Load() == p.generation {
			b.streak.Store(0)
		}
		return
	}
	var m mark
	if o == outcomeFailure {
		m |= markFailure
	}
	if b.conf.SlowCallDuration > 0 && took > b.conf.SlowCallDuration {
		m |= markSlow
	}
	var now time.Duration
	if p.probe || o == outcomeFailure || b.needsClock() {
		now = clock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.generation.Load() != p.generation || b.mode == Disabled {
		return
	}
	if p.probe {
		b.probes--
		if o != outcomeIgnored {
			b.judgeProbe(now, m)
		}
		return
	}
	if b.state == StateClosed {
		b.count(now, m)
	}
}

// count puts a closed call into the window and opens if it was one too many.
func (b *breaker) count(now time.Duration, m mark) {
	if m&markFailure != 0 {
		b.streak.Add(1)
	} else if b.streak.Load() != 0 {
		b.streak.Store(0)
	}
	trip := b.conf.ConsecutiveFailures > 0 && b.streak.Load() >= int64(b.conf.ConsecutiveFailures)
	if b.rate || b.conf.SlowCallDuration > 0 {
		b.window.add(now, m)
		sum := b.window.read(now)
		trip = trip || sum.calls >= b.conf.MinimumCalls && b.tooMany(sum)
	}
	if trip {
		b.open(orClock(now), false)
	}
}

// orClock makes up for a slow success of a count window, which was not timed.
func orClock(now time.Duration) time.Duration {
	if now == 0 {
		return sinceEpoch()
	}
	return now
}

func (b *breaker) tooMany(c counts) bool {
	reached := func(part int, threshold float64) bool { return float64(part)*100 >= threshold*float64(c.calls) }
	return b.rate && reached(c.failures, b.conf.FailureRateThreshold) ||
		b.conf.SlowCallDuration > 0 && reached(c.slow, b.conf.SlowCallRateThreshold)
}

func (b *breaker) judgeProbe(now time.Duration, m mark) {
	if b.conf.HalfOpen.Mode == AllMode {
		b.passed++
		switch {
		case m&markFailure != 0:
			b.open(now, true)
		case b.passed >= b.conf.HalfOpen.SuccessThreshold:
			b.close()
		}
		return
	}
	b.sample.add(m, 1)
	if b.sample.calls < b.conf.HalfOpen.PermittedCalls {
		return
	}
	if b.tooMany(b.sample) {
		b.open(now, true)
	} else {
		b.close()
	}
}

// reject returns the rejection of the present opening, without allocating.
func (b *breaker) reject() *rejection {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rejection
}

// rejection is why a breaker did not let a call through. There is one for
// each opening; how long it still lasts is computed when asked.
type rejection struct {
	breaker *breaker
	until   time.Duration // 0: nobody knows
}

func (r *rejection) Error() string {
	if after, ok := r.RetryAfter(); ok {
		return "circuit open, next try in " + rounded(after).String()
	}
	return "circuit open"
}

func (r *rejection) Is(target error) bool { return target == ErrCircuitOpen }

// RetryAfter returns how long the breaker stays open.
func (r *rejection) RetryAfter() (time.Duration, bool) {
	left := r.until - sinceEpoch()
	return max(left, 0), left > 0
}
