package workflow

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestLetterOfANodeThatWaitsForOthersNow is replayed in a graph in which its node has
// become a join of other senders: it is a letter again, and no panic.
func TestLetterOfANodeThatWaitsForOthersNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		broken := &atomic.Bool{}
		broken.Store(true)
		e := opened(t, &stores, graph(says("A", "B"), sometimes("B", broken, end)))
		if _, err := e.Run(t.Context(), "in", Options{ID: "r"}); !errors.Is(err, ErrParked) {
			t.Fatal(err)
		}
		g := graph(says("A", "C", "D"), says("C", "B"), says("D", "B"), joins("B", []string{"C", "D"}, end))
		g.Fingerprint = "f1"
		g.Nodes[3].Params = []string{"in", "other"}
		now := opened(t, &stores, g)
		replayAll(t, now)
		if got := outcome(now.Run(t.Context(), "in", Options{ID: "r"})); got != "parked !"+ErrParked.Error() {
			t.Error(got, lettersOf(t, now))
		}
	})
}
