package resilience

import (
	"context"
	"encoding/json"
	"errors"
)

// fit is how well the arguments of a letter fit the method as it is now.
type fit uint8

const (
	fitUnknown     fit = iota // there is no such method here, or they cannot be decoded
	fitSame                   // the types are the same
	fitConvertible            // an [Upcast] leads there, or nothing is lost or new
	fitLossy                  // something is lost or new: whoever replays them says that they know
)

// fitted are the arguments of a letter as its method takes them now.
type fitted struct {
	fit     fit
	object  json.RawMessage // one JSON object
	changes []jsonChange    // of [fitLossy]: what is lost, and what is new
}

// fitArgs makes of the arguments of l what m takes now, unless its run has carried them
// over itself, and nobody has edited them. An error says why that cannot be.
func (b *LetterBox) fitArgs(ctx context.Context, m *letterMethod, l *Letter, carried bool) (fitted, error) {
	if l.NeedsEdit() {
		return fitted{}, ErrNeedsEdit
	}
	object, err := b.arguments(ctx, l)
	if err != nil {
		return fitted{}, err
	}
	if carried && len(l.Edits) == 0 {
		return fitted{fit: fitConvertible, object: object}, nil
	}
	return b.fitOld(m, l, object)
}

// fitOld makes of the arguments object of l, which may be old, what m takes now.
func (b *LetterBox) fitOld(m *letterMethod, l *Letter, object json.RawMessage) (f fitted, err error) {
	if l.Call.Sig == m.sig {
		_, err := m.again(object)
		return fitted{fit: fitSame, object: object}, err
	}
	if up := b.rt.upcast(l.Call.Sig); up != nil {
		if object, err = up(object); err == nil {
			_, err = m.again(object)
		}
		return fitted{fit: fitConvertible, object: object}, err
	}
	return fitOther(m, object)
}

// fitOther decodes arguments that were written under other types.
func fitOther(m *letterMethod, object json.RawMessage) (fitted, error) {
	now, err := m.loosely(object)
	if err != nil {
		return fitted{}, err
	}
	before, err := parseJSON(object)
	if err != nil {
		return fitted{}, err
	}
	after, err := parseJSON(now)
	if err != nil {
		return fitted{}, err
	}
	f := fitted{fit: fitConvertible, object: now, changes: diffJSON(before, after)}
	if len(f.changes) > 0 {
		f.fit = fitLossy
	}
	return f, nil
}

// errNoMethod says that the program that runs has no wrapper for a letter.
var errNoMethod = errors.New("no wrapper of this program keeps calls of its method")

// errInspectOnly says that a method keeps letters that lack arguments.
var errInspectOnly = errors.New("its method keeps letters to look at: arguments are missing")

// methodFor returns the method that a letter is replayed through, and why it cannot
// be.
func (b *LetterBox) methodFor(iface, method, instance string) (*letterMethod, error) {
	b.mu.Lock()
	m := b.methods[iface+"."+method+instance]
	b.mu.Unlock()
	switch {
	case m == nil:
		return nil, errNoMethod
	case !m.replays:
		return m, errInspectOnly
	}
	return m, nil
}
