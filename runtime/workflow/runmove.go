package workflow

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Signal gives a run a signal whose value is JSON; nil is null. Two with one
// SignalOptions.ID are one. Whether the value is one that the node takes is seen when
// the run takes it: here is no code that knows. [ErrRunOver]: it has ended.
func (rs *Runs) Signal(ctx context.Context, workflow, id, name string, value json.RawMessage, o SignalOptions) error {
	if value == nil {
		value = json.RawMessage("null")
	}
	_, s, err := rs.open(ctx, workflow, id)
	if err != nil {
		return err
	}
	e := inboxEntry{ID: "signal/" + cmp.Or(o.ID, strings.ToLower(rand.Text())), Kind: inboxSignal, Name: name, Value: Raw(value), By: o.By}
	switch {
	case s.heard(e.ID):
		return nil
	case s.Status.Ended():
		return fmt.Errorf("%w: run %s is %s", ErrRunOver, id, s.Status)
	case !json.Valid(value):
		return fmt.Errorf("%w: the value of signal %.100q is no JSON", resilience.ErrInvalid, name)
	case len(value) > maxPayload:
		return fmt.Errorf("%w: the value of signal %.100q has %d bytes, at most %d", resilience.ErrTooLarge, name, len(value), maxPayload)
	case !s.Graph.awaitsSignal(name):
		return fmt.Errorf("%w: no node of %s waits for a signal %.100q", resilience.ErrInvalid, s.Graph.Workflow, name)
	}
	if err := rs.post(ctx, s, e); err != nil {
		return err
	}
	return rouseRun(ctx, rs.rt, s.Graph.Workflow, id)
}

// awaitsSignal reports whether a node waits for a signal of the name.
func (g *GraphInfo) awaitsSignal(name string) bool {
	return name != "" && slices.ContainsFunc(g.Nodes, func(n NodeInfo) bool { return n.Signal == name })
}

// Cancel tells a run to end. Its owner does, or a worker that takes it for that.
// [ErrRunOver]: it has ended.
func (rs *Runs) Cancel(ctx context.Context, workflow, id, by string) error {
	s, err := rs.moving(ctx, workflow, id)
	if err != nil {
		return err
	}
	if err := rs.post(ctx, s, inboxEntry{ID: cancelEntry, Kind: inboxCancel, By: by}); err != nil {
		return err
	}
	return rs.nudge(ctx, s)
}

// Fork makes a run that goes on where another one stood after a version, 0 for the
// last one, see [Checkpoint.Fork]; a worker takes it. It returns its id.
func (rs *Runs) Fork(ctx context.Context, workflow, id string, at uint64, newID string) (string, error) {
	_, s, err := rs.open(ctx, workflow, id)
	if err != nil {
		return "", err
	}
	stores, err := rs.rt.Stores()
	if err != nil {
		return "", err
	}
	made, err := OpenCheckpoint(stores, s.Graph.Workflow, id).Fork(ctx, at, newID)
	if err != nil {
		return "", err
	}
	return made, rs.Resume(ctx, s.Graph.Workflow, made)
}

// moving returns the state of a run that has not ended.
func (rs *Runs) moving(ctx context.Context, workflow, id string) (*state, error) {
	_, s, err := rs.open(ctx, workflow, id)
	if err == nil && s.Status.Ended() {
		err = fmt.Errorf("%w: run %s is %s", ErrRunOver, id, s.Status)
	}
	return s, err
}

// post puts an entry into the inbox of a run.
func (rs *Runs) post(ctx context.Context, s *state, e inboxEntry) error {
	e.At = time.Now().Round(0).UTC()
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return rs.rt.Post(ctx, resilience.StoreKey("inbox", s.Graph.Workflow, s.ID), e.ID, body)
}
