// Package orders sells goods in a workflow that may take weeks: it reserves,
// charges, packs after a time to think it over, ships, waits until somebody says
// that the parcel has arrived, and undoes all that if it never does.
package orders

import (
	"context"

	"github.com/resilgen/resilgen/runtime/workflow"
)

//go:generate go tool resilgen generate

// Order is what a customer wants.
type Order struct {
	ID       string `json:"id"`
	Customer string `json:"customer"`
	Item     string `json:"item"`
	Cents    int    `json:"cents"`
}

// Reserved is an order whose item waits in the warehouse.
type Reserved struct {
	Order Order  `json:"order"`
	Shelf string `json:"shelf"`
}

// Charged is an order that is paid for.
type Charged struct {
	Order   Order  `json:"order"`
	Payment string `json:"payment"`
}

// Accepted is an order that will be sent.
type Accepted struct {
	Order Order `json:"order"`
}

// Bill is what goes with the parcel.
type Bill struct {
	Number string `json:"number"`
	Cents  int    `json:"cents"`
}

// Parcel is what was packed.
type Parcel struct {
	Order  Order `json:"order"`
	Weight int   `json:"weight"`
}

// Shipment is on its way.
type Shipment struct {
	Tracking string `json:"tracking"`
}

// Delivery is what the carrier says from outside.
type Delivery struct {
	SignedBy string `json:"signedBy"`
}

// Undo is what has to be taken back.
type Undo struct {
	Order string `json:"order"`
	Why   string `json:"why"`
}

// Receipt is how an order ended.
type Receipt struct {
	Order string `json:"order"`
	State string `json:"state"`
}

// OrderSteps are the steps of the workflow Order.
type OrderSteps interface {
	Reserve(ctx context.Context, o Order) (Reserved, error)
	// Charge charges the customer, or has what was reserved released.
	Charge(ctx context.Context, r Reserved) (Charged, workflow.Route, error)
	Accept(ctx context.Context, c Charged) (Accepted, error)
	Invoice(ctx context.Context, a Accepted) (Bill, error)
	// Pack comes after the time in which a customer may think it over.
	Pack(ctx context.Context, a Accepted) (Parcel, error)
	Ship(ctx context.Context, b Bill, p Parcel) (Shipment, error)
	// Finish gets nil if nobody said in time that the parcel has arrived.
	Finish(ctx context.Context, d *Delivery) (Receipt, workflow.Route, error)
	Refund(ctx context.Context, u Undo) (Undo, error)
	Release(ctx context.Context, u Undo) (Receipt, error)
}
