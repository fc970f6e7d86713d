package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Delays after which an entry comes again.
const (
	lookAgain  = time.Hour       // at a run that waits for nothing that has a time: a nudge comes first
	busyAgain  = time.Second     // at one that somebody else runs
	failFirst  = time.Second     // at one that this worker could not go on with; doubled with each delivery
	failLast   = time.Minute     // … up to this
	serveLong  = 5 * time.Second // for how long a run waits in its slot when nothing else does, see linger
	serveShort = 20 * time.Millisecond
)

// serve goes on with the run of j, and settles its entry.
func (s *session) serve(j *job) {
	e, err := decodeEntry(j.claim.Entry())
	if err != nil {
		s.refuse(j, err)
		return
	}
	owner := fmt.Sprintf("%s/%d", s.w.owner, s.w.claims.Add(1))
	key, err := s.holdKey(j, &e, owner)
	if err != nil {
		return
	}
	run, err := holdRun(s.hard, j.stores.Leases, j.graph.storeName(), e.ID, owner, s.lease)
	if err != nil {
		s.letGo(key, nil, j, &e)
		s.busy(j, err)
		return
	}
	r, err := s.work(j, &e, owner, key, run)
	s.letGo(key, run, j, &e)
	s.settle(j, &e, r, err)
}

// decodeEntry reads what Start or a nudge put.
func decodeEntry(from resilience.Entry) (e entry, err error) {
	if err := json.Unmarshal(from.Body, &e); err != nil {
		return e, fmt.Errorf("entry %s of the queue: %w", from.ID, err)
	}
	if e.ID != from.ID {
		return e, fmt.Errorf("entry %s of the queue: it is about run %q", from.ID, e.ID)
	}
	return e, nil
}

// holdKey takes a lease of the key of the run. Where all are held, the entry is given
// back until one of them may be free.
func (s *session) holdKey(j *job, e *entry, owner string) (*leased, error) {
	if e.Key == "" || j.graph.PerKey == nil {
		return nil, nil
	}
	line := j.graph.storeName() + "\x00" + e.Key
	s.w.lines.leave(line, e.ID)
	l, err := holdKey(s.hard, j.stores.Leases, j.graph.storeName(), e.Key, j.graph.PerKeyMax, owner, s.lease)
	if err == nil {
		return l, nil
	}
	s.w.counts.keyWaits.Add(1)
	place := s.w.lines.wait(line, inLine{e.ID, func(after time.Duration) { s.hasten(j, e, after) }})
	settle(func(ctx context.Context) error { return j.claim.Nack(ctx, keyLook(j.claim.Entry().Deliveries, place)) })
	return nil, err
}

// hasten has an entry that waits come after a time, if not earlier.
func (s *session) hasten(j *job, e *entry, after time.Duration) {
	settle(func(ctx context.Context) error {
		return j.graph.put(ctx, j.stores.Queue, entry{ID: e.ID, Priority: e.Priority, Key: e.Key}, after)
	})
}

// letGo gives back the leases of a run, and lets the next one of its key come.
func (s *session) letGo(key, run *leased, j *job, e *entry) {
	run.release()
	if key != nil {
		key.release()
		s.w.lines.next(j.graph.storeName() + "\x00" + e.Key)
	}
}

// work has the engine go on with the run while claim and leases are kept alive.
func (s *session) work(j *job, e *entry, owner string, key, run *leased) (rest, error) {
	ctx, cancel := context.WithCancelCause(s.hard)
	defer cancel(nil)
	beats := []func(context.Context) error{j.claim.Extend, run.renew}
	if key != nil {
		beats = append(beats, key.renew)
	}
	p := beat(s.lease, func(err error) { cancel(fmt.Errorf("run %s: %w", e.ID, err)) }, beats...)
	defer p.stop()
	s.w.counts.serving.Add(1)
	defer s.w.counts.serving.Add(-1)
	return j.source.work(ctx, &turn{
		entry: *e, owner: owner, stopping: s.stopping, late: p.late, linger: s.linger(),
		giveUp: j.claim.Entry().Deliveries > entryDeliveries,
	})
}

// linger is for how long a run may wait in its slot: longer while there are free ones.
func (s *session) linger() time.Duration {
	if len(s.slots) < cap(s.slots) {
		return serveLong
	}
	return serveShort
}

// settle says what becomes of an entry after the run was served.
func (s *session) settle(j *job, e *entry, r rest, err error) {
	switch {
	case errors.Is(err, resilience.ErrFenced):
		s.w.counts.fenced.Add(1) // the entry is another one's, too
	case errors.Is(err, ErrRunUnknown), err == nil && r.status.Ended():
		s.w.counts.ended.Add(1)
		settle(j.claim.Ack)
	case err != nil:
		s.fail(j, err)
	case r.status == Running:
		settle(func(ctx context.Context) error { return j.claim.Nack(ctx, 0) })
	default:
		s.w.counts.waits.Add(1)
		settle(func(ctx context.Context) error { return j.claim.Nack(ctx, untilDue(r)) })
		if s.isNewer(j, e.ID, r.inbox) {
			s.hasten(j, e, 0)
		}
	}
}

// untilDue is how long the entry of a run that does not go on now waits.
func untilDue(r rest) time.Duration {
	if r.due.IsZero() {
		return lookAgain
	}
	return min(max(time.Until(r.due), 0), lookAgain)
}

// isNewer reports whether the inbox of a run has something after a version. What came
// while the entry was claimed could not hasten it.
func (s *session) isNewer(j *job, id string, after resilience.Version) (newer bool) {
	settle(func(ctx context.Context) error {
		for _, err := range j.stores.Log.Scan(ctx, j.graph.inboxKey(id), after) {
			newer = err == nil
			return err
		}
		return nil
	})
	return newer
}

// busy gives back an entry whose run somebody else has, or may have.
func (s *session) busy(j *job, err error) {
	s.w.counts.busy.Add(1)
	again := busyAgain
	if !errors.Is(err, ErrRunBusy) {
		again = failAgain(j)
	}
	settle(func(ctx context.Context) error { return j.claim.Nack(ctx, min(again, heldFor(err, s.lease))) })
}

// fail gives back an entry whose run this worker cannot go on with. Others may: one
// with the graph that the run was begun in, or with a store that works.
func (s *session) fail(j *job, err error) {
	s.w.counts.failed.Add(1)
	if s.hard.Err() == nil {
		s.tell(j, "failed", err)
	}
	settle(func(ctx context.Context) error { return j.claim.Nack(ctx, failAgain(j)) })
}

// refuse gives back an entry that this version cannot read.
func (s *session) refuse(j *job, err error) {
	s.w.counts.failed.Add(1)
	s.tell(j, "refused", err)
	settle(func(ctx context.Context) error { return j.claim.Nack(ctx, failLast) })
}

func (s *session) tell(j *job, reason string, err error) {
	j.source.runtimeOf().Tell(context.Background(), resilience.Event{
		Kind: resilience.RunPaused, Name: j.graph.eventName(), Key: j.claim.Entry().ID, Reason: reason, Err: err,
	})
}

// failAgain is when the entry comes again after an error.
func failAgain(j *job) time.Duration {
	return min(failFirst<<min(j.claim.Entry().Deliveries-1, 6), failLast)
}
