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
	if c.plan.hurries && c.plain { // judge has just looked at the caller
		return true
	}
	if d, ok := c.delay(); ok && c.sleep(d) {
		return true
	}
	if err := c.caller.Err(); err != nil && c.last != nil {
		c.kinds = c.leftKind() // the caller's leaving ended the call, not the last error
		c.stop(retryPart, err)
		return false
	}
	c.exhausted()
	return false
}

// delay returns the wait before the next attempt; false if it is longer than
// the policy allows.
func (c *Call) delay() (time.Duration, bool) {
	n := int(c.tries) - 1
	if n == 0 {
		c.prev = orDuration(c.plan.backoff.InitialDelay, 100*time.Millisecond)
		c.random = c.plan.rt.stream()
	}
	r := c.draw()
	c.prev = c.plan.backoff.delay(n, c.prev, r)
	if after, ok := c.retryAfter(); ok {
		if after > c.plan.wait {
			return 0, false
		}
		return after + time.Duration(r*float64(min(after/10, time.Second))), true
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

// retryAfter returns what the peer asked for.
func (c *Call) retryAfter() (time.Duration, bool) {
	if c.last == nil || c.plain || c.plan.Retry.RetryAfter.Ignore {
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
	if d <= 0 && limit == 0 && c.due == 0 {
		return c.caller.Err() == nil
	}
	now := sinceEpoch()
	if c.start == 0 {
		c.start = now
	}
	then := after(now, max(d, 0))
	if deadline, ok := c.caller.Deadline(); ok && deadline.Sub(epoch) <= then || c.due != 0 && c.due <= then {
		return false
	}
	if limit > 0 && then-c.start >= limit {
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
