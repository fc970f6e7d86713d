package workflow

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

var text = JSON[string]("text")

// says is a node that appends its name and what it got.
func says(name string, next ...string) Node {
	return works(name, func(_ context.Context, in string) (string, error) { return name + "(" + in + ")", nil }, next...)
}

// works is a node of a text.
func works(name string, f func(context.Context, string) (string, error), next ...string) Node {
	return Node{Name: name, In: []Codec{text}, Out: text, Next: next, Call: func(ctx context.Context, in Args) (Value, Route, error) {
		out, err := f(ctx, Arg[string](in, 0))
		return Of(out), Route{}, err
	}}
}

// routes is a node that picks where it sends.
func routes(name string, f func(context.Context, string) (string, Route, error), next ...string) Node {
	return Node{Name: name, In: []Codec{text}, Out: text, Next: next, Routes: true, Call: func(ctx context.Context, in Args) (Value, Route, error) {
		out, route, err := f(ctx, Arg[string](in, 0))
		return Of(out), route, err
	}}
}

// joins is a node that waits for others.
func joins(name string, from []string, next ...string) Node {
	n := Node{Name: name, Out: text, Next: next, WaitFor: from}
	for range from {
		n.In = append(n.In, text)
	}
	n.Call = func(_ context.Context, in Args) (Value, Route, error) {
		parts := make([]string, len(in))
		for i := range in {
			parts[i] = "-"
			if p := Maybe[string](in, i); p != nil {
				parts[i] = *p
			}
		}
		return Of(name + "(" + strings.Join(parts, ",") + ")"), Route{}, nil
	}
	return n
}

func graph(nodes ...Node) Graph {
	return Graph{Name: "Research", Package: "example.com/p", Fingerprint: "f0", Entry: nodes[0].Name, Input: text, Output: text, Nodes: nodes}
}

func diamond() Graph {
	return graph(says("Plan", "Analyse", "Write"), says("Analyse", "Review"), says("Write", "Review"), joins("Review", []string{"Analyse", "Write"}, end))
}

// opened returns an engine over stores, nil for memory.
func opened(t testing.TB, stores *resilience.Stores, g Graph) *Engine[string, string] {
	t.Helper()
	o := resilience.Options{}
	if stores != nil {
		o.Stores = *stores
	}
	rt, err := resilience.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	e, err := New[string, string](rt, g)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// ways runs a test in memory and durably.
func ways(t *testing.T, f func(t *testing.T, stores *resilience.Stores)) {
	t.Run("memory", func(t *testing.T) { f(t, nil) })
	t.Run("durable", func(t *testing.T) {
		stores := resilience.MemoryStores()
		f(t, &stores)
	})
}

func TestGraphsRun(t *testing.T) {
	cycle := func(times int) Graph {
		var n atomic.Int32
		return graph(routes("Try", func(_ context.Context, in string) (string, Route, error) {
			if n.Add(1); int(n.Load())%times == 0 {
				return in, To(Target[string](end)), nil
			}
			return in + ".", To(Target[string]("Try")), nil
		}, "Try", end))
	}
	for name, c := range map[string]struct {
		graph func() Graph
		want  string
	}{
		"chain":   {func() Graph { return graph(says("A", "B"), says("B", "C"), says("C", end)) }, "C(B(A(in)))"},
		"diamond": {diamond, "Review(Analyse(Plan(in)),Write(Plan(in)))"},
		"at once": {func() Graph { g := diamond(); g.Concurrency = 4; return g }, "Review(Analyse(Plan(in)),Write(Plan(in)))"},
		"cycle":   {func() Graph { return cycle(5) }, "in...."},
		"send": {func() Graph {
			return graph(routes("A", func(_ context.Context, in string) (string, Route, error) {
				return in, Send(Target[string]("B"), "sent"), nil
			}, "B", "C"), says("B", end), says("C", end))
		}, "B(sent)"},
		"end of the route": {func() Graph {
			return graph(routes("A", func(_ context.Context, in string) (string, Route, error) { return in, End, nil }, "B", end), says("B", end))
		}, "in"},
		"any": {func() Graph {
			g := graph(says("A", "B", "C"), says("B", "J"), says("C", "J"), joins("J", []string{"C", "B"}, end))
			g.Nodes[3].Any = true
			return g
		}, "J(-,B(A(in)))"},
		"fallback": {func() Graph {
			return graph(Node{Name: "A", In: []Codec{text}, Out: text, Next: []string{end}, Call: func(ctx context.Context, _ Args) (Value, Route, error) {
				ctx.Value(tellKey{}).(*resilience.Taken).FallbackUsed = true
				return Of("spare"), Route{}, nil
			}})
		}, "spare"},
	} {
		t.Run(name, func(t *testing.T) {
			ways(t, func(t *testing.T, stores *resilience.Stores) {
				e := opened(t, stores, c.graph())
				for _, id := range []string{"r", "r", ""} {
					got, err := e.Run(t.Context(), "in", Options{ID: id})
					if err != nil || got.Output != c.want || got.Status != Completed || len(got.Steps) == 0 {
						t.Errorf("run %q: %q, %v, %+v", id, got.Output, err, got)
					}
				}
			})
		})
	}
}

func TestFinishedRunIsNotDoneAgain(t *testing.T) {
	stores := resilience.MemoryStores()
	var calls atomic.Int32
	g := graph(works("A", func(context.Context, string) (string, error) { calls.Add(1); return "out", nil }, end))
	e := opened(t, &stores, g)
	for i := range 3 {
		got, err := e.Run(t.Context(), "in", Options{ID: "r"})
		if err != nil || got.Output != "out" || got.CheckpointUsed != (i > 0) || got.ID != "r" {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if got, err := e.Resume(t.Context(), "r"); err != nil || got.Output != "out" || calls.Load() != 1 {
		t.Errorf("%+v, %v, %d calls", got, err, calls.Load())
	}
	if _, err := e.Run(t.Context(), "other", Options{ID: "r"}); !errors.Is(err, ErrRunInput) {
		t.Errorf("another input: %v", err)
	}
	if _, err := e.Resume(t.Context(), "s"); !errors.Is(err, ErrRunUnknown) {
		t.Errorf("unknown: %v", err)
	}
	if _, err := e.Run(t.Context(), "in", Options{ID: "r\n"}); !errors.Is(err, ErrRunID) {
		t.Errorf("id with a line end: %v", err)
	}
}

// TestCancelledRunIsResumed ends the context at each step in turn.
func TestCancelledRunIsResumed(t *testing.T) {
	for cut := 1; cut <= 4; cut++ {
		stores := resilience.MemoryStores()
		keys := map[string]int{}
		ctx, cancel := context.WithCancel(t.Context())
		g := diamond()
		for i := range g.Nodes {
			call := g.Nodes[i].Call
			g.Nodes[i].Call = func(c context.Context, in Args) (Value, Route, error) {
				key, _ := resilience.IdempotencyKey(c)
				if keys[key]++; len(keys) == cut && ctx.Err() == nil {
					cancel()
					if cut%2 == 0 {
						return Value{}, Route{}, c.Err()
					}
				}
				return call(c, in)
			}
		}
		e := opened(t, &stores, g)
		got, err := e.Run(ctx, "in", Options{ID: "r"})
		if last := cut == 4; !last && (!errors.Is(err, context.Canceled) || got.Status != Running) {
			t.Fatalf("cut %d: %+v, %v", cut, got, err)
		}
		if _, err := e.Run(t.Context(), "in", Options{ID: "r", Resume: ResumeNo}); !errors.Is(err, ErrRunExists) {
			t.Errorf("cut %d: not to be resumed: %v", cut, err)
		}
		got, err = e.Resume(t.Context(), "r")
		if err != nil || got.Output != "Review(Analyse(Plan(in)),Write(Plan(in)))" || !got.CheckpointUsed || len(got.Steps) != 4 {
			t.Errorf("cut %d: %+v, %v", cut, got, err)
		}
		if len(keys) != 4 {
			t.Errorf("cut %d: keys %v", cut, keys)
		}
		cancel()
	}
}

var errDown = errors.New("down")

func TestFailedNodes(t *testing.T) {
	fails := func(name string, next ...string) Node {
		return works(name, func(context.Context, string) (string, error) { return "", errDown }, next...)
	}
	for name, c := range map[string]struct {
		graph           Graph
		memory, durable Status
		failures        string
	}{
		"the only way":          {graph(fails("A", end)), Failed, Parked, "A"},
		"one of two":            {graph(says("A", "B", "C"), fails("B", end), says("C", end)), CompletedWithDeadLetters, CompletedWithDeadLetters, "B"},
		"before a join":         {graph(says("A", "B", "C"), fails("B", "J"), says("C", "J"), joins("J", []string{"B", "C"}, end)), Failed, Parked, "B"},
		"panic":                 {graph(works("A", func(context.Context, string) (string, error) { panic("boom") }, end)), Failed, Parked, "A"},
		"Goexit":                {graph(works("A", func(context.Context, string) (string, error) { runtime.Goexit(); return "", nil }, end)), Failed, Parked, "A"},
		"no way on":             {graph(works("A", func(context.Context, string) (string, error) { return "", errDown })), Failed, Failed, "A"},
		"a route that is none":  {graph(routes("A", func(context.Context, string) (string, Route, error) { return "", To(Target[string]("C")), nil }, "B"), says("B", end), says("C", end)), Failed, Parked, "A"},
		"too many messages":     {graph(routes("A", func(context.Context, string) (string, Route, error) { return "", many(100_000), nil }, "B"), says("B", end)), Failed, Parked, "A"},
		"a second output":       {graph(routes("A", func(context.Context, string) (string, Route, error) { return "", End.And(To(Target[string](end))), nil }, end)), Failed, Parked, "A"},
		"a value too large":     {graph(works("A", func(context.Context, string) (string, error) { return strings.Repeat("x", maxPayload), nil }, "B"), fails("B", end)), Failed, Parked, "AB"},
		"a node without result": {graph(Node{Name: "A", In: []Codec{text}, Next: []string{end}, Call: func(context.Context, Args) (Value, Route, error) { return Value{}, Route{}, nil }}), Completed, Completed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ways(t, func(t *testing.T, stores *resilience.Stores) {
				e := opened(t, stores, c.graph)
				want := c.memory
				if stores != nil {
					want = c.durable
				}
				got, err := e.Run(t.Context(), "in", Options{ID: "r"})
				if got.Status != want || (err == nil) != (want == Completed || want == CompletedWithDeadLetters) {
					t.Fatalf("%+v, %v", got, err)
				}
				for _, node := range c.failures {
					if n := got.NodeFailures[string(node)]; n != 1 && len(c.failures) == 1 {
						t.Errorf("%s failed %d times", string(node), n)
					}
				}
				if want == Parked {
					if _, again := e.Run(t.Context(), "in", Options{ID: "r"}); !errors.Is(err, ErrParked) || !errors.Is(again, ErrParked) || len(got.DeadLetters) != 1 {
						t.Errorf("%v, then %v, letters %v", err, again, got.DeadLetters)
					}
				}
				var wrong *RunError
				if err != nil && (!errors.As(err, &wrong) || wrong.ID != "r") {
					t.Errorf("%#v", err)
				}
			})
		})
	}
}

func many(n int) (r Route) {
	targets := make([]Targeted, n)
	for i := range targets {
		targets[i] = Target[string]("B")
	}
	return To(targets...)
}

func TestLimits(t *testing.T) {
	loop := func(f func(context.Context)) Graph {
		return graph(works("A", func(ctx context.Context, in string) (string, error) { f(ctx); return in, ctx.Err() }, "A"))
	}
	for name, c := range map[string]struct {
		limits Limits
		work   func(context.Context)
		steps  int
	}{
		"invocations": {Limits{Invocations: 7}, func(context.Context) {}, 7},
		"cost":        {Limits{Cost: 2}, func(ctx context.Context) { AddCost(ctx, 0.5) }, 4},
		"duration": {Limits{Duration: 10 * time.Second}, func(ctx context.Context) {
			select {
			case <-ctx.Done():
			case <-time.After(3 * time.Second):
			}
		}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			ways(t, func(t *testing.T, stores *resilience.Stores) {
				synctest.Test(t, func(t *testing.T) {
					g := loop(c.work)
					g.Limits = c.limits
					e := opened(t, stores, g)
					got, err := e.Run(t.Context(), "in", Options{ID: "r"})
					if !errors.Is(err, ErrLimit) || got.Status != LimitExceeded || len(got.Steps) != c.steps {
						t.Errorf("%d steps, %+v, %v", len(got.Steps), got, err)
					}
				})
			})
		})
	}
}

func TestDelaysAreTheRunsAndNotTheNodes(t *testing.T) {
	ways(t, func(t *testing.T, stores *resilience.Stores) {
		synctest.Test(t, func(t *testing.T) {
			g := graph(routes("A", func(_ context.Context, in string) (string, Route, error) {
				return in, To(Target[string]("B")).After(time.Hour), nil
			}, "B"), says("B", "C"), says("C", end))
			g.Nodes[2].Delay = time.Minute
			g.Limits.Duration = time.Second // does not count sleeps
			begun := time.Now()
			got, err := opened(t, stores, g).Run(t.Context(), "in", Options{})
			if err != nil || got.Output != "C(B(in))" || time.Since(begun) != 61*time.Minute {
				t.Errorf("%+v, %v after %v", got, err, time.Since(begun))
			}
		})
	})
}

func TestJoinGoesOnWithoutThoseThatAreLate(t *testing.T) {
	ways(t, func(t *testing.T, stores *resilience.Stores) {
		synctest.Test(t, func(t *testing.T) {
			g := graph(says("A", "B", "C"), works("B", func(context.Context, string) (string, error) {
				time.Sleep(time.Hour)
				return "late", nil
			}, "J"), says("C", "J"), joins("J", []string{"B", "C"}, end))
			g.Nodes[3].WaitTimeout = time.Minute
			g.Concurrency = 2
			got, err := opened(t, stores, g).Run(t.Context(), "in", Options{ID: "r"})
			if err != nil || got.Output != "J(-,C(A(in)))" || got.Elapsed != time.Hour {
				t.Errorf("%+v, %v", got, err)
			}
		})
	})
}

func TestRunIsBusy(t *testing.T) {
	stores := resilience.MemoryStores()
	entered, leave := make(chan bool), make(chan bool)
	g := graph(works("A", func(context.Context, string) (string, error) { entered <- true; <-leave; return "", nil }, end))
	one, two := opened(t, &stores, g), opened(t, &stores, g)
	var wait sync.WaitGroup
	wait.Go(func() {
		if _, err := one.Run(t.Context(), "in", Options{ID: "r"}); err != nil {
			t.Error(err)
		}
	})
	<-entered
	if _, err := two.Run(t.Context(), "in", Options{ID: "r"}); !errors.Is(err, ErrRunBusy) {
		t.Errorf("while it runs: %v", err)
	}
	leave <- true
	wait.Wait()
}

func TestNodeThatDoesNotReturnIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		leave := make(chan bool)
		g := graph(works("A", func(context.Context, string) (string, error) { <-leave; return "out", nil }, end))
		e := opened(t, &stores, g)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		begun := time.Now()
		if _, err := e.Run(ctx, "in", Options{ID: "r"}); !errors.Is(err, context.Canceled) || time.Since(begun) != time.Minute+grace {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		close(leave)
		if got, err := e.Resume(t.Context(), "r"); err != nil || got.Output != "out" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestMemoryOfNodes(t *testing.T) {
	ways(t, func(t *testing.T, stores *resilience.Stores) {
		g := graph(works("A", func(ctx context.Context, _ string) (string, error) {
			m := Memory(ctx)
			n, _ := m.Get("n")
			m.Set("n", n+"x")
			m.Set("gone", "1")
			m.Delete("gone")
			return fmt.Sprint(n, m.Keys()), nil
		}, "A", "B"), says("B"))
		g.Limits.Invocations = 5
		g.Nodes[0].Routes = true
		e := opened(t, stores, g)
		var outs []string
		call := g.Nodes[0].Call
		g.Nodes[0].Call = func(ctx context.Context, in Args) (Value, Route, error) {
			v, r, err := call(ctx, in)
			outs = append(outs, Get[string](v))
			return v, r, err
		}
		_, _ = e.Run(t.Context(), "in", Options{ID: "r"})
		if want := []string{"[n]", "x[n]", "xx[n]"}; !slices.Equal(outs, want) {
			t.Errorf("%q, want %q", outs, want)
		}
	})
}

func TestInfoOfANode(t *testing.T) {
	stores := resilience.MemoryStores()
	var got []RunInfo
	fail := true
	ctx, cancel := context.WithCancel(t.Context())
	g := graph(works("A", func(ctx context.Context, _ string) (string, error) {
		if got = append(got, Info(ctx)); fail {
			cancel()
			return "", errDown
		}
		return "", nil
	}, end))
	e := opened(t, &stores, g)
	_, _ = e.Run(ctx, "in", Options{ID: "r"})
	fail = false
	_, _ = e.Resume(t.Context(), "r")
	if len(got) != 2 || got[0].Epoch == 0 || got[1].Epoch <= got[0].Epoch || got[0].Resumed || !got[1].Resumed || got[1].Message != "0" || got[1].Run != "r" {
		t.Errorf("%+v", got)
	}
	if Info(t.Context()) != (RunInfo{}) {
		t.Error("a context of nobody tells something")
	}
}

// TestNodeThatKillsItsProcess takes a run again and again whose first node never
// returns, without a word of what became of who had it.
func TestNodeThatKillsItsProcess(t *testing.T) {
	stores := resilience.MemoryStores()
	g := graph(says("A", "B", "C"), works("B", func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}, end), says("C"))
	e := opened(t, &stores, g).e
	for i := range letterAfter + 1 {
		log := &dyingLog{Log: stores.Log, after: 1}
		if i == 0 {
			log.after = 2 // start and A
		}
		r := e.newRun(Options{})
		r.id, r.log = "r", newRunLog(log, g.runKey("r"))
		ctx, cancel := context.WithCancel(t.Context())
		log.died = cancel
		if i == 0 {
			_ = r.begin(ctx, &startRecord{Input: Raw([]byte(`"in"`))})
		} else if err := r.load(ctx); err == nil {
			_ = r.goOn(ctx)
		}
		if alone := i >= aloneAfter; (r.atOnce() == 1) != (alone || g.Concurrency <= 1) {
			t.Errorf("take %d: %d at once", i, r.atOnce())
		}
		cancel()
	}
	got, err := opened(t, &stores, g).Resume(t.Context(), "r")
	if !errors.Is(err, ErrParked) || got.NodeFailures["B"] != 1 || len(got.Steps) != 3 || !strings.Contains(got.Steps[1].Err, "each of the last") {
		t.Errorf("%+v, %v", got, err)
	}
}

// dyingLog takes so many appends; the last one kills who wrote it.
type dyingLog struct {
	resilience.Log
	after int
	died  func()
}

func (l *dyingLog) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	if l.after == 0 {
		return 0, resilience.ErrClosed
	}
	v, err := l.Log.Append(ctx, key, after, body)
	if l.after--; l.after == 0 {
		l.died()
	}
	return v, err
}

// A run that is taken and given back in peace is not taken for one that kills.
func TestGivenBackInPeace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		g := graph(works("A", func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() }, end))
		for range 2 * letterAfter {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if got, err := opened(t, &stores, g).Run(ctx, "in", Options{ID: "r"}); !errors.Is(err, context.DeadlineExceeded) || got.Status != Running {
				t.Fatalf("%+v, %v", got, err)
			}
			cancel()
		}
	})
}
