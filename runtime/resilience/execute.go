package resilience

import (
	"context"
	"time"
)

// Execution is how a call by [Execute] went.
type Execution[T any] struct {
	Value        T             // of f, or of the fallback that answered
	Err          error         // nil if Value is an answer
	Attempts     int           // executions of f
	Elapsed      time.Duration // of all, the fallback included
	FallbackUsed bool
	Breaker      State // after the call, of the guard's breaker; closed if it has none
}

// Execute is [Do] that reports how the call went. fallback, which may be nil,
// answers for a call that finally failed because of cause; as in a policy not for
// one whose caller left, nor for a permanent failure, unless fallback.applyOn of the
// guard's policy says so. f may run several times, fallback once, under ctx.
func Execute[T any](ctx context.Context, g *Guard, f func(context.Context) (T, error), fallback func(ctx context.Context, cause error) (T, error)) Execution[T] {
	begun := time.Now()
	e := executed(ctx, g, f, fallback)
	e.Elapsed = time.Since(begun)
	e.Breaker, _ = g.breakerNow()
	return e
}

func executed[T any](ctx context.Context, g *Guard, f func(context.Context) (T, error), fallback func(context.Context, error) (T, error)) (e Execution[T]) {
	call := g.Begin(ctx)
	defer call.End()
	for call.Next() {
		var err error
		e.Value, err = f(call.Context())
		e.Attempts++
		call.Record(err)
	}
	e.Err = call.Err()
	if fallback != nil && call.handsOver() {
		e.FallbackUsed = true
		e.Value, e.Err = fallback(ctx, e.Err)
	}
	return e
}

// handsOver is WantsFallback for a fallback that the policy need not have.
func (c *Call) handsOver() bool {
	return (c.last != nil || c.reason != nil) && c.plan != nil && c.fallsBack()
}
