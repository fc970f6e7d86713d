package workflow

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// maxMessages is how many messages one step may send.
const maxMessages = 1000

// maxErr is how many bytes of an error a record keeps.
const maxErr = 2 << 10

// record returns a record of a kind, with what rides on it. It is used again by the
// next one.
func (r *run) record(kind string) *record { return r.recordAt(kind, r.now()) }

func (r *run) recordAt(kind string, at time.Time) *record {
	r.rec = record{V: recordFormat, Kind: kind, By: r.token, At: at, Queue: r.s.Queue, Snap: r.s.snap, Dropped: r.dropped}
	r.rec.Settled = r.settled
	r.rec.Busy = r.takeBusy()
	return &r.rec
}

// stepOf returns the record of an invocation that landed.
func (r *run) stepOf(inv *invocation) *record {
	if inv.err != nil {
		return r.failure(inv, inv.err)
	}
	rec := r.stepRecord(inv)
	if err := r.addSends(rec, inv); err != nil {
		return r.failure(inv, err)
	}
	switch {
	case inv.skipped:
		rec.Step.Outcome = OutcomeSkipped
	case inv.taken.FallbackUsed:
		rec.Step.Outcome = OutcomeFallback
	case !inv.route.zero():
		rec.Step.Outcome = OutcomeRouted
	}
	return rec
}

// failure returns the record of an invocation that finally failed: its messages
// become a letter.
func (r *run) failure(inv *invocation, err error) *record {
	inv.err = err
	rec := r.stepRecord(inv)
	rec.Step.Outcome, rec.Step.Err = OutcomeFailed, errText(err)
	rec.Step.Sends, rec.Step.Value = nil, Value{}
	r.letterOf(rec.Step, inv, err)
	r.errs = append(r.errs, fmt.Errorf("%s: %w", inv.node.Name, err))
	return rec
}

// stepRecord returns the record of an invocation without what it came to.
func (r *run) stepRecord(inv *invocation) *record {
	rec := r.recordAt(kindStep, r.doneAt(inv))
	attempts := inv.taken.Attempts
	if attempts == 0 && inv.wrong == nil {
		attempts = 1
	}
	r.step = stepRecord{
		Step: Step{
			Node: inv.node.Name, Message: inv.id, Attempts: attempts, Outcome: OutcomeDone,
			Started: inv.begun.Round(0), Duration: inv.took,
		},
		Again: inv.again, Signal: inv.signal, Sends: r.step.Sends[:0], Stages: inv.stages,
	}
	r.step.Cost, r.step.Memory, r.step.Forgot = inv.close(inv.took)
	if inv.joined {
		r.step.Join = true
		for _, m := range inv.msgs {
			if m != nil {
				r.step.Consumed = append(r.step.Consumed, m.ID)
			}
		}
	}
	rec.Step = &r.step
	return rec
}

// doneAt is the time of the record of an invocation. In memory that is when it was
// done, which spares a look at the clock.
func (r *run) doneAt(inv *invocation) time.Time {
	if r.log != nil || inv.took == 0 {
		return r.now()
	}
	if at := inv.begun.Add(inv.took); at.After(r.s.Updated) {
		return at
	}
	return r.s.Updated
}

// errText is what a record says of an error.
func errText(err error) string {
	text := err.Error()
	var panicked *resilience.PanicError
	if errors.As(err, &panicked) {
		text, _, _ = strings.Cut(text, "\n")
	}
	if len(text) > maxErr {
		text = strings.ToValidUTF8(text[:maxErr], "") + "…"
	}
	return text
}

// addSends adds the messages that an invocation sends to its record.
func (r *run) addSends(rec *record, inv *invocation) (err error) {
	n := inv.node
	if r.log == nil {
		rec.Step.Value = inv.value
	} else if rec.Step.Value, err = n.Out.give(inv.value); err != nil {
		return err
	}
	if inv.route.zero() {
		for i, to := range n.Next {
			if err := r.send(rec, inv, hop{to: to}, i, len(n.Next)); err != nil {
				return err
			}
		}
		return nil
	}
	hops := inv.route.hops
	if inv.route.ends && slices.Contains(n.Next, end) {
		hops = slices.Concat(hops, []hop{{to: end}})
	}
	if n := len(hops) + inv.route.more; n > maxMessages {
		return fmt.Errorf("%d messages in one step, at most %d: %w", n, maxMessages, resilience.ErrTooLarge)
	}
	for i, h := range hops {
		if err := r.send(rec, inv, h, i, len(hops)); err != nil {
			return err
		}
	}
	return nil
}

// send adds message i of n that an invocation sends.
func (r *run) send(rec *record, inv *invocation, h hop, i, n int) error {
	m := &message{
		ID: messageID(inv.id, i, h.to), To: h.to,
		Line: childLine(inv.first().Line, i, n), Depth: inv.depth(),
	}
	if h.to == end {
		if !r.e.g.OutputAll && len(r.s.Outputs)+ends(rec.Step.Sends) > 0 {
			return errors.New("a second output, and the workflow has one: output: all keeps them all")
		}
	} else if err := r.address(rec, m, inv, h); err != nil {
		return err
	}
	rec.Step.Sends = append(rec.Step.Sends, m)
	return nil
}

// ends counts outputs among messages.
func ends(list []*message) (n int) {
	for _, m := range list {
		if m.To == end {
			n++
		}
	}
	return n
}

// address checks that a message may go to its node, and gives it what it carries and
// when it is due.
func (r *run) address(rec *record, m *message, inv *invocation, h hop) (err error) {
	to := r.e.nodes[h.to]
	if why := r.forbids(inv.node, to, h.to); why != "" {
		return &routeError{inv.node.Name, h.to, why}
	}
	if after := h.after + to.Delay; after > 0 {
		m.Due = rec.At.Add(after)
	}
	in := to.takes(inv.node.Name)
	switch {
	case in == nil:
		return nil
	case !h.own:
		err = in.fits(inv.value)
	case r.log == nil:
		m.Value, err = in.take(h.value)
	default:
		m.Value, err = in.give(h.value)
	}
	if err != nil {
		return &routeError{inv.node.Name, h.to, err.Error()}
	}
	return nil
}

// takes returns the Codec of what n takes from a sender, nil if it takes nothing.
func (n *node) takes(from string) *Codec {
	slot := n.slots[from]
	if slot >= len(n.In) {
		return nil
	}
	return &n.In[slot]
}

// forbids returns why a node may not send to another one, or "".
func (r *run) forbids(from, to *node, name string) string {
	g := r.e.g
	switch {
	case to == nil || !slices.Contains(from.Next, name):
		return notNext(from.Next)
	case to.isJoin() && !slices.Contains(to.WaitFor, from.Name):
		return "it waits for " + strings.Join(to.WaitFor, ", ")
	}
	for _, f := range g.Forbid {
		if g.hasRole(from.Name, f.From) && g.hasRole(name, f.To) {
			return fmt.Sprintf("the role %s may not send to %s", f.From, f.To)
		}
	}
	return ""
}

// hasRole reports whether a node has a role.
func (g *Graph) hasRole(node, role string) bool {
	for _, r := range g.Roles {
		if r.Name == role && slices.Contains(r.Nodes, node) {
			return true
		}
	}
	return false
}

// commit makes a record durable, where the run is, and applies it.
func (r *run) commit(rec *record) error {
	if rec.End == nil {
		rec.End = r.verdict(rec)
	}
	if r.log != nil {
		rec.Prev, rec.CRC = r.log.last, r.log.crc
		if err := r.append(rec); err != nil {
			return err
		}
	}
	if err := r.s.apply(rec); err != nil {
		return err
	}
	r.dropped, r.settled, r.owned = nil, nil, r.owned && rec.Step == nil
	if r.log != nil {
		r.s.placed(rec, r.log.last, r.log.crc, r.log.size)
	}
	return nil
}

// verdict returns the end of a run after a record, nil if it goes on. Without a
// record it is asked of a run in which nothing moves.
func (r *run) verdict(rec *record) *endRecord {
	outputs, letters := len(r.s.Outputs), len(r.s.Letters)
	if rec != nil {
		if rec.Step == nil || rec.Step.Again || rec.Step.Outcome == OutcomeFailed && r.log != nil || len(rec.Step.Sends) != ends(rec.Step.Sends) {
			return nil
		}
		if n := r.e.nodes[rec.Step.Node]; n != nil && n.DurableMemory && r.log != nil && rec.Step.changesMemory() {
			return nil // that is to be kept first, and who ends has no other time for it
		}
		outputs += len(rec.Step.Sends)
		if rec.Step.Outcome == OutcomeFailed {
			letters++
		}
	}
	switch {
	case len(r.flying) > 0 || r.owes() || rec != nil && (r.s.Parent != "" || len(r.children) > 0):
		return nil
	case r.s.CancelledBy != "":
		return r.end(rec, Cancelled, "by "+r.s.CancelledBy)
	case r.limit != nil:
		return r.end(rec, LimitExceeded, r.limit.Error())
	case r.queued() > 0 || r.undone > 0 || r.awaits():
		return nil
	}
	return r.outcome(rec, outputs, letters)
}

// awaits reports whether something will happen without a node that runs.
func (r *run) awaits() bool {
	r.forgetTimers()
	return len(r.timers) > 0 || r.expects()
}

// outcome is the end of a run in which nothing is left to do.
func (r *run) outcome(rec *record, outputs, letters int) *endRecord {
	switch {
	case len(r.children) > 0:
		return r.end(rec, Parked, "a child is parked")
	case outputs > 0 && letters == 0:
		return r.end(rec, Completed, "")
	case outputs > 0:
		return r.end(rec, CompletedWithDeadLetters, "")
	case letters > 0 && r.log != nil && r.mayStillEnd():
		return r.end(rec, Parked, r.firstErr())
	}
	return r.end(rec, Failed, r.firstErr())
}

// mayStillEnd reports whether a letter, replayed, could lead to an output.
func (r *run) mayStillEnd() bool {
	for _, h := range r.s.Letters {
		if r.e.leadsToEnd(h.Node) {
			return true
		}
	}
	return false
}

// leadsToEnd reports whether the end can be reached from a node.
func (e *engine) leadsToEnd(from string) bool {
	seen := map[string]bool{from: true}
	for todo := []string{from}; len(todo) > 0; todo = todo[1:] {
		n := e.nodes[todo[0]]
		if n == nil {
			continue
		}
		for _, next := range n.Next {
			if next == end {
				return true
			}
			if !seen[next] {
				seen[next] = true
				todo = append(todo, next)
			}
		}
	}
	return false
}

// firstErr is the error of the first letter.
func (r *run) firstErr() string {
	var first *held
	for _, h := range r.s.Letters {
		if first == nil || h.At.Before(first.At) || h.At.Equal(first.At) && h.Node < first.Node {
			first = h
		}
	}
	if first == nil {
		if r.rec.Step != nil && r.rec.Step.Outcome == OutcomeFailed {
			return r.rec.Step.Node + ": " + r.rec.Step.Err
		}
		return ""
	}
	return first.Node + ": " + first.Err
}

// end returns the end of the run after rec.
func (r *run) end(rec *record, status Status, why string) *endRecord {
	s := r.s
	r.last = endRecord{
		Status: status, Err: why, Workflow: r.e.g.storeName(), ID: r.id,
		Started: s.Started, Steps: s.Count, Failures: s.failures(), Cost: s.Cost,
	}
	if rec != nil && rec.Step != nil {
		r.last.Steps++
		r.last.Cost += rec.Step.Cost
		if rec.Step.Outcome == OutcomeFailed {
			r.last.Failures++
		}
	}
	return &r.last
}

// passed returns the limit that the next invocation would pass, or nil.
func (r *run) passed() error {
	limits := &r.e.g.Limits
	switch {
	case limits.Invocations > 0 && r.s.Count+len(r.flying) >= limits.Invocations:
		return fmt.Errorf("%w: %d invocations", ErrLimit, limits.Invocations)
	case limits.Cost > 0 && r.s.Cost >= limits.Cost:
		return fmt.Errorf("%w: cost %g of %g", ErrLimit, r.s.Cost, limits.Cost)
	}
	return nil
}

// clockBusy notes whether a message can run from now on.
func (r *run) clockBusy() {
	if r.e.g.Limits.Duration <= 0 {
		return
	}
	can := len(r.flying) > 0 || r.queued() > 0 && !r.stopping
	switch {
	case can && r.busyFrom.IsZero():
		r.busyFrom = time.Now()
	case !can && !r.busyFrom.IsZero():
		r.busy += time.Since(r.busyFrom)
		r.busyFrom = time.Time{}
	}
}

// takeBusy returns the time in which a message could run that no record has yet.
func (r *run) takeBusy() time.Duration {
	d := r.unrecorded()
	r.busy = 0
	if !r.busyFrom.IsZero() {
		r.busyFrom = time.Now()
	}
	return d
}

func (r *run) unrecorded() time.Duration {
	d := r.busy
	if !r.busyFrom.IsZero() {
		d += time.Since(r.busyFrom)
	}
	return d
}

// left is how long messages may still run; it means nothing without a limit.
func (r *run) left() time.Duration {
	return r.e.g.Limits.Duration - r.s.Busy - r.unrecorded()
}

// checkDuration ends a run whose time is over.
func (r *run) checkDuration() {
	if r.e.g.Limits.Duration <= 0 || r.limit != nil || r.stopping || r.left() > 0 {
		return
	}
	r.limit = fmt.Errorf("%w: %v", ErrLimit, r.e.g.Limits.Duration)
	r.stop(r.limit)
}
