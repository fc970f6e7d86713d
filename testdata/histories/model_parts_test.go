package histories

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

func goexit() { runtime.Goexit() }

// modelSlots is a bulkhead: a number of slots and a list of who waits.
type modelSlots struct {
	*model
	taken   int
	waiting []chan struct{} // closed when a slot is handed over
}

func (s *modelSlots) init(m *model) { s.model = m }

func (s *modelSlots) most() int { return s.whole("bulkhead.maxConcurrent", 25) }

// take takes a slot, or waits for one.
func (s *modelSlots) take(c *modelCall) refusal {
	if !s.has("bulkhead") {
		return granted
	}
	patience, queue := s.span("bulkhead.maxWait", 0), s.whole("bulkhead.maxQueue", 0)
	s.mu.Lock()
	switch {
	case s.taken < s.most() && len(s.waiting) == 0:
		s.taken++
		s.mu.Unlock()
		return granted
	case patience == 0 || queue > 0 && len(s.waiting) >= queue && !(s.does("the queue holds one more") && len(s.waiting) == queue):
		s.mu.Unlock()
		return full
	}
	turn := make(chan struct{})
	if s.waiting = append(s.waiting, turn); s.does("the last who waits is served first") {
		s.waiting = slices.Insert(s.waiting[:len(s.waiting)-1], 0, turn)
	}
	s.mu.Unlock()

	late := full
	if at, why := s.until(c); !at.IsZero() && time.Until(at) < patience {
		patience, late = time.Until(at), why
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-turn:
	case <-timer.C:
	case <-c.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.Index(s.waiting, turn)
	switch {
	case at < 0 && c.Err() == nil:
		return granted
	case at < 0: // handed over to somebody who leaves
		s.handOver()
	default:
		s.waiting = slices.Delete(s.waiting, at, at+1)
	}
	if c.Err() != nil {
		return callerLeft
	}
	return late
}

func (s *modelSlots) giveBack() {
	if !s.has("bulkhead") {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handOver()
}

// handOver takes a slot back and gives it to who waits longest.
func (s *modelSlots) handOver() {
	if s.taken--; len(s.waiting) > 0 {
		s.taken++
		close(s.waiting[0])
		s.waiting = s.waiting[1:]
	}
}

// modelBudget limits the calls in flight that are repeated.
type modelBudget struct {
	*model
	calls, repeated          int // in flight
	over, attempts, refusals int
}

func (b *modelBudget) init(m *model) { b.model = m }

// on reports whether there is a budget: preset production brings one.
func (b *modelBudget) on() bool {
	word := b.word("retry.budget", b.word("retry.budget.ratio", ""))
	return (b.has("retry") || b.has("hedge")) && word != "none" && (b.has("retry.budget") || b.word("preset", "") == "production")
}

func (b *modelBudget) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
}

func (b *modelBudget) end(c *modelCall) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls--
	b.over++
	b.attempts += c.attempts
	if c.repeats {
		b.repeated--
	}
}

// take counts a call as repeated, unless there are too many.
func (b *modelBudget) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	most := max(float64(b.whole("retry.budget.minConcurrency", 3)), b.number("retry.budget.ratio", 0.2)*float64(b.calls))
	if b.on() && float64(b.repeated+1) > most && !b.does("the budget is never used up") {
		b.refusals++
		return false
	}
	b.repeated++
	return true
}

// release takes a hedge back that is over.
func (b *modelBudget) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.repeated--
}

// String is the budget in the end.
func (b *modelBudget) String() string {
	return fmt.Sprintf("%d in flight, %d repeated, %d refused, %d calls, %d attempts", b.calls, b.repeated, b.refusals, b.over, b.attempts)
}

// modelBreaker is a circuit breaker that keeps every call since it closed and
// counts anew each time.
type modelBreaker struct {
	*model
	state      string // closed, open, half-open
	generation int
	opened     time.Time
	failed     int        // probes, since it closed
	calls      []recorded // since it closed
	row        int        // failures
	sample     []recorded // of probes, since it opened
	probes     int        // out
	probing    time.Time  // since when probes are out

	rejected, openings int
}

type recorded struct {
	at            time.Time
	failure, slow bool
}

// verdict is what an attempt means to a breaker.
type verdict struct{ failure, ignored bool }

// modelPermit lets one attempt through. What it belongs to may be over when the
// attempt ends.
type modelPermit struct {
	*modelBreaker
	of    int // generation
	probe bool
}

func newModelBreaker(m *model) *modelBreaker {
	b := &modelBreaker{model: m, state: "closed"}
	if b.word("circuitBreaker.initialState", "") == "open" && b.mode() != "forcedOpen" {
		b.open(time.Now())
	}
	return b
}

func (b *modelBreaker) mode() string { return b.word("circuitBreaker.mode", "enforce") }

func (b *modelBreaker) openDuration() time.Duration {
	return b.span("circuitBreaker.openDuration", time.Duration(b.byPreset(5, 60, 30))*time.Second)
}

// allow asks for an attempt.
func (b *modelBreaker) allow() (*modelPermit, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.has("circuitBreaker") || b.mode() == "disabled" {
		return &modelPermit{modelBreaker: b, of: -1}, true
	}
	if b.mode() == "forcedOpen" {
		b.rejected++
		return nil, false
	}
	b.look(time.Now())
	p := &modelPermit{modelBreaker: b, of: b.generation}
	switch {
	case b.state == "closed":
		return p, true
	case b.state == "half-open" && b.probes < b.room():
		if p.probe = true; b.probes == 0 {
			b.probing = time.Now()
		}
		b.probes++
		return p, true
	case b.mode() == "shadow":
		return p, true
	}
	b.rejected++
	return nil, false
}

// rejection tells when it has been open for long enough.
func (b *modelBreaker) rejection() rejection {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != "open" || b.mode() == "forcedOpen" {
		return rejection{error: resilience.ErrCircuitOpen}
	}
	again := b.opened.Add(b.openFor())
	return rejection{resilience.ErrCircuitOpen, again, again.After(time.Now())}
}

// room is how many probes may be out.
func (b *modelBreaker) room() int {
	if b.rate() {
		return b.whole("circuitBreaker.halfOpen.permittedCalls", 10) - len(b.sample)
	}
	if b.does("one probe more is let through") {
		return b.whole("circuitBreaker.halfOpen.permittedCalls", 1) + 1
	}
	return b.whole("circuitBreaker.halfOpen.permittedCalls", 1)
}

// rate reports whether the rates of a sample of probes decide.
func (b *modelBreaker) rate() bool { return b.word("circuitBreaker.halfOpen.mode", "") == "rate" }

// look makes the transitions that only time makes.
func (b *modelBreaker) look(now time.Time) {
	if wait := b.span("circuitBreaker.halfOpen.maxWait", b.openDuration()); b.state == "half-open" && b.probes > 0 && wait > 0 && !b.does("half-open never ends") {
		if due := b.probing.Add(wait); !now.Before(due) {
			if b.word("circuitBreaker.halfOpen.onMaxWait", "") == "closed" {
				b.close()
			} else {
				b.open(due)
			}
		}
	}
	if b.state == "open" && !now.Before(b.opened.Add(b.openFor())) {
		b.state, b.probes, b.sample = "half-open", 0, nil
		b.generation++
	}
}

// openFor is how long it stays open this time.
func (b *modelBreaker) openFor() time.Duration {
	m, d := b.number("circuitBreaker.openBackoff.multiplier", 1), b.openDuration()
	if m <= 1 {
		return d
	}
	grown := float64(d) * math.Pow(m, float64(b.failed))
	return max(d, time.Duration(min(grown, float64(b.span("circuitBreaker.openBackoff.maxDuration", time.Hour)))))
}

func (b *modelBreaker) open(at time.Time) {
	b.state, b.opened, b.probes = "open", at, 0
	b.generation++
	b.openings++
}

func (b *modelBreaker) close() {
	b.state, b.calls, b.row, b.failed, b.sample, b.probes = "closed", nil, 0, 0, nil, 0
	b.generation++
	if b.does("the window survives the closing") {
		b.calls = append(b.calls, recorded{at: time.Now(), failure: true})
	}
}

// turnedAway gives the permit of an attempt back that another part rejected.
func (p *modelPermit) turnedAway(c *modelCall, kind string) {
	v := verdict{ignored: true}
	if kind != "" {
		rejected := &modelCall{kinds: kindset{kind}, Context: c}
		named, _, _ := p.match("circuitBreaker.recordOn", rejected)
		ignored, all, _ := p.match("circuitBreaker.ignoreOn", rejected)
		v = verdict{failure: true, ignored: !named && !p.does("a local rejection is a failure") || ignored || all}
	}
	p.record(v, 0)
}

// record tells how an attempt ended. One of another generation changes nothing.
func (p *modelPermit) record(v verdict, took time.Duration) {
	b := p.modelBreaker
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if p.of < 0 || p.of != b.generation {
		return
	}
	slow := b.span("circuitBreaker.slowCallDuration", 0)
	r := recorded{now, v.failure, slow > 0 && took > slow}
	switch {
	case p.probe:
		b.probes--
		if !v.ignored || b.does("an ignored probe decides") {
			b.judgeProbe(r)
		}
	case v.ignored && !b.does("ignored outcomes are successes"):
	case b.state == "closed":
		b.count(r)
	case b.state == "open": // of a shadow
		b.calls = append(b.calls, r)
	}
}

func (b *modelBreaker) judgeProbe(r recorded) {
	b.sample = append(b.sample, r)
	if b.rate() {
		if len(b.sample) < b.whole("circuitBreaker.halfOpen.permittedCalls", 10) {
			return
		}
		if b.tooMany(b.sample) {
			b.failed++
			b.open(r.at)
		} else {
			b.close()
		}
		return
	}
	switch {
	case r.failure:
		if !b.does("the open duration does not grow") {
			b.failed++
		}
		b.open(r.at)
	case len(b.sample) >= b.whole("circuitBreaker.halfOpen.successThreshold", b.byPreset(1, 2, 2)):
		b.close()
	}
}

// count counts an attempt, and opens if it was one too many.
func (b *modelBreaker) count(r recorded) {
	b.calls = append(b.calls, r)
	if b.row++; !r.failure {
		b.row = 0
	}
	trip := false
	if most := b.whole("circuitBreaker.consecutiveFailures", 0); most > 0 {
		trip = b.row >= most
	}
	if !trip && b.windowed() {
		windows := b.windows(r.at)
		trip = b.trips(windows[0])
		for _, other := range windows[1:] {
			b.doubtful = b.doubtful || b.trips(other) != trip
		}
	}
	if trip {
		b.open(r.at)
	}
}

func (b *modelBreaker) trips(window []recorded) bool {
	minimum := b.minimum()
	if b.does("minimumCalls is off by one") {
		minimum++
	}
	return len(window) >= minimum && b.tooMany(window)
}

func (b *modelBreaker) minimum() int {
	minimum := b.byPreset(20, 10, 10)
	if b.word("circuitBreaker.window.type", "") != "time" {
		minimum = min(minimum, b.size())
	}
	return b.whole("circuitBreaker.minimumCalls", minimum)
}

func (b *modelBreaker) size() int { return b.whole("circuitBreaker.window.size", 100) }

// windows are what the window may hold now: a bucket of time leaves it as a
// whole, and where buckets begin is not said.
func (b *modelBreaker) windows(now time.Time) (list [][]recorded) {
	if b.word("circuitBreaker.window.type", "") != "time" {
		return [][]recorded{b.calls[max(0, len(b.calls)-b.size()):]}
	}
	length := b.span("circuitBreaker.window.duration", 30*time.Second)
	bucket := length / time.Duration(b.whole("circuitBreaker.window.buckets", 10))
	for i, r := range append(slices.Clone(b.calls), recorded{at: now}) {
		if now.Sub(r.at) > length {
			continue
		}
		list = append(list, b.calls[i:])
		if now.Sub(r.at) < length-bucket-1000 { // a bucket is whole nanoseconds
			break
		}
	}
	return list
}

// byRate reports whether the failure rate decides: consecutiveFailures alone
// replaces it.
func (b *modelBreaker) byRate() bool {
	return !b.has("circuitBreaker.consecutiveFailures") ||
		b.has("circuitBreaker.failureRateThreshold") || b.has("circuitBreaker.minimumCalls") || b.has("circuitBreaker.window")
}

func (b *modelBreaker) windowed() bool {
	return b.byRate() || b.span("circuitBreaker.slowCallDuration", 0) > 0
}

func (b *modelBreaker) tooMany(calls []recorded) bool {
	failures, slow := 0.0, 0.0
	for _, r := range calls {
		if r.failure {
			failures++
		}
		if r.slow {
			slow++
		}
	}
	all := float64(len(calls))
	reached := func(n, threshold float64) bool {
		if b.does("a rate must be more than its threshold") {
			return n*100 > threshold*all
		}
		return n*100 >= threshold*all
	}
	return b.byRate() && reached(failures, b.number("circuitBreaker.failureRateThreshold", 50)) ||
		b.span("circuitBreaker.slowCallDuration", 0) > 0 && reached(slow, b.number("circuitBreaker.slowCallRateThreshold", 100))
}

// String is the breaker as the next caller would find it.
func (b *modelBreaker) String() string {
	text := fmt.Sprintf("rejected %d", b.rejected)
	if b.mode() == "forcedOpen" || b.mode() == "disabled" {
		return text
	}
	openings := b.openings
	now := time.Now()
	b.look(now)
	text += fmt.Sprintf(", openings %d, %s", openings, b.state)
	if b.state != "closed" {
		return text
	}
	text += fmt.Sprintf(", %d failures in a row", b.row)
	if !b.windowed() {
		return text
	}
	windows := b.windows(now)
	if len(windows) != 1 {
		b.doubtful = true
		return text
	}
	failures, slow := 0, 0
	for _, r := range windows[0] {
		if r.failure {
			failures++
		}
		if r.slow {
			slow++
		}
	}
	return text + fmt.Sprintf(", %d calls, %d failures, %d slow", len(windows[0]), failures, slow)
}
