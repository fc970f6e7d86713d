// Package payments is a service whose payment gateway fails in every way that
// gateways do. The wrapper in resilience_gen.go is generated from
// resilience.yaml; make demo runs the same load without it and with it.
package payments

import (
	"context"
	"errors"
)

//go:generate go run github.com/resilgen/resilgen/cmd/resilgen generate .

// Gateway takes money.
type Gateway interface {
	// Charge takes the amount once for each ID, however often it is asked.
	Charge(ctx context.Context, req ChargeRequest) (Receipt, error)
	// Refund gives the money back.
	Refund(ctx context.Context, receipt Receipt) error
}

// ChargeRequest asks for money. ID makes it idempotent.
type ChargeRequest struct {
	ID    string `json:"id"`
	Cents int64  `json:"cents"`
}

// Receipt is the gateway's answer.
type Receipt struct {
	ID       string `json:"id"`
	Deferred bool   `json:"deferred,omitempty"` // promised by us, not taken yet
}

// ErrDeclined is the card's fault, not the gateway's.
var ErrDeclined = errors.New("card declined")

// Deferred answers with a promise: the charge is to be made later.
type Deferred struct{}

// ChargeFallback keeps the sale and leaves the money for later.
func (Deferred) ChargeFallback(_ context.Context, req ChargeRequest, _ error) (Receipt, error) {
	return Receipt{ID: req.ID, Deferred: true}, nil
}
