package resilience

import (
	"errors"
	"math/rand/v2"
	"time"
)

// pause waits before another attempt, unless the wait would pass a deadline or
// somebody left during it.
func (c *Call) pause() bool {
	c.phase = over
	if c.plan.budget != nil && !c.mayRepeat() {
		return false
	}
	if c.plan.hurries && c.plain && c.reason == nil { // judge has just looked at the caller
		c.tellRetry(0)
		return c.goes(0)
	}
	d, ok := c.delay()
	if ok && c.sleep(d) && c.goes(d) {
		return true
	}
	err := c.caller.Err()
	switch {
	case err != nil && (c.last != nil || c.reason != nil || c.plan.Retry.FailOnExhaustedResult):
		c.kinds = c.leftKind() // the caller's leaving ended the call, not the last error
		c.notes(c.plan.Breaker.judge(err, c.kinds), outcomeIgnored)
		c.stop(retryPart, err)
	case !ok && c.reason == nil:
		c.stop(retryPart, &longWait{d})
	default:
		c.exhausted()
	}
	return false
}

// goes notes that another attempt is to begin after d, unless retries were
// switched off.
func (c *Call) goes(d time.Duration) bool {
	if c.plan.off.Load() {
		return false
	}
	if c.plan.letters {
		c.beginsAgain(d)
	}
	c.phase = again // until it is let in
	return true
}

// delay returns the wait before the next attempt; false if it is what the peer
// asked for, and longer than the policy allows.
func (c *Call) delay() (time.Duration, bool) {
	n := int(c.tries) - 1
	if n == 0 {
		c.prev = orDuration(c.plan.backoff.InitialDelay, 100*time.Millisecond)
	}
	if c.random == 0 { // an attempt that hurried drew nothing
		c.random = c.plan.rt.stream()
	}
	r := c.draw()
	c.prev = c.plan.backoff.delay(n, c.prev, r)
	if asked, ok := c.retryAfter(); ok {
		if asked > c.plan.wait {
			return asked, false
		}
		return after(asked, time.Duration(r*float64(min(asked/10, time.Second)))), true
	}
	return c.prev, true
}

// draw returns a number in [0,1) by SplitMix64 (Steele, Lea and Flood, "Fast
// splittable pseudorandom number generators", 2014), whose state is one word.
func (c *Call) draw() float64 {
	c.random += 0x9e3779b97f4a7c15
	z := c.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float64(z>>11) / (1 << 53)
}

// stream returns the first state of one call's source of jitter. With a seed
// the n-th call that draws gets the same one in every process.
func (rt *Runtime) stream() uint64 {
	if rt.seed == 0 {
		return rand.Uint64()
	}
	return rt.seed ^ rt.streams.Add(1)*0xd1342543de82ef95
}

// retryAfter returns what the peer asked for, or the breaker of ours that
// rejected the attempt.
func (c *Call) retryAfter() (time.Duration, bool) {
	err, of := c.last, c.plan.Errors.RetryAfterOf
	if c.reason != nil {
		err, of = c.reason, nil
	}
	if err == nil || c.plan.Retry.RetryAfter.Ignore || c.reason == nil && c.plain && of == nil {
		return 0, false
	}
	var asked interface {
		RetryAfter() (time.Duration, bool)
	}
	if errors.As(err, &asked) {
		if after, ok := asked.RetryAfter(); ok {
			return max(after, 0), true
		}
	}
	if of != nil {
		after, ok := of(c.last)
		return max(after, 0), ok
	}
	return 0, false
}

// goesOn reports whether the caller is still there for an attempt at once.
func (c *Call) goesOn() bool {
	if c.caller.Err() != nil {
		return false
	}
	c.tellRetry(0)
	return true
}

func (c *Call) sleep(d time.Duration) bool {
	limit := max(c.plan.Retry.MaxDuration, 0)
	if d <= 0 && limit == 0 && c.due == 0 {
		return c.goesOn()
	}
	now := sinceEpoch()
	if c.start == 0 {
		c.start = now
	}
	c.slept = true
	then := after(now, max(d, 0))
	if deadline, ok := c.caller.Deadline(); ok && instant(deadline) <= then || c.due != 0 && c.due <= then {
		return false
	}
	if limit > 0 && then-c.start >= limit {
		return false
	}
	if d <= 0 {
		return c.goesOn()
	}
	c.tellRetry(d)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return c.caller.Err() == nil
	case <-c.caller.Done():
		return false
	}
}
