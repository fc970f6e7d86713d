//go:build resilience_chaos

package resilience

import "time"

const chaosBuilt = true

// disturb injects what the policy says into some attempts, and reports whether
// the delegate is to be called.
func (c *Call) disturb() bool {
	chaos := &c.plan.Chaos
	if c.random == 0 {
		c.random = c.plan.rt.stream()
	}
	if c.draw() >= chaos.ratio() {
		return true
	}
	if chaos.Latency > 0 {
		timer := time.NewTimer(chaos.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.Context().Done():
		}
	}
	switch {
	case chaos.Panic:
		panic(ErrChaos)
	case chaos.Fault != nil:
		c.RecordResult(chaos.Fault, false, false)
		return c.Next()
	}
	return true
}
