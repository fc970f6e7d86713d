package resilience

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Wrapper collects the guards of one generated wrapper, and every complaint
// about them. It is used by one goroutine, in the constructor.
type Wrapper struct {
	rt       *Runtime
	name     string
	instance string
	errs     []error
}

// Wrap begins the wrapper of an interface, such as "payments.Gateway". next
// and others are what the wrapper calls; one that is nil is an error of
// [Wrapper.Err].
func (rt *Runtime) Wrap(name string, next any, others ...any) *Wrapper {
	root, err := rt.root()
	as := ""
	if rt != nil {
		as = rt.name
	}
	w := &Wrapper{rt: root, name: name, instance: root.instance(name, as)}
	if err != nil {
		w.errs = append(w.errs, err)
	}
	for i, arg := range append([]any{next}, others...) {
		if arg == nil {
			w.errs = append(w.errs, fmt.Errorf("%s: argument %d of its constructor is nil", name, i+2))
		}
	}
	return w
}

// Guard returns the guard of a method under p.
func (w *Wrapper) Guard(method string, p Policy) *Guard {
	full := w.name + "." + method
	g := &Guard{rt: w.rt, name: full + w.instance, method: full, iface: w.name, policy: p}
	if err := p.check(); err != nil {
		w.errs = append(w.errs, fmt.Errorf("%s: %w", g.name, err))
		return g
	}
	w.rt.add(g)
	return g
}

// Err returns every complaint, nil if there is none.
func (w *Wrapper) Err() error { return errors.Join(w.errs...) }

// Guard is the policy of one method and its state. It is safe for concurrent
// use.
type Guard struct {
	rt                  *Runtime
	name, method, iface string
	policy              Policy
	plan                atomic.Pointer[plan] // nil: switched off
}

// Guard returns a guard for code that has no interface, see [Do] and [Try].
func (rt *Runtime) Guard(name string, p Policy) (*Guard, error) {
	w := rt.Wrap(name, p)
	g := &Guard{rt: w.rt, name: name + w.instance, method: name, iface: name, policy: p}
	if err := errors.Join(w.Err(), p.check()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	w.rt.add(g)
	return g, nil
}

// check refuses what cannot work or is not built.
func (p *Policy) check() error {
	var errs []error
	refuse := func(bad bool, text string) {
		if bad {
			errs = append(errs, errors.New(text))
		}
	}
	b := &p.Retry.Backoff
	refuse(p.Retry.MaxAttempts < 0, "retry.maxAttempts: must be at least 1")
	refuse(b.Multiplier != 0 && b.Multiplier < 1, "retry.backoff.multiplier: must be at least 1")
	refuse(b.JitterFactor > 1, "retry.backoff.jitterFactor: must be in [0,1]")
	refuse(p.Timeout.Open > 0, "timeout.open: not available yet")
	refuse(p.Timeout.Mode != Cooperative, "timeout.mode: not available yet")
	refuse(p.Breaker.set(), "circuitBreaker: not available yet")
	refuse(p.Bulkhead != Bulkhead{}, "bulkhead: not available yet")
	return errors.Join(errs...)
}

func (b *Breaker) set() bool {
	return b.On || b.Name != "" || b.Window != Window{} || b.MinimumCalls != 0 || b.FailureRateThreshold != 0 ||
		b.ConsecutiveFailures != 0 || b.SlowCallDuration != 0 || b.OpenDuration != 0 || b.Mode != Enforce ||
		b.InitialState != 0 || b.PerKey || b.AutoHalfOpen
}

// plan is a policy with the preset and the defaults filled in. It never
// changes; a new one replaces it.
type plan struct {
	Policy
	attempts       int
	wait           time.Duration // honoured at most of a Retry-After
	backoff        Backoff
	total, perTry  time.Duration // 0: none
	retries, timed bool
	mayFall        bool
}

func newPlan(p Policy, preset Preset) *plan {
	pl := &plan{Policy: p, attempts: 1, total: max(p.Timeout.Total, 0), perTry: max(p.Timeout.Attempt, 0)}
	pl.timed = pl.total > 0 || pl.perTry > 0
	pl.mayFall = p.Fallback.On || p.Fallback.ApplyOn.given() || p.Fallback.SkipOn.given()
	if p.Retry.set() {
		r := p.Retry.under(presets[preset].retry)
		pl.retries = true
		pl.attempts = max(orInt(r.MaxAttempts, 3), 1)
		pl.backoff = r.Backoff
		pl.wait = orDuration(r.RetryAfter.Max, 30*time.Second)
	}
	return pl
}

func (r *Retry) set() bool {
	return r.On || r.MaxAttempts != 0 || r.MaxDuration != 0 || r.FailOnExhaustedResult ||
		r.RetryOn.given() || r.AbortOn.given() || r.RetryAfter != (RetryAfter{}) || r.Backoff.set()
}

func (b *Backoff) set() bool {
	return b.Strategy != 0 || b.InitialDelay != 0 || b.MaxDelay != 0 || b.Multiplier != 0 ||
		b.Jitter != 0 || b.JitterFactor != 0 || len(b.Delays) > 0
}

// under returns r with what it leaves open taken from the preset.
func (r Retry) under(preset Retry) Retry {
	fill(&r.MaxAttempts, preset.MaxAttempts)
	fill(&r.Backoff.InitialDelay, preset.Backoff.InitialDelay)
	fill(&r.Backoff.MaxDelay, preset.Backoff.MaxDelay)
	fill(&r.Backoff.Multiplier, preset.Backoff.Multiplier)
	if r.Backoff.Jitter == 0 { // a factor without its jitter would mean nothing
		r.Backoff.Jitter = preset.Backoff.Jitter
		fill(&r.Backoff.JitterFactor, preset.Backoff.JitterFactor)
	}
	return r
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

var presetNames = map[string]Preset{"production": Production, "development": Development, "testing": Testing}

// presets are the numbers of docs/policy.md.
var presets = [...]struct{ retry Retry }{
	NoPreset: {},
	Production: {Retry{MaxAttempts: 5, Backoff: Backoff{
		InitialDelay: time.Second, MaxDelay: 30 * time.Second, Multiplier: 2, Jitter: RatioJitter, JitterFactor: 0.2}}},
	Development: {Retry{MaxAttempts: 3, Backoff: Backoff{
		InitialDelay: 500 * time.Millisecond, MaxDelay: 5 * time.Second, Multiplier: 2, Jitter: RatioJitter, JitterFactor: 0.1}}},
	Testing: {Retry{MaxAttempts: 1, Backoff: Backoff{
		InitialDelay: None, MaxDelay: None, Multiplier: 1, Jitter: NoJitter}}},
}
