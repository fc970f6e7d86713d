package resilience

import (
	"context"
	"sync/atomic"
	"time"
)

// AttemptInfo is what a delegate may know about the attempt that it is.
type AttemptInfo struct {
	Number int  // of the attempt, from 1
	Hedge  bool // it was started before another one had ended
	// Before is the error of the attempt before, or why it was rejected; nil for
	// the first one and where there was a result that was not wanted.
	Before error
	// Left is the time until the attempt's context ends, and negative once that
	// has passed. It means nothing unless Limited.
	Left    time.Duration
	Limited bool
}

// Attempt returns what ctx, the context that a delegate was given or one made
// from it, tells about the attempt. A context that knows of none is that of a
// first attempt.
//
// First attempts without a timeout are given their caller's context as it is,
// so that they cost nothing. Where guards are nested, such a one answers with
// the attempt of the guard around it.
//
// Where attempts follow each other without a delay and without a timeout, they
// carry no context of their own until somebody in the process has asked once: a
// delegate that asks for the first time in a later attempt is told that it is a
// first one.
func Attempt(ctx context.Context) AttemptInfo {
	if !asked.Load() {
		asked.Store(true)
	}
	info := AttemptInfo{Number: 1}
	if deadline, ok := ctx.Deadline(); ok {
		info.Left, info.Limited = time.Until(deadline), true
	}
	info.read(ctx)
	return info
}

func (info *AttemptInfo) read(ctx context.Context) {
	switch c := ctx.Value(attemptKey{}).(type) {
	case *attemptContext:
		info.Number, info.Hedge, info.Before = int(c.number), c.hedge, c.before
	case *lazyContext:
		if left := c.due - sinceEpoch(); c.due != never && (!info.Limited || left < info.Left) {
			info.Left, info.Limited = left, true
		}
		if c.later {
			info.read(c.parent)
		}
	}
}

// asked says that somebody wants to know about attempts. Retries that hurry
// would pay more for telling than for all the rest.
var asked atomic.Bool

type attemptKey struct{}

// attemptContext is the context of a later attempt.
type attemptContext struct {
	context.Context // the caller's
	number          int32
	hedge           bool
	before          error
}

// Value answers Attempt.
func (c *attemptContext) Value(key any) any {
	if _, ok := key.(attemptKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// attempt is the context of a later attempt that runs: what the one before came
// to is still known.
func (c *Call) attempt() context.Context {
	if c.plan.hurries && !asked.Load() {
		return c.caller
	}
	before := c.last
	if c.reason != nil {
		before = c.reason
	}
	return &attemptContext{c.caller, c.attempts, false, before}
}
