// Package soak is an interface with a method for each thing that a policy can
// do. Its tests call the generated wrapper from many goroutines while everything
// changes, and hold what the runtime says of it against counts of their own.
package soak

import (
	"context"
	"errors"
	"sync/atomic"
)

//go:generate go tool resilgen generate .

// Peer is what is called. The policy of each method is in resilience.yaml.
type Peer interface {
	Retry(ctx context.Context, req Request) (Answer, error)
	Budget(ctx context.Context, req Request) (Answer, error)
	Slow(ctx context.Context, req Request) (Answer, error)
	Total(ctx context.Context, req Request) (Answer, error)
	Abandon(ctx context.Context, req Request) (*Conn, error)
	Judge(ctx context.Context, req Request) (*Conn, error)
	Open(ctx context.Context, req Request) (*Conn, error)
	Hedge(ctx context.Context, req Request) (*Conn, error)
	HedgeAll(ctx context.Context, req Request) (*Conn, error)
	HedgeAbandon(ctx context.Context, req Request) (*Conn, error)
	PerKey(ctx context.Context, req Request) (Answer, error)
	HedgeKey(ctx context.Context, req Request) (Answer, error)
	AbandonKey(ctx context.Context, req Request) (Answer, error)
	Token(ctx context.Context, req Request) (Answer, error)
	Smooth(ctx context.Context, req Request) (Answer, error)
	Fixed(ctx context.Context, req Request) (Answer, error)
	Rolling(ctx context.Context, req Request) (Answer, error)
	Throttle(ctx context.Context, req Request) (Answer, error)
	Gradient(ctx context.Context, req Request) (Answer, error)
	Vegas(ctx context.Context, req Request) (Answer, error)
	Cached(ctx context.Context, req Request) (Answer, error)
	Stale(ctx context.Context, req Request) (Answer, error)
	Idempotent(ctx context.Context, req Request) (Answer, error)
	Chaos(ctx context.Context, req Request) (Answer, error)
	ChaosPanic(ctx context.Context, req Request) (Answer, error)
	Bare(ctx context.Context, req Request) (Answer, error)
}

// Request says what the peer is to do.
type Request struct {
	ID     uint64
	Key    string
	Tokens int
	Token  string // the idempotency key, where the policy assigns one
	call   *call
}

// Answer is what comes back: the ID of the request, or of one with its Key.
type Answer struct {
	ID  uint64
	Key string
}

// Conn is a result that is to be closed, once.
type Conn struct {
	id     uint64
	spoilt bool
	closed atomic.Bool
	of     *account
}

// Close closes the connection.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		c.of.wrong("a connection was closed twice")
	}
	c.of.closed.Add(1)
	return nil
}

// Errors of the peer.
var (
	ErrBusy     = errors.New("busy")
	ErrGone     = errors.New("gone for good")
	ErrInjected = errors.New("injected")
)

func isSpoilt(c *Conn) bool { return c != nil && c.spoilt }
