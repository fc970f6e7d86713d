package resilience

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A component flaps once it makes more than flapLimit transitions in flapWindow.
const (
	flapLimit  = 4
	flapWindow = 10 * time.Minute
)

// deadBand is the share of a limit below which what exceeded it is over.
const deadBand = 0.8

// maxSamples bounds the memory of runs.
const maxSamples = 1000

// vital is the state machine of a component: docs/health.md has it as a table.
// Instants come in. What only time does happens at its own moment, whenever
// somebody looks: looking changes nothing.
//
// There are two layers. The first one, own, follows runs and readings. The
// second one, state, is own unless that flaps, is stale or in maintenance.
type vital struct {
	conf Component // under the preset in force

	own       HealthState
	fails     int // in a row
	successes int // in a row
	passed    bool
	failure   string // text of the last one
	stack     string // of its panic

	watched   time.Time // since when runs are due; zero before Start
	started   time.Time // of the run that is out; zero if none is
	late      bool      // that run has been counted as a failure
	completed time.Time // of the last run
	succeeded time.Time
	took      time.Duration
	samples   []sample // runs within Window, oldest first

	measured HealthReading // by Measure
	guarded  guardReading
	hot      time.Time // since when a healthy one is over a limit

	flips    []time.Time // the last transitions of own, at most flapLimit+1
	flapping bool
	held     HealthState // the worst while flapping
	kept     time.Time   // end of maintenance; zero if there is none
	why      string      // of maintenance
	stale    bool

	state HealthState
	since time.Time
	clock time.Time // of the last step

	changes                        []HealthChange // that nobody took yet
	runs, failed, timeouts, panics int64
}

// sample is a run that ended.
type sample struct {
	at   time.Time
	took time.Duration
	bad  bool
}

// advance makes the steps that are due until now, each at its moment.
func (v *vital) advance(now time.Time) {
	for at := v.due(); !at.IsZero() && !at.After(now); at = v.due() {
		v.settle(at)
	}
	v.settle(now)
}

// due returns the next moment at which time alone may change something, the
// zero time if there is none. A step at that moment takes it away.
func (v *vital) due() time.Time {
	var next time.Time
	at := func(on bool, from time.Time, d time.Duration) {
		if t := from.Add(d); on && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	at(!v.started.IsZero() && !v.late, v.started, v.conf.Timeout)
	at(v.deadlineAhead(), v.watched, v.conf.StartupDeadline)
	at(v.listening() && !v.stale, v.heard(), v.conf.MaxStale)
	at(v.own == Healthy && !v.hot.IsZero(), v.hot, v.conf.Hold)
	at(v.flapping, v.firstFlip(), flapWindow)
	at(!v.kept.IsZero(), v.kept, 0)
	at(len(v.samples) > 0, v.oldest(), v.conf.Window)
	return next
}

func (v *vital) deadlineAhead() bool {
	return v.own == Starting && v.listening() && v.conf.StartupDeadline > 0
}

// listening reports whether runs are awaited.
func (v *vital) listening() bool { return v.conf.active() && !v.watched.IsZero() }

// heard is when the last run ended, or when runs began to be due.
func (v *vital) heard() time.Time {
	if v.completed.IsZero() {
		return v.watched.Add(v.conf.InitialDelay)
	}
	return v.completed
}

func (v *vital) firstFlip() time.Time {
	if len(v.flips) == 0 {
		return time.Time{}
	}
	return v.flips[0]
}

func (v *vital) oldest() time.Time {
	if len(v.samples) == 0 {
		return time.Time{}
	}
	return v.samples[0].at
}

// settle makes a step at the moment at; clocks that differ never lead back.
func (v *vital) settle(at time.Time) {
	if at.Before(v.clock) {
		at = v.clock
	}
	v.clock = at
	if !v.started.IsZero() && !v.late && !at.Before(v.started.Add(v.conf.Timeout)) {
		v.late = true
		v.timeouts++
		v.fail(at, v.conf.Timeout, fmt.Sprintf("no answer within %v", v.conf.Timeout))
	}
	v.samples = slices.DeleteFunc(v.samples, func(s sample) bool { return !at.Before(s.at.Add(v.conf.Window)) })
	v.heat(at)
	began := v.turn(at, v.next(at))
	v.heat(at)
	v.passed = v.passed || v.own == Healthy
	if v.flapping && !at.Before(v.firstFlip().Add(flapWindow)) {
		v.flapping = false
	}
	v.stale = v.listening() && !at.Before(v.heard().Add(v.conf.MaxStale))
	if !v.kept.IsZero() && !at.Before(v.kept) {
		v.kept = time.Time{}
	}
	v.show(at, began)
}

// heat remembers since when a healthy component is over a limit.
func (v *vital) heat(at time.Time) {
	switch {
	case v.own != Healthy || !v.over(Healthy):
		v.hot = time.Time{}
	case v.hot.IsZero():
		v.hot = at
	}
}

// next returns the state that follows from what is known, through as many
// transitions as that takes.
func (v *vital) next(at time.Time) HealthState {
	s := v.own
	if s == Starting {
		if v.conf.active() && !v.passed {
			late := v.deadlineAhead() && !at.Before(v.watched.Add(v.conf.StartupDeadline))
			if late || v.fails >= v.conf.FailAfter {
				return Unhealthy
			}
			return Starting
		}
		s = Healthy
	}
	for {
		n := v.follow(s, at)
		if n == s {
			return s
		}
		s = n
	}
}

// follow makes one transition. It cannot go round in circles: what leads down
// excludes what leads up.
func (v *vital) follow(s HealthState, at time.Time) HealthState {
	fatal := v.fails >= v.conf.FailAfter || v.guarded.breaker == StateOpen && v.conf.FailOn == FailOpen
	troubled := v.guarded.breaker == StateOpen || v.guarded.breaker == StateHalfOpen
	passive := !v.conf.active()
	switch s {
	case Healthy:
		held := v.over(Healthy) && (v.conf.Hold == 0 || !v.hot.IsZero() && !at.Before(v.hot.Add(v.conf.Hold)))
		switch {
		case fatal:
			return Unhealthy
		case v.fails > 0 || troubled || held:
			return Degraded
		}
	case Degraded:
		switch {
		case fatal || v.burning(Degraded):
			return Unhealthy
		case (passive || v.successes >= v.conf.RecoverAfter) && !troubled && !v.over(Degraded):
			return Healthy
		}
	case Unhealthy:
		if (passive || v.successes > 0) && !fatal && !v.burning(Unhealthy) {
			return Degraded
		}
	}
	return s
}

// over reports whether a reading is over a limit. One that is not healthy has
// to be well below to be no longer.
func (v *vital) over(s HealthState) bool {
	return v.exceeds(v.conf.DegradeWhen, s != Healthy) || v.burning(s)
}

// burning is over, for the limits of UnhealthyWhen.
func (v *vital) burning(s HealthState) bool { return v.exceeds(v.conf.UnhealthyWhen, s == Unhealthy) }

func (v *vital) exceeds(l HealthLimits, lingers bool) bool { return v.excessOf(l, lingers) != "" }

// excessOf says which limit of l one of the readings exceeds, "" if none does.
func (v *vital) excessOf(l HealthLimits, lingers bool) string {
	g := &v.guarded
	return cmp.Or(l.exceeded(v.reading(), orInt(l.MinSamples, 20), lingers),
		l.exceeded(g.rates(), orInt(l.MinSamples, cmp.Or(g.minimum, 20)), lingers),
		l.exceeded(g.times(), orInt(l.MinSamples, 20), lingers))
}

// exceeded says which limit r exceeds, "" if none. One that lingers is exceeded
// until r is below the dead band.
func (l HealthLimits) exceeded(r HealthReading, minimum int, lingers bool) string {
	above := func(value, limit float64) bool {
		return limit > 0 && (value > limit || lingers && value >= deadBand*limit)
	}
	switch enough := r.Samples >= minimum; {
	case enough && above(r.ErrorRate, l.ErrorRate):
		return fmt.Sprintf("error rate %.3g, limit %.3g", r.ErrorRate, l.ErrorRate)
	case enough && above(float64(r.P95), float64(l.P95)):
		return fmt.Sprintf("p95 %v, limit %v", rounded(r.P95), l.P95)
	case above(r.Load, l.Load):
		return fmt.Sprintf("load %.3g, limit %.3g", r.Load, l.Load)
	}
	return ""
}

// reading is what Measure said, or what the runs within Window say.
func (v *vital) reading() HealthReading {
	if v.conf.Measure != nil {
		return v.measured
	}
	r := HealthReading{Samples: len(v.samples)}
	if r.Samples == 0 {
		return r
	}
	times := make([]time.Duration, 0, len(v.samples))
	bad := 0
	for _, s := range v.samples {
		if s.bad {
			bad++
		}
		times = append(times, s.took)
	}
	slices.Sort(times)
	r.ErrorRate = float64(bad) / float64(len(times))
	r.P95 = times[(len(times)*95+99)/100-1] // the nearest rank
	return r
}

// turn puts own into s, and reports whether that is where it began to flap.
func (v *vital) turn(at time.Time, s HealthState) (began bool) {
	from := v.own
	if from == s {
		return false
	}
	v.own = s
	if from == Starting {
		return false
	}
	v.flips = append(v.flips, at)
	if len(v.flips) > flapLimit+1 {
		v.flips = v.flips[1:]
	}
	switch {
	case v.flapping:
		v.held = max(v.held, s)
	case len(v.flips) > flapLimit && at.Before(v.firstFlip().Add(flapWindow)):
		v.flapping, v.held = true, max(from, s)
		return true
	}
	return false
}

// show puts state where own and what lies over it lead.
func (v *vital) show(at time.Time, began bool) {
	s := v.own
	switch {
	case !v.kept.IsZero():
		s = Maintenance
	case v.stale:
		s = Unknown
	case v.flapping:
		s = v.held
	}
	if s == v.state && !began {
		return
	}
	if s != v.state {
		v.since = at
	}
	from := v.state
	v.state = s
	v.changes = append(v.changes, HealthChange{
		Component: v.conf.Name, From: from, To: s, At: at, Reason: v.reason(), Flapping: v.flapping, Quiet: v.flapping && !began,
	})
}

// reason says why the state is not healthy.
func (v *vital) reason() string {
	switch v.state {
	case Maintenance:
		return v.why
	case Unknown:
		return fmt.Sprintf("no run completed within %v", v.conf.MaxStale)
	}
	var why []string
	add := func(text string) {
		if text != "" {
			why = append(why, text)
		}
	}
	switch {
	case v.fails > 0:
		add(v.failure)
	case v.own == Unhealthy && v.conf.active() && !v.passed:
		add(fmt.Sprintf("no success within %v", v.conf.StartupDeadline))
	case v.own >= Degraded && v.conf.active() && v.successes < v.conf.RecoverAfter:
		add(fmt.Sprintf("recovers: %d of %d successes", v.successes, v.conf.RecoverAfter))
	}
	switch v.guarded.breaker {
	case StateOpen:
		add("circuit open")
	case StateHalfOpen:
		add("circuit half-open")
	}
	add(v.excess())
	if v.flapping {
		add("flapping")
	}
	return strings.Join(why, "; ")
}

// excess says which limit is exceeded.
func (v *vital) excess() string {
	return cmp.Or(v.excessOf(v.conf.UnhealthyWhen, v.own > Healthy), v.excessOf(v.conf.DegradeWhen, v.own > Healthy))
}

// begin says that a run begins.
func (v *vital) begin(now time.Time) {
	v.advance(now)
	v.started, v.late = now, false
}

// finish says how the run ended; failure is "" if well. One that was late has
// been counted.
func (v *vital) finish(now time.Time, r HealthReading, failure string) {
	v.advance(now)
	v.runs++
	v.took = now.Sub(v.started)
	v.completed = now
	if !v.late && failure == "" {
		v.fails, v.passed, v.succeeded = 0, true, now
		v.successes++
		v.measured = r
		v.sample(now, v.took, false)
	} else if !v.late {
		v.fail(now, v.took, failure)
	}
	v.started, v.late = time.Time{}, false
	v.settle(now)
}

func (v *vital) fail(at time.Time, took time.Duration, text string) {
	v.fails++
	v.failed++
	v.successes = 0
	v.failure = text
	v.measured = HealthReading{}
	v.sample(at, took, true)
}

func (v *vital) sample(at time.Time, took time.Duration, bad bool) {
	if len(v.samples) == maxSamples {
		v.samples = v.samples[1:]
	}
	v.samples = append(v.samples, sample{at, took, bad})
}

// look takes a reading of the guard, and what changed since the last look.
func (v *vital) look(now time.Time, r guardReading) []HealthChange {
	v.advance(now)
	v.guarded = r
	v.settle(now)
	changes := v.changes
	v.changes = nil
	return changes
}

// clip cuts a text of somebody else's after 2 KiB.
func clip(text string) string {
	const limit = 2 << 10
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// health returns what is told of the component.
func (v *vital) health() ComponentHealth {
	c := &v.conf
	h := ComponentHealth{
		Name: c.Name, Title: c.Title, Kind: c.Kind, Owner: c.Owner, Runbook: c.Runbook,
		Criticality: c.Criticality, Groups: c.Groups, DependsOn: c.DependsOn,
		State: v.state, Since: v.since, Flapping: v.flapping, Stuck: v.late, Passed: v.passed,
		ConsecutiveFailures: v.fails, ConsecutiveSuccesses: v.successes,
		Runs: v.runs, Failures: v.failed, Timeouts: v.timeouts, Panics: v.panics,
		LastRun: v.completed, LastSuccess: v.succeeded, Took: v.took, Stack: v.stack,
		Reading: v.reading(), Guarded: v.guarded.HealthReading, Breaker: v.guarded.breaker, Until: v.kept, Interval: c.Interval,
	}
	if h.State != Healthy {
		h.Reason = v.reason()
	}
	return h
}
