package workflows

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// inMemory runs a test in a bubble of time, with stores in memory.
func inMemory(t *testing.T, test func(t *testing.T, rt *resilience.Runtime)) {
	synctest.Test(t, func(t *testing.T) {
		rt, err := resilience.Open(resilience.Options{Stores: resilience.MemoryStores()})
		if err != nil {
			t.Fatal(err)
		}
		test(t, rt)
		if err := rt.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
	})
}

// TestLetters has a node fail for good: the run parks, and goes on when the letter has
// been replayed.
func TestLetters(t *testing.T) {
	inMemory(t, func(t *testing.T, rt *resilience.Runtime) {
		r := &research{book: book{fails: map[string]int{"Analyse": 3}}}
		w := newResearch(t, rt, r)
		result, err := w.Run(t.Context(), Question{Text: "rain"}, workflow.Options{ID: "parked"})
		if !errors.Is(err, workflow.ErrParked) || result.Status != workflow.Parked || len(result.DeadLetters) != 1 || result.NodeFailures["Analyse"] != 1 {
			t.Fatalf("%+v, %v", result, err)
		}
		letters := rt.DeadLetters()
		letter, err := letters.Get(t.Context(), result.DeadLetters[0])
		if err != nil || letter.Queue != "research.letters" || letter.Call.Method != "Analyse" {
			t.Errorf("the letter is %+v, %v", letter, err)
		}
		plan, err := letters.Plan(t.Context(), "state:dead", resilience.ReplayOptions{})
		if err != nil {
			t.Fatal(err)
		}
		job, err := letters.Apply(t.Context(), plan.Token, resilience.ApplyOptions{})
		for err == nil && job.State != resilience.JobDone {
			time.Sleep(time.Second)
			job, err = letters.Job(t.Context(), job.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		result, err = w.Resume(t.Context(), "parked")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the output", result.Output.Text, "on rain by Write: 2 points")
		equal(t, "the calls", r.called(), "Analyse 4, Plan 1, Review 1, Write 1")
		equal(t, "the keys", len(r.keys), 4) // the letter has that of its message
	})
}

// TestLimits ends runs that cost too much.
func TestLimits(t *testing.T) {
	each(t, func(t *testing.T, rt *resilience.Runtime) {
		r := &research{book: book{fails: map[string]int{"Plan": 2, "Analyse": 2, "Write": 3}}, cost: 1}
		result, err := newResearch(t, rt, r).Run(t.Context(), Question{Text: "rain"}, workflow.Options{})
		if !errors.Is(err, workflow.ErrLimit) || result.Status != workflow.LimitExceeded || result.Cost <= 5 {
			t.Errorf("%+v, %v", result, err)
		}
		equal(t, "Review was called", r.calls["Review"], 0)
	})
}

// TestMemory has a node remember what it did in earlier runs, also after the process
// was started again.
func TestMemory(t *testing.T) {
	dir := t.TempDir()
	r := new(research)
	for _, text := range []string{"rain", "snow", "wind"} {
		rt := opened(t, dir)
		if _, err := newResearch(t, rt, r).Run(t.Context(), Question{Text: text}, workflow.Options{}); err != nil {
			t.Fatal(err)
		}
		if err := rt.Close(); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "what Plan remembered", r.remembered, "rain;snow;")
}

// TestSchedule has runs begin at their times, and never two of one tick.
func TestSchedule(t *testing.T) {
	inMemory(t, func(t *testing.T, rt *resilience.Runtime) {
		r := new(research)
		w := newResearch(t, rt, r)
		stop := work(t, w.Worker(workflow.WorkerOptions{}))
		time.Sleep(3*time.Hour + time.Minute)
		stop()
		if n := r.calls["Review"]; n < 3 || n > 4 { // that of the night may be among them
			t.Errorf("%d runs in three hours", n)
		}
	})
}

// TestKeys has no more runs of one key at work than the policy allows, and those of
// others beside them. However long a run waits for its turn, it is none that fails.
func TestKeys(t *testing.T) {
	inMemory(t, func(t *testing.T, rt *resilience.Runtime) {
		r := &research{slow: time.Minute}
		w := newResearch(t, rt, r)
		begun := time.Now()
		var handles []ResearchHandle
		for _, tenant := range []string{"eu", "eu", "eu", "eu", "us"} {
			h, err := w.Start(t.Context(), Question{Text: "rain", Tenant: tenant}, workflow.Options{})
			if err != nil {
				t.Fatal(err)
			}
			handles = append(handles, h)
		}
		stop := work(t, w.Worker(workflow.WorkerOptions{Concurrency: 8}))
		for _, h := range handles {
			if _, err := h.Result(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		// A run has three nodes behind each other, each takes a minute.
		if took := time.Since(begun); took < 6*time.Minute || took > 8*time.Minute {
			t.Errorf("the runs took %v", took)
		}
		if r.most["eu"] > 2 {
			t.Errorf("%d runs of one tenant at a time", r.most["eu"])
		}
		stop()
	})
}
