package conformance

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// orders notes what keys its calls carry, and fails them.
type orders struct{ keys, tokens []string }

var errOrders = errors.New("orders: failing")

func (o *orders) note(ctx context.Context) error {
	key, _ := resilience.IdempotencyKey(ctx)
	o.keys = append(o.keys, key)
	return errOrders
}

func (o *orders) Place(ctx context.Context, _ Order) error { return o.note(ctx) }

func (o *orders) Send(ctx context.Context, order *Order) error {
	o.tokens = append(o.tokens, string(order.Token))
	return o.note(ctx)
}

func (o *orders) Change(ctx context.Context, _ string, _ int) error { return o.note(ctx) }
func (o *orders) Move(ctx context.Context, _ string, _ int) error   { return o.note(ctx) }

func newOrders(t *testing.T) (g *ResilientOrders, first, second *orders) {
	t.Helper()
	rt, err := resilience.Open(resilience.Options{})
	if err != nil {
		t.Fatal(err)
	}
	first, second = &orders{}, &orders{}
	g, err = NewResilientOrders(rt, first, OrdersSecondary{second})
	if err != nil {
		t.Fatal(err)
	}
	return g, first, second
}

func TestAttemptsAndFallbackCarryOneKey(t *testing.T) {
	g, first, second := newOrders(t)
	if err := g.Place(t.Context(), Order{ID: "o1"}); err != errOrders {
		t.Fatal(err)
	}
	if got, want := append(first.keys, second.keys...), []string{"o1", "o1", "o1", "o1"}; !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
}

// The key of a call without one is made up, once; the caller's argument stays
// as it is, so that another call with it gets another key.
func TestGeneratedKeyGoesIntoACopyOfTheArgument(t *testing.T) {
	g, first, _ := newOrders(t)
	order := &Order{ID: "o1"}
	for range 2 {
		if err := g.Send(t.Context(), order); !errors.Is(err, errOrders) {
			t.Fatal(err)
		}
	}
	k := first.keys
	if len(k) != 6 || k[0] == "" || k[0] != k[1] || k[1] != k[2] || k[3] != k[4] || k[4] != k[5] || k[0] == k[3] {
		t.Errorf("keys %q, want one for each call", k)
	}
	if !slices.Equal(first.tokens, k) || order.Token != "" {
		t.Errorf("tokens %q, want %q; the caller's %q", first.tokens, k, order.Token)
	}
}

func TestKeyThatIsThereIsKept(t *testing.T) {
	g, first, _ := newOrders(t)
	_ = g.Send(resilience.WithIdempotencyKey(t.Context(), "outer"), &Order{})
	_ = g.Send(resilience.WithIdempotencyKey(t.Context(), "outer"), &Order{Token: "own"})
	if want := []string{"outer", "outer", "outer", "own", "own", "own"}; !slices.Equal(first.keys, want) || !slices.Equal(first.tokens, want) {
		t.Errorf("keys %q, tokens %q, want %q", first.keys, first.tokens, want)
	}
}

func TestConditionDecidesForEachCall(t *testing.T) {
	g, first, _ := newOrders(t)
	for version, want := range []int{1, 3} {
		first.keys = nil
		if err := g.Change(t.Context(), "o1", version); !errors.Is(err, errOrders) || len(first.keys) != want {
			t.Errorf("version %d: %d executions, want %d; %v", version, len(first.keys), want, err)
		}
	}
}

// What may have been done once is not done again by the second implementation.
func TestSecondaryObeysTheCondition(t *testing.T) {
	g, first, second := newOrders(t)
	for version, want := range []int{0, 1} {
		first.keys, second.keys = nil, nil
		if err := g.Move(t.Context(), "o1", version); !errors.Is(err, errOrders) || len(second.keys) != want {
			t.Errorf("version %d: %d of the second, want %d; %v", version, len(second.keys), want, err)
		}
	}
}
