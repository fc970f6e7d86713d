package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
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
	redactor      *redactor
	inspectOnly   bool
	idempotent    bool
	replays       bool // there is a func for it
	fromPolicy    LetterPolicy
	// replay makes a call with the arguments of the JSON object args: through the
	// policy, or directly.
	replay func(ctx context.Context, args json.RawMessage, direct bool) error
	// again decodes args strictly and encodes them again: what is lost is gone there.
	again func(args json.RawMessage) (json.RawMessage, error)
	// loosely is again for arguments of other types: what there is no field for is lost.
	loosely func(args json.RawMessage) (json.RawMessage, error)
	order   func(args json.RawMessage) (string, error)
	// store has those arguments kept that letters refer to; nil: there are none.
	store func(ctx context.Context, args any) []unstored
}

// NewDeadLetters has the failed calls of a method of w kept. Its guard must be
// there. What is wrong is said by [Wrapper.Err]: a Runtime without a store is.
func NewDeadLetters[A any](w *Wrapper, method string, p DeadLetterPolicy, m LetterMethod[A]) *DeadLetters[A] {
	d := &DeadLetters[A]{box: w.rt.DeadLetters()}
	d.m = newLetterMethod(w, method, p, m)
	var err error
	if d.m.redactor, err = newRedactor(m.Redact, d.box.hashKey); err == nil {
		err = d.box.admit(d.m)
	}
	if err != nil {
		w.errs = append(w.errs, fmt.Errorf("%s.%s: deadLetter: %w", w.name, method, err))
	}
	w.ready = d.box.resumeLater // and not before: a job may call the wrapper
	return d
}

func newLetterMethod[A any](w *Wrapper, method string, p DeadLetterPolicy, m LetterMethod[A]) *letterMethod {
	kept := &letterMethod{
		guard: w.rt.guardNamed(below(w.name, method) + w.instance), iface: fullName(w.pkg, w.name), method: method, instance: w.instance,
		conf: p.underPreset(w, method).withDefaults(w.name + "." + method), sig: m.Sig, schema: m.Schema, fields: m.Fields,
		inspectOnly: m.InspectOnly, idempotent: m.Idempotent, replays: m.Replay != nil && !m.InspectOnly,
		fromPolicy: LetterPolicy{Name: p.Name, File: p.File, Gen: "1"},
	}
	kept.replay = func(ctx context.Context, args json.RawMessage, direct bool) error {
		var a A
		if err := decodeArgs(args, &a); err != nil {
			return err
		}
		if err := getRefs(ctx, m.Refs, &a); err != nil {
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
	kept.loosely = func(args json.RawMessage) (json.RawMessage, error) {
		var a A
		if err := json.Unmarshal(args, &a); err != nil {
			return nil, fmt.Errorf("arguments: %w", err)
		}
		return json.Marshal(&a)
	}
	if len(m.Refs) > 0 {
		kept.store = func(ctx context.Context, args any) []unstored { return putRefs(ctx, m.Refs, args.(*A)) }
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
	if b.broken != nil {
		return b.broken
	}
	// JSON would change them, and the letter would say that it is another's.
	for _, name := range []string{m.conf.Queue, m.iface, m.method, m.instance} {
		if !utf8.ValidString(name) {
			return fmt.Errorf("letters of %.100q: the name is not UTF-8", name)
		}
	}
	b.mu.Lock()
	b.methods[m.iface+"."+m.method+m.instance] = m
	b.queue(m.conf.Queue).limit(&m.conf)
	b.mu.Unlock()
	b.rt.keepLetters(m)
	return nil
}

// keepLetters has calls of the guard of m remember their attempts.
func (rt *Runtime) keepLetters(m *letterMethod) {
	defer rt.tellNews()
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.lettered == nil {
		rt.lettered = map[*Guard]bool{}
	}
	rt.lettered[m.guard], rt.errFP = true, errFP
	m.guard.plan.Store(rt.compile(m.guard))
}

// runningHash is the hash of the policy of g that is in force.
func (rt *Runtime) runningHash(g *Guard) string {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.inForce(g, rt.overrides).hash()
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
	if r := m.replayOf(c.caller); r != nil {
		l, _ := b.letterOf(m, c, args, reason, err)
		r.fail(l.failureOf())
		return &KeptError{r.id, r.queue, err}
	}
	if !m.conf.When.has(reason) || !m.guard.durable() {
		return err
	}
	var missing []unstored
	if m.store != nil {
		missing = m.store(c.caller, args) // before they are written
	}
	l, failed := b.letterOf(m, c, args, reason, err)
	l.without(missing, &b.scrubber)
	if failed == nil {
		failed = b.write(c.caller, m, l)
	}
	if failed != nil {
		b.lose(c.caller, m.guard.name, l, failed)
		return errors.Join(err, &WriteError{l.ID, l.Queue, failed})
	}
	b.tell(c.caller, Event{Kind: LetterKept, Name: m.guard.name, Attempt: l.AttemptCount, Reason: string(reason), Key: l.ID, Value: l.Queue})
	b.news.tell()
	b.sweep(c.caller)
	return &KeptError{l.ID, l.Queue, err}
}

// write makes a letter durable, and known.
func (b *LetterBox) write(ctx context.Context, m *letterMethod, l *Letter) error {
	ctx, cancel := durably(ctx)
	defer cancel()
	_ = b.load(ctx) // a store that cannot be read may take a letter all the same
	free, err := b.reserve(ctx, m.conf.Queue, m.size(l))
	if err != nil {
		return err
	}
	_, err = b.change(ctx, Letter{ID: l.ID, Queue: l.Queue}, letterRecord{Letter: l})
	if errors.Is(err, ErrUnavailable) {
		err = b.aside(ctx, l, err)
	}
	free()
	return err
}

// aside keeps a letter beside a store that did not take it because of why. An error,
// why among others, says that it is not kept. The index has the letter once the store
// tells that it is there.
func (b *LetterBox) aside(ctx context.Context, l *Letter, why error) error {
	v, err := b.rt.values()
	if err != nil {
		return why
	}
	log, ok := v.log.(*fileLog)
	if !ok {
		return why
	}
	key := letterKey(l.Queue, l.ID)
	body, err := json.Marshal(letterRecord{Kind: recordLetter, Letter: l})
	if err == nil {
		err = log.aside(ctx, key, body)
	}
	if err != nil {
		return errors.Join(why, err)
	}
	b.doubt(l.ID, key, why)
	if inPieces(body) { // of which the store may have some, and then takes no more
		return why
	}
	return nil
}

// size is about how many bytes the record of l will have.
func (m *letterMethod) size(l *Letter) int {
	n := 1 << 10
	for _, a := range l.Call.Args {
		n += len(a.JSON) + len(a.Sealed)
	}
	return n
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

// letterOf returns the letter of a call. Where its arguments cannot be written, it
// is without them.
func (b *LetterBox) letterOf(m *letterMethod, c *Call, args any, reason Reason, err error) (*Letter, error) {
	now := time.Now().Round(0).UTC()
	l := &Letter{
		V: letterFormat, ID: b.ids.next(now), Queue: m.conf.Queue, State: LetterDead, Reason: reason,
		Call:   LetterCall{Interface: m.iface, Method: m.method, Instance: m.instance, Sig: m.sig},
		Policy: m.fromPolicy, AttemptCount: int(c.attempts), First: now, Last: now, DeadAt: now, Origin: b.o.origin(b.instance),
	}
	l.Policy.Hash = b.rt.runningHash(m.guard)
	if c.start != 0 {
		l.First = wallClock(c.start)
	}
	if m.conf.MaxAge > 0 {
		l.ExpiresAt = now.Add(m.conf.MaxAge)
	}
	l.Call.IdemKey, _ = IdempotencyKey(c.caller)
	secrets, failed := b.put(c.caller, m, l, args)
	b.explain(m, l, c, err, b.scrubber.knowing(secrets))
	return l, failed
}

// wallClock is the time of an instant since epoch, by the clock of now, which may
// have been set.
func wallClock(at time.Duration) time.Time {
	return time.Now().Add(at - sinceEpoch()).Round(0).UTC()
}

// explain puts into l why the call failed, and in which surroundings.
func (b *LetterBox) explain(m *letterMethod, l *Letter, c *Call, err error, s *scrubber) {
	l.Errors = errorTree(err, &m.guard.policy.Errors, s)
	if p, ok := err.(*panicked); ok {
		l.Stack = p.stack
	}
	l.Attempts, l.Elided = c.attemptsOf()
	if trace := b.o.Trace; trace != nil {
		l.Trace = ask(func() (t LetterTrace) {
			t.Parent, t.State = trace(c.caller)
			return LetterTrace{cutText(t.Parent, 64), cutText(t.State, 512)} // the limits of W3C
		})
	}
	if own := b.o.Context; own != nil {
		l.Ctx = ask(func() map[string]string { return own(c.caller) })
		for name, value := range l.Ctx {
			l.Ctx[name] = s.text(value)
		}
	}
	l.Group = b.group(m, l, err)
}

// put puts the arguments into l, redacted and sealed. It returns what was taken out
// of them.
func (b *LetterBox) put(ctx context.Context, m *letterMethod, l *Letter, args any) (secrets []string, err error) {
	object, err := encodeArgs(args)
	if err != nil {
		return nil, err
	}
	l.Call.ArgsHash = letterHash(b.hashKey, "args", object)
	if l.Call.Args, secrets, err = b.redact(ctx, m, l, object); err != nil {
		l.Call.Args = nil
		return secrets, err
	}
	if m.order != nil {
		l.Call.OrderKey, err = m.order(object)
		if slices.ContainsFunc(secrets, func(s string) bool { return len(s) >= 4 && strings.Contains(l.Call.OrderKey, s) }) {
			l.Call.OrderKey = letterHash(b.hashKey, "order", []byte(l.Call.OrderKey))
		}
	}
	return secrets, err
}

// redact takes the arguments apart: a JSON object with a member for each.
func (b *LetterBox) redact(ctx context.Context, m *letterMethod, l *Letter, object json.RawMessage) (args []LetterArg, secrets []string, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		return nil, nil, fmt.Errorf("arguments: %w", err)
	}
	for _, f := range m.fields {
		value := members[f.Name]
		if value == nil {
			value = json.RawMessage("null")
		}
		out, err := m.redactor.argument(f.Name, value, b.o.Sealer != nil)
		if err != nil {
			return nil, nil, fmt.Errorf("argument %s: %w", f.Name, err)
		}
		arg := LetterArg{Name: f.Name, Type: f.Type, JSON: out.shown, Redacted: out.fields}
		if out.toSeal != nil {
			if arg.KeyID, arg.Sealed, err = b.o.Sealer.Seal(ctx, l.aad(f.Name), out.toSeal); err != nil {
				return nil, nil, fmt.Errorf("argument %s: %w", f.Name, err)
			}
		}
		args, secrets = append(args, arg), append(secrets, out.secrets...)
	}
	return args, secrets, nil
}

// Panicked keeps a call whose delegate panicked with value. It is called by a
// deferred func that recovered and panics again.
func (d *DeadLetters[A]) Panicked(call *Call, args A, value any) {
	_ = d.box.keep(d.m, call, &args, ReasonPanic, &panicked{value, panicStack(value)}) // the panic goes on
}

// panicked is what a delegate panicked with, and where.
type panicked struct {
	value any
	stack []Frame
}

func (p *panicked) Error() string {
	if e, ok := p.value.(*PanicError); ok { // of a goroutine of ours
		return fmt.Sprint(e.Value)
	}
	return fmt.Sprint(p.value)
}

// Unwrap returns the value if it is an error.
func (p *panicked) Unwrap() error {
	err, _ := p.value.(error)
	return err
}

// Get returns a letter of the method and its arguments. With [ErrNeedsEdit] they
// are without what was redacted.
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
	if err == nil && l.NeedsEdit() {
		err = ErrNeedsEdit
	}
	return args, l, err
}

// List is [LetterBox.List] for the letters of the method.
func (d *DeadLetters[A]) List(ctx context.Context, q LetterQuery) (LetterPage, error) {
	own, err := d.m.only(q.Filter)
	if err != nil {
		return LetterPage{}, err
	}
	q.Filter = own
	return d.box.List(ctx, q)
}

// Plan is [LetterBox.Plan] for the letters of the method.
func (d *DeadLetters[A]) Plan(ctx context.Context, filter string, o ReplayOptions) (Plan, error) {
	own, err := d.m.only(filter)
	if err != nil {
		return Plan{}, err
	}
	return d.box.Plan(ctx, own, o)
}

// only is a filter for those letters of m that another one chooses.
func (m *letterMethod) only(filter string) (string, error) {
	own := appendJSONText([]byte("interface:"), m.iface)
	own = appendJSONText(append(own, " method:"...), m.method)
	f, err := ParseFilter(filter) // by itself: it must not close a parenthesis of ours
	if err != nil || f.root == nil {
		return string(own), err
	}
	return string(own) + " (" + filter + ")", nil
}
