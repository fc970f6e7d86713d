package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// scheduler starts the runs of the schedules of one workflow. Of those of several
// processes, the one that has the lease does; where two believe that they have it,
// the id of the run keeps a tick from being two runs, and the log of the schedule
// keeps one of them from going on.
type scheduler struct {
	workflow  string // full name
	schedules []Schedule
	stores    resilience.Stores
	owner     string
	lease     time.Duration
	retention time.Duration // for how long the id of an ended run is known at least; negative: for ever

	now   func() time.Time                                                 // the greatest wall time that was seen
	start func(ctx context.Context, id string, in Value) error             // puts a run that may be there already
	over  func(ctx context.Context, id string) (known, over bool, e error) // whether it is in the log, and has ended or is parked
	tell  func(reason string, schedule string, n int, err error)           // of ticks that start nothing, and of errors
}

const (
	scheduleLook  = time.Second // between looks at a run that a tick waits for
	scheduleAgain = time.Second // after an error; doubled up to a minute
)

// run starts runs until ctx ends.
func (s *scheduler) run(ctx context.Context) {
	for ctx.Err() == nil {
		lead, err := hold(ctx, s.stores.Leases, resilience.StoreKey("schedule", s.workflow), s.owner, s.lease)
		if err != nil {
			sleep(ctx, heldFor(err, s.lease))
			continue
		}
		s.lead(ctx, lead)
		lead.release()
	}
}

// lead starts runs as long as the lease is held.
func (s *scheduler) lead(ctx context.Context, mine *leased) {
	again := scheduleAgain
	for ctx.Err() == nil && mine.renew(ctx) == nil {
		wait := s.lease / 3
		for i := range s.schedules {
			until, err := s.pass(ctx, &s.schedules[i])
			if err != nil && ctx.Err() == nil {
				s.tell("failed", s.schedules[i].Name, 0, err)
				until = again
				again = min(2*again, time.Minute)
			} else {
				again = scheduleAgain
			}
			wait = min(wait, until)
		}
		sleep(ctx, wait)
	}
}

// pass deals with the ticks that have come, and returns how long to wait until there
// is something to do.
func (s *scheduler) pass(ctx context.Context, c *Schedule) (time.Duration, error) {
	t, err := c.timetable()
	if err != nil {
		return 0, err
	}
	known, version, err := s.read(ctx, c)
	if err != nil {
		return 0, err
	}
	now := s.now()
	if version == 0 { // ticks from before it was there are none
		known.Seen = now
		return s.until(t, known, now), s.write(ctx, c, 0, known)
	}
	ticks, missed, last := c.due(t, known.Seen, now)
	over, err := s.isOver(ctx, c, known, now)
	if err != nil {
		return 0, err
	}
	start, next, skipped := c.decide(known, ticks, now, over)
	next.Seen = last
	for _, tick := range start {
		if err := s.begin(ctx, c, tick); err != nil {
			return 0, err
		}
	}
	if len(start) > 0 || !last.Equal(known.Seen) {
		if err := s.write(ctx, c, version, next); err != nil {
			return 0, err
		}
	}
	if missed > 0 {
		s.tell("missed", c.Name, missed, nil)
	}
	if skipped > 0 {
		s.tell("overlaps", c.Name, skipped, nil)
	}
	return s.until(t, next, s.now()), nil
}

// until is how long to wait for the next tick, or the next look at what one waits
// for.
func (s *scheduler) until(t timetable, known ticked, now time.Time) time.Duration {
	wait := time.Duration(1<<63 - 1)
	if next := t.next(known.Seen); !next.IsZero() {
		wait = max(next.Sub(now), 0)
	}
	if len(known.Queued) > 0 {
		wait = min(wait, scheduleLook)
	}
	return wait
}

// begin puts the run of a tick.
func (s *scheduler) begin(ctx context.Context, c *Schedule, tick time.Time) error {
	in, err := c.Input()
	if err != nil {
		return fmt.Errorf("schedule %s: input of %s: %w", c.Name, c.runID(tick), err)
	}
	if err := s.start(ctx, c.runID(tick), in); err != nil {
		return fmt.Errorf("schedule %s: start %s: %w", c.Name, c.runID(tick), err)
	}
	return nil
}

// isOver reports whether the run of the last tick has ended. One that is not in the
// log waits in the queue, or has been forgotten since: that takes as long as ended
// runs are kept.
func (s *scheduler) isOver(ctx context.Context, c *Schedule, known ticked, now time.Time) (bool, error) {
	if known.Running == "" || c.Overlap == OverlapAllow {
		return true, nil
	}
	there, over, err := s.over(ctx, known.Running)
	if err != nil || there {
		return over, err
	}
	return s.retention >= 0 && now.Sub(known.Begun) > s.retention, nil
}

func (s *scheduler) key(c *Schedule) string {
	return resilience.StoreKey("schedule", s.workflow, c.Name)
}

// read returns what is known of a schedule, and the version of its record.
func (s *scheduler) read(ctx context.Context, c *Schedule) (known ticked, version resilience.Version, err error) {
	for r, err := range s.stores.Log.Scan(ctx, s.key(c), 0) {
		if err != nil {
			return known, 0, fmt.Errorf("schedule %s: %w", c.Name, err)
		}
		known, version = ticked{}, r.Version
		if err := json.Unmarshal(r.Body, &known); err != nil {
			return known, 0, fmt.Errorf("schedule %s: its record: %w", c.Name, err)
		}
	}
	return known, version, nil
}

// write records what is known, and drops what was.
func (s *scheduler) write(ctx context.Context, c *Schedule, after resilience.Version, known ticked) error {
	body, err := json.Marshal(known)
	if err == nil {
		_, err = s.stores.Log.Append(ctx, s.key(c), after, body)
	}
	if errors.Is(err, resilience.ErrConflict) {
		return nil // somebody else leads, or did: the next look sees it
	}
	if err != nil {
		return fmt.Errorf("schedule %s: %w", c.Name, err)
	}
	if after > 0 {
		_ = s.stores.Log.Drop(ctx, s.key(c), after) // the next one drops it
	}
	return nil
}

// sleep returns after d, or with ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
