package workflow

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// A node may be a run of another workflow. Its parent starts it under an id that
// follows from the parent's run and the message, so that a parent that is resumed
// finds the same child, and waits without holding anything. What the child comes to
// is put into the parent's inbox before the child's end is recorded: a crash between
// the two puts it there again, and the parent takes it once.

// ChildOf is the workflow that a node is a run of. Generated constructors make it
// with the child's engine.
type ChildOf struct {
	Workflow string // package.Name
	engine   *engine
}

// Child returns what makes a node a run of the workflow of e.
func Child[In, Out any](e *Engine[In, Out]) *ChildOf {
	if e == nil {
		return &ChildOf{}
	}
	return &ChildOf{Workflow: e.e.g.storeName(), engine: e.e}
}

// parentRef says who waits for a child, as the child's first record has it.
type parentRef struct {
	Workflow string `json:"workflow"`
	Run      string `json:"run"`
	Message  string `json:"message"` // the invocation
}

func (p parentRef) String() string {
	text, _ := json.Marshal(p) // of strings: it never fails
	return string(text)
}

// parent returns who waits for the run, if anybody does.
func (s *state) parent() (p parentRef, ok bool) {
	ok = s.Parent != "" && json.Unmarshal([]byte(s.Parent), &p) == nil
	return p, ok
}

// childResult is what a child came to.
type childResult struct {
	Value Value  `json:"value,omitzero"`
	Err   string `json:"err,omitempty"`
	// When it was taken: after which message, and as which of those that wait for their
	// step.
	At  time.Time `json:"at,omitzero"`
	Seq uint64    `json:"seq,omitempty"`
	Nth int       `json:"nth,omitempty"`
}

// before reports whether c was taken before a message arrived.
func (c *childResult) before(m *message) bool {
	return cmp.Or(c.At.Compare(m.arrives()), cmp.Compare(c.Seq+1, m.Seq)) <= 0
}

// answered are the invocations whose children have come to something, in the order in
// which that was taken.
func (s *state) answered() []string {
	return slices.SortedFunc(maps.Keys(s.Results), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Results[a].Nth, s.Results[b].Nth), strings.Compare(a, b))
	})
}

// result applies what a child came to, or that it has parked.
func (s *state) result(e *inboxEntry, at time.Time) {
	if e.Name == string(Parked) {
		s.ParkedChildren = set(s.ParkedChildren, e.Message)
		return
	}
	if s.Results == nil {
		s.Results = map[string]*childResult{}
	}
	delete(s.ParkedChildren, e.Message)
	nth := 1
	for _, c := range s.Results {
		nth = max(nth, c.Nth+1)
	}
	s.Results[e.Message] = &childResult{e.Value, e.Err, at, s.Seq, nth}
	if s.Status == Parked {
		s.Status = Running
	}
}

func set(m map[string]bool, key string) map[string]bool {
	if m == nil {
		m = map[string]bool{}
	}
	m[key] = true
	return m
}

// childError says that a child has no output.
type childError struct{ workflow, id, why string }

func (e *childError) Error() string {
	return fmt.Sprintf("%s, run %s: %s", e.workflow, e.id, e.why)
}

// childID is the id of the child that an invocation is. A replay of its letter is
// another child.
func (r *run) childID(inv *invocation) string {
	b := appendPart(appendPart(appendPart(nil, r.e.g.storeName()), r.id), inv.id)
	return shortHash(b) + "-" + shortHash(append(b, strconv.Itoa(inv.replay)...))
}

// adopt has an invocation wait for its child, which is started if it was not.
func (r *run) adopt(inv *invocation) {
	if r.children == nil {
		r.children = map[string]*invocation{}
	}
	r.children[inv.id] = inv
	if r.nodes == nil {
		return // the run is being rebuilt
	}
	if r.matchChildren(); r.children[inv.id] != nil {
		r.begun(inv)
	}
}

// startChildren starts those that the run waits for when it begins.
func (r *run) startChildren() {
	for _, id := range slices.Sorted(maps.Keys(r.children)) {
		r.begun(r.children[id])
	}
}

// begun sees to it that the child of an invocation has begun. One that cannot is a
// failure of the node.
func (r *run) begun(inv *invocation) {
	if r.stopping {
		return
	}
	if err := r.startChild(inv); err != nil {
		delete(r.children, inv.id)
		r.give(inv, Value{}, err)
	}
}

// leaveChildren waits for what runs beside the run.
func (r *run) leaveChildren() {
	if len(r.children) > 0 {
		r.stopNodes(nil)
	}
	if r.deserts != nil {
		close(r.deserts)
		r.deserts = nil
	}
	r.besides.Wait()
}

// matchChildren gives what children came to to those who wait for them.
func (r *run) matchChildren() {
	if len(r.children) == 0 {
		return
	}
	for _, id := range r.s.answered() {
		r.matchChild(id)
	}
}

// matchChild gives what a child came to to the invocation that waits for it.
func (r *run) matchChild(id string) {
	inv, res := r.children[id], r.s.Results[id]
	if inv == nil {
		return
	}
	delete(r.children, id)
	if res.Err != "" {
		r.give(inv, Value{}, &childError{inv.node.Child.engine.g.Name, r.childID(inv), res.Err})
		return
	}
	value, err := inv.node.Out.take(res.Value)
	r.give(inv, value, err)
}

// childrenRest reports whether nothing but letters of children moves on those that the
// run waits for.
func (r *run) childrenRest() bool {
	for id := range r.children {
		if !r.s.ParkedChildren[id] {
			return false
		}
	}
	return true
}

// startChild starts the child of an invocation: in the queue of its workers where the
// parent came out of one, else here, beside the parent.
func (r *run) startChild(inv *invocation) error {
	if err := inv.take(); err != nil {
		return err
	}
	child, in, id := inv.node.Child.engine, inv.args[0], r.childID(inv)
	ref := parentRef{r.e.g.storeName(), r.id, inv.id}
	if r.log == nil || r.s.Queue == "" {
		o := Options{ID: id, NoCheckpoint: r.log == nil, NoHealth: r.o.NoHealth, Observer: r.o.Observer, parent: ref.String()}
		if r.deserts == nil {
			r.deserts = make(chan struct{})
		}
		deserted := r.deserts
		r.besides.Add(1)
		r.rearing.Add(1)
		go func() {
			defer r.besides.Done()
			for r.rear(child, in, o) && r.asksAgain(deserted) {
				r.rearing.Add(1)
			}
		}()
		return nil
	}
	put, err := child.g.entryOf(id, in)
	if err != nil {
		return err
	}
	put.Parent, put.Priority = ref.String(), r.s.Priority
	stores, err := child.rt.Stores()
	if err == nil {
		err = child.g.put(context.WithoutCancel(r.caller), stores.Queue, put, 0)
	}
	if err != nil {
		r.halts(err)
	}
	return nil
}

// rear has a child go on, and reports whether somebody else has it. He may not end it:
// when he had the parent too, and lost it, he leaves the child as it is.
func (r *run) rear(child *engine, in Value, o Options) (busy bool) {
	c, err := child.run(r.nodes, in, o)
	r.reared(c, err)
	r.rearing.Add(-1)
	r.poke()
	return isBusy(err) && !c.resting() && r.nodes.Err() == nil
}

// asksAgain waits before a child that is busy is asked for again, and reports whether
// that is still wanted.
func (r *run) asksAgain(deserted <-chan struct{}) bool {
	timer := time.NewTimer(busyAgain)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-deserted:
	case <-r.nodes.Done():
	}
	return false
}

// reared takes in how a child stands that ran beside its parent. One in a log has
// told that itself, unless it had ended before.
func (r *run) reared(c *run, err error) {
	switch {
	case c.s.Status.Ended() || c.s.Status == Parked:
		err = c.report(context.WithoutCancel(r.caller), c.s.Status, c.s.Err, r)
	case r.nodes.Err() != nil || isBusy(err):
		return // it goes on when its parent does, or is asked for again
	}
	if err != nil {
		r.halts(err)
	}
}

// halts stops the run for an error of a goroutine beside it; it can be resumed.
func (r *run) halts(err error) {
	r.mu.Lock()
	if r.broken == nil {
		r.broken = err
	}
	r.mu.Unlock()
	r.poke()
}

// brokenBy returns the error that stops the run, if there is one.
func (r *run) brokenBy() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.broken
}

// report puts what a child came to into the inbox of its parent, which may be known
// to run here.
func (r *run) report(ctx context.Context, status Status, why string, parent *run) error {
	ref, ok := r.s.parent()
	if parent != nil && !ok { // a child in memory
		_ = json.Unmarshal([]byte(r.o.parent), &ref)
	}
	e := inboxEntry{ID: childEntry + r.id, Kind: inboxChild, Message: ref.Message}
	switch status {
	case Completed, CompletedWithDeadLetters:
		var err error
		if e.Value, err = r.outputs(); err != nil {
			return err
		}
	case Parked:
		e.ID, e.Name = fmt.Sprintf("parked/%s/%d", r.id, r.s.Count), string(Parked)
	default:
		e.Err = cmp.Or(why, string(status))
		if why != "" && status != Failed {
			e.Err = string(status) + ": " + why
		}
	}
	if parent != nil && parent.log == nil {
		parent.hand(e)
		return nil
	}
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return r.e.rt.Post(ctx, resilience.StoreKey("inbox", ref.Workflow, ref.Run), e.ID, body)
}

// outputs is the output of a run as a value of a parent's node.
func (r *run) outputs() (Value, error) {
	list := slices.SortedFunc(slices.Values(r.s.Outputs), byLine)
	if !r.e.g.OutputAll {
		return list[len(list)-1].Value, nil
	}
	raws := make([]Value, len(list))
	for i, m := range list {
		var err error
		if raws[i], err = r.e.g.Output.give(m.Value); err != nil {
			return Value{}, err
		}
	}
	raw, err := json.Marshal(raws)
	return Value{raw: raw}, err
}

// beforeEnd does what has to be done before a run ends, or parks: its parent hears of
// it, and children that nobody waits for any more are cancelled.
func (r *run) beforeEnd(end *endRecord) error {
	if end.Status != Parked {
		if err := r.cancelChildren(end.Status); err != nil {
			return err
		}
	}
	if _, ok := r.s.parent(); !ok || r.log == nil {
		return nil
	}
	return r.report(context.WithoutCancel(r.caller), end.Status, end.Err, nil)
}

// cancelChildren cancels the children of a run that ends.
func (r *run) cancelChildren(status Status) error {
	if r.log == nil || len(r.children) == 0 {
		return nil
	}
	r.stopNodes(ErrCancelled)
	r.besides.Wait()
	for _, id := range slices.Sorted(maps.Keys(r.children)) {
		inv := r.children[id]
		ctx, stop := context.WithTimeout(context.WithoutCancel(r.caller), storeLimit)
		err := inv.node.Child.engine.cancel(ctx, r.childID(inv), "its parent, run "+r.id+": "+string(status), r.s.Queue != "")
		stop()
		if err != nil && !errors.Is(err, ErrRunUnknown) {
			return err
		}
	}
	return nil
}

// afterEnd sees to it that the parent of a run that has ended goes on: also one that
// has parked, which nobody drives.
func (r *run) afterEnd() {
	ref, ok := r.s.parent()
	if !ok || r.log == nil || !r.s.Status.Ended() {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(r.caller), settleTime)
	defer stop()
	_ = rouseRun(ctx, r.e.rt, ref.Workflow, ref.Run) // who looks at the parent's inbox finds it
	known, ok := r.e.parents.Load(ref.Workflow)
	if !ok {
		return
	}
	p := known.(*engine).newRun(Options{ID: ref.Run})
	if p.id = ref.Run; p.find() != nil || p.log == nil || p.load(r.caller) != nil || p.s.Queue != "" || p.s.Status != Parked {
		return
	}
	_ = p.e.tend(r.caller, p.id) // what it comes to stands in its records
}

// adopted checks that a node can be a run of another workflow.
func (n *Node) adopted() error {
	if n.Child.engine == nil {
		return fmt.Errorf("%s: its workflow is nil", n.Name)
	}
	if len(n.In) != 1 {
		return fmt.Errorf("%s: a workflow takes one value, and it takes %d", n.Name, len(n.In))
	}
	return nil
}
