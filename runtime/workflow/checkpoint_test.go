package workflow

import (
	"context"
	"errors"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestForkFromEachPoint goes on from each point of a run, and comes to the same.
func TestForkFromEachPoint(t *testing.T) {
	ctx := t.Context()
	stores := resilience.MemoryStores()
	e := opened(t, &stores, diamond())
	if there, err := e.Checkpoint("r").Exists(ctx); there || err != nil {
		t.Errorf("before it began: %v, %v", there, err)
	}
	want, err := e.Run(ctx, "in", Options{ID: "r"})
	if err != nil {
		t.Fatal(err)
	}
	c := e.Checkpoint("r")
	points, err := c.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if there, err := c.Exists(ctx); !there || err != nil || len(points) != 5 {
		t.Fatalf("%v, %v, %+v", there, err, points)
	}
	for i, p := range points {
		s, err := c.Load(ctx, p.Version)
		if err != nil || s.Steps != i || s.Point != p || string(s.Input) != `"in"` {
			t.Errorf("point %d: %+v, %v", i, s, err)
		}
		id, err := c.Fork(ctx, p.Version, "")
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Resume(ctx, id)
		if err != nil || got.Output != want.Output || got.ID != id || len(got.Steps) != 4 {
			t.Errorf("fork of point %d: %+v, %v", i, got, err)
		}
		if id, err = c.Fork(ctx, p.Version, ""); err != nil {
			t.Fatal(err)
		}
		if stands, err := e.e.work(ctx, &turn{entry: entry{ID: id}}); err != nil || stands.status != Completed {
			t.Errorf("a worker takes a fork of point %d: %+v, %v", i, stands, err)
		}
		if _, err := c.Fork(ctx, p.Version, id); !errors.Is(err, ErrRunExists) {
			t.Errorf("a fork over a run: %v", err)
		}
	}
	if s, err := c.Load(ctx, 0); err != nil || s.Status != Completed || len(s.Outputs) != 1 || s.Steps != 4 {
		t.Errorf("the last one: %+v, %v", s, err)
	}
	if s, err := c.Load(ctx, points[1].Version); err != nil || len(s.Pending) != 2 || s.Pending[0].To != "Analyse" || string(s.Pending[0].Value) != `"Plan(in)"` {
		t.Errorf("after Plan: %+v, %v", s, err)
	}
	if _, err := c.Load(ctx, 9999); !errors.Is(err, resilience.ErrNoCheckpoint) {
		t.Errorf("no such version: %v", err)
	}
	if _, err := c.Fork(ctx, 0, "a\n"); !errors.Is(err, ErrRunID) {
		t.Errorf("an id that is none: %v", err)
	}
	if _, err := OpenCheckpoint(resilience.Stores{}, "p.W", "r").List(ctx); !errors.Is(err, resilience.ErrNoStore) {
		t.Errorf("no store: %v", err)
	}
	if _, err := OpenCheckpoint(stores, "p.W", "r").List(ctx); !errors.Is(err, ErrRunUnknown) {
		t.Errorf("another workflow: %v", err)
	}
}

// A fork of a parked run tries again what failed.
func TestForkTriesLettersAgain(t *testing.T) {
	stores := resilience.MemoryStores()
	g := graph(says("A", "B"), says("B", end))
	call := g.Nodes[1].Call
	g.Nodes[1].Call = func(ctx context.Context, in Args) (Value, Route, error) {
		if Info(ctx).Run == "r" {
			return Value{}, Route{}, errDown
		}
		return call(ctx, in)
	}
	e := opened(t, &stores, g)
	if _, err := e.Run(t.Context(), "in", Options{ID: "r"}); !errors.Is(err, ErrParked) {
		t.Fatal(err)
	}
	id, err := e.Checkpoint("r").Fork(t.Context(), 0, "s")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.Resume(t.Context(), id); err != nil || got.Output != "B(A(in))" || got.Status != Completed || len(got.DeadLetters) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
