package workflow

import (
	"cmp"
	"container/heap"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// SignalOptions are what a sender of a signal may say. The zero value is the
// default.
type SignalOptions struct {
	// ID is that of the signal: the same one again, also from another process or after
	// a crash, is the same signal. "" gets a new one. A run knows the ids of a day, and
	// at least the last 10,000, however old they are.
	ID string
	By string // for people
	// MustExist refuses a signal to a run that is not there, with [ErrRunUnknown]. Else it
	// is kept for the run that will have this id. A run that Start put and no worker has
	// taken is known to the handle of Start alone.
	MustExist bool
}

// Signal sends a value to the node of the run that waits for a signal of this name,
// or to the first one that will: a signal that is early is kept, also before the run is
// there, unless o says otherwise. It returns when that is durable, and may be called in
// every process that has the store. An error for a value that the node does not take
// matches [resilience.ErrInvalid], for a run that has ended [ErrRunOver]: then nothing is
// kept.
func (h Handle[Out]) Signal(ctx context.Context, name string, v Value, o SignalOptions) error {
	o.MustExist = o.MustExist && !h.put
	return h.told(func() error {
		return h.e.signal(ctx, h.id, name, v, o)
	})
}

// Cancel ends the run: nodes that run are cancelled and what they come to is not
// recorded, children are cancelled, and letters of the run are discarded. It returns
// when the wish is durable; Result tells of the end. Of a run that has ended it does
// nothing. [ErrRunUnknown]: there is no such run, or, unless the handle is that of Start,
// nobody has begun it yet.
func (h Handle[Out]) Cancel(ctx context.Context) error {
	return h.told(func() error { return h.e.cancel(ctx, h.id, "Handle.Cancel", h.put) })
}

// told does something with the run of a handle.
func (h Handle[Out]) told(do func() error) error {
	if h.e == nil {
		return ErrRunUnknown
	}
	if err := do(); err != nil {
		return &RunError{ID: h.id, Workflow: h.e.g.Name, Err: err}
	}
	return nil
}

// signal posts a signal.
func (e *engine) signal(ctx context.Context, id, name string, v Value, o SignalOptions) error {
	codec, waits := e.signalCodec(name)
	if !waits {
		return fmt.Errorf("signal %.100q: no node of %s waits for it", name, e.g.Name)
	}
	if _, err := codec.take(v); err != nil {
		return fmt.Errorf("signal %s: %w: %w", name, resilience.ErrInvalid, err)
	}
	_, inMemory := e.inMemory.Load(id)
	if !inMemory {
		raw, err := codec.give(v)
		if err != nil {
			return fmt.Errorf("signal %s: %w", name, err)
		}
		v = raw
		last, err := e.head(ctx, id)
		switch {
		case err != nil && o.MustExist:
			return fmt.Errorf("signal %s: %w", name, err)
		case err == nil && last.End != nil && last.End.Status.Ended():
			return fmt.Errorf("signal %s: %w: it is %s", name, ErrRunOver, last.End.Status)
		}
	}
	entry := inboxEntry{ID: signalID(o.ID), Kind: inboxSignal, Name: name, Value: v, By: o.By}
	if err := e.post(ctx, id, entry); err != nil {
		return fmt.Errorf("signal %s: %w", name, err)
	}
	if inMemory {
		return nil
	}
	return e.rouse(ctx, id)
}

// signalTypes are the types of the signals that runs of a graph take, by name.
type signalTypes map[string]*Codec

func signalTypesKey(workflow, fingerprint string) string {
	return "workflow.signalTypes/" + workflow + "/" + fingerprint
}

// offerSignalTypes tells what signals others than handles have to be like.
func (e *engine) offerSignalTypes() {
	types := signalTypes{}
	for i := range e.g.Nodes {
		if n := &e.g.Nodes[i]; n.Signal != "" {
			types[n.Signal] = &n.Out
		}
	}
	e.rt.Attach(signalTypesKey(e.g.storeName(), e.g.Fingerprint), types)
}

// checkSignalType says what is wrong with a value for a signal of a run in the graph g, as
// far as it is known: where no workflow with this graph is made, nothing is.
func checkSignalType(rt *resilience.Runtime, g *GraphInfo, name string, v Value) error {
	types, _ := rt.Attached(signalTypesKey(g.Workflow, g.Fingerprint)).(signalTypes)
	codec := types[name]
	if codec == nil {
		return nil
	}
	if _, err := codec.take(v); err != nil {
		return fmt.Errorf("%w: signal %.100q: %w", resilience.ErrInvalid, name, err)
	}
	return nil
}

// signalID is the id of the entry of a signal.
func signalID(id string) string { return "signal/" + cmp.Or(id, strings.ToLower(rand.Text())) }

// signalCodec returns that of the nodes that wait for a signal.
func (e *engine) signalCodec(name string) (*Codec, bool) {
	for i := range e.g.Nodes {
		if n := &e.g.Nodes[i]; n.Signal == name {
			return &n.Out, true
		}
	}
	return nil, false
}

// rests reports whether a message to n waits for something outside, instead of a call.
func (n *node) rests() bool { return n.Signal != "" || n.Child != nil }

// resting is what the run knows of invocations that wait for something outside.
type restingPlace struct {
	waiting  []*invocation          // for signals, in turn
	children map[string]*invocation // by id
	promised map[string]bool        // ids of signals that an invocation of waiting got
}

// park has an invocation wait for what its node waits for.
func (r *run) park(inv *invocation) {
	if inv.node.Child != nil {
		r.adopt(inv)
		return
	}
	r.waiting = append(r.waiting, inv)
	if limit := inv.node.SignalTimeout; limit > 0 {
		heap.Push(&r.timers, timer{at: inv.since.Add(limit), seq: inv.first().Seq, inv: inv})
	}
	r.match()
}

// match gives signals, and what children came to, to those who wait for them.
func (r *run) match() {
	for i := 0; i < len(r.waiting); i++ {
		inv := r.waiting[i]
		at := slices.IndexFunc(r.s.Signals, func(s signal) bool {
			return s.Name == inv.node.Signal && !r.promised[s.ID] && !inv.endedBy(s.After)
		})
		if at < 0 {
			continue
		}
		s := &r.s.Signals[at]
		if r.promised == nil {
			r.promised = map[string]bool{}
		}
		r.promised[s.ID] = true
		r.waiting = slices.Delete(r.waiting, i, i+1)
		i--
		inv.signal = s.ID
		value, err := inv.node.Out.take(s.Value)
		if err != nil {
			err, inv.refused = fmt.Errorf("signal %s: %w", s.Name, err), legible(s.Value.raw)
		}
		r.give(inv, value, err)
	}
	r.matchChildren()
	r.forgetTimers()
}

// legible is a value as a letter can carry it: as it is, or the text of it, where it is one
// that is not read strictly.
func legible(raw json.RawMessage) json.RawMessage {
	var v any
	if resilience.DecodeJSON(raw, &v) == nil {
		return raw
	}
	text, _ := json.Marshal(string(raw)) // of a string: it never fails
	return text
}

// give has an invocation that waited land, with a value or an error, when it is its
// turn.
func (r *run) give(inv *invocation, v Value, err error) {
	inv.given, inv.value, inv.wrong = true, v, err
	r.push(inv)
}

// endedBy reports whether a wait for a signal had ended at a time.
func (inv *invocation) endedBy(at time.Time) bool {
	limit := inv.node.SignalTimeout
	return limit > 0 && !inv.since.Add(limit).After(at)
}

// expire gives up waiting for a signal.
func (r *run) expire(inv *invocation) {
	if at := slices.Index(r.waiting, inv); at >= 0 {
		r.waiting = slices.Delete(r.waiting, at, at+1)
		inv.skipped = true
		r.give(inv, Value{}, nil)
	}
}

// expects reports whether something outside will have the run go on.
func (r *run) expects() bool { return len(r.waiting) > 0 || !r.childrenRest() }

// takeSignal takes a signal that a step used.
func (s *state) takeSignal(id string) {
	s.Signals = slices.DeleteFunc(s.Signals, func(have signal) bool { return have.ID == id })
}

// sinceOf is when the last of the messages came.
func sinceOf(msgs []*message) (at time.Time) {
	for _, m := range msgs {
		if m != nil && m.arrives().After(at) {
			at = m.arrives()
		}
	}
	return at
}

// cancel posts that a run is to end. Where nobody runs it, it is ended here. One that
// was put into a queue need not be in the log yet.
func (e *engine) cancel(ctx context.Context, id, by string, put bool) error {
	entry := inboxEntry{ID: cancelEntry, Kind: inboxCancel, By: by}
	if _, inMemory := e.inMemory.Load(id); inMemory {
		return e.post(ctx, id, entry)
	}
	last, err := e.head(ctx, id)
	unknown := errors.Is(err, ErrRunUnknown)
	switch {
	case err != nil && !(unknown && put):
		return err
	case err == nil && last.End != nil && last.End.Status.Ended():
		return nil
	}
	if err := e.post(ctx, id, entry); err != nil || unknown {
		return err // who takes it out of the queue looks there first
	}
	return e.attendTo(ctx, id, entry.ID, false)
}

// attendTo sees to it that somebody takes an entry of the inbox of a run, and does it
// here where nobody else would: then the run goes on until it has to wait. Of one that
// another process has, it waits until that has taken it, if it is patient.
func (e *engine) attendTo(ctx context.Context, id, entryID string, patient bool) error {
	for rest := 5 * time.Millisecond; ; rest = min(2*rest, pollEvery) {
		stores, err := e.rt.Stores()
		if err != nil {
			return err
		}
		s, err := newRunLog(stores.Log, e.g.runKey(id)).read(ctx)
		switch {
		case err != nil:
			return err
		case s.heard(entryID):
			return nil
		case s.Queue != "":
			return e.rouse(ctx, id)
		}
		if err = e.tend(ctx, id); !isBusy(err) || !patient && errors.Is(err, errHeldElsewhere) {
			if isBusy(err) {
				err = nil
			}
			return err
		}
		if sleep(ctx, rest); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// tend goes on with a run that nobody has, until it ends, parks or has to wait.
func (e *engine) tend(ctx context.Context, id string) error {
	r := e.newRun(Options{ID: id})
	r.id, r.linger = id, 0
	if err := r.find(); err != nil {
		return err
	}
	if r.log == nil {
		return ErrDisabled
	}
	err := r.load(ctx)
	if err == nil {
		err = r.alone(ctx, r.s.PerKey, func(ctx context.Context) error {
			if err := r.reload(ctx); err != nil {
				return err
			}
			return r.goOn(ctx)
		})
	}
	if r.s.Status.Ended() || r.s.Status == Parked && !isBusy(err) {
		return nil // that is how it stands, and no error of ours
	}
	return err
}
