package resilience

import (
	"cmp"
	"errors"
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
	prepares bool // clocked, times, or keys are kept
	times    bool // stats keep histograms
	clocked  bool // a limit counts from the beginning of the call
	retries  bool
	hurries  bool // from attempt to attempt: no delay, no limit to look at
	queues   bool // at the bulkhead or the limiter
	limits   bool // asks a limiter
	adapts   bool // asks throttle or steering
	measures bool // how long attempts take, for the breaker or the steering
	listed   bool // retryOn or abortOn say which errors
	mayFall  bool
	chaos    bool
	keeps    bool    // results are in use after the return
	lends    bool    // so are the slot and the share, see Held
	nests    bool    // nest is there: beside what every call looks at
	letters  bool    // are kept of calls that fail
	spans    holding // of nest
	attempts int32

	breaker  *breaker
	keys     *keyedBreakers // instead of breaker
	bulkhead *bulkhead
	budget   *budget
	hedge    *hedging // nil: none
	limiter  *limiter
	throttle *throttle
	steering *steering
	limiters *keyedLimiters // instead of limiter

	nest *nesting // nil: the default order

	stats   *methodStats          // of the guard; nil: none are kept
	off     atomic.Bool           // switched off since: calls that began before end
	turned  atomic.Pointer[Error] // what the present opening answers to a first attempt
	tooFast atomic.Pointer[Error] // what the limiter answers
	known   atomic.Pointer[known] // a failure that came before

	total, perTry, open time.Duration // 0: none

	wait    time.Duration // honoured at most of a Retry-After
	backoff Backoff
	rt      *Runtime
	name    string // of the guard
	learned atomic.Int32
	*Policy // the guard's, unless something was overridden
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

func newPlan(p *Policy, preset Preset) *plan {
	pl := &plan{Policy: p, attempts: 1, total: max(p.Timeout.Total, 0), perTry: max(p.Timeout.Attempt, 0), open: max(p.Timeout.Open, 0)}
	pl.timed = pl.total > 0 || pl.perTry > 0 || pl.open > 0
	pl.keeps, pl.lends = p.Result != 0, p.Result == Held
	pl.clocked = pl.timed || p.Retry.MaxDuration > 0
	pl.mayFall = p.Fallback.On || p.Fallback.ApplyOn.given() || p.Fallback.SkipOn.given()
	if p.Retry.set() && !p.Hedge.set() {
		r := p.Retry.under(presets[preset].retry)
		pl.retries = true
		pl.listed = r.RetryOn.given() || r.AbortOn.given()
		pl.attempts = int32(min(max(orInt(r.MaxAttempts, 3), 1), math.MaxInt32))
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

// breakerFor returns the breaker of g, or its breakers by key, under the
// numbers of p. rt.mu is held.
func (rt *Runtime) breakerFor(g *Guard, p *Policy) (*breaker, *keyedBreakers) {
	if !p.Breaker.set() {
		return nil, nil
	}
	name, _ := g.breakerName()
	rate := p.Breaker.byRate()
	conf := p.Breaker.under(presets[p.Preset].breaker)
	if conf.PerKey {
		return nil, rt.keyedFor(name, conf, rate)
	}
	if old := rt.breakers[name]; old != nil {
		old.reconfigure(conf, rate)
		old.countBy(g.stats)
		return old, nil
	}
	if rt.breakers == nil {
		rt.breakers = map[string]*breaker{}
	}
	b := newBreaker(name, conf, rate, rt.observer)
	b.countBy(g.stats)
	rt.breakers[name] = b
	return b, nil
}

func (rt *Runtime) keyedFor(name string, conf Breaker, rate bool) *keyedBreakers {
	if old := rt.keyed[name]; old != nil {
		old.reconfigure(conf, rate)
		return old
	}
	if rt.keyed == nil {
		rt.keyed = map[string]*keyedBreakers{}
	}
	k := newKeyedBreakers(name, conf, rate, rt.observer)
	rt.keyed[name] = k
	return k
}

// bulkheadFor is like breakerFor.
func (rt *Runtime) bulkheadFor(g *Guard, p *Policy) *bulkhead {
	if (p.Bulkhead == Bulkhead{}) {
		return nil
	}
	name := cmp.Or(g.policy.Bulkhead.Name, g.name)
	if old := rt.bulkheads[name]; old != nil {
		old.resize(p.Bulkhead)
		return old
	}
	if rt.bulkheads == nil {
		rt.bulkheads = map[string]*bulkhead{}
	}
	b := newBulkhead(name, p.Bulkhead)
	rt.bulkheads[name] = b
	return b
}

// conflict says that a name was declared with other numbers before, or for
// something that is not shared. rt.mu is held.
func (rt *Runtime) conflict(g *Guard) error {
	p := &rt.inForce(g, rt.overrides).whole
	for _, other := range rt.guards {
		if other == g || !g.shares(other) {
			continue
		}
		if err := g.agree(p, other, &rt.inForce(other, rt.overrides).whole); err != nil {
			return err
		}
	}
	return nil
}

// shares reports whether two guards have a name in common.
func (g *Guard) shares(other *Guard) bool {
	breaker, _ := g.breakerName()
	theirs, _ := other.breakerName()
	limiter, _ := g.limitName()
	limits, _ := other.limitName()
	bulkhead := g.policy.Bulkhead.Name
	return breaker == theirs || limiter == limits || bulkhead != "" && bulkhead == other.policy.Bulkhead.Name ||
		shares(g.policy.Budget.Name, other.policy.Budget.Name)
}

// disagreement is conflict for every guard under policies to come.
func (rt *Runtime) disagreement(policies map[*Guard]*inForce) error {
	first := map[[2]string]*Guard{} // to use a name for a part
	var errs []error
	for _, g := range rt.guards {
		name, _ := g.breakerName()
		limits, _ := g.limitName()
		for _, key := range [][2]string{{"circuitBreaker", name}, {"bulkhead", g.policy.Bulkhead.Name}, {"rateLimit", limits}, {"retry.budget", g.policy.Budget.Name}} {
			other := first[key]
			switch {
			case key[1] == "":
			case other == nil:
				first[key] = g
			default:
				p, q := policies[g], policies[other]
				if err := g.agree(&p.whole, other, &q.whole); err != nil {
					errs = append(errs, fmt.Errorf("%s%w", cmp.Or(p.origin(key[0]), q.origin(key[0])), err))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// agree compares the numbers of what two guards share under the policies p and q.
func (g *Guard) agree(p *Policy, other *Guard, q *Policy) error {
	if n := g.policy.Bulkhead.Name; n != "" && n == other.policy.Bulkhead.Name &&
		p.Bulkhead != (Bulkhead{}) && q.Bulkhead != (Bulkhead{}) && p.Bulkhead.withDefaults() != q.Bulkhead.withDefaults() {
		return g.differs("bulkhead", n, otherNumbers, other)
	}
	if ours, theirs := budgetConf(p), budgetConf(q); shares(g.policy.Budget.Name, other.policy.Budget.Name) && ours.On && theirs.On && ours != theirs {
		return g.differs("retry.budget", g.policy.Budget.Name, otherNumbers, other)
	}
	if err := g.agreeOnLimit(&p.RateLimit, other, &q.RateLimit); err != nil {
		return err
	}
	name, shared := g.breakerName()
	theirs, theyShare := other.breakerName()
	switch {
	case name != theirs || !p.Breaker.set() || !q.Breaker.set():
	case !shared || !theyShare:
		return g.differs("circuitBreaker", name, otherName, other)
	case !sameBreaker(p, q):
		return g.differs("circuitBreaker", name, otherNumbers, other)
	}
	return nil
}

// How what two guards share may differ.
const (
	otherNumbers = "has other numbers in"
	otherName    = "is the name of another one, in"
)

// differs says that a part which two guards share is not the same for both.
func (g *Guard) differs(part, name, how string, other *Guard) error {
	return fmt.Errorf("%s: %s %q %s %s", g.name, part, name, how, other.name)
}

// shares reports whether names are one that was given.
func shares(name, other string) bool { return name != "" && name == other }

// sameBreaker reports whether two guards may share a breaker.
func sameBreaker(p, q *Policy) bool {
	return p.Breaker.byRate() == q.Breaker.byRate() &&
		numbersOf(p.Breaker.under(presets[p.Preset].breaker)) == numbersOf(q.Breaker.under(presets[q.Preset].breaker))
}

// breakerValues are the fields of a [Breaker] but the matchers, whose funcs
// cannot be compared.
type breakerValues struct {
	on           bool
	name         string
	scope        Scope
	window       Window
	minimumCalls int
	failureRate  float64
	consecutive  int
	slowCall     time.Duration
	slowRate     float64
	openDuration time.Duration
	openBackoff  OpenBackoff
	autoHalfOpen bool
	halfOpen     HalfOpen
	initialState State
	mode         BreakerMode
	perKey       bool
	maxKeys      int
}

func (b *Breaker) values() breakerValues {
	return breakerValues{b.On, b.Name, b.Scope, b.Window, b.MinimumCalls, b.FailureRateThreshold, b.ConsecutiveFailures, b.SlowCallDuration,
		b.SlowCallRateThreshold, b.OpenDuration, b.OpenBackoff, b.AutoHalfOpen, b.HalfOpen, b.InitialState, b.Mode, b.PerKey, b.MaxKeys}
}

// numbersOf is what makes two breakers the same: all but the matchers, which
// belong to the method.
func numbersOf(b Breaker) breakerValues {
	b = b.withDefaults()
	b.Scope, b.Name, b.On = 0, "", false
	if b.OpenBackoff.Multiplier > 0 {
		b.OpenBackoff.MaxDuration = orDuration(b.OpenBackoff.MaxDuration, time.Hour)
	}
	return b.values()
}

func (b *Breaker) set() bool {
	return b.RecordOn.given() || b.IgnoreOn.given() || b.values() != breakerValues{}
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

var presetWords = []string{Production: "production", Development: "development", Testing: "testing"}

// presets are the numbers of docs/policy.md.
var presets = [...]struct {
	retry   Retry
	breaker Breaker
	budget  Budget
}{
	NoPreset: {},
	Production: {Retry{MaxAttempts: 5, Backoff: Backoff{
		InitialDelay: time.Second, MaxDelay: 30 * time.Second, Multiplier: 2, Jitter: RatioJitter, JitterFactor: 0.2}},
		Breaker{MinimumCalls: 10, HalfOpen: HalfOpen{SuccessThreshold: 2}, OpenDuration: time.Minute}, defaultBudget},
	Development: {Retry{MaxAttempts: 3, Backoff: Backoff{
		InitialDelay: 500 * time.Millisecond, MaxDelay: 5 * time.Second, Multiplier: 2, Jitter: RatioJitter, JitterFactor: 0.1}},
		Breaker{MinimumCalls: 10, HalfOpen: HalfOpen{SuccessThreshold: 2}, OpenDuration: 30 * time.Second}, Budget{}},
	Testing: {Retry{MaxAttempts: 1, Backoff: Backoff{
		InitialDelay: None, MaxDelay: None, Multiplier: 1, Jitter: NoJitter}},
		Breaker{MinimumCalls: 20, OpenDuration: 10 * time.Second}, Budget{}},
}
