package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// LetterEditRequest changes the arguments of a letter: by a Patch, or as a whole by
// a Document.
type LetterEditRequest struct {
	Rev      Version         `json:"rev,omitempty"`      // [Letter].Rev that was looked at; 0 is any
	Patch    json.RawMessage `json:"patch,omitempty"`    // RFC 6902, over an object with a member for each argument
	Document json.RawMessage `json:"document,omitempty"` // such an object
	By       string          `json:"by,omitempty"`
	Reason   string          `json:"reason,omitempty"`
	// KeepKey keeps the idempotency key: the peer takes the edited call for the same
	// one. Else it gets a new one if it had one.
	KeepKey bool `json:"keepKey,omitempty"`
	// Plain writes what the edit puts in the place of something redacted as it is.
	// Without it that is sealed, and refused where there is no [LetterOptions].Sealer.
	Plain bool `json:"plain,omitempty"`
}

// Edit changes the arguments of a letter that waits. They must decode strictly into
// those that its method has now; those of the call stay in the store as revision 0,
// and the letter says who changed what. A letter that is claimed, in doubt or settled
// is refused, one with sealed arguments without its key, and an edit that leaves
// something redacted without a value.
func (b *LetterBox) Edit(ctx context.Context, id string, o LetterEditRequest) (Letter, error) {
	if (o.Patch == nil) == (o.Document == nil) {
		return Letter{}, fmt.Errorf("edit letter %.40q: either a patch or a document: %w", id, ErrInvalid)
	}
	e, err := b.editable(ctx, id, o.Rev)
	if err != nil {
		return e.l, err
	}
	doc, err := o.of(e.base)
	if err != nil {
		return e.l, fmt.Errorf("edit letter %s: %w: %w", id, ErrInvalid, err)
	}
	return b.edit(ctx, e, doc, o)
}

// Mend is [LetterBox.Edit] by a func, which changes the arguments as they are
// decoded. What was redacted is not there: mend has to give it a value.
func (d *DeadLetters[A]) Mend(ctx context.Context, id string, o LetterEditRequest, mend func(args *A) error) (Letter, error) {
	e, err := d.box.editable(ctx, id, o.Rev)
	if err != nil {
		return e.l, err
	}
	if e.m != d.m {
		return e.l, fmt.Errorf("letter %s is one of %s.%s: %w", id, e.l.Call.Interface, e.l.Call.Method, ErrInvalid)
	}
	f, err := d.box.fitOld(d.m, &e.l, e.base.encode(nil))
	var args A
	if err == nil {
		err = decodeArgs(f.object, &args)
	}
	var before, after json.RawMessage
	if err == nil {
		before, err = encodeArgs(&args)
	}
	if err == nil {
		err = mend(&args)
	}
	if err == nil {
		after, err = encodeArgs(&args)
	}
	if err != nil {
		return e.l, fmt.Errorf("mend letter %s: %w", id, err)
	}
	doc, err := parseJSON(after)
	if err == nil {
		e.base, err = parseJSON(before)
	}
	if err != nil {
		return e.l, fmt.Errorf("mend letter %s: %w", id, err)
	}
	o.Patch, o.Document = nil, after
	return d.box.edit(ctx, e, doc, o)
}

// editing is a letter that may be edited.
type editing struct {
	l    Letter
	m    *letterMethod
	base *jsonNode // its arguments now
}

func (b *LetterBox) editable(ctx context.Context, id string, rev Version) (e editing, err error) {
	if e.l, err = b.at(ctx, id, rev); err != nil {
		return e, err
	}
	if e.l.State != LetterDead && e.l.State != LetterQuarantined {
		return e, &clash{fmt.Sprintf("letter %s is %s: only one that waits is edited", id, e.l.State)}
	}
	if e.m, _, err = b.methodOf(ctx, &e.l); err != nil {
		return e, fmt.Errorf("edit letter %s: %w: %w", id, ErrNotPermitted, err)
	}
	object, err := b.arguments(ctx, &e.l)
	if err != nil {
		return e, fmt.Errorf("edit letter %s: %w: %w", id, ErrNotPermitted, err)
	}
	e.base, err = parseJSON(object)
	return e, err
}

// of returns the arguments that o makes of base.
func (o *LetterEditRequest) of(base *jsonNode) (*jsonNode, error) {
	if o.Document != nil {
		return parseJSON(o.Document)
	}
	patch, err := parsePatch(o.Patch)
	if err != nil {
		return nil, err
	}
	return patch.apply(base)
}

// edit makes doc the arguments of a letter.
func (b *LetterBox) edit(ctx context.Context, e editing, doc *jsonNode, o LetterEditRequest) (Letter, error) {
	object, err := e.m.taken(doc)
	if err == nil {
		err = e.mended(doc)
	}
	if err != nil {
		return e.l, fmt.Errorf("edit letter %s: %w: %w", e.l.ID, ErrInvalid, err)
	}
	edit := LetterEdit{Rev: len(e.l.Edits) + 1, At: time.Now().Round(0).UTC(), By: o.By, Reason: o.Reason, Sig: e.m.sig,
		ArgsHash: letterHash(b.hashKey, "args", object)}
	if e.l.Call.IdemKey != "" && !o.KeepKey {
		edit.IdemKey = NewIdempotencyKey()
	}
	if edit.Args, err = b.written(ctx, e, object, o.Plain); err != nil {
		return e.l, fmt.Errorf("edit letter %s: %w", e.l.ID, err)
	}
	if edit.Patch, err = e.audited(o, edit.Args); err != nil {
		return e.l, fmt.Errorf("edit letter %s: %w", e.l.ID, err)
	}
	l, err := b.change(ctx, e.l, letterRecord{Edit: &edit})
	if errors.Is(err, ErrConflict) {
		err = fmt.Errorf("letter %s: %w", e.l.ID, ErrLetterChanged)
	}
	return l, err
}

// taken returns the arguments that m makes of doc. What it would not take as it is
// written is refused: encoding/json finds fields whatever the case of their names.
func (m *letterMethod) taken(doc *jsonNode) (json.RawMessage, error) {
	object, err := m.again(doc.encode(nil))
	if err != nil {
		return nil, err
	}
	now, err := parseJSON(object)
	if err != nil {
		return nil, err
	}
	for _, c := range diffJSON(doc, now) {
		if c.from != nil && (c.to == nil || c.from.kind != 'n') { // null is an empty value, and what is missing, too
			return nil, fmt.Errorf("%s is not taken as it is written", c.at)
		}
	}
	return object, nil
}

// mended refuses arguments in which something that was redacted has no value yet.
func (e *editing) mended(doc *jsonNode) error {
	changes := diffJSON(e.base, doc)
	for _, a := range e.l.Call.Args {
		for _, f := range a.Redacted {
			if f.Mode != Seal && !slices.ContainsFunc(changes, func(c jsonChange) bool { return overlap(c.at.String(), f.Pointer) }) {
				return fmt.Errorf("%s: %w", f.Pointer, ErrNeedsEdit)
			}
		}
	}
	return nil
}

// overlap reports whether one of two places is in the other one.
func overlap(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

// written returns arguments as they are written: what would be redacted is sealed,
// since it is to be replayed.
func (b *LetterBox) written(ctx context.Context, e editing, object json.RawMessage, plain bool) ([]LetterArg, error) {
	l, m := e.l, *e.m
	l.Call.Sig = m.sig // which the seal is bound to
	switch {
	case b.o.Sealer != nil:
		m.redactor = m.redactor.sealing()
	case plain:
		m.redactor = &redactor{}
	}
	args, _, err := b.redact(ctx, &m, &l, object)
	if err != nil {
		return nil, err
	}
	if l.Call.Args = args; l.NeedsEdit() {
		return nil, fmt.Errorf("what is redacted would be written as it is: give the Runtime a Sealer, or allow it: %w", ErrNotPermitted)
	}
	return args, nil
}

// sealing is r with everything sealed that it takes out.
func (r *redactor) sealing() *redactor {
	s := &redactor{rules: slices.Clone(r.rules), key: r.key}
	for i := range s.rules {
		s.rules[i].mode = Seal
	}
	return s
}

// audited is the patch that the letter keeps: the one that was given, or where
// something is redacted, what it did to the rest.
func (e *editing) audited(o LetterEditRequest, args []LetterArg) (json.RawMessage, error) {
	hides := func(list []LetterArg) bool {
		return slices.ContainsFunc(list, func(a LetterArg) bool { return len(a.Redacted) > 0 || a.Sealed != nil })
	}
	if o.Patch != nil && !hides(args) && !hides(e.l.Call.Args) {
		doc, err := parseJSON(o.Patch)
		if err != nil {
			return nil, err
		}
		return doc.encode(nil), nil
	}
	before, err := shownArgs(e.l.Call.Args)
	if err != nil {
		return nil, err
	}
	after, err := shownArgs(args)
	if err != nil {
		return nil, err
	}
	return patchOf(diffJSON(before, after)), nil
}

// shownArgs is an object of what arguments show.
func shownArgs(args []LetterArg) (*jsonNode, error) {
	n := &jsonNode{kind: '{'}
	for _, a := range args {
		value, err := parseJSON(a.JSON)
		if err != nil {
			return nil, err
		}
		n.names, n.items = append(n.names, a.Name), append(n.items, value)
	}
	return n, nil
}

// Original returns the arguments of the call of a letter, as they were written: the
// revision 0 that no edit changes.
func (b *LetterBox) Original(ctx context.Context, id string) ([]LetterArg, error) {
	l, err := b.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	v, err := b.rt.values()
	if err != nil {
		return nil, err
	}
	for rec, err := range v.scan(ctx, letterKey(l.Queue, l.ID), 0) {
		if err != nil {
			return nil, fmt.Errorf("letter %s: %w", id, err)
		}
		r, err := decodeLetterRecord(rec.Body)
		if err != nil || r.Letter == nil {
			return nil, fmt.Errorf("letter %s: %w", id, errors.Join(errBadLetter, err))
		}
		return r.Letter.Call.Args, nil
	}
	return nil, fmt.Errorf("letter %s: %w", id, ErrNoLetter)
}
