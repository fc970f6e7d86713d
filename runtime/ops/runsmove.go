package ops

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/resilgen/resilgen/runtime/workflow"
)

// RunSignal tells a run something.
type RunSignal struct {
	RunRef
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value,omitempty"` // null without one
	// SignalID makes two signals one. Without it each is its own.
	SignalID string `json:"signalId,omitempty"`
}

// RunFork makes a run of another one.
type RunFork struct {
	RunRef
	At    uint64 `json:"at,omitempty"`    // version of the step after which it begins; 0: the last
	NewID string `json:"newId,omitempty"` // without it a new one
}

func cancelRun(r *request) (any, error) {
	var ref RunRef
	if err := r.decode(&ref); err != nil {
		return nil, err
	}
	return ref, r.runs().Cancel(r.Context(), ref.Workflow, ref.ID, r.by)
}

func forkRun(r *request) (any, error) {
	var f RunFork
	if err := r.decode(&f); err != nil {
		return nil, err
	}
	id, err := r.runs().Fork(r.Context(), f.Workflow, f.ID, f.At, f.NewID)
	return RunRef{f.Workflow, id}, err
}

func signalRun(r *request) (any, error) {
	var s RunSignal
	if err := r.decode(&s); err != nil {
		return nil, err
	}
	return s.RunRef, r.runs().Signal(r.Context(), s.Workflow, s.ID, s.Name, s.Value, workflow.SignalOptions{ID: s.SignalID, By: r.by})
}

// CancelRun ends a run.
func (c *Client) CancelRun(ctx context.Context, ref RunRef) error {
	_, err := ask[RunRef](ctx, c, http.MethodPost, "runs/cancel", nil, "", ref)
	return err
}

// ForkRun makes a run that goes on where another one stood, and returns its name.
func (c *Client) ForkRun(ctx context.Context, f RunFork) (RunRef, error) {
	return ask[RunRef](ctx, c, http.MethodPost, "runs/fork", nil, "", f)
}

// SignalRun tells a run something. It is durable when SignalRun returns.
func (c *Client) SignalRun(ctx context.Context, s RunSignal) error {
	_, err := ask[RunRef](ctx, c, http.MethodPost, "runs/signal", nil, "", s)
	return err
}
