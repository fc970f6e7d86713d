package workflow

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestNodeThatReturnsAfterItWasAbandoned disturbs nobody.
func TestNodeThatReturnsAfterItWasAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		e := opened(t, &stores, graph(works("A", func(context.Context, string) (string, error) {
			time.Sleep(2 * grace)
			return "", nil
		}, end)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got, err := e.Run(ctx, "in", Options{ID: "r"}); err == nil {
			t.Errorf("%+v", got)
		}
		time.Sleep(2 * grace)
	})
}
