package resilience

import (
	"context"
	"errors"
	"time"
)

// Record tells how the attempt ended.
func (c *Call) Record(err error) { c.RecordResult(err, false, false) }

// RecordResult is Record for methods whose results are judged: retry says that
// a result without an error is unwanted and worth another attempt, record that
// a breaker shall count it as a failure.
func (c *Call) RecordResult(err error, retry, record bool) {
	c.phase = over
	c.last = err
	if c.tries > 1 {
		c.kinds, c.reason, c.ended, c.unwanted, c.poor = 0, nil, noPart, false, false
	}
	if c.plan == nil {
		return
	}
	held := c.holds &^ c.plan.spans
	if held&holdsSlot != 0 && (err != nil || !c.plan.lends) {
		c.freeSlot()
	}
	if err != nil || retry || record {
		c.failed(retry, record)
		return
	}
	var now time.Duration // one clock for all who want to know
	if c.plan.times {
		now = sinceEpoch()
	}
	if held&holdsWatch != 0 {
		if t := c.plan.throttle; t != nil {
			c.holds &^= holdsWatch
			t.passed.here().Add(1)
		} else {
			c.watched(outcomeSuccess, now)
		}
	}
	if held&holdsPermit != 0 {
		c.succeeded(now)
	}
	if held&holdsContext != 0 {
		c.release(true)
	}
	if c.plan.nests {
		c.succeededNested()
	}
	if c.races {
		return
	}
	if c.live = false; c.plan.stats != nil {
		c.plan.stats.succeed(c, now)
	}
}

// succeeded tells the breaker of a success; most of them need no lock. now is 0
// if no clock was read.
func (c *Call) succeeded(now time.Duration) {
	b, clock := c.breaker, sinceEpoch
	if now != 0 {
		clock = func() time.Duration { return now }
	}
	if c.holds&holdsProbe == 0 && c.begun == 0 && b.succeeded(clock, c.generation) {
		c.holds &^= holdsPermit
		return
	}
	c.verdict(outcomeSuccess, now)
}

// failed judges an attempt that is no plain success.
func (c *Call) failed(retry, record bool) {
	if c.plan.hedge != nil && c.beaten() {
		return
	}
	var ended *cause
	callerLeft := c.callerLeft()
	c.unwanted = c.last == nil && retry
	c.poor = retry || record
	switch {
	case callerLeft: // whatever came back is no verdict on the peer
		c.kinds, c.plain = c.leftKind(), false
	case c.last != nil:
		if c.lazy != nil && c.lazy.passed() { // asked before release, which ends it
			ended = c.lazy.cause
			c.late(ended)
		} else {
			c.classify()
		}
	}
	if s := c.plan.stats; s != nil && ended != nil {
		s.timeouts.Add(1)
	}
	if (c.last != nil || retry) && c.listened() {
		c.tellFailure(ended)
	}
	if c.plan.letters && (c.last != nil || retry) {
		c.remember(noPart)
	}
	held := c.holds &^ c.plan.spans
	if held&holdsWatch != 0 {
		c.watched(c.answer(), 0)
	}
	if held&holdsPermit != 0 {
		c.tellBreaker(c.outcome(record))
	}
	if c.plan.nests {
		c.failedNested(record)
	}
	switch {
	case callerLeft:
		if c.unwanted && c.plan.Retry.FailOnExhaustedResult {
			c.stop(retryPart, c.caller.Err())
		}
	case c.last != nil || retry:
		c.judge(ended)
	}
	if c.holds&holdsContext != 0 {
		c.release(c.last == nil && (c.phase == over || c.plan.keeps))
	}
	if c.phase == again {
		c.freeAttempt()
	}
	if c.phase == over && !c.races {
		c.finish()
	}
}

// tellBreaker is verdict for an attempt, whose verdict is counted.
func (c *Call) tellBreaker(o outcome) {
	if s := c.plan.stats; s != nil {
		s.told(o)
	}
	c.verdict(o, 0)
}

// verdict tells the breaker how the attempt ended. now is 0 if no clock was
// read.
func (c *Call) verdict(o outcome, now time.Duration) {
	if c.holds&holdsPermit == 0 {
		return
	}
	b, p := c.breaker, permit{c.generation, c.holds&holdsProbe != 0}
	c.holds &^= holdsPermit | holdsProbe
	if c.begun > 0 && o != outcomeIgnored {
		if now == 0 {
			now = sinceEpoch()
		}
		b.record(c.caller, func() time.Duration { return now }, p, o, now-c.begun)
		return
	}
	b.record(c.caller, sinceEpoch, p, o, 0)
}

// outcome judges the attempt for the breaker.
func (c *Call) outcome(record bool) outcome {
	switch {
	case c.last == nil && !record:
		return outcomeSuccess
	case c.last == nil && c.kinds&floor != 0: // the caller left
		return outcomeIgnored
	case c.last == nil:
		return outcomeFailure
	}
	return c.plan.Breaker.judge(c.last, c.kinds)
}

// judge is what a failure with err means to the breaker.
func (b *Breaker) judge(err error, kinds Kind) outcome {
	switch {
	case b.IgnoreOn.matches(err, kinds):
		return outcomeIgnored
	case b.RecordOn.names(err, kinds):
		return outcomeFailure
	case kinds&floor != 0:
		return outcomeIgnored
	case b.RecordOn.given() && !b.RecordOn.Any:
		return outcomeSuccess
	}
	return outcomeFailure
}

// judge decides what follows a failed attempt.
func (c *Call) judge(ended *cause) {
	retryable := ended != errTotal && c.plan.retries && c.retryable()
	switch {
	case retryable && c.mayTry():
		c.phase = again
	case retryable:
		c.exhausted()
	case ended != nil:
		c.stop(timeoutPart, nil)
	}
}

// late names the limit that ended the attempt. What it cancelled did not leave
// by itself.
func (c *Call) late(ended *cause) {
	c.last = c.plan.late(ended, c.last)
	c.classify()
	c.kinds &^= KindCanceled
}

// late says which limit err came after.
func (p *plan) late(ended *cause, err error) error {
	switch ended {
	case errTotal:
		return &timeoutError{"timeout.total", p.total, err}
	case errAttempt:
		return &timeoutError{"timeout.attempt", p.perTry, err}
	}
	return &timeoutError{"timeout.open", p.open, err}
}

// classify finds the kinds of the error.
func (c *Call) classify() {
	if k := c.plan.known.Load(); k != nil && k.err == c.last {
		c.kinds, c.plain = k.kinds, true
		return
	}
	c.kinds, c.plain = c.plan.Errors.kindsOf(c.last)
}

// callerLeft reports whether the caller has left, or must have: its deadline
// may have ended the connection before the timer of its context.
func (c *Call) callerLeft() bool {
	if c.caller.Err() != nil {
		return true
	}
	deadline, ok := c.caller.Deadline()
	return ok && !time.Now().Before(deadline)
}

func (c *Call) leftKind() Kind { return leftKind(c.caller) }

// leftKind says in which way the caller with ctx has left.
func leftKind(ctx context.Context) Kind {
	if err := ctx.Err(); err == nil || errors.Is(err, context.DeadlineExceeded) {
		return KindCallerDeadline
	}
	return KindCanceled
}

func (c *Call) retryable() bool {
	return c.unwanted || c.mends(c.last)
}

// mends reports whether another attempt may mend err.
func (c *Call) mends(err error) bool {
	r := &c.plan.Retry
	switch {
	case !c.plan.listed:
		return c.kinds&floor == 0
	case r.AbortOn.matches(err, c.kinds):
		return false
	case !r.RetryOn.given():
		return c.kinds&floor == 0
	case r.RetryOn.names(err, c.kinds):
		return true
	}
	return r.RetryOn.Any && c.kinds&floor == 0
}

// exhausted ends a call that would be tried again if it could. Where the only
// attempt was late, that was the timeout's doing.
func (c *Call) exhausted() {
	_, late := c.last.(*timeoutError)
	switch {
	case c.unwanted && c.plan.Retry.FailOnExhaustedResult:
		c.stop(retryPart, ErrUnwantedResult)
	case late && c.attempts == 1 && c.reason == nil:
		c.stop(timeoutPart, nil)
	}
}

func (c *Call) stop(by part, reason error) {
	c.phase, c.ended, c.reason = over, by, reason
}

// WantsFallback reports whether the policy's fallback is to answer: the call
// failed, and not because the caller left, for good, or switched off.
//
// That it does counts as the use of the fallback.
func (c *Call) WantsFallback() bool { return (c.last != nil || c.reason != nil) && c.wantsFallback() }

func (c *Call) wantsFallback() bool {
	return c.plan != nil && c.plan.mayFall && c.fallsBack()
}

// fallsBack counts and tells of a fallback that is to answer.
func (c *Call) fallsBack() bool {
	if !c.fallbackApplies() {
		return false
	}
	c.fell = true
	c.plan.countFallback()
	if c.plan.letters {
		c.plan.notesFallback(c.caller, c.why())
	}
	if c.listened() {
		c.tell(Event{Kind: FallbackUsed, Err: c.why()})
	}
	return true
}

// countFallback counts a fallback that is about to answer.
func (p *plan) countFallback() {
	if p.stats != nil {
		p.stats.fallbacks.Add(1)
	}
}

func (c *Call) fallbackApplies() bool {
	err := c.last
	if err == nil || c.kinds&(KindCircuitOpen|KindBulkheadFull|KindRateLimited) != 0 {
		err = c.reason // of the rejection that ended the call
	}
	return c.plan.handsOver(err, c.kinds)
}

// falls reports whether the fallback answers for a failure.
func (p *plan) falls(err error, kinds Kind) bool { return p.mayFall && p.handsOver(err, kinds) }

// handsOver is falls where there is a fallback.
func (p *plan) handsOver(err error, kinds Kind) bool {
	f := &p.Fallback
	switch {
	case err != nil && f.SkipOn.matches(err, kinds):
		return false
	case err != nil && f.ApplyOn.names(err, kinds):
		return true
	case kinds&(KindCanceled|KindCallerDeadline|KindPermanent) != 0:
		return false
	}
	return !f.ApplyOn.given() || f.ApplyOn.Any
}

// Err returns nil after success, the delegate's own error if no policy did
// anything, else an *[Error].
func (c *Call) Err() error {
	if c.last == nil && c.reason == nil {
		return nil
	}
	return c.err()
}

func (c *Call) err() error {
	if c.reason == nil && c.attempts <= 1 && c.ended == noPart {
		return c.last
	}
	if c.attempts == 0 && c.ended == breakerPart {
		return c.plan.rejection(c.reason.(*rejection))
	}
	if r, ok := c.reason.(*limited); ok && c.attempts == 0 && r.l.conf.Load().MaxWait == 0 {
		return c.plan.tooMany(r)
	}
	ordinary := c.plain && c.reason == nil && c.ended == noPart && !c.timed()
	if ordinary {
		if k := c.plan.known.Load(); k != nil && k.err == c.last && k.gaveUp.Attempts == int(c.attempts) {
			return k.gaveUp
		}
	}
	e := &Error{Method: c.plan.name, Attempts: int(c.attempts), Policy: partNames[max(c.ended, retryPart)], reason: c.reason, last: c.last}
	if c.timed() {
		e.Elapsed = sinceEpoch() - c.start
	}
	if ordinary {
		c.plan.learn(e, c.kinds)
	}
	return e
}

// timed reports whether the policy needed a clock, so that the error says how
// long it took. One that statistics alone needed makes no error differ from the
// next.
func (c *Call) timed() bool { return c.slept || c.plan.clocked }

// known is a failure that came before: a peer that is down fails with the same
// value every time, if that is a package-level error.
type known struct {
	err    error
	kinds  Kind
	gaveUp *Error
}

// maxLearned bounds how often a plan learns: values that are always new would
// be kept in vain.
const maxLearned = 64

// learn keeps e for the next call that fails like this one, unless funcs of the
// user's have a say in what kind of error it is.
func (p *plan) learn(e *Error, kinds Kind) {
	if p.learned.Load() < maxLearned && !p.Errors.given() && equalsItself(e.last) {
		p.learned.Add(1)
		p.known.Store(&known{e.last, kinds, e})
	}
}

// equalsItself reports whether err can be compared. A value that equals itself
// holds nothing whose comparison with another one panics.
func equalsItself(err error) (ok bool) {
	defer func() { _ = recover() }()
	same := err
	return err == same
}
