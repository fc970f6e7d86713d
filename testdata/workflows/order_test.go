package workflows

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// orders are OrderNodes.
type orders struct {
	book
	placed chan struct{}
}

func (n *orders) Place(ctx context.Context, o Order) (Order, error) {
	close(n.placed)
	return o, n.call(ctx, "Place")
}

func (n *orders) Decide(ctx context.Context, a *Approval) (Order, workflow.Route, error) {
	o := Order{ID: workflow.Info(ctx).Run}
	if a == nil || !a.OK {
		return o, workflow.To(OrderRemind), n.call(ctx, "Decide")
	}
	o.ID += " by " + a.By
	return o, workflow.To(OrderShip), n.call(ctx, "Decide")
}

func (n *orders) Bill(ctx context.Context, p Parcel) (Receipt, error) {
	return Receipt{p.Order, p.Label}, n.call(ctx, "Bill")
}

func (n *orders) Remind(ctx context.Context, o Order) (Receipt, error) {
	return Receipt{o.ID, "reminded"}, n.call(ctx, "Remind")
}

// shipping are ShippingNodes.
type shipping struct{ book }

func (n *shipping) Pack(ctx context.Context, o Order) (Parcel, error) {
	return Parcel{o.ID, "packed"}, n.call(ctx, "Pack")
}

// shop is the workflow with its child.
type shop struct {
	*OrderWorkflow
	orders   orders
	shipping shipping
	child    *ShippingWorkflow
}

func newShop(t *testing.T, rt *resilience.Runtime) *shop {
	t.Helper()
	s := &shop{orders: orders{placed: make(chan struct{})}}
	var err error
	if s.child, err = NewShippingWorkflow(rt, &s.shipping); err == nil {
		s.OrderWorkflow, err = NewOrderWorkflow(rt, &s.orders, s.child)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// work has a worker take runs until the test is over, or stop is called.
func work(t *testing.T, w *workflow.Worker) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Errorf("the worker: %v", err)
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// work has a worker take the runs of the shop.
func (s *shop) work(t *testing.T) {
	work(t, s.Worker(workflow.WorkerOptions{Concurrency: 2}).And(s.child.Worker(workflow.WorkerOptions{})))
}

// TestSignal has a run wait for a person, and a child go on: whether a signal comes
// before a worker does or after, and how often it does.
func TestSignal(t *testing.T) {
	t.Run("early", func(t *testing.T) { signalled(t, true) })
	t.Run("late", func(t *testing.T) { signalled(t, false) })
}

func signalled(t *testing.T, early bool) {
	s := newShop(t, opened(t, t.TempDir()))
	if !early {
		s.work(t)
	}
	h, err := s.Start(t.Context(), Order{ID: "7"}, workflow.Options{ID: "order-7"})
	if err != nil || h.ID() != "order-7" {
		t.Fatalf("%q, %v", h.ID(), err)
	}
	for _, by := range []string{"ann", "bob"} {
		if err := h.SignalApproval(t.Context(), Approval{by, true}, workflow.SignalOptions{ID: "once"}); err != nil {
			t.Fatal(err)
		}
	}
	if early {
		s.work(t)
	}
	ctx := t.Context()
	result, err := h.Result(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Get("order-7").Result(ctx); err != nil || again.Output != result.Output {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	equal(t, "the output", result.Output, Receipt{"order-7 by ann", "packed"})
	equal(t, "the calls", s.orders.called()+", "+s.shipping.called(), "Bill 1, Decide 1, Place 1, Pack 1")
	if status, err := h.Status(ctx); err != nil || status != workflow.Completed {
		t.Errorf("the status is %s, %v", status, err)
	}
}

// TestNobodySignals has the time pass: for the signal, and for a node that is due
// later.
func TestNobodySignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, new(resilience.Runtime))
		begun := time.Now()
		result, err := s.Run(t.Context(), Order{ID: "7"}, workflow.Options{ID: "order-7"})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the output", result.Output, Receipt{"order-7", "reminded"})
		equal(t, "it took", time.Since(begun), 25*time.Hour)
	})
}

// TestCancel ends a run that waits.
func TestCancel(t *testing.T) {
	s := newShop(t, opened(t, t.TempDir()))
	s.work(t)
	h, err := s.Start(t.Context(), Order{ID: "7"}, workflow.Options{})
	if err != nil {
		t.Fatal(err)
	}
	<-s.orders.placed
	if err := h.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	if result, err := h.Result(t.Context()); !errors.Is(err, workflow.ErrCancelled) || result.Status != workflow.Cancelled {
		t.Errorf("%+v, %v", result, err)
	}
}

// TestRecover goes on with every run that stopped.
func TestRecover(t *testing.T) {
	dir := t.TempDir()
	stopped := func(id string, rt *resilience.Runtime, r *research) {
		ctx, stop := context.WithCancel(t.Context())
		r.block = map[string]func(context.Context){"Analyse": func(ctx context.Context) {
			stop()
			<-ctx.Done()
		}}
		if _, err := newResearch(t, rt, r).Run(ctx, Question{Text: id}, workflow.Options{ID: id}); !errors.Is(err, context.Canceled) {
			t.Fatalf("the run %s: %v", id, err)
		}
	}
	rt := opened(t, dir)
	ids := []string{"one", "three", "two"}
	for _, id := range ids {
		stopped(id, rt, new(research))
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	r := new(research)
	w := newResearch(t, opened(t, dir), r)
	var ended []string
	for id, err := range w.Recover(t.Context(), 2) {
		if err != nil {
			t.Errorf("%s: %v", id, err)
		}
		ended = append(ended, id)
	}
	if slices.Sort(ended); !slices.Equal(ended, ids) {
		t.Errorf("recovered %v", ended)
	}
	if calls := r.called(); !strings.HasPrefix(calls, "Review 3") { // Write may not have begun
		t.Errorf("the second process called %s", calls)
	}
}

// TestCheckpoint forks a run from the point before its last step.
func TestCheckpoint(t *testing.T) {
	r := new(research)
	w := newResearch(t, opened(t, t.TempDir()), r)
	if _, err := w.Run(t.Context(), Question{Text: "rain"}, workflow.Options{ID: "first"}); err != nil {
		t.Fatal(err)
	}
	c := w.Checkpoint("first")
	if there, err := c.Exists(t.Context()); err != nil || !there {
		t.Fatalf("Exists = %v, %v", there, err)
	}
	points, err := c.List(t.Context())
	if err != nil || len(points) < 2 {
		t.Fatalf("List = %v, %v", points, err)
	}
	id, err := c.Fork(t.Context(), points[len(points)-2].Version, "second")
	if err != nil {
		t.Fatal(err)
	}
	result, err := w.Resume(t.Context(), id)
	if err != nil || result.ID != "second" || result.Output.Text != "on rain by Write: 2 points" {
		t.Errorf("the fork: %+v, %v", result, err)
	}
	equal(t, "the calls", r.called(), "Analyse 1, Plan 1, Review 2, Write 1")
	if there, err := w.Checkpoint("unknown").Exists(t.Context()); err != nil || there {
		t.Errorf("of an unknown run: %v, %v", there, err)
	}
}
