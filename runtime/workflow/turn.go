package workflow

import (
	"context"
	"errors"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// turn is one try of a worker to go on with a run.
type turn struct {
	entry entry  // without an input the run is to be in the log
	owner string // for people
	// stopping is closed when no step is to be started any more: those that run are
	// waited for and recorded.
	stopping <-chan struct{}
	late     func() bool // likewise, asked before each step; nil: never
	// giveUp: the run never came into the log. It begins, and its first message becomes
	// a letter.
	giveUp bool
	linger time.Duration // for how long it waits in place for a time, a signal or a child
}

// rest is how a run stands after a turn. [Running]: it can go on at once.
type rest struct {
	status Status
	due    time.Time          // of what comes first, where the run waits for a time
	inbox  resilience.Version // up to which its inbox was taken
	end    error              // of a run that has ended or parks: nil if it has its output
}

func (e *engine) graphOf() *Graph                { return e.g }
func (e *engine) runtimeOf() *resilience.Runtime { return e.rt }

// work goes on with the run of a turn until it ends, parks, waits for more than the
// turn lingers, or has to stop. When ctx ends, its nodes are cancelled, and what is
// done is recorded.
func (e *engine) work(ctx context.Context, t *turn) (rest, error) {
	stores, err := e.rt.Stores()
	if err != nil {
		return rest{}, err
	}
	r := e.newRun(Options{ID: t.entry.ID, Priority: t.entry.Priority, NoHealth: t.entry.NoHealth})
	r.id, r.log = t.entry.ID, newRunLog(stores.Log, e.g.runKey(t.entry.ID))
	r.linger, r.halt, r.late, r.poisoned = max(t.linger, 0), t.stopping, t.late, t.giveUp
	if t.owner != "" {
		r.owner = t.owner
	}
	err = errKnown
	if t.entry.New {
		r.s.Queue = e.g.queueOf(t.entry.Priority)
		err = r.begin(ctx, &startRecord{Input: t.entry.Input, Priority: t.entry.Priority, PerKey: t.entry.Key, Parent: t.entry.Parent})
	}
	if errors.Is(err, errKnown) {
		r.poisoned = false // it came into the log after all
		if err = r.load(ctx); err == nil {
			err = r.goOn(ctx)
		}
	}
	stands := rest{status: r.s.Status, inbox: r.s.Inbox}
	if len(r.timers) > 0 {
		stands.due = r.timers[0].at
	}
	if stands.status.Ended() || stands.status == Parked {
		stands.end, err = r.wrap(err), nil // that is how it ended, and no error of the turn
	}
	return stands, err
}
