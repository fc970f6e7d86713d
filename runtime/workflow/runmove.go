package workflow

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Signal gives a run a signal whose value is JSON; nil is null. Two with one
// SignalOptions.ID are one. A value that the node does not take is refused with
// [resilience.ErrInvalid] where the workflow is made in this process, with the graph of
// the run; else nobody here knows, and the run makes a letter of it, which shows the
// value. Nor is it known of a run that nobody has begun what it waits for. [ErrRunOver]:
// it has ended. [ErrRunUnknown]: there is no such run.
func (rs *Runs) Signal(ctx context.Context, workflow, id, name string, value json.RawMessage, o SignalOptions) error {
	if value == nil {
		value = json.RawMessage("null")
	}
	e := inboxEntry{ID: "signal/" + cmp.Or(o.ID, strings.ToLower(rand.Text())), Kind: inboxSignal, Name: name, Value: Raw(value), By: o.By}
	_, s, err := rs.open(ctx, workflow, id)
	if errors.Is(err, ErrRunUnknown) {
		q, err := rs.inQueue(ctx, workflow, id, err)
		if err == nil {
			err = checkSignal(name, value)
		}
		if err != nil {
			return err
		}
		return rs.tell(ctx, &q, e)
	}
	if err != nil || s.heard(e.ID) {
		return err
	}
	if s.Status.Ended() {
		return fmt.Errorf("%w: run %s is %s", ErrRunOver, id, s.Status)
	}
	if err := checkSignal(name, value); err != nil {
		return err
	}
	if !s.Graph.awaitsSignal(name) {
		return fmt.Errorf("%w: no node of %s waits for a signal %.100q", resilience.ErrInvalid, s.Graph.Workflow, name)
	}
	if err := checkSignalType(rs.rt, s.Graph, name, e.Value); err != nil {
		return err
	}
	if err := rs.post(ctx, s.Graph.Workflow, id, e); err != nil {
		return err
	}
	return rouseRun(ctx, rs.rt, s.Graph.Workflow, id)
}

// checkSignal refuses what can be no signal.
func checkSignal(name string, value json.RawMessage) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: a signal without a name", resilience.ErrInvalid)
	case !json.Valid(value):
		return fmt.Errorf("%w: the value of signal %.100q is no JSON", resilience.ErrInvalid, name)
	case len(value) > maxPayload:
		return fmt.Errorf("%w: the value of signal %.100q has %d bytes, at most %d", resilience.ErrTooLarge, name, len(value), maxPayload)
	}
	return nil
}

// awaitsSignal reports whether a node waits for a signal of the name.
func (g *GraphInfo) awaitsSignal(name string) bool {
	return name != "" && slices.ContainsFunc(g.Nodes, func(n NodeInfo) bool { return n.Signal == name })
}

// Cancel tells a run to end. Its owner does, or a worker that takes it for that; of one
// that nobody has begun no node is called.
// [ErrRunOver]: it has ended.
func (rs *Runs) Cancel(ctx context.Context, workflow, id, by string) error {
	e := inboxEntry{ID: cancelEntry, Kind: inboxCancel, By: by}
	s, err := rs.moving(ctx, workflow, id)
	if errors.Is(err, ErrRunUnknown) {
		q, err := rs.inQueue(ctx, workflow, id, err)
		if err != nil {
			return err
		}
		return rs.tell(ctx, &q, e)
	}
	if err != nil {
		return err
	}
	if err := rs.post(ctx, s.Graph.Workflow, s.ID, e); err != nil {
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
func (rs *Runs) post(ctx context.Context, workflow, id string, e inboxEntry) error {
	e.At = time.Now().Round(0).UTC()
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return rs.rt.Post(ctx, resilience.StoreKey("inbox", workflow, id), e.ID, body)
}
