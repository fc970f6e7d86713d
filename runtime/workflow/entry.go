package workflow

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// entry is what stands in a queue for a run, under the id of the run, escaped. A run exists
// once its entry is put: the entry carries the input, and who claims it writes the
// first record of the run's log.
type entry struct {
	ID       string `json:"id"`
	Workflow string `json:"workflow"`      // full name: queues may be shared
	New      bool   `json:"new,omitempty"` // Input is there: the run need not be in the log
	Input    Value  `json:"input,omitzero"`
	Priority string `json:"priority,omitempty"`
	Key      string `json:"key,omitempty"` // whose runs take turns
	NoHealth bool   `json:"noHealth,omitempty"`
	Parent   string `json:"parent,omitempty"` // of a child: key of the inbox that waits for it
}

// entryOf returns the entry of a run that begins with an input.
func (g *Graph) entryOf(id string, in Value) (e entry, err error) {
	e = entry{ID: id, New: true}
	if e.Input, err = g.Input.give(in); err != nil {
		return e, fmt.Errorf("input of run %s: %w", id, err)
	}
	if g.PerKey != nil {
		typed, err := g.Input.take(in)
		if err != nil {
			return e, fmt.Errorf("input of run %s: %w", id, err)
		}
		e.Key = g.PerKey(typed)
	}
	return e, nil
}

// runQueues is what the names of queues of runs begin with.
const runQueues = "runs/"

// queueOf is the queue of the runs of g with a priority.
func (g *Graph) queueOf(priority string) string {
	return queueOf(cmp.Or(g.Queue, g.storeName()), priority)
}

// queueOf is the queue of runs by its name: most often that of their workflow.
func queueOf(name, priority string) string {
	parts := []string{"runs", name}
	if priority != "" {
		parts = append(parts, priority)
	}
	return resilience.StoreKey(parts...)
}

// put adds the entry of a run to the queue of its priority, to be claimed after a time;
// one that is there already and waits for longer comes then.
func (g *Graph) put(ctx context.Context, q resilience.Queue, e entry, after time.Duration) error {
	e.Workflow = g.storeName()
	return e.put(ctx, q, g.queueOf(e.Priority), after)
}

// put adds e to a queue, see [Graph.put].
func (e *entry) put(ctx context.Context, q resilience.Queue, queue string, after time.Duration) error {
	if q == nil {
		return fmt.Errorf("put run %s: %w: the stores have no queue", e.ID, resilience.ErrNoStore)
	}
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("put run %s: %w", e.ID, err)
	}
	return q.Put(ctx, queue, resilience.StoreKey(e.ID), body, after)
}

// nudge has a run of a worker looked at soon: there is something in its inbox. Where
// that fails it is seen all the same, when the run is looked at next.
func (g *Graph) nudge(ctx context.Context, q resilience.Queue, s *state) error {
	return g.put(ctx, q, entry{ID: s.ID, Priority: s.Priority, Key: s.PerKey}, 0)
}
