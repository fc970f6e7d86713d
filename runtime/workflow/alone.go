package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// alone calls drive while this process has the lease of the run, and one of its key,
// for which it waits. Somebody who takes them away ends the context of drive. Of a run
// that has ended nobody need have the lease.
func (r *run) alone(ctx context.Context, key string, drive func(context.Context) error) error {
	stores, err := r.e.rt.Stores()
	if err != nil {
		return err
	}
	err = r.e.alone(ctx, stores.Leases, r.id, r.owner, func(ctx context.Context) error {
		if key == "" || r.e.g.PerKey == nil {
			return drive(ctx)
		}
		turn, err := r.waitKey(ctx, stores.Leases, key)
		if err != nil {
			return err
		}
		defer turn.release()
		return r.e.keep(ctx, r.id, turn, drive)
	})
	if errors.Is(err, errHeldElsewhere) && r.load(ctx) == nil && r.s.Status.Ended() {
		return drive(ctx)
	}
	return err
}

// errHeldElsewhere is an [ErrRunBusy] because of a lease: nothing was tried.
var errHeldElsewhere = fmt.Errorf("%w: by its lease", ErrRunBusy)

// alone calls drive while this process has the lease of a run.
func (e *engine) alone(ctx context.Context, leases resilience.Leases, id, owner string, drive func(context.Context) error) error {
	mine, err := holdRun(ctx, leases, e.g.storeName(), id, owner, defaultLease)
	if errors.Is(err, ErrRunBusy) {
		return fmt.Errorf("%w: %w", errHeldElsewhere, err)
	}
	if err != nil {
		return err
	}
	defer mine.release()
	return e.keep(ctx, id, mine, drive)
}

// keep calls drive while it keeps a lease alive, and ends the context of drive when the
// lease is lost.
func (e *engine) keep(ctx context.Context, id string, l *leased, drive func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := beat(l.ttl, func(err error) { cancel(fmt.Errorf("run %s: %w", id, err)) }, l.renew)
	defer p.stop()
	return drive(ctx)
}

// waitKey takes a lease of a key as soon as one is free.
func (r *run) waitKey(ctx context.Context, leases resilience.Leases, key string) (*leased, error) {
	for n := 1; ; n++ {
		l, err := holdKey(ctx, leases, r.e.g.storeName(), key, r.e.g.PerKeyMax, r.owner+r.token, defaultLease)
		var other *resilience.HeldError
		if !errors.As(err, &other) {
			return l, err
		}
		sleep(ctx, min(keyLook(n, 0), max(other.For, time.Millisecond)))
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}
