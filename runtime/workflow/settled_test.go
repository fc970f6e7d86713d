package workflow

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestReplayThatFailsWhileItsRunGoesOn: the owner that published the letter once hears
// of its replay, and tells it again.
func TestReplayThatFailsWhileItsRunGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		broken := &atomic.Bool{}
		broken.Store(true)
		g := graph(says("A", "B", "C"), sometimes("B", broken, end), says("C"))
		g.Nodes[2].Delay = 10 * time.Hour
		e := opened(t, &stores, g)
		get := finish(e, Options{ID: "r"})
		time.Sleep(time.Second)
		replayAll(t, e)
		if got := lettersOf(t, e); got != "B:dead" {
			t.Errorf("letters %s", got)
		}
		if got := get(); got != "parked !"+ErrParked.Error() {
			t.Error(got)
		}
		broken.Store(false)
		replayAll(t, e)
		if got := outcome(e.Run(t.Context(), "in", Options{ID: "r"})); got != "completed B(A(in))" || lettersOf(t, e) != "B:replayed" {
			t.Errorf("%s, letters %s", got, lettersOf(t, e))
		}
		for r := range stores.Log.Scan(t.Context(), g.runKey("r"), 0) {
			if rec, err := decodeRecord(r.Body); err != nil || len(rec.Settled) > 1 {
				t.Errorf("%s: settled %v again, %v", rec.Kind, rec.Settled, err)
			}
		}
	})
}
