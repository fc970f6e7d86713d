package orders

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// Shop are the steps of an order, against a warehouse and a bank that remember
// what was asked of them under which idempotency key. It is safe for concurrent
// use.
type Shop struct {
	// Broke are the customers whose cards are declined.
	Broke []string

	mu   sync.Mutex
	done map[string]string // by idempotency key
	log  []string
}

var _ OrderSteps = (*Shop)(nil)

// Log is what was done, each thing once.
func (s *Shop) Log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// do does what once: asked again under the same key it only answers again.
func (s *Shop) do(ctx context.Context, what string) string {
	key, _ := resilience.IdempotencyKey(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if number, again := s.done[key]; again {
		return number
	}
	s.log = append(s.log, what)
	number := fmt.Sprintf("%04d", len(s.log))
	if s.done == nil {
		s.done = map[string]string{}
	}
	s.done[key] = number
	return number
}

// Reserve implements [OrderSteps].
func (s *Shop) Reserve(ctx context.Context, o Order) (Reserved, error) {
	return Reserved{Order: o, Shelf: s.do(ctx, "reserve "+o.Item)}, nil
}

// Charge implements [OrderSteps].
func (s *Shop) Charge(ctx context.Context, r Reserved) (Charged, workflow.Route, error) {
	if slices.Contains(s.Broke, r.Order.Customer) {
		return Charged{}, workflow.Send(OrderRelease, Undo{Order: r.Order.ID, Why: "declined"}), nil
	}
	payment := s.do(ctx, fmt.Sprintf("charge %s %d", r.Order.Customer, r.Order.Cents))
	return Charged{Order: r.Order, Payment: payment}, workflow.To(OrderAccept), nil
}

// Accept implements [OrderSteps].
func (s *Shop) Accept(_ context.Context, c Charged) (Accepted, error) {
	return Accepted{Order: c.Order}, nil
}

// Invoice implements [OrderSteps].
func (s *Shop) Invoice(ctx context.Context, a Accepted) (Bill, error) {
	return Bill{Number: s.do(ctx, "invoice "+a.Order.Customer), Cents: a.Order.Cents}, nil
}

// Pack implements [OrderSteps].
func (s *Shop) Pack(ctx context.Context, a Accepted) (Parcel, error) {
	s.do(ctx, "pack "+a.Order.Item)
	return Parcel{Order: a.Order, Weight: len(a.Order.Item)}, nil
}

// Ship implements [OrderSteps].
func (s *Shop) Ship(ctx context.Context, _ Bill, p Parcel) (Shipment, error) {
	return Shipment{Tracking: s.do(ctx, "ship to "+p.Order.Customer)}, nil
}

// Finish implements [OrderSteps]. The run of an order has the order's ID.
func (s *Shop) Finish(ctx context.Context, d *Delivery) (Receipt, workflow.Route, error) {
	order := workflow.Info(ctx).Run
	if d == nil {
		return Receipt{}, workflow.Send(OrderRefund, Undo{Order: order, Why: "lost"}), nil
	}
	return Receipt{Order: order, State: "delivered, signed by " + d.SignedBy}, workflow.End, nil
}

// Refund implements [OrderSteps].
func (s *Shop) Refund(ctx context.Context, u Undo) (Undo, error) {
	s.do(ctx, "refund "+u.Order)
	return u, nil
}

// Release implements [OrderSteps].
func (s *Shop) Release(ctx context.Context, u Undo) (Receipt, error) {
	s.do(ctx, "release "+u.Order)
	return Receipt{Order: u.Order, State: u.Why}, nil
}
