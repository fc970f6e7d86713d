package workflow

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// charge is what a generated wrapper does about the key of a call.
func charge(ctx context.Context, method string, args ...any) string {
	ctx = resilience.KeyOfCall(ctx, method, func() resilience.CallArgs { return args })
	key, _ := resilience.IdempotencyKey(resilience.EnsureIdempotencyKey(ctx))
	return key
}

// TestCallsOfANodeHaveKeysOfTheirOwn runs a node again, in another process and in a
// second attempt of its guard, and compares the keys of the calls that it makes.
func TestCallsOfANodeHaveKeysOfTheirOwn(t *testing.T) {
	stores := resilience.MemoryStores()
	guard, err := (&resilience.Runtime{}).Guard("workflow/Research/A", resilience.Policy{Retry: resilience.Retry{MaxAttempts: 2, Backoff: resilience.Backoff{Strategy: resilience.NoBackoff}}})
	if err != nil {
		t.Fatal(err)
	}
	var takes [][]string
	ctx, cancel := context.WithCancel(t.Context())
	g := graph(works("A", func(c context.Context, in string) (string, error) {
		fails := true
		err := resilience.Try(c, guard, func(c context.Context) error {
			given := resilience.WithIdempotencyKey(c, "given")
			takes = append(takes, []string{
				charge(c, "Gateway.Charge", 5), charge(c, "Gateway.Charge", 5), charge(c, "Gateway.Charge", 6),
				charge(c, "Gateway.Refund", 5), charge(c, "Gateway.Charge", func() {}),
			})
			if key := charge(given, "Gateway.Charge", 5); key != "given" {
				t.Errorf("a key that was given became %s", key)
			}
			if fails {
				fails = false
				return errDown
			}
			return nil
		})
		if err == nil && ctx.Err() == nil {
			cancel()
			err = c.Err()
		}
		return in, err
	}, end))
	e := opened(t, &stores, g)
	if _, err := e.Run(ctx, "in", Options{ID: "r"}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := e.Resume(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Run(t.Context(), "in", Options{ID: "other"}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, key := range takes[0] {
		if seen[key] || key == "" {
			t.Errorf("keys %q", takes[0])
		}
		seen[key] = true
	}
	for i, keys := range takes[1:4] {
		if !slices.Equal(keys, takes[0]) {
			t.Errorf("take %d: %q, and first %q", i+1, keys, takes[0])
		}
	}
	if slices.ContainsFunc(takes[4], func(key string) bool { return seen[key] }) {
		t.Error("two runs have one key")
	}
	if a, b := charge(t.Context(), "Gateway.Charge", 5), charge(t.Context(), "Gateway.Charge", 5); a == b {
		t.Error("calls outside of nodes have one key")
	}
}
