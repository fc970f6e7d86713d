package workflow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// maxPayload is how many bytes of JSON a value may have.
const maxPayload = 8 << 20

// Value is what a message carries: a value in memory, its JSON, or both. The zero
// Value is none.
type Value struct {
	v   any
	has bool // v is the value
	raw json.RawMessage
}

// Of returns v as a Value.
func Of[T any](v T) Value { return Value{v: v, has: true} }

// Raw returns a Value that is there as JSON.
func Raw(text json.RawMessage) Value { return Value{raw: text} }

// IsZero reports whether v is none.
func (v Value) IsZero() bool { return !v.has && v.raw == nil }

// MarshalJSON returns the JSON of v, null for none.
func (v Value) MarshalJSON() ([]byte, error) {
	switch {
	case v.raw != nil:
		return v.raw, nil
	case v.has:
		return json.Marshal(v.v)
	}
	return []byte("null"), nil
}

// UnmarshalJSON keeps text, to be decoded where its type is known.
func (v *Value) UnmarshalJSON(text []byte) error {
	*v = Value{raw: bytes.Clone(text)}
	return nil
}

// Codec knows a type: how its values become JSON and come back, and which values
// it takes. The zero Codec is that of a node without a result.
type Codec struct {
	Shape  string // fingerprint of the type
	typed  string // its name, for people
	plain  bool   // whoever has a value has one of its own, and JSON brings it back as it is
	encode func(v any) (json.RawMessage, error)
	decode func(text json.RawMessage) (any, error)
	assign func(v any) (any, bool)
	loose  func(text json.RawMessage) (any, error) // decode that leaves out what T does not have
}

// JSON returns the Codec of T. What comes back is decoded strictly: a field that T
// does not have is an error.
func JSON[T any](shape string) Codec {
	return Codec{
		Shape: shape,
		typed: reflect.TypeFor[T]().String(),
		plain: plain(reflect.TypeFor[T]()),
		encode: func(v any) (json.RawMessage, error) {
			return json.Marshal(v)
		},
		decode: func(text json.RawMessage) (any, error) {
			var v T
			if err := resilience.DecodeJSON(text, &v); err != nil {
				return nil, err
			}
			return v, nil
		},
		assign: assignTo[T],
		loose: func(text json.RawMessage) (any, error) {
			var v T
			err := json.Unmarshal(text, &v)
			return v, err
		},
	}
}

// plain reports whether values of a type need no copy and no way through JSON.
func plain(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return reflect.PointerTo(t).NumMethod() == 0 // none that JSON would ask
	}
	return false
}

// assignTo returns v as a T: as it is, as Go assigns it, or behind a pointer where
// T is one to its type.
func assignTo[T any](v any) (any, bool) {
	if _, ok := v.(T); ok {
		return v, true
	}
	var t T
	to := reflect.ValueOf(&t).Elem()
	from := reflect.ValueOf(v)
	switch {
	case !from.IsValid(): // a nil of an interface type
		return t, to.Kind() == reflect.Interface
	case from.Type().AssignableTo(to.Type()):
		to.Set(from)
	case to.Kind() == reflect.Pointer && from.Type().AssignableTo(to.Type().Elem()):
		to.Set(reflect.New(to.Type().Elem()))
		to.Elem().Set(from)
	default:
		return nil, false
	}
	return t, true
}

// none reports whether c is the zero Codec.
func (c *Codec) none() bool { return c.encode == nil }

// take returns v as a value in memory of the type of c.
func (c *Codec) take(v Value) (Value, error) {
	switch {
	case c.none() || v.IsZero():
		return Value{}, nil
	case v.has:
		t, ok := c.assign(v.v)
		if !ok {
			return Value{}, fmt.Errorf("a %T where a %s is wanted", v.v, c.typed)
		}
		return Value{v: t, has: true}, nil
	}
	t, err := c.decode(v.raw)
	if err != nil {
		return Value{}, fmt.Errorf("no %s: %w", c.typed, err)
	}
	return Value{v: t, has: true}, nil
}

// fits says what is wrong with v, a value in memory, as one of the type of c.
func (c *Codec) fits(v Value) error {
	if c.none() || !v.has {
		return nil
	}
	if _, ok := c.assign(v.v); !ok {
		return fmt.Errorf("a %T where a %s is wanted", v.v, c.typed)
	}
	return nil
}

// loosely is take for JSON of another version of the type.
func (c *Codec) loosely(text json.RawMessage) (Value, error) {
	if c.none() {
		return Value{}, nil
	}
	v, err := c.loose(text)
	return Value{v: v, has: true}, err
}

// give returns v as JSON of the type of c, and nothing else, so that whoever gets
// it has one of its own.
func (c *Codec) give(v Value) (Value, error) {
	if c.none() || v.IsZero() || !v.has {
		return Value{raw: v.raw}, nil
	}
	t, err := c.take(v)
	if err != nil {
		return Value{}, err
	}
	raw, err := c.encode(t.v)
	switch {
	case err != nil:
		return Value{}, fmt.Errorf("a %s that JSON cannot carry: %w", c.typed, err)
	case len(raw) > maxPayload:
		return Value{}, fmt.Errorf("a %s of %d bytes, at most %d: %w", c.typed, len(raw), maxPayload, resilience.ErrTooLarge)
	}
	if c.plain {
		return Value{raw: raw, v: t.v, has: true}, nil
	}
	return Value{raw: raw}, nil
}

// Args are what a node is invoked with.
type Args []Value

// Arg returns argument i, or the zero T where a join goes on without it. The runner
// has made it a T.
func Arg[T any](in Args, i int) T { return Get[T](in[i]) }

// Maybe returns argument i of a join that may go on without it: nil then.
func Maybe[T any](in Args, i int) *T {
	switch v := in[i].v.(type) {
	case *T:
		return v
	case T:
		return &v
	}
	return nil
}

// Get returns v, which is a T in memory, or the zero T.
func Get[T any](v Value) T {
	t, _ := v.v.(T)
	return t
}
