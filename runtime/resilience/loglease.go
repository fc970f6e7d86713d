package resilience

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// epochKey is the key whose versions leases take their epochs from.
const epochKey = "lease/epoch"

// epochBits is for how many leases one version of epochKey serves, as a power of 2.
const epochBits = 20

// logLeases are [Leases] in the memory of this process. Only their epochs come from
// a [Log], so that they grow from one process to the next.
type logLeases struct {
	log Log

	reserving  sync.Mutex
	mu         sync.Mutex
	closed     bool
	held       map[string]heldLease
	crowded    int    // with so many, those are looked for that have ended
	next, last uint64 // epochs that may be given: next, next+1, …, last-1
}

type heldLease struct {
	Lease
	until time.Time
}

func newLogLeases(log Log) *logLeases {
	return &logLeases{log: log, held: map[string]heldLease{}, crowded: 1024}
}

// Acquire implements [Leases].
func (l *logLeases) Acquire(ctx context.Context, name, owner string, ttl time.Duration) (Lease, error) {
	err := checkTTL(ctx, ttl)
	for err == nil {
		var lease Lease
		if lease, err = l.grant(name, owner, ttl); err != nil || lease.Epoch > 0 {
			return lease, l.wrap("acquire", name, err)
		}
		err = l.reserve(ctx)
	}
	return Lease{}, l.wrap("acquire", name, err)
}

func (l *logLeases) wrap(what, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s lease %s: %w", what, name, err)
}

func checkTTL(ctx context.Context, ttl time.Duration) error {
	if ttl <= 0 {
		return fmt.Errorf("ttl of %v: want more than 0", ttl)
	}
	return ctx.Err()
}

// grant returns a lease without an epoch where none is reserved.
func (l *logLeases) grant(name, owner string, ttl time.Duration) (Lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return Lease{}, ErrClosed
	}
	now := time.Now()
	if h, ok := l.held[name]; ok && h.until.After(now) {
		return Lease{}, &HeldError{Name: name, Owner: h.Owner, For: h.until.Sub(now)}
	}
	if l.next == l.last {
		return Lease{}, nil
	}
	lease := Lease{Name: name, Owner: owner, Epoch: l.next}
	l.next++
	l.forgetEnded(now)
	l.held[name] = heldLease{lease, now.Add(ttl)}
	return lease, nil
}

// forgetEnded keeps the names of leases that ended from filling the memory.
func (l *logLeases) forgetEnded(now time.Time) {
	if len(l.held) < l.crowded {
		return
	}
	for name, h := range l.held {
		if !h.until.After(now) {
			delete(l.held, name)
		}
	}
	l.crowded = max(1024, 2*len(l.held))
}

// reserve gets epochs: no version of a key comes twice, so neither do they.
func (l *logLeases) reserve(ctx context.Context) error {
	l.reserving.Lock()
	defer l.reserving.Unlock()
	if l.has() {
		return nil
	}
	var before Version
	for r, err := range l.log.Scan(ctx, epochKey, 0) {
		if err != nil {
			return err
		}
		before = r.Version
	}
	v, err := l.log.Append(ctx, epochKey, before, nil)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.next, l.last = uint64(v)<<epochBits, uint64(v+1)<<epochBits
	l.mu.Unlock()
	if before == 0 {
		return nil
	}
	return l.log.Drop(ctx, epochKey, before)
}

func (l *logLeases) has() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next < l.last
}

// Renew implements [Leases].
func (l *logLeases) Renew(ctx context.Context, lease Lease, ttl time.Duration) error {
	err := checkTTL(ctx, ttl)
	if err == nil {
		err = l.change(lease, func() { l.held[lease.Name] = heldLease{lease, time.Now().Add(ttl)} })
	}
	return l.wrap("renew", lease.Name, err)
}

// Release implements [Leases].
func (l *logLeases) Release(ctx context.Context, lease Lease) error {
	err := ctx.Err()
	if err == nil {
		err = l.change(lease, func() { delete(l.held, lease.Name) })
	}
	return l.wrap("release", lease.Name, err)
}

// Holder implements [Leases].
func (l *logLeases) Holder(ctx context.Context, name string) (owner string, rest time.Duration, err error) {
	if owned, ok := l.log.(interface{ Exclusive() bool }); ok && !owned.Exclusive() {
		return "", 0, l.wrap("look at", name, ErrReadOnly)
	}
	if err := ctx.Err(); err != nil {
		return "", 0, l.wrap("look at", name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return "", 0, l.wrap("look at", name, ErrClosed)
	}
	if h, ok := l.held[name]; ok {
		rest = time.Until(h.until)
		owner = h.Owner
	}
	if rest <= 0 {
		return "", 0, nil
	}
	return owner, rest, nil
}

// change does what is to be done with a lease that is still what it was.
func (l *logLeases) change(lease Lease, do func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	if l.held[lease.Name].Lease != lease || lease.Epoch == 0 {
		return ErrFenced
	}
	do()
	return nil
}

// Close ends the granting.
func (l *logLeases) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}
