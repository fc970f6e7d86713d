package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// queuedRun is the entry of a run in a queue.
type queuedRun struct {
	entry
	queue string
	put   time.Time
	wrong error // why it cannot be read
}

// byWorker is what a run waits for that only has to be taken, and byPeople what one
// that no worker takes by itself.
const (
	byWorker = "a worker"
	byPeople = "somebody to resume it"
)

// queuedRuns yields the entries of runs in all queues.
func queuedRuns(ctx context.Context, q resilience.Queue) iter.Seq2[queuedRun, error] {
	return func(yield func(queuedRun, error) bool) {
		if q == nil {
			return
		}
		for from, err := range q.Entries(ctx, runQueues) {
			if err != nil {
				yield(queuedRun{}, err)
				return
			}
			run := queuedRun{queue: from.Queue, put: from.Enqueued}
			if run.entry, run.wrong = decodeEntry(from.Entry); run.wrong != nil {
				run.entry = entry{ID: from.ID}
			}
			if !yield(run, nil) {
				return
			}
		}
	}
}

// key is that of the run in the log.
func (q *queuedRun) key() string {
	if q.wrong != nil {
		return q.queue + "/" + q.ID // of no run
	}
	return resilience.StoreKey("run", q.Workflow, q.ID)
}

// summary is the run in one line.
func (q *queuedRun) summary() RunSummary {
	v := RunSummary{Workflow: q.Workflow, ID: q.ID, Status: Pending, Started: q.put, Updated: q.put, Waiting: byWorker}
	if q.wrong != nil {
		v.Waiting = "cannot be read: " + q.wrong.Error()
	}
	return v
}

// inQueue returns the entry of a run that nobody has begun, and else err.
func (rs *Runs) inQueue(ctx context.Context, workflow, id string, err error) (run queuedRun, _ error) {
	stores, failed := rs.rt.Stores()
	if failed != nil {
		return run, failed
	}
	var names []string
	for q, err := range queuedRuns(ctx, stores.Queue) {
		if err != nil {
			return run, err
		}
		if q.ID == id && q.New && q.wrong == nil && isCalled(q.Workflow, workflow) {
			run, names = q, append(names, q.Workflow)
		}
	}
	switch len(names) {
	case 0:
		return run, err
	case 1:
		return run, nil
	}
	return run, severalRuns(id, names)
}

func severalRuns(id string, names []string) error {
	return fmt.Errorf("%w: several workflows have a run %s: %s; say which", resilience.ErrInvalid, id, strings.Join(names, ", "))
}

// detail is all that is known of the run.
func (q *queuedRun) detail() RunDetail {
	return RunDetail{
		RunSummary: q.summary(), Input: json.RawMessage(q.Input.raw), Steps: []RunStep{},
		Graph: RunGraph{Name: q.Workflow[strings.LastIndexByte(q.Workflow, '.')+1:], Nodes: []RunNode{}},
	}
}

// tell posts to a run that nobody has begun. It is heard when somebody does.
func (rs *Runs) tell(ctx context.Context, q *queuedRun, e inboxEntry) error {
	if err := rs.post(ctx, q.Workflow, q.ID, e); err != nil {
		return err
	}
	stores, err := rs.rt.Stores()
	if err != nil {
		return err
	}
	again := entry{ID: q.ID, Workflow: q.Workflow, Priority: q.Priority, Key: q.Key}
	return again.put(ctx, stores.Queue, q.queue, 0)
}
