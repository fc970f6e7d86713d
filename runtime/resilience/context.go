package resilience

import (
	"context"
	"sync/atomic"
	"time"
)

// lazyContext is the context of an attempt under a timeout. Most delegates
// that answer from memory never look at it, so it starts no timer and tells
// its parent nothing until somebody calls Done; then it becomes a standard
// context, and children of it need no goroutine.
type lazyContext struct {
	parent   context.Context
	due      time.Duration // since epoch
	cause    *cause        // which policy's limit it is
	state    atomic.Pointer[standardContext]
	outlives bool // the method: then the caller's end, not ours, ends it
}

// standardContext is what a lazyContext became. ctx is nil for the two that
// needed no context: ended and freed.
type standardContext struct {
	ctx    context.Context
	cancel func()
	timer  *time.Timer // of one that outlives the method
}

var ended, freed = new(standardContext), new(standardContext)

// Deadline returns the limit. One that holds only until the method returns is
// not told: a delegate would put it on what lives longer.
func (c *lazyContext) Deadline() (time.Time, bool) {
	if c.outlives {
		return c.parent.Deadline()
	}
	if s := c.state.Load(); s != nil && s.ctx != nil {
		return s.ctx.Deadline()
	}
	now := time.Now() // and not the epoch's wall clock, which may have been set since
	return now.Add(c.due - now.Sub(epoch)), true
}

// Done makes the context a standard one.
func (c *lazyContext) Done() <-chan struct{} { return c.standard().Done() }

// Err tells by the clock, also when nobody called Done.
func (c *lazyContext) Err() error {
	s := c.state.Load()
	if s != nil && s.ctx != nil {
		if err := s.ctx.Err(); err != nil {
			if c.outlives && context.Cause(s.ctx) == error(c.cause) {
				return context.DeadlineExceeded
			}
			return err
		}
	}
	switch {
	case c.parent.Err() != nil:
		return c.parent.Err()
	case s == freed || s != nil && c.outlives:
		return nil
	case sinceEpoch() >= c.due:
		return context.DeadlineExceeded
	case s == ended:
		return context.Canceled
	}
	return nil
}

// Value returns the parent's value. context.Cause asks here, too, under a key
// that is a *int: once the context is over, only a standard one can answer.
func (c *lazyContext) Value(key any) any {
	if _, ok := key.(*int); ok && (c.state.Load() != nil || sinceEpoch() >= c.due) {
		return c.standard().Value(key)
	}
	return c.parent.Value(key)
}

// standard returns the context as package context makes it.
func (c *lazyContext) standard() context.Context {
	for {
		s := c.state.Load()
		switch {
		case s == freed:
			return c.parent
		case s != nil && s.ctx != nil:
			return s.ctx
		}
		made := c.realize()
		if s == ended {
			made.cancel()
		}
		if c.state.CompareAndSwap(s, made) {
			return made.ctx
		}
		made.stop()
	}
}

func (c *lazyContext) realize() *standardContext {
	if !c.outlives {
		deadline, _ := c.Deadline()
		ctx, cancel := context.WithDeadlineCause(c.parent, deadline, c.cause)
		return &standardContext{ctx: ctx, cancel: cancel}
	}
	ctx, cancel := context.WithCancelCause(c.parent)
	return &standardContext{
		ctx: ctx, cancel: func() { cancel(nil) },
		timer: time.AfterFunc(c.due-sinceEpoch(), func() { cancel(c.cause) }),
	}
}

func (s *standardContext) stop() {
	if s.timer != nil {
		s.timer.Stop()
	}
	s.cancel()
}

// end cancels the context: the attempt is over.
func (c *lazyContext) end() {
	if !c.state.CompareAndSwap(nil, ended) {
		if s := c.state.Load(); s.ctx != nil {
			s.stop()
		}
	}
}

// free lifts the limit: the method has returned, and what it returned lives on
// under the context.
func (c *lazyContext) free() {
	if !c.state.CompareAndSwap(nil, freed) {
		if s := c.state.Load(); s.timer != nil {
			s.timer.Stop()
		}
	}
}
