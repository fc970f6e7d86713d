package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// looked returns the runs of stores as a tool beside their owner sees them.
func looked(t *testing.T, stores resilience.Stores) *Runs {
	t.Helper()
	rt, err := resilience.Open(resilience.Options{Stores: stores})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	return RunsOf(rt)
}

func shown(t *testing.T, rs *Runs, id string) RunDetail {
	t.Helper()
	d, err := rs.Show(t.Context(), "", id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// asJSON compares what has times in it without them.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRunIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		e := opened(t, &stores, diamond())
		if _, err := e.Run(t.Context(), "in", Options{ID: "r"}); err != nil {
			t.Fatal(err)
		}
		d := shown(t, looked(t, stores), "r")
		if d.Workflow != "example.com/p.Research" || d.Status != Completed || d.RunSummary.Steps != 4 || d.Ended.IsZero() || d.Waiting != "" || d.Version != 6 || d.Epoch != 2 { // the first lease is version 1 of the store
			t.Errorf("%+v", d.RunSummary)
		}
		if string(d.Input) != `"in"` || string(d.Output) != `"Review(Analyse(Plan(in)),Write(Plan(in)))"` {
			t.Errorf("input %s, output %s", d.Input, d.Output)
		}
		if want := `{"name":"Research","fingerprint":"f0","entry":"Plan","nodes":[{"name":"Plan","next":["Analyse","Write"]},{"name":"Analyse","next":["Review"]},` +
			`{"name":"Write","next":["Review"]},{"name":"Review","next":["end"],"waitFor":["Analyse","Write"]}]}`; asJSON(t, d.Graph) != want {
			t.Errorf("graph %s", asJSON(t, d.Graph))
		}
		follows(t, d)
	})
}

// follows fails unless each message of a run that completed was sent by one step and
// taken by one.
func follows(t *testing.T, d RunDetail) {
	t.Helper()
	sent, taken := map[string]bool{firstMessage: true}, map[string]bool{}
	for _, s := range d.Steps {
		for _, m := range s.Sent {
			if sent[m.ID] {
				t.Errorf("message %s is sent twice", m.ID)
			}
			sent[m.ID] = m.To != end
		}
	}
	for _, s := range d.Steps {
		list := s.Consumed
		if len(list) == 0 {
			list = []string{s.Message}
		}
		for _, id := range list {
			if !sent[id] || taken[id] {
				t.Errorf("%s takes message %s, which was not sent or is taken", s.Node, id)
			}
			taken[id] = true
		}
	}
}

// A run that waits for a time, one that waits at a join, and one whose node runs say
// so.
func TestRunSaysWhereItStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		g := diamond()
		g.Concurrency = 2
		g.Nodes[2].Delay = time.Hour // Write
		slow := make(chan struct{})
		g.Nodes[1] = works("Analyse", func(context.Context, string) (string, error) { <-slow; return "done", nil }, "Review")
		e := opened(t, &stores, g)
		result := make(chan error, 1)
		go func() {
			_, err := e.Run(context.WithoutCancel(t.Context()), "in", Options{ID: "r"})
			result <- err
		}()
		synctest.Wait()
		rs := looked(t, stores)
		d := shown(t, rs, "r")
		if d.Status != Running || d.Waiting != "" || len(d.Pending) != 2 || d.Pending[0].To != "Analyse" || d.Pending[1].To != "Write" || d.Pending[1].Due.IsZero() {
			t.Errorf("while Analyse runs: %s %q %+v", d.Status, d.Waiting, d.Pending)
		}
		close(slow)
		synctest.Wait()
		d = shown(t, rs, "r")
		if want := "until " + d.Started.Add(time.Hour).Format(time.RFC3339); d.Status != Waiting || d.Waiting != want {
			t.Errorf("while Write is not due: %s %q, want %q", d.Status, d.Waiting, want)
		}
		if got := asJSON(t, d.Joins); got != `[{"node":"Review","arrived":{"Analyse":1},"missing":["Write"]}]` {
			t.Errorf("joins %s", got)
		}
		page, err := rs.List(t.Context(), RunQuery{Status: Waiting})
		if err != nil || len(page.Runs) != 1 || page.Runs[0].Waiting != d.Waiting {
			t.Errorf("list of what waits: %+v, %v", page, err)
		}
		if err := <-result; err != nil {
			t.Error(err)
		}
		if d = shown(t, rs, "r"); d.Status != Completed || len(d.Joins)+len(d.Pending) > 0 {
			t.Errorf("at the end: %+v", d)
		}
	})
}

func TestRunsAreListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		other := diamond()
		other.Name = "Other"
		e, o := opened(t, &stores, diamond()), opened(t, &stores, other)
		var want []string
		for i := range 25 {
			time.Sleep(time.Second)
			id, with := fmt.Sprint("r", i), e
			if i%5 == 0 {
				with = o
			}
			if _, err := with.Run(t.Context(), "in", Options{ID: id}); err != nil {
				t.Fatal(err)
			}
			want = append(want, id)
		}
		rs := looked(t, stores)
		for _, oldest := range []bool{false, true} {
			got := pages(t, rs, RunQuery{Limit: 7, OldestFirst: oldest})
			if !oldest {
				slices.Reverse(got)
			}
			if !slices.Equal(got, want) {
				t.Errorf("oldest %t: %v", oldest, got)
			}
		}
		for name, n := range map[string]int{"Other": 5, "example.com/p.Other": 5, "Research": 20, "p.Research": 0, "ther": 0, "": 25} {
			if got := pages(t, rs, RunQuery{Workflow: name}); len(got) != n {
				t.Errorf("%q: %d runs, want %d", name, len(got), n)
			}
		}
		if got := pages(t, rs, RunQuery{Status: Failed}); len(got) != 0 {
			t.Errorf("failed: %v", got)
		}
		if _, err := rs.List(t.Context(), RunQuery{Cursor: "!"}); !errors.Is(err, resilience.ErrInvalid) {
			t.Errorf("a bad cursor: %v", err)
		}
	})
}

func pages(t *testing.T, rs *Runs, q RunQuery) (ids []string) {
	t.Helper()
	for {
		p, err := rs.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Runs {
			ids = append(ids, r.ID)
		}
		if q.Cursor = p.Next; p.Next == "" {
			return ids
		}
	}
}

// A run is found by its id alone where one workflow has it.
func TestRunIsNamed(t *testing.T) {
	stores := resilience.MemoryStores()
	other := diamond()
	other.Name = "Other"
	for _, e := range []*Engine[string, string]{opened(t, &stores, diamond()), opened(t, &stores, other)} {
		if _, err := e.Run(t.Context(), "in", Options{ID: "both"}); err != nil {
			t.Fatal(err)
		}
	}
	rs := looked(t, stores)
	for workflow, want := range map[string]error{"Research": nil, "example.com/p.Other": nil, "": resilience.ErrInvalid, "None": ErrRunUnknown, "example.com/p.None": ErrRunUnknown} {
		if _, err := rs.Show(t.Context(), workflow, "both"); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", workflow, err, want)
		}
	}
	for _, id := range []string{"", "a\x00b", strings.Repeat("a", maxID+1)} {
		if _, err := rs.Show(t.Context(), "Research", id); !errors.Is(err, ErrRunID) {
			t.Errorf("%.10q: %v", id, err)
		}
	}
}

// A run that cannot be read stands in the list with the reason, and others beside it.
func TestDamagedRunIsListed(t *testing.T) {
	stores := resilience.MemoryStores()
	e := opened(t, &stores, diamond())
	if _, err := e.Run(t.Context(), "in", Options{ID: "r"}); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{`{`, `{"v":9,"k":"step"}`, `{"v":1,"k":"step"}`, `{"v":1,"k":"own","own":{}}`} {
		if _, err := stores.Log.Append(t.Context(), resilience.StoreKey("run", "p.X", body), 0, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	page, err := looked(t, stores).List(t.Context(), RunQuery{})
	if err != nil || len(page.Runs) != 5 {
		t.Fatalf("%+v, %v", page, err)
	}
	for _, r := range page.Runs {
		if (r.ID == "r") == strings.HasPrefix(r.Waiting, "cannot be read: ") {
			t.Errorf("%+v", r)
		}
	}
}

func TestRunIsExported(t *testing.T) {
	stores := resilience.MemoryStores()
	e := opened(t, &stores, diamond())
	if _, err := e.Run(t.Context(), "in", Options{ID: "r"}); err != nil {
		t.Fatal(err)
	}
	kinds := ""
	for line, err := range looked(t, stores).Export(t.Context(), "Research", "r") {
		if err != nil {
			t.Fatal(err)
		}
		r, err := decodeRecord(line)
		if err != nil {
			t.Fatal(err)
		}
		kinds += r.Kind + " "
	}
	if kinds != "start step step step step " {
		t.Error(kinds)
	}
	for _, err := range looked(t, stores).Export(t.Context(), "Research", "none") {
		if !errors.Is(err, ErrRunUnknown) {
			t.Error(err)
		}
	}
}

// A run of Run that stopped is taken by a worker after Resume.
func TestRunIsResumedByAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		ctx, stop := context.WithCancel(t.Context())
		g := diamond()
		g.Nodes[1] = works("Analyse", func(context.Context, string) (string, error) { stop(); return "analysed", nil }, "Review")
		if _, err := opened(t, &stores, g).Run(ctx, "in", Options{ID: "r"}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		rs := looked(t, stores)
		if err := rs.Resume(t.Context(), "Research", "r"); err != nil {
			t.Fatal(err)
		}
		working, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		e := opened(t, &stores, diamond())
		go func() { done <- newWorker(e.e, WorkerOptions{}).Run(working) }()
		for shown(t, rs, "r").Status != Completed {
			time.Sleep(time.Second)
		}
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if d := shown(t, rs, "r"); d.Resumes != 1 || string(d.Output) != `"Review(analysed,Write(Plan(in)))"` {
			t.Errorf("%d resumes, %s", d.Resumes, d.Output)
		}
		if err := rs.Resume(t.Context(), "Research", "r"); !errors.Is(err, ErrRunOver) {
			t.Errorf("of what has ended: %v", err)
		}
	})
}
