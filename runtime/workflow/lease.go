package workflow

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// leased is a lease that this process has. Where the stores have no leases nothing
// is held, and nothing lost.
type leased struct {
	leases resilience.Leases
	lease  resilience.Lease
	ttl    time.Duration
}

// hold takes a lease, or returns a [*resilience.HeldError].
func hold(ctx context.Context, leases resilience.Leases, name, owner string, ttl time.Duration) (*leased, error) {
	l := &leased{leases: leases, ttl: ttl}
	if leases == nil {
		return l, nil
	}
	var err error
	l.lease, err = leases.Acquire(ctx, name, owner, ttl)
	return l, err
}

// heldFor is how long to wait before a lease is asked for again, after err.
func heldFor(err error, ttl time.Duration) time.Duration {
	var other *resilience.HeldError
	if errors.As(err, &other) {
		return min(max(other.For, time.Millisecond), ttl)
	}
	return ttl / 3
}

func (l *leased) renew(ctx context.Context) error {
	if l.leases == nil {
		return nil
	}
	return l.leases.Renew(ctx, l.lease, l.ttl)
}

// release gives the lease back, also where the caller's context has ended: it would
// keep others waiting for its whole length.
func (l *leased) release() {
	if l == nil || l.leases == nil {
		return
	}
	for range 2 { // a process that stood still finds its time over before it has asked
		if err := l.releaseWithin(settleTime); !errors.Is(err, context.DeadlineExceeded) {
			return // it is given back, lost, or ends by itself
		}
	}
}

func (l *leased) releaseWithin(d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return l.leases.Release(ctx, l.lease)
}

// Leases of runs.
const (
	defaultLease = 30 * time.Second
	leastLease   = 2 * time.Second
)

// settleTime is for how long a store is asked to take note that something is over.
const settleTime = 5 * time.Second

// runLease is the lease of whoever executes a run.
func runLease(workflow, id string) string { return resilience.StoreKey("run", workflow, id) }

// holdRun takes the lease of a run, or returns an error that matches [ErrRunBusy].
func holdRun(ctx context.Context, leases resilience.Leases, workflow, id, owner string, ttl time.Duration) (*leased, error) {
	h, err := hold(ctx, leases, runLease(workflow, id), owner, ttl)
	if errors.Is(err, resilience.ErrHeld) {
		return nil, fmt.Errorf("%w: %w", ErrRunBusy, err)
	}
	return h, err
}

// pulse keeps alive what the execution of a run stands on: the claim of its entry,
// its lease and that of its key.
type pulse struct {
	lease  time.Duration
	beats  []func(context.Context) error
	alive  atomic.Int64 // when all of them last succeeded, as nanoseconds since begun
	begun  time.Time
	first  *time.Timer // of the first beat; there is no goroutine before: most runs are shorter
	ended  chan struct{}
	cancel context.CancelFunc
}

// beat has beats called every third of a lease from now on. lost is called once, with
// an error that matches ErrFenced, when one of them says that somebody else has what
// was held.
func beat(lease time.Duration, lost func(error), beats ...func(context.Context) error) *pulse {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pulse{lease: lease, beats: beats, begun: time.Now(), ended: make(chan struct{}), cancel: cancel}
	p.first = time.AfterFunc(lease/3, func() { p.run(ctx, lost) })
	return p
}

func (p *pulse) run(ctx context.Context, lost func(error)) {
	defer close(p.ended)
	for ; ctx.Err() == nil; sleep(ctx, p.lease/3) {
		asked := time.Since(p.begun) // a lease counts from when it was asked for
		err := p.all(ctx)
		switch {
		case err == nil:
			p.alive.Store(int64(asked))
		case errors.Is(err, resilience.ErrFenced) && ctx.Err() == nil:
			lost(err)
			return
		}
	}
}

// all calls each of the beats, and returns the error that counts most.
func (p *pulse) all(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, p.lease/3)
	defer cancel()
	for _, b := range p.beats {
		if e := b(ctx); e != nil && !errors.Is(err, resilience.ErrFenced) {
			err = e
		}
	}
	return err
}

// late reports whether so much of the lease has passed without a beat that no step
// is to be started any more.
func (p *pulse) late() bool {
	return time.Since(p.begun)-time.Duration(p.alive.Load()) > p.lease*2/3
}

// stop ends the beats and waits for the one that is out.
func (p *pulse) stop() {
	p.cancel()
	if !p.first.Stop() {
		<-p.ended
	}
}
