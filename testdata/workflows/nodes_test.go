package workflows

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// tickets are TicketNodes.
type tickets struct{ book }

func (n *tickets) Triage(ctx context.Context, t Ticket) (Ticket, workflow.Route, error) {
	err := n.call(ctx, "Triage")
	switch t.Kind {
	case "refund":
		return t, workflow.Send(TicketPay, Refund{t.ID, t.Amount}), err
	case "later":
		return t, workflow.Send(TicketPay, Refund{t.ID, t.Amount}).After(time.Hour), err
	case "unclear":
		return t, workflow.To(TicketAsk), err
	case "noted":
		return t, workflow.To(TicketLog), err
	case "nonsense":
		return t, workflow.End, err
	case "wrong":
		return t, workflow.To(TicketPay), err // which takes a Refund
	}
	return t, workflow.To(TicketAnswer), err
}

func (n *tickets) Pay(ctx context.Context, r Refund) (Report, error) {
	return Report{"paid " + r.Ticket}, n.call(ctx, "Pay")
}

func (n *tickets) Ask(ctx context.Context, t Ticket) (Ticket, error) {
	t.Kind = "clear"
	return t, n.call(ctx, "Ask")
}

func (n *tickets) Answer(ctx context.Context, t Ticket) (Report, error) {
	return Report{"answered " + t.ID + ", " + t.Kind}, n.call(ctx, "Answer")
}

func (n *tickets) Log(ctx context.Context, t Ticket) (workflow.Route, error) {
	t.Kind = "logged"
	return workflow.Send(TicketAnswer, t), n.call(ctx, "Log")
}

// TestRoutes has a node pick each of its successors.
func TestRoutes(t *testing.T) {
	for _, test := range []struct{ kind, report, steps string }{
		{"refund", "paid 7", "Pay done, Triage routed"},
		{"unclear", "answered 7, clear", "Answer done, Ask done, Triage routed, Triage routed"},
		{"noted", "answered 7, logged", "Answer done, Log routed, Triage routed"},
		{"", "answered 7, ", "Answer done, Triage routed"},
	} {
		t.Run(test.kind, func(t *testing.T) {
			each(t, func(t *testing.T, rt *resilience.Runtime) {
				w, err := NewTicketWorkflow(rt, new(tickets))
				if err != nil {
					t.Fatal(err)
				}
				result, err := w.Run(t.Context(), Ticket{ID: "7", Kind: test.kind}, workflow.Options{})
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "the output", result.Output.Text, test.report)
				equal(t, "the steps", steps(result.Steps), test.steps)
			})
		})
	}
}

// TestRouteWithoutOutput ends the only branch without an output.
func TestRouteWithoutOutput(t *testing.T) {
	w, err := NewTicketWorkflow(nil, new(tickets))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"nonsense", "wrong"} {
		result, err := w.Run(t.Context(), Ticket{ID: "7", Kind: kind}, workflow.Options{})
		if !errors.Is(err, workflow.ErrFailed) || result.Status != workflow.Failed || result.ID == "" {
			t.Errorf("%s: %+v, %v", kind, result, err)
		}
		equal(t, "what failed in "+kind, result.NodeFailures["Triage"], map[string]int{"nonsense": 0, "wrong": 1}[kind])
	}
}

// TestRouteLater has a message due later: the run waits, and nobody else does.
func TestRouteLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := NewTicketWorkflow(new(resilience.Runtime), new(tickets))
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		result, err := w.Run(t.Context(), Ticket{ID: "7", Kind: "later"}, workflow.Options{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the output", result.Output.Text, "paid 7")
		equal(t, "it took", time.Since(begun), time.Hour)
	})
}

// quotes are QuoteNodes. Slow answers when fast has been chosen.
type quotes struct {
	book
	chosen chan struct{}
}

func (n *quotes) Open(ctx context.Context, o Order) (Order, error) { return o, n.call(ctx, "Open") }

func (n *quotes) Fast(ctx context.Context, o Order) (Draft, error) {
	return Draft{"first for " + o.ID, "Fast"}, n.call(ctx, "Fast")
}

func (n *quotes) Slow(ctx context.Context, o Order) (Draft, error) {
	<-n.chosen
	return Draft{"too late for " + o.ID, "Slow"}, n.call(ctx, "Slow")
}

func (n *quotes) Choose(ctx context.Context, fast, slow *Draft) (Receipt, error) {
	defer close(n.chosen)
	if fast == nil || slow != nil {
		return Receipt{}, errors.New("what came first did not")
	}
	return Receipt{"", fast.Text}, n.call(ctx, "Choose")
}

// TestAny goes on with what came first.
func TestAny(t *testing.T) {
	each(t, func(t *testing.T, rt *resilience.Runtime) {
		n := &quotes{chosen: make(chan struct{})}
		w, err := NewQuoteWorkflow(rt, n)
		if err != nil {
			t.Fatal(err)
		}
		result, err := w.Run(t.Context(), Order{ID: "7"}, workflow.Options{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the output", result.Output.Text, "first for 7")
		equal(t, "the calls", n.called(), "Choose 1, Fast 1, Open 1, Slow 1")
	})
}

// words are WordNodes.
type words struct{ book }

func (n *words) Split(ctx context.Context, text string) (string, workflow.Route, error) {
	route := workflow.End
	for _, word := range strings.Fields(text) {
		route = route.And(workflow.Send(WordCount, word))
	}
	return "", route, n.call(ctx, "Split")
}

func (n *words) Count(ctx context.Context, word string) (int, error) {
	return len(word), n.call(ctx, "Count")
}

// TestOutputs has a node send several values, and every one of them come out, in
// their order.
func TestOutputs(t *testing.T) {
	each(t, func(t *testing.T, rt *resilience.Runtime) {
		w, err := NewWordWorkflow(rt, new(words))
		if err != nil {
			t.Fatal(err)
		}
		result, err := w.Run(t.Context(), "so many words were never counted", workflow.Options{})
		if want := []int{2, 4, 5, 4, 5, 7}; err != nil || !slices.Equal(result.Outputs, want) {
			t.Errorf("outputs %v, %v, want %v", result.Outputs, err, want)
		}
	})
}

// pairs are PairNodes.
type pairs struct{ book }

func (n *pairs) Begin(ctx context.Context, x int) (int, error) { return x, n.call(ctx, "Begin") }
func (n *pairs) Left(ctx context.Context, x int) (int, error)  { return x, n.call(ctx, "Left") }
func (n *pairs) Right(ctx context.Context, x int) (int, error) { return x, n.call(ctx, "Right") }

func (n *pairs) Sum(ctx context.Context, left, right *int) (int, error) {
	if left == nil || right != nil {
		return 0, errors.New("what came in time did not")
	}
	return *left, n.call(ctx, "Sum")
}

// TestJoinTimeout goes on with what has come in time.
func TestJoinTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := NewPairWorkflow(new(resilience.Runtime), new(pairs))
		if err != nil {
			t.Fatal(err)
		}
		result, err := w.Run(t.Context(), 3, workflow.Options{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the output", result.Output, 3)
		equal(t, "the steps", steps(result.Steps), "Begin done, Left done, Right done, Sum done")
	})
}
