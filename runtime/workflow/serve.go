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

// errKeyBusy says that as many runs of the key run as may.
var errKeyBusy = errors.New("other runs of its key run")

// serve goes on with the run of j, and settles its entry.
func (s *session) serve(j *job) (e entry, r rest, err error) {
	if e, err = decodeEntry(j.claim.Entry()); err != nil {
		s.refuse(j, err)
		return e, r, err
	}
	if !s.isOurs(j, &e) {
		settle(func(ctx context.Context) error { return j.claim.Nack(ctx, busyAgain) })
		return e, r, ErrRunBusy
	}
	// Looks at a key that is busy are deliveries, and no failed ones.
	giveUp := e.Key == "" && j.claim.Entry().Deliveries > entryDeliveries
	r, err = s.execute(j.workQueue, &e, giveUp, j.claim.Extend)
	s.settle(j, &e, r, err)
	return e, r, err
}

// isOurs finds the workflow of an entry: several may share a queue.
func (s *session) isOurs(j *job, e *entry) bool {
	if e.Workflow == "" || e.Workflow == j.graph.storeName() {
		return true
	}
	for _, q := range s.ranks[0] {
		if q.graph.storeName() == e.Workflow {
			j.source, j.graph = q.source, q.graph
			return true
		}
	}
	return false
}

// decodeEntry reads what Start or a nudge put.
func decodeEntry(from resilience.Entry) (e entry, err error) {
	if err := json.Unmarshal(from.Body, &e); err != nil {
		return e, fmt.Errorf("entry %s of the queue: %w", from.ID, err)
	}
	if resilience.StoreKey(e.ID) != from.ID {
		return e, fmt.Errorf("entry %s of the queue: it is about run %q", from.ID, e.ID)
	}
	return e, nil
}

// execute has the engine go on with a run while this process holds the lease of its
// key and its own, and whatever else beats keep alive.
func (s *session) execute(q workQueue, e *entry, giveUp bool, beats ...func(context.Context) error) (rest, error) {
	name, owner := q.graph.storeName(), fmt.Sprintf("%s/%d", s.w.owner, s.w.claims.Add(1))
	if e.Key != "" {
		s.w.lines.leave(name+"\x00"+e.Key, e.ID)
		key, err := holdKey(s.hard, q.stores.Leases, name, e.Key, q.graph.PerKeyMax, owner, s.lease)
		if err != nil {
			return rest{}, fmt.Errorf("%w: %w", errKeyBusy, err)
		}
		defer s.w.lines.next(name + "\x00" + e.Key)
		defer key.release()
		beats = append(beats, key.renew)
	}
	run, err := holdRun(s.hard, q.stores.Leases, name, e.ID, owner, s.lease)
	if err != nil {
		return rest{}, err
	}
	defer run.release()
	return s.work(q, &turn{entry: *e, owner: owner, giveUp: giveUp}, append(beats, run.renew))
}

// work has the engine go on with a run while beats keep alive what that stands on.
func (s *session) work(q workQueue, t *turn, beats []func(context.Context) error) (rest, error) {
	ctx, cancel := context.WithCancelCause(s.hard)
	defer cancel(nil)
	p := beat(s.lease, func(err error) { cancel(fmt.Errorf("run %s: %w", t.entry.ID, err)) }, beats...)
	defer p.stop()
	s.w.counts.serving.Add(1)
	defer s.w.counts.serving.Add(-1)
	t.stopping, t.late, t.linger = s.stopping, p.late, s.linger()
	return q.source.work(ctx, t)
}

// inLine gives back an entry whose key is busy, until it may be free.
func (s *session) inLine(j *job, e *entry) {
	s.w.counts.keyWaits.Add(1)
	again := func(after time.Duration) { s.hasten(j, e, after) }
	place := s.w.lines.wait(j.graph.storeName()+"\x00"+e.Key, inLine{e.ID, again})
	settle(func(ctx context.Context) error { return j.claim.Nack(ctx, keyLook(j.claim.Entry().Deliveries, place)) })
}

// hasten has an entry that waits come after a time, if not earlier.
func (s *session) hasten(j *job, e *entry, after time.Duration) {
	settle(func(ctx context.Context) error {
		return j.graph.put(ctx, j.stores.Queue, entry{ID: e.ID, Priority: e.Priority, Key: e.Key}, after)
	})
}

// linger is for how long a run may wait in its slot: longer while there are free ones.
func (s *session) linger() time.Duration {
	if s.recovers {
		return 0
	}
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
	case errors.Is(err, errKeyBusy):
		s.inLine(j, e)
	case errors.Is(err, ErrRunBusy):
		s.busy(j, err)
	case errors.Is(err, ErrRunUnknown), err == nil && r.status.Ended():
		s.w.counts.ended.Add(1)
		settle(j.claim.Ack)
	case err != nil && !errors.Is(err, errGrace):
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
