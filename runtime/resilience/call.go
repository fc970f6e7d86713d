package resilience

import (
	"context"
	"math"
	"time"

	"github.com/resilgen/resilgen/runtime/internal/clock"
)

// Call is one call through a [Guard]. It lives on the caller's stack and is
// used by one goroutine:
//
//	call := guard.Begin(ctx)
//	defer call.End()
//	for call.Next() {
//		receipt, err = next.Charge(call.Context(), req)
//		call.Record(err)
//	}
//	return receipt, call.Err()
//
// Every call copies it, so it is kept small: instants are since [epoch], and
// what an attempt holds are bits.
type Call struct {
	plan    *plan           // nil: switched off
	caller  context.Context // as given
	lazy    *lazyContext    // of the attempt, if a timeout of ours is its limit
	breaker *breaker        // the plan's, or the one of the key
	aside   *aside          // what few calls need
	limiter *limiter        // of the key, where the plan keeps one for each

	generation uint64        // of the breaker's permit
	begun      time.Duration // of the attempt, only if the plan measures it; while holdsPaid, the receipt
	start      time.Duration // 0 until a clock was needed
	due        time.Duration // of timeout.total; 0 if there is none
	prev       time.Duration // delay before
	random     uint64        // state of the jitter's source

	last     error // of the last execution
	reason   error // why a policy ended the call
	attempts int32 // executions
	tries    int32 // attempts and rejections
	cost     int32 // in permits of the limiter; 0 is 1
	kinds    Kind  // of last
	holds    holding
	phase    phase
	ended    part // the policy that ended the call
	turned   part // that rejected an attempt, until that is counted
	unwanted bool
	plain    bool    // last wraps nothing, and has none of the methods we know
	once     bool    // executing it again might do the work twice
	slept    bool    // or was to: the clock was needed
	races    bool    // hedges may decide the call after the attempt has ended
	live     bool    // begun, and not over yet
	poor     bool    // the result is judged bad
	heard    outcome // what a breaker around all attempts is to hear of the last one
	seen     outcome // and an adaptive part
	fell     bool    // the fallback was asked
}

type phase uint8

const (
	fresh   phase = iota
	again         // another attempt may follow
	running       // an attempt is out
	over
)

// holding is what a call has to give back.
type holding uint16

const (
	holdsPermit  holding = 1 << iota // of the breaker, which still waits for a verdict
	holdsProbe                       // the permit is one of a half-open breaker
	holdsSlot                        // of the bulkhead
	holdsContext                     // lazy
	holdsKey                         // the breaker stays, as long as calls are in flight
	holdsFlight                      // the budget counts the call as in flight
	holdsRetry                       // and as one that is repeated
	holdsLimiter                     // so does the limiter
	holdsWatch                       // the adaptive part waits for the outcome
	holdsShare                       // of the attempts in flight that it limits
	holdsPaid                        // what a limiter gave in another order: nothing was executed for it yet
)

// part is a part of a policy.
type part uint8

const (
	noPart part = iota
	retryPart
	timeoutPart
	breakerPart
	bulkheadPart
	budgetPart
	hedgePart
	limiterPart
	adaptivePart
)

var partNames = [...]string{retryPart: "retry", timeoutPart: "timeout", breakerPart: "circuitBreaker", bulkheadPart: "bulkhead",
	budgetPart: "retry.budget", hedgePart: "hedge", limiterPart: "rateLimit", adaptivePart: "adaptive"}

// Begin begins a call under the caller's ctx; nil means context.Background.
func (g *Guard) Begin(ctx context.Context) Call {
	if ctx == nil {
		ctx = context.Background()
	}
	return Call{plan: g.plan.Load(), caller: ctx}
}

// BeginKey is Begin for a breaker that is kept for each key.
func (g *Guard) BeginKey(ctx context.Context, key string) Call {
	c := g.Begin(ctx)
	if c.plan != nil && c.plan.keys != nil {
		c.acquire(key)
	}
	return c
}

// Next reports whether the delegate is to be called (again). It sleeps
// between attempts.
func (c *Call) Next() bool { return c.phase <= again && c.next() }

// next is one func, and not a chain of small ones, because every call goes
// through it.
func (c *Call) next() bool {
	p := c.plan
	switch {
	case c.phase == again:
		if !c.resume() {
			c.finish()
			return false
		}
		if c.holds&holdsContext != 0 { // of a result that nobody wanted
			c.release(false)
		}
	case p == nil:
	case c.caller.Err() != nil:
		c.last, c.kinds, c.phase = c.caller.Err(), c.leftKind(), over
		if p.times {
			p.stats.begin(c)
		}
		c.finish()
		return false
	default:
		if c.breaker == nil { // else that of a key
			c.breaker = p.breaker
		}
		c.live = true
		if p.prepares && !c.prepare() {
			c.finish()
			return false
		}
	}
	for c.tries++; p != nil && p.admits && !c.admit(); c.tries++ {
		if c.phase != again || !c.pause() {
			c.finish()
			return false
		}
		c.countRejection()
	}
	c.attempts++
	c.phase = running
	if p != nil && p.timed {
		c.limit()
	}
	if chaosBuilt && p != nil && p.chaos && p.hedge == nil { // each hedge injects its own
		return c.disturb()
	}
	return true
}

// prepare looks at the clock, and for the breaker of the key, where the plan
// needs them. It reports false if a layer around all attempts rejects the call.
func (c *Call) prepare() bool {
	p := c.plan
	if p.times {
		p.stats.begin(c)
	}
	if p.clocked || p.times {
		c.start = sinceEpoch()
		if p.total > 0 && (!p.nests || !p.nest.late) {
			c.due = after(c.start, p.total)
		}
	}
	if p.keys != nil && c.breaker == nil {
		c.acquire("")
	}
	if p.budget != nil {
		p.budget.begun.Add(1)
		c.holds |= holdsFlight
	}
	return !p.nests || c.enter()
}

// acquire finds the breaker of key.
func (c *Call) acquire(key string) {
	c.breaker = c.plan.keys.acquire(key).what.(*breaker)
	c.holds |= holdsKey
}

// epoch is where instants begin.
var epoch = clock.Epoch

const century = clock.Century

// never is an instant that does not come.
const never = math.MaxInt64

func sinceEpoch() time.Duration { return time.Since(epoch) }

// instant is t since epoch. One that came over the wire has a reading of the
// wall clock alone, and that may have been set since the process began.
func instant(t time.Time) time.Duration {
	if t == t.Round(0) {
		return after(sinceEpoch(), time.Until(t))
	}
	return t.Sub(epoch)
}

// after is at+d, or the end of time: a limit of 292 years is "never", and must
// not come out as long ago.
func after(at, d time.Duration) time.Duration {
	if sum := at + d; sum >= at || d < 0 {
		return sum
	}
	return math.MaxInt64
}

// admit asks breaker, limiter, bulkhead and the adaptive part, and ends the call
// if one of them rejects it.
func (c *Call) admit() bool {
	if c.plan.nests {
		return c.admitNested()
	}
	b, h := c.breaker, c.plan.bulkhead
	if b != nil {
		if b.closed.Load() {
			c.generation = b.generation.Load()
			c.holds |= holdsPermit
		} else if !c.ask() {
			return false
		}
	}
	var paid ticket
	if c.plan.limits {
		var ok bool
		if paid, ok = c.charge(); !ok {
			return false
		}
	}
	if h != nil {
		if !h.quick() {
			if err := c.queue(); err != nil {
				return c.sentBack(paid, bulkheadPart, err)
			}
		}
		c.holds |= holdsSlot
	}
	if c.plan.adapts {
		if err := c.adapt(); err != nil {
			c.freeSlot()
			return c.sentBack(paid, adaptivePart, err)
		}
		c.tellLimit(paid)
	}
	if c.plan.measures {
		if c.begun = c.start; c.tries > 1 || c.begun == 0 || c.plan.queues {
			c.begun = sinceEpoch()
		}
	}
	return true
}

// ask asks a breaker that is not closed.
func (c *Call) ask() bool {
	p, turned := c.breaker.allow(c.caller, sinceEpoch)
	if turned == nil {
		c.generation = p.generation
		c.holds |= holdsPermit
		if p.probe {
			c.holds |= holdsProbe
		}
	}
	if n := c.breaker.news; n != nil {
		n.tell()
	}
	if turned == nil {
		return true
	}
	if c.plan.stats == nil || c.plan.keys != nil { // else it asks the statistics
		c.breaker.rejected.Add(1)
	}
	c.rejected(breakerPart, KindCircuitOpen, turned)
	return false
}

// queue waits for a slot of the bulkhead, if it may.
func (c *Call) queue() error {
	due, late := c.bound()
	return c.plan.bulkhead.acquire(c.caller, due, late)
}

// sentBack is turnedAway for a call that has paid. It is false.
func (c *Call) sentBack(paid ticket, by part, err error) bool {
	c.repay(paid) // first: who hears of it may end the goroutine
	if by == adaptivePart && c.plan.throttle != nil {
		c.plan.throttle.news.tell()
	}
	c.turnedAway(by, err)
	return false
}

// bound returns when a wait must end, 0 if it need not, and why.
func (c *Call) bound() (due time.Duration, late error) {
	due, late = c.due, errTotal
	if c.holds&holdsContext != 0 { // the limit of the attempt runs already
		due, late = c.lazy.due, c.lazy.cause
	}
	if limit := c.plan.Retry.MaxDuration; limit > 0 && c.tries > 1 {
		if at := after(c.start, limit); due == 0 || at < due {
			due, late = at, errMaxDuration
		}
	}
	return due, late
}

// turnedOutcome is what the breaker hears of a call that was turned away:
// nothing, so that a probe's permit goes back, unless recordOn names it.
func (c *Call) turnedOutcome(kind Kind, err error) outcome {
	conf := &c.plan.Breaker
	if kind != 0 && conf.RecordOn.Kinds&kind != 0 && !conf.IgnoreOn.matches(err, kind) {
		return outcomeFailure
	}
	return outcomeIgnored
}

// turnedAway ends a call that a part behind the breaker did not let through.
func (c *Call) turnedAway(by part, err error) {
	kind := Kind(0)
	if _, ok := err.(*limited); ok || err == ErrRateLimited {
		kind = KindRateLimited
	} else if err == ErrBulkheadFull {
		kind = KindBulkheadFull
	}
	c.hears(c.turnedOutcome(kind, err))
	switch {
	case kind != 0:
		c.rejected(by, kind, err)
	case c.caller.Err() != nil:
		c.kinds = c.leftKind()
		c.stop(noPart, nil)
		if c.last == nil {
			c.last = c.caller.Err()
		} else {
			c.stop(by, c.caller.Err())
		}
	case err == errMaxDuration:
		c.phase = over
		if c.exhausted(); c.ended == noPart { // else that is why there is no other attempt
			c.stop(retryPart, nil)
		}
	case err == errAttempt, err == errOpen:
		c.overdue(err)
	default:
		c.kinds = KindTimeout | KindTransient
		c.stop(timeoutPart, &timeoutError{"timeout.total", c.plan.total, nil})
	}
}

// rejected ends the call, or has it tried again where retryOn names the kind.
func (c *Call) rejected(by part, kind Kind, reason error) {
	c.kinds, c.unwanted, c.seen = kind, false, outcomeIgnored
	c.stop(by, reason)
	if c.plan.letters {
		c.remember(by)
	}
	if c.plan.stats != nil {
		if c.turned = by; c.races { // a hedge, which ends no call
			c.countRejection()
		}
	}
	if c.listened() {
		c.tell(Event{Kind: Rejected, By: partNames[by], Err: reason})
	}
	r := &c.plan.Retry
	if c.plan.retries && r.RetryOn.Kinds&kind != 0 && r.AbortOn.Kinds&kind == 0 && c.mayTry() {
		c.phase = again
	}
}

// limit gives the attempt the context of the soonest timeout; the caller's own,
// if that ends sooner still.
func (c *Call) limit() {
	p, now := c.plan, c.start
	if c.tries > 1 || p.queues {
		now = sinceEpoch()
	}
	at, why := c.due, errTotal
	if limit := after(now, p.perTry); p.perTry > 0 && (at == 0 || limit < at) {
		at, why = limit, errAttempt
	}
	if limit := after(now, p.open); p.open > 0 && (at == 0 || limit < at) {
		at, why = limit, errOpen
	}
	if callers, ok := c.caller.Deadline(); ok && p.open == 0 && instant(callers) < at {
		return
	}
	c.lazy = &lazyContext{parent: c.caller, due: at, cause: why, outlives: p.open > 0, held: p.lends}
	if c.attempts > 1 {
		c.lazy.parent, c.lazy.later = c.attempt(), true
	}
	c.holds |= holdsContext
}

// errTotal, errAttempt and errOpen are the causes of contexts that a policy
// ended; errMaxDuration ends a wait.
var (
	errTotal       = &cause{"timeout.total passed"}
	errAttempt     = &cause{"timeout.attempt passed"}
	errOpen        = &cause{"timeout.open passed"}
	errMaxDuration = &cause{"retry.maxDuration passed"}
)

type cause struct{ text string }

func (c *cause) Error() string { return c.text }
func (c *cause) Is(target error) bool {
	return target == ErrTimeout || target == context.DeadlineExceeded
}

// Context returns the context of the current attempt.
func (c *Call) Context() context.Context {
	if c.lazy != nil {
		return c.lazy
	}
	if c.attempts > 1 {
		return c.attempt()
	}
	return c.caller
}

// End releases what the call holds, also when the delegate panicked or ended
// its goroutine. A panic is a failure for the breaker unless IgnoreOn names it;
// nothing recovers it, so its stack stays as it is.
func (c *Call) End() {
	if c.holds != 0 || c.live {
		c.end()
	}
}

func (c *Call) end() {
	if c.holds&holdsFlight != 0 {
		c.leaveBudget()
		if c.holds == 0 && !c.live {
			return
		}
	}
	if c.holds&holdsPaid != 0 {
		c.unpay()
	}
	if c.holds&(holdsSlot|holdsWatch|holdsShare|holdsPermit) != 0 {
		defer c.letGo() // also where who is told ends the goroutine
		c.died()
		return
	}
	c.letGo()
}

// letGo is the end of end, when breaker and slot are given back.
func (c *Call) letGo() {
	c.release(c.plan != nil && c.plan.keeps && !c.plan.lends && c.phase == over && c.last == nil)
	if c.holds&holdsKey != 0 {
		c.holds &^= holdsKey
		c.breaker.release()
	}
	if c.holds&holdsLimiter != 0 {
		c.holds &^= holdsLimiter
		c.limiter.release()
	}
	if c.live {
		c.vanished()
	}
}

// died gives back what the attempt holds, if its delegate never returned.
func (c *Call) died() {
	c.freeSlot()
	defer c.condemn() // also where who is told of a limit ends the goroutine
	if c.holds&holdsWatch != 0 {
		c.watched(c.fate(holdsWatch), 0)
	}
}

// condemn is the verdict on an attempt whose delegate never returned.
func (c *Call) condemn() {
	c.leaveShare()
	if c.holds&holdsPermit == 0 {
		return
	}
	o := c.fate(holdsPermit)
	if c.plan.Breaker.IgnoreOn.Kinds&KindPanic != 0 {
		o = outcomeIgnored
	}
	c.tellBreaker(o)
}

// fate is the outcome of such an attempt, or of the call for who is asked once for
// that: nothing if it had not begun.
func (c *Call) fate(of holding) outcome {
	if c.phase <= again && (c.attempts == 0 || c.plan.spans&of == 0) {
		return outcomeIgnored
	}
	return outcomeFailure
}

// freeSlot gives the bulkhead's slot back: the delegate has returned.
func (c *Call) freeSlot() {
	if c.holds&holdsSlot != 0 {
		c.holds &^= holdsSlot
		c.plan.bulkhead.release()
	}
}

// release ends the context of the attempt. One that may outlive the method is
// left to the caller if the attempt is kept: at once, or by [Call.Hold], or when
// it is known that no other attempt follows.
func (c *Call) release(keep bool) {
	if c.holds&holdsContext == 0 {
		return
	}
	switch {
	case keep && c.lazy.outlives:
		c.lazy.free()
	case !keep || !c.plan.keeps:
		c.lazy.conclude()
	}
	if keep && (c.plan.lends || c.phase == again) {
		return
	}
	c.holds &^= holdsContext
	c.lazy = nil
}
