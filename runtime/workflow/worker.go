package workflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// WorkerOptions are what a [Worker] is to do. The zero value is the default.
type WorkerOptions struct {
	Concurrency int // runs at a time; default 8. No more are taken than can run
	// Priorities are queues that are asked before the plain one, the most urgent first:
	// those of Options.Priority. What is in one of them waits for nothing that is in a
	// later one.
	Priorities []string
	Lease      time.Duration // of what is taken, renewed every third of it; default 30s, at least 2s
	// Grace is for how long nodes that run may go on when the worker is stopped, until
	// their contexts are cancelled; default 10s, negative none.
	Grace       time.Duration
	NoSchedules bool // others start the runs of schedules
	NoRetention bool // others drop the runs that ended long ago
}

// Worker takes runs of one or several workflows out of their queues and runs them.
// Any number of workers may, in any number of processes that share the stores: of
// those that believe to have a run, its log lets one go on.
type Worker struct {
	options WorkerOptions
	sources []source
	owner   string // of its leases
	running atomic.Bool
	claims  atomic.Uint64
	lines   keyLine
	counts  workerCounts
}

// source is an engine as a worker sees it.
type source interface {
	graphOf() *Graph
	runtimeOf() *resilience.Runtime
	// work goes on with a run until it ends, parks, waits for more than the turn
	// lingers, or is to stop.
	work(ctx context.Context, t *turn) (rest, error)
	claimed(err error) // told how its queues answer
}

// newWorker returns a worker for one workflow.
func newWorker(s source, o WorkerOptions) *Worker {
	return &Worker{options: o, sources: []source{s}, owner: newOwner()}
}

// And returns a worker that takes runs of w and of others, under the options of w.
func (w *Worker) And(others ...*Worker) *Worker {
	all := &Worker{options: w.options, sources: slices.Clone(w.sources), owner: w.owner}
	for _, o := range others {
		all.sources = append(all.sources, o.sources...)
	}
	return all
}

// Run takes runs and runs them until ctx ends. Then it takes no more, waits for the
// nodes that run, at most for the grace, and gives back what has not ended, for
// others to go on with at once. It returns nil then; an error says that nothing can
// be taken: there are no stores, they were closed, or Run runs already.
func (w *Worker) Run(ctx context.Context) error {
	if !w.running.CompareAndSwap(false, true) {
		return errors.New("worker: it runs already")
	}
	defer w.running.Store(false)
	s, err := w.prepare()
	if err != nil {
		return err
	}
	hard, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	defer kill(nil)
	soft, stop := context.WithCancel(ctx)
	defer stop()
	s.hard, s.stopping = hard, soft.Done()
	s.others(soft)
	err = s.dispatch(soft)
	stop()
	timer := time.AfterFunc(max(w.options.grace(), 0), func() { kill(errGrace) })
	defer timer.Stop()
	s.wait.Wait()
	return err
}

// errGrace is the cause of the end of the contexts of nodes.
var errGrace = errors.New("the worker was stopped")

func (o *WorkerOptions) concurrency() int     { return cmp.Or(o.Concurrency, 8) }
func (o *WorkerOptions) lease() time.Duration { return cmp.Or(o.Lease, defaultLease) }
func (o *WorkerOptions) grace() time.Duration { return cmp.Or(o.Grace, 10*time.Second) }

func (o *WorkerOptions) check() error {
	var errs []error
	if o.Concurrency < 0 {
		errs = append(errs, fmt.Errorf("concurrency: %d is less than 1", o.Concurrency))
	}
	if o.Lease != 0 && o.Lease < leastLease {
		errs = append(errs, fmt.Errorf("lease: %v is less than %v", o.Lease, leastLease))
	}
	sorted := slices.Sorted(slices.Values(o.Priorities))
	if i := slices.Index(sorted, ""); i >= 0 {
		errs = append(errs, errors.New("priorities: one has no name: the plain queue is there without being named"))
	}
	if len(slices.Compact(sorted)) < len(o.Priorities) {
		errs = append(errs, errors.New("priorities: one is there twice"))
	}
	return errors.Join(errs...)
}

// session is one Run of a worker.
type session struct {
	w        *Worker
	lease    time.Duration
	ranks    [][]workQueue // queues, the most urgent ones first
	next     int           // for those of one rank to be asked in turn
	slots    chan struct{}
	hard     context.Context // of nodes
	stopping <-chan struct{}
	recovers bool           // it waits for nothing that is not due
	wait     sync.WaitGroup // of everything that was begun
}

// workQueue is a queue that runs are taken from.
type workQueue struct {
	source source
	graph  *Graph
	stores resilience.Stores
	name   string
}

// prepare returns what Run needs.
func (w *Worker) prepare() (*session, error) {
	if err := w.options.check(); err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	s := &session{w: w, lease: w.options.lease(), slots: make(chan struct{}, w.options.concurrency())}
	for _, priority := range append(slices.Clone(w.options.Priorities), "") {
		var rank []workQueue
		for _, from := range w.sources {
			g := from.graphOf()
			stores, err := from.runtimeOf().Stores()
			if err == nil && (stores.Log == nil || stores.Queue == nil) {
				err = resilience.ErrNoStore
			}
			if err != nil {
				return nil, fmt.Errorf("worker of %s: %w", g.Name, err)
			}
			rank = append(rank, workQueue{from, g, stores, g.queueOf(priority)})
		}
		s.ranks = append(s.ranks, rank)
	}
	return s, nil
}

// dispatch takes entries, each when there is a slot for it, until ctx ends.
func (s *session) dispatch(ctx context.Context) error {
	for {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		j, err := s.claim(ctx)
		if j == nil {
			<-s.slots
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		s.begin(j)
	}
}

// begin serves j in the slot that was taken for it.
func (s *session) begin(j *job) {
	s.wait.Go(func() {
		defer func() { <-s.slots }()
		s.serve(j)
	})
}
