package workflow_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// numbers is so many steps that add one, on a loop through one node; last is called
// in the last of them.
func numbers(steps int, last func(context.Context) error) workflow.Graph {
	number := workflow.JSON[int]("int")
	return workflow.Graph{
		Name: "Count", Package: "bench", Fingerprint: "00000000000000b2", Entry: "Add", Input: number, Output: number, Limits: workflow.Limits{Invocations: steps + 1},
		Nodes: []workflow.Node{{
			Name: "Add", Params: []string{"n"}, In: []workflow.Codec{number}, Out: number, Next: []string{"Add", "end"}, Routes: true,
			Call: func(ctx context.Context, in workflow.Args) (workflow.Value, workflow.Route, error) {
				n := workflow.Arg[int](in, 0) + 1
				if n < steps {
					return workflow.Of(n), again, nil
				}
				return workflow.Of(n), workflow.End, last(ctx)
			},
		}},
	}
}

func nothing(context.Context) error { return nil }

var again = workflow.To(workflow.Target[int]("Add"))

// BenchmarkMemoryStep is a step of a run without a store.
func BenchmarkMemoryStep(b *testing.B) {
	rt, err := resilience.Open(resilience.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer rt.Close()
	engine, err := workflow.New[int, int](rt, numbers(b.N, nothing))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	if result, err := engine.Run(b.Context(), 0, workflow.Options{}); err != nil || result.Output != b.N {
		b.Fatal(result.Output, err)
	}
}

// BenchmarkResume takes up a run of 10,000 steps from a store in a directory.
func BenchmarkResume(b *testing.B) {
	const steps = 10_000
	dir := b.TempDir()
	rt, err := resilience.Open(resilience.Options{Dir: dir, Sync: resilience.SyncNone})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = rt.Close() }()
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		id := fmt.Sprint("r", n)
		leave(b, rt, id, steps)
		if err := rt.Close(); err != nil {
			b.Fatal(err)
		}
		if rt, err = resilience.Open(resilience.Options{Dir: dir, Sync: resilience.SyncNone}); err != nil {
			b.Fatal(err)
		}
		engine, err := workflow.New[int, int](rt, numbers(steps, nothing))
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if result, err := engine.Resume(b.Context(), id); err != nil || result.Output != steps {
			b.Fatal(result.Output, err)
		}
	}
}

// leave leaves a run in its last step.
func leave(b *testing.B, rt *resilience.Runtime, id string, steps int) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	engine, err := workflow.New[int, int](rt, numbers(steps, func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}))
	if err != nil {
		b.Fatal(err)
	}
	if result, err := engine.Run(ctx, 0, workflow.Options{ID: id}); err == nil || result.Status.Ended() {
		b.Fatal(result.Status, err)
	}
}
