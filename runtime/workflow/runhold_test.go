package workflow

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// stand returns how a run stands in a list, in its own view and for its handle, which
// must be the same.
func stand(t *testing.T, rs *Runs, e *Engine[string, string], id string) (Status, string) {
	t.Helper()
	d := shown(t, rs, id)
	page, err := rs.List(t.Context(), RunQuery{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(page.Runs, func(r RunSummary) bool { return r.ID == id })
	if i < 0 || page.Runs[i] != d.RunSummary {
		t.Errorf("listed %+v, shown %+v", page.Runs, d.RunSummary)
	}
	if status, err := e.Get(id).Status(t.Context()); status != d.Status || err != nil {
		t.Errorf("%s, and its handle %q, %v", d.Status, status, err)
	}
	return d.Status, d.Waiting
}

// A run that was put is in lists before anybody begins it, can be asked for, and told.
func TestQueuedRunIsListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, calls := resilience.MemoryStores(), &counter{}
		e := opened(t, &stores, chain(2, time.Second, calls))
		rs := looked(t, stores)
		for _, id := range []string{"one", "two"} {
			if _, err := e.Start(t.Context(), id, Options{ID: id, Priority: "urgent"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if got := pages(t, rs, RunQuery{}); !slices.Equal(got, []string{"two", "one"}) {
			t.Errorf("%v", got)
		}
		for q, want := range map[RunQuery]int{{Status: Pending}: 2, {Status: Running}: 0, {Workflow: "None"}: 0, {Workflow: e.e.g.Name, Status: Pending}: 2, {Workflow: e.e.g.storeName()}: 2} {
			if got := pages(t, rs, q); len(got) != want {
				t.Errorf("%+v: %v", q, got)
			}
		}
		d := shown(t, rs, "one")
		if d.Status != Pending || d.Waiting != byWorker || string(d.Input) != `"one"` || time.Since(d.Started) != 2*time.Minute || d.Version != 0 || len(d.Steps) > 0 {
			t.Errorf("%+v", d)
		}
		for range rs.Export(t.Context(), "", "one") {
			t.Error("it has a record")
		}
		if err := rs.Resume(t.Context(), "", "one"); err != nil {
			t.Error(err)
		}
		if _, err := rs.Fork(t.Context(), "", "one", 0, ""); !errors.Is(err, ErrRunUnknown) {
			t.Errorf("fork of what has no step: %v", err)
		}
		if err := rs.Cancel(t.Context(), "", "one", "me"); err != nil {
			t.Error(err)
		}
		stop := start(t, e.Worker(WorkerOptions{Priorities: []string{"urgent"}}))
		time.Sleep(500 * time.Millisecond)
		if status, _ := stand(t, rs, e, "two"); status != Running {
			t.Errorf("while it runs: %s", status)
		}
		time.Sleep(time.Minute)
		if d := shown(t, rs, "one"); d.Status != Cancelled || d.RunSummary.Steps != 0 || d.Err != "by me" {
			t.Errorf("cancelled in its queue: %+v", d.RunSummary)
		}
		if d := shown(t, rs, "two"); d.Status != Completed {
			t.Errorf("%+v", d.RunSummary)
		}
		for entry := range stores.Queue.Entries(t.Context(), "") {
			t.Errorf("left in the queue: %+v", entry)
		}
		stop()
	})
}

// A signal to a run that nobody has begun is there when it comes to it.
func TestQueuedRunIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		e := opened(t, &stores, graph(says("Plan", "Approve"), Node{Name: "Approve", In: []Codec{text}, Out: text, Next: []string{end}, Signal: "approval"}))
		rs := looked(t, stores)
		if _, err := e.Start(t.Context(), "in", Options{ID: "r"}); err != nil {
			t.Fatal(err)
		}
		if err := rs.Signal(t.Context(), "", "r", "approval", []byte("no JSON"), SignalOptions{}); !errors.Is(err, resilience.ErrInvalid) {
			t.Errorf("%v", err)
		}
		if err := rs.Signal(t.Context(), "", "r", "approval", []byte(`"yes"`), SignalOptions{}); err != nil {
			t.Fatal(err)
		}
		stop := start(t, e.Worker(WorkerOptions{}))
		time.Sleep(time.Second)
		if d := shown(t, rs, "r"); d.Status != Completed || string(d.Output) != `"yes"` {
			t.Errorf("%+v, %s", d.RunSummary, d.Output)
		}
		stop()
	})
}

// Of two workflows with a run of one id in their queues one has to be named.
func TestQueuedRunIsNamed(t *testing.T) {
	stores, other := resilience.MemoryStores(), diamond()
	other.Name = "Other"
	for _, g := range []Graph{diamond(), other} {
		if _, err := opened(t, &stores, g).Start(t.Context(), "in", Options{ID: "both"}); err != nil {
			t.Fatal(err)
		}
	}
	rs := looked(t, stores)
	if _, err := rs.Show(t.Context(), "", "both"); !errors.Is(err, resilience.ErrInvalid) {
		t.Errorf("%v", err)
	}
	for _, workflow := range []string{"Other", "example.com/p.Other"} {
		if d, err := rs.Show(t.Context(), workflow, "both"); err != nil || d.Workflow != "example.com/p.Other" || d.Graph.Name != "Other" {
			t.Errorf("%+v, %v", d, err)
		}
	}
	if err := rs.Cancel(t.Context(), "None", "both", ""); !errors.Is(err, ErrRunUnknown) {
		t.Errorf("%v", err)
	}
}

// An entry that cannot be read stands in the list with the reason.
func TestDamagedEntryIsListed(t *testing.T) {
	stores := resilience.MemoryStores()
	for id, body := range map[string]string{"a": "{", "b": `{"id":"c"}`} {
		if err := stores.Queue.Put(t.Context(), "runs/x", id, []byte(body), 0); err != nil {
			t.Fatal(err)
		}
	}
	page, err := looked(t, stores).List(t.Context(), RunQuery{})
	if err != nil || len(page.Runs) != 2 || page.Runs[0].Waiting[:16] != "cannot be read: " || page.Runs[1].Waiting[:16] != "cannot be read: " {
		t.Errorf("%+v, %v", page, err)
	}
}

// What a list says of a run whose process was killed: it is running while its lease
// lasts, and then interrupted, until a worker has it.
func TestInterruptedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		e := opened(t, &stores, chain(3, time.Minute, &counter{}))
		rs := looked(t, stores)
		if _, err := e.Start(t.Context(), "in", Options{ID: "r"}); err != nil {
			t.Fatal(err)
		}
		job, err := stores.Queue.Claim(t.Context(), e.e.g.queueOf(""), defaultLease, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = holdRun(t.Context(), stores.Leases, e.e.g.storeName(), "r", "killed", defaultLease)
		if err != nil {
			t.Fatal(err)
		}
		first, err := decodeEntry(job.Entry())
		if err != nil {
			t.Fatal(err)
		}
		r := e.e.newRun(Options{})
		r.id, r.log, r.caller = "r", newRunLog(stores.Log, e.e.g.runKey("r")), t.Context()
		rec := r.record(kindStart)
		rec.Start = &startRecord{ID: "r", Owner: "killed", Graph: e.e.shape, Input: first.Input}
		if err := r.commit(rec); err != nil {
			t.Fatal(err)
		}
		if status, waits := stand(t, rs, e, "r"); status != Running || waits != "" {
			t.Errorf("while its lease lasts: %s %q", status, waits)
		}
		time.Sleep(defaultLease)
		if status, waits := stand(t, rs, e, "r"); status != Interrupted || waits != byWorker {
			t.Errorf("after it: %s %q", status, waits)
		}
		if got := pages(t, rs, RunQuery{Status: Interrupted}); len(got) != 1 {
			t.Errorf("%v", got)
		}
		stop := start(t, e.Worker(WorkerOptions{}))
		time.Sleep(time.Second)
		if status, waits := stand(t, rs, e, "r"); status != Running || waits != "" {
			t.Errorf("after a worker took it: %s %q", status, waits)
		}
		stop()
	})
}

// A run of Run whose caller left is one that somebody has to resume.
func TestStoppedRunIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		e := opened(t, &stores, chain(3, time.Minute, &counter{}))
		ctx, leave := context.WithTimeout(t.Context(), 90*time.Second)
		defer leave()
		if _, err := e.Run(ctx, "in", Options{ID: "r"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		rs := looked(t, stores)
		if status, waits := stand(t, rs, e, "r"); status != Interrupted || waits != byPeople {
			t.Errorf("%s %q", status, waits)
		}
		made, err := OpenCheckpoint(stores, e.e.g.storeName(), "r").Fork(t.Context(), 0, "f")
		if err != nil {
			t.Fatal(err)
		}
		if status, waits := stand(t, rs, e, made); status != Pending || waits != byPeople {
			t.Errorf("a fork that nobody has begun: %s %q", status, waits)
		}
		if err := rs.Resume(t.Context(), "", "r"); err != nil {
			t.Fatal(err)
		}
		if status, waits := stand(t, rs, e, "r"); status != Interrupted || waits != byWorker {
			t.Errorf("%s %q", status, waits)
		}
	})
}

// A run that a worker gave back until a time waits for a worker when that has come.
func TestDueRunWaitsForAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		g := chain(2, time.Second, &counter{})
		g.Nodes[1].Delay = time.Hour
		e := opened(t, &stores, g)
		rs := looked(t, stores)
		if _, err := e.Start(t.Context(), "in", Options{ID: "r"}); err != nil {
			t.Fatal(err)
		}
		stop := start(t, e.Worker(WorkerOptions{}))
		time.Sleep(time.Minute)
		if status, _ := stand(t, rs, e, "r"); status != Waiting {
			t.Errorf("before: %s", status)
		}
		stop()
		time.Sleep(time.Hour)
		if status, waits := stand(t, rs, e, "r"); status != Waiting || waits != byWorker {
			t.Errorf("when it is due, and nobody there: %s %q", status, waits)
		}
	})
}

// Nothing of a run that has ended waits.
func TestEndedRunWaitsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		g := diamond()
		g.Nodes[2].Delay = time.Hour // Write
		e := opened(t, &stores, g)
		h, err := e.Start(t.Context(), "in", Options{ID: "r"})
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, e.Worker(WorkerOptions{}))
		time.Sleep(time.Minute)
		rs := looked(t, stores)
		if d := shown(t, rs, "r"); len(d.Pending) != 2 || len(d.Joins) != 1 {
			t.Errorf("before: %+v, %+v", d.Pending, d.Joins)
		}
		if err := h.Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if d := shown(t, rs, "r"); d.Status != Cancelled || d.Waiting != "" || len(d.Pending) > 0 || len(d.Joins) > 0 {
			t.Errorf("%s %q, pending %+v, joins %+v", d.Status, d.Waiting, d.Pending, d.Joins)
		}
		stop()
	})
}

// askedLeases count how often they are asked who has something.
type askedLeases struct {
	resilience.Leases
	asked int
}

func (l *askedLeases) Holder(ctx context.Context, name string) (string, time.Duration, error) {
	l.asked++
	return l.Leases.Holder(ctx, name)
}

// To tell how a run stands that somebody has, one look is enough.
func TestStatusLooksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		leases := &askedLeases{Leases: stores.Leases}
		stores.Leases = leases
		e := opened(t, &stores, chain(1, time.Minute, &counter{}))
		go func() { _, _ = e.Run(t.Context(), "in", Options{ID: "r"}) }()
		time.Sleep(time.Second)
		if status, err := e.Get("r").Status(t.Context()); status != Running || err != nil || leases.asked != 1 {
			t.Errorf("%q, %v, after %d looks", status, err, leases.asked)
		}
		time.Sleep(time.Hour)
	})
}
