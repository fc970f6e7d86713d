package resilience

import (
	"fmt"
	"time"
)

// Chaos injects faults, innermost: what guards a call sees them as if the
// delegate had made them. They are in a binary only if it is built with the tag
// resilience_chaos; without it a Chaos does nothing, and costs nothing. Under
// preset production a guard with a Chaos is refused, unless
// [Options.ChaosInProduction] allows it.
//
// The zero value injects nothing.
type Chaos struct {
	On             bool
	InjectionRatio float64       // share of the attempts in (0,1]; default 0.001
	Fault          error         // ends the attempt; the delegate is not called
	Latency        time.Duration // goes before the delegate or the fault, until the attempt's context ends
	Panic          bool          // the attempt panics with ErrChaos
	// Result says that results are injected, in the place of Fault and Panic: who
	// calls the delegate asks [Call.Injected] first, as generated code does.
	Result bool
}

// ErrChaos is what an injected panic panics with.
var ErrChaos error = &sentinel{"injected by chaos"}

func (c *Chaos) set() bool { return *c != Chaos{} }

// disturbs reports whether attempts may be disturbed under the preset.
func (rt *Runtime) disturbs(preset Preset) bool {
	return chaosBuilt && (rt.chaos || preset != Production)
}

// refuseChaos keeps a binary with faults in it from starting where it harms.
// rt.mu is held.
func (rt *Runtime) refuseChaos(g *Guard) error {
	if r := rt.inForce(g, rt.overrides); chaosBuilt && r.Chaos.set() && !rt.disturbs(r.Preset) {
		return fmt.Errorf("%s: chaos under preset production, in a binary built with the tag resilience_chaos: build without it, or set Options.ChaosInProduction", g.name)
	}
	return nil
}
