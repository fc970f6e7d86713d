package workflow

import (
	"cmp"
	"container/heap"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// grace is how long nodes that run are waited for when their run stops.
const grace = 10 * time.Second

// run is a run in the hands of its owner. One goroutine at a time drives it, see
// drive.go; nodes run on others.
type run struct {
	e       *engine
	o       Options
	id      string
	owner   string // for people
	token   string // of this owner
	log     *runLog
	s       *state
	resumed bool // it was begun before
	used    bool // of what was recorded before

	caller    context.Context
	nodes     context.Context // of the nodes
	stopNodes context.CancelCauseFunc

	ready   []*invocation // in turn
	head    int           // of ready
	joins   map[string]*join
	timers  timerHeap
	dropped []string      // came too late, and no record says so yet
	flying  []*invocation // each knows its place
	landed  chan *invocation
	wake    chan struct{} // something else happened

	baton     chan struct{} // in it while nobody drives the run
	back      chan handOver // to the keeper, with the baton
	following bool          // the goroutine of a node drives the run
	kept      *invocation   // that it calls next

	mu     sync.Mutex
	asked  []*ask // what nodes want of the run
	closed bool   // nobody answers any more

	linger   time.Duration   // how long it waits in place; negative: as long as it takes
	halt     <-chan struct{} // closed: no message is to be taken any more
	late     func() bool     // likewise; nil: never
	poisoned bool            // its first message is to become a letter
	owned    bool            // no step was recorded since it was taken
	limit    error           // which one it has passed
	stopping bool            // no message is taken any more
	why      error           // why it stops without an end
	busy     time.Duration   // in which a message could run, and no record says so yet
	busyFrom time.Time       // since when one can; zero: none can
	alarm    *time.Timer     // of what is due next
	nextSave time.Time       // when a node\'s autosave is due; zero: never
	undone   int             // invocations that were begun here and are to be done again
	errs     []error         // of invocations that finally failed here

	restingPlace
	settled []string           // invocations whose letters were told, and no record says so yet
	stirred atomic.Bool        // something may be in the inbox
	seen    resilience.Version // of the inbox: all before was taken
	polling *time.Timer
	besides sync.WaitGroup // children that run beside it
	deserts chan struct{}  // closed when nobody waits for them any more; nil: none was begun
	rearing atomic.Int32   // of them, those that go on
	broken  error          // why it has to stop, from a goroutine beside it; under mu
	posted  []inboxEntry   // to a run in memory; under mu

	// Used again for each record.
	rec  record
	step stepRecord
	last endRecord
}

// ask is something that a node wants of its run.
type ask struct {
	inv  *invocation
	do   func() error
	done chan error
}

func (e *engine) newRun(o Options) *run {
	return &run{
		e: e, o: o, owner: e.owner, id: strings.ToLower(rand.Text()), token: rand.Text()[:16], s: newState(), linger: -1,
		joins:  map[string]*join{},
		landed: make(chan *invocation, e.g.concurrency()), wake: make(chan struct{}, 1),
		baton: make(chan struct{}, 1), back: make(chan handOver, 1),
	}
}

// begin starts the run that a record describes, and drives it.
func (r *run) begin(ctx context.Context, start *startRecord) error {
	rec := r.record(kindStart)
	start.ID, start.Owner, start.Graph = r.id, r.owner, r.e.shape
	start.graphText = r.e.text
	rec.Start = start
	r.caller = ctx
	live.add(r)
	defer live.remove(r)
	if err := r.commit(rec); err != nil {
		return err
	}
	r.tell(resilience.Event{Kind: resilience.RunStarted})
	r.rebuild()
	return r.drive(ctx)
}

// load reads the run out of its log.
func (r *run) load(ctx context.Context) (err error) {
	if r.s, err = r.log.read(ctx); err != nil {
		r.s = newState()
		return err
	}
	r.resumed = true
	if workflow := r.e.g.storeName(); r.s.ID != r.id || r.s.Graph.Workflow != workflow {
		return fmt.Errorf("%w: the log of run %q of %s holds run %q of %s", errDamaged, r.id, workflow, r.s.ID, r.s.Graph.Workflow)
	}
	return nil
}

// reload reads the run again if somebody had it meanwhile.
func (r *run) reload(ctx context.Context) error {
	if r.log.unchanged(ctx) {
		return nil
	}
	return r.load(ctx)
}

// goOn takes the run that was loaded, and drives it. One that has ended stays as it
// is.
func (r *run) goOn(ctx context.Context) error {
	r.caller = ctx
	r.used = true
	switch {
	case r.s.Status.Ended() && !(r.s.mayReopen() && r.hasNews(ctx)):
		return r.endError()
	case live.has(r.e.rt, r.s.Token):
		return ErrRunBusy
	case r.s.Status == Parked && !r.hasNews(ctx):
		return r.endError()
	}
	live.add(r)
	defer live.remove(r)
	changed, err := r.judge()
	if err != nil {
		return r.refuse(err)
	}
	if changed == nil {
		r.rebuild()
	}
	if changed == nil && r.linger >= 0 && r.queued() == 0 && !r.dueWithin(r.linger) && !r.hasNews(ctx) && !r.leftUndone(ctx) {
		r.s.Status = Waiting // nobody need take it for that
		return nil
	}
	rec := r.record(kindOwn)
	rec.Own = &ownRecord{Owner: r.owner}
	if err := r.commit(rec); errors.Is(err, resilience.ErrFenced) {
		return fmt.Errorf("%w: %w", ErrRunBusy, err) // somebody was faster
	} else if err != nil {
		return err
	}
	r.owned = true
	if err := r.memorizeAgain(); err != nil {
		return err
	}
	if changed == nil {
		r.tell(resilience.Event{Kind: resilience.RunResumed})
		return r.drive(ctx)
	}
	rec = r.record(kindMigrate)
	rec.Migrate = changed
	if err := r.commit(rec); err != nil {
		return err
	}
	r.rebuild()
	r.tell(resilience.Event{Kind: resilience.RunResumed, Reason: "graph changed"})
	return r.drive(ctx)
}

// leftUndone reports whether the owner before ended between a record and what follows
// from it without a message: the end of the run, what its letters are to be told, or the
// start of a child.
func (r *run) leftUndone(ctx context.Context) bool {
	if len(r.s.Owed) > 0 || r.verdict(nil) != nil {
		return true
	}
	for id, inv := range r.children {
		if r.s.ParkedChildren[id] {
			continue
		}
		if _, err := inv.node.Child.engine.head(ctx, r.childID(inv)); errors.Is(err, ErrRunUnknown) {
			return true
		}
	}
	return false
}

// drive runs what can run until the run ends, parks, waits too long or has to stop.
func (r *run) drive(ctx context.Context) error {
	r.e.counts.running.Add(1)
	defer r.e.counts.running.Add(-1)
	r.nodes, r.stopNodes = context.WithCancelCause(ctx)
	defer r.stopNodes(nil)
	deaf := context.AfterFunc(ctx, r.poke)
	defer deaf()
	defer r.quiet()
	defer r.discard()
	unheard := r.listen()
	defer unheard()
	defer r.leaveChildren()
	r.obey()
	r.startChildren()
	for {
		if err := r.round(); err != nil {
			return err
		}
		if len(r.flying) == 0 {
			if rested, err := r.rest(); rested || err != nil {
				return err
			}
		}
		if err := r.await(); err != nil {
			return err
		}
		if err := r.snapshot(); err != nil {
			return r.fail(err)
		}
	}
}

// round looks at everything that may have happened, and begins what can run.
func (r *run) round() error {
	if err := r.collect(); err != nil {
		return err
	}
	if err := r.publish(); err != nil {
		return err
	}
	if err := r.brokenBy(); err != nil && !r.s.Status.Ended() { // what came too late stops nothing
		return r.fail(err)
	}
	r.attend()
	r.dispatch()
	return nil
}

// quiet ends what may still poke the run, and answers nodes that still ask.
func (r *run) quiet() {
	if r.alarm != nil {
		r.alarm.Stop()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, a := range r.asked {
		a.done <- errOver
	}
	r.asked = nil
}

// poke has the run look around.
func (r *run) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// await waits until something happens, and takes in what a node came to.
func (r *run) await() error {
	r.setAlarm()
	if err := r.wait(); err != nil {
		return err
	}
	r.attend()
	if r.nodes.Err() != nil && len(r.flying) > 0 {
		return r.lastWait()
	}
	return nil
}

// attend looks at what may have happened besides nodes that landed.
func (r *run) attend() {
	if r.caller.Err() != nil && !r.stopping {
		r.stop(context.Cause(r.caller))
	}
	r.answer()
	r.nextSave = r.autosave()
	if len(r.timers) > 0 || r.e.g.Limits.Duration > 0 {
		now := r.now()
		r.due(now)
		r.checkDuration()
	}
}

// stop has no message taken any more, and ends the contexts of nodes.
func (r *run) stop(why error) {
	r.stopping = true
	if r.why == nil {
		r.why = why
	}
	r.stopNodes(why)
	r.poke() // those that run are waited for
}

// lastWait waits for nodes that run when the run stops, and records what they come
// to; but not for ever.
func (r *run) lastWait() error {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for len(r.flying) > 0 {
		select {
		case inv := <-r.landed:
			if err := r.land(inv); err != nil {
				return err
			}
		case <-r.wake:
			r.answer()
		case <-timer.C:
			r.abandon()
		}
	}
	return nil
}

// discard waits for nodes that run when nothing can be recorded any more, but not for
// ever. What they come to is lost.
func (r *run) discard() {
	if len(r.flying) == 0 {
		return
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for len(r.flying) > 0 {
		select {
		case inv := <-r.landed:
			if r.grounded(inv) {
				inv.close(inv.took)
			}
		case <-timer.C:
			r.abandon()
		}
	}
}

// abandon leaves the nodes behind that did not return. What they come to is lost:
// they run again when the run is resumed.
func (r *run) abandon() {
	for _, inv := range slices.SortedFunc(slices.Values(r.flying), byID) {
		inv.close(time.Since(inv.begun))
		r.undone++
		r.tellOf(inv, resilience.Event{Kind: resilience.MessageNoted, Reason: "abandoned"})
	}
	r.flying = nil // no other one follows them: landed has room for all
}

func byID(a, b *invocation) int { return strings.Compare(a.id, b.id) }

// flies reports whether what an invocation comes to is waited for.
func (r *run) flies(inv *invocation) bool {
	return inv.seat < len(r.flying) && r.flying[inv.seat] == inv
}

// grounded takes an invocation away from those that fly, if it is one of them.
func (r *run) grounded(inv *invocation) bool {
	if !r.flies(inv) {
		return false
	}
	last := len(r.flying) - 1
	r.flying[inv.seat] = r.flying[last]
	r.flying[inv.seat].seat = inv.seat
	r.flying[last] = nil
	r.flying = r.flying[:last]
	return true
}

// rest decides what becomes of a run when none of its nodes runs: it goes on, waits
// or is over.
func (r *run) rest() (rested bool, err error) {
	for !r.resting() {
		end := r.verdict(nil)
		if end == nil {
			break
		}
		if err := r.beforeEnd(end); err != nil {
			return true, r.fail(err)
		}
		rec := r.record(kindNote)
		rec.End = end
		if err := r.commit(rec); err != nil {
			return true, r.fail(err)
		}
	}
	switch {
	case r.resting():
		r.afterEnd()
		r.tellEnd()
		return true, r.endError()
	case r.stopping:
		return true, r.interrupted()
	case r.queued() > 0 || r.linger < 0 || r.dueWithin(r.linger) || r.rearing.Load() > 0 || r.stirred.Load():
		return false, nil
	}
	if err := r.giveBack(); err != nil {
		return true, err
	}
	r.s.Status = Waiting
	r.tell(resilience.Event{Kind: resilience.RunPaused, Reason: "waits"})
	return true, nil
}

// giveBack records that the run was taken and given back in peace, without a step:
// that is no sign of a node that kills its process.
func (r *run) giveBack() error {
	if !r.owned {
		return nil
	}
	rec := r.record(kindOwn)
	rec.Own = &ownRecord{Released: true}
	if err := r.commit(rec); err != nil {
		return r.fail(err)
	}
	return nil
}

// resting reports whether the records say that nothing follows for now.
func (r *run) resting() bool { return r.s.Status.Ended() || r.s.Status == Parked }

// interrupted is the end of a run that can be resumed.
func (r *run) interrupted() error {
	if err := r.giveBack(); err != nil {
		return err
	}
	r.tell(resilience.Event{Kind: resilience.RunPaused, Reason: "stopped", Err: r.why})
	return r.why
}

// now is the time of the next record: it never goes back.
func (r *run) now() time.Time {
	now := time.Now()
	if r.log != nil {
		now = r.e.rt.Now()
	}
	if now.Before(r.s.Updated) {
		return r.s.Updated
	}
	return now
}

// queued is how many invocations wait for their turn.
func (r *run) queued() int { return len(r.ready) - r.head }

// rebuild makes the queue out of the state, in the order in which the owner before had
// it: what was due when it recorded its last step was in turn, and what came after that
// stands behind. Messages that were due later are taken in with the waits that ended
// meanwhile, see due: they would stand before all of these.
func (r *run) rebuild() {
	for name, n := range r.e.nodes {
		if n.isJoin() {
			r.joins[name] = newJoin(n, r.s.Joins[name])
		}
	}
	again := slices.SortedFunc(maps.Keys(r.s.Again), func(a, b string) int {
		return cmp.Or(r.s.Again[a].At.Compare(r.s.Again[b].At), strings.Compare(a, b))
	})
	pending := slices.SortedFunc(maps.Values(r.s.Pending), byArrival)
	last := r.s.Stepped
	for _, m := range pending { // an older snapshot does not know that
		if m.At.After(last) {
			last = m.At
		}
	}
	answered := r.s.answered()
	for _, m := range pending {
		for len(answered) > 0 && r.s.Results[answered[0]].before(m) {
			r.matchChild(answered[0])
			answered = answered[1:]
		}
		for len(again) > 0 && !r.s.Again[again[0]].At.After(m.arrives()) {
			r.queueAgain(again[0], r.s.Again[again[0]])
			again = again[1:]
		}
		if at := m.arrives(); at.After(last) {
			r.due(last)
		} else {
			r.due(at)
		}
		r.place(m, last)
	}
	for _, id := range again {
		r.queueAgain(id, r.s.Again[id])
	}
	r.due(last)
	r.matchChildren()
}

// queueAgain queues an invocation that was a letter.
func (r *run) queueAgain(id string, h *held) {
	n := r.e.nodes[h.Node]
	inv := &invocation{r: r, id: id, node: n, msgs: h.Messages, again: true, since: h.At, replay: h.Replay, own: h.Key}
	if n == nil {
		inv.node = &node{Node: &Node{Name: h.Node}, event: r.e.name + "/" + h.Node}
		inv.wrong = fmt.Errorf("there is no node %s any more", h.Node)
	} else if n.isJoin() {
		inv.msgs = make([]*message, len(n.WaitFor))
		for _, m := range h.Messages {
			if slot, ok := n.slots[m.From]; ok {
				inv.msgs[slot] = m
			} else {
				inv.wrong = fmt.Errorf("message %s from %s: %s does not wait for it", m.ID, m.From, h.Node)
			}
		}
	}
	if h.Args != nil && inv.wrong == nil {
		inv.wrong = inv.edited(h.Args)
	}
	r.push(inv)
}

func (r *run) push(inv *invocation) {
	if inv.node.rests() && !inv.given && inv.wrong == nil {
		inv.since = cmp.Or(inv.since, sinceOf(inv.msgs))
		r.park(inv)
		return
	}
	if r.head == len(r.ready) {
		r.ready, r.head = r.ready[:0], 0
	}
	r.ready = append(r.ready, inv)
}

// pop takes the next invocation out of the queue.
func (r *run) pop() *invocation {
	inv := r.ready[r.head]
	r.ready[r.head] = nil
	r.head++
	if r.head >= 256 && r.head > len(r.ready)/2 {
		r.ready = slices.Delete(r.ready, 0, r.head)
		r.head = 0
	}
	return inv
}

// place puts a message where it belongs: among those that are due later, to its
// join, or into the queue.
func (r *run) place(m *message, now time.Time) {
	if m.Due.After(now) {
		heap.Push(&r.timers, timer{at: m.Due, seq: m.Seq, m: m})
		return
	}
	if j := r.joins[m.To]; j != nil {
		if _, ok := j.node.slots[m.From]; ok {
			r.gather(j, m)
			return
		}
	}
	inv := &invocation{r: r, id: m.ID, node: r.e.nodes[m.To]}
	inv.one[0] = m
	inv.msgs = inv.one[:]
	switch {
	case inv.node == nil:
		inv.node = &node{Node: &Node{Name: m.To}, event: r.e.name + "/" + m.To}
		inv.wrong = fmt.Errorf("message %s from %s: there is no node %s", m.ID, m.From, m.To)
	case inv.node.isJoin():
		inv.wrong = fmt.Errorf("message %s from %s: %s does not wait for it", m.ID, m.From, m.To)
	}
	r.push(inv)
}

// gather takes a message in at a join, which may fire. What fires is judged by the
// times at which messages came and not by the clock: after a downtime all of them are
// taken in late, and the sets must be those that they would have been.
func (r *run) gather(j *join, m *message) {
	came := m.arrives()
	r.fire(j, came) // what no longer waited for m
	if !j.arrive(m) {
		r.dropped = append(r.dropped, m.ID)
		r.tell(resilience.Event{Kind: resilience.MessageNoted, Name: j.node.event, Value: m.ID, Reason: "dropped"})
		return
	}
	r.fire(j, came)
}

// fire queues the sets of a join that are ready.
func (r *run) fire(j *join, now time.Time) {
	for set := j.ready(now); set != nil; set = j.ready(now) {
		inv := &invocation{r: r, node: j.node, msgs: set, joined: true}
		there := slices.DeleteFunc(slices.Clone(set), func(m *message) bool { return m == nil })
		inv.id = joinID(j.name, there)
		r.push(inv)
	}
	r.schedule(j)
}

// dispatch begins the invocations whose turn it is.
func (r *run) dispatch() {
	for !r.stopping && r.queued() > 0 && len(r.flying) < r.atOnce() {
		if r.late != nil && r.late() {
			r.stopping = true
			break
		}
		if r.limit = r.passed(); r.limit != nil {
			r.stopping = true // those that run may end as they will
			break
		}
		inv := r.pop()
		if err := r.recall(inv); err != nil {
			r.undone++
			r.stop(err)
			break
		}
		r.launch(inv)
	}
	r.clockBusy()
}

// atOnce is how many nodes may run at a time.
func (r *run) atOnce() int {
	if r.s.goesAlone() {
		return 1
	}
	return r.e.g.concurrency()
}

// launch begins an invocation.
func (r *run) launch(inv *invocation) {
	inv.seat = len(r.flying)
	r.flying = append(r.flying, inv)
	if r.poisoned || r.s.isPoisoned() {
		inv.wrong, r.poisoned = errPoison, false
	}
	inv.epoch = uint64(r.s.Epoch)
	inv.saved = r.s.Saved[inv.id].raw
	if inv.wrong == nil && !inv.given {
		inv.wrong = inv.take()
	}
	if inv.wrong != nil || inv.given {
		inv.begun, inv.err, inv.returned = time.Now(), inv.wrong, true
		r.landed <- inv
		return
	}
	inv.node.gauge.enter(inv)
	r.start(inv)
}

// land takes in what an invocation came to, and records it.
func (r *run) land(inv *invocation) error {
	if !r.grounded(inv) {
		return nil
	}
	if inv.err != nil && inv.wrong == nil && r.nodes.Err() != nil {
		inv.close(inv.took) // its run stops: it is not done
		r.undone++
		return nil
	}
	rec := r.stepOf(inv)
	err := r.commit(rec)
	if errors.Is(err, resilience.ErrTooLarge) {
		rec = r.failure(inv, fmt.Errorf("what it sends is too large: %w", err))
		err = r.commit(rec)
	}
	if err != nil {
		return r.fail(err)
	}
	if err := r.memorize(inv.node, rec.Step); err != nil {
		return r.fail(err)
	}
	r.tellStep(inv, rec.Step)
	now := r.s.Updated
	if len(r.timers) > 0 {
		r.due(now) // first, as when the run is read again
	}
	for _, m := range rec.Step.Sends {
		if m.To != end {
			r.place(m, now)
		}
	}
	return nil
}

// fail ends the run's stay here, since nothing can be recorded any more. It returns
// err.
func (r *run) fail(err error) error {
	reason := "failed"
	if errors.Is(err, resilience.ErrFenced) {
		reason = "fenced"
	}
	r.stopping = true
	r.stopNodes(err)
	r.tell(resilience.Event{Kind: resilience.RunPaused, Reason: reason, Err: err})
	return err
}
