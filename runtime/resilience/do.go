package resilience

import "context"

// Do calls f under g, for code that has no interface. f may run several times.
func Do[T any](ctx context.Context, g *Guard, f func(context.Context) (T, error)) (T, error) {
	var v T
	call := g.Begin(ctx)
	defer call.End()
	for call.Next() {
		var err error
		v, err = f(call.Context())
		call.Record(err)
	}
	return v, call.Err()
}

// Try is [Do] for a func without a result.
func Try(ctx context.Context, g *Guard, f func(context.Context) error) error {
	call := g.Begin(ctx)
	defer call.End()
	for call.Next() {
		call.Record(f(call.Context()))
	}
	return call.Err()
}

// builtin returns the guard name under the built-in policy of, the same one
// whenever it is asked for. It panics if the environment is wrong, which [Open]
// reports as an error.
func (rt *Runtime) builtin(of, name string, p Policy) *Guard {
	root, err := rt.root()
	if err != nil {
		panic(err)
	}
	key := of + " " + name
	if rt != nil {
		key += "@" + rt.name
	}
	root.naming.Lock() // from the look to the making: there is one
	defer root.naming.Unlock()
	if g := root.named[key]; g != nil {
		return g
	}
	g, err := rt.Guard(name, p)
	if err != nil {
		panic(err) // the built-in policies are right
	}
	if root.named == nil {
		root.named = map[string]*Guard{}
	}
	root.named[key] = g
	return g
}

// API returns the guard name under the built-in policy api: 3 attempts of 10s
// within 30s, and a breaker. The same name is the same guard.
func (rt *Runtime) API(name string) *Guard { return rt.builtin("api", name, apiPolicy) }

// Database is like [Runtime.API], under the built-in policy database.
func (rt *Runtime) Database(name string) *Guard { return rt.builtin("database", name, databasePolicy) }

// FileSystem is like [Runtime.API], under the built-in policy filesystem.
func (rt *Runtime) FileSystem(name string) *Guard {
	return rt.builtin("filesystem", name, filesystemPolicy)
}

// WorkflowNode is like [Runtime.API], under the built-in policy workflowNode.
func (rt *Runtime) WorkflowNode(name string) *Guard {
	return rt.builtin("workflowNode", name, workflowNodePolicy)
}
