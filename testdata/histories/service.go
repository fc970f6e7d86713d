// Package histories plays random histories of calls against generated wrappers
// and against a model of what their policies mean, and compares what comes out.
// README.md tells how.
package histories

import (
	"context"
	"errors"
)

//go:generate go run ../../cmd/resilgen generate -lint=warn .

// Service is what every policy guards.
type Service interface {
	// Do tells the script what to do: calls with one key may share an answer.
	Do(ctx context.Context, key string, cost int) (int, error)
}

// ErrA and ErrB are what delegates fail with, for lists of matchers.
var (
	ErrA = errors.New("A")
	ErrB = errors.New("B")
)

func isBad(n int) bool  { return n < 0 }
func isPoor(n int) bool { return n < -1000 }

// answering is the key of what a fallback answers by, in the context of a call.
type answering struct{}

// answer is every fallback.
func answer(ctx context.Context, _ string, _ int, cause error) (int, error) {
	return ctx.Value(answering{}).(func(context.Context, error) (int, error))(ctx, cause)
}
