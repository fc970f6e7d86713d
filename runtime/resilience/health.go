package resilience

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"
)

// Component is a part of a service whose health a [HealthRegistry] knows: a
// database that Check asks, a queue that Measure looks into, or the Guard of a
// method, which tells by its breaker without any traffic of its own. One of the
// three is needed, and a Guard may have one of the others beside it.
//
// A field that is zero was not given, and the default holds; [None] in a limit
// is no limit. A preset slips under Interval and the error rates.
type Component struct {
	Name        string // unique in the Runtime
	Title       string
	Kind        string // "datastore", "component", "system", or a word of your own
	Owner       string // who is called
	Runbook     string // and what they read
	Criticality Criticality
	Groups      HealthGroup // default GroupReady and GroupStartup

	// InProcess says that Check looks at nothing outside of the process. Only
	// such components may be in GroupLive: a restart mends no database.
	InProcess bool

	// Check returns nil if the component is well. It runs in a goroutine of the
	// component, one run at a time, under a context that ends at Timeout. A check
	// that panics or hangs has failed, and harms no other component; one that hangs
	// is not run again until it returns.
	Check func(context.Context) error
	// Measure is a Check that also says how well, which DegradeWhen and
	// UnhealthyWhen judge. Without it they judge the runs of Check.
	Measure func(context.Context) (HealthReading, error)
	// Guard is judged by its breaker, by the failures in the breaker's window, by the
	// share of its bulkhead or its adaptive limit that is in use, and by the time
	// that its calls of the last one to two minutes took.
	Guard  *Guard
	FailOn FailOn // what an open breaker makes of the component

	Interval        time.Duration // between runs, ±10 %; default 10s; Production 15s, Development 60s, Testing 5m
	Timeout         time.Duration // of one run; default 2s, or Interval if that is shorter
	InitialDelay    time.Duration // before the first run
	StartupDeadline time.Duration // unhealthy if no run succeeded by then; default none: FailAfter decides
	FailAfter       int           // failures in a row that make it unhealthy; default 3
	RecoverAfter    int           // successes in a row that make it healthy again; default 2

	// DegradeWhen degrades the component once it has held for Hold;
	// UnhealthyWhen makes a degraded one unhealthy at once. Both are over when every
	// reading is below 80 % of its limit.
	DegradeWhen   HealthLimits
	UnhealthyWhen HealthLimits
	Window        time.Duration // of the runs of Check that they judge; default 1m
	Hold          time.Duration // default 10s; None: at once

	// MaxStale is how long nothing needs to be heard: without a completed run for
	// so long the state is Unknown. It wants Interval, and more than Interval and
	// Timeout together; default 3·Interval + Timeout.
	MaxStale time.Duration

	// DependsOn are components that this one cannot be well without. They are
	// registered before it, so there are no cycles.
	DependsOn []string
}

// HealthReading is how well a component does.
type HealthReading struct {
	Samples   int           // behind ErrorRate and P95
	ErrorRate float64       // share of samples that failed, in [0,1]
	P95       time.Duration // 95th percentile of their time
	Load      float64       // share of a capacity that is in use: slots, a queue, a disk
}

// HealthLimits are readings that are too much. Zero and [None] are no limit,
// but a preset chooses ErrorRate where it is zero.
type HealthLimits struct {
	ErrorRate  float64       // in (0,1); Production 0.1 and 0.3, Development 0.2 and 0.5, Testing 0.5 and 0.8
	P95        time.Duration // of a Guard it wants histograms, see Options
	Load       float64       // of Measure, or of the Guard's bulkhead or adaptive limit
	MinSamples int           // fewer say nothing of ErrorRate and P95; default 20, for the ErrorRate of a Guard its breaker's MinimumCalls
}

// Criticality is what a component's state does to the groups it is in.
type Criticality uint8

// Criticalities.
const (
	Critical      Criticality = iota // unhealthy fails the group
	Degradable                       // unhealthy is a warning
	Informational                    // shown, and nothing else
)

// HealthGroup is a set of the questions that a platform asks.
type HealthGroup uint8

// Groups.
const (
	GroupLive    HealthGroup = 1 << iota // is the process to be restarted?
	GroupReady                           // is it to get traffic?
	GroupStartup                         // has it begun to work?
)

// HealthState is the state of a component.
type HealthState uint8

// States of components, of which the second to the fourth get worse.
const (
	Starting    HealthState = iota // nothing succeeded yet
	Healthy                        //
	Degraded                       // works, badly or not for long
	Unhealthy                      //
	Unknown                        // nothing was heard for MaxStale
	Maintenance                    // an operator said so; counts for nothing
)

var stateNames = [...]string{"starting", "healthy", "degraded", "unhealthy", "unknown", "maintenance"}

// String returns the state as words say it: "healthy".
func (s HealthState) String() string { return stateNames[min(s, Maintenance)] }

// HealthStatus is the answer to the question of a group.
type HealthStatus uint8

// Answers, each worse than the one before.
const (
	StatusPass HealthStatus = iota
	StatusWarn              // passes, and somebody should look
	StatusFail
)

var statusNames = [...]string{"pass", "warn", "fail"}

// String returns "pass", "warn" or "fail".
func (s HealthStatus) String() string { return statusNames[min(s, StatusFail)] }

// HealthSnapshot is the health of a service at one moment. It is shared and
// not to be changed.
type HealthSnapshot struct {
	At                   time.Time
	Live, Ready, Startup HealthStatus
	Draining             string // why, once [HealthRegistry.BeginDrain] or Close was called
	// Overrides is why the list of overrides that was given last is not in force, ""
	// if it is: the service runs on, and ready warns.
	Overrides  string
	Components []ComponentHealth // sorted by name
	Dropped    int64             // changes that an observer was too slow for
	Panics     int64             // of the observer

	changes int64 // of the registry, up to this one
}

// Status returns the worst answer of the groups.
func (s *HealthSnapshot) Status(groups HealthGroup) HealthStatus {
	worst := StatusPass
	for i, status := range [...]HealthStatus{s.Live, s.Ready, s.Startup} { // in the order of the bits
		if groups&(1<<i) != 0 {
			worst = max(worst, status)
		}
	}
	return worst
}

// Component returns the component of that name, nil if there is none.
func (s *HealthSnapshot) Component(name string) *ComponentHealth {
	i, ok := slices.BinarySearchFunc(s.Components, name, func(c ComponentHealth, name string) int { return strings.Compare(c.Name, name) })
	if !ok {
		return nil
	}
	return &s.Components[i]
}

// ComponentHealth is the health of one component at one moment.
type ComponentHealth struct {
	Name, Title, Kind, Owner, Runbook string
	Criticality                       Criticality
	Groups                            HealthGroup
	DependsOn                         []string

	State HealthState
	Since time.Time
	// Reason says why State is not Healthy. It may hold the text of an error of
	// yours, cut after 2 KiB: it is for operators, not for whoever may ask.
	Reason string
	// Cause is the component at the root, where one that this one depends on is
	// unhealthy, unknown or in maintenance.
	Cause string

	Flapping bool // more than 4 transitions in 10 minutes: the worst of them is held
	Stuck    bool // a run is out that should have ended
	Passed   bool // it was well once

	ConsecutiveFailures, ConsecutiveSuccesses int
	Runs, Failures, Timeouts, Panics          int64 // Failures holds the next two
	LastRun, LastSuccess                      time.Time
	Took                                      time.Duration // by the last run
	Stack                                     string        // of its panic, cut after 2 KiB

	Reading  HealthReading // of the runs, or by Measure
	Guarded  HealthReading // of the Guard
	Breaker  State         // of the Guard; 0 without one
	Until    time.Time     // end of Maintenance
	Interval time.Duration // in force
}

// HealthChange is a component's change of state, or that it began to flap.
type HealthChange struct {
	Component     string
	From, To      HealthState
	At            time.Time
	Reason, Cause string
	Flapping      bool
	// Quiet says that nobody is to be woken: there is a Cause, or the component
	// has been flapping for a while.
	Quiet bool
}

// healthPresets are the numbers of docs/health.md.
var healthPresets = [...]struct {
	interval            time.Duration
	degraded, unhealthy float64 // error rates above which it is
}{
	NoPreset:    {10 * time.Second, 0, 0},
	Production:  {15 * time.Second, 0.1, 0.3},
	Development: {time.Minute, 0.2, 0.5},
	Testing:     {5 * time.Minute, 0.5, 0.8},
}

// under returns c with what it leaves open filled in.
func (c Component) under(preset Preset) Component {
	p := healthPresets[preset]
	if c.Groups == 0 {
		c.Groups = GroupReady | GroupStartup
	}
	fill(&c.Interval, p.interval)
	fill(&c.Timeout, min(c.Interval, 2*time.Second))
	fill(&c.FailAfter, 3)
	fill(&c.RecoverAfter, 2)
	fill(&c.Window, time.Minute)
	c.Hold = orDuration(c.Hold, 10*time.Second)
	fill(&c.MaxStale, after(3*min(c.Interval, math.MaxInt64/3), c.Timeout))
	fill(&c.DegradeWhen.ErrorRate, p.degraded)
	fill(&c.UnhealthyWhen.ErrorRate, p.unhealthy)
	return c
}

// active reports whether the component has runs.
func (c *Component) active() bool { return c.Check != nil || c.Measure != nil }

// check refuses what cannot be.
func (c *Component) check() error {
	var errs []error
	refuse := func(bad bool, text string) {
		if bad {
			errs = append(errs, errors.New(text))
		}
	}
	refuse(c.Name == "", "it needs a name")
	refuse(!c.active() && c.Guard == nil, "it needs Check, Measure or Guard")
	refuse(c.Check != nil && c.Measure != nil, "Check and Measure are the same in two ways: give one")
	refuse(c.Criticality > Informational, "criticality: there is no such one")
	refuse(c.FailOn != 0 && c.Guard == nil, "failOn: is about the breaker of a Guard, and there is none")
	live := c.Groups&GroupLive != 0
	refuse(live && (!c.InProcess || c.Guard != nil), "groups: live is for what happens in the process (InProcess): a restart mends nothing else")
	timed := c.active() || c.Guard == nil || c.Guard.stats != nil && c.Guard.stats.times
	refuse(!timed && max(c.DegradeWhen.P95, c.UnhealthyWhen.P95) > 0, "p95: the Runtime keeps no histograms")
	refuse(live && len(c.DependsOn) > 0, "groups: live is not for what depends on others: a restart does not mend them")
	refuse(min(c.Interval, c.Timeout, c.InitialDelay, c.StartupDeadline, c.Window, c.MaxStale) < 0, "a duration is negative")
	refuse(min(c.FailAfter, c.RecoverAfter) < 0, "failAfter, recoverAfter: must be at least 1")
	u := c.under(NoPreset)
	refuse(c.MaxStale > 0 && (c.Interval == 0 || c.MaxStale <= after(after(u.Interval, u.Interval/10), u.Timeout)), "maxStale: wants Interval, and must be longer than it (10 % on top) and Timeout together")
	refuse(c.StartupDeadline > 0 && !c.active(), "startupDeadline: a Guard has no runs")
	return errors.Join(append(errs, c.checkLimits(u.Interval, u.Window))...)
}

// checkLimits refuses limits that cannot be exceeded, or mean nothing.
func (c *Component) checkLimits(interval, window time.Duration) error {
	var errs []error
	for _, l := range []struct {
		name string
		HealthLimits
	}{{"degradeWhen", c.DegradeWhen}, {"unhealthyWhen", c.UnhealthyWhen}} {
		refuse := func(bad bool, text string) {
			if bad {
				errs = append(errs, errors.New(l.name+"."+text))
			}
		}
		counted := l.ErrorRate > 0 || l.P95 > 0
		refuse(l.ErrorRate >= 1, "errorRate: must be in (0,1)")
		refuse(l.MinSamples < 0, "minSamples: must be at least 1")
		refuse(l.Load > 0 && c.Measure == nil && c.Guard == nil, "load: wants Measure or Guard")
		refuse(counted && c.Check != nil && c.Guard == nil && int(window/interval) < orInt(l.MinSamples, 20),
			"minSamples: Window has fewer runs")
	}
	d, u := c.DegradeWhen, c.UnhealthyWhen
	if u.ErrorRate > 0 && d.ErrorRate > u.ErrorRate || u.P95 > 0 && d.P95 > u.P95 || u.Load > 0 && d.Load > u.Load {
		errs = append(errs, errors.New("unhealthyWhen: a limit is lower than in degradeWhen"))
	}
	return errors.Join(errs...)
}
