package workflows

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// invocation are InvocationStages.
type invocation struct{ book }

func (s *invocation) Trim(ctx context.Context, r Request) (Request, error) {
	return Request{strings.TrimSpace(r.Text)}, s.call(ctx, "Trim")
}

func (s *invocation) Prepare(ctx context.Context, r Request) (Prompt, error) {
	return Prompt{"please: " + r.Text}, s.call(ctx, "Prepare")
}

func (s *invocation) Execute(ctx context.Context, p Prompt) (Answer, error) {
	return Answer{p.Text + "? yes"}, s.call(ctx, "Execute")
}

func (s *invocation) Summarize(ctx context.Context, a Answer) (Answer, error) {
	_, last, _ := strings.Cut(a.Text, "? ")
	return Answer{last}, s.call(ctx, "Summarize")
}

// ExecuteFallback implements InvocationStagesFallback.
func (s *invocation) ExecuteFallback(context.Context, Prompt, error) (Answer, error) {
	return Answer{"? no answer"}, nil
}

// TestInvocation sends a value through a pipeline: all stages succeed, are tried
// again, left out, answered for, or end it.
func TestInvocation(t *testing.T) {
	for _, test := range []struct {
		name  string
		fails map[string]int
		want  string
		err   error
		stage string // of the report that is looked at
		check func(r workflow.StageReport) bool
	}{
		{"success", nil, "yes", nil, "Execute", func(r workflow.StageReport) bool {
			return r.Attempts == 1 && r.Breaker == resilience.StateClosed && r.Err == nil && !r.FallbackUsed
		}},
		{"again", map[string]int{"Prepare": 2}, "yes", nil, "Prepare", func(r workflow.StageReport) bool { return r.Attempts == 3 && r.Breaker == 0 }},
		{"answered for", map[string]int{"Execute": 3}, "no answer", nil, "Execute", func(r workflow.StageReport) bool {
			return r.Attempts == 3 && r.FallbackUsed && r.Err == nil
		}},
		{"optional at the end", map[string]int{"Summarize": 1}, "please: me? yes", nil, "Summarize", func(r workflow.StageReport) bool {
			return r.Optional && errors.Is(r.Err, errDown) && r.Attempts == 1
		}},
		{"optional at the beginning", map[string]int{"Trim": 1}, "yes", nil, "Trim", func(r workflow.StageReport) bool { return r.Optional && r.Err != nil }},
		{"failed", map[string]int{"Prepare": 3}, "", errDown, "Summarize", func(r workflow.StageReport) bool { return r.Skipped && r.Attempts == 0 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &invocation{book{fails: test.fails}}
			p, err := NewInvocationPipeline(new(resilience.Runtime), s, s)
			if err != nil {
				t.Fatal(err)
			}
			answer, report, err := p.Run(t.Context(), Request{" me "})
			if answer.Text != test.want || !errors.Is(err, test.err) {
				t.Errorf("Run = %q, %v, want %q, %v", answer.Text, err, test.want, test.err)
			}
			for _, r := range report.Stages {
				if r.Stage == test.stage && !test.check(r) {
					t.Errorf("the report is %+v", r)
				}
			}
			if b := p.Breakers(); len(b) != 1 || b[0].Name != "pipeline/Invocation/Execute" {
				t.Errorf("the breakers are %+v", b)
			}
		})
	}
}

// lookup are LookupStages.
type lookup struct{ book }

func (s *lookup) Find(ctx context.Context, r Request) (Prompt, error) {
	return Prompt(r), s.call(ctx, "Find")
}

func (s *lookup) Keep(ctx context.Context, p Prompt) (Answer, error) {
	return Answer(p), s.call(ctx, "Keep")
}

// KeepFallback implements LookupStagesFallback.
func (s *lookup) KeepFallback(context.Context, Prompt, error) (Answer, error) {
	return Answer{"nothing"}, nil
}

// TestKeptStages has stages whose results are there: they take no attempts.
func TestKeptStages(t *testing.T) {
	s := &lookup{book{fails: map[string]int{"Keep": 4}}}
	p, err := NewLookupPipeline(opened(t, t.TempDir()), s, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"yes: Find 1, Keep 3 by its fallback", "yes: Find 0, Keep 2", "yes: Find 0, Keep 0"} {
		answer, report, err := p.Run(t.Context(), Request{"yes"})
		text := fmt.Sprintf("yes: Find %d, Keep %d", report.Stages[0].Attempts, report.Stages[1].Attempts)
		if report.Stages[1].FallbackUsed {
			text += " by its fallback"
			answer.Text = "yes"
		}
		if err != nil || answer.Text != "yes" || text != want {
			t.Errorf("%s, %v, %v, want %s", text, answer, err, want)
		}
	}
}

// assistant are AssistantNodes.
type assistant struct{ book }

func (a *assistant) Read(ctx context.Context, text string) (Request, error) {
	return Request{text}, a.call(ctx, "Read")
}

func (a *assistant) Say(ctx context.Context, answer Answer) (string, error) {
	return answer.Text, a.call(ctx, "Say")
}

// TestPipelineNode has a pipeline be a node: the step tells of what it took.
func TestPipelineNode(t *testing.T) {
	each(t, func(t *testing.T, rt *resilience.Runtime) {
		s := &invocation{book{fails: map[string]int{"Prepare": 2, "Execute": 3}}}
		p, err := NewInvocationPipeline(rt, s, s)
		if err != nil {
			t.Fatal(err)
		}
		w, err := NewAssistantWorkflow(rt, new(assistant), p)
		if err != nil {
			t.Fatal(err)
		}
		result, err := w.Run(t.Context(), " me ", workflow.Options{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the output", result.Output, "no answer")
		equal(t, "the steps", steps(result.Steps), "Invoke fallback 5, Read done, Say done")
	})
	if _, err := NewAssistantWorkflow(nil, new(assistant), nil); err == nil || !strings.Contains(err.Error(), "workflow Assistant: the argument invocation of its constructor is nil") {
		t.Errorf("without a pipeline: %v", err)
	}
	if _, err := NewAssistantWorkflow(nil, nil, nil); err == nil {
		t.Error("without nodes there is no error")
	}
}
