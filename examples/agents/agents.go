// Package agents is a research done by agents that ask a language model: a
// workflow whose steps are durable, so that a crash repeats no step that was paid
// for, under a budget, with roles, and with a review that may send a draft back.
package agents

import (
	"context"

	"github.com/resilgen/resilgen/runtime/workflow"
)

//go:generate go tool resilgen generate

// Question is what a research begins with.
type Question struct {
	Topic string `json:"topic"`
	Depth int    `json:"depth"` // drafts that the reviewer sends back
}

// Outline is what there is to be found out.
type Outline struct {
	Topic    string   `json:"topic"`
	Depth    int      `json:"depth"`
	Sections []string `json:"sections"`
}

// Findings are what a search came to.
type Findings struct {
	Sources []string `json:"sources"`
	Summary string   `json:"summary"`
}

// Survey is what others wrote about the topic.
type Survey struct {
	Opinions string `json:"opinions"`
	Depth    int    `json:"depth"`
}

// Draft is a report that is not reviewed yet.
type Draft struct {
	Text      string `json:"text"`
	Revisions int    `json:"revisions"`
	Wanted    int    `json:"wanted"` // revisions, by the question
}

// Report is what a research ends with.
type Report struct {
	Text      string `json:"text"`
	Revisions int    `json:"revisions"`
}

// ResearchNodes are the agents, one method each. The workflow Research of
// resilience.yaml says who hands on to whom.
type ResearchNodes interface {
	// Plan cuts the question into sections.
	Plan(ctx context.Context, q Question) (Outline, error)
	// Search looks for sources.
	Search(ctx context.Context, o Outline) (Findings, error)
	// Survey asks what others think. The research goes on without it.
	Survey(ctx context.Context, o Outline) (Survey, error)
	// Write makes a draft of both.
	Write(ctx context.Context, f Findings, s Survey) (Draft, error)
	// Review hands a draft on to be published, or back to be revised.
	Review(ctx context.Context, d Draft) (Draft, workflow.Route, error)
	// Revise makes a better draft.
	Revise(ctx context.Context, d Draft) (Draft, error)
	// Publish makes a report of the draft.
	Publish(ctx context.Context, d Draft) (Report, error)
}
