package resilience

import (
	"fmt"
	"math"
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
	listed   bool // retryOn or abortOn say which errors
	mayFall  bool
	attempts int

	breaker  *breaker
	keys     *keyedBreakers // instead of breaker
	bulkhead *bulkhead

	off    atomic.Bool           // switched off since: calls that began before end
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
// Breakers kept for keys have an opening each.
func (p *plan) rejection(reason *rejection) *Error {
	place := &p.turned
	if p.keys != nil {
		place = &reason.told
	}
	e := place.Load()
	if e == nil || e.reason != reason || e.Method != p.name {
		e = &Error{Method: p.name, Policy: "circuitBreaker", reason: reason}
		place.Store(e)
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
		pl.listed = r.RetryOn.given() || r.AbortOn.given()
		pl.attempts = min(max(orInt(r.MaxAttempts, 3), 1), math.MaxInt32)
		pl.backoff = r.Backoff
		pl.wait = orDuration(r.RetryAfter.Max, 30*time.Second)
		pl.hurries = r.Backoff.Strategy == NoBackoff && r.MaxDuration <= 0 && !pl.timed && p.Errors.RetryAfterOf == nil
	}
	return pl
}

// breakerName is the name under which the breaker of g is kept, and whether
// that was asked for.
func (g *Guard) breakerName() (name string, shared bool) {
	conf := &g.policy.Breaker
	switch {
	case conf.Name != "":
		return conf.Name, true
	case conf.Scope == InterfaceScope:
		return g.wrapper, true
	}
	return g.name, false
}

// breakerFor returns the breaker of g, or its breakers by key: what there is,
// if the numbers are the same, else a new one, which does what an operator told
// the old one. rt.mu is held.
func (rt *Runtime) breakerFor(g *Guard, preset Preset) (*breaker, *keyedBreakers) {
	if !g.policy.Breaker.set() {
		return nil, nil
	}
	name, _ := g.breakerName()
	rate := g.policy.Breaker.byRate()
	conf := g.policy.Breaker.under(presets[preset].breaker)
	if conf.PerKey {
		return nil, rt.keyedFor(name, conf, rate)
	}
	old := rt.breakers[name]
	if old != nil && old.rate == rate && numbers(old.conf) == numbers(conf) {
		return old, nil
	}
	if rt.breakers == nil {
		rt.breakers = map[string]*breaker{}
	}
	b := newBreaker(name, conf, rate)
	if old != nil {
		old.stop()
		b.inherit(old)
	}
	rt.breakers[name] = b
	return b, nil
}

func (rt *Runtime) keyedFor(name string, conf Breaker, rate bool) *keyedBreakers {
	old := rt.keyed[name]
	if old != nil && old.rate == rate && numbers(old.conf) == numbers(conf) {
		return old
	}
	if rt.keyed == nil {
		rt.keyed = map[string]*keyedBreakers{}
	}
	if old != nil {
		old.stop()
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

// conflict says that a name was declared with other numbers before, or for
// something that is not shared. rt.mu is held.
func (rt *Runtime) conflict(g *Guard) error {
	name, shared := g.breakerName()
	for _, other := range rt.guards {
		if n := g.policy.Bulkhead.Name; n != "" && n == other.policy.Bulkhead.Name && g.policy.Bulkhead != other.policy.Bulkhead {
			return fmt.Errorf("%s: bulkhead %q has other numbers in %s", g.name, n, other.name)
		}
		if !g.policy.Breaker.set() || !other.policy.Breaker.set() {
			continue
		}
		theirs, theyShare := other.breakerName()
		switch {
		case name != theirs:
		case !shared || !theyShare:
			return fmt.Errorf("%s: circuitBreaker %q is the name of another one, in %s", g.name, name, other.name)
		case rt.breakerNumbers(g) != rt.breakerNumbers(other):
			return fmt.Errorf("%s: circuitBreaker %q has other numbers in %s", g.name, name, other.name)
		}
	}
	return nil
}

// breakerNumbers is what two guards must agree in that share a breaker.
func (rt *Runtime) breakerNumbers(g *Guard) string {
	conf := &g.policy.Breaker
	return fmt.Sprint(conf.byRate(), conf.PerKey, numbers(conf.under(presets[rt.presetOf(g)].breaker)))
}

// numbers is what makes two breakers the same: all but the matchers, which
// belong to the method.
func numbers(b Breaker) string {
	b = b.withDefaults()
	b.RecordOn, b.IgnoreOn, b.Scope, b.Name, b.On = Matcher{}, Matcher{}, 0, "", false
	return fmt.Sprintf("%+v", b)
}

func (b *Breaker) set() bool {
	if b.On || b.RecordOn.given() || b.IgnoreOn.given() {
		return true
	}
	bare := *b // without funcs it can be compared
	bare.RecordOn, bare.IgnoreOn = Matcher{}, Matcher{}
	return fmt.Sprint(bare) != fmt.Sprint(Breaker{})
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
