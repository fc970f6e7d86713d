package resilience

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// IdempotencyHeader is the header of HTTP that carries an idempotency key; as
// metadata of gRPC it is written in lower case.
const IdempotencyHeader = "Idempotency-Key"

// Idempotent tells before the first attempt whether executing this call twice
// does no more than once. If it does, neither a retry nor a hedge acts: the
// policy has one attempt.
func (c *Call) Idempotent(is bool) { c.once = !is }

// MayRepeat reports whether somebody else may do the work, too: the call is
// idempotent, or its delegate was not executed.
func (c *Call) MayRepeat() bool { return !c.once || c.attempts == 0 }

// mayTry reports whether the policy leaves another attempt.
func (c *Call) mayTry() bool {
	return c.tries < c.plan.attempts && !c.once && (!c.plan.letters || c.tries < c.plan.rt.replayTries(c.caller, c.plan.name))
}

type idempotencyKey struct{}

// WithIdempotencyKey returns a context with the key, by which a peer knows an
// attempt for a repetition of another one. An empty key takes one away: that of
// another call must not pass for this one's.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	if ctx == nil {
		ctx = context.Background()
	}
	if _, ok := IdempotencyKey(ctx); key == "" && !ok {
		return ctx
	}
	return context.WithValue(ctx, idempotencyKey{}, key)
}

// IdempotencyKey returns the key of the call that ctx belongs to: the same for
// all its attempts and its fallback. It reports false if there is none. Who does
// several things under one key asks for a key of each, by names.
func IdempotencyKey(ctx context.Context, names ...string) (key string, ok bool) {
	if ctx == nil {
		return "", false
	}
	key, _ = ctx.Value(idempotencyKey{}).(string)
	if key != "" && len(names) > 0 {
		key = partKey(key, names)
	}
	return key, key != ""
}

// partKey returns the key of a part of what key is of.
func partKey(key string, names []string) string {
	h := sha256.New()
	for _, part := range append([]string{key}, names...) {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part) // never fails
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// CallArgs are the arguments of a call.
type CallArgs []any

// CallKeys makes keys for the calls within what has one key itself, such as a node of
// a workflow. A context offers it under the key that [AsksCallKeys] reports.
type CallKeys interface {
	// CallKey returns the key of a call under ctx, which what tells from others: the
	// same one whenever all is done again. ok is false where ctx has a key of its own.
	CallKey(ctx context.Context, what string) (key string, ok bool)
}

type callKeys struct{}

// AsksCallKeys reports whether key is the one under which a context is asked for
// [CallKeys].
func AsksCallKeys(key any) bool {
	_, ok := key.(callKeys)
	return ok
}

// KeyOfCall returns a context with a key for the call of a method, where ctx is that of
// a node of a workflow; else ctx. The key comes from that of the node, the method, its
// arguments and how often the node has called it so before: when the node runs again,
// so does the call under the same key. Generated code calls it.
func KeyOfCall(ctx context.Context, method string, args func() CallArgs) context.Context {
	if ctx == nil {
		return ctx
	}
	keys, _ := ctx.Value(callKeys{}).(CallKeys)
	if keys == nil {
		return ctx
	}
	list := args()
	text, err := json.Marshal([]any(list))
	if err != nil { // what JSON cannot carry is told apart by how often it comes
		text = fmt.Appendf(nil, "%T", list)
	}
	if key, ok := keys.CallKey(ctx, method+" "+string(text)); ok {
		return WithIdempotencyKey(ctx, key)
	}
	return ctx
}

// AsksIdempotencyKey reports whether key is the one under which a context is asked
// for its idempotency key. A context that makes its key when it is asked answers with
// a string.
func AsksIdempotencyKey(key any) bool {
	_, ok := key.(idempotencyKey)
	return ok
}

// EnsureIdempotencyKey returns ctx if it carries a key, else a context with a
// [NewIdempotencyKey].
func EnsureIdempotencyKey(ctx context.Context) context.Context {
	if _, ok := IdempotencyKey(ctx); ok {
		return ctx
	}
	return WithIdempotencyKey(ctx, NewIdempotencyKey())
}

// AssignIdempotencyKey returns the key for a field that holds have, and a
// context with that key: have itself, else the key of ctx, else a
// [NewIdempotencyKey].
func AssignIdempotencyKey[K ~string](ctx context.Context, have K) (context.Context, K) {
	if have != "" {
		return WithIdempotencyKey(ctx, string(have)), have
	}
	ctx = EnsureIdempotencyKey(ctx)
	key, _ := IdempotencyKey(ctx)
	return ctx, K(key)
}

// PutIdempotencyKey calls set with [IdempotencyHeader] and the key of ctx, if
// it has one:
//
//	resilience.PutIdempotencyKey(ctx, req.Header.Set)
func PutIdempotencyKey(ctx context.Context, set func(name, value string)) {
	if key, ok := IdempotencyKey(ctx); ok {
		set(IdempotencyHeader, key)
	}
}

// NewIdempotencyKey returns a random UUID of version 4 (RFC 9562) as text. No
// seed fixes it, and it comes from crypto/rand: the generators of math/rand
// repeat themselves where a process is restored twice from one snapshot, and
// one payment would be taken for the other.
func NewIdempotencyKey() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	var text [36]byte
	at := 0
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text[at] = '-'
			at++
		}
		hex.Encode(text[at:], []byte{b})
		at += 2
	}
	return string(text[:])
}
