package ops

import (
	"context"
	"net/http"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// PlanRequest asks for a plan.
type PlanRequest struct {
	Filter  string                   `json:"filter"`
	Options resilience.ReplayOptions `json:"options"`
}

func makePlan(r *request) (any, error) {
	var p PlanRequest
	if err := r.decode(&p); err != nil {
		return nil, err
	}
	return r.box().Plan(r.Context(), p.Filter, p.Options)
}

// Plan says what a replay of the letters that a filter chooses would do.
func (c *Client) Plan(ctx context.Context, filter string, o resilience.ReplayOptions) (resilience.Plan, error) {
	return ask[resilience.Plan](ctx, c, http.MethodPost, "plans", nil, "", PlanRequest{filter, o})
}
