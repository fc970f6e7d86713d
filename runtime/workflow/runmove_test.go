package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// approved is a graph that waits for a signal.
func approved() Graph {
	ask := Node{Name: "Ask", In: []Codec{text}, Out: text, Next: []string{"Go"}, Signal: "approval"}
	return graph(says("Plan", "Ask"), ask, says("Go", end))
}

// moved plays with runs that a worker has: stop ends it.
func moved(t *testing.T, g Graph, play func(t *testing.T, e *Engine[string, string], rs *Runs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		e := opened(t, &stores, g)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- e.Worker(WorkerOptions{}).Run(ctx) }()
		play(t, e, looked(t, stores))
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// comes waits until a run has a status.
func comes(t *testing.T, rs *Runs, id string, want Status) RunDetail {
	t.Helper()
	for range 100 {
		d, err := rs.Show(t.Context(), "Research", id)
		if err == nil && d.Status == want {
			return d
		}
		time.Sleep(time.Second)
	}
	t.Fatalf("run %s is not %s", id, want)
	return RunDetail{}
}

func TestRunIsSignalledByATool(t *testing.T) {
	moved(t, approved(), func(t *testing.T, e *Engine[string, string], rs *Runs) {
		if _, err := e.Start(t.Context(), "in", Options{ID: "r"}); err != nil {
			t.Fatal(err)
		}
		if d := comes(t, rs, "r", Waiting); d.Waiting != "signal approval" {
			t.Errorf("waits for %q", d.Waiting)
		}
		for name, c := range map[string]struct {
			signal, value string
			want          error
		}{
			"another one": {"other", `"x"`, resilience.ErrInvalid},
			"no name":     {"", `"x"`, resilience.ErrInvalid},
			"no JSON":     {"approval", `yes`, resilience.ErrInvalid},
		} {
			if err := rs.Signal(t.Context(), "Research", "r", c.signal, json.RawMessage(c.value), SignalOptions{}); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for range 2 { // twice is once
			if err := rs.Signal(t.Context(), "", "r", "approval", json.RawMessage(`"yes"`), SignalOptions{ID: "one"}); err != nil {
				t.Fatal(err)
			}
		}
		if d := comes(t, rs, "r", Completed); string(d.Output) != `"Go(yes)"` {
			t.Errorf("output %s", d.Output)
		}
		if err := rs.Signal(t.Context(), "", "r", "approval", nil, SignalOptions{}); !errors.Is(err, ErrRunOver) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestRunIsCancelledByATool(t *testing.T) {
	moved(t, approved(), func(t *testing.T, e *Engine[string, string], rs *Runs) {
		if _, err := e.Start(t.Context(), "in", Options{ID: "r"}); err != nil {
			t.Fatal(err)
		}
		comes(t, rs, "r", Waiting)
		if err := rs.Cancel(t.Context(), "", "r", "kim"); err != nil {
			t.Fatal(err)
		}
		if d := comes(t, rs, "r", Cancelled); d.Err != "by kim" || d.Ended.IsZero() {
			t.Errorf("%+v", d.RunSummary)
		}
		for _, err := range []error{rs.Cancel(t.Context(), "", "r", "kim"), rs.Resume(t.Context(), "", "r")} {
			if !errors.Is(err, ErrRunOver) {
				t.Errorf("after the end: %v", err)
			}
		}
	})
}

func TestRunIsForkedByATool(t *testing.T) {
	moved(t, diamond(), func(t *testing.T, e *Engine[string, string], rs *Runs) {
		if _, err := e.Run(t.Context(), "in", Options{ID: "r"}); err != nil {
			t.Fatal(err)
		}
		d := comes(t, rs, "r", Completed)
		id, err := rs.Fork(t.Context(), "", "r", d.Steps[1].Version, "again")
		if err != nil || id != "again" {
			t.Fatal(id, err)
		}
		if f := comes(t, rs, "again", Completed); string(f.Output) != string(d.Output) || len(f.Steps) != len(d.Steps)-2 {
			t.Errorf("%d steps after the fork, output %s", len(f.Steps), f.Output)
		}
		if _, err := rs.Fork(t.Context(), "", "r", 0, "again"); !errors.Is(err, ErrRunExists) {
			t.Errorf("the id is there: %v", err)
		}
		if _, err := rs.Fork(t.Context(), "", "r", 99, ""); !errors.Is(err, resilience.ErrNoCheckpoint) {
			t.Errorf("no such version: %v", err)
		}
	})
}
