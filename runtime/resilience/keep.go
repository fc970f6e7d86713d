package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrDeadLettered is matched by the error of a call that was kept as a letter.
var ErrDeadLettered error = &sentinel{"dead-lettered"}

// KeptError is the error of a call that was kept as a letter.
type KeptError struct {
	ID, Queue string
	Err       error // of the call
}

func (e *KeptError) Error() string {
	return fmt.Sprintf("%v (kept as letter %s of %s)", e.Err, e.ID, e.Queue)
}

// Unwrap returns [ErrDeadLettered] and the error of the call.
func (e *KeptError) Unwrap() []error { return []error{ErrDeadLettered, e.Err} }

// WriteError says that a call could not be kept. It stands beside the error of the
// call.
type WriteError struct {
	ID, Queue string
	Err       error // of the store
}

func (e *WriteError) Error() string {
	return fmt.Sprintf("letter %s of %s was not kept: %v", e.ID, e.Queue, e.Err)
}

func (e *WriteError) Unwrap() error { return e.Err }

// DeadLetters keeps the failed calls of one method, whose arguments are an A. It
// is safe for concurrent use.
type DeadLetters[A any] struct {
	box *LetterBox
	m   *letterMethod
}

// letterMethod is a method whose calls are kept. It never changes.
type letterMethod struct {
	guard         *Guard
	iface, method string
	instance      string
	conf          DeadLetterPolicy // every default filled in
	sig, schema   string
	fields        []LetterField
	redact        []Redaction
	inspectOnly   bool
	idempotent    bool
	replays       bool // there is a func for it
	fromPolicy    LetterPolicy
	// replay makes a call with the arguments of the JSON object args: through the
	// policy, or directly.
	replay func(ctx context.Context, args json.RawMessage, direct bool) error
	// again decodes args strictly and encodes them again: what is lost is gone there.
	again func(args json.RawMessage) (json.RawMessage, error)
	order func(args json.RawMessage) (string, error)
}

// NewDeadLetters has the failed calls of a method of w kept. Its guard must be
// there. What is wrong is said by [Wrapper.Err]: a Runtime without a store is.
func NewDeadLetters[A any](w *Wrapper, method string, p DeadLetterPolicy, m LetterMethod[A]) *DeadLetters[A] {
	d := &DeadLetters[A]{box: w.rt.DeadLetters()}
	d.m = newLetterMethod(w, method, p, m)
	if err := d.box.admit(d.m); err != nil {
		w.errs = append(w.errs, fmt.Errorf("%s.%s: deadLetter: %w", w.name, method, err))
	}
	return d
}

func newLetterMethod[A any](w *Wrapper, method string, p DeadLetterPolicy, m LetterMethod[A]) *letterMethod {
	kept := &letterMethod{
		guard: w.rt.guardNamed(w.name + "." + method + w.instance), iface: fullName(w.pkg, w.name), method: method, instance: w.instance,
		conf: p.withDefaults(w.name + "." + method), sig: m.Sig, schema: m.Schema, fields: m.Fields, redact: m.Redact,
		inspectOnly: m.InspectOnly, idempotent: m.Idempotent, replays: m.Replay != nil && !m.InspectOnly,
		fromPolicy: LetterPolicy{Name: p.Name, File: p.File, Gen: "1"},
	}
	kept.replay = func(ctx context.Context, args json.RawMessage, direct bool) error {
		var a A
		if err := decodeArgs(args, &a); err != nil {
			return err
		}
		if direct {
			return m.Direct(ctx, a)
		}
		return m.Replay(ctx, a)
	}
	kept.again = func(args json.RawMessage) (json.RawMessage, error) {
		var a A
		if err := decodeArgs(args, &a); err != nil {
			return nil, err
		}
		return json.Marshal(&a)
	}
	if m.OrderKey != nil {
		kept.order = func(args json.RawMessage) (string, error) {
			var a A
			err := decodeArgs(args, &a)
			if err != nil {
				return "", err
			}
			return m.OrderKey(&a), nil
		}
	}
	return kept
}

func (p DeadLetterPolicy) withDefaults(method string) DeadLetterPolicy {
	fill(&p.Queue, method)
	fill(&p.MaxReplays, 3)
	fill(&p.MaxAge, 30*24*time.Hour)
	fill(&p.KeepReplayed, 24*time.Hour)
	fill(&p.MaxCount, 100_000)
	fill(&p.MaxBytes, 256<<20)
	fill(&p.Overflow, OverflowDropOldest)
	fill(&p.BlockTimeout, time.Second)
	return p
}

// admit registers a method.
func (b *LetterBox) admit(m *letterMethod) error {
	if _, err := b.rt.values(); err != nil {
		return err
	}
	if m.guard == nil {
		return errors.New("the method has no guard")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.methods[m.iface+"."+m.method+m.instance] = m
	return nil
}

// guardNamed returns a guard of rt, nil if there is none.
func (rt *Runtime) guardNamed(name string) *Guard {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	for _, g := range rt.guards {
		if g.name == name {
			return g
		}
	}
	return nil
}

// fullName is the name of an interface with the path of its package.
func fullName(pkg, name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '.' {
			return pkg + name[i:]
		}
	}
	return pkg + "." + name
}

// Keep keeps a call that failed with err, and returns that as a [*KeptError].
// Where the store fails, err comes beside a [*WriteError]; in both cases errors.Is
// and errors.As find in it what they find in err. It is returned as it is where
// the policy does not want it, the caller cancelled the call, or what is durable
// is switched off. Keep does not use the caller's context, which has often just
// ended, and returns when the letter is durable.
func (d *DeadLetters[A]) Keep(call *Call, args A, err error) error {
	if err == nil {
		return nil
	}
	reason, ok := d.m.reasonOf(call, err)
	if !ok {
		return err
	}
	return d.box.keep(d.m, call, &args, reason, err)
}

func (b *LetterBox) keep(m *letterMethod, c *Call, args any, reason Reason, err error) error {
	if !m.conf.When.has(reason) || !b.rt.isDurable(m.guard.name, m.guard.method, m.guard.wrapper, m.guard.iface) {
		return err
	}
	l := b.letterOf(m, c, reason, err)
	body, failed := json.Marshal(args)
	if failed == nil {
		failed = l.put(m, body)
	}
	if failed == nil {
		failed = b.write(c.caller, l)
	}
	if failed != nil {
		return errors.Join(err, &WriteError{l.ID, l.Queue, failed})
	}
	return &KeptError{l.ID, l.Queue, err}
}

// write makes a letter durable, and known.
func (b *LetterBox) write(ctx context.Context, l *Letter) error {
	_, err := b.change(ctx, Letter{ID: l.ID, Queue: l.Queue}, letterRecord{Letter: l})
	return err
}

// reasonOf says why a call failed; false if its caller cancelled it.
func (m *letterMethod) reasonOf(c *Call, err error) (Reason, bool) {
	kinds := c.kinds
	if c.plan == nil { // switched off: nobody has looked
		kinds, _ = m.guard.policy.Errors.kindsOf(err)
	}
	switch {
	case c.caller.Err() != nil && (c.plan == nil || kinds&(KindCanceled|KindCallerDeadline) != 0):
		return ReasonDeadline, errors.Is(c.caller.Err(), context.DeadlineExceeded)
	case kinds&KindCallerDeadline != 0:
		return ReasonDeadline, true
	case kinds&KindCircuitOpen != 0:
		return ReasonBreakerOpen, true
	case kinds&(KindBulkheadFull|KindRateLimited) != 0 || c.ended == adaptivePart:
		return ReasonRejected, true
	case kinds&KindPermanent != 0:
		return ReasonPermanent, true
	case c.ended == timeoutPart || kinds&KindTimeout != 0:
		return ReasonDeadline, true
	case c.ended == budgetPart || kinds&KindBudgetExhausted != 0:
		return ReasonBudget, true
	}
	return ReasonExhausted, true
}

// letterOf returns the letter of a call, without its arguments.
func (b *LetterBox) letterOf(m *letterMethod, c *Call, reason Reason, err error) *Letter {
	now := time.Now()
	l := &Letter{
		V: letterFormat, ID: newLetterID(now), Queue: m.conf.Queue, State: LetterDead, Reason: reason,
		Call:   LetterCall{Interface: m.iface, Method: m.method, Instance: m.instance, Sig: m.sig},
		Policy: m.fromPolicy, Errors: errorTree(err, &m.guard.policy.Errors),
		AttemptCount: int(c.attempts), First: now, Last: now, DeadAt: now,
	}
	if c.start != 0 {
		l.First = now.Add(c.start - sinceEpoch())
	}
	if m.conf.MaxAge > 0 {
		l.ExpiresAt = now.Add(m.conf.MaxAge)
	}
	l.Call.IdemKey, _ = IdempotencyKey(c.caller)
	if trace := b.o.Trace; trace != nil {
		l.Trace.Parent, l.Trace.State = trace(c.caller)
	}
	return l
}

// put puts the arguments into l: a JSON object with a member for each.
func (l *Letter) put(m *letterMethod, object []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		return err
	}
	for _, f := range m.fields {
		arg := LetterArg{Name: f.Name, Type: f.Type, JSON: members[f.Name]}
		if arg.JSON == nil {
			arg.JSON = json.RawMessage("null")
		}
		l.Call.Args = append(l.Call.Args, arg)
	}
	return nil
}

// Panicked keeps a call whose delegate panicked with value. It is called by a
// deferred func that recovered and panics again.
func (d *DeadLetters[A]) Panicked(call *Call, args A, value any) {
	_ = d.box.keep(d.m, call, &args, ReasonPanic, &panicked{value}) // the panic goes on
}

// panicked is what a delegate panicked with.
type panicked struct{ value any }

func (p *panicked) Error() string { return fmt.Sprint(p.value) }

// Unwrap returns the value if it is an error.
func (p *panicked) Unwrap() error {
	err, _ := p.value.(error)
	return err
}

// Get returns a letter of the method and its arguments.
func (d *DeadLetters[A]) Get(ctx context.Context, id string) (A, Letter, error) {
	var args A
	l, err := d.box.Get(ctx, id)
	if err != nil {
		return args, l, err
	}
	if l.Call.Interface != d.m.iface || l.Call.Method != d.m.method {
		return args, l, fmt.Errorf("letter %s is one of %s.%s", id, l.Call.Interface, l.Call.Method)
	}
	object, err := d.box.arguments(ctx, &l)
	if err == nil {
		err = decodeArgs(object, &args)
	}
	return args, l, err
}

// arguments returns the arguments of l as one JSON object.
func (b *LetterBox) arguments(_ context.Context, l *Letter) (json.RawMessage, error) {
	out := []byte{'{'}
	for i, a := range l.Call.Args {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := json.Marshal(a.Name)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, name...), ':'), a.JSON...)
	}
	return append(out, '}'), nil
}

// List is [LetterBox.List] for the letters of the method.
func (d *DeadLetters[A]) List(ctx context.Context, q LetterQuery) (LetterPage, error) {
	return d.box.List(ctx, q)
}
