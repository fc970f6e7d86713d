//go:build resilience_chaos

package resilience

import "time"

const chaosBuilt = true

// disturb injects what the policy says, and reports whether the delegate is to
// be called.
func (c *Call) disturb() bool {
	err := c.inject()
	if err != nil {
		c.RecordResult(err, false, false)
		return c.Next()
	}
	return true
}

// inject is what some attempts come to instead of calling the delegate; nil for
// the others.
func (c *Call) inject() error {
	chaos := &c.plan.Chaos
	if c.random == 0 {
		c.random = c.plan.rt.stream()
	}
	if c.draw() >= orFloat(chaos.InjectionRatio, 0.001) {
		return nil
	}
	if chaos.Latency > 0 {
		timer := time.NewTimer(chaos.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.Context().Done():
		}
	}
	if chaos.Panic {
		panic(ErrChaos)
	}
	return chaos.Fault
}
