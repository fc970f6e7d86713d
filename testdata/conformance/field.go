package conformance

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Trap is the error that the funcs of a policy panic for.
var Trap = errors.New("Trap")

func trapped(err error) bool {
	if errors.Is(err, Trap) {
		panic(err)
	}
	return true
}

func trappedResult(n int) bool {
	if n == -3 {
		panic(Trap)
	}
	return n < 0
}

// asked counts how often askedFor was called.
var asked atomic.Int64

func askedFor(err error) (time.Duration, bool) {
	asked.Add(1)
	trapped(err)
	return 0, false
}

// Hosts is for cases with a key.
type Hosts interface {
	Get(ctx context.Context, host string) (int, error)
}

// Tokens is for cases with a cost.
type Tokens interface {
	Take(ctx context.Context, n int) error
}
