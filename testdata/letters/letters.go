// Package letters has one method for each way in which a generated wrapper keeps
// calls that finally failed. Its tests call them, read what was kept, and make the
// calls again.
package letters

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

//go:generate go run ../../cmd/resilgen generate

// Gateway is what is wrapped.
type Gateway interface {
	Charge(ctx context.Context, req ChargeRequest, tags ...string) (Receipt, error)
	Quote(ctx context.Context, id string) (int, error)
	Cancel(ctx context.Context, id string) (bool, error)
	Hedged(ctx context.Context, id string) (int, string, error)
	Left(ctx context.Context, id string) error
	Plain(id string, amount int64) error
	Stop(ctx context.Context, id string) error
	Draw(ctx context.Context, shape Shape, size int) error
	Upload(ctx context.Context, name string, body io.Reader) error
	Keyed(ctx context.Context, id string) error
	Paid(ctx context.Context, id string, amount int) (Receipt, error)
}

// ChargeRequest is a payment.
type ChargeRequest struct {
	ID       string `json:"id"`
	Customer string `json:"customer"`
	Amount   int64  `json:"amount"`
	Email    string `json:"email" resilience:"pii"`
	Card     Card   `json:"card"`
	Note     string `json:"note"`
}

// Card pays.
type Card struct {
	Number string `json:"number"`
	CVV    string `json:"cvv"`
}

// Receipt is what a payment returns.
type Receipt struct{ ID string }

// Shape is what JSON alone does not bring back.
type Shape interface{ Area() float64 }

// Circle is a Shape.
type Circle struct{ Radius float64 }

// Area returns about the area.
func (c Circle) Area() float64 { return 3 * c.Radius * c.Radius }

// shapes writes and reads a Shape.
var shapes shapeCodec

type shapeCodec struct{}

func (shapeCodec) Encode(s Shape) ([]byte, error) {
	c, ok := s.(Circle)
	if !ok {
		return nil, fmt.Errorf("no codec for a %T", s)
	}
	return json.Marshal(map[string]float64{"circle": c.Radius})
}

func (shapeCodec) Decode(data []byte) (Shape, error) {
	var m map[string]float64
	err := json.Unmarshal(data, &m)
	return Circle{m["circle"]}, err
}

// lastQuote answers for what can be answered for.
func lastQuote(_ context.Context, id string, cause error) (int, error) {
	if id == "unknown" {
		return 0, fmt.Errorf("no last quote: %w", cause)
	}
	return 42, nil
}

func cancelled(context.Context, string) (bool, error) { return true, nil }
