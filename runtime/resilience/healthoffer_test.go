package resilience_test

import (
	"context"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestOfferHealth has components be there for whoever asks for the health, also those
// that were offered after that, and a taken name get a number.
func TestOfferHealth(t *testing.T) {
	rt := &resilience.Runtime{}
	c := resilience.Component{Name: "w", InProcess: true, Check: func(context.Context) error { return nil }}
	rt.OfferHealth(c)
	rt.Named("eu").OfferHealth(c)
	h := rt.Health()
	rt.OfferHealth(c)
	snapshot := h.Snapshot()
	for _, name := range []string{"w", "w#2", "w#3"} {
		if snapshot.Component(name) == nil {
			t.Errorf("there is no component %s", name)
		}
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	rt.OfferHealth(c) // too late, and no harm
	late := &resilience.Runtime{}
	if err := late.Close(); err != nil {
		t.Fatal(err)
	}
	late.OfferHealth(c)
	if n := len(late.Health().Snapshot().Components); n != 0 {
		t.Errorf("%d components of a Runtime that was closed before, want none", n)
	}
}
