package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ArgStore keeps arguments that are too large for a letter, or that JSON does not
// carry: the letter holds a reference. It is what deadLetter.ref names, and safe for
// concurrent use.
type ArgStore[T any] interface {
	// Put keeps value and returns a reference, never "", by which another process finds
	// it. It is called once for a call that is kept, before the letter is written and
	// with ten seconds, under the values of the caller's context and not its end. An
	// error does not cost the letter: that is kept without the argument.
	Put(ctx context.Context, value T) (ref string, err error)
	// Get returns what Put kept. It is called once for each replay of the letter, under
	// the context of that; an error ends the replay, which has failed.
	Get(ctx context.Context, ref string) (T, error)
}

// Referenced is an argument that an [ArgStore] keeps. In JSON it is its Ref.
type Referenced[T any] struct {
	Value T // of the call; not there in arguments that were read from a letter
	Ref   string
}

// MarshalJSON returns the reference.
func (r Referenced[T]) MarshalJSON() ([]byte, error) { return json.Marshal(r.Ref) }

// UnmarshalJSON sets the reference.
func (r *Referenced[T]) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &r.Ref) }

// LetterRef says of an argument, in the arguments A of a method, who keeps it.
type LetterRef[A any] struct {
	name     string
	put, get func(ctx context.Context, args *A) error
}

// NewLetterRef returns that s keeps the argument name, which stands in the arguments
// where at says.
func NewLetterRef[A, T any](name string, s ArgStore[T], at func(args *A) *Referenced[T]) LetterRef[A] {
	return LetterRef[A]{name,
		func(ctx context.Context, args *A) (err error) {
			r := at(args)
			r.Ref, err = s.Put(ctx, r.Value)
			if err == nil && r.Ref == "" {
				err = errors.New("the store returned no reference")
			}
			return err
		},
		func(ctx context.Context, args *A) (err error) {
			r := at(args)
			r.Value, err = s.Get(ctx, r.Ref)
			return err
		},
	}
}

// unstored is an argument that its [ArgStore] did not take.
type unstored struct {
	name string
	err  error
}

// putRefs has the arguments of a call kept that a letter only refers to.
func putRefs[A any](ctx context.Context, refs []LetterRef[A], args *A) (missing []unstored) {
	for _, r := range refs {
		if err := r.try(ctx, args); err != nil {
			missing = append(missing, unstored{r.name, err})
		}
	}
	return missing
}

// try puts an argument, whatever the store does.
func (r *LetterRef[A]) try(ctx context.Context, args *A) (err error) {
	ctx, cancel := durably(ctx)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return r.put(ctx, args)
}

// getRefs fetches what a letter refers to.
func getRefs[A any](ctx context.Context, refs []LetterRef[A], args *A) error {
	for _, r := range refs {
		if err := r.get(ctx, args); err != nil {
			return fmt.Errorf("argument %s: %w", r.name, err)
		}
	}
	return nil
}

// without says in l which arguments are not there, and why: an edit may give it
// references to them.
func (l *Letter) without(missing []unstored, s *scrubber) {
	for _, u := range missing {
		i := slices.IndexFunc(l.Call.Args, func(a LetterArg) bool { return a.Name == u.name })
		if i < 0 {
			continue
		}
		a := &l.Call.Args[i]
		*a = LetterArg{Name: a.Name, Type: a.Type, JSON: json.RawMessage("null"), Redacted: []RedactedField{{"/" + escapePointer(a.Name), Omit}}}
		l.Notes = append(l.Notes, LetterNote{At: time.Now().Round(0).UTC(), Text: "the argument " + u.name + " was not stored: " + s.text(u.err.Error())})
	}
}
