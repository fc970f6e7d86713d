package resilience

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// letterRecord is one record of the key of a letter: one of the pointers is set,
// and Kind says which.
type letterRecord struct {
	Kind       string            `json:"kind"`
	Letter     *Letter           `json:"letter,omitempty"`
	Transition *LetterTransition `json:"transition,omitempty"`
	Edit       *LetterEdit       `json:"edit,omitempty"`
	Note       *LetterNote       `json:"note,omitempty"`
}

// Kinds of records.
const (
	recordLetter     = "letter"
	recordTransition = "transition"
	recordEdit       = "edit"
	recordNote       = "note"
)

// kind is that of what is set.
func (r *letterRecord) kind() string {
	switch {
	case r.Letter != nil:
		return recordLetter
	case r.Transition != nil:
		return recordTransition
	case r.Edit != nil:
		return recordEdit
	case r.Note != nil:
		return recordNote
	}
	return ""
}

// letterKey is the key of a letter in the store.
func letterKey(queue, id string) string { return StoreKey("dlq", queue, id) }

const letterPrefix = "dlq/"

// errBadLetter is why a record is put aside.
var errBadLetter = errors.New("letter cannot be read")

// decodeLetterRecord reads a record of the key of a letter.
func decodeLetterRecord(body []byte) (letterRecord, error) {
	var r letterRecord
	if err := checkLetterJSON(body); err != nil {
		return r, fmt.Errorf("%w: %w", errBadLetter, err)
	}
	if err := json.Unmarshal(body, &r); err != nil { // fields of newer programs are left alone
		return r, fmt.Errorf("%w: %w", errBadLetter, err)
	}
	if r.Kind != r.kind() || r.Kind == "" {
		return r, fmt.Errorf("%w: a record of kind %.40q that holds %q", errBadLetter, r.Kind, r.kind())
	}
	if r.Letter != nil && r.Letter.V != letterFormat {
		return r, fmt.Errorf("%w: version %d, this program reads %d", errBadLetter, r.Letter.V, letterFormat)
	}
	return r, nil
}

// fold adds a record to what those before it made of l.
func (l *Letter) fold(r letterRecord, version Version) error {
	if r.Letter == nil && l.V == 0 {
		return fmt.Errorf("%w: record %d of kind %s has no letter before it", errBadLetter, version, r.Kind)
	}
	switch {
	case r.Letter != nil: // also in the place of all before it
		*l = *r.Letter
	case r.Transition != nil:
		l.move(r.Transition)
	case r.Edit != nil:
		l.edit(r.Edit)
	case r.Note != nil:
		l.note(r.Note)
	}
	l.Rev = version
	return nil
}

func (l *Letter) move(t *LetterTransition) {
	l.State, l.Claim, l.MovedAt = t.To, t.Claim, t.At
	if t.Replay != nil {
		l.Replays = append(l.Replays, *t.Replay)
	}
	if f := t.Failure; f != nil {
		l.Reason, l.Errors, l.Stack, l.Attempts, l.Elided = f.Reason, f.Errors, f.Stack, f.Attempts, f.Elided
		l.AttemptCount += f.Count
		l.Last, l.Group = f.Last, f.Group
	}
}

func (l *Letter) edit(e *LetterEdit) {
	l.Edits = append(l.Edits, *e)
	l.Call.Args, l.Call.ArgsHash, l.Claim = e.Args, e.ArgsHash, LetterClaim{}
	if e.Sig != "" {
		l.Call.Sig = e.Sig
	}
	if e.IdemKey != "" {
		l.Call.IdemKey = e.IdemKey
	}
}

func (l *Letter) note(n *LetterNote) {
	if n.Text != "" {
		l.Notes = append(l.Notes, *n)
	}
	for _, tag := range n.Tags {
		name, gone := strings.CutPrefix(tag, "-")
		l.Tags = slices.DeleteFunc(l.Tags, func(t string) bool { return t == name })
		if !gone {
			l.Tags = append(l.Tags, name)
		}
	}
}

// readLetter folds the records of a key.
func readLetter(ctx context.Context, v values, key string) (Letter, error) {
	var l Letter
	for rec, err := range v.scan(ctx, key, 0) {
		if err != nil {
			return l, err
		}
		r, err := decodeLetterRecord(rec.Body)
		if err == nil {
			err = l.fold(r, rec.Version)
		}
		if err != nil {
			return l, fmt.Errorf("%s: %w", key, err)
		}
		if r.Letter != nil {
			l.Size = len(rec.Body)
			if letterKey(l.Queue, l.ID) != key {
				return l, fmt.Errorf("%s: %w: it says that it is %.40q of queue %.40q", key, errBadLetter, l.ID, l.Queue)
			}
		}
	}
	if l.V == 0 {
		return l, fmt.Errorf("%s: %w", key, ErrNoLetter)
	}
	return l, nil
}

// keepLimit is how long a store has for what already happened: the caller's
// context has often just ended.
const keepLimit = 10 * time.Second

// durably is a context for what records something that already happened.
func durably(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), keepLimit)
}

// shownArgs returns the names and values of the arguments of a letter that has one
// record, without reading the rest of it: who looks through 100,000 letters for an
// argument has no use for the rest. It returns none if a text is in none of them, and
// reports false where it cannot.
func (b *LetterBox) shownArgs(ctx context.Context, s *LetterSummary, text string) (args []LetterArg, ok bool) {
	v, err := b.rt.values()
	if err != nil {
		return nil, false
	}
	for rec, err := range v.scan(ctx, letterKey(s.Queue, s.ID), 0) {
		if err != nil || args != nil || rec.Version != s.Rev {
			return nil, false // read it whole, and say what is wrong with it
		}
		if !mayHold(rec.Body, text) {
			args = []LetterArg{}
		} else if args, err = argsIn(rec.Body); err != nil {
			return nil, false
		}
	}
	return args, args != nil
}

// mayHold reports whether a text may be that of a value in some JSON. Only where there
// is a backslash it may be written in another way.
func mayHold(body []byte, text string) bool {
	return bytes.Contains(body, []byte(text)) || bytes.IndexByte(body, '\\') >= 0
}

// argsIn reads the arguments in the record of a letter, as this package writes it:
// the quotes around a name stand for no others, since those in a text have a
// backslash before them.
func argsIn(body []byte) ([]LetterArg, error) {
	const call, list = `"call":{`, `"args":[`
	at := bytes.Index(body, []byte(call))
	if at < 0 || !bytes.HasPrefix(body, []byte(`{"kind":"letter",`)) {
		return nil, errBadLetter
	}
	behind := bytes.Index(body[at:], []byte(list))
	if behind < 0 {
		return nil, errBadLetter
	}
	args := []LetterArg{}
	r := jsonReader{data: body, at: at + behind + len(list) - 1}
	err := r.list(func(int) error {
		a, err := r.arg()
		args = append(args, a)
		return err
	})
	return args, err
}

// arg reads an argument of a letter: its name and what is shown of it.
func (r *jsonReader) arg() (a LetterArg, err error) {
	if c, err := r.begin(4); err != nil || c != '{' {
		return a, cmp.Or(err, r.fail("an object is expected"))
	}
	err = r.object(func(name int32) error {
		r.space()
		from := r.at
		switch string(r.name(name)) {
		case "name":
			text, err := r.text()
			a.Name = string(text)
			return err
		case "json":
			err := r.skip(5)
			a.JSON = r.data[from:r.at]
			return err
		}
		return r.skip(5)
	})
	return a, err
}
