package workflow

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// onlooker tells how runs stand by their records, and by who has them.
type onlooker struct {
	stores resilience.Stores
	now    time.Time
	queued map[string]queuedRun // by the keys of their runs, without inputs; nil: not looked at yet
}

// look reads what is in the queues.
func (o *onlooker) look(ctx context.Context) error {
	if o.queued != nil {
		return nil
	}
	found := map[string]queuedRun{}
	for q, err := range queuedRuns(ctx, o.stores.Queue) {
		if err != nil {
			return err
		}
		q.Input = Value{}
		found[q.key()] = q
	}
	o.queued = found
	return nil
}

// read reads a run, and how it stands. One that nobody has is read again: who had it
// may have done something just before he gave it up.
func (o *onlooker) read(ctx context.Context, l *runLog) (s *state, v RunSummary, err error) {
	for range looks {
		last := s
		if s, err = l.read(ctx); err != nil {
			return nil, v, err
		}
		if last != nil && last.version == s.version {
			break
		}
		v, err = o.summary(ctx, s)
		if err != nil || !v.Status.isLeft() {
			break
		}
	}
	return s, v, err
}

// looks are how often a run is read that nobody has, and that changes all the same.
const looks = 5

// isLeft reports whether a run could go on and nobody has it.
func (s Status) isLeft() bool { return s == Interrupted || s == Pending }

// summary is a run in one line.
func (o *onlooker) summary(ctx context.Context, s *state) (RunSummary, error) {
	v := RunSummary{
		Workflow: s.Graph.Workflow, ID: s.ID, Status: s.Status, Started: s.Started, Updated: s.Updated,
		Steps: s.Count, Failures: s.failures(), Cost: s.Cost, Owner: s.Owner,
	}
	var err error
	switch {
	case s.Status.Ended():
		v.Ended = s.Updated
	case s.Status == Parked:
		v.Waiting = s.Err
	case s.Refused != nil:
		v.Status, v.Waiting = Refused, s.Refused.words()
	default:
		v.Status, v.Waiting, err = o.goesOn(ctx, s)
	}
	return v, err
}

// goesOn tells how a run stands that may go on, and what it waits for in words.
func (o *onlooker) goesOn(ctx context.Context, s *state) (Status, string, error) {
	if words := s.waitsFor(o.now); words != "" {
		return Waiting, words, nil
	}
	held, err := isHeld(ctx, o.stores, s)
	if held || err != nil {
		return Running, "", err
	}
	if err := o.look(ctx); err != nil {
		return Running, "", err
	}
	if _, queued := o.queued[resilience.StoreKey("run", s.Graph.Workflow, s.ID)]; queued {
		return s.left(), byWorker, nil
	}
	return s.left(), byPeople, nil
}

// left is how a run stands of which a message can be taken now, and which nobody has.
func (s *state) left() Status {
	switch {
	case s.Owner == "": // it was made by Fork
		return Pending
	case s.waitsFor(s.Updated) != "": // who had it gave it up for what has come meanwhile
		return Waiting
	}
	return Interrupted
}

// isHeld reports whether somebody has a run. Where there are no leases nobody can
// tell, and it is taken for so. Who reads the directory of another process sees no
// leases either: there a run is held that this process had last. Numbers of processes
// come again, but not what it has recorded since it has the directory.
func isHeld(ctx context.Context, stores resilience.Stores, s *state) (bool, error) {
	if stores.Leases == nil {
		return true, nil
	}
	owner, _, err := stores.Leases.Holder(ctx, runLease(s.Graph.Workflow, s.ID))
	if !errors.Is(err, resilience.ErrReadOnly) {
		return owner != "", err
	}
	directory, ok := stores.Log.(interface {
		Elsewhere() *resilience.BusyError
	})
	if !ok {
		return true, nil
	}
	other := directory.Elsewhere()
	return other != nil && strings.HasPrefix(s.Owner, processName(other.Host, other.PID)) && !s.Updated.Before(other.Since), nil
}
