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
	held     bool // by a result: its end ends it, also once it is freed
	later    bool // parent tells of the attempt
	lost     atomic.Bool
}

// standardContext is what a lazyContext became. ctx is nil for those that
// needed no context: ended, expired and freed.
type standardContext struct {
	ctx    context.Context
	cancel func()
	timer  *time.Timer // of one that outlives the method
}

var (
	ended   = new(standardContext) // the attempt was over before its limit
	expired = new(standardContext) // somebody was told that the limit has passed
	freed   = new(standardContext) // the method returned what lives on
)

// Deadline returns the limit. One that holds only until the method returns is
// not told: a delegate would put it on what lives longer.
func (c *lazyContext) Deadline() (time.Time, bool) {
	if c.outlives || c.due == never {
		return c.parent.Deadline()
	}
	now := time.Now() // and not the epoch's wall clock, which may have been set since
	return now.Add(c.due - now.Sub(epoch)), true
}

// Done makes the context a standard one.
func (c *lazyContext) Done() <-chan struct{} { return c.standard().Done() }

// Err tells by the clock, also when nobody called Done. What it told once it
// tells for ever.
func (c *lazyContext) Err() error {
	for {
		switch s := c.state.Load(); {
		case s == ended:
			return context.Canceled
		case s == expired:
			return context.DeadlineExceeded
		case s == freed:
			return c.parent.Err()
		case s != nil:
			err := s.ctx.Err()
			if err != nil && c.outlives && context.Cause(s.ctx) == error(c.cause) {
				return context.DeadlineExceeded
			}
			return err
		case c.parent.Err() != nil:
			return c.parent.Err()
		case sinceEpoch() < c.due:
			return nil
		}
		c.state.CompareAndSwap(nil, expired)
	}
}

// passed reports whether the limit is over, though the timer may not have told.
func (c *lazyContext) passed() bool {
	return c.due != never && (sinceEpoch() >= c.due || c.Err() == context.DeadlineExceeded)
}

// Value returns the parent's value. context.Cause asks here, too, under a key
// that is a *int: once the context is over, only a standard one can answer.
func (c *lazyContext) Value(key any) any {
	switch key.(type) {
	case attemptKey:
		return c
	case *int:
		if c.state.Load() != nil || sinceEpoch() >= c.due {
			return c.standard().Value(key)
		}
	}
	return c.parent.Value(key)
}

// standard returns the context as package context makes it.
func (c *lazyContext) standard() context.Context {
	for {
		s := c.state.Load()
		switch {
		case s == freed && !c.held:
			return c.parent
		case s != nil && s.ctx != nil:
			return s.ctx
		}
		made := c.realize(s)
		if c.state.CompareAndSwap(s, made) {
			return made.ctx
		}
		made.stop()
	}
}

// realize makes the standard context for a state that has none. One that is
// over must not take its end from the parent, which may have come to another.
func (c *lazyContext) realize(s *standardContext) *standardContext {
	switch {
	case s == ended:
		ctx, cancel := context.WithCancel(context.WithoutCancel(c.parent))
		cancel()
		return &standardContext{ctx: ctx, cancel: cancel}
	case s == expired:
		ctx, cancel := context.WithDeadlineCause(context.WithoutCancel(c.parent), time.Now(), c.cause)
		return &standardContext{ctx: ctx, cancel: cancel}
	case c.due == never, s == freed:
		ctx, cancel := context.WithCancel(c.parent)
		return &standardContext{ctx: ctx, cancel: cancel}
	case c.outlives:
		ctx, cancel := context.WithCancelCause(c.parent)
		return &standardContext{
			ctx: ctx, cancel: func() { cancel(nil) },
			timer: time.AfterFunc(c.due-sinceEpoch(), func() { cancel(c.cause) }),
		}
	}
	deadline, _ := c.Deadline()
	ctx, cancel := context.WithDeadlineCause(c.parent, deadline, c.cause)
	return &standardContext{ctx: ctx, cancel: cancel}
}

func (s *standardContext) stop() {
	if s.timer != nil {
		s.timer.Stop()
	}
	s.cancel()
}

// end cancels the context: the attempt is over.
func (c *lazyContext) end() {
	for !c.state.CompareAndSwap(nil, ended) {
		s := c.state.Load()
		if s == freed && c.held && !c.state.CompareAndSwap(s, ended) {
			continue // it has just become a standard one
		}
		if s.ctx != nil {
			s.stop()
		}
		return
	}
}

// conclude ends the context, and that of the hedge around it if it is the limit
// of one.
func (c *lazyContext) conclude() {
	c.end()
	if c.later {
		if hedge, ok := c.parent.(*lazyContext); ok {
			hedge.end()
		}
	}
}

// lose cancels the context of an attempt that another one has beaten.
func (c *lazyContext) lose() {
	c.lost.Store(true)
	c.end()
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
