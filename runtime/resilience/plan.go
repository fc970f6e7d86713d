package resilience

import (
	"fmt"
	"sync/atomic"
	"time"
)

// plan is a policy with the preset and the defaults filled in. It never
// changes; a new one replaces it.
type plan struct {
	admits   bool // only who breaker and bulkhead let in
	timed    bool
	prepares bool // clocked, or keys are kept
	clocked  bool // a limit counts from the beginning of the call
	retries  bool
	hurries  bool // from attempt to attempt: no delay, no limit to look at
	queues   bool // at the bulkhead
	mayFall  bool
	attempts int

	breaker  *breaker
	keys     *keyedBreakers // instead of breaker
	bulkhead *bulkhead

	turned atomic.Pointer[Error] // what the present opening answers to a first attempt
	known  atomic.Pointer[known] // a failure that came before

	total, perTry, open time.Duration // 0: none

	wait    time.Duration // honoured at most of a Retry-After
	backoff Backoff
	rt      *Runtime
	name    string // of the guard
	learned atomic.Int32
	Policy
}

// rejection returns the error of a call that an open breaker did not let in:
// one for each opening, since a breaker may reject a million times a second.
func (p *plan) rejection(reason error) *Error {
	e := p.turned.Load()
	if e == nil || e.reason != reason {
		e = &Error{Method: p.name, Policy: "circuitBreaker", reason: reason}
		p.turned.Store(e)
	}
	return e
}

func newPlan(p Policy, preset Preset) *plan {
	pl := &plan{Policy: p, attempts: 1, total: max(p.Timeout.Total, 0), perTry: max(p.Timeout.Attempt, 0), open: max(p.Timeout.Open, 0)}
	pl.timed = pl.total > 0 || pl.perTry > 0 || pl.open > 0
	pl.clocked = pl.timed || p.Retry.MaxDuration > 0
	pl.mayFall = p.Fallback.On || p.Fallback.ApplyOn.given() || p.Fallback.SkipOn.given()
	if p.Retry.set() {
		r := p.Retry.under(presets[preset].retry)
		pl.retries = true
		pl.attempts = max(orInt(r.MaxAttempts, 3), 1)
		pl.backoff = r.Backoff
		pl.wait = orDuration(r.RetryAfter.Max, 30*time.Second)
		pl.hurries = r.Backoff.Strategy == NoBackoff && r.MaxDuration <= 0 && !pl.timed && p.Errors.RetryAfterOf == nil
	}
	return pl
}

// breakerFor returns the breaker of g, or its breakers by key: what there is,
// if the numbers are the same, else a new one. rt.mu is held.
func (rt *Runtime) breakerFor(g *Guard, preset Preset) (*breaker, *keyedBreakers) {
	conf := g.policy.Breaker
	if !conf.set() {
		return nil, nil
	}
	name := g.name
	switch {
	case conf.Name != "":
		name = conf.Name
	case conf.Scope == InterfaceScope:
		name = g.wrapper
	}
	rate := conf.byRate()
	conf = conf.under(presets[preset].breaker)
	if conf.PerKey {
		return nil, rt.keyedFor(name, conf, rate)
	}
	if old := rt.breakers[name]; old != nil && numbers(old.conf) == numbers(conf.withDefaults()) && old.rate == rate {
		return old, nil
	}
	if rt.breakers == nil {
		rt.breakers = map[string]*breaker{}
	}
	b := newBreaker(name, conf, rate)
	rt.breakers[name] = b
	return b, nil
}

func (rt *Runtime) keyedFor(name string, conf Breaker, rate bool) *keyedBreakers {
	if old := rt.keyed[name]; old != nil && numbers(old.conf) == numbers(conf) && old.rate == rate {
		return old
	}
	if rt.keyed == nil {
		rt.keyed = map[string]*keyedBreakers{}
	}
	k := newKeyedBreakers(name, conf, rate)
	rt.keyed[name] = k
	return k
}

// bulkheadFor is like breakerFor.
func (rt *Runtime) bulkheadFor(g *Guard) *bulkhead {
	if (g.policy.Bulkhead == Bulkhead{}) {
		return nil
	}
	name := g.name
	if g.policy.Bulkhead.Name != "" {
		name = g.policy.Bulkhead.Name
	}
	if old := rt.bulkheads[name]; old != nil {
		return old
	}
	if rt.bulkheads == nil {
		rt.bulkheads = map[string]*bulkhead{}
	}
	b := newBulkhead(name, g.policy.Bulkhead)
	rt.bulkheads[name] = b
	return b
}

// conflict says that a shared name was declared with other numbers before.
func (rt *Runtime) conflict(g *Guard) error {
	for _, other := range rt.guards {
		a, b := other.policy, g.policy
		if n := b.Breaker.Name; n != "" && n == a.Breaker.Name && numbers(a.Breaker) != numbers(b.Breaker) {
			return fmt.Errorf("%s: circuitBreaker %q has other numbers in %s", g.name, n, other.name)
		}
		if n := b.Bulkhead.Name; n != "" && n == a.Bulkhead.Name && a.Bulkhead != b.Bulkhead {
			return fmt.Errorf("%s: bulkhead %q has other numbers in %s", g.name, n, other.name)
		}
	}
	return nil
}

// numbers is what makes two breakers the same: all but the matchers, which
// belong to the method.
func numbers(b Breaker) string {
	b.RecordOn, b.IgnoreOn, b.Scope, b.On = Matcher{}, Matcher{}, 0, false
	return fmt.Sprintf("%+v", b)
}

func (b *Breaker) set() bool {
	return b.On || b.Mode != Enforce || b.RecordOn.given() || b.IgnoreOn.given() || numbers(*b) != numbers(Breaker{})
}

// under returns b with what it leaves open taken from the preset.
func (b Breaker) under(preset Breaker) Breaker {
	if b.MinimumCalls == 0 && preset.MinimumCalls > 0 {
		b.MinimumCalls = preset.MinimumCalls
		if b.Window.Type != TimeWindow && b.Window.Size > 0 {
			b.MinimumCalls = min(b.MinimumCalls, b.Window.Size)
		}
	}
	fill(&b.HalfOpen.SuccessThreshold, preset.HalfOpen.SuccessThreshold)
	fill(&b.OpenDuration, preset.OpenDuration)
	return b
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
var presets = [...]struct {
	retry   Retry
	breaker Breaker
}{
	NoPreset: {},
	Production: {Retry{MaxAttempts: 5, Backoff: Backoff{
		InitialDelay: time.Second, MaxDelay: 30 * time.Second, Multiplier: 2, Jitter: RatioJitter, JitterFactor: 0.2}},
		Breaker{MinimumCalls: 10, HalfOpen: HalfOpen{SuccessThreshold: 2}, OpenDuration: time.Minute}},
	Development: {Retry{MaxAttempts: 3, Backoff: Backoff{
		InitialDelay: 500 * time.Millisecond, MaxDelay: 5 * time.Second, Multiplier: 2, Jitter: RatioJitter, JitterFactor: 0.1}},
		Breaker{MinimumCalls: 10, HalfOpen: HalfOpen{SuccessThreshold: 2}, OpenDuration: 30 * time.Second}},
	Testing: {Retry{MaxAttempts: 1, Backoff: Backoff{
		InitialDelay: None, MaxDelay: None, Multiplier: 1, Jitter: NoJitter}},
		Breaker{MinimumCalls: 20, OpenDuration: 10 * time.Second}},
}
