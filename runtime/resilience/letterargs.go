package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// encodeArgs encodes the arguments of a call as one JSON object.
func encodeArgs(args any) (object json.RawMessage, err error) {
	defer func() {
		if v := recover(); v != nil { // of a MarshalJSON of the user's
			err = fmt.Errorf("arguments: %v", v)
		}
	}()
	if object, err = json.Marshal(args); err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	return object, nil
}

// arguments returns the arguments of l as one JSON object, with what is sealed
// opened.
func (b *LetterBox) arguments(ctx context.Context, l *Letter) (json.RawMessage, error) {
	out := []byte{'{'}
	for i, a := range l.Call.Args {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := json.Marshal(a.Name)
		if err != nil {
			return nil, err
		}
		value, err := b.open(ctx, l, &a)
		if err != nil {
			return nil, fmt.Errorf("letter %s: argument %s: %w", l.ID, a.Name, err)
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}'), nil
}

// open returns an argument, also one that is sealed.
func (b *LetterBox) open(ctx context.Context, l *Letter, a *LetterArg) (json.RawMessage, error) {
	switch {
	case a.Sealed == nil:
		return a.JSON, nil
	case b.o.Sealer == nil:
		return nil, fmt.Errorf("%w: %q: give Options.Letters.Sealer", ErrNoSealKey, a.KeyID)
	}
	plain, err := b.o.Sealer.Open(ctx, a.KeyID, l.aad(a.Name), a.Sealed)
	if err == nil && !json.Valid(plain) {
		err = errors.New("what was sealed is no JSON")
	}
	return plain, err
}

// decodeArgs decodes the arguments of a letter, and nothing that their type does
// not have.
func decodeArgs(object json.RawMessage, into any) error {
	if err := decodeStrict(object, into); err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	return nil
}
