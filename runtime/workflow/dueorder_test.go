package workflow

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestDueBeforeWhatIsSentLater: a message that is due when a step is recorded is at its
// join before what that step sends, as it will be when the run is read again.
func TestDueBeforeWhatIsSentLater(t *testing.T) {
	for range 40 {
		synctest.Test(t, func(t *testing.T) {
			stores := resilience.MemoryStores()
			x := routes("X", func(_ context.Context, in string) (string, Route, error) {
				if in == "in" {
					return "", Send(Target[string]("Join"), "early").After(time.Second).And(Send(Target[string]("X"), "again")).And(Send(Target[string]("Y"), "y")), nil
				}
				time.Sleep(time.Second)
				return "", Send(Target[string]("Join"), "late"), nil
			}, "X", "Y", "Join")
			g := graph(x, says("Y", "Join"), joins("Join", []string{"X", "Y"}, end))
			g.Concurrency, g.Limits.Invocations = 2, 10
			got, err := opened(t, &stores, g).Run(t.Context(), "in", Options{ID: "r"})
			if err != nil || !strings.Contains(got.Output, "early") {
				t.Errorf("%s, %v", got.Output, err)
			}
		})
		if t.Failed() {
			return
		}
	}
}
