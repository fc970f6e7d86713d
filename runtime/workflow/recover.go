package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Recover goes on with every run of e that has not ended: those that wait in the plain
// queue, then those that the log has. So many at a time, at least 1. It yields each as
// it is over, with the error that Resume would return: nil for one that has its
// output; one that matches [ErrParked], [ErrWaiting] where it waits for a time, a
// signal or a child, [ErrRunBusy] where somebody runs it. An error without an id is
// that of the store, and the last. It waits for nothing that is not due; for that run
// a [Worker].
//
// When the loop is left or ctx ends, no more are taken, and those that run stop as
// when the context of Run ends.
func (e *Engine[In, Out]) Recover(ctx context.Context, concurrency int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { e.e.recover(ctx, max(concurrency, 1), yield) }
}

// recovered is a run that Recover is done with.
type recovered struct {
	id  string
	err error
}

// recovery is a Recover that runs.
type recovery struct {
	*session
	queue workQueue
	over  chan recovered
	done  map[string]bool // what was begun

	mu   sync.Mutex
	busy []entry // runs whose key is busy: they come again
}

func (e *engine) recover(ctx context.Context, concurrency int, yield func(string, error) bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_, err := e.durable()
	var s *session
	if err == nil {
		s, err = newWorker(e, WorkerOptions{Concurrency: concurrency}).prepare()
	}
	if err != nil {
		yield("", fmt.Errorf("recover %s: %w", e.name, err))
		return
	}
	s.hard, s.stopping, s.recovers = ctx, ctx.Done(), true
	r := &recovery{session: s, queue: s.ranks[0][0], over: make(chan recovered), done: map[string]bool{}}
	go r.run(ctx)
	on := true
	for one := range r.over { // to the end, also when the loop is left: nothing runs on behind it
		if on = on && yield(one.id, one.err); !on {
			cancel()
		}
	}
}

// run goes on with all runs, and closes over.
func (r *recovery) run(ctx context.Context) {
	defer close(r.over)
	var err error
	for again := true; again && err == nil; again = r.again(ctx) {
		err = errors.Join(r.queued(ctx), r.logged(ctx))
		r.wait.Wait()
	}
	if err != nil && ctx.Err() == nil {
		r.over <- recovered{"", fmt.Errorf("recover %s: %w", r.queue.graph.eventName(), err)}
	}
}

// again has runs come again whose key was busy, and reports whether there are any.
func (r *recovery) again(ctx context.Context) bool {
	for i := range r.busy {
		r.hasten(&job{workQueue: r.queue}, &r.busy[i], 0)
		delete(r.done, r.busy[i].ID)
	}
	some := len(r.busy) > 0
	if r.busy = nil; some {
		sleep(ctx, keyLookFirst)
	}
	return some && ctx.Err() == nil
}

// begin does something in a slot of its own, which says what became of a run.
func (r *recovery) begin(ctx context.Context, do func() (entry, rest, error)) {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	r.wait.Go(func() {
		e, stands, err := do()
		<-r.slots
		switch {
		case errors.Is(err, errKeyBusy):
			r.mu.Lock()
			defer r.mu.Unlock()
			r.busy = append(r.busy, e)
			return
		case err == nil:
			err = stands.outcome()
		}
		r.over <- recovered{e.ID, err}
	})
}

// outcome is the error that Resume would return.
func (r *rest) outcome() error {
	switch {
	case r.status.Ended(), r.status == Parked:
		return r.end
	case r.status == Waiting:
		return ErrWaiting
	}
	return context.Canceled // it was to stop
}

// queued goes on with the runs whose entries are due.
func (r *recovery) queued(ctx context.Context) error {
	for ctx.Err() == nil {
		j, err := take(ctx, r.queue, r.lease, 0)
		if j == nil {
			return err
		}
		e, err := decodeEntry(j.claim.Entry())
		if err == nil && r.done[e.ID] { // it came again: what keeps it may take a while
			settle(func(ctx context.Context) error { return j.claim.Nack(ctx, busyAgain) })
			return nil
		}
		r.done[e.ID] = true
		r.begin(ctx, func() (entry, rest, error) { return r.serve(j) })
	}
	return nil
}

// logged goes on with the runs that the log has and the queue had not.
func (r *recovery) logged(ctx context.Context) error {
	for head, err := range resilience.Large(r.queue.stores.Log).Heads(ctx, "run/", "") {
		if err != nil {
			return err
		}
		e, err := r.unfinished(ctx, head)
		if err != nil {
			return err
		}
		if e.ID != "" && !r.done[e.ID] {
			r.done[e.ID] = true
			r.begin(ctx, func() (entry, rest, error) {
				stands, err := r.execute(r.queue, &e, false)
				return e, stands, err
			})
		}
	}
	return nil
}

// unfinished returns the entry that the run whose last record is head would have, or
// none if it has ended or is one of another workflow.
func (r *recovery) unfinished(ctx context.Context, head resilience.Record) (entry, error) {
	var last runHead
	if err := json.Unmarshal(head.Body, &last); err == nil && last.End != nil && last.End.Status != Parked {
		return entry{}, nil
	}
	if !r.queue.graph.mayOwn(head.Key) {
		return entry{}, nil
	}
	s, err := newRunLog(r.queue.stores.Log, head.Key).read(ctx)
	switch {
	case errors.Is(err, ErrRunUnknown): // dropped meanwhile
		return entry{}, nil
	case err != nil:
		return entry{}, fmt.Errorf("%s: %w", head.Key, err)
	case s.Graph.Workflow != r.queue.graph.storeName():
		return entry{}, nil
	}
	return entry{ID: s.ID, Priority: s.Priority, Key: s.PerKey}, nil
}

// mayOwn reports whether the key of a run may be one of g: long names are hashed, and
// only the run's records tell.
func (g *Graph) mayOwn(key string) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(key, "run/"), "/")
	mine, _, _ := strings.Cut(strings.TrimPrefix(g.runKey("x"), "run/"), "/")
	return name == mine || strings.HasPrefix(name, "__")
}
