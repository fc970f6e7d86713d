package workflow

import (
	"context"
	"errors"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestTell has a call told of as generated code does it, to who asked and to
// nobody.
func TestTell(t *testing.T) {
	g, err := new(resilience.Runtime).Guard("told", resilience.Policy{Retry: resilience.Retry{MaxAttempts: 2, Backoff: resilience.Backoff{InitialDelay: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	node := func(ctx context.Context, err error) {
		call := g.Begin(ctx)
		defer Tell(ctx, &call)
		defer call.End()
		for call.Next() {
			call.Record(err)
		}
	}
	var taken resilience.Taken
	told := context.WithValue(context.Background(), tellKey{}, &taken)
	node(resilience.WithIdempotencyKey(told, "key"), errors.New("failed"))
	if taken != (resilience.Taken{Attempts: 2}) {
		t.Errorf("told of %+v", taken)
	}
	node(context.Background(), nil)
	if taken.Attempts != 2 {
		t.Errorf("told of the call of somebody else: %+v", taken)
	}
	if allocs := testing.AllocsPerRun(100, func() { node(told, nil) }); allocs > 0 {
		t.Errorf("a call that is told of allocates %v times", allocs)
	}
}
