package resilience

import "slices"

// values returns where the durable things of rt live, or [ErrNoStore].
func (rt *Runtime) values() (values, error) {
	if rt.stores.Log == nil {
		return values{}, ErrNoStore
	}
	return values{rt.stores.Log}, nil
}

// SetDurable switches off, or on again, what is durable: all without names, else
// as [Runtime.SetEnabled], which leaves it alone. Switched off, no checkpoint is
// asked or written and no letter kept: a wrapper is a plain call.
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

// isDurable reports whether a method keeps what is durable. names begin with the most
// specific one.
func (rt *Runtime) isDurable(names ...string) bool {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	for _, name := range slices.Concat(names, []string{""}) {
		if off, ok := rt.undurable[name]; ok {
			return !off
		}
	}
	return true
}
