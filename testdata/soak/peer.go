package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// call is what one call through the wrapper, its delegates and its fallback know
// of it.
type call struct {
	caller context.Context
	cancel context.CancelFunc

	executed atomic.Int64
	left     atomic.Bool // the latest delegate cancelled the caller, and failed
	fell     bool        // the fallback was asked
	cause    error       // what it was told

	mu       sync.Mutex
	token    string
	contexts []context.Context // of the attempts
}

// peer is the Peer that goes wrong. It counts what it does in the accounts of
// one instance of the wrapper.
type peer struct {
	*book
	down atomic.Bool // fails whatever it is asked
	calm atomic.Bool // succeeds whatever it is asked
}

// busy is ErrBusy with the wish to be left alone for a while.
type busy struct{}

func (busy) Error() string                     { return "busy" }
func (busy) Is(target error) bool              { return target == ErrBusy }
func (busy) RetryAfter() (time.Duration, bool) { return 300 * time.Microsecond, true }

// do is one execution.
func (p *peer) do(ctx context.Context, m method, req Request) error {
	a, c := &p.accounts[m], req.call
	a.executed.Add(1)
	a.tokens.Add(int64(req.Tokens))
	defer a.running.Add(-1)
	a.enter()
	c.enter(ctx, a, req)
	switch {
	case p.calm.Load():
		return nil
	case p.down.Load():
		return ErrBusy
	case m == mChaosPanic: // its panics are those of the policy
		return p.fate(ctx, c, rand.IntN(900))
	}
	return p.fate(ctx, c, rand.IntN(1000))
}

// fate is one of the things that delegates do.
func (p *peer) fate(ctx context.Context, c *call, n int) error {
	c.left.Store(false)
	switch {
	case n < 600:
		return nil
	case n < 690:
		return sleep(ctx, time.Duration(rand.IntN(1500))*time.Microsecond)
	case n < 705: // ignores its context
		time.Sleep(time.Duration(2000+rand.IntN(4000)) * time.Microsecond)
		return nil
	case n < 720:
		return sleep(ctx, 15*time.Millisecond)
	case n < 730:
		return context.Canceled
	case n < 840:
		return ErrBusy
	case n < 870:
		return busy{}
	case n < 900:
		return fmt.Errorf("peer: %w", ErrGone)
	case n < 920:
		panic("peer")
	case n < 940:
		runtime.Goexit()
	case n < 970:
		c.cancel()
		return nil
	}
	c.left.Store(true)
	c.cancel()
	return ErrBusy
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter notes an execution under ctx.
func (c *call) enter(ctx context.Context, a *account, req Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.executed.Add(1) == 1 {
		a.worked.Add(1)
		c.token = req.Token
	}
	if c.token != req.Token || a.method == mIdempotent && req.Token == "" {
		a.wrong("the token of an attempt is not that of the first")
	}
	c.contexts = append(c.contexts, ctx)
}

// settled reports whether the contexts that attempts had to themselves are over.
func (c *call) settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ctx := range c.contexts {
		if ctx.Done() != c.caller.Done() && ctx.Err() == nil {
			return false
		}
	}
	return true
}

func (p *peer) answer(ctx context.Context, m method, req Request) (Answer, error) {
	if err := p.do(ctx, m, req); err != nil {
		return Answer{}, err
	}
	return Answer{ID: req.ID, Key: req.Key}, nil
}

func (p *peer) open(ctx context.Context, m method, req Request) (*Conn, error) {
	if err := p.do(ctx, m, req); err != nil {
		return nil, err
	}
	a := &p.accounts[m]
	a.opened.Add(1)
	return &Conn{id: req.ID, spoilt: m == mJudge && !p.calm.Load() && rand.IntN(4) == 0, of: a}, nil
}

// fall notes that the fallback was asked. Sometimes it dies, too.
func (p *peer) fall(m method, req Request, cause error) Answer {
	c := req.call
	c.fell, c.cause = true, cause
	p.accounts[m].fallbacks.Add(1)
	switch rand.IntN(100) {
	case 0:
		panic("fallback")
	case 1:
		runtime.Goexit()
	}
	return Answer{ID: req.ID, Key: req.Key}
}
