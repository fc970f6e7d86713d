package resilience

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// LetterRun is the run of a workflow that a letter is one of.
type LetterRun struct {
	Workflow string `json:"workflow"` // "example.com/agents.Research"
	ID       string `json:"id"`
	Message  string `json:"message"`
	// Inbox is the key of the [Log] under which the run hears what becomes of the
	// letter.
	Inbox string `json:"inbox"`
}

// runSig is what the fingerprints of nodes begin with, so that a summary tells whose
// letter it is.
const runSig = "run:"

// RunLetterID is the id of the letter of a message of a run that began at a time: the
// same each time it is asked for.
func RunLetterID(began time.Time, workflow, run, message string) string {
	var raw [16]byte
	ms := uint64(max(began.UnixMilli(), 0))
	for i := range 6 {
		raw[i] = byte(ms >> (40 - 8*i))
	}
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q %q %q", workflow, run, message)))
	copy(raw[6:], sum[:])
	return encodeID(raw)
}

// NodeMethod is what is known of a node of a workflow whose failed messages are kept
// as letters.
type NodeMethod struct {
	Workflow, Node string // "example.com/agents.Research", "Plan"
	Guard          *Guard // of the node; nil: it has none
	Queue          string
	Sig, Schema    string
	Fields         []LetterField
	Redact         []Redaction
	InspectOnly    bool
	Idempotent     bool
	// Decode decodes the arguments, an object with a member for each field, and encodes
	// them again. strict refuses what their types do not have.
	Decode func(args json.RawMessage, strict bool) (json.RawMessage, error)
	// Replay hands a message back to its run, and sees to it that somebody goes on with
	// that. It reports false where the message was done meanwhile.
	Replay func(ctx context.Context, r RunReplay) (waits bool, err error)
	// Discarded sees to it that somebody goes on with a run that has been posted, under
	// an id, that a letter of it is discarded; nil: who looks next does.
	Discarded func(ctx context.Context, r LetterRun, posted string)
	// Moved reports whether a node of the workflow may be called otherwise now, and Now
	// says what the one of a letter is; nil: none is.
	Moved func(node string) bool
	Now   func(ctx context.Context, r LetterRun, node string) (NodeNow, error)
}

// RunReplay is a message that is handed back to its run.
type RunReplay struct {
	Letter string
	Run    LetterRun
	Replay int             // number of the replay, from 1
	Args   json.RawMessage // nil: as they were
	Key    string          // idempotency key
}

// ErrHandedOver says that a replay ended before the run had done the message, which
// it will: its letter counts as replayed until the run says otherwise.
var ErrHandedOver = errors.New("its run has the message, and has not done it yet")

// replayHandedOver is the outcome of such a replay.
const replayHandedOver = "handed_over"

// NodeLetters keeps the failed messages of one node. It is safe for concurrent use.
type NodeLetters struct {
	box *LetterBox
	m   *letterMethod
}

// NodeLetters has the failed messages of a node kept. [ErrNoStore]: nowhere. Its
// letters have no age and no number: they live as long as the run that waits for
// them.
func (rt *Runtime) NodeLetters(n NodeMethod) (*NodeLetters, error) {
	b := rt.DeadLetters()
	conf := DeadLetterPolicy{Queue: n.Queue, MaxAge: None, MaxCount: None, MaxBytes: None}
	m := &letterMethod{guard: n.Guard, iface: n.Workflow, method: n.Node, conf: conf.withDefaults(n.Workflow + "." + n.Node),
		sig: runSig + n.Sig, schema: n.Schema, fields: n.Fields, inspectOnly: n.InspectOnly, idempotent: true, replays: !n.InspectOnly,
		fromPolicy: LetterPolicy{Gen: "1"}}
	if m.guard == nil {
		m.guard = &Guard{rt: b.rt, name: n.Workflow + "/" + n.Node, method: n.Node, iface: n.Workflow, wrapper: n.Workflow}
	}
	m.again = func(args json.RawMessage) (json.RawMessage, error) { return n.Decode(args, true) }
	m.loosely = func(args json.RawMessage) (json.RawMessage, error) { return n.Decode(args, false) }
	m.replay = func(ctx context.Context, args json.RawMessage, _ bool) error { return b.replayMessage(ctx, &n, args) }
	var err error
	if m.redactor, err = newRedactor(n.Redact, b.hashKey); err == nil {
		err = b.admitNode(m, n.Guard != nil)
	}
	if err != nil {
		return nil, fmt.Errorf("%s.%s: letters: %w", n.Workflow, n.Node, err)
	}
	b.knowsWorkflow(&n)
	b.resumeLater()
	return &NodeLetters{b, m}, nil
}

// admitNode is admit for a node, which need not have a guard of its own.
func (b *LetterBox) admitNode(m *letterMethod, guarded bool) error {
	if err := b.admit(m); err != nil || !guarded {
		return err
	}
	b.rt.keepLetters(m)
	return nil
}

// replayMessage hands a message back to its run, and waits for what becomes of it
// there. What that is the run has written to the letter before.
func (b *LetterBox) replayMessage(ctx context.Context, n *NodeMethod, args json.RawMessage) error {
	r, _ := ctx.Value(replayKey{}).(*replaying)
	if r == nil {
		return errors.New("no replay of a letter")
	}
	l, err := b.Get(ctx, r.id)
	if err != nil {
		return err
	}
	if l.Run == nil {
		return fmt.Errorf("letter %s is of no run", r.id)
	}
	heard, forget := b.board.listen(l.ID)
	defer forget()
	again := RunReplay{Letter: l.ID, Run: *l.Run, Replay: r.nth, Key: l.Call.IdemKey}
	_, carried, err := b.methodOf(ctx, &l)
	if err != nil {
		return err
	}
	if len(l.Edits) > 0 || l.Call.Sig != runSig+n.Sig && !carried {
		again.Args = args
	}
	waits, err := n.Replay(ctx, again)
	if err != nil || !waits {
		return err
	}
	return b.awaitRun(ctx, r, letterKey(l.Queue, l.ID), heard)
}

// awaitRun waits until the run has written to a letter what became of a replay.
func (b *LetterBox) awaitRun(ctx context.Context, r *replaying, key string, heard <-chan struct{}) error {
	for rest := 20 * time.Millisecond; ; rest = min(2*rest, time.Second) {
		v, err := b.rt.values()
		var l Letter
		if err == nil {
			l, err = readLetter(ctx, v, key)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		switch {
		case err == nil && len(l.Replays) >= r.nth && l.Replays[r.nth-1].Outcome == ReplayFailed:
			r.fail(l.failureOf())
			return errors.New(l.Err())
		case err == nil && len(l.Replays) >= r.nth:
			return nil
		}
		t := time.NewTimer(rest)
		select {
		case <-heard:
			heard = nil // it is closed: were it asked again, this would never rest
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return ErrHandedOver
		} else if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// FailedMessage is a message that a node could not do.
type FailedMessage struct {
	Letter string // see [RunLetterID]
	Run    LetterRun
	Args   json.RawMessage // an object with a member for each field
	Key    string          // idempotency key
	Taken  Taken           // by the call of the node
	Panic  any             // what the node panicked with; nil: it did not
}

// Letter returns the letter of a message that failed with err, which nobody sees
// until it is given to [NodeLetters.Publish]. Where the arguments cannot be written it
// is without them.
func (n *NodeLetters) Letter(ctx context.Context, f FailedMessage, err error) (json.RawMessage, error) {
	c := Call{attempts: int32(min(f.Taken.Attempts, 1<<30))}
	if f.Taken.failed != nil {
		c = *f.Taken.failed
	}
	c.caller = context.WithoutCancel(ctx)
	reason, ok := n.m.reasonOf(&c, err)
	switch {
	case f.Panic != nil:
		reason, err = ReasonPanic, &panicked{f.Panic, panicStack(f.Panic)}
	case !ok:
		reason = ReasonDeadline
	}
	l, _ := n.box.letterOf(n.m, &c, f.Args, reason, err)
	l.ID, l.Run, l.Call.IdemKey = f.Letter, &f.Run, f.Key
	if n.box.o.Sealer != nil { // what is sealed is bound to the id
		l.Call.Args, _, _ = n.box.redact(ctx, n.m, l, f.Args)
	}
	return json.Marshal(l)
}

// Publish makes what [NodeLetters.Letter] returned a letter that is seen, once the
// record of the run that names it is durable. replay is the number of the replay that
// failed, 0 where the message failed for the first time. It may be asked again.
func (n *NodeLetters) Publish(ctx context.Context, letter json.RawMessage, replay int) error {
	var l Letter
	if err := json.Unmarshal(letter, &l); err != nil {
		return fmt.Errorf("letter of a run: %w", err)
	}
	if replay > 0 {
		return n.settle(ctx, l.Queue, l.ID, replay, &l)
	}
	ctx, cancel := durably(ctx)
	defer cancel()
	_ = n.box.load(ctx) // a store that cannot be read may take a letter all the same
	_, err := n.box.change(ctx, Letter{ID: l.ID, Queue: l.Queue}, letterRecord{Letter: &l})
	if errors.Is(err, ErrConflict) { // it is there: the index, too, is to know it
		return n.write(ctx, l.Queue, l.ID, func(*Letter) *LetterTransition { return nil })
	}
	if err != nil {
		return fmt.Errorf("letter %s of %s: %w", l.ID, l.Queue, err)
	}
	name := below(n.m.guard.iface, l.Call.Method) + l.Call.Instance // n may be of another node of the run
	n.box.tell(ctx, Event{Kind: LetterKept, Name: name, Attempt: l.AttemptCount, Reason: string(l.Reason), Key: l.ID, Value: l.Queue})
	n.box.news.tell()
	return nil
}

// Replayed says that a replay of a letter of queue did what the message was for, also
// where it had been done meanwhile.
func (n *NodeLetters) Replayed(ctx context.Context, queue, id string, replay int) error {
	return n.settle(ctx, queue, id, replay, nil)
}

// Discarded says that the run goes on without the message.
func (n *NodeLetters) Discarded(ctx context.Context, queue, id, by, why string) error {
	return n.write(ctx, queue, id, func(l *Letter) *LetterTransition {
		if !slices.Contains(letterMoves[n.box.presentState(l.State, l.Claim)], LetterDiscarded) {
			return nil
		}
		return &LetterTransition{To: LetterDiscarded, By: by, Why: why}
	})
}

// settle writes how a replay ended: with failed, or well.
func (n *NodeLetters) settle(ctx context.Context, queue, id string, replay int, failed *Letter) error {
	defer n.box.board.answer(id)
	return n.write(ctx, queue, id, func(l *Letter) *LetterTransition {
		r := LetterReplay{At: l.Claim.At, JobID: l.Claim.JobID, EditRev: len(l.Edits), Mode: "policy", Outcome: ReplaySucceeded}
		if replay <= len(l.Replays) { // who replayed has gone: it was handed over, or is in doubt no more
			old := l.Replays[replay-1]
			r.At, r.JobID = old.At, old.JobID
		}
		over := slices.ContainsFunc(l.Replays, func(have LetterReplay) bool {
			return have.JobID == r.JobID && have.At.Equal(r.At) && (have.Outcome == ReplaySucceeded || have.Outcome == ReplayFailed)
		})
		if over || l.State == LetterDiscarded || failed == nil && l.State == LetterReplayed {
			return nil
		}
		t := &LetterTransition{To: LetterReplayed, JobID: r.JobID, Claim: LetterClaim{JobID: r.JobID}, Replay: &r}
		if failed == nil {
			return t
		}
		t.To, t.Failure = LetterDead, failed.failureOf()
		r.Outcome, r.ErrFP = ReplayFailed, failed.Group
		if n.m.spent(l) {
			t.To, t.Why = LetterQuarantined, fmt.Sprintf("%d replays failed", n.m.conf.MaxReplays)
		}
		return t
	})
}

// write appends the transition that decide makes of what a letter is, until nobody
// comes between. A letter that is gone has nothing to be told.
func (n *NodeLetters) write(ctx context.Context, queue, id string, decide func(*Letter) *LetterTransition) error {
	ctx, cancel := durably(ctx)
	defer cancel()
	_ = n.box.load(ctx)
	for {
		v, err := n.box.rt.values()
		if err != nil {
			return err
		}
		l, err := readLetter(ctx, v, letterKey(queue, id))
		if errors.Is(err, ErrNoLetter) {
			return nil
		}
		if err != nil {
			return err
		}
		t := decide(&l)
		if t == nil {
			n.box.recalled(ctx, l)
			return nil
		}
		t.At = time.Now().Round(0).UTC()
		if _, err = n.box.change(ctx, l, letterRecord{Transition: t}); !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

// runNews is what a run hears of a letter.
type runNews struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	At      time.Time `json:"at"`
	By      string    `json:"by,omitempty"`
	Why     string    `json:"why,omitempty"`
	Message string    `json:"message"`
	Letter  string    `json:"letter"`
}

// tellRun tells the run of a letter, if it has one, that it will not be replayed. It
// comes before the word in the letter: the run that hears it writes that, too.
func (b *LetterBox) tellRun(ctx context.Context, l *Letter, by, why string) error {
	if l.Run == nil {
		return nil
	}
	news := runNews{ID: l.newsID(), Kind: "discard", At: time.Now().UTC(), By: by, Why: why, Message: l.Run.Message, Letter: l.ID}
	body, err := json.Marshal(news)
	if err == nil {
		err = b.rt.Post(ctx, l.Run.Inbox, news.ID, body)
	}
	if err != nil {
		return fmt.Errorf("letter %s: tell run %s: %w", l.ID, l.Run.ID, err)
	}
	return nil
}

// newsID is the id under which a run hears that a letter, as it is, is discarded.
func (l *Letter) newsID() string { return fmt.Sprintf("discard/%s/%d", l.ID, l.Rev) }

// tellRuns is tellRun for letters that are about to be dropped.
func (b *LetterBox) tellRuns(ctx context.Context, v values, list []doomed) error {
	for _, d := range list {
		if !strings.HasPrefix(d.Sig, runSig) || !d.open() {
			continue
		}
		l, err := readLetter(ctx, v, letterKey(d.Queue, d.ID))
		if err == nil {
			err = b.tellRun(ctx, &l, "", cmp.Or(d.why, "dropped"))
		}
		if err != nil && !errors.Is(err, ErrNoLetter) && !errors.Is(err, errBadLetter) {
			return err
		}
	}
	return nil
}

// listen returns what is closed when the run of a letter has said what became of it.
func (j *jobBoard) listen(letter string) (heard <-chan struct{}, forget func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.answers == nil {
		j.answers = map[string]chan struct{}{}
	}
	c := make(chan struct{})
	j.answers[letter] = c
	return c, func() { j.answer(letter) }
}

func (j *jobBoard) answer(letter string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c := j.answers[letter]; c != nil {
		close(c)
		delete(j.answers, letter)
	}
}
