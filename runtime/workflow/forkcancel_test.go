package workflow

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestForkOfACancelledRun can be cancelled, too.
func TestForkOfACancelledRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		e := opened(t, &stores, approval(0))
		get := finish(e, Options{ID: "r"})
		time.Sleep(time.Second)
		if err := e.Get("r").Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = get()
		if _, err := e.Checkpoint("r").Fork(t.Context(), 0, "f"); err != nil {
			t.Fatal(err)
		}
		if err := e.Get("f").Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		if status, err := e.Get("f").Status(t.Context()); err != nil || status != Cancelled {
			t.Errorf("%s, %v", status, err)
		}
	})
}
