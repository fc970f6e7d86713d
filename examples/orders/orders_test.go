package orders

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// open is a process: a Runtime on the store of all, and the workflow.
func open(t *testing.T, stores resilience.Stores, shop *Shop) (*resilience.Runtime, *OrderWorkflow) {
	t.Helper()
	rt, err := resilience.Open(resilience.Options{Stores: stores})
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewOrderWorkflow(rt, shop)
	if err != nil {
		t.Fatal(err)
	}
	return rt, w
}

var clock = Order{ID: "17", Customer: "Ann", Item: "clock", Cents: 995}

func TestOrders(t *testing.T) {
	shipped := []string{"reserve clock", "charge Ann 995", "invoice Ann", "pack clock", "ship to Ann"}
	for name, c := range map[string]struct {
		broke  []string
		signal bool
		state  string
		log    []string
	}{
		"delivered": {nil, true, "delivered, signed by Bob", shipped},
		"lost":      {nil, false, "lost", slices.Concat(shipped, []string{"refund 17", "release 17"})},
		"declined":  {[]string{"Ann"}, false, "declined", []string{"reserve clock", "release 17"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := &Shop{Broke: c.broke}
				rt, w := open(t, resilience.MemoryStores(), shop)
				defer rt.Close()
				if c.signal {
					time.AfterFunc(24*time.Hour, func() {
						if err := w.Get("17").SignalDelivered(t.Context(), Delivery{SignedBy: "Bob"}, workflow.SignalOptions{ID: "scan-1"}); err != nil {
							t.Error(err)
						}
					})
				}
				result, err := w.Run(t.Context(), clock, workflow.Options{ID: "17"})
				if err != nil || result.Output != (Receipt{Order: "17", State: c.state}) || !slices.Equal(shop.Log(), c.log) {
					t.Errorf("%+v, %v\n%q", result.Output, err, shop.Log())
				}
			})
		})
	}
}

// Workers take orders out of the queue. Of one customer's one is at work at a time;
// one that waits, here for the time to think it over, lets the next one go on.
func TestWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, shop := resilience.MemoryStores(), &Shop{}
		rt, w := open(t, stores, shop)
		defer rt.Close()
		var handles []OrderHandle
		for i, customer := range []string{"Ann", "Ann", "Ben"} {
			h, err := w.Start(t.Context(), Order{ID: fmt.Sprint(i), Customer: customer, Item: fmt.Sprint("item ", i), Cents: 1}, workflow.Options{ID: fmt.Sprint(i)})
			if err != nil {
				t.Fatal(err)
			}
			if err := h.SignalDelivered(t.Context(), Delivery{SignedBy: "Bob"}, workflow.SignalOptions{}); err != nil { // early: it is kept
				t.Fatal(err)
			}
			handles = append(handles, h)
		}
		done := make(chan error, 1)
		ctx, stop := contextOf(t)
		go func() { done <- w.Worker(workflow.WorkerOptions{Concurrency: 4}).Run(ctx) }()
		for _, h := range handles {
			if result, err := h.Result(t.Context()); err != nil || result.Output.State != "delivered, signed by Bob" {
				t.Errorf("%+v, %v", result, err)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if log := shop.Log(); len(log) != 15 {
			t.Errorf("%d things were done: %q", len(log), log)
		}
	})
}

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}
