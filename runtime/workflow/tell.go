package workflow

import (
	"context"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// tellKey is the key of a context's *[resilience.Taken], into which the call of a
// node or of a stage writes what it took.
type tellKey struct{}

// Tell tells the run, or the pipeline, to which ctx belongs what a call took.
// Generated code calls it for nodes and stages, once their call has ended; for
// anybody else it does nothing.
func Tell(ctx context.Context, call *resilience.Call) {
	if t, ok := ctx.Value(tellKey{}).(*resilience.Taken); ok {
		*t = call.Taken()
	}
}

// TellOutcome is [Tell] for a call whose results are kept.
func TellOutcome(ctx context.Context, o resilience.Outcome) {
	if t, ok := ctx.Value(tellKey{}).(*resilience.Taken); ok {
		*t = o.Taken()
	}
}
