package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Save keeps v for the node that ctx belongs to: when the node is called again for
// the same message, after a crash or in a later attempt, [Saved] returns it. It is
// durable when Save returns nil; where the workflow has an autosave interval, it is
// so within that, and of what is saved in between the last counts. It is gone once
// the step is recorded.
func Save[T any](ctx context.Context, v T) error {
	inv := invocationOf(ctx)
	if inv == nil {
		return errNoNode
	}
	raw, err := json.Marshal(v)
	switch {
	case err != nil:
		return fmt.Errorf("save a %T: %w", v, err)
	case len(raw) > maxPayload:
		return fmt.Errorf("save a %T of %d bytes, at most %d: %w", v, len(raw), maxPayload, resilience.ErrTooLarge)
	}
	return inv.ask(ctx, func() error { return inv.r.save(inv, raw) })
}

// Saved returns what [Save] kept last for the message of the node that ctx belongs
// to, and whether there is anything. What does not decode into a T is an error.
func Saved[T any](ctx context.Context) (v T, ok bool, err error) {
	inv := invocationOf(ctx)
	if inv == nil {
		return v, false, nil
	}
	inv.mu.Lock()
	raw := inv.saved
	inv.mu.Unlock()
	if raw == nil {
		return v, false, nil
	}
	if err := resilience.DecodeJSON(raw, &v); err != nil {
		return v, true, fmt.Errorf("what was saved is no %T: %w", v, err)
	}
	return v, true, nil
}

// save keeps what a node saves: now, or when its interval is over.
func (r *run) save(inv *invocation, raw json.RawMessage) error {
	inv.mu.Lock()
	inv.saved = raw
	inv.mu.Unlock()
	inv.unsaved = true
	if time.Since(inv.savedAt) < r.e.g.Checkpoint.Autosave {
		return nil
	}
	return r.saveNow(inv)
}

func (r *run) saveNow(inv *invocation) error {
	inv.unsaved, inv.savedAt = false, time.Now()
	inv.mu.Lock()
	raw := inv.saved
	inv.mu.Unlock()
	rec := r.record(kindSave)
	rec.Save = &saveRecord{Message: inv.id, Value: Value{raw: raw}}
	return r.commit(rec)
}

// autosave keeps what nodes saved whose interval is over, and returns when the next
// one is; zero if there is none.
func (r *run) autosave() (next time.Time) {
	if r.e.g.Checkpoint.Autosave == 0 {
		return next
	}
	for _, inv := range r.flying {
		if !inv.unsaved {
			continue
		}
		due := inv.savedAt.Add(r.e.g.Checkpoint.Autosave)
		if !time.Now().Before(due) {
			if err := r.saveNow(inv); err != nil {
				r.tellOf(inv, resilience.Event{Kind: resilience.MessageNoted, Reason: "not saved", Err: err})
			}
		} else if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return next
}
