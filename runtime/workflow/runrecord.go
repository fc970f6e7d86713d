package workflow

import (
	"fmt"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// append writes a record to the log of the run.
func (r *run) append(rec *record) error {
	body, err := rec.encode()
	if err != nil {
		return fmt.Errorf("a %s that cannot be recorded: %w", rec.Kind, err)
	}
	return r.log.append(r.caller, body)
}

// tell tells who listens of something that happened in the run.
func (r *run) tell(e resilience.Event) {
	if r.o.Observer == nil && !r.e.rt.Listened() {
		return
	}
	if e.Name == "" {
		e.Name = r.e.name
	}
	e.Key = r.id
	if e.Time.IsZero() {
		e.Time = r.now()
	}
	r.e.rt.Tell(r.caller, e)
	if r.o.Observer != nil {
		observe(r, e)
	}
}

// observe calls the observer of the run. What panics in it harms nobody.
func observe(r *run, e resilience.Event) {
	defer func() { _ = recover() }()
	r.o.Observer(r.caller, e)
}

// tellOf tells of an invocation.
func (r *run) tellOf(inv *invocation, e resilience.Event) {
	e.Name, e.Value = inv.node.event, inv.id
	r.tell(e)
}

// tellStep tells of an invocation that is recorded.
func (r *run) tellStep(inv *invocation, s *stepRecord) {
	e := resilience.Event{Kind: resilience.StepDone, Attempt: s.Attempts, Elapsed: s.Duration}
	switch s.Outcome {
	case OutcomeFailed:
		e.Kind, e.Err = resilience.StepFailed, inv.err
		if s.Letter != "" {
			e.Reason = "letter"
		}
	case OutcomeFallback, OutcomeSkipped, OutcomeRouted:
		e.Reason = s.Outcome
	}
	r.tellOf(inv, e)
}

// tellEnd tells that the run is over, or parks.
func (r *run) tellEnd() {
	r.e.endings.tell(r.id)
	r.e.counts.end(r.s.Status)
	e := resilience.Event{Kind: resilience.RunEnded, Reason: string(r.s.Status), Elapsed: r.s.Updated.Sub(r.s.Started)}
	if r.s.Status == Parked {
		e.Kind = resilience.RunPaused
	}
	if r.s.Status != Completed {
		e.Err = r.endError()
	}
	r.tell(e)
}
