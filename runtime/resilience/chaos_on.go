//go:build resilience_chaos

package resilience

import "time"

const chaosBuilt = true

// disturb injects what the policy says, and reports whether the delegate is to
// be called.
func (c *Call) disturb() bool {
	if c.plan.Chaos.Result {
		return true // see Injected
	}
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
	if !c.drawn() {
		return nil
	}
	if chaos.Panic {
		panic(ErrChaos)
	}
	return chaos.Fault
}

// Injected reports whether a result is to stand for the delegate's, as
// [Chaos.Result] asks for; never in builds without the tag resilience_chaos. It
// is asked once after each Next, and may last as long as [Chaos.Latency].
//
// Where the context ends before the latency does, no result can come in time, and
// the delegate is called under that context, as it is with a latency alone.
func (c *Call) Injected() bool {
	p := c.plan
	return p != nil && p.chaos && p.Chaos.Result && c.drawn() && c.Context().Err() == nil
}

// drawn reports whether the attempt is one of those to disturb. If it is, the
// latency is over.
func (c *Call) drawn() bool {
	chaos := &c.plan.Chaos
	if c.random == 0 {
		c.random = c.plan.rt.stream()
	}
	if c.draw() >= orFloat(chaos.InjectionRatio, 0.001) {
		return false
	}
	if chaos.Latency > 0 {
		timer := time.NewTimer(chaos.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.Context().Done():
		}
	}
	return true
}
