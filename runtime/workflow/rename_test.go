package workflow

import (
	"context"
	"errors"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestRenameInACircle gives each node what the other one had, in whatever order names
// are gone through.
func TestRenameInACircle(t *testing.T) {
	for range 20 {
		s := newState()
		s.Graph = &GraphInfo{}
		s.Joins["A"], s.Joins["B"] = &joinCount{Fired: 1, Came: map[string]int{"A": 3, "B": 4}}, &joinCount{Fired: 2}
		s.Memory = map[string]map[string]string{"A": {"was": "A"}, "B": {"was": "B"}, "C": {"was": "C"}}
		s.migrate(&migrateRecord{Graph: &GraphInfo{}, Rename: map[string]string{"A": "B", "B": "A", "C": "D"}})
		if b := s.Joins["B"]; s.Joins["A"] == nil || b == nil || s.Joins["A"].Fired != 2 || b.Fired != 1 || b.Came["A"] != 4 || b.Came["B"] != 3 {
			t.Fatalf("joins %v", s.Joins)
		}
		if m := s.Memory; len(m) != 3 || m["A"]["was"] != "B" || m["B"]["was"] != "A" || m["D"]["was"] != "C" {
			t.Fatalf("memory %v", m)
		}
	}
}

// TestRenamedJoinKeepsItsKey: a join that did its work, and not its record, does it again
// under the same key when it has another name meanwhile, and another one after that.
func TestRenamedJoinKeepsItsKey(t *testing.T) {
	stores := resilience.MemoryStores()
	var keys []string
	run := func(name, fingerprint string, renamed map[string]Moves, dies bool) error {
		ctx, die := context.WithCancel(t.Context())
		defer die()
		join := joins(name, []string{"B", "C"}, end)
		join.Call = func(ctx context.Context, _ Args) (Value, Route, error) {
			key, _ := resilience.IdempotencyKey(ctx)
			if keys = append(keys, key); dies {
				die()
				return Value{}, Route{}, ctx.Err()
			}
			return Of("done"), Route{}, nil
		}
		g := graph(says("A", "B", "C"), says("B", name), says("C", name), join)
		g.Fingerprint = fingerprint
		e := opened(t, &stores, g)
		for old, moves := range renamed {
			if err := Migrate(e.e.rt, "example.com/p.Research", old, moves); err != nil {
				t.Fatal(err)
			}
		}
		_, err := e.Run(ctx, "in", Options{ID: "r"})
		return err
	}
	first := run("J", "f0", nil, true)
	second := run("K", "f1", map[string]Moves{"f0": {Rename: map[string]string{"J": "K"}}}, true)
	last := run("L", "f2", map[string]Moves{"f1": {Rename: map[string]string{"K": "L"}}}, false)
	if !errors.Is(first, context.Canceled) || !errors.Is(second, context.Canceled) || last != nil {
		t.Fatalf("%v, %v, %v", first, second, last)
	}
	if len(keys) != 3 || keys[0] != keys[1] || keys[1] != keys[2] || keys[0] == "" {
		t.Errorf("keys %q", keys)
	}
}
