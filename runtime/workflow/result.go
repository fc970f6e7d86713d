package workflow

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// How a step ended, see [Step].Outcome.
const (
	OutcomeDone     = "done"
	OutcomeRouted   = "routed"   // done, and it picked its successors
	OutcomeFallback = "fallback" // its fallback answered
	OutcomeSkipped  = "skipped"  // it was not invoked: a timeout of a signal, an optional part
	OutcomeFailed   = "failed"   // it is a letter, if the run is durable
)

// Step is an invocation of a node that is over.
type Step struct {
	Node     string        `json:"node"`
	Message  string        `json:"message"` // id of the invocation
	Attempts int           `json:"attempts,omitempty"`
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"duration"` // in nanoseconds
	Outcome  string        `json:"outcome"`
	Cost     float64       `json:"cost,omitempty"`
	Err      string        `json:"err,omitempty"`
}

// Result is what a run came to.
type Result[Out any] struct {
	ID      string
	Status  Status
	Output  Out   // the last one in the order of lineage
	Outputs []Out // all of them in that order, where the workflow says output: all

	Elapsed time.Duration // from the start to the end
	Cost    float64       // see AddCost
	// CheckpointUsed: some of it, or all, was done before this call.
	CheckpointUsed bool
	NodeFailures   map[string]int // invocations that finally failed, by node
	Steps          []Step         // the last 1,000, in the order of their records
	StepCount      int            // of all
	DeadLetters    []string       // ids of letters that are open
}

// resultOf returns what a run came to, and err.
func resultOf[Out any](r *run, err error) (Result[Out], error) {
	s := r.s
	res := Result[Out]{
		ID: r.id, Status: s.Status, Cost: s.Cost, CheckpointUsed: r.used,
		NodeFailures: s.Failures, Steps: s.Steps, StepCount: s.Count, DeadLetters: s.letterIDs(),
	}
	if !s.Started.IsZero() {
		res.Elapsed = s.Updated.Sub(s.Started)
	}
	if s.Status != Completed && s.Status != CompletedWithDeadLetters {
		return res, err
	}
	slices.SortFunc(s.Outputs, byLine)
	for _, m := range s.Outputs {
		v, wrong := r.e.g.Output.take(m.Value)
		if wrong != nil {
			return res, r.wrap(fmt.Errorf("its output: %w", wrong))
		}
		if res.Output = Get[Out](v); r.e.g.OutputAll {
			res.Outputs = append(res.Outputs, res.Output)
		}
	}
	return res, err
}

// letterIDs returns the ids of the letters that are open, in order.
func (s *state) letterIDs() []string {
	var ids []string
	for _, h := range s.Letters {
		if h.Letter != "" {
			ids = append(ids, h.Letter)
		}
	}
	slices.Sort(ids)
	return ids
}

// endError is the error of a run that rests, nil of one with an output.
func (r *run) endError() error {
	var err error
	switch r.s.Status {
	case Completed, CompletedWithDeadLetters:
		return nil
	case Cancelled:
		err = ErrCancelled
	case LimitExceeded:
		if r.limit != nil {
			return r.limit
		}
		err = ErrLimit
	case Parked:
		err = ErrParked
	default:
		err = ErrFailed
	}
	if len(r.errs) > 0 {
		return errors.Join(append([]error{err}, r.errs...)...)
	}
	if r.s.Err != "" {
		return fmt.Errorf("%w: %s", err, r.s.Err)
	}
	return err
}

// wrap says of which run an error is.
func (r *run) wrap(err error) error {
	if err == nil {
		return nil
	}
	return &RunError{ID: r.id, Workflow: r.e.g.Name, Status: r.s.Status, Err: err}
}
