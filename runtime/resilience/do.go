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

// builtin returns the guard name under one of the built-in policies, the same
// one whenever it is asked for. It panics if the environment is wrong, which
// [Open] reports as an error.
func (rt *Runtime) builtin(name string, p Policy) *Guard {
	root, err := rt.root()
	if err != nil {
		panic(err)
	}
	root.mu.Lock()
	g := root.named[name]
	root.mu.Unlock()
	if g != nil {
		return g
	}
	g, err = root.Guard(name, p)
	if err != nil {
		panic(err) // the built-in policies are right
	}
	root.mu.Lock()
	defer root.mu.Unlock()
	if first := root.named[name]; first != nil {
		return first
	}
	if root.named == nil {
		root.named = map[string]*Guard{}
	}
	root.named[name] = g
	return g
}

// API returns the guard name under the built-in policy api: 3 attempts of 10s
// within 30s, and a breaker. The same name is the same guard.
func (rt *Runtime) API(name string) *Guard { return rt.builtin(name, apiPolicy) }

// Database is like [Runtime.API], under the built-in policy database.
func (rt *Runtime) Database(name string) *Guard { return rt.builtin(name, databasePolicy) }

// FileSystem is like [Runtime.API], under the built-in policy filesystem.
func (rt *Runtime) FileSystem(name string) *Guard { return rt.builtin(name, filesystemPolicy) }

// WorkflowNode is like [Runtime.API], under the built-in policy workflowNode.
func (rt *Runtime) WorkflowNode(name string) *Guard { return rt.builtin(name, workflowNodePolicy) }
