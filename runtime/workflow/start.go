package workflow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Start puts a run into the queue of the workflow, from which any [Worker] takes it,
// in this process or another one that has the store. It is durable once Start
// returns. Of a run that is known by o.ID it returns the handle if it has ended or
// somebody runs it; else the run goes on, if that is wanted.
//
// Without an error, what the run comes to is the handle's to tell. [ErrRunInput]: the
// run has another input, as far as it has been begun. [resilience.ErrNoStore]: there
// is nowhere to put it.
func (e *Engine[In, Out]) Start(ctx context.Context, in In, o Options) (Handle[Out], error) {
	id, err := e.e.start(ctx, Of(in), o)
	if err != nil {
		return Handle[Out]{}, &RunError{ID: id, Workflow: e.e.g.Name, Err: err}
	}
	return Handle[Out]{e: e.e, id: id, put: true}, nil
}

// Get returns the handle of a run, whether it is there or not.
func (e *Engine[In, Out]) Get(id string) Handle[Out] { return Handle[Out]{e: e.e, id: id} }

// Worker returns a worker that takes runs of e.
func (e *Engine[In, Out]) Worker(o WorkerOptions) *Worker { return newWorker(e.e, o) }

// start is Start without types. It returns the id of the run, also with an error.
func (e *engine) start(ctx context.Context, in Value, o Options) (id string, err error) {
	if id = o.ID; id == "" {
		id = strings.ToLower(rand.Text())
	}
	if err := checkID(id); err != nil {
		return id, err
	}
	if o.NoCheckpoint {
		return id, errors.New("what is started is durable: NoCheckpoint is for Run")
	}
	stores, err := e.durable()
	if err != nil {
		return id, err
	}
	put, err := e.g.entryOf(id, in)
	if err != nil {
		return id, err
	}
	put.Priority, put.NoHealth = o.Priority, o.NoHealth
	if o.ID != "" {
		r := e.newRun(o)
		r.id, r.log = id, newRunLog(stores.Log, e.g.runKey(id))
		switch err := r.load(ctx); {
		case err == nil:
			return id, r.startAgain(ctx, stores, put.Input)
		case !errors.Is(err, ErrRunUnknown):
			return id, err
		}
	}
	return id, e.g.put(ctx, stores.Queue, put, 0)
}

// durable returns the stores of e, if what is durable of it is kept.
func (e *engine) durable() (resilience.Stores, error) {
	if !e.rt.Durable(e.name) {
		return resilience.Stores{}, ErrDisabled
	}
	stores, err := e.rt.Stores()
	if err == nil && stores.Queue == nil {
		err = fmt.Errorf("the stores have no queue: %w", resilience.ErrNoStore)
	}
	return stores, err
}

// startAgain has a run go on that is in the log.
func (r *run) startAgain(ctx context.Context, stores resilience.Stores, in Value) error {
	switch {
	case !r.sameInput(in):
		return ErrRunInput
	case r.s.Status.Ended():
		return nil
	case !r.e.resumes(r.o):
		if r.e.isBusy(ctx, stores, r.id) {
			return nil
		}
		return ErrRunExists
	}
	return r.e.g.nudge(ctx, stores.Queue, r.s)
}

// resumes reports whether a known run that has not ended is to go on.
func (e *engine) resumes(o Options) bool {
	if o.Resume != ResumeDefault {
		return o.Resume == ResumeYes
	}
	return !e.g.Checkpoint.NoResume
}

// isBusy reports whether somebody has the lease of a run.
func (e *engine) isBusy(ctx context.Context, stores resilience.Stores, id string) bool {
	l, err := holdRun(ctx, stores.Leases, e.g.storeName(), id, e.owner, leastLease)
	if err != nil {
		return errors.Is(err, ErrRunBusy)
	}
	l.release()
	return false
}
