package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

const (
	keepCompleted = 7 * 24 * time.Hour
	keepFailed    = 30 * 24 * time.Hour
	sweepEvery    = time.Hour
)

// keep is how long a run is kept after it came to a status; negative: for ever.
func (r *Retention) keep(status Status) time.Duration {
	keep, otherwise := r.Failed, keepFailed
	switch status {
	case Completed, CompletedWithDeadLetters:
		keep, otherwise = r.Completed, keepCompleted
	case Parked:
		keep, otherwise = r.Parked, Forever
	}
	if keep == 0 {
		return otherwise
	}
	return keep
}

// least is the shortest time that the id of an ended run is known; negative: for ever.
func (r *Retention) least() time.Duration {
	least := Forever
	for _, status := range []Status{Completed, Failed} {
		if keep := r.keep(status); keep >= 0 && (least < 0 || keep < least) {
			least = keep
		}
	}
	return least
}

// runHead is what the last record of a run says by itself.
type runHead struct {
	At  time.Time  `json:"at"`
	End *endRecord `json:"end"`
}

// sweeper drops runs of one workflow that ended long ago, with their inboxes.
type sweeper struct {
	graph  *Graph
	stores resilience.Stores
	owner  string
	lease  time.Duration
	now    func() time.Time
	tell   func(err error)
	// letters says of letters that their run is not there any more; nil: it has none.
	letters func(ctx context.Context, ids []string) error
}

// run sweeps now and every hour until ctx ends; of all workers, one does.
func (s *sweeper) run(ctx context.Context) {
	for ctx.Err() == nil {
		// The lease is not given back: so long nobody sweeps again.
		if _, err := hold(ctx, s.stores.Leases, resilience.StoreKey("retention", s.graph.storeName()), s.owner, sweepEvery); err == nil {
			if _, err := s.sweep(ctx); err != nil && ctx.Err() == nil {
				s.tell(err)
			}
		}
		sleep(ctx, sweepEvery)
	}
}

// sweep drops what is old, and returns how many runs that were.
func (s *sweeper) sweep(ctx context.Context) (dropped int, err error) {
	var errs []error
	for r, err := range resilience.Large(s.stores.Log).Heads(ctx, "run/", "") {
		if err != nil {
			return dropped, errors.Join(append(errs, err)...)
		}
		if end := s.old(r); end != nil {
			done, err := s.drop(ctx, r.Key, end.ID)
			if done {
				dropped++
			}
			errs = append(errs, err)
		}
	}
	return dropped, errors.Join(errs...)
}

// old returns the end of a run that need not be kept any more, from its last record.
func (s *sweeper) old(r resilience.Record) *endRecord {
	var head runHead
	if json.Unmarshal(r.Body, &head) != nil || head.End == nil || head.End.Workflow != s.graph.storeName() {
		return nil
	}
	keep := s.graph.Retention.keep(head.End.Status)
	if keep < 0 || s.now().Sub(head.At) < keep {
		return nil
	}
	return head.End
}

// drop removes a run that is still old once nobody can go on with it: its inbox first,
// since nobody would look for that later.
func (s *sweeper) drop(ctx context.Context, key, id string) (bool, error) {
	mine, err := holdRun(ctx, s.stores.Leases, s.graph.storeName(), id, s.owner, s.lease)
	if errors.Is(err, ErrRunBusy) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer mine.release()
	log := resilience.Large(s.stores.Log)
	head, err := headOf(ctx, log, key)
	if err != nil || head.Version == 0 {
		return false, err
	}
	end := s.old(head)
	if end == nil {
		return false, nil
	}
	if asked, err := s.asked(ctx, log, id); err != nil || asked {
		return false, err
	}
	if err := s.forgetLetters(ctx, key, end.Status); err != nil {
		return false, err
	}
	if again, err := headOf(ctx, log, key); err != nil || again.Version != head.Version {
		return false, err // somebody went on with it for that
	}
	inbox := s.graph.inboxKey(id)
	if mail, err := headOf(ctx, log, inbox); err != nil {
		return false, err
	} else if mail.Version > 0 {
		if err := log.Drop(ctx, inbox, mail.Version); err != nil {
			return false, err
		}
	}
	return true, log.Drop(ctx, key, head.Version)
}

// asked reports whether a letter of the run is to run again, so that the run goes on.
func (s *sweeper) asked(ctx context.Context, log resilience.Log, id string) (bool, error) {
	box := inbox{log, s.graph.inboxKey(id)}
	for after := resilience.Version(0); ; {
		list, last, more, err := box.since(ctx, after)
		if err != nil || slices.ContainsFunc(list, func(e inboxEntry) bool { return e.Kind == inboxReplay }) {
			return err == nil, err
		}
		if !more {
			return false, nil
		}
		after = last
	}
}

// forgetLetters discards the letters of a run that are open: nothing could be done with
// them any more.
func (s *sweeper) forgetLetters(ctx context.Context, key string, status Status) error {
	if s.letters == nil || status == Completed {
		return nil
	}
	state, err := newRunLog(s.stores.Log, key).read(ctx)
	if err != nil {
		return err
	}
	return s.letters(ctx, state.letterIDs())
}

// headOf returns the last record of a key, the zero one if it has none.
func headOf(ctx context.Context, log resilience.Log, key string) (resilience.Record, error) {
	for r, err := range log.Heads(ctx, key, key) {
		if err != nil {
			return resilience.Record{}, err
		}
		if r.Key == key {
			return r, nil
		}
		break
	}
	return resilience.Record{}, nil
}
