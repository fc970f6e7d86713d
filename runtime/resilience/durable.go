package resilience

import (
	"cmp"
	"strconv"
)

// SetDurable switches off, or on again, what is durable: all without names, else
// as [Runtime.SetEnabled], which leaves it alone. Switched off, no checkpoint is
// asked or written and no letter kept: a wrapper is a plain call. Preset testing
// does that too, where nothing was switched.
func (rt *Runtime) SetDurable(on bool, names ...string) {
	root, _ := rt.root()
	defer root.tellNews()
	root.mu.Lock()
	defer root.mu.Unlock()
	if root.undurable == nil {
		root.undurable = map[string]bool{}
	}
	if len(names) == 0 {
		names = []string{""}
	}
	for _, name := range names {
		if off, ok := root.undurable[name]; !ok || off == on {
			root.say(Event{Kind: OverrideApplied, Name: name, Key: "durable", Value: strconv.FormatBool(on), By: "Runtime.SetDurable"})
		}
		root.undurable[name] = !on
	}
}

// durable reports whether what is durable of the method is kept: nobody has switched
// that off, nor has a preset.
func (g *Guard) durable() bool {
	g.rt.mu.Lock()
	defer g.rt.mu.Unlock()
	if on, set := g.rt.durability(g.name, g.method, g.wrapper, g.iface); set {
		return on
	}
	return cmp.Or(g.rt.preset, g.policy.Preset) != Testing
}

func (rt *Runtime) isClosed() bool {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.closed
}

// durability returns what was switched for the first of names that anything was
// switched for. rt.mu is held.
func (rt *Runtime) durability(names ...string) (on, set bool) {
	for _, name := range names {
		if off, ok := rt.undurable[name]; ok {
			return !off, true
		}
	}
	off, ok := rt.undurable[""]
	return !off, ok
}
