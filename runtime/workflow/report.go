package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Report is what one way through a [Pipeline] took.
type Report struct {
	Pipeline string        `json:"pipeline"` // Invocation
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"duration"`
	Stages   []StageReport `json:"stages"` // all of them, in their order
}

// StageReport is what a stage took.
type StageReport struct {
	Stage        string
	Attempts     int              // executions; 0 where its policy let none through, or an earlier result was kept
	Duration     time.Duration    // with all attempts and the waits between them
	Breaker      resilience.State // behind it; 0 if it has none
	FallbackUsed bool
	Optional     bool
	Skipped      bool  // it was not called: one before it failed, or the caller left
	Err          error // why it failed; nil after a success
}

// Report returns what the way took until now. Stages that were not called are
// skipped ones.
func (p *Pass) Report() Report {
	for _, s := range p.pipeline.stages[len(p.reports):] {
		p.reports = append(p.reports, StageReport{Stage: s.Name, Optional: s.Optional, Skipped: true})
	}
	return Report{
		Pipeline: strings.TrimPrefix(p.pipeline.name, pipelinePath), Started: p.begun, Duration: time.Since(p.begun), Stages: p.reports,
	}
}

// Tell tells the run to which ctx belongs that a pipeline is what its node took. The
// record of the step keeps what is said of the first 64 stages. Generated code calls
// it.
func (r Report) Tell(ctx context.Context) {
	t, ok := ctx.Value(tellKey{}).(*resilience.Taken)
	if !ok {
		return
	}
	*t = resilience.Taken{Attempts: 1}
	for _, s := range r.Stages {
		t.Attempts += max(s.Attempts-1, 0)
		t.FallbackUsed = t.FallbackUsed || s.FallbackUsed
		if t.Breaker <= resilience.StateClosed { // else it is one that is not closed
			t.Breaker = max(t.Breaker, s.Breaker)
		}
	}
	if inv := invocationOf(ctx); inv != nil && t == &inv.taken { // else it is in a stage of another one
		inv.stages = r.stages()
	}
}

// String returns the report in a line.
func (r Report) String() string {
	stages := make([]string, len(r.Stages))
	for i := range r.Stages {
		stages[i] = r.Stages[i].String()
	}
	return fmt.Sprintf("%s in %v: %s", r.Pipeline, r.Duration.Round(time.Microsecond), strings.Join(stages, "; "))
}

// String returns the report of the stage in a few words.
func (s *StageReport) String() string {
	if s.Skipped {
		return s.Stage + " skipped"
	}
	text := fmt.Sprintf("%s %v", s.Stage, s.Duration.Round(time.Microsecond))
	if s.Attempts != 1 {
		text += fmt.Sprintf(", %d attempts", s.Attempts)
	}
	if s.FallbackUsed {
		text += ", fallback"
	}
	if s.Breaker > resilience.StateClosed {
		text += ", breaker " + s.Breaker.String()
	}
	if s.Err != nil {
		text += ", failed"
		if s.Optional {
			text += " (optional)"
		}
		text += ": " + s.Err.Error()
	}
	return text
}

// MarshalJSON writes the state of the breaker and the error as texts.
func (s StageReport) MarshalJSON() ([]byte, error) {
	view := struct {
		Stage        string        `json:"stage"`
		Attempts     int           `json:"attempts"`
		Duration     time.Duration `json:"duration"`
		Breaker      string        `json:"breaker,omitempty"`
		FallbackUsed bool          `json:"fallbackUsed,omitempty"`
		Optional     bool          `json:"optional,omitempty"`
		Skipped      bool          `json:"skipped,omitempty"`
		Error        string        `json:"error,omitempty"`
	}{s.Stage, s.Attempts, s.Duration, "", s.FallbackUsed, s.Optional, s.Skipped, ""}
	if s.Breaker != 0 {
		view.Breaker = s.Breaker.String()
	}
	if s.Err != nil {
		view.Error = s.Err.Error()
	}
	return json.Marshal(view)
}
