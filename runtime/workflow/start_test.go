package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// chain is a graph of n nodes, N0 to the end, each of which takes a while and is
// counted.
func chain(n int, takes time.Duration, calls *counter) Graph {
	var nodes []Node
	for i := range n {
		name, next := fmt.Sprint("N", i), fmt.Sprint("N", i+1)
		if i == n-1 {
			next = end
		}
		nodes = append(nodes, works(name, func(ctx context.Context, in string) (string, error) {
			calls.add(Info(ctx).Run + " " + name)
			sleep(ctx, takes)
			return in + name, ctx.Err()
		}, next))
	}
	return graph(nodes...)
}

// counter counts things by name.
type counter struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counter) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.of[what]++
}

// wantOnce wants so many things, each counted once.
func (c *counter) wantOnce(t *testing.T, things int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.of) != things {
		t.Errorf("%d things were counted, want %d", len(c.of), things)
	}
	for what, n := range c.of {
		if n != 1 {
			t.Errorf("%s: %d times", what, n)
		}
	}
}

func TestStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, calls := resilience.MemoryStores(), &counter{}
		g := chain(3, time.Second, calls)
		h, err := opened(t, &stores, g).Start(t.Context(), "in", Options{})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := h.Status(t.Context()); s != Pending || err != nil {
			t.Errorf("before anybody took it: %q, %v; want pending", s, err)
		}
		elsewhere := opened(t, &stores, g)
		if s, err := elsewhere.Get(h.ID()).Status(t.Context()); s != Pending || err != nil {
			t.Errorf("Get of a run that is in no log: %q, %v; want pending", s, err)
		}
		if s, err := elsewhere.Get("none").Status(t.Context()); !errors.Is(err, ErrRunUnknown) {
			t.Errorf("Get of a run that nobody put: %q, %v; want ErrRunUnknown", s, err)
		}
		stop := start(t, elsewhere.Worker(WorkerOptions{}))
		time.Sleep(1500 * time.Millisecond)
		if s, err := elsewhere.Get(h.ID()).Status(t.Context()); s != Running || err != nil {
			t.Errorf("while it runs: %q, %v; want running", s, err)
		}
		begun := time.Now()
		got, err := h.Result(t.Context())
		if err != nil || got.Output != "inN0N1N2" || got.Status != Completed || got.StepCount != 3 || got.ID != h.ID() {
			t.Errorf("%+v, %v", got, err)
		}
		if took := time.Since(begun); took > 1500*time.Millisecond+watchLast {
			t.Errorf("another process heard of the end after %v, want a second at most", took-1500*time.Millisecond)
		}
		here, err := elsewhere.Start(t.Context(), "in", Options{})
		if err != nil {
			t.Fatal(err)
		}
		begun = time.Now()
		if _, err := here.Result(t.Context()); err != nil || time.Since(begun) != 3*time.Second {
			t.Errorf("its own process heard of the end after %v, %v; want at once", time.Since(begun)-3*time.Second, err)
		}
		mustStop(t, stop)
		calls.wantOnce(t, 6)
	})
}

// TestStartKnown walks the table of what becomes of an id that is known.
func TestStartKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, calls := resilience.MemoryStores(), &counter{}
		e := opened(t, &stores, chain(2, time.Minute, calls))
		must := func(in string, o Options) Handle[string] {
			t.Helper()
			o.ID = "known"
			h, err := e.Start(t.Context(), in, o)
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		must("in", Options{})
		must("in", Options{}) // twice is one entry
		stop := start(t, e.Worker(WorkerOptions{}))
		time.Sleep(time.Second)
		h := must("in", Options{Resume: ResumeNo}) // somebody runs it: its handle
		if _, err := e.Start(t.Context(), "other", Options{ID: "known"}); !errors.Is(err, ErrRunInput) {
			t.Errorf("another input: %v, want ErrRunInput", err)
		}
		if _, err := e.Run(t.Context(), "in", Options{ID: "known"}); !errors.Is(err, ErrRunBusy) {
			t.Errorf("Run while a worker has it: %v, want ErrRunBusy", err)
		}
		if _, err := e.Resume(t.Context(), "known"); !errors.Is(err, ErrRunBusy) {
			t.Errorf("Resume while a worker has it: %v, want ErrRunBusy", err)
		}
		mustStop(t, stop) // N0 is cancelled after the grace
		if _, err := e.Start(t.Context(), "in", Options{ID: "known", Resume: ResumeNo}); !errors.Is(err, ErrRunExists) {
			t.Errorf("unfinished, not to be resumed: %v, want ErrRunExists", err)
		}
		must("in", Options{Resume: ResumeYes})
		stop = start(t, e.Worker(WorkerOptions{}))
		if got, err := h.Result(t.Context()); err != nil || got.Output != "inN0N1" {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := must("in", Options{}).Result(t.Context()); err != nil || got.Output != "inN0N1" {
			t.Errorf("of one that has ended: %+v, %v", got, err)
		}
		mustStop(t, stop)
		calls.mu.Lock()
		defer calls.mu.Unlock()
		if calls.of["known N0"] != 2 || calls.of["known N1"] != 1 {
			t.Errorf("calls %v, want N0 twice, since it was cancelled, and N1 once", calls.of)
		}
	})
}

func TestStartRefuses(t *testing.T) {
	stores := resilience.MemoryStores()
	e := opened(t, &stores, chain(1, 0, &counter{}))
	for _, c := range []struct {
		name string
		e    *Engine[string, string]
		o    Options
		want error
	}{
		{"id", e, Options{ID: "a\x00b"}, ErrRunID},
		{"in memory", e, Options{NoCheckpoint: true}, nil},
		{"no store", opened(t, nil, chain(1, 0, &counter{})), Options{}, resilience.ErrNoStore},
		{"no queue", opened(t, &resilience.Stores{Log: stores.Log}, chain(1, 0, &counter{})), Options{}, resilience.ErrNoStore},
	} {
		var run *RunError
		if _, err := c.e.Start(t.Context(), "in", c.o); !errors.As(err, &run) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want a RunError with %v", c.name, err, c.want)
		}
	}
	e.e.rt.SetDurable(false)
	if _, err := e.Start(t.Context(), "in", Options{}); !errors.Is(err, ErrDisabled) {
		t.Errorf("switched off: %v, want ErrDisabled", err)
	}
	var none Handle[string]
	if _, err := none.Result(t.Context()); !errors.Is(err, ErrRunUnknown) {
		t.Errorf("the zero Handle: %v, want ErrRunUnknown", err)
	}
	if _, err := e.Get("a\x00b").Status(t.Context()); !errors.Is(err, ErrRunID) {
		t.Errorf("a handle with a bad id: %v, want ErrRunID", err)
	}
}

func TestResultLeavesWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		h, err := opened(t, &stores, chain(1, 0, &counter{})).Start(t.Context(), "in", Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := h.Result(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nobody takes it: %v, want the error of the context", err)
		}
	})
}

// TestResultOfRunsThatEndOtherwise tells by errors how a run ended.
func TestResultOfRunsThatEndOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		g := graph(works("A", func(context.Context, string) (string, error) { return "", errors.New("no") }, end))
		e := opened(t, &stores, g)
		h, err := e.Start(t.Context(), "in", Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer start(t, e.Worker(WorkerOptions{}))()
		got, err := h.Result(t.Context())
		if !errors.Is(err, ErrParked) || got.Status != Parked || got.NodeFailures["A"] != 1 || len(got.DeadLetters) != 1 {
			t.Errorf("%+v, %v; want it parked", got, err)
		}
	})
}

// TestOverload puts 1,000 runs into the queue of two workers as two processes.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, calls := resilience.MemoryStores(), &counter{}
		var now, most atomic.Int64
		g := chain(3, 10*time.Millisecond, calls)
		inner := g.Nodes[1].Call
		g.Nodes[1].Call = func(ctx context.Context, in Args) (Value, Route, error) {
			for n := now.Add(1); n > most.Load(); {
				most.Store(n)
			}
			defer now.Add(-1)
			return inner(ctx, in)
		}
		e := opened(t, &stores, g)
		var handles []Handle[string]
		for range 1000 {
			h, err := e.Start(t.Context(), "in", Options{})
			if err != nil {
				t.Fatal(err)
			}
			handles = append(handles, h)
		}
		stopA := start(t, e.Worker(WorkerOptions{Concurrency: 10}))
		stopB := start(t, opened(t, &stores, g).Worker(WorkerOptions{Concurrency: 10}))
		for _, h := range handles {
			if got, err := h.Result(t.Context()); err != nil || got.Output != "inN0N1N2" {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		mustStop(t, stopA)
		mustStop(t, stopB)
		calls.wantOnce(t, 3000)
		if most.Load() > 20 {
			t.Errorf("%d runs at a time, want 20 at most", most.Load())
		}
		for r := range stores.Log.Heads(t.Context(), "queue/", "") {
			t.Errorf("there is an entry yet: %s", r.Key)
		}
	})
}

// TestTakeover has a worker be held beyond its claim in the middle of a step, by two
// processes on one store: the other one goes on, the append of the first is refused,
// and the run is done once.
func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, calls := resilience.MemoryStores(), &counter{}
		cut := stores
		cut.Queue, cut.Leases = &deafQueue{Queue: stores.Queue}, &deafLeases{stores.Leases}
		var held atomic.Bool
		var refused, ended atomic.Int64
		g := chain(3, time.Second, calls)
		slow := g
		slow.Nodes = slices.Clone(g.Nodes)
		slow.Nodes[1].Call = func(context.Context, Args) (Value, Route, error) {
			held.Store(true)
			time.Sleep(2 * time.Minute) // it hears of nothing
			return Of("late"), Route{}, nil
		}
		rt, err := resilience.Open(resilience.Options{Stores: cut, Observe: func(_ context.Context, e resilience.Event) {
			if e.Kind == resilience.RunPaused && e.Reason == "fenced" {
				refused.Add(1)
			}
			if e.Kind == resilience.RunEnded {
				ended.Add(1)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := New[string, string](rt, slow)
		if err != nil {
			t.Fatal(err)
		}
		b := opened(t, &stores, g)
		h, err := b.Start(t.Context(), "in", Options{})
		if err != nil {
			t.Fatal(err)
		}
		stopA := start(t, a.Worker(WorkerOptions{Concurrency: 1}))
		time.Sleep(5 * time.Second)
		if !held.Load() {
			t.Fatal("the first worker is not at the step that holds it")
		}
		stopB := start(t, b.Worker(WorkerOptions{}))
		begun := time.Now()
		got, err := h.Result(t.Context())
		if err != nil || got.Output != "inN0N1N2" || got.StepCount != 3 {
			t.Errorf("%+v, %v", got, err)
		}
		if took := time.Since(begun); took > 28*time.Second {
			t.Errorf("done %v after the second worker came, want the 25 s of the lease that were left, 2 s of steps and a second at most", took)
		}
		time.Sleep(3 * time.Minute)
		mustStop(t, stopA)
		mustStop(t, stopB)
		again, err := h.Result(t.Context())
		if err != nil || again.Output != got.Output || again.StepCount != 3 {
			t.Errorf("afterwards: %+v, %v", again, err)
		}
		if refused.Load() != 1 || ended.Load() != 0 {
			t.Errorf("the one that was held was refused %d times and ended the run %d times, want once and never", refused.Load(), ended.Load())
		}
		calls.wantOnce(t, 3) // the call that was held is not counted here
	})
}

// TestWorkerDrainsEngines has a run that is given back be no worse for it: its steps
// are done once, and no death is counted.
func TestWorkerDrainsEngines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, calls := resilience.MemoryStores(), &counter{}
		g := chain(2*letterAfter, 3*time.Second, calls)
		h, err := opened(t, &stores, g).Start(t.Context(), "in", Options{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 * letterAfter { // as many deployments, one in each step
			stop := start(t, opened(t, &stores, g).Worker(WorkerOptions{}))
			time.Sleep(time.Second)
			mustStop(t, stop)
		}
		got, err := h.Result(t.Context())
		if err != nil || got.StepCount != 2*letterAfter {
			t.Errorf("%+v, %v", got, err)
		}
		calls.wantOnce(t, 2*letterAfter)
	})
}

// TestWorkerPoison has a node kill its process each time that it is called. After
// five of those the message is a letter, and other runs go on as if nothing were.
func TestWorkerPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		var deaths atomic.Int64
		g := graph(says("A", "B"), works("B", func(_ context.Context, in string) (string, error) {
			if in == "A(bad)" {
				deaths.Add(1)
				time.Sleep(10 * time.Minute) // the process is gone
			}
			return in, nil
		}, end))
		sane := opened(t, &stores, g)
		bad, err := sane.Start(t.Context(), "bad", Options{})
		if err != nil {
			t.Fatal(err)
		}
		var stops []func() error
		for range letterAfter {
			// A process that dies: nobody hears of it any more.
			dying := stores
			dying.Queue, dying.Leases = &deafQueue{Queue: stores.Queue}, &deafLeases{stores.Leases}
			stops = append(stops, start(t, opened(t, &dying, g).Worker(WorkerOptions{Concurrency: 1})))
			time.Sleep(31 * time.Second)
		}
		good, err := sane.Start(t.Context(), "good", Options{})
		if err != nil {
			t.Fatal(err)
		}
		stops = append(stops, start(t, sane.Worker(WorkerOptions{})))
		if got, err := good.Result(t.Context()); err != nil || got.Output != "A(good)" {
			t.Errorf("%+v, %v", got, err)
		}
		got, err := bad.Result(t.Context())
		if !errors.Is(err, ErrParked) || deaths.Load() != letterAfter || got.NodeFailures["B"] != 1 || len(got.DeadLetters) != 1 {
			t.Errorf("%d deaths, %+v, %v; want %d and a letter", deaths.Load(), got, err, letterAfter)
		}
		time.Sleep(time.Hour)
		for _, stop := range stops {
			mustStop(t, stop)
		}
	})
}

func TestRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, calls := resilience.MemoryStores(), &counter{}
		g := chain(2, time.Second, calls)
		g.Nodes[1].Call = failing(g.Nodes[1].Call, "bad")
		e := opened(t, &stores, g)
		for _, id := range []string{"ended", "stopped"} { // by Run, one to its end
			ctx, cancel := context.WithTimeout(t.Context(), map[string]time.Duration{"ended": time.Hour, "stopped": 1500 * time.Millisecond}[id])
			_, _ = e.Run(ctx, "in", Options{ID: id})
			cancel()
		}
		for _, id := range []string{"fresh1", "fresh2", "bad"} { // by Start, nobody took them
			if _, err := e.Start(t.Context(), id, Options{ID: id}); err != nil {
				t.Fatal(err)
			}
		}
		got := map[string]error{}
		begun := time.Now()
		for id, err := range opened(t, &stores, g).Recover(t.Context(), 2) {
			if _, twice := got[id]; twice {
				t.Errorf("%s comes twice", id)
			}
			got[id] = err
		}
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("it took %v, want the 3 s that 6 steps take two at a time", took)
		}
		if len(got) != 4 || got["stopped"] != nil || got["fresh1"] != nil || got["fresh2"] != nil || !errors.Is(got["bad"], ErrParked) {
			t.Errorf("recovered %v, want three with their output and bad parked", got)
		}
		for id, err := range opened(t, &stores, g).Recover(t.Context(), 2) {
			if id != "bad" || !errors.Is(err, ErrParked) {
				t.Errorf("again: %s, %v; want bad, which is parked yet", id, err)
			}
		}
	})
}

// failing fails instead of a call for one input.
func failing(call func(context.Context, Args) (Value, Route, error), in string) func(context.Context, Args) (Value, Route, error) {
	return func(ctx context.Context, args Args) (Value, Route, error) {
		if Arg[string](args, 0) == in+"N0" {
			return Value{}, Route{}, errors.New("no")
		}
		return call(ctx, args)
	}
}

// TestRecoverIsLeft has nothing run on behind a loop that is left.
func TestRecoverIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, calls := resilience.MemoryStores(), &counter{}
		e := opened(t, &stores, chain(5, time.Second, calls))
		for i := range 10 {
			if _, err := e.Start(t.Context(), "in", Options{ID: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		for _, err := range e.Recover(t.Context(), 3) {
			if err != nil {
				t.Error(err)
			}
			n++
			break
		}
		calls.mu.Lock()
		before := len(calls.of)
		calls.mu.Unlock()
		time.Sleep(time.Minute)
		calls.mu.Lock()
		defer calls.mu.Unlock()
		if n != 1 || len(calls.of) != before {
			t.Errorf("%d were yielded, %d steps came after that", n, len(calls.of)-before)
		}
	})
}

// TestRecoverPerKey has runs of one key come one after the other, and all of them.
func TestRecoverPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, calls := resilience.MemoryStores(), &counter{}
		g := chain(2, time.Second, calls)
		g.PerKey = func(in Value) string { return Get[string](in) }
		e := opened(t, &stores, g)
		for i := range 6 {
			if _, err := e.Start(t.Context(), []string{"a", "b"}[i%2], Options{}); err != nil {
				t.Fatal(err)
			}
		}
		n, begun := 0, time.Now()
		for id, err := range e.Recover(t.Context(), 6) {
			if err != nil {
				t.Errorf("%s: %v", id, err)
			}
			n++
		}
		if took := time.Since(begun); n != 6 || took < 6*time.Second || took > 8*time.Second {
			t.Errorf("%d runs in %v, want 6 in 6 s and pauses", n, took)
		}
	})
}

// TestPerKeyOfEngines has Run, Resume and a worker take turns at a key.
func TestPerKeyOfEngines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, calls := resilience.MemoryStores(), &counter{}
		var now, most atomic.Int64
		g := chain(2, time.Second, calls)
		inner := g.Nodes[0].Call
		g.Nodes[0].Call = func(ctx context.Context, in Args) (Value, Route, error) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			return inner(ctx, in)
		}
		g.PerKey = func(Value) string { return "tenant" }
		e := opened(t, &stores, g)
		defer start(t, e.Worker(WorkerOptions{}))()
		var wait sync.WaitGroup
		for range 4 {
			h, err := e.Start(t.Context(), "in", Options{})
			if err != nil {
				t.Fatal(err)
			}
			wait.Go(func() {
				if _, err := h.Result(t.Context()); err != nil {
					t.Error(err)
				}
			})
			wait.Go(func() {
				if _, err := e.Run(t.Context(), "in", Options{}); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if most.Load() != 1 {
			t.Errorf("%d runs of the key at a time, want 1", most.Load())
		}
	})
}

// TestScheduleOfWorkers has two workers start the runs of a schedule, each tick one.
func TestScheduleOfWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, calls := resilience.MemoryStores(), &counter{}
		g := chain(1, time.Second, calls)
		g.Schedules = []Schedule{{Name: "nightly", Cron: "0 2 * * *", TimeZone: "Europe/Berlin", Input: func() (Value, error) { return Of("tick"), nil }}}
		e := opened(t, &stores, g)
		stopA := start(t, e.Worker(WorkerOptions{}))
		stopB := start(t, opened(t, &stores, g).Worker(WorkerOptions{}))
		time.Sleep(72 * time.Hour)
		for _, day := range []string{"01", "02", "03"} {
			got, err := e.Get("nightly@2000-01-" + day + "T01:00:00Z").Result(t.Context())
			if err != nil || got.Output != "tickN0" {
				t.Errorf("%s: %+v, %v", day, got, err)
			}
		}
		mustStop(t, stopA)
		mustStop(t, stopB)
		calls.wantOnce(t, 3)
	})
}
