package resilience

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"time"
)

// This file is what package workflow needs of a Runtime.

// Stores returns where the durable things of rt live. [ErrNoStore]: nowhere;
// [ErrClosed]: rt was closed.
func (rt *Runtime) Stores() (Stores, error) {
	if _, err := rt.values(); err != nil {
		return Stores{}, err
	}
	root, _ := rt.root()
	return root.stores, nil
}

// Durable reports whether what is durable of name is kept: nobody has switched that
// off with [Runtime.SetDurable], nor has preset testing.
func (rt *Runtime) Durable(name string) bool {
	root, _ := rt.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	if on, set := root.durability(name); set {
		return on
	}
	return cmp.Or(root.preset, Production) != Testing
}

// Listened reports whether anybody is told of what [Runtime.Tell] tells.
func (rt *Runtime) Listened() bool {
	root, _ := rt.root()
	return root.observer != nil
}

// Tell tells [Options].Observe of e, which happened now if it does not say when.
func (rt *Runtime) Tell(ctx context.Context, e Event) {
	root, _ := rt.root()
	if root.observer == nil {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	root.observer.tell(ctx, e)
}

// Now returns the time for what outlives the process: the greatest wall time that
// was seen. While the system's clock is set back it stands still; a leap forward by
// more than an hour is not believed.
func (rt *Runtime) Now() time.Time {
	root, _ := rt.root()
	return root.wall.now()
}

// Upcaster returns what makes values of a shape ones of today's, as [Upcast] was
// told, or nil.
func (rt *Runtime) Upcaster(shape string) func(json.RawMessage) (json.RawMessage, error) {
	root, _ := rt.root()
	return root.upcast(shape)
}

// Attach gives rt a thing of package workflow under a key. It reports false, and does
// nothing, where there is one.
func (rt *Runtime) Attach(key string, thing any) bool {
	root, _ := rt.root()
	_, there := root.attached.LoadOrStore(key, thing)
	return !there
}

// Attached returns what Attach gave rt, or nil.
func (rt *Runtime) Attached(key string) any {
	root, _ := rt.root()
	thing, _ := root.attached.Load(key)
	return thing
}

// DecodeJSON decodes the one JSON value of data into v as encoding/json does, and
// refuses fields that v does not have, a name twice in an object, text that is not
// Unicode and whatever follows the value. Numbers that stand as any become a
// [json.Number].
func DecodeJSON(data []byte, v any) error { return decodeStrict(data, v) }

// Large returns log for bodies of up to 8 MiB. One of more than 64 KiB is written in
// pieces under its key, and is there with the last of them; what a crash leaves
// before that is shown to nobody. All who use a key must use it so. A key is
// dropped through the version of a whole body.
func Large(log Log) Log { return largeLog{values{log}} }

type largeLog struct{ kept values }

// Append implements [Log].
func (l largeLog) Append(ctx context.Context, key string, after Version, body []byte) (Version, error) {
	return l.kept.append(ctx, key, after, body)
}

// Scan implements [Log].
func (l largeLog) Scan(ctx context.Context, key string, after Version) iter.Seq2[Record, error] {
	return l.kept.scan(ctx, key, after)
}

// Heads implements [Log].
func (l largeLog) Heads(ctx context.Context, prefix, from string) iter.Seq2[Record, error] {
	return l.kept.heads(ctx, prefix, from)
}

// Drop implements [Log].
func (l largeLog) Drop(ctx context.Context, key string, through Version) error {
	return l.kept.drop(ctx, key, through)
}
