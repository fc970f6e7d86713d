package workflows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

var errDown = errors.New("down")

// each runs a test in memory and on files.
func each(t *testing.T, test func(t *testing.T, rt *resilience.Runtime)) {
	t.Run("memory", func(t *testing.T) { test(t, new(resilience.Runtime)) })
	t.Run("files", func(t *testing.T) { test(t, opened(t, t.TempDir())) })
}

// opened returns a runtime with its store in dir.
func opened(t *testing.T, dir string) *resilience.Runtime {
	t.Helper()
	rt, err := resilience.Open(resilience.Options{Dir: filepath.Join(dir, "state")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	return rt
}

// book notes calls, and has some of them fail.
type book struct {
	mu    sync.Mutex
	calls map[string]int
	fails map[string]int
	keys  map[string]bool // idempotency keys
}

// call notes a call of a node, and returns its error.
func (b *book) call(ctx context.Context, node string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls == nil {
		b.calls, b.keys = map[string]int{}, map[string]bool{}
	}
	b.calls[node]++
	if key, ok := resilience.IdempotencyKey(ctx); ok {
		b.keys[node+" "+key] = true
	}
	if b.fails[node] > 0 {
		b.fails[node]--
		return errDown
	}
	return nil
}

func (b *book) called() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for _, node := range slices.Sorted(maps.Keys(b.calls)) {
		list = append(list, fmt.Sprintf("%s %d", node, b.calls[node]))
	}
	return strings.Join(list, ", ")
}

// research are ResearchNodes.
type research struct {
	book
	block map[string]func(ctx context.Context)
	cost  float64       // of a call; 0 is a half
	slow  time.Duration // each call takes so long

	atWork, most map[string]int // calls of Plan at a time, by tenant
	remembered   string         // by Plan
}

func (r *research) enter(ctx context.Context, node string) error {
	if block := r.block[node]; block != nil {
		block(ctx)
	}
	time.Sleep(r.slow)
	workflow.AddCost(ctx, cmp.Or(r.cost, 0.5))
	return r.call(ctx, node)
}

// count counts the calls of Plan for a tenant.
func (r *research) count(tenant string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.atWork == nil {
		r.atWork, r.most = map[string]int{}, map[string]int{}
	}
	r.atWork[tenant] += n
	r.most[tenant] = max(r.most[tenant], r.atWork[tenant])
}

func (r *research) Plan(ctx context.Context, q Question) (Outline, error) {
	r.count(q.Tenant, 1)
	defer r.count(q.Tenant, -1)
	asked, _ := workflow.Memory(ctx).Get("asked")
	workflow.Memory(ctx).Set("asked", asked+q.Text+";")
	r.mu.Lock()
	r.remembered = asked
	r.mu.Unlock()
	return Outline{q.Text, []string{"one", "two"}}, r.enter(ctx, "Plan")
}

func (r *research) Analyse(ctx context.Context, o Outline) (Analysis, error) {
	return Analysis{fmt.Sprint(len(o.Points), " points")}, r.enter(ctx, "Analyse")
}

func (r *research) Write(ctx context.Context, o Outline) (Draft, error) {
	return Draft{"on " + o.Question, "Write"}, r.enter(ctx, "Write")
}

func (r *research) Review(ctx context.Context, a Analysis, d Draft) (Report, error) {
	return Report{d.Text + " by " + d.By + ": " + a.Finding}, r.enter(ctx, "Review")
}

// WriteFallback implements ResearchNodesFallback.
func (r *research) WriteFallback(_ context.Context, o Outline, _ error) (Draft, error) {
	return Draft{"on " + o.Question, "nobody"}, nil
}

func newResearch(t *testing.T, rt *resilience.Runtime, r *research) *ResearchWorkflow {
	t.Helper()
	w, err := NewResearchWorkflow(rt, r, r)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// steps are the steps of a result, sorted by node.
func steps(list []workflow.Step) string {
	var texts []string
	for _, s := range list {
		text := s.Node + " " + s.Outcome
		if s.Attempts != 1 {
			text += fmt.Sprint(" ", s.Attempts)
		}
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}

// equal compares what came out with what was to come out.
func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// TestResearch forks and joins: a node is tried again, another one's fallback
// answers, and the result says so.
func TestResearch(t *testing.T) {
	each(t, func(t *testing.T, rt *resilience.Runtime) {
		r := &research{book: book{fails: map[string]int{"Plan": 2, "Write": 3}}}
		w := newResearch(t, rt, r)
		result, err := w.Run(t.Context(), Question{"rain", "eu"}, workflow.Options{ID: "first"})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the output", result.Output, Report{"on rain by nobody: 2 points"})
		equal(t, "the status", result.Status, workflow.Completed)
		equal(t, "the steps", steps(result.Steps), "Analyse done, Plan done 3, Review done, Write fallback 3")
		equal(t, "the calls", r.called(), "Analyse 1, Plan 3, Review 1, Write 3")
		equal(t, "the keys", len(r.keys), 4) // all attempts of a message have one
		equal(t, "the cost", result.Cost, 4)
		equal(t, "what failed", len(result.NodeFailures)+len(result.DeadLetters), 0)
		equal(t, "a checkpoint was used", result.CheckpointUsed, false)
		if rt.Breaker("workflow/Research/Analyse") == nil {
			t.Error("the breaker of Analyse has another name")
		}
	})
}

// TestKnownRun asks for a run again, after its end and with another input.
func TestKnownRun(t *testing.T) {
	rt, r := opened(t, t.TempDir()), new(research)
	w := newResearch(t, rt, r)
	first, err := w.Run(t.Context(), Question{Text: "rain"}, workflow.Options{ID: "known"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.Run(t.Context(), Question{Text: "rain"}, workflow.Options{ID: "known"})
	if err != nil || again.Output != first.Output || !again.CheckpointUsed {
		t.Errorf("again: %+v, %v", again, err)
	}
	equal(t, "the calls", r.called(), "Analyse 1, Plan 1, Review 1, Write 1")
	if _, err := w.Run(t.Context(), Question{Text: "snow"}, workflow.Options{ID: "known"}); !errors.Is(err, workflow.ErrRunInput) {
		t.Errorf("with another input: %v", err)
	}
	if _, err := w.Resume(t.Context(), "unknown"); !errors.Is(err, workflow.ErrRunUnknown) {
		t.Errorf("an unknown run: %v", err)
	}
}

// TestStopped stops a run while nodes are at work, and goes on with it after the
// process was started again: what is done stays done.
func TestStopped(t *testing.T) {
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	r := &research{block: map[string]func(context.Context){"Analyse": func(ctx context.Context) {
		stop()
		<-ctx.Done()
	}}}
	rt := opened(t, dir)
	if _, err := newResearch(t, rt, r).Run(ctx, Question{Text: "rain"}, workflow.Options{ID: "stopped"}); !errors.Is(err, context.Canceled) {
		t.Fatalf("the run that was stopped: %v", err)
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	r.block, r.calls = nil, nil
	w := newResearch(t, opened(t, dir), r)
	result, err := w.Resume(t.Context(), "stopped")
	if err != nil || result.Output.Text != "on rain by Write: 2 points" || !result.CheckpointUsed {
		t.Errorf("resumed: %+v, %v", result, err)
	}
	if strings.Contains(r.called(), "Plan") || strings.Contains(r.called(), "Analyse") || !strings.Contains(r.called(), "Review 1") {
		t.Errorf("the second process called %s", r.called())
	}
}
