// Package conformance plays the cases of cases.jsonl against generated
// wrappers: behaviours that the suites of the field's most trusted systems
// assert. The policies are in *.resilience.yaml, one entry a case; README.md
// says how to read a case.
package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

//go:generate go tool resilgen generate . ./grpc

// Service is what most cases wrap.
type Service interface {
	Do(ctx context.Context) (int, error)
}

// Pair is for cases with two methods.
type Pair interface {
	M1(ctx context.Context) (int, error)
	M2(ctx context.Context) (int, error)
}

// Errors of the scripts. E is what a delegate fails with when nothing else is
// said.
var (
	E          = errors.New("E")
	X          = errors.New("X") // in no list
	I          = errors.New("I") // in lists of ignored errors
	Other      = errors.New("Other")
	BadRequest = errors.New("BadRequest")
)

// E0, E1 and E2 are a hierarchy for errors.As: an E2 is an E1 is an E0.
type (
	E0 struct{}
	E1 struct{}
	E2 struct{}
)

func (E0) Error() string { return "E0" }
func (E1) Error() string { return "E1" }
func (E2) Error() string { return "E2" }

func (E1) Unwrap() error { return E0{} }
func (E2) Unwrap() error { return E1{} }

// IOError is a type that no delegate fails with.
type IOError struct{}

func (IOError) Error() string { return "IOError" }

// Parent is a type of errors, Child one that wraps it.
type (
	Parent struct{}
	Child  struct{}
)

func (Parent) Error() string { return "Parent" }
func (Child) Error() string  { return "Child" }
func (Child) Unwrap() error  { return Parent{} }

// After is an error that says when to come back.
type After struct {
	wait time.Duration
	says bool
}

func (a After) Error() string                     { return fmt.Sprintf("come back in %v", a.wait) }
func (a After) RetryAfter() (time.Duration, bool) { return a.wait, a.says }

func isServerFault(err error) bool { return errors.Is(err, X) }
func isBad(n int) bool             { return n < 0 }
func isZero(n int) bool            { return n == 0 }

// Answer is what every fallback answers.
const Answer = 99

type witness struct{}

// answered tells the script in ctx that a fallback ran.
func answered(ctx context.Context, cause error) (int, error) {
	if tell, ok := ctx.Value(witness{}).(func(error)); ok {
		tell(cause)
	}
	return Answer, nil
}

func answer(ctx context.Context) (int, error)                { return answered(ctx, nil) }
func answerTo(ctx context.Context, cause error) (int, error) { return answered(ctx, cause) }

// Opener is for cases whose result is read on, and closed.
type Opener interface {
	Open(ctx context.Context) (*Stream, error)
}

// Stream is what an Opener opens. It reads under the context that it was opened
// with.
type Stream struct {
	Ctx    context.Context
	Broken bool
	closed atomic.Int32
}

// Read fails once the context is over.
func (s *Stream) Read([]byte) (int, error) { return 0, s.Ctx.Err() }

// Close counts how often it is called.
func (s *Stream) Close() error { s.closed.Add(1); return nil }

func isBroken(s *Stream) bool { return s.Broken }
