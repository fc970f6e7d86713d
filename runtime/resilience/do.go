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
