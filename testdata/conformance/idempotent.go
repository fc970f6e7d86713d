package conformance

import "context"

// Token is a string type of its own.
type Token string

// Order is an argument that holds the idempotency key, too.
type Order struct {
	ID    string
	Token Token
}

// Orders has methods whose calls carry a key, or may be executed twice under a
// condition.
type Orders interface {
	Place(ctx context.Context, order Order) error
	Send(ctx context.Context, order *Order) error
	Change(ctx context.Context, id string, version int) error
	Move(ctx context.Context, id string, version int) error
}
