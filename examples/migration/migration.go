// Package migration is the code of docs/migration.md: a small workflow, a pipeline
// and an interface, and an Example for each thing that the document promises.
package migration

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

//go:generate go tool resilgen generate

// Question is what the workflow begins with.
type Question struct {
	Text string `json:"text"`
}

// Outline is made by Plan.
type Outline struct {
	Text     string   `json:"text"`
	Sections []string `json:"sections"`
}

// Analysis is made by Analyse.
type Analysis struct {
	Facts []string `json:"facts"`
}

// Draft is made by Write.
type Draft struct {
	Text string `json:"text"`
}

// Report is what the workflow ends with.
type Report struct {
	Text string `json:"text"`
}

// ResearchNodes are the nodes of the workflow.
type ResearchNodes interface {
	Plan(ctx context.Context, q Question) (Outline, error)
	Analyse(ctx context.Context, o Outline) (Analysis, error)
	Write(ctx context.Context, o Outline) (Draft, error)
	Review(ctx context.Context, a Analysis, d Draft) (Report, error)
}

// Prompt goes into the pipeline.
type Prompt struct {
	Text string `json:"text"`
}

// Answer comes out of it.
type Answer struct {
	Text string `json:"text"`
}

// InvocationStages are the stages of the pipeline: one node's work in three steps.
type InvocationStages interface {
	Prepare(ctx context.Context, p Prompt) (Prompt, error)
	Execute(ctx context.Context, p Prompt) (Answer, error)
	Summarize(ctx context.Context, a Answer) (Answer, error)
}

// Assistant is a service that a node asks.
type Assistant interface {
	Ask(ctx context.Context, question string) (string, error)
}

// ErrRefused is what a service says that does not listen.
var ErrRefused = errors.New("connect: ECONNREFUSED")

// Team are [ResearchNodes] that count what they do. Analyse fails as often as
// FailAnalyses says.
type Team struct {
	Plans, Analyses, Drafts, Reviews atomic.Int64
	FailAnalyses                     atomic.Int64
}

// Plan implements [ResearchNodes].
func (t *Team) Plan(_ context.Context, q Question) (Outline, error) {
	t.Plans.Add(1)
	return Outline{Text: q.Text, Sections: []string{"past", "present"}}, nil
}

// Analyse implements [ResearchNodes].
func (t *Team) Analyse(_ context.Context, o Outline) (Analysis, error) {
	t.Analyses.Add(1)
	if t.FailAnalyses.Add(-1) >= 0 {
		return Analysis{}, ErrRefused
	}
	return Analysis{Facts: o.Sections}, nil
}

// Write implements [ResearchNodes].
func (t *Team) Write(_ context.Context, o Outline) (Draft, error) {
	t.Drafts.Add(1)
	return Draft{Text: o.Text}, nil
}

// Review implements [ResearchNodes].
func (t *Team) Review(_ context.Context, a Analysis, d Draft) (Report, error) {
	t.Reviews.Add(1)
	return Report{Text: fmt.Sprintf("%s, %d facts", d.Text, len(a.Facts))}, nil
}

// Stages are [InvocationStages]. Down says that the model is, NoSummary that
// nobody sums up.
type Stages struct{ Down, NoSummary bool }

// Prepare implements [InvocationStages].
func (s *Stages) Prepare(_ context.Context, p Prompt) (Prompt, error) {
	return Prompt{Text: "please " + p.Text}, nil
}

// Execute implements [InvocationStages].
func (s *Stages) Execute(_ context.Context, p Prompt) (Answer, error) {
	if s.Down {
		return Answer{}, ErrRefused
	}
	return Answer{Text: "I " + p.Text}, nil
}

// Summarize implements [InvocationStages].
func (s *Stages) Summarize(_ context.Context, a Answer) (Answer, error) {
	if s.NoSummary {
		return Answer{}, ErrRefused
	}
	return Answer{Text: a.Text + "."}, nil
}

// Cached answers in place of the model.
type Cached struct{}

// ExecuteFallback answers for Execute.
func (Cached) ExecuteFallback(_ context.Context, p Prompt, _ error) (Answer, error) {
	return Answer{Text: "cached: " + p.Text}, nil
}
