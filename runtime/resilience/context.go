package resilience

import (
	"context"
	"sync"
	"time"
)

// lazyContext is the context of an attempt under a timeout. Most delegates
// that answer from memory never look at it, so it starts no timer and tells
// its parent nothing until somebody calls Done; then it becomes a standard
// context, and children of it need no goroutine.
type lazyContext struct {
	parent   context.Context
	deadline time.Time
	cause    error // which policy's limit it is

	mu     sync.Mutex
	real   context.Context
	cancel context.CancelFunc
	ended  bool
}

// Deadline returns the limit.
func (c *lazyContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done makes the context a standard one.
func (c *lazyContext) Done() <-chan struct{} { return c.standard().Done() }

// Err tells by the clock, also when nobody called Done.
func (c *lazyContext) Err() error {
	c.mu.Lock()
	real, ended := c.real, c.ended
	c.mu.Unlock()
	if real != nil {
		if err := real.Err(); err != nil {
			return err
		}
	}
	switch {
	case c.parent.Err() != nil:
		return c.parent.Err()
	case !time.Now().Before(c.deadline):
		return context.DeadlineExceeded
	case ended:
		return context.Canceled
	}
	return nil
}

// Value returns the parent's value. context.Cause asks here, too: once the
// context is over, only a standard one can answer.
func (c *lazyContext) Value(key any) any {
	c.mu.Lock()
	over := c.real != nil || c.ended
	c.mu.Unlock()
	if over || !time.Now().Before(c.deadline) {
		return c.standard().Value(key)
	}
	return c.parent.Value(key)
}

// standard returns the context as package context makes it.
func (c *lazyContext) standard() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real == nil {
		c.real, c.cancel = context.WithDeadlineCause(c.parent, c.deadline, c.cause)
		if c.ended {
			c.cancel()
		}
	}
	return c.real
}

// end cancels the context: the attempt is over.
func (c *lazyContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
}
