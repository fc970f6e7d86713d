package resilience

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
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
type Call struct {
	guard  *Guard
	plan   *plan           // nil: switched off
	caller context.Context // as given
	ctx    context.Context // of the attempt
	lazy   *lazyContext    // ctx, if a timeout of ours is its limit
	due    time.Time       // of timeout.total; zero if there is none

	attempts int // executions
	tries    int // attempts and rejections
	phase    phase
	admitted bool // by the breaker, which still waits for a verdict
	slot     bool // of the bulkhead is held
	permit   permit
	begun    time.Duration // of the attempt; only if the breaker times calls
	kinds    Kind          // of last
	last     error         // of the last execution
	reason   error         // why a policy ended the call
	policy   string
	start    time.Time // zero until a clock was needed
	prev     time.Duration
	random   rand.PCG
	unwanted bool
}

type phase uint8

const (
	fresh   phase = iota
	running       // an attempt is out
	again         // another one may follow
	over
)

// Begin begins a call under the caller's ctx; nil means context.Background.
func (g *Guard) Begin(ctx context.Context) Call {
	if ctx == nil {
		ctx = context.Background()
	}
	return Call{guard: g, plan: g.plan.Load(), caller: ctx, ctx: ctx}
}

// Next reports whether the delegate is to be called (again). It sleeps
// between attempts.
func (c *Call) Next() bool {
	switch c.phase {
	case fresh:
		return c.first()
	case again:
		return c.repeat()
	}
	return false
}

func (c *Call) first() bool {
	if c.plan == nil {
		return c.attempt()
	}
	if err := c.caller.Err(); err != nil {
		c.last, c.kinds = err, c.leftKind()
		c.phase = over
		return false
	}
	if c.plan.timed {
		c.start = time.Now()
		if c.plan.total > 0 {
			c.due = c.start.Add(c.plan.total)
		}
	}
	return c.attempt()
}

// errTotal and errAttempt are the causes of contexts that a policy ended.
var (
	errTotal   error = &cause{"timeout.total passed"}
	errAttempt error = &cause{"timeout.attempt passed"}
)

type cause struct{ text string }

func (c *cause) Error() string { return c.text }
func (c *cause) Is(target error) bool {
	return target == ErrTimeout || target == context.DeadlineExceeded
}

// epoch is where the times of breakers begin; a century ago, because a
// synctest bubble lives before the start of its process.
var epoch = time.Now().Add(-century)

const century = 100 * 365 * 24 * time.Hour

func sinceEpoch() time.Duration { return time.Since(epoch) }

// attempt lets the delegate be called, unless breaker or bulkhead reject it.
func (c *Call) attempt() bool {
	c.tries++
	if c.plan != nil && (c.plan.breaker != nil || c.plan.bulkhead != nil) && !c.admit() {
		return c.phase == again && c.repeat()
	}
	c.attempts++
	c.phase = running
	if c.plan != nil && c.plan.timed {
		c.limit()
	}
	return true
}

// limit gives the attempt the context of the sooner timeout; the caller's own,
// if that ends sooner still.
func (c *Call) limit() {
	now := c.start
	if c.tries > 1 || c.plan.bulkhead != nil && c.plan.bulkhead.conf.MaxWait > 0 {
		now = time.Now()
	}
	at, why := c.due, errTotal
	if own := now.Add(c.plan.perTry); c.plan.perTry > 0 && (at.IsZero() || own.Before(at)) {
		at, why = own, errAttempt
	}
	c.ctx, c.lazy = c.caller, nil
	if callers, ok := c.caller.Deadline(); ok && callers.Before(at) {
		return
	}
	c.lazy = &lazyContext{parent: c.caller, deadline: at, cause: why}
	c.ctx = c.lazy
}

func (c *Call) admit() bool {
	if b := c.plan.breaker; b != nil {
		p, ok := b.allow(sinceEpoch)
		if !ok {
			c.rejected("circuitBreaker", KindCircuitOpen, b.reject())
			return false
		}
		c.permit, c.admitted = p, true
	}
	if h := c.plan.bulkhead; h != nil {
		if err := h.acquire(c.caller, c.due); err != nil {
			c.verdict(outcomeIgnored) // the breaker's probe permit goes back
			c.turnedAway(err)
			return false
		}
		c.slot = true
	}
	if b := c.plan.breaker; b != nil && b.needsClock() {
		c.begun = sinceEpoch()
	}
	return true
}

// turnedAway ends a call that got no slot.
func (c *Call) turnedAway(err error) {
	switch {
	case err == ErrBulkheadFull:
		c.rejected("bulkhead", KindBulkheadFull, err)
	case c.caller.Err() != nil:
		c.phase, c.kinds = over, c.leftKind()
		if c.last == nil {
			c.last = err
		}
	default:
		c.kinds = KindTimeout
		c.stop("timeout", &timeoutError{"timeout.total", c.plan.total, nil})
	}
}

// rejected ends the call, or has it tried again where retryOn names the kind.
func (c *Call) rejected(policy string, kind Kind, reason error) {
	c.kinds, c.unwanted = kind, false
	c.stop(policy, reason)
	if c.plan.retries && c.plan.Retry.RetryOn.Kinds&kind != 0 && c.tries < c.plan.attempts {
		c.phase = again
	}
}

// verdict tells the breaker how the attempt ended.
func (c *Call) verdict(o outcome) {
	if !c.admitted {
		return
	}
	c.admitted = false
	b := c.plan.breaker
	var took time.Duration
	if b.needsClock() && o != outcomeIgnored {
		now := sinceEpoch()
		took = now - c.begun
		b.record(func() time.Duration { return now }, c.permit, o, took)
		return
	}
	b.record(sinceEpoch, c.permit, o, took)
}

// outcome judges the attempt for the breaker.
func (c *Call) outcome(record bool) outcome {
	conf := &c.plan.Breaker
	switch {
	case c.last == nil && record:
		return outcomeFailure
	case c.last == nil:
		return outcomeSuccess
	case conf.IgnoreOn.matches(c.last, c.kinds):
		return outcomeIgnored
	case conf.RecordOn.Kinds&c.kinds != 0:
		return outcomeFailure
	case c.kinds&floor != 0:
		return outcomeIgnored
	case conf.RecordOn.given() && !conf.RecordOn.matches(c.last, c.kinds):
		return outcomeSuccess
	}
	return outcomeFailure
}

// Context returns the context of the current attempt.
func (c *Call) Context() context.Context { return c.ctx }

// Record tells how the attempt ended.
func (c *Call) Record(err error) { c.RecordResult(err, false, false) }

// RecordResult is Record for methods whose results are judged: retry says that
// a result without an error is unwanted and worth another attempt, record that
// a breaker shall count it as a failure.
func (c *Call) RecordResult(err error, retry, record bool) {
	c.phase = over
	c.last, c.unwanted = err, err == nil && retry
	c.kinds, c.reason, c.policy = 0, nil, ""
	c.freeSlot()
	if c.plan == nil {
		return
	}
	var ended error
	if err != nil {
		if c.lazy != nil && c.lazy.Err() != nil { // asked before release, which ends it
			ended = c.lazy.cause
		}
		c.classify(ended)
	}
	c.release()
	if c.admitted {
		c.verdict(c.outcome(record))
	}
	if err != nil || retry {
		c.judge(ended)
	}
}

// freeSlot gives the bulkhead's slot back: the delegate has returned.
func (c *Call) freeSlot() {
	if c.slot {
		c.slot = false
		c.plan.bulkhead.release()
	}
}

// release ends the context of the attempt.
func (c *Call) release() {
	if c.lazy != nil {
		c.lazy.end()
		c.lazy = nil
	}
}

// judge decides what follows a failed attempt.
func (c *Call) judge(ended error) {
	switch {
	case c.caller.Err() != nil:
	case ended == errTotal:
		c.stop("timeout", nil)
	case !c.plan.retries || !c.retryable():
	case c.tries >= c.plan.attempts:
		c.exhausted()
	default:
		c.phase = again
	}
}

// classify finds the kinds of the error and names the limit that caused it.
func (c *Call) classify(ended error) {
	if c.caller.Err() != nil {
		// The caller left: whatever came back is no verdict on the peer.
		c.kinds = c.leftKind()
		return
	}
	switch ended {
	case errTotal:
		c.last = &timeoutError{"timeout.total", c.plan.total, c.last}
	case errAttempt:
		c.last = &timeoutError{"timeout.attempt", c.plan.perTry, c.last}
	}
	c.kinds = c.plan.Errors.kindsOf(c.last)
}

func (c *Call) leftKind() Kind {
	if errors.Is(c.caller.Err(), context.DeadlineExceeded) {
		return KindCallerDeadline
	}
	return KindCanceled
}

func (c *Call) retryable() bool {
	if c.unwanted {
		return true
	}
	r := &c.plan.Retry
	if r.AbortOn.matches(c.last, c.kinds) {
		return false
	}
	if r.RetryOn.Kinds&c.kinds != 0 {
		return true // by name, which lifts the floor
	}
	if c.kinds&floor != 0 {
		return false
	}
	return !r.RetryOn.given() || r.RetryOn.matches(c.last, c.kinds)
}

func (c *Call) exhausted() {
	if c.unwanted && c.plan.Retry.FailOnExhaustedResult {
		c.stop("retry", ErrUnwantedResult)
	}
}

func (c *Call) stop(policy string, reason error) {
	c.phase, c.policy, c.reason = over, policy, reason
}

// repeat sleeps and begins another attempt, unless the sleep would pass a
// deadline or somebody left during it.
func (c *Call) repeat() bool {
	c.phase = over
	d, ok := c.delay()
	if !ok || !c.sleep(d) {
		c.exhausted()
		return false
	}
	return c.attempt()
}

// delay returns the wait before the next attempt; false if it is longer than
// the policy allows.
func (c *Call) delay() (time.Duration, bool) {
	n := c.tries - 1
	if n == 0 {
		c.prev = orDuration(c.plan.backoff.InitialDelay, 100*time.Millisecond)
		c.random = newSource(c.guard.rt.seed, c.guard.rt.streams.Add(1))
	}
	r := float64(c.random.Uint64()>>11) / (1 << 53)
	c.prev = c.plan.backoff.delay(n, c.prev, r)
	if after, ok := c.retryAfter(); ok {
		if after > c.plan.wait {
			return 0, false
		}
		return after + time.Duration(r*float64(min(after/10, time.Second))), true
	}
	return c.prev, true
}

// retryAfter returns what the peer asked for.
func (c *Call) retryAfter() (time.Duration, bool) {
	if c.last == nil || c.plan.Retry.RetryAfter.Ignore {
		return 0, false
	}
	var asked interface {
		RetryAfter() (time.Duration, bool)
	}
	if errors.As(c.last, &asked) {
		after, ok := asked.RetryAfter()
		return max(after, 0), ok
	}
	if of := c.plan.Errors.RetryAfterOf; of != nil {
		after, ok := of(c.last)
		return max(after, 0), ok
	}
	return 0, false
}

func (c *Call) sleep(d time.Duration) bool {
	limit := max(c.plan.Retry.MaxDuration, 0)
	if d <= 0 && limit == 0 && c.due.IsZero() {
		return c.caller.Err() == nil
	}
	now := time.Now()
	if c.start.IsZero() {
		c.start = now
	}
	then := now.Add(max(d, 0))
	if deadline, ok := c.caller.Deadline(); ok && !then.Before(deadline) || !c.due.IsZero() && !then.Before(c.due) {
		return false
	}
	if limit > 0 && then.Sub(c.start) >= limit {
		return false
	}
	if d <= 0 {
		return c.caller.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return c.caller.Err() == nil
	case <-c.caller.Done():
		return false
	}
}

// WantsFallback reports whether the policy's fallback is to answer: the call
// failed, and not because the caller left, for good, or switched off.
func (c *Call) WantsFallback() bool {
	if c.plan == nil || !c.plan.mayFall || c.last == nil && c.reason == nil {
		return false
	}
	f := &c.plan.Fallback
	if c.last != nil && f.SkipOn.matches(c.last, c.kinds) {
		return false
	}
	if f.ApplyOn.Kinds&c.kinds != 0 {
		return true
	}
	if c.kinds&(KindCanceled|KindCallerDeadline|KindPermanent) != 0 {
		return false
	}
	return !f.ApplyOn.given() || c.last != nil && f.ApplyOn.matches(c.last, c.kinds)
}

// Err returns nil after success, the delegate's own error if no policy did
// anything, else an *[Error].
func (c *Call) Err() error {
	if c.reason == nil && (c.last == nil || c.attempts <= 1 && c.policy == "") {
		return c.last
	}
	if c.attempts == 0 && c.policy == "circuitBreaker" {
		return c.plan.rejection(c.guard.name, c.reason)
	}
	e := &Error{Method: c.guard.name, Attempts: c.attempts, Policy: c.policy, reason: c.reason, last: c.last}
	if e.Policy == "" {
		e.Policy = "retry"
	}
	if !c.start.IsZero() {
		e.Elapsed = time.Since(c.start)
	}
	return e
}

// End releases what the call holds, also when the delegate panicked or ended
// its goroutine. A panic is a failure for the breaker unless IgnoreOn names it;
// nothing recovers it, so its stack stays as it is.
func (c *Call) End() {
	c.freeSlot()
	if c.admitted {
		o := outcomeFailure
		if c.plan.Breaker.IgnoreOn.Kinds&KindPanic != 0 {
			o = outcomeIgnored
		}
		c.verdict(o)
	}
	c.release()
}
