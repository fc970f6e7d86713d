package resilience

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// CheckpointPolicy says how results of a method are kept. The generator writes it.
type CheckpointPolicy struct {
	TTL        time.Duration // how long a result answers; default 24h; [None]: for ever
	OnMismatch OnMismatch    // what happens where a kept result cannot be read
	Type       string        // of the result, for people
	Shape      string        // fingerprint of the type; see [Upcast]

	SecretKey   bool // the key is made from what is secret: only its hash is stored
	SecretArgs  bool // the arguments hold secrets: only a keyed hash of them is stored
	SecretValue bool // the result holds secrets: it is sealed
}

// OnMismatch is what happens where a kept result is of another type, or damaged.
type OnMismatch uint8

// What happens on a mismatch.
const (
	_         OnMismatch = iota // not given: Refuse
	Refuse                      // the call fails
	Recompute                   // the delegate is called, and its result replaces the kept one
)

// Errors of checkpoints, matched with errors.Is.
var (
	// ErrCheckpointType says that a result was kept when its type had another shape.
	// [Upcast] makes it one of today's.
	ErrCheckpointType error = &sentinel{"checkpoint of another type"}
	// ErrCheckpointArgs says that a key was used before with other arguments.
	ErrCheckpointArgs error = &sentinel{"checkpoint of other arguments"}
	// ErrCheckpointDamaged says that what was kept cannot be read.
	ErrCheckpointDamaged error = &sentinel{"checkpoint damaged"}
	// ErrCheckpointStore says that the store does not answer, or is known not to
	// take anything: the delegate was not called.
	ErrCheckpointStore error = &sentinel{"no checkpoint can be kept"}
)

// CheckpointError says why a call was refused for its checkpoint. The delegate was
// not called.
type CheckpointError struct {
	Method string // "payments.Gateway.Quote"
	Key    string
	Reason error // one of ErrCheckpoint…
	// Stored and Wanted are the types and shapes of an [ErrCheckpointType].
	Stored, Wanted string
	Err            error // what is behind it; may be nil
}

func (e *CheckpointError) Error() string {
	text := fmt.Sprintf("%s: key %.200q: %v", e.Method, e.Key, e.Reason)
	if e.Stored != "" {
		text += fmt.Sprintf(": stored is a %s, wanted is a %s", e.Stored, e.Wanted)
	}
	if e.Err != nil {
		text += fmt.Sprintf(": %v", e.Err)
	}
	return text
}

// Unwrap returns the reason and what is behind it.
func (e *CheckpointError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Err}
}

// Checkpoints keeps the results of one method, each a V, under keys: what has
// succeeded once is not done again. Its arguments are an A, of which the JSON is
// compared. It is safe for concurrent use. Generated code calls [Checkpoints.Do].
type Checkpoints[V, A any] struct {
	guard *Guard
	conf  CheckpointPolicy
	kept  *checkpointed[V, A]
}

// NewCheckpoints has the results of a method of w kept. Its guard must be there.
// What is wrong is said by [Wrapper.Err]: a Runtime without a store is. same
// reports whether two arguments are equal; it may say no where they are, and is nil
// where they hold pointers, behind which they may change. Instances of one wrapper
// share what is kept, but for those with a name of their own, see [Runtime.Named].
func NewCheckpoints[V, A any](w *Wrapper, method string, p CheckpointPolicy, same func(a, b A) bool) *Checkpoints[V, A] {
	g := w.rt.guardNamed(below(w.name, method) + w.instance)
	c := &Checkpoints[V, A]{guard: g, conf: p}
	err := p.check(w.rt, g)
	if err == nil {
		c.kept = checkpointedOf[V, A](w, method, same)
	}
	if err != nil {
		w.errs = append(w.errs, fmt.Errorf("%s: checkpoint: %w", below(w.name, method), err))
	}
	return c
}

func (p *CheckpointPolicy) check(rt *Runtime, g *Guard) error {
	_, err := rt.values()
	switch {
	case err != nil:
		return err
	case g == nil:
		return errors.New("the method has no guard")
	case p.SecretKey && len(rt.letterOptions.HashKey) == 0:
		return errors.New("the key is made from a secret, and its hash needs Options.Letters.HashKey")
	case p.SecretValue && rt.letterOptions.Sealer == nil:
		return errors.New("the result holds a secret, and is sealed by Options.Letters.Sealer")
	}
	return nil
}

// Do returns the result that is kept under key. If there is none it calls f, and
// keeps what succeeds, which a result that is judged bad is not. Calls with one key
// share an execution; each gets a value of its own, if it was recorded. The execution has the values of the first one's context and ends when
// everybody has left; a caller that leaves does not end it for the others, and gets
// the error of its own context. f must not touch what its caller may change
// meanwhile. A panic of f is raised again by every call as a *[PanicError], its
// Goexit repeated.
//
// What is kept may have been so by another process, long ago. A key that comes with
// other arguments than before is refused, and so is what is kept for another type,
// with a [*CheckpointError]. If the store does not answer, or failed to take the
// last result and still fails, f is not called. A result that cannot be kept all the
// same is returned, and an [Event] tells of it.
//
// A call from within f for its own key would wait for itself: it calls its f. While
// what is durable is switched off, f is simply called; the switch of the guard does
// not matter.
func (c *Checkpoints[V, A]) Do(ctx context.Context, key string, args A, f func(context.Context) (V, Outcome)) (V, Outcome) {
	if ctx == nil {
		ctx = context.Background()
	}
	if !c.guard.durable() {
		return f(ctx)
	}
	switch {
	case c.conf.SecretKey:
		key = hmacOf(c.guard.rt.letterOptions.HashKey, []byte(key))
	case !utf8.ValidString(key): // JSON would make another key of it
		key = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(key)))
	}
	return c.under(ctx, key, args, f)
}

// under is Do for a key as it stands in the store.
func (c *Checkpoints[V, A]) under(ctx context.Context, key string, args A, f func(context.Context) (V, Outcome)) (V, Outcome) {
	if h := c.kept.recall(key); h != nil {
		return c.answer(ctx, key, h, args)
	}
	if ctx.Err() != nil {
		var zero V
		return zero, c.guard.endedBy(ctx, ctx.Err(), leftKind(ctx))
	}
	return c.share(ctx, key, args, f)
}

// answer returns the result that is remembered, decoded anew: callers may change
// what they get.
func (c *Checkpoints[V, A]) answer(ctx context.Context, key string, h *remembered[A], args A) (v V, o Outcome) {
	if !c.kept.matches(c.conf, h, args) {
		return c.refuse(ctx, key, &CheckpointError{Reason: ErrCheckpointArgs})
	}
	if err := json.Unmarshal(h.value, &v); err != nil {
		return c.refuse(ctx, key, &CheckpointError{Reason: ErrCheckpointDamaged, Err: err})
	}
	c.kept.hits.add()
	c.tell(ctx, Event{Kind: CheckpointUsed})
	return v, Outcome{caller: ctx}
}

// share returns what the execution for key comes to, begun if there is none.
func (c *Checkpoints[V, A]) share(ctx context.Context, key string, args A, f func(context.Context) (V, Outcome)) (v V, o Outcome) {
	hash, err := c.kept.hash(c.conf, args)
	if err != nil {
		return c.refuse(ctx, key, &CheckpointError{Reason: ErrCheckpointArgs, Err: fmt.Errorf("they cannot be encoded: %w", err)})
	}
	fl, first := c.join(ctx, key, hash, args, f)
	switch {
	case fl == nil:
		return c.under(ctx, key, args, f) // it is remembered by now
	case fl.around(ctx):
		return f(ctx)
	case !sameArgs(fl.args, hash):
		return c.refuse(ctx, key, &CheckpointError{Reason: ErrCheckpointArgs, Err: errors.New("a call with others is under way")})
	}
	if c.kept.wait(ctx, c.guard.rt, key, fl) {
		return v, c.guard.endedBy(ctx, ctx.Err(), leftKind(ctx))
	}
	if fl.text != nil && !first { // one of its own, since callers may change what they get
		c.kept.hits.add()
		c.tell(ctx, Event{Kind: CheckpointUsed})
		return v, Outcome{caller: ctx, err: json.Unmarshal(fl.text, &v)}
	}
	v, o = fl.result()
	return v, o.under(ctx)
}

// join returns the execution for key, and whether it was begun for this call. It
// is nil where the result is remembered meanwhile.
func (c *Checkpoints[V, A]) join(ctx context.Context, key, hash string, args A, f func(context.Context) (V, Outcome)) (fl *flight[V], first bool) {
	k := c.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.find(key) != nil {
		return nil, false
	}
	if fl := k.flights[key]; fl != nil {
		if !fl.around(ctx) && sameArgs(fl.args, hash) {
			fl.waiting++
			k.shared.Add(1)
		}
		return fl, false
	}
	fl, ctx = k.begin(ctx, key)
	fl.args = hash
	work := func(ctx context.Context) (V, Outcome) { return c.perform(ctx, fl, key, args, f) }
	go fl.execute(ctx, work, func() { k.end(ctx, k.rt, c.guard.name, key, fl, func() {}) })
	return fl, true
}

// perform is the work of fl: it returns the result that the store has, or executes f
// and records what it comes to.
func (c *Checkpoints[V, A]) perform(ctx context.Context, fl *flight[V], key string, args A, f func(context.Context) (V, Outcome)) (v V, o Outcome) {
	r, err := c.kept.load(ctx, key)
	if err != nil {
		return c.unusable(ctx, key, err)
	}
	if r.Version != 0 {
		h, v, refused := c.restore(ctx, r, fl.args)
		switch {
		case refused == nil && h != nil:
			h.args, h.has, fl.text = args, true, h.value
			c.kept.remember(key, h)
			c.kept.hits.add()
			c.tell(ctx, Event{Kind: CheckpointUsed})
			return v, Outcome{caller: ctx}
		case refused != nil && (c.conf.OnMismatch != Recompute || refused.Reason == ErrCheckpointArgs):
			return c.refuse(ctx, key, refused)
		case refused != nil:
			refused.Method, refused.Key = c.guard.name, key
			c.tell(ctx, Event{Kind: CheckpointRefused, Reason: "recomputed", Err: refused})
		}
	}
	if err := c.kept.usable(ctx); err != nil {
		return c.unusable(ctx, key, err)
	}
	c.kept.executions.Add(1)
	v, o = f(ctx)
	if o.err == nil && !o.poor {
		fl.text = c.keep(ctx, r, key, fl.args, args, v, o)
	}
	return v, o
}

// unusable refuses a call for a store that fails, unless it is its caller who ended
// it.
func (c *Checkpoints[V, A]) unusable(ctx context.Context, key string, err error) (v V, o Outcome) {
	if ctx.Err() != nil {
		return v, c.guard.endedBy(ctx, ctx.Err(), leftKind(ctx))
	}
	return c.refuse(ctx, key, &CheckpointError{Reason: ErrCheckpointStore, Err: err})
}

// restore makes a value of a record, nil if it is too old.
func (c *Checkpoints[V, A]) restore(ctx context.Context, r Record, hash string) (h *remembered[A], v V, refused *CheckpointError) {
	damaged := func(err error) (*remembered[A], V, *CheckpointError) {
		return nil, v, &CheckpointError{Reason: ErrCheckpointDamaged, Err: err}
	}
	cp, err := decodeCheckpoint(r)
	if err != nil {
		return damaged(err)
	}
	now := c.kept.rt.wall.now()
	if cp.Expired(now) {
		return nil, v, nil
	}
	if !sameArgs(cp.Args, hash) {
		return nil, v, &CheckpointError{Reason: ErrCheckpointArgs}
	}
	value, err := cp.open(ctx, c.kept.sealer(c.conf, cp))
	if err != nil {
		return damaged(err)
	}
	if cp.Shape != c.conf.Shape {
		up := c.kept.rt.upcast(cp.Shape)
		if up == nil {
			return nil, v, &CheckpointError{Reason: ErrCheckpointType, Stored: cp.Type + " of shape " + cp.Shape, Wanted: c.conf.Type + " of shape " + c.conf.Shape}
		}
		if value, err = up(value); err != nil {
			return damaged(err)
		}
	}
	if err := decodeStrict(value, &v); err != nil {
		return damaged(err)
	}
	return &remembered[A]{hash: cp.Args, value: value, until: cp.until(now)}, v, nil
}

// until returns when c is too old, since epoch.
func (c *Checkpoint) until(now time.Time) time.Duration {
	if c.TTL == 0 {
		return never
	}
	return after(sinceEpoch(), c.At.Add(c.TTL).Sub(now))
}

// maxRecording is how long recording may take.
const maxRecording = 10 * time.Second

// keep records a result after the record r of its key and returns it as it is
// recorded, or tells that it is not. Its caller may have left: what was done was done.
func (c *Checkpoints[V, A]) keep(ctx context.Context, r Record, key, hash string, args A, v V, o Outcome) json.RawMessage {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxRecording)
	defer cancel()
	h, err := c.record(ctx, r, key, hash, v, o)
	if err != nil {
		c.kept.lost.Add(1)
		c.tell(ctx, Event{Kind: CheckpointNotKept, Attempt: int(o.tries), Err: err})
		return nil
	}
	h.args, h.has = args, true
	c.kept.remember(key, h)
	if c.kept.recorded.Add(1)%sweepEvery == 0 {
		c.kept.sweep(ctx)
	}
	c.tell(ctx, Event{Kind: CheckpointKept, Attempt: int(o.tries)})
	return h.value
}

func (c *Checkpoints[V, A]) record(ctx context.Context, r Record, key, hash string, v V, o Outcome) (*remembered[A], error) {
	value, err := json.Marshal(&v)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(value, []byte(`\ufffd`)) && !bytes.Contains(value, []byte(`\\ufffd`)) {
		return nil, errors.New("it has a string that is not UTF-8, which JSON would change")
	}
	var again V
	if err := decodeStrict(value, &again); err != nil {
		return nil, fmt.Errorf("it could not be read again: %w", err)
	}
	now := c.kept.rt.wall.now()
	cp := &Checkpoint{
		V: checkpointFormat, Interface: c.kept.iface, Method: c.kept.method, Key: key, Type: c.conf.Type, Shape: c.conf.Shape,
		Args: hash, At: now.UTC(), TTL: max(orDuration(c.conf.TTL, 24*time.Hour), 0), Attempts: int(o.tries),
	}
	if err := cp.seal(ctx, c.kept.sealer(c.conf, cp), value); err != nil {
		return nil, err
	}
	if err := c.kept.write(ctx, r, cp); err != nil {
		return nil, err
	}
	return &remembered[A]{hash: hash, value: value, until: cp.until(now)}, nil
}

// refuse ends a call without calling its delegate.
func (c *Checkpoints[V, A]) refuse(ctx context.Context, key string, e *CheckpointError) (v V, o Outcome) {
	e.Method, e.Key = c.guard.name, key
	c.kept.refused.Add(1)
	c.tell(ctx, Event{Kind: CheckpointRefused, Err: e})
	kind := KindPermanent
	if e.Reason == ErrCheckpointStore {
		kind = 0
	}
	return v, c.guard.endedBy(ctx, e, kind)
}

func (c *Checkpoints[V, A]) tell(ctx context.Context, e Event) {
	if o := c.guard.rt.observer; o != nil {
		e.Time, e.Name = time.Now(), c.guard.name
		o.tell(ctx, e)
	}
}

// endedBy is the outcome of a call that err ended before its guard saw it.
func (g *Guard) endedBy(ctx context.Context, err error, kind Kind) Outcome {
	p := g.plan.Load()
	return Outcome{plan: p, caller: ctx, err: err, kinds: kind, falls: p != nil && p.falls(err, kind)}
}
