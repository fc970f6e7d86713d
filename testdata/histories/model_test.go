package histories

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// model is what docs/policy.md says of a policy, slow and obvious: every call is
// nested funcs in the order of the policy language, each of which waits where
// the real one waits. It shares no code with the runtime, but for what a script
// and an answer are made of.
type model struct {
	conf
	wrong string // a fault that is put in on purpose, see faults
	next  Service

	mu       sync.Mutex               // of all below
	breakers map[string]*modelBreaker // by key, one without
	limit    modelLimiter
	slots    modelSlots
	budget   modelBudget
	cache    modelCache
	streams  uint64
	counts   modelCounts
	fired    time.Time // when a hedge was due
	doubtful bool      // what follows depends on what policy.md leaves open
}

func newModel(c conf, next Service, wrong string) *model {
	m := &model{conf: c, next: next, wrong: wrong, breakers: map[string]*modelBreaker{}}
	if !c.has("circuitBreaker.perKey") {
		m.breakerOf("")
	}
	m.limit.init(m)
	m.slots.init(m)
	m.budget.init(m)
	m.cache.init(m)
	return m
}

// modelCounts are what statistics tell.
type modelCounts struct{ success, failure, rejected, canceled, attempts, rejections, timeouts, fallbacks int }

func (n modelCounts) String() string {
	return fmt.Sprintf("counted: %d succeeded, %d failed, %d rejected, %d left, %d attempts, %d rejections, %d timeouts, %d fallbacks",
		n.success, n.failure, n.rejected, n.canceled, n.attempts, n.rejections, n.timeouts, n.fallbacks)
}

// count changes the counts.
func (m *model) count(change func(*modelCounts)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.counts)
}

// breakerOf is the breaker that a key has.
func (m *model) breakerOf(key string) *modelBreaker {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.has("circuitBreaker.perKey") {
		key = ""
	}
	b := m.breakers[key]
	if b == nil {
		b = newModelBreaker(m)
		m.breakers[key] = b
	}
	return b
}

// modelCall is a call in flight.
type modelCall struct {
	context.Context // the caller's
	key             string
	cost            int

	begun           time.Time
	due             time.Time // of timeout.total; zero if there is none
	tries, attempts int       // a try that is rejected is no attempt

	n        int    // result of the last execution
	last     error  // of the last execution
	reason   error  // why a part ended the call
	by       string // that part
	kinds    kindset
	unwanted bool      // the last result is
	limit    time.Time // of the last attempt, by a timeout
	late     bool      // it ended the attempt
	slept    bool
	repeats  bool // or waits to
	turned   bool // away, at the last try
	charged  bool // for a try that was not turned away
	race     *modelRace
	number   int // of the hedge, 0 for what the caller began

	prev   time.Duration
	random uint64
}

// kindset is what kinds of errors an error is of, in the words of lists.
type kindset []string

func (k kindset) has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(k, name) })
}

// floor is what is never retried unless it is named.
var floor = []string{"Canceled", "CallerDeadline", "CircuitOpen", "BulkheadFull", "RateLimited", "Permanent"}

// Do is the outermost part, the fallback.
func (m *model) Do(ctx context.Context, key string, cost int) (int, error) {
	c := &modelCall{Context: ctx, key: key, cost: cost, begun: time.Now()}
	var a *modelAnswer
	if m.caching() {
		a = m.cache.answer(c)
	} else {
		m.total(c)
		a = &modelAnswer{c.n, m.err(c), c}
	}
	if m.fallsBack(a.call) {
		m.count(func(n *modelCounts) { n.fallbacks++ })
		return answer(ctx, key, cost, a.err)
	}
	return a.n, a.err
}

// fallsBack reports whether the fallback is to answer.
func (m *model) fallsBack(c *modelCall) bool {
	if !m.has("fallback") || c.last == nil && c.reason == nil {
		return false
	}
	switch named, all, given := m.match("fallback.applyOn", c); {
	case m.skips(c):
		return false
	case named:
		return true
	case c.kinds.has("Canceled", "CallerDeadline", "Permanent") && !m.does("a fallback for permanent errors"):
		return false
	default:
		return !given || all
	}
}

func (m *model) skips(c *modelCall) bool {
	named, all, _ := m.match("fallback.skipOn", c)
	return named || all
}

// match reports whether the list names the failure of c, has any error, and is
// given at all.
func (m *model) match(path string, c *modelCall) (named, all, given bool) {
	names, all, given := m.list(path)
	return slices.ContainsFunc(names, func(name string) bool {
		switch name {
		case "ErrA":
			return errors.Is(c.failure(), ErrA)
		case "ErrB":
			return errors.Is(c.failure(), ErrB)
		}
		return c.kinds.has(name)
	}), all, given
}

// failure is the error that lists are asked about: that of the delegate, unless
// a rejection came after it.
func (c *modelCall) failure() error {
	if c.last == nil || c.kinds.has("CircuitOpen", "BulkheadFull", "RateLimited") {
		return c.reason
	}
	return c.last
}

// gaveUp is what a call returns when a policy did something.
type gaveUp struct {
	policy       string
	attempts     int
	elapsed      time.Duration
	reason, last error
}

func (e *gaveUp) Error() string { return "gave up" }
func (e *gaveUp) Unwrap() []error {
	return slices.DeleteFunc([]error{e.reason, e.last}, func(err error) bool { return err == nil })
}

// err is the error that the caller gets. A policy that did nothing leaves the
// delegate's alone.
func (m *model) err(c *modelCall) error {
	switch {
	case c.last == nil && c.reason == nil:
		return nil
	case c.by == "" && c.attempts > 1:
		c.by = "retry"
	case c.by == "" && c.late:
		c.by = "timeout"
	case c.by == "":
		return c.last
	}
	e := &gaveUp{policy: c.by, attempts: c.attempts, reason: c.reason, last: c.last}
	immutable := c.attempts == 0 && (c.by == "circuitBreaker" || c.by == "rateLimit" && c.kinds.has("RateLimited") && m.span("rateLimit.maxWait", 0) == 0)
	if !immutable && (c.slept || m.timed()) {
		e.elapsed = time.Since(c.begun)
	}
	return e
}

// timed reports whether the policy has to know when a call began.
func (m *model) timed() bool {
	return m.span("timeout.total", 0) > 0 || m.span("timeout.attempt", 0) > 0 || m.span("retry.maxDuration", 0) > 0
}

// total bounds the whole call.
func (m *model) total(c *modelCall) {
	died := true
	defer func() { m.count(func(n *modelCounts) { *n.outcome(c, died)++ }) }()
	m.bounded(c)
	died = false
}

// outcome is what a call counts as; it died if it panicked or ended its
// goroutine.
func (n *modelCounts) outcome(c *modelCall, died bool) *int {
	switch {
	case died:
		return &n.failure
	case c.last == nil && c.reason == nil:
		return &n.success
	case c.turned && c.attempts == 0:
		return &n.rejected
	case c.kinds.has("Canceled", "CallerDeadline") && c.hasLeft():
		return &n.canceled
	}
	return &n.failure
}

func (m *model) bounded(c *modelCall) {
	if c.Err() != nil {
		c.last, c.kinds = c.Err(), c.left()
		return
	}
	if limit := m.span("timeout.total", 0); limit > 0 {
		c.due = c.begun.Add(limit)
	}
	m.budget.begin()
	defer m.budget.end(c)
	if m.has("hedge") && m.mayRepeat(c) {
		m.hedge(c)
	} else {
		m.repeat(c)
	}
}

// left says in which way the caller has left.
func (c *modelCall) left() kindset {
	if errors.Is(c.Err(), context.Canceled) {
		return kindset{"Canceled"}
	}
	return kindset{"CallerDeadline"}
}

func (c *modelCall) hasLeft() bool {
	deadline, ok := c.Deadline()
	return c.Err() != nil || ok && !time.Now().Before(deadline)
}

// repeat is the retry.
func (m *model) repeat(c *modelCall) {
	most := 1
	if m.retries() && m.mayRepeat(c) {
		most = m.whole("retry.maxAttempts", m.byPreset(3, 5, 3))
	}
	for {
		again := m.try(c)
		if !again || c.tries >= most && !m.does("an attempt too many") || c.tries > most {
			if again {
				m.exhausted(c)
			}
			return
		}
		if !m.pause(c) {
			return
		}
	}
}

// retries reports whether there is a retry: beside a hedge the key has its budget.
func (m *model) retries() bool { return m.has("retry") && !m.has("hedge") }

// mayRepeat reports whether to execute the call twice does no more than once.
func (m *model) mayRepeat(c *modelCall) bool {
	return m.word("idempotent", "") != "cost > 0" || c.cost > 0
}

func (m *model) byPreset(none, production, development int) int {
	switch m.word("preset", "") {
	case "production":
		return production
	case "development":
		return development
	}
	return none
}

// exhausted ends a call whose last result is not wanted.
func (m *model) exhausted(c *modelCall) {
	if c.unwanted && m.has("retry.failOnExhaustedResult") {
		c.by, c.reason = "retry", resilience.ErrUnwantedResult
	}
}

// retryable reports whether another attempt may mend what c has come to.
func (m *model) retryable(c *modelCall) bool {
	if !m.retries() {
		return false
	}
	if c.unwanted {
		return true
	}
	named, all, given := m.match("retry.retryOn", c)
	aborted, anyAborted, _ := m.match("retry.abortOn", c)
	switch {
	case aborted || anyAborted:
		return false
	case named:
		return true
	}
	return (!given || all) && (!c.kinds.has(floor...) || m.does("permanent errors are retried") && c.kinds.has("Permanent"))
}

// pause waits before another attempt, and reports whether there is to be one.
func (m *model) pause(c *modelCall) bool {
	if !c.repeats && !m.budget.take() {
		m.overBudget(c)
		return false
	}
	c.repeats = true
	d, ok := m.delay(c)
	if !ok {
		if c.reason == nil { // else that says when
			c.by, c.reason = "retry", errors.New("the peer asks to wait too long")
		}
		return false
	}
	limit := m.span("retry.maxDuration", 0)
	c.slept = c.slept || d > 0 || limit > 0 || !c.due.IsZero()
	then := time.Now().Add(d)
	deadline, ok := c.Deadline()
	if ok && !then.Before(deadline) && !m.does("a sleep past the caller's deadline") || !c.due.IsZero() && !then.Before(c.due) || limit > 0 && then.Sub(c.begun) >= limit {
		m.exhausted(c)
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		if c.Err() == nil {
			return true
		}
	case <-c.Done():
	}
	m.leaves(c)
	return false
}

// overBudget ends a call that would be repeated, were there not so many.
func (m *model) overBudget(c *modelCall) {
	if m.exhausted(c); c.unwanted && c.reason == nil {
		return
	}
	m.count(func(n *modelCounts) { n.rejections++ })
	c.kinds = append(c.kinds, "BudgetExhausted")
	c.by, c.reason = "retry.budget", errors.Join(resilience.ErrBudgetExhausted, c.reason)
}

// leaves ends a call whose caller left while nothing ran.
func (m *model) leaves(c *modelCall) {
	if c.last != nil || c.reason != nil || m.has("retry.failOnExhaustedResult") {
		c.kinds, c.by, c.reason = c.left(), "retry", c.Err()
	}
}

// try is one attempt, from the breaker inwards. It reports whether another one
// may mend what it came to.
func (m *model) try(c *modelCall) (again bool) {
	permit, again := m.admit(c)
	if permit == nil {
		return again
	}
	m.execute(c, permit)
	return c.again(m)
}

// admit asks breaker, rate limit and bulkhead; nil is a rejection.
func (m *model) admit(c *modelCall) (p *modelPermit, again bool) {
	c.tries++
	c.turned = false
	b := m.breakerOf(c.key)
	permit, ok := b.allow()
	if !ok {
		return nil, m.rejected(c, "circuitBreaker", "CircuitOpen", b.rejection())
	}
	paid, why := m.limit.take(c)
	if why != granted {
		return nil, m.turnedAway(c, permit, "rateLimit", why)
	}
	if why := m.slots.take(c); why != granted {
		m.limit.repay(c, paid)
		return nil, m.turnedAway(c, permit, "bulkhead", why)
	}
	return permit, false
}

// turnedAway ends a try that a part behind the breaker did not let through.
func (m *model) turnedAway(c *modelCall, p *modelPermit, by string, why refusal) (again bool) {
	switch why {
	case full:
		p.turnedAway(c, "BulkheadFull")
		return m.rejected(c, by, "BulkheadFull", resilience.ErrBulkheadFull)
	case limitedOut:
		p.turnedAway(c, "RateLimited")
		return m.rejected(c, by, "RateLimited", m.limit.rejection(c))
	}
	p.turnedAway(c, "")
	m.waited(c, by, why)
	return false
}

// rejected notes that a part rejected a try.
func (m *model) rejected(c *modelCall, by, kind string, reason error) (again bool) {
	m.count(func(n *modelCounts) { n.rejections++ })
	c.turned = true
	c.by, c.reason, c.kinds, c.unwanted, c.late = by, reason, kindset{kind}, false, false
	named, _, _ := m.match("retry.retryOn", c)
	aborted, _, _ := m.match("retry.abortOn", c)
	return m.retries() && named && !aborted
}

// rejection is why a part rejected a try, and when to come again.
type rejection struct {
	error
	again time.Time
	known bool
}

func (r rejection) Unwrap() error                     { return r.error }
func (r rejection) RetryAfter() (time.Duration, bool) { return time.Until(r.again), r.known }

// refusal is why something was not granted.
type refusal int

const (
	granted refusal = iota
	full
	limitedOut
	callerLeft
	totalPassed
	maxDurationPassed
)

// waited ends a call that waited in vain for something that it has not.
func (m *model) waited(c *modelCall, by string, why refusal) {
	switch why {
	case callerLeft:
		m.leavesQueue(c, by)
	case totalPassed:
		c.by, c.reason, c.kinds = "timeout", resilience.ErrTimeout, kindset{"Timeout", "Transient"}
	case maxDurationPassed:
		if c.by == "" && !c.late {
			c.by = "retry"
		}
		m.exhausted(c)
	}
}

func (m *model) leavesQueue(c *modelCall, by string) {
	c.kinds = c.left()
	if c.last != nil {
		c.by, c.reason = by, c.Err()
		return
	}
	c.by, c.reason, c.last = "", nil, c.Err()
}

// until is when a wait before a try must end, and why.
func (m *model) until(c *modelCall) (at time.Time, why refusal) {
	at, why = c.due, totalPassed
	if limit := m.span("retry.maxDuration", 0); limit > 0 && c.tries > 1 {
		if ends := c.begun.Add(limit); at.IsZero() || ends.Before(at) {
			at, why = ends, maxDurationPassed
		}
	}
	return at, why
}

// execute runs the delegate, under the timeout, in its slot, and tells the
// breaker. A panic is a failure, and releases both.
func (m *model) execute(c *modelCall, p *modelPermit) {
	m.count(func(n *modelCounts) { n.attempts++ })
	c.attempts++
	c.by, c.reason, c.kinds, c.unwanted, c.late = "", nil, nil, false, false
	begun, returned := time.Now(), false
	defer func() {
		if !returned {
			named, _, _ := m.match("circuitBreaker.ignoreOn", &modelCall{kinds: kindset{"Panic"}})
			p.record(verdict{failure: true, ignored: named || m.does("a panic is no failure")}, time.Since(begun))
		}
	}()
	m.timeout(c)
	returned = true
	v := m.judge(c)
	p.record(v, time.Since(begun))
}

// timeout is the attempt's, or what is left of the total one.
func (m *model) timeout(c *modelCall) {
	at := c.due
	if limit := m.span("timeout.attempt", 0); limit > 0 {
		if ends := time.Now().Add(limit); at.IsZero() || ends.Before(at) || m.does("the attempt outlives the total") {
			at = ends
		}
	}
	ctx := c.Context
	if !at.IsZero() {
		limited, cancel := context.WithDeadline(ctx, at)
		defer cancel()
		ctx = limited
	}
	c.limit = at
	m.leave(ctx, c)
	if callers, ok := c.Deadline(); !at.IsZero() && !(ok && callers.Before(at)) {
		c.late = !time.Now().Before(at)
	}
}

// leave calls the delegate, and does not wait for it in mode abandon: the slot
// is then the delegate's.
func (m *model) leave(ctx context.Context, c *modelCall) {
	if m.word("timeout.mode", "") != "abandon" {
		defer m.slots.giveBack()
		c.n, c.last = m.next.Do(ctx, c.key, c.cost)
		c.race.ends(c)
		return
	}
	type result struct {
		n        int
		err      error
		panicked any
		exited   bool
	}
	done := make(chan result, 1)
	go func() {
		r := result{exited: true}
		defer func() {
			if r.exited {
				r.panicked = recover()
				r.exited = r.panicked == nil
			}
			m.slots.giveBack()
			done <- r
		}()
		r.n, r.err = m.next.Do(ctx, c.key, c.cost)
		r.exited = false
	}()
	select {
	case r := <-done:
		c.n, c.last = carry(r.n, r.err, r.panicked, r.exited)
	case <-ctx.Done():
		c.n, c.last = 0, ctx.Err()
	}
	c.race.ends(c)
}

// judge says what the attempt means to the breaker, and what kind of failure it
// is. A success is one, however late.
func (m *model) judge(c *modelCall) verdict {
	bad := c.last == nil && m.has("retry.retryOnResult") && isBad(c.n)
	poor := c.last == nil && m.has("circuitBreaker.recordOnResult") && isPoor(c.n)
	if c.last == nil && c.late && m.does("a late success is a timeout") {
		c.last = context.DeadlineExceeded
	}
	c.late = c.late && c.last != nil
	switch {
	case c.last == nil && !bad && !poor:
		return verdict{}
	case c.race.lost(c): // another one ended it: what it came to says nothing
		c.kinds, c.late = kindset{"Canceled"}, false
		return verdict{ignored: !m.does("a beaten attempt is a failure"), failure: true}
	case c.hasLeft():
		c.kinds, c.late = c.left(), false
	case c.late:
		c.kinds = append(kindsOf(c.last), "Timeout", "Transient")
		c.kinds = slices.DeleteFunc(c.kinds, func(k string) bool { return k == "Canceled" })
		c.last = errors.Join(resilience.ErrTimeout, c.last)
		m.count(func(n *modelCounts) { n.timeouts++ })
	case c.last != nil:
		c.kinds = kindsOf(c.last)
	}
	c.unwanted = bad
	if c.last == nil {
		return verdict{failure: poor, ignored: poor && c.hasLeft()}
	}
	ignored, anyIgnored, _ := m.match("circuitBreaker.ignoreOn", c)
	named, all, given := m.match("circuitBreaker.recordOn", c)
	switch {
	case ignored || anyIgnored:
		return verdict{ignored: true}
	case named:
		return verdict{failure: true}
	case c.kinds.has("Canceled", "CallerDeadline", "Permanent", "CircuitOpen", "BulkheadFull", "RateLimited"):
		return verdict{ignored: true}
	}
	return verdict{failure: !given || all}
}

// kindsOf says what a delegate's error is.
func kindsOf(err error) (k kindset) {
	switch {
	case errors.Is(err, context.Canceled):
		k = append(k, "Canceled")
	case errors.Is(err, errPassing), errors.Is(err, context.DeadlineExceeded):
		k = append(k, "Transient")
	case errors.Is(err, errGone):
		k = append(k, "Permanent")
	}
	return k
}

// again reports whether another attempt may mend what the last one came to.
func (c *modelCall) again(m *model) bool {
	switch {
	case c.last == nil && !c.unwanted:
		return false
	case c.hasLeft():
		if c.unwanted && m.has("retry.failOnExhaustedResult") {
			c.by, c.reason = "retry", c.Err()
		}
		return false
	case c.late && c.limit.Equal(c.due):
		c.by = "timeout"
		return false
	}
	again := m.retryable(c)
	if !again && c.late {
		c.by = "timeout"
	}
	return again
}

// delay is the wait before the next attempt; false if the peer asks for more
// than the policy grants.
func (m *model) delay(c *modelCall) (time.Duration, bool) {
	b := "retry.backoff."
	n := float64(c.tries - 1)
	initial := float64(m.span(b+"initialDelay", time.Duration(m.byPreset(100, 1000, 500))*time.Millisecond))
	most := float64(m.span(b+"maxDelay", time.Duration(m.byPreset(10, 30, 5))*time.Second))
	if n == 0 {
		c.prev = time.Duration(initial)
	}
	r := m.draw(c)
	var d float64
	switch m.word(b+"strategy", "exponential") {
	case "none":
		most = 0
	case "constant":
		d = initial
	case "linear":
		d = initial * (n + 1)
	case "exponential":
		d = initial * math.Pow(m.number(b+"multiplier", 2), n)
		if initial == 0 {
			d = 0
		}
	case "fibonacci":
		d = initial
		for a, i := initial, 0.0; i < n; i++ {
			a, d = d, a+d
			if i == 0 {
				d = 2 * initial
			}
		}
	case "sequence":
		list := words(m.word(b+"delays", ""))
		at, err := time.ParseDuration(list[min(int(n), len(list)-1)])
		if err != nil {
			panic(err)
		}
		d = float64(at)
	}
	d = min(d, most)
	factor := m.number(b+"jitterFactor", 0.5)
	jitter := m.word(b+"jitter", "")
	if jitter == "" {
		jitter = "full"
		if m.word("preset", "") != "" {
			jitter, factor = "ratio", float64(m.byPreset(0, 2, 1))/10
		}
	}
	switch jitter {
	case "full":
		d = r * d
	case "equal":
		d = d/2 + r*d/2
	case "ratio":
		d = d * (1 - factor + 2*factor*r)
	case "decorrelated":
		d = initial + r*(3*float64(c.prev)-initial)
	case "decorrelatedV2":
		at := func(t float64) float64 { return math.Pow(2, t) * math.Tanh(math.Sqrt(4*t)) }
		before := 0.0
		if n > 0 {
			before = at(n - 1 + r)
		}
		d = (at(n+r) - before) * initial / 1.4
	}
	c.prev = time.Duration(max(min(d, most), 0))
	if m.does("the cap does not hold after jitter") {
		c.prev = time.Duration(d)
	}
	if asked, ok := m.asked(c); ok {
		if asked > m.span("retry.retryAfter.max", 30*time.Second) {
			return 0, false
		}
		return asked + time.Duration(r*float64(min(asked/10, time.Second))), true
	}
	return c.prev, true
}

// asked is the wait that the peer asked for.
func (m *model) asked(c *modelCall) (time.Duration, bool) {
	var a interface {
		RetryAfter() (time.Duration, bool)
	}
	err := c.last
	if c.reason != nil {
		err = c.reason // a rejection of ours
	}
	if m.word("retry.retryAfter.honor", "") == "false" || m.does("what the peer asks for is ignored") || !errors.As(err, &a) {
		return 0, false
	}
	return a.RetryAfter()
}

// draw draws from the call's own stream of numbers: SplitMix64, begun with the
// seed of the Runtime and how many calls have drawn before.
func (m *model) draw(c *modelCall) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.random == 0 {
		m.streams++
		c.random = seed ^ m.streams*0xd1342543de82ef95
	}
	c.random += 0x9e3779b97f4a7c15
	z := c.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64((z^z>>31)>>11) / (1 << 53)
}

// seed is that of every Runtime here.
const seed = 7

// carry raises again what a delegate died of in a goroutine of the policy.
func carry(n int, err error, panicked any, exited bool) (int, error) {
	if p, ok := panicked.(*resilience.PanicError); ok { // out of another one
		panic(p)
	}
	if panicked != nil {
		panic(&resilience.PanicError{Value: panicked})
	}
	if exited {
		goexit()
	}
	return n, err
}

// state is what can be seen in the end.
func (m *model) state() (lines []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lines = append(lines, m.counts.String())
	for _, key := range slices.Sorted(maps.Keys(m.breakers)) {
		if m.has("circuitBreaker") {
			lines = append(lines, strings.TrimSpace("breaker "+key)+": "+m.breakers[key].String())
		}
	}
	if m.has("rateLimit") {
		lines = append(lines, "limiter: "+m.limit.String())
	}
	if m.has("bulkhead") {
		lines = append(lines, fmt.Sprint("slots taken: ", m.slots.taken))
	}
	if m.caching() {
		lines = append(lines, "cache: "+m.cache.String())
	}
	if m.budget.on() {
		lines = append(lines, "budget: "+m.budget.String())
	}
	return lines
}

func (m *model) String() string { return strings.Join(m.state(), "; ") }
