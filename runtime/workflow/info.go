package workflow

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// RunInfo is what a node may know of the call that it is.
type RunInfo struct {
	Workflow string // Research
	Run      string // id
	Node     string
	Message  string // id of the invocation; see also resilience.IdempotencyKey
	Attempt  int    // of this call, from 1
	Resumed  bool   // the run goes on after somebody else had it
	// Epoch grows each time that somebody takes the run. Who writes to a database of
	// its own can refuse what comes with a smaller one. 0 in memory.
	Epoch uint64
}

// Info returns what ctx, the context that a node was called with or one made from
// it, tells. It is zero for a context of anybody else.
func Info(ctx context.Context) RunInfo {
	inv := invocationOf(ctx)
	if inv == nil {
		return RunInfo{}
	}
	return RunInfo{
		Workflow: inv.r.e.g.Name, Run: inv.r.id, Node: inv.node.Name, Message: inv.id,
		Attempt: resilience.Attempt(ctx).Number, Resumed: inv.r.resumed, Epoch: inv.epoch,
	}
}

// AddCost adds to the cost of the run, in whatever unit its limit is. It counts with
// the record of the step: also for one that finally failed, and not for one that is
// lost in a crash. What is no number, or negative, counts nothing.
func AddCost(ctx context.Context, cost float64) {
	inv := invocationOf(ctx)
	if inv == nil || !(cost > 0) || math.IsInf(cost, 0) {
		return
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if !inv.over {
		inv.cost += cost
	}
}

// Errors of what a node asks of its run.
var (
	errNoNode = errors.New("the context is that of no node")
	errOver   = errors.New("the node's call is over")
)

// ask has the run do something for a node, and waits for it.
func (inv *invocation) ask(ctx context.Context, do func() error) error {
	a := &ask{inv: inv, do: do, done: make(chan error, 1)}
	r := inv.r
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return errOver
	}
	r.asked = append(r.asked, a)
	r.mu.Unlock()
	r.poke()
	select {
	case err := <-a.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("workflow: %w", context.Cause(ctx))
	}
}

// answer does what nodes have asked.
func (r *run) answer() {
	r.mu.Lock()
	asked := r.asked
	r.asked = nil
	r.mu.Unlock()
	for _, a := range asked {
		err := errOver
		if r.flies(a.inv) {
			err = a.do()
		}
		a.done <- err
	}
}
