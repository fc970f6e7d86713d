// Package workflows has a workflow for each way in which nodes work together, and a
// pipeline. Its tests run what is generated of them, in memory and on files.
package workflows

import (
	"context"

	"github.com/resilgen/resilgen/runtime/workflow"
)

//go:generate go run ../../cmd/resilgen generate

// Question is what a run of Research is about.
type Question struct {
	Text   string `json:"text"`
	Tenant string `json:"tenant"`
}

// Outline is what Plan makes of it.
type Outline struct {
	Question string   `json:"question"`
	Points   []string `json:"points"`
}

// Analysis is what Analyse finds.
type Analysis struct{ Finding string }

// Draft is what Write writes.
type Draft struct{ Text, By string }

// Report is what comes of it all.
type Report struct{ Text string }

// ResearchNodes fork, and join again.
type ResearchNodes interface {
	Plan(ctx context.Context, q Question) (Outline, error)
	Analyse(ctx context.Context, o Outline) (Analysis, error)
	Write(ctx context.Context, o Outline) (Draft, error)
	// Review waits for both.
	Review(ctx context.Context, a Analysis, d Draft) (Report, error)
}

// Ticket is somebody's complaint.
type Ticket struct {
	ID     string
	Kind   string
	Amount int
}

// Refund is money that goes back.
type Refund struct {
	Ticket string
	Amount int
}

// TicketNodes pick their successors.
type TicketNodes interface {
	// Triage picks among all of its successors.
	Triage(ctx context.Context, t Ticket) (Ticket, workflow.Route, error)
	// Pay is reached by a Refund, which is not what Triage returns.
	Pay(ctx context.Context, r Refund) (Report, error)
	// Ask goes back to Triage.
	Ask(ctx context.Context, t Ticket) (Ticket, error)
	Answer(ctx context.Context, t Ticket) (Report, error)
	// Log returns nothing, and only picks.
	Log(ctx context.Context, t Ticket) (workflow.Route, error)
}

// Order is what somebody buys.
type Order struct {
	ID     string
	Amount int
}

// Approval is given by a person.
type Approval struct {
	By string
	OK bool
}

// Receipt ends an order.
type Receipt struct{ Order, Text string }

// OrderNodes wait for a person, for a child and for the time.
type OrderNodes interface {
	Place(ctx context.Context, o Order) (Order, error)
	// Decide gets nil when nobody has approved in time.
	Decide(ctx context.Context, a *Approval) (Order, workflow.Route, error)
	Bill(ctx context.Context, p Parcel) (Receipt, error)
	Remind(ctx context.Context, o Order) (Receipt, error)
}

// Parcel is what Shipping makes of an order.
type Parcel struct{ Order, Label string }

// ShippingNodes are those of a child.
type ShippingNodes interface {
	Pack(ctx context.Context, o Order) (Parcel, error)
}

// QuoteNodes race: the first answer is enough.
type QuoteNodes interface {
	Open(ctx context.Context, o Order) (Order, error)
	Fast(ctx context.Context, o Order) (Draft, error)
	Slow(ctx context.Context, o Order) (Draft, error)
	// Choose has nil for who has not answered.
	Choose(ctx context.Context, fast, slow *Draft) (Receipt, error)
}

// WordNodes have as many outputs as there are words.
type WordNodes interface {
	Split(ctx context.Context, text string) (string, workflow.Route, error)
	Count(ctx context.Context, word string) (int, error)
}

// PairNodes go on with what there is in time.
type PairNodes interface {
	Begin(ctx context.Context, n int) (int, error)
	Left(ctx context.Context, n int) (int, error)
	Right(ctx context.Context, n int) (int, error)
	Sum(ctx context.Context, left, right *int) (int, error)
}

// Request is what a pipeline is given.
type Request struct{ Text string }

// Prompt is what it makes of it.
type Prompt struct{ Text string }

// Answer is what it returns.
type Answer struct{ Text string }

// InvocationStages are called one after the other.
type InvocationStages interface {
	Trim(ctx context.Context, request Request) (Request, error)
	Prepare(ctx context.Context, request Request) (Prompt, error)
	Execute(ctx context.Context, p Prompt) (Answer, error)
	Summarize(ctx context.Context, a Answer) (Answer, error)
}

// LookupStages are stages whose results are kept.
type LookupStages interface {
	Find(ctx context.Context, request Request) (Prompt, error)
	Keep(ctx context.Context, p Prompt) (Answer, error)
}

// AssistantNodes have the pipeline between them.
type AssistantNodes interface {
	Read(ctx context.Context, text string) (Request, error)
	Say(ctx context.Context, a Answer) (string, error)
}

// nightly is the input of runs that a schedule starts.
func nightly() (Question, error) { return Question{Text: "what happened?", Tenant: "all"}, nil }

// often is the input of others.
func often() Question { return Question{Text: "what is new?", Tenant: "all"} }
