package workflow

import (
	"context"
	"sync"
	"time"
)

// limitContext is a context with the values of another one that ends after a limit
// and by nothing else. It is used again for one record after the other, which is why
// it is none of package context.
type limitContext struct {
	context.Context // without its end

	done  chan struct{}
	timer *time.Timer

	mu  sync.Mutex
	err error
}

// limited returns a context for one append, and what gives it back. One goroutine
// uses it at a time.
func (l *runLog) limited(ctx context.Context) (context.Context, func()) {
	c := l.limit
	if c == nil || c.Err() != nil {
		c = &limitContext{Context: context.WithoutCancel(ctx), done: make(chan struct{})}
		c.timer = time.AfterFunc(storeLimit, c.expire)
		l.limit = c
	} else {
		c.timer.Reset(storeLimit)
	}
	return c, func() { c.timer.Stop() }
}

func (c *limitContext) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = context.DeadlineExceeded
		close(c.done)
	}
}

// Done is closed when the limit has passed.
func (c *limitContext) Done() <-chan struct{} { return c.done }

// Err returns [context.DeadlineExceeded] then.
func (c *limitContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
