package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Engine runs a [Graph] that takes an In and comes to an Out. It is safe for
// concurrent use if the nodes are.
type Engine[In, Out any] struct{ e *engine }

// engine is an Engine without its types.
type engine struct {
	rt    *resilience.Runtime
	g     *Graph
	name  string // in events and switches
	owner string // of its runs, for people
	shape *GraphInfo
	text  []byte // shape as JSON
	nodes map[string]*node

	inMemory sync.Map // runs in memory that go on now, by id
	endings  endings
	claims   claiming
	counts   runCounts
	parents  sync.Map // engines whose nodes are runs of this workflow, by its name in stores
}

// node is a node of an engine's graph.
type node struct {
	*Node
	event string         // its name in events
	slots map[string]int // of a join: which of WaitFor a sender is

	letters *resilience.NodeLetters // nil without a store
	gauge   gauge
}

// New returns an engine for g. What is wrong with g is said all at once.
func New[In, Out any](rt *resilience.Runtime, g Graph) (*Engine[In, Out], error) {
	e, err := newEngine(rt, &g)
	if err != nil {
		return nil, err
	}
	rt.OfferHealth(e.component())
	return &Engine[In, Out]{e}, nil
}

func newEngine(rt *resilience.Runtime, g *Graph) (*engine, error) {
	e := &engine{rt: rt, g: g, name: g.eventName(), owner: newOwner(), shape: g.describe(), nodes: map[string]*node{}}
	for i := range g.Nodes {
		n := &node{Node: &g.Nodes[i]}
		n.event = e.name + "/" + n.Name
		for slot, from := range n.WaitFor {
			if n.slots == nil {
				n.slots = map[string]int{}
			}
			n.slots[from] = slot
		}
		e.nodes[n.Name] = n
	}
	if err := e.check(); err != nil {
		return e, err
	}
	var err error
	if e.text, err = json.Marshal(e.shape); err != nil {
		return e, err
	}
	for i := range g.Nodes {
		if c := g.Nodes[i].Child; c != nil {
			c.engine.parents.Store(g.storeName(), e)
		}
	}
	e.offerSignalTypes()
	return e, e.keepsLetters()
}

// check refuses a graph that the generator would not have let pass.
func (e *engine) check() error {
	var errs []error
	refuse := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: "+format, slices.Concat([]any{e.name}, args)...))
	}
	if e.g.Name == "" || e.g.Package == "" {
		refuse("a graph without a name or a package")
	}
	if e.nodes[e.g.Entry] == nil {
		refuse("its entry %q is none of its nodes", e.g.Entry)
	}
	if len(e.nodes) != len(e.g.Nodes) {
		refuse("two nodes have one name")
	}
	for i := range e.g.Nodes {
		e.checkNode(&e.g.Nodes[i], refuse)
	}
	return errors.Join(errs...)
}

func (e *engine) checkNode(n *Node, refuse func(format string, args ...any)) {
	if n.Name == "" || n.Name == end {
		refuse("a node cannot be called %q", n.Name)
	}
	if n.Call == nil && n.Signal == "" && n.Child == nil {
		refuse("%s: there is nothing to call", n.Name)
	}
	if n.Child != nil {
		if err := n.adopted(); err != nil {
			refuse("%w", err)
		}
	}
	if n.isJoin() && len(n.In) != len(n.WaitFor) {
		refuse("%s: it waits for %d and takes %d", n.Name, len(n.WaitFor), len(n.In))
	}
	for _, next := range slices.Concat(n.Next, n.WaitFor) {
		if e.nodes[next] == nil && next != end {
			refuse("%s: %q is none of the nodes", n.Name, next)
		}
	}
}

// Run starts a run with an input and does it here, until it ends or parks. An
// output comes without an error. A run that is known by o.ID is not done again: its
// result is returned if it has ended, else it goes on where it stopped, if that is
// wanted. When ctx ends, no message is taken any more, nodes that run are waited for
// (10 s at most) and recorded; the run can be resumed.
//
// Without a store, with NoCheckpoint and while what is durable is switched off a run
// is in memory: it ends with its process.
func (e *Engine[In, Out]) Run(ctx context.Context, in In, o Options) (Result[Out], error) {
	return resultOf[Out](e.e.run(ctx, Of(in), o))
}

// Resume goes on with a run that stopped, and returns what it comes to; of one that
// has ended, the result.
func (e *Engine[In, Out]) Resume(ctx context.Context, id string) (Result[Out], error) {
	return resultOf[Out](e.e.resume(ctx, id, Options{}))
}

// run is Run without types. It returns the run, which is never nil, as far as it
// came.
func (e *engine) run(ctx context.Context, in Value, o Options) (*run, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	r := e.newRun(o)
	if o.ID != "" {
		if err := checkID(o.ID); err != nil {
			return r, r.wrap(err)
		}
		r.id = o.ID
	}
	if err := r.find(); err != nil {
		return r, r.wrap(err)
	}
	if r.log == nil {
		return r, r.wrap(r.begin(ctx, &startRecord{Input: in, Parent: o.parent}))
	}
	put, err := e.g.entryOf(r.id, in)
	if err != nil {
		return r, r.wrap(err)
	}
	return r, r.wrap(r.alone(ctx, put.Key, func(ctx context.Context) error {
		if r.s.version > 0 { // alone has looked: it has ended
			return r.known(ctx, put.Input)
		}
		err := r.begin(ctx, &startRecord{Input: put.Input, Priority: o.Priority, PerKey: put.Key, Parent: o.parent})
		if errors.Is(err, errKnown) {
			err = r.known(ctx, put.Input)
		}
		return err
	}))
}

// resume is Resume without types.
func (e *engine) resume(ctx context.Context, id string, o Options) (*run, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	r := e.newRun(o)
	r.id = id
	if err := checkID(id); err != nil {
		return r, r.wrap(err)
	}
	if !e.rt.Durable(e.name) {
		return r, r.wrap(ErrDisabled)
	}
	stores, err := e.rt.Stores()
	if err != nil {
		return r, r.wrap(err)
	}
	r.log = newRunLog(stores.Log, e.g.runKey(id))
	if err := r.load(ctx); err != nil {
		return r, r.wrap(err)
	}
	return r, r.wrap(r.alone(ctx, r.s.PerKey, func(ctx context.Context) error {
		if err := r.reload(ctx); err != nil {
			return err
		}
		return r.goOn(ctx)
	}))
}

// find gives the run its log, none if it is to be in memory.
func (r *run) find() error {
	if r.o.NoCheckpoint || !r.e.rt.Durable(r.e.name) {
		return nil
	}
	stores, err := r.e.rt.Stores()
	switch {
	case errors.Is(err, resilience.ErrNoStore):
		return nil
	case err != nil:
		return err
	}
	r.log = newRunLog(stores.Log, r.e.g.runKey(r.id))
	return nil
}

// known goes on with a run whose id is known, or returns its result.
func (r *run) known(ctx context.Context, input Value) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	if !r.sameInput(input) {
		return ErrRunInput
	}
	if !r.e.resumes(r.o) && !r.s.Status.Ended() {
		return ErrRunExists
	}
	return r.goOn(ctx)
}

// sameInput reports whether the input of a known run is the one given. Where the type
// has changed meanwhile, so that they cannot be compared, the judge of the graph has
// the last word.
func (r *run) sameInput(given Value) bool {
	stored := r.s.Input
	if string(stored.raw) == string(given.raw) {
		return true
	}
	in := &r.e.g.Input
	if up := r.e.rt.Upcaster(r.s.Graph.Input); up != nil && r.s.Graph.Input != in.Shape {
		if raw, err := up(stored.raw); err == nil {
			stored.raw = raw
		}
	}
	v, err := in.take(stored)
	if err != nil {
		return r.s.Graph.Input != in.Shape
	}
	again, err := in.give(v)
	return err == nil && string(again.raw) == string(given.raw)
}

// maxID is how many bytes the id of a run may have.
const maxID = 500

// checkID refuses what cannot be an id. Separators of paths are nothing special.
func checkID(id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%w: it is empty", ErrRunID)
	case len(id) > maxID:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrRunID, len(id), maxID)
	case slices.ContainsFunc([]rune(id), notPrinted):
		return fmt.Errorf("%w: %.100q has what cannot be printed", ErrRunID, id)
	}
	return nil
}

// notPrinted reports whether c is a control character, or no character at all.
func notPrinted(c rune) bool { return c < ' ' || c >= 0x7f && c < 0xa0 || c == '\ufffd' }
