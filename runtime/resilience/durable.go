package resilience

import "cmp"

// values returns where the durable things of rt live, or [ErrNoStore].
func (rt *Runtime) values() (values, error) {
	if rt.stores.Log == nil {
		return values{}, ErrNoStore
	}
	return values{rt.stores.Log}, nil
}

// SetDurable switches off, or on again, what is durable: all without names, else
// as [Runtime.SetEnabled], which leaves it alone. Switched off, no checkpoint is
// asked or written and no letter kept: a wrapper is a plain call. Preset testing
// does that too, where nothing was switched.
func (rt *Runtime) SetDurable(on bool, names ...string) {
	root, _ := rt.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	if root.undurable == nil {
		root.undurable = map[string]bool{}
	}
	if len(names) == 0 {
		names = []string{""}
	}
	for _, name := range names {
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

// isDurable reports whether a method keeps what is durable, where no preset says
// otherwise. names begin with the most specific one.
func (rt *Runtime) isDurable(names ...string) bool {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	on, set := rt.durability(names...)
	return on || !set
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
