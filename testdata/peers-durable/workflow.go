package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// flushes is how often a run of ten steps appends: its start and each step, the
// last of which says that it is done.
const flushes = activities + 1

// stepBytes is about what a step of such a run writes.
const stepBytes = 512

// workflowCases are ten empty steps as ours, as eleven appends to the bare disk and
// as plain calls, and the same with pauses of 10 ms before each step.
func workflowCases() []benchCase {
	var cs []benchCase
	for _, w := range []int{1, 8} {
		cs = append(cs,
			floorRun(w, 0),
			ourRun("resilgen", w, 0, resilience.Options{}),
			ourRun("resilgen, Sync: interval (not power-safe)", w, 0, resilience.Options{Sync: resilience.SyncInterval}),
		)
	}
	cs = append(cs, plainRun(0), memoryRun(0))
	const pause = 10 * time.Millisecond
	return append(cs, plainRun(pause), memoryRun(pause), floorRun(1, pause),
		ourRun("resilgen", 1, pause, resilience.Options{}),
		ourRun("resilgen, Sync: interval (not power-safe)", 1, pause, resilience.Options{Sync: resilience.SyncInterval}))
}

func runName(name string, workers int, pause time.Duration) string {
	if pause > 0 {
		name += fmt.Sprintf(", steps of %v", pause)
	}
	return fmt.Sprintf("%s ×%d", name, workers)
}

// floorRun is what a run cannot go below: as many appends, by a plain group commit.
func floorRun(workers int, pause time.Duration) benchCase {
	return benchCase{Group: "workflow", Name: runName("the floor: eleven appends", workers, pause), Workers: workers, PerOp: activities,
		Open: func(dir string) (op, func() error, error) {
			g, err := openGroup(dir)
			if err != nil {
				return nil, nil, err
			}
			p := payload(stepBytes)
			return func(int, int) error {
				for n := range flushes {
					if n > 0 {
						sleep(pause)
					}
					if err := g.put(p); err != nil {
						return err
					}
				}
				return nil
			}, g.a.f.Close, nil
		}}
}

func plainRun(pause time.Duration) benchCase {
	return benchCase{Group: "workflow", Name: runName("plain calls", 1, pause), Workers: 1, PerOp: activities,
		Open: func(string) (op, func() error, error) {
			return func(int, int) error {
				sum := 0
				for range activities {
					sum += empty(pause)
				}
				return whole(sum)
			}, func() error { return nil }, nil
		}}
}

func memoryRun(pause time.Duration) benchCase {
	c := ourRun("resilgen, no store", 1, pause, resilience.Options{})
	open := c.Open
	c.Open = func(string) (op, func() error, error) { return open("") }
	return c
}

func ourRun(name string, workers int, pause time.Duration, o resilience.Options) benchCase {
	return benchCase{Group: "workflow", Name: runName(name, workers, pause), Workers: workers, PerOp: activities,
		Open: func(dir string) (op, func() error, error) {
			if dir != "" {
				o.Dir = filepath.Join(dir, "store")
			}
			rt, err := resilience.Open(o)
			if err != nil {
				return nil, nil, err
			}
			engine, err := workflow.New[int, int](rt, chain(activities, pause))
			if err != nil {
				return nil, nil, err
			}
			var ids atomic.Int64
			return func(int, int) error {
				result, err := engine.Run(context.Background(), 0, workflow.Options{ID: fmt.Sprint("r", ids.Add(1))})
				if err != nil {
					return err
				}
				return whole(result.Output)
			}, rt.Close, nil
		}}
}

// chain is a workflow of steps that add one each, after a pause.
func chain(steps int, pause time.Duration) workflow.Graph {
	number := workflow.JSON[int]("int")
	g := workflow.Graph{Name: "Chain", Package: "bench", Fingerprint: "00000000000000b1", Entry: "S0", Input: number, Output: number}
	for i := range steps {
		next := fmt.Sprint("S", i+1)
		if i == steps-1 {
			next = "end"
		}
		g.Nodes = append(g.Nodes, workflow.Node{Name: fmt.Sprint("S", i), In: []workflow.Codec{number}, Out: number, Next: []string{next}, Params: []string{"n"},
			Call: func(_ context.Context, in workflow.Args) (workflow.Value, workflow.Route, error) {
				return workflow.Of(workflow.Arg[int](in, 0) + empty(pause)), workflow.Route{}, nil
			}})
	}
	return g
}

// empty is a step that does nothing for so long.
func empty(pause time.Duration) int {
	sleep(pause)
	return 1
}

func sleep(d time.Duration) {
	if d > 0 {
		time.Sleep(d)
	}
}

func whole(n int) error {
	if n != activities {
		return fmt.Errorf("result %d", n)
	}
	return nil
}
