package resilience

import (
	"context"
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
//
// Healthy calls and rejections never take the lock: closed, turned and tally
// tell them all they need. What changes the state does take it.
type breaker struct {
	name string
	conf Breaker // every default filled in; under mu, since an update replaces it
	rate bool    // the failure rate decides, not consecutive failures alone; under mu

	closed     atomic.Bool               // calls may pass: the state is closed, or nothing is enforced
	turned     atomic.Pointer[rejection] // every call is rejected with it until its time; else nil
	tally      atomic.Pointer[tally]     // takes successes of the window
	generation atomic.Uint64             // changes with every transition
	streak     atomic.Int64              // failures in a row, for a success to reset without the lock
	rejected   atomic.Int64              // calls of methods that are not among countedBy
	windowed   atomic.Bool               // outcomes are put into the window
	slow       atomic.Int64              // conf.SlowCallDuration

	keyUse // of one that is kept for a key

	news *news // nil if nobody listens

	mu          sync.Mutex
	state       State
	mode        BreakerMode
	window      *window
	openedAt    time.Duration
	reopened    int           // failed probes since CLOSED
	probes      int           // out
	passed      int           // in a row, in AllMode
	sample      counts        // of probes, since the last OPEN
	probing     time.Duration // since when probes are out; 0 if none is
	stopped     bool          // no timer begins any more
	transitions int64
	openings    int64
	since       time.Duration                    // of state
	spent       [StateHalfOpen + 1]time.Duration // in states that are over
	rejection   *rejection
	timer       *time.Timer     // of AutoHalfOpen
	cause       context.Context // of the call that holds mu
	countedBy   []*methodStats  // of the methods that share it; of one that is kept for a key, none
	forgotten   int64           // rejections before the last reset
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
// failure rate decides, see [Breaker.byRate]; o is who hears of transitions.
func newBreaker(name string, conf Breaker, rate bool, o *observer) *breaker {
	b := &breaker{name: name, mode: conf.Mode, state: StateClosed, since: sinceEpoch()}
	b.adopt(conf.withDefaults(), rate)
	b.window = newWindow(b.conf.Window)
	b.rejection = &rejection{forced: b.mode == ForcedOpen}
	if o != nil {
		b.news = &news{to: o}
	}
	b.mu.Lock() // the timer may fire at once
	defer b.mu.Unlock()
	if b.conf.InitialState == StateOpen && b.mode != ForcedOpen {
		b.open(sinceEpoch(), false, "")
	}
	b.publish()
	return b
}

// publish tells calls what they need not take the lock for. b.mu is held, or b
// is new.
func (b *breaker) publish() {
	b.closed.Store(b.state == StateClosed && b.mode != ForcedOpen || b.mode == Disabled)
	if b.mode == ForcedOpen || b.state == StateOpen && b.mode == Enforce {
		b.turned.Store(b.rejection)
	} else {
		b.turned.Store(nil)
	}
}

// allow asks for a call under ctx; the answer is a permit or why there is none.
// clock is read only if the breaker is not closed. Who asks has the news told when
// the permit is noted: whoever hears of it may end the goroutine.
func (b *breaker) allow(ctx context.Context, clock func() time.Duration) (permit, *rejection) {
	if b.closed.Load() {
		return permit{generation: b.generation.Load()}, nil
	}
	now := clock()
	if r := b.turned.Load(); r != nil && (r.forced || now < r.until) {
		return permit{}, r
	}
	return b.allowSlow(ctx, now)
}

func (b *breaker) allowSlow(ctx context.Context, now time.Duration) (permit, *rejection) {
	b.lock(ctx)
	defer b.unlockUntold()
	if b.mode == ForcedOpen {
		return permit{}, b.rejection
	}
	b.expire(now)
	if b.state == StateHalfOpen && b.probes < b.room() {
		if b.probes++; b.probing == 0 {
			b.probing = now
		}
		return permit{b.generation.Load(), true}, nil
	}
	if b.state == StateClosed || b.mode != Enforce {
		return permit{generation: b.generation.Load()}, nil
	}
	return permit{}, b.rejection
}

func (b *breaker) use() *keyUse { return &b.keyUse }

// idle reports whether nothing is lost with the breaker: it is closed, or, if
// late, open for longer than it has to be, and no operator told it what to do.
func (b *breaker) idle(late bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mode != b.conf.Mode {
		return false
	}
	return b.state == StateClosed || late && b.state == StateOpen && sinceEpoch() >= b.openUntil()
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
	if b.mode == ForcedOpen || b.mode == Disabled {
		return
	}
	if due, ok := b.undecidable(now); ok {
		if b.conf.HalfOpen.OnMaxWait == StateClosed {
			b.close(due, maxWaitPassed)
			return
		}
		// It has been open since it was due, not since somebody looked: a method that
		// is called once a minute would find it open every other time.
		b.open(due, false, maxWaitPassed)
	}
	if b.state == StateOpen && now >= b.openUntil() {
		b.halfOpen()
	}
}

// undecidable reports when MaxWait ended a half-open whose probes do not come
// back. One without a probe out can still decide. b.mu is held.
func (b *breaker) undecidable(now time.Duration) (due time.Duration, ok bool) {
	if b.state != StateHalfOpen || b.probing == 0 || b.conf.HalfOpen.MaxWait <= 0 {
		return 0, false
	}
	due = after(b.probing, b.conf.HalfOpen.MaxWait)
	return due, now >= due
}

// present is the state as the next caller would find it. b.mu is held.
func (b *breaker) present(now time.Duration) State {
	if b.mode == ForcedOpen || b.mode == Disabled {
		return b.state
	}
	if due, ok := b.undecidable(now); ok {
		if b.conf.HalfOpen.OnMaxWait == StateClosed {
			return StateClosed
		}
		if now < after(due, b.openFor()) {
			return StateOpen
		}
		return StateHalfOpen
	}
	if b.state == StateOpen && now >= b.openUntil() {
		return StateHalfOpen
	}
	return b.state
}

// openUntil is when the first probe may go.
func (b *breaker) openUntil() time.Duration { return after(b.openedAt, b.openFor()) }

// openFor is how long the breaker stays open, grown by the back-off.
func (b *breaker) openFor() time.Duration {
	d := b.conf.OpenDuration
	if m := b.conf.OpenBackoff.Multiplier; m > 1 {
		grown := float64(d) * math.Pow(m, float64(b.reopened))
		d = max(d, saturate(grown, orDuration(b.conf.OpenBackoff.MaxDuration, time.Hour)))
	}
	return d
}

func (b *breaker) halfOpen() {
	b.to(StateHalfOpen, b.openUntil(), "openDuration passed")
	b.probes, b.passed, b.sample = 0, 0, counts{}
}

func (b *breaker) open(now time.Duration, failedProbe bool, reason string) {
	if failedProbe {
		b.reopened++
	}
	b.to(StateOpen, now, reason)
	b.openings++
	b.openedAt = now
	b.rejection = &rejection{until: b.openUntil()}
	b.publish()
	b.arm()
}

// arm starts the timer that ends the open state, if there is to be one.
func (b *breaker) arm() {
	if b.conf.AutoHalfOpen && !b.stopped {
		b.timer = time.AfterFunc(b.openUntil()-sinceEpoch(), b.tick)
	}
}

func (b *breaker) close(now time.Duration, reason string) {
	b.to(StateClosed, now, reason)
	b.reopened, b.sample = 0, counts{}
	b.streak.Store(0)
	b.window.clear()
}

// tick is the timer's turn.
func (b *breaker) tick() {
	b.lock(context.Background())
	defer b.unlock()
	b.expire(sinceEpoch())
}

// stop ends the timer, for good.
func (b *breaker) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	b.disarm()
}

func (b *breaker) disarm() {
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
}

// to makes a transition as of at, and reports it if there is a reason. b.mu is held.
func (b *breaker) to(s State, at time.Duration, reason string) {
	from, counts := b.shown(), b.counted()
	b.disarm()
	b.spent[b.state] += max(at-b.since, 0)
	if s != b.state { // closing a closed breaker is none
		b.transitions++
	}
	b.state, b.since, b.probing = s, at, 0
	b.generation.Add(1)
	b.publish()
	if reason != "" {
		b.report(from, counts, reason)
	}
}

// record tells how a call under ctx ended. clock is read only where the time matters.
func (b *breaker) record(ctx context.Context, clock func() time.Duration, p permit, o outcome, took time.Duration) {
	if o == outcomeIgnored && !p.probe {
		return
	}
	var m mark
	if o == outcomeFailure {
		m |= markFailure
	}
	if slow := time.Duration(b.slow.Load()); slow > 0 && took > slow {
		m |= markSlow
	}
	if m == 0 && !p.probe && b.succeeded(clock, p.generation) {
		return
	}
	now := clock()
	b.lock(ctx)
	defer b.unlock()
	if b.generation.Load() != p.generation || b.mode == Disabled {
		return
	}
	if p.probe {
		if b.probes--; b.probes == 0 {
			b.probing = 0
		}
		if o != outcomeIgnored {
			b.judgeProbe(now, m)
		}
		return
	}
	switch {
	case b.state == StateClosed:
		b.count(now, m)
	case b.state == StateOpen: // of a shadow, which goes on recording
		b.window.add(now, m)
	}
}

// succeeded counts a success without the lock, and reports whether it could.
func (b *breaker) succeeded(clock func() time.Duration, generation uint64) bool {
	if b.windowed.Load() {
		t := b.tally.Load()
		if t == nil || t.generation != generation || !t.add(clock) {
			return false
		}
	}
	if b.streak.Load() != 0 && b.generation.Load() == generation {
		b.streak.Store(0)
	}
	return true
}

// count puts a closed call into the window and opens if it was one too many.
func (b *breaker) count(now time.Duration, m mark) {
	if m&markFailure != 0 {
		b.streak.Add(1)
	} else if b.streak.Load() != 0 {
		b.streak.Store(0)
	}
	trip := ""
	if b.conf.ConsecutiveFailures > 0 && b.streak.Load() >= int64(b.conf.ConsecutiveFailures) {
		trip = "consecutive failures"
	}
	if b.windowed.Load() {
		b.fold()
		b.window.add(now, m)
		sum := b.window.read(now)
		if trip == "" && sum.calls >= b.conf.MinimumCalls {
			trip = b.tooMany(sum)
		}
		if trip == "" && (sum.calls >= b.conf.MinimumCalls || sum.failures+sum.slow == 0) {
			b.unseal(now)
		}
	}
	if trip != "" {
		b.open(now, false, trip)
	}
}

// fold puts the successes of the tally into the window, and seals it. b.mu is
// held.
func (b *breaker) fold() {
	if t := b.tally.Load(); t != nil && t.generation == b.generation.Load() {
		b.window.succeed(t.from, t.seal())
	}
}

// unseal lets successes pass without the lock, since none of them can open the
// breaker: the rate has been judged and falls with each, or there is no
// failure at all. b.mu is held.
func (b *breaker) unseal(now time.Duration) {
	t, generation := b.tally.Load(), b.generation.Load()
	if t != nil && t.generation == generation && (t.until == 0 || now < t.until) {
		t.n.swap(0)
		return
	}
	t = &tally{generation: generation, enough: int64(b.conf.Window.Size)}
	if b.conf.Window.Type == TimeWindow {
		t.from, t.until = b.window.bounds(now)
		t.enough = math.MaxInt64
	}
	b.tally.Store(t)
}

// tooMany says which rate is too high, "" if none is.
func (b *breaker) tooMany(c counts) string {
	reached := func(part int, threshold float64) bool {
		return threshold > 0 && float64(part)*100 >= threshold*float64(c.calls)
	}
	switch {
	case b.rate && reached(c.failures, b.conf.FailureRateThreshold):
		return "failure rate"
	case b.conf.SlowCallDuration > 0 && reached(c.slow, b.conf.SlowCallRateThreshold):
		return "slow calls"
	}
	return ""
}

func (b *breaker) judgeProbe(now time.Duration, m mark) {
	b.sample.add(m, 1)
	if b.conf.HalfOpen.Mode == AllMode {
		b.passed++
		switch {
		case m&markFailure != 0:
			b.open(now, true, "probe failed")
		case b.passed >= b.conf.HalfOpen.SuccessThreshold:
			b.close(now, probesPassed)
		}
		return
	}
	if b.sample.calls < b.conf.HalfOpen.PermittedCalls {
		return
	}
	if why := b.tooMany(b.sample); why != "" {
		b.open(now, true, why)
	} else {
		b.close(now, probesPassed)
	}
}

// rejection is why a breaker did not let a call through. There is one for
// each opening; how long it still lasts is computed when asked.
type rejection struct {
	until  time.Duration // 0: nobody knows
	forced bool          // open for everybody, whatever the time
	told   atomic.Pointer[Error]
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

// presentState is the state of b.
func (b *breaker) presentState() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}
