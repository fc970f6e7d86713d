package ops

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/resilgen/resilgen/runtime/workflow"
)

// maxRunPage is how many runs a page has at most.
const maxRunPage = 1000

// RunRef names a run.
type RunRef struct {
	// Workflow is its full name, or what stands behind the last dot of it; where only
	// one workflow has a run with the id, it may be empty.
	Workflow string `json:"workflow,omitempty"`
	ID       string `json:"id"`
}

func listRuns(r *request) (any, error) {
	limit, err := r.number("limit", 100, 1, maxRunPage)
	if err != nil {
		return nil, err
	}
	oldest, err := r.flag("oldest")
	if err != nil {
		return nil, err
	}
	return r.runs().List(r.Context(), workflow.RunQuery{
		Workflow: r.query.Get("workflow"), Status: workflow.Status(r.query.Get("status")), Cursor: r.query.Get("cursor"), Limit: limit, OldestFirst: oldest,
	})
}

// runs are those of the stores of the Runtime.
func (r *request) runs() *workflow.Runs { return workflow.RunsOf(r.rt) }

func showRun(r *request) (any, error) {
	return r.runs().Show(r.Context(), r.query.Get("workflow"), r.query.Get("id"))
}

func exportRun(r *request, out *lines) error {
	for record, err := range r.runs().Export(r.Context(), r.query.Get("workflow"), r.query.Get("id")) {
		if err != nil {
			return err
		}
		if err := out.send(record); err != nil {
			return err
		}
	}
	return nil
}

func resumeRun(r *request) (any, error) {
	var ref RunRef
	if err := r.decode(&ref); err != nil {
		return nil, err
	}
	return ref, r.runs().Resume(r.Context(), ref.Workflow, ref.ID)
}

// Runs returns a page of runs. A limit of 0 is 100; at most 1,000 are taken.
func (c *Client) Runs(ctx context.Context, q workflow.RunQuery) (workflow.RunPage, error) {
	query := url.Values{}
	setText(query, "workflow", q.Workflow)
	setText(query, "status", string(q.Status))
	setText(query, "cursor", q.Cursor)
	if q.Limit > 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.OldestFirst {
		query.Set("oldest", "true")
	}
	return ask[workflow.RunPage](ctx, c, http.MethodGet, "runs", query, "", nil)
}

// Run returns all that is known of a run.
func (c *Client) Run(ctx context.Context, ref RunRef) (workflow.RunDetail, error) {
	return ask[workflow.RunDetail](ctx, c, http.MethodGet, "runs/show", ref.query(), "", nil)
}

func (ref RunRef) query() url.Values {
	query := url.Values{"id": {ref.ID}}
	setText(query, "workflow", ref.Workflow)
	return query
}

// ExportRun yields the records of a run.
func (c *Client) ExportRun(ctx context.Context, ref RunRef) iter.Seq2[json.RawMessage, error] {
	return follow(ctx, c, "runs/export", ref.query())
}

// ResumeRun has a worker take a run.
func (c *Client) ResumeRun(ctx context.Context, ref RunRef) error {
	_, err := ask[RunRef](ctx, c, http.MethodPost, "runs/resume", nil, "", ref)
	return err
}
