package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// invocation is a node that is called with the messages that it takes: one, or those
// of a join. It is the context of that call, too.
type invocation struct {
	context.Context

	r     *run
	id    string
	own   string // its idempotency key where it is not that of its id
	node  *node
	msgs  []*message // by slot where the node is a join; nil where it goes on without one
	one   [1]*message
	args  Args
	arg   [1]Value
	wrong error // why it cannot be called at all
	// These stand together, so that an invocation is small: each step makes one.
	joined bool // of a join: it consumes all of msgs
	again  bool // it was a letter before
	// given: it is not called; value is what it waited for, or wrong why that is
	// nothing.
	given    bool
	skipped  bool            // it waited in vain
	returned bool            // its call did, see below
	unsaved  bool            // saved is not in a record; of whoever drives the run
	signal   string          // id of the signal that it got
	refused  json.RawMessage // what that carried, where the node does not take it
	since    time.Time       // when the last of its messages came
	replay   int             // number of the replay of its letter; 0 is none
	epoch    uint64
	place    int // where it is in the gauge of its node
	seat     int // and among those of its run that fly
	// memory is that of the node as it was when the call began. It is not changed.
	memory map[string]string

	// What its call came to; written by the goroutine of the call before it lands.
	value  Value
	route  Route
	err    error
	taken  resilience.Taken
	stages []RunStage // of the pipeline that the node is
	begun  time.Time  // set before it
	took   time.Duration

	savedAt time.Time // of whoever drives the run

	// What the node told meanwhile.
	mu     sync.Mutex
	over   bool // the step is recorded, or given up: nothing counts any more
	saved  json.RawMessage
	calls  map[nthCall]int // made by the node, see callKeys
	cost   float64
	set    map[string]string
	forgot map[string]bool
}

// scopeKey is the key of a context's invocation.
type scopeKey struct{}

// Value answers for what a node may ask of its run.
func (inv *invocation) Value(key any) any {
	switch key.(type) {
	case scopeKey:
		return inv
	case tellKey:
		return &inv.taken
	}
	switch {
	case resilience.AsksIdempotencyKey(key):
		return inv.key()
	case resilience.AsksCallKeys(key):
		return (*callKeys)(inv)
	}
	return inv.Context.Value(key)
}

// key is its idempotency key.
func (inv *invocation) key() string {
	if inv.own != "" {
		return inv.own
	}
	return messageKey(inv.r.e.g.storeName(), inv.r.id, inv.id)
}

// invocationOf returns the invocation that ctx belongs to, or nil.
func invocationOf(ctx context.Context) *invocation {
	if ctx == nil {
		return nil
	}
	inv, _ := ctx.Value(scopeKey{}).(*invocation)
	return inv
}

// call calls the node, which may panic, end the goroutine, or never return.
func (inv *invocation) call(ctx context.Context) {
	defer func() {
		if !inv.returned {
			inv.err = errGoexit
			if v := recover(); v != nil {
				inv.err = panicOf(v)
			}
		}
		inv.took = time.Since(inv.begun)
	}()
	inv.Context = ctx
	inv.value, inv.route, inv.err = inv.node.Call(inv, inv.args)
	inv.returned = true
}

// panicOf returns a panic as an error. One that a goroutine of the runtime has
// carried stays what it is.
func panicOf(v any) error {
	if e, ok := v.(*resilience.PanicError); ok {
		return e
	}
	return &resilience.PanicError{Value: v, Stack: debug.Stack()}
}

var errGoexit = errors.New("the node ended its goroutine")

// take makes the arguments of the call out of the messages: each a value of its own
// where the run is durable.
func (inv *invocation) take() error {
	n := inv.node
	if len(n.In) <= len(inv.arg) {
		inv.args = inv.arg[:len(n.In)]
	} else {
		inv.args = make(Args, len(n.In))
	}
	for i := range n.In {
		if i >= len(inv.msgs) || inv.msgs[i] == nil {
			continue
		}
		v, err := n.In[i].take(inv.msgs[i].Value)
		if err != nil {
			return fmt.Errorf("message %s from %s: %w", inv.msgs[i].ID, inv.msgs[i].From, err)
		}
		inv.args[i] = v
	}
	return nil
}

// first returns the first message that is there.
func (inv *invocation) first() *message {
	for _, m := range inv.msgs {
		if m != nil {
			return m
		}
	}
	return nil
}

// depth is how many steps are before the messages that it sends.
func (inv *invocation) depth() int {
	depth := 0
	for _, m := range inv.msgs {
		if m != nil {
			depth = max(depth, m.Depth)
		}
	}
	return depth + 1
}

// close ends what the node may tell, after a call of so long, and returns what it told.
func (inv *invocation) close(took time.Duration) (cost float64, set map[string]string, forgot []string) {
	inv.node.gauge.leave(inv, took)
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.over = true
	for key := range inv.forgot {
		forgot = append(forgot, key)
	}
	slices.Sort(forgot)
	return inv.cost, inv.set, forgot
}
