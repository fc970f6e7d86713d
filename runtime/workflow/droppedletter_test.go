package workflow

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestDroppedNodeOfALetter is not tried again where Migrate drops it.
func TestDroppedNodeOfALetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		broken := &atomic.Bool{}
		broken.Store(true)
		e := opened(t, &stores, graph(says("A", "B", "C"), sometimes("B", broken, end), says("C", end)))
		if got, err := e.Run(t.Context(), "in", Options{ID: "r"}); err != nil || got.NodeFailures["B"] != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		if _, err := e.Checkpoint("r").Fork(t.Context(), 0, "f"); err != nil {
			t.Fatal(err)
		}
		g := graph(says("A", "C"), says("C", end))
		g.Fingerprint = "f1"
		now := opened(t, &stores, g)
		if err := Migrate(now.e.rt, g.storeName(), "f0", Moves{Drop: []string{"B"}}); err != nil {
			t.Fatal(err)
		}
		got, err := now.Resume(t.Context(), "f")
		if err != nil || got.Status != Completed {
			t.Errorf("%s %v %v", got.Status, err, got.NodeFailures)
		}
	})
}
