package agents

import (
	"context"
	"fmt"
	"strings"

	"github.com/resilgen/resilgen/runtime/workflow"
)

// Agents are [ResearchNodes] that ask a model.
type Agents struct {
	Model *Model
	// Entered is called when a node begins, by the demonstration, which wants to know
	// when to pull the plug; nil: nobody.
	Entered func(node string)
}

var _ ResearchNodes = (*Agents)(nil)

// ask asks the model and puts what it cost on the bill of the run.
func (a *Agents) ask(ctx context.Context, node, prompt string) (string, error) {
	if a.Entered != nil {
		a.Entered(node)
	}
	answer, err := a.Model.Ask(ctx, node+": "+prompt)
	if err != nil {
		return "", err
	}
	workflow.AddCost(ctx, answer.Cost)
	return answer.Text, nil
}

// Plan implements [ResearchNodes].
func (a *Agents) Plan(ctx context.Context, q Question) (Outline, error) {
	text, err := a.ask(ctx, "Plan", q.Topic)
	return Outline{Topic: q.Topic, Depth: q.Depth, Sections: strings.Split(text, " ")}, err
}

// Search implements [ResearchNodes].
func (a *Agents) Search(ctx context.Context, o Outline) (Findings, error) {
	text, err := a.ask(ctx, "Search", o.Topic)
	return Findings{Sources: o.Sections, Summary: text}, err
}

// Survey implements [ResearchNodes].
func (a *Agents) Survey(ctx context.Context, o Outline) (Survey, error) {
	text, err := a.ask(ctx, "Survey", o.Topic)
	return Survey{Opinions: text, Depth: o.Depth}, err
}

// Write implements [ResearchNodes].
func (a *Agents) Write(ctx context.Context, f Findings, s Survey) (Draft, error) {
	text, err := a.ask(ctx, "Write", f.Summary+" and "+s.Opinions)
	return Draft{Text: text, Wanted: s.Depth}, err
}

// Review implements [ResearchNodes].
func (a *Agents) Review(ctx context.Context, d Draft) (Draft, workflow.Route, error) {
	if _, err := a.ask(ctx, "Review", d.Text); err != nil {
		return d, workflow.Route{}, err
	}
	if d.Revisions < d.Wanted {
		return d, workflow.To(ResearchRevise), nil
	}
	return d, workflow.To(ResearchPublish), nil
}

// Revise implements [ResearchNodes].
func (a *Agents) Revise(ctx context.Context, d Draft) (Draft, error) {
	text, err := a.ask(ctx, "Revise", fmt.Sprintf("%s, again", d.Text))
	return Draft{Text: text, Revisions: d.Revisions + 1, Wanted: d.Wanted}, err
}

// Publish implements [ResearchNodes].
func (a *Agents) Publish(ctx context.Context, d Draft) (Report, error) {
	text, err := a.ask(ctx, "Publish", d.Text)
	return Report{Text: text, Revisions: d.Revisions}, err
}

// NoSurvey answers for the survey where the model does not.
type NoSurvey struct{}

// SurveyFallback says that nobody was asked.
func (NoSurvey) SurveyFallback(_ context.Context, o Outline, _ error) (Survey, error) {
	return Survey{Opinions: "nobody was asked", Depth: o.Depth}, nil
}
