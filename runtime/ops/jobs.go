package ops

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"strconv"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// JobList is the answer to GET jobs.
type JobList struct {
	Jobs []resilience.Job `json:"jobs"` // the youngest first, without Done
}

// Turn is why somebody changes the state of a job.
type Turn struct {
	Why string `json:"why,omitempty"`
}

// applyPlan makes a job of the plan that is confirmed.
func applyPlan(r *request) (any, error) {
	token := r.PathValue("token")
	if r.confirmed() != token {
		return nil, problem(Refused, "the header %s has another token than the path", confirmHeader)
	}
	var o resilience.ApplyOptions
	if err := r.decode(&o); err != nil {
		return nil, err
	}
	o.By = r.by
	return r.box().Apply(r.Context(), token, o)
}

func listJobs(r *request) (any, error) {
	list, err := r.box().Jobs(r.Context())
	return JobList{list}, err
}

// getJob answers with the letters that ended after the first so many.
func getJob(r *request) (any, error) {
	after, err := r.number("after", 0, 0, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	j, err := r.box().Job(r.Context(), r.PathValue("id"))
	j.Done = j.Done[min(after, len(j.Done)):]
	return j, err
}

// turnJob changes the state of a job.
func turnJob(r *request) (any, error) {
	var t Turn
	if err := r.decode(&t); err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	switch turn := r.PathValue("turn"); turn {
	case "pause":
		return r.box().PauseJob(r.Context(), id, r.by, t.Why)
	case "resume":
		return r.box().ResumeJob(r.Context(), id, r.by, t.Why)
	case "cancel":
		return r.box().CancelJob(r.Context(), id, r.by, t.Why)
	default:
		return nil, problem(NotFound, "a job is not turned by %s: want pause, resume or cancel", brief(turn))
	}
}

// Apply makes a job of a plan. The service carries it out.
func (c *Client) Apply(ctx context.Context, token string, o resilience.ApplyOptions) (resilience.Job, error) {
	if err := checkName(token); err != nil {
		return resilience.Job{}, err
	}
	return ask[resilience.Job](ctx, c, http.MethodPost, "plans/"+token+"/apply", nil, token, o)
}

// Jobs returns all jobs.
func (c *Client) Jobs(ctx context.Context) ([]resilience.Job, error) {
	list, err := ask[JobList](ctx, c, http.MethodGet, "jobs", nil, "", nil)
	return list.Jobs, err
}

// Job returns a job. Its Done is without the first so many.
func (c *Client) Job(ctx context.Context, id string, after int) (resilience.Job, error) {
	if err := checkName(id); err != nil {
		return resilience.Job{}, err
	}
	return ask[resilience.Job](ctx, c, http.MethodGet, "jobs/"+id, url.Values{"after": {strconv.Itoa(after)}}, "", nil)
}

// TurnJob changes the state of a job: pause, resume or cancel.
func (c *Client) TurnJob(ctx context.Context, id, turn, why string) (resilience.Job, error) {
	if err := checkName(id); err != nil {
		return resilience.Job{}, err
	}
	return ask[resilience.Job](ctx, c, http.MethodPost, "jobs/"+id+"/"+turn, nil, "", Turn{why})
}
