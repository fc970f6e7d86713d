package agents

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/resilgen/resilgen/examples/agents/llm"
	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// A research that is stopped whenever another node begins ends all the same, and no
// answer of the model is on the bill twice.
func TestStoppedAtEveryNode(t *testing.T) {
	provider := llm.NewProvider(7, 0.3, time.Millisecond)
	server := httptest.NewServer(provider)
	defer server.Close()
	dir := t.TempDir()
	question := Question{Topic: "tides", Depth: 1}
	for stops := 1; ; stops++ {
		if stops > 40 {
			t.Fatal("it does not come to an end")
		}
		result, _, err := until(t, dir, server.URL, 1+stops, question)
		if errors.Is(err, context.Canceled) {
			continue
		}
		if err != nil || result.Output.Revisions != 1 || result.Status != workflow.Completed {
			t.Fatalf("%+v, %v", result, err)
		}
		bill := provider.Bill()
		if bill.Sold != len(result.Steps) || stops < 3 || !result.CheckpointUsed {
			t.Errorf("%d steps after %d stops, checkpoint used: %v; bill %+v", len(result.Steps), stops, result.CheckpointUsed, bill)
		}
		if again, begun, err := until(t, dir, server.URL, 0, question); err != nil || again.Output != result.Output || begun != 0 {
			t.Errorf("asked again: %+v, %v, and %d nodes began", again, err, begun)
		}
		return
	}
}

// until runs the research until so many nodes have begun, 0: to the end, and tells how
// many did.
func until(t *testing.T, dir, url string, nodes int, q Question) (result ResearchResult, begun int64, err error) {
	rt, err := resilience.Open(resilience.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var count atomic.Int64 // nodes begin at the same time: one of them is the last one
	agents := &Agents{Model: &Model{URL: url, HTTP: http.DefaultClient}, Entered: func(string) {
		if count.Add(1) == int64(nodes) {
			stop()
		}
	}}
	research, err := NewResearchWorkflow(rt, agents, NoSurvey{})
	if err != nil {
		t.Fatal(err)
	}
	result, err = research.Run(ctx, q, workflow.Options{ID: "r"})
	return result, count.Load(), err
}

// Without a survey the research goes on; without money it does not.
func TestFallbackAndBudget(t *testing.T) {
	server := httptest.NewServer(llm.NewProvider(1, 0, 0))
	defer server.Close()
	agents := &deafSurvey{Agents: Agents{Model: &Model{URL: server.URL, HTTP: http.DefaultClient}}}
	research, err := NewResearchWorkflow(nil, agents, NoSurvey{})
	if err != nil {
		t.Fatal(err)
	}
	result, err := research.Run(t.Context(), Question{Topic: "tides"}, workflow.Options{})
	if err != nil || result.Output.Text == "" {
		t.Fatalf("%+v, %v", result, err)
	}
	agents.dear = 3
	result, err = research.Run(t.Context(), Question{Topic: "tides"}, workflow.Options{})
	if !errors.Is(err, workflow.ErrLimit) || result.Cost < 2 {
		t.Errorf("%+v, %v", result, err)
	}
}

type deafSurvey struct {
	Agents
	dear float64 // what a plan costs besides
}

func (deafSurvey) Survey(context.Context, Outline) (Survey, error) {
	return Survey{}, &StatusError{Status: http.StatusServiceUnavailable}
}

func (d *deafSurvey) Plan(ctx context.Context, q Question) (Outline, error) {
	workflow.AddCost(ctx, d.dear)
	return d.Agents.Plan(ctx, q)
}
