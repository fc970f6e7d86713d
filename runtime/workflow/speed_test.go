package workflow

import (
	"context"
	"strconv"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// counting is a workflow of one node that sends n messages to itself.
func counting(n int) Graph {
	number := JSON[int]("int")
	node := Node{Name: "A", In: []Codec{number}, Out: number, Next: []string{"A", end}, Routes: true}
	again, done := To(Target[int]("A")), To(Target[int](end))
	node.Call = func(_ context.Context, in Args) (Value, Route, error) {
		i := Arg[int](in, 0)
		if i+1 >= n {
			return Of(i + 1), done, nil
		}
		return Of(i + 1), again, nil
	}
	return Graph{Name: "Counting", Package: "p", Fingerprint: "f", Entry: "A", Input: number, Output: number, Nodes: []Node{node}}
}

func numbers(t testing.TB, stores *resilience.Stores, n int) *Engine[int, int] {
	t.Helper()
	o := resilience.Options{}
	if stores != nil {
		o.Stores = *stores
	}
	rt, err := resilience.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New[int, int](rt, counting(n))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestStepInMemoryAllocatesLittle is the guard of a step's cost.
func TestStepInMemoryAllocatesLittle(t *testing.T) {
	const steps = 2000
	e := numbers(t, nil, steps)
	allocs := testing.AllocsPerRun(5, func() {
		if got, err := e.Run(t.Context(), 0, Options{}); err != nil || got.Output != steps {
			t.Errorf("%+v, %v", got, err)
		}
	})
	if perStep := allocs / steps; perStep > 8 {
		t.Errorf("%.1f allocations a step, at most 8", perStep)
	} else {
		t.Logf("%.2f allocations a step", perStep)
	}
}

func BenchmarkStepInMemory(b *testing.B) {
	e := numbers(b, nil, b.N)
	b.ReportAllocs()
	if got, err := e.Run(b.Context(), 0, Options{}); err != nil || got.Output != b.N {
		b.Fatal(got, err)
	}
}

func BenchmarkTenStepsInAStoreOfMemory(b *testing.B) {
	stores := resilience.MemoryStores()
	e := numbers(b, &stores, 10)
	b.ReportAllocs()
	for i := range b.N {
		if got, err := e.Run(b.Context(), 0, Options{ID: "r" + strconv.Itoa(i)}); err != nil || got.Output != 10 {
			b.Fatal(got, err)
		}
	}
}

// BenchmarkResumeOfALongRun reads a run of 10,000 steps as Resume does.
func BenchmarkResumeOfALongRun(b *testing.B) {
	stores := resilience.MemoryStores()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	calls := 0
	e := opened(b, &stores, longRun(20_000, 10_000, &calls, cancel))
	_, _ = e.Run(ctx, "in", Options{ID: "r"})
	b.ResetTimer()
	for range b.N {
		r := e.e.newRun(Options{})
		r.id, r.log = "r", newRunLog(stores.Log, e.e.g.runKey("r"))
		if err := r.load(b.Context()); err != nil || r.s.Count != 10_000 {
			b.Fatal(err, r.s.Count)
		}
	}
}
