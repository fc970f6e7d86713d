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
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// A message that a node could not do becomes a letter. The letter stands in the
// record of the step first, and is published once that is durable: nobody sees one
// that the run does not know of, and a crash between the two publishes it when the run
// is resumed. What becomes of a replay goes the same way. A run ends, or parks, only
// when its letters know how they stand.

// owedLetter is what a letter has yet to be told.
type owedLetter struct {
	Letter    string          `json:"letter"`
	Body      json.RawMessage `json:"body,omitempty"`   // the letter, where the invocation failed
	Replay    int             `json:"replay,omitempty"` // of which this is the end; 0: it failed for the first time
	Discarded bool            `json:"discarded,omitempty"`
	By        string          `json:"by,omitempty"`
	Why       string          `json:"why,omitempty"`
}

// owe notes what a letter has to be told.
func (s *state) owe(invocation string, o *owedLetter) {
	if o.Letter == "" {
		return
	}
	if s.Owed == nil {
		s.Owed = map[string]*owedLetter{}
	}
	s.Owed[invocation] = o
}

// replay applies that a letter is to run again.
func (s *state) replay(e *inboxEntry, at time.Time) {
	h := s.Letters[e.Message]
	if h == nil {
		h = s.Discarded[e.Message]
	}
	switch again := s.Again[e.Message]; {
	case h == nil && again != nil: // it is on its way: who asked last hears of it
		again.Replay = e.Replay
		return
	case h == nil || s.Status == Cancelled || s.Status == LimitExceeded:
		s.owe(e.Message, &owedLetter{Letter: e.Letter, Replay: e.Replay}) // it was done meanwhile
		return
	}
	delete(s.Letters, e.Message)
	delete(s.Discarded, e.Message)
	next := *h
	next.At, next.Replay, next.Args, next.Key = at, e.Replay, e.Args, e.Key
	if s.Again == nil {
		s.Again = map[string]*held{}
	}
	s.Again[e.Message] = &next
	s.Status, s.Err = Running, ""
}

// discard applies that a letter is not to run again: its branch ends.
func (s *state) discard(e *inboxEntry) {
	h := s.Letters[e.Message]
	if h == nil || s.Status.Ended() {
		return
	}
	delete(s.Letters, e.Message)
	if s.Discarded == nil {
		s.Discarded = map[string]*held{}
	}
	s.Discarded[e.Message] = h
	s.owe(e.Message, &owedLetter{Letter: cmp.Or(h.Letter, e.Letter), Discarded: true, By: e.By, Why: e.Why})
	s.Status = Running
}

// discardAll applies that no letter of the run is to run again.
func (s *state) discardAll(why string) {
	for id, h := range s.Letters {
		s.owe(id, &owedLetter{Letter: h.Letter, Discarded: true, Why: why})
	}
	s.Letters = nil
}

// mayReopen reports whether a run that has ended goes on when a letter of it is
// replayed.
func (s *state) mayReopen() bool {
	return (s.Status == CompletedWithDeadLetters || s.Status == Failed) && len(s.Letters)+len(s.Discarded) > 0
}

// settles notes what the letter of an invocation that is done is to be told; again is
// what it was, if it was a letter before.
func (s *state) settles(step *stepRecord, again *held) {
	switch {
	case step.Outcome == OutcomeFailed && step.Body != nil:
		o := &owedLetter{Letter: step.Letter, Body: step.Body}
		if again != nil {
			o.Replay = again.Replay
		}
		s.owe(step.Message, o)
	case step.Outcome != OutcomeFailed && again != nil:
		s.owe(step.Message, &owedLetter{Letter: again.Letter, Replay: again.Replay})
	}
}

// hasAgain reports whether an invocation that was a letter is queued or runs.
func (r *run) hasAgain(id string) bool {
	is := func(inv *invocation) bool { return inv != nil && inv.id == id }
	return slices.ContainsFunc(r.flying, is) || r.children[id] != nil ||
		slices.ContainsFunc(r.ready[r.head:], is) || slices.ContainsFunc(r.waiting, is)
}

// keepsLetters prepares the letters of the nodes, where there is a store for them.
func (e *engine) keepsLetters() error {
	if _, err := e.rt.Stores(); err != nil {
		return nil // then runs are in memory, and what fails is told and gone
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(e.nodes)) {
		n := e.nodes[name]
		var err error
		n.letters, err = e.rt.NodeLetters(resilience.NodeMethod{
			Workflow: e.g.storeName(), Node: n.Name, Guard: n.Guard, Queue: e.letterQueue(), Sig: n.Sig, Fields: n.letterFields(),
			Redact: n.Redact, InspectOnly: n.InspectOnly, Idempotent: true, Decode: n.decodeArgs, Replay: e.replayLetter, Discarded: e.discarded,
			Moved: e.nodeMoved, Now: e.nodeNow,
		})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (e *engine) letterQueue() string { return cmp.Or(e.g.DeadLetters, "workflow."+e.g.Name) }

// A letter of a node that waits for a signal has two arguments more: one for a value
// that somebody gives it by editing the letter, and what came and was not one.
var signalParams = [...]string{"value", "refused"}

// param is the name of parameter i in letters.
func (n *node) param(i int) string {
	if n.Signal != "" && i >= len(n.In) {
		return signalParams[i-len(n.In)]
	}
	if i < len(n.Params) {
		return n.Params[i]
	}
	return "arg" + strconv.Itoa(i+1)
}

func (n *node) letterFields() []resilience.LetterField {
	list := make([]resilience.LetterField, len(n.In))
	for i := range n.In {
		list[i] = resilience.LetterField{Name: n.param(i), Type: n.In[i].typed}
	}
	if n.Signal != "" {
		list = append(list, resilience.LetterField{Name: signalParams[0], Type: n.Out.typed}, resilience.LetterField{Name: signalParams[1], Type: "JSON"})
	}
	return list
}

// letterTypes are the types of the arguments of the node's letters.
func (n *node) letterTypes() []Codec {
	if n.Signal == "" {
		return n.In
	}
	return append(n.In[:len(n.In):len(n.In)], n.Out, asItIs)
}

// asItIs is the Codec of JSON that nobody looks into.
var asItIs = Codec{
	typed:  "JSON",
	encode: func(v any) (json.RawMessage, error) { return v.(json.RawMessage), nil },
	decode: func(text json.RawMessage) (any, error) { return text, nil },
	assign: func(v any) (any, bool) { return v, true },
	loose:  func(text json.RawMessage) (any, error) { return text, nil },
}

// decodeArgs is the Decode of the node's letters.
func (n *node) decodeArgs(args json.RawMessage, strict bool) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := resilience.DecodeJSON(args, &members); err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	types := n.letterTypes()
	values := make([]Value, len(types))
	for i := range types {
		raw := members[n.param(i)]
		delete(members, n.param(i))
		if isNull(raw) {
			continue
		}
		v, err := types[i].take(Value{raw: raw})
		if err != nil && !strict {
			v, err = types[i].loosely(raw)
		}
		if err == nil {
			values[i], err = types[i].give(v)
		}
		if err != nil {
			return nil, fmt.Errorf("argument %s: %w", n.param(i), err)
		}
	}
	if strict && len(members) > 0 {
		return nil, fmt.Errorf("arguments: %s has no %q", n.Name, slices.Sorted(maps.Keys(members))[0])
	}
	return n.argsOf(values)
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// argsOf returns values, by parameter, as the arguments of a letter.
func (n *node) argsOf(values []Value) (json.RawMessage, error) {
	out := []byte{'{'}
	for i, v := range values {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := json.Marshal(n.param(i))
		if err != nil {
			return nil, err
		}
		value, err := v.MarshalJSON()
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}'), nil
}

// letterArgs are the arguments of an invocation for its letter.
func (inv *invocation) letterArgs() (json.RawMessage, error) {
	values := make([]Value, len(inv.node.letterTypes()))
	if inv.refused != nil {
		values[len(values)-1] = Value{raw: inv.refused}
	}
	for i := range inv.node.In {
		if i >= len(inv.msgs) || inv.msgs[i] == nil {
			continue
		}
		v := inv.msgs[i].Value
		if raw, err := inv.node.In[i].give(v); err == nil {
			v = raw
		}
		values[i] = v
	}
	return inv.node.argsOf(values)
}

// edited puts other arguments into an invocation.
func (inv *invocation) edited(args json.RawMessage) error {
	var members map[string]json.RawMessage
	if err := resilience.DecodeJSON(args, &members); err != nil {
		return fmt.Errorf("arguments of the replay: %w", err)
	}
	if raw := members[signalParams[0]]; inv.node.Signal != "" && !isNull(raw) { // it need not wait again
		value, err := inv.node.Out.take(Value{raw: raw})
		if err != nil {
			return fmt.Errorf("argument %s of the replay: %w", signalParams[0], err)
		}
		inv.given, inv.value = true, value
		return nil
	}
	inv.msgs = slices.Clone(inv.msgs)
	first := *inv.first()
	for i := range inv.node.In {
		raw := members[inv.node.param(i)]
		if isNull(raw) || i >= len(inv.msgs) {
			continue
		}
		m := first
		if inv.msgs[i] != nil {
			m = *inv.msgs[i]
		}
		m.Value = Value{raw: raw}
		inv.msgs[i] = &m
	}
	return nil
}

// letterID is the id of the letter that an invocation becomes.
func (r *run) letterID(inv *invocation) string {
	if r.log == nil || inv.node.letters == nil {
		return ""
	}
	return resilience.RunLetterID(r.s.Started, r.e.g.storeName(), r.id, inv.id)
}

// maxLetter is how large a letter may be in the record of its step; a larger one is
// without arguments.
const maxLetter = 4 << 20

// letterOf adds the letter of an invocation that failed with err to its record.
func (r *run) letterOf(step *stepRecord, inv *invocation, err error) {
	if step.Letter = r.letterID(inv); step.Letter == "" || r.s.CancelledBy != "" {
		step.Letter = ""
		return
	}
	f := resilience.FailedMessage{
		Letter: step.Letter, Key: inv.key(), Taken: inv.taken,
		Run: resilience.LetterRun{Workflow: r.e.g.storeName(), ID: r.id, Message: inv.id, Inbox: r.e.g.inboxKey(r.id)},
	}
	f.Args, _ = inv.letterArgs() // without them it is there to be looked at
	var panicked *resilience.PanicError
	if errors.As(err, &panicked) {
		f.Panic = panicked
	}
	body, failed := inv.node.letters.Letter(r.caller, f, err)
	if failed == nil && len(body) > maxLetter {
		f.Args = nil
		body, failed = inv.node.letters.Letter(r.caller, f, err)
	}
	if failed != nil {
		step.Letter = ""
		return
	}
	step.Body = body
}

// publish tells letters what they have to know, of which the records of the run say
// so. That they know it rides on the next record.
func (r *run) publish() error {
	if len(r.s.Owed) == 0 {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(r.s.Owed)) {
		o := r.s.Owed[id]
		if slices.Contains(r.settled, id) {
			continue
		}
		if err := r.surelyTell(o); err != nil {
			return r.fail(fmt.Errorf("letter %s: %w", o.Letter, err))
		}
		r.settled = append(r.settled, id)
	}
	return nil
}

// surelyTell tells a letter, and tries again for a while where the store fails.
func (r *run) surelyTell(o *owedLetter) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(r.caller), storeLimit)
	defer stop()
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		err := r.tellLetter(ctx, o)
		if err == nil || errors.Is(err, resilience.ErrClosed) || errors.Is(err, resilience.ErrReadOnly) {
			return err
		}
		if sleep(ctx, pause); ctx.Err() != nil {
			return err
		}
	}
}

// tellLetter tells one letter. Any node's letters do: all are of one queue.
func (r *run) tellLetter(ctx context.Context, o *owedLetter) error {
	n := r.e.nodes[r.e.g.Entry]
	if n.letters == nil {
		return nil
	}
	switch {
	case o.Body != nil:
		return n.letters.Publish(ctx, o.Body, o.Replay)
	case o.Discarded:
		return n.letters.Discarded(ctx, r.e.letterQueue(), o.Letter, o.By, o.Why)
	}
	return n.letters.Replayed(ctx, r.e.letterQueue(), o.Letter, o.Replay)
}

// owes reports whether a letter has yet to be told something.
func (r *run) owes() bool { return len(r.s.Owed) > len(r.settled) }

// replayLetter is the Replay of the letters of the nodes.
func (e *engine) replayLetter(ctx context.Context, p resilience.RunReplay) (waits bool, err error) {
	stores, err := e.rt.Stores()
	if err != nil {
		return false, err
	}
	s, err := newRunLog(stores.Log, e.g.runKey(p.Run.ID)).read(ctx)
	switch {
	case err != nil:
		return false, fmt.Errorf("run %s: %w", p.Run.ID, err)
	case s.Status == Cancelled || s.Status == LimitExceeded:
		return false, fmt.Errorf("run %s: %w: it is %s", p.Run.ID, ErrRunOver, s.Status)
	case s.isDone(p.Run.Message):
		return false, nil
	}
	entry := inboxEntry{
		ID: fmt.Sprintf("replay/%s/%d", p.Letter, p.Replay), Kind: inboxReplay, Message: p.Run.Message,
		Letter: p.Letter, Replay: p.Replay, Args: p.Args, Key: p.Key,
	}
	if err := e.post(ctx, p.Run.ID, entry); err != nil {
		return false, err
	}
	err = e.attendTo(ctx, p.Run.ID, entry.ID, true)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // it is with the run: who waits for the letter says so
	}
	return true, err
}

// discarded has somebody go on with a run one of whose letters was discarded.
func (e *engine) discarded(ctx context.Context, run resilience.LetterRun, posted string) {
	_ = e.attendTo(ctx, run.ID, posted, false) // who looks at the run next finds it
}

// isDone reports whether an invocation that was a letter is none any more.
func (s *state) isDone(invocation string) bool {
	return s.Letters[invocation] == nil && s.Again[invocation] == nil && s.Discarded[invocation] == nil &&
		s.Owed[invocation] == nil && s.Pending[invocation] == nil
}

// isBusy reports whether somebody else has the run.
func isBusy(err error) bool {
	return errors.Is(err, ErrRunBusy) || errors.Is(err, resilience.ErrFenced)
}

// dropLetters discards letters whose run is not kept any more.
func dropLetters(rt *resilience.Runtime) func(ctx context.Context, ids []string) error {
	return func(ctx context.Context, ids []string) error {
		var errs []error
		for _, id := range ids {
			_, err := rt.DeadLetters().Discard(ctx, id, 0, "retention", "its run is not kept any more")
			if !errors.Is(err, resilience.ErrNoLetter) && !errors.Is(err, resilience.ErrConflict) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}
}
