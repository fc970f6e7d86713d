package workflow

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestForkWaitsAnew: a fork that tries the letter of a wait again waits as long as any.
func TestForkWaitsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		e := opened(t, &resilience.Stores{Log: &tappedLog{Log: stores.Log, at: -1}}, approval(time.Hour))
		get := finish(e, Options{ID: "r"})
		time.Sleep(time.Minute)
		tool, err := resilience.Open(resilience.Options{Stores: stores})
		if err != nil {
			t.Fatal(err)
		}
		defer tool.Close()
		if err := RunsOf(tool).Signal(t.Context(), "Research", "r", "approval", json.RawMessage(`7`), SignalOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := get(); got != "parked !"+ErrParked.Error() {
			t.Fatal(got)
		}
		time.Sleep(2 * time.Hour)
		if _, err := e.Checkpoint("r").Fork(t.Context(), 0, "fork"); err != nil {
			t.Fatal(err)
		}
		get = finish(e, Options{ID: "fork"})
		time.Sleep(time.Minute)
		if err := e.Get("fork").Signal(t.Context(), "approval", Of("yes"), SignalOptions{}); err != nil {
			t.Error(err)
		}
		if got := get(); got != "completed Ship(yes)" {
			t.Error(got)
		}
	})
}
