package workflow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// remembering is a workflow whose node counts in a memory that outlives runs.
func remembering() Graph {
	g := graph(works("A", func(ctx context.Context, in string) (string, error) {
		m := Memory(ctx)
		n, _ := m.Get("n")
		m.Set("n", n+"x")
		m.Set(in, "1")
		m.Delete("old " + in)
		return n + "x", nil
	}, end))
	g.Nodes[0].DurableMemory = true
	return g
}

func TestMemoryThatOutlivesRuns(t *testing.T) {
	stores := resilience.MemoryStores()
	for i := range 3 {
		got, err := opened(t, &stores, remembering()).Run(t.Context(), "in", Options{})
		if want := strings.Repeat("x", i+1); err != nil || got.Output != want {
			t.Errorf("run %d: %q, %v", i, got.Output, err)
		}
	}
}

// TestRunsThatSetOneMemory has runs set keys of their own at once: none is lost.
func TestRunsThatSetOneMemory(t *testing.T) {
	stores := resilience.MemoryStores()
	e := opened(t, &stores, remembering())
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			if _, err := e.Run(t.Context(), fmt.Sprint("key", i), Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	k := keptMemory{stores.Log, e.e.g.memoryKey("A")}
	texts, _, err := k.read(t.Context())
	if err != nil || len(texts) != 9 {
		t.Errorf("%v, %v", texts, err)
	}
}

// TestMemoryIsKeptAtLeastOnce ends the process between the record of a step and its
// memory.
func TestMemoryIsKeptAtLeastOnce(t *testing.T) {
	stores := resilience.MemoryStores()
	dying := stores
	dying.Log = &forgetfulLog{stores.Log}
	if got, err := opened(t, &dying, remembering()).Run(t.Context(), "in", Options{ID: "r"}); !errors.Is(err, resilience.ErrClosed) || len(got.Steps) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	e := opened(t, &stores, remembering())
	if got, err := e.Resume(t.Context(), "r"); err != nil || got.Output != "x" || len(got.Steps) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := e.Run(t.Context(), "in", Options{}); err != nil || got.Output != "xx" {
		t.Errorf("%+v, %v", got, err)
	}
}

// forgetfulLog takes no memories.
type forgetfulLog struct{ resilience.Log }

func (l *forgetfulLog) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	if strings.HasPrefix(key, "memory/") {
		return 0, resilience.ErrClosed
	}
	return l.Log.Append(ctx, key, after, body)
}
