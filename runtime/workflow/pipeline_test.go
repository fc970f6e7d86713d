package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

var errStage = errors.New("stage failed")

// textStages are stages of a pipeline, written as the generator writes them. Each
// appends its name to a text, and fails as often as it was told.
type textStages struct {
	pipeline              *Pipeline
	first, second         *resilience.Guard
	fails                 map[string]int
	panics                string
	leave                 func()
	takes                 time.Duration
	firstCtx              context.Context
	secondAnswersInSecond bool
}

func newTextStages(t *testing.T, rt *resilience.Runtime, optional string) *textStages {
	t.Helper()
	w := rt.Wrap("pipeline/Text", t)
	s := &textStages{fails: map[string]int{}}
	retry := resilience.Retry{MaxAttempts: 2, Backoff: resilience.Backoff{InitialDelay: time.Second, Jitter: resilience.NoJitter}}
	s.first = w.Guard("First", resilience.Policy{Retry: retry})
	s.second = w.Guard("Second", resilience.Policy{Retry: retry, Fallback: resilience.Fallback{On: true}, Breaker: resilience.Breaker{ConsecutiveFailures: 3}})
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	s.pipeline = NewPipeline(rt, "Text", []Stage{
		{Name: "First", Guard: s.first, Optional: optional == "First"},
		{Name: "Second", Guard: s.second, Optional: optional == "Second"},
		{Name: "Third", Optional: optional == "Third"},
	})
	return s
}

func (s *textStages) Run(ctx context.Context, in string) (out string, report Report, err error) {
	pass := s.pipeline.Begin(ctx)
	defer pass.End()
	value := in
	if pass.Next() {
		first, err := s.First(pass, value)
		if pass.Record(err) {
			value = first
		}
	}
	if pass.Next() {
		second, err := s.Second(pass, value)
		if pass.Record(err) {
			value = second
		}
	}
	if pass.Next() {
		third, err := s.do("Third", value)
		if pass.Record(err) {
			value = third
		}
	}
	return value, pass.Report(), pass.Err()
}

func (s *textStages) First(ctx context.Context, in string) (out string, err error) {
	s.firstCtx = ctx
	call := s.first.Begin(ctx)
	defer Tell(ctx, &call)
	defer call.End()
	for call.Next() {
		out, err = s.do("First", in)
		call.Record(err)
	}
	return out, call.Err()
}

func (s *textStages) Second(ctx context.Context, in string) (out string, err error) {
	call := s.second.Begin(ctx)
	defer Tell(ctx, &call)
	defer call.End()
	for call.Next() {
		out, err = s.do("Second", in)
		call.Record(err)
	}
	if call.WantsFallback() && s.secondAnswersInSecond {
		return in + " fallback", nil
	}
	return out, call.Err()
}

func (s *textStages) do(name, in string) (string, error) {
	time.Sleep(s.takes)
	if s.leave != nil {
		s.leave()
	}
	if s.panics == name {
		panic(name)
	}
	if s.fails[name] > 0 {
		s.fails[name]--
		return "", errStage
	}
	return in + " " + name, nil
}

// want is what is compared of a report of a stage.
func want(stage string, attempts int, d time.Duration) StageReport {
	return StageReport{Stage: stage, Attempts: attempts, Duration: d}
}

func TestPipeline(t *testing.T) {
	type reports = []StageReport
	skipped := func(names ...string) (list reports) {
		for _, name := range names {
			list = append(list, StageReport{Stage: name, Skipped: true})
		}
		return list
	}
	second := want("Second", 1, time.Second)
	second.Breaker = resilience.StateClosed
	for _, test := range []struct {
		name     string
		optional string
		fails    map[string]int
		answers  bool
		out      string
		err      bool
		change   func(list reports)
		skipped  []string
	}{
		{name: "success", out: "in First Second Third"},
		{name: "retried", fails: map[string]int{"First": 1}, out: "in First Second Third", change: func(list reports) {
			list[0].Attempts, list[0].Duration = 2, 3*time.Second
		}},
		{name: "failed", fails: map[string]int{"First": 2}, out: "in", err: true, skipped: []string{"Second", "Third"}, change: func(list reports) {
			list[0].Attempts, list[0].Duration, list[0].Err = 2, 3*time.Second, errStage
		}},
		{name: "fallback", fails: map[string]int{"Second": 2}, answers: true, out: "in First fallback Third", change: func(list reports) {
			list[1].Attempts, list[1].Duration, list[1].FallbackUsed = 2, 3*time.Second, true
		}},
		{name: "optional", optional: "First", fails: map[string]int{"First": 2}, out: "in Second Third", change: func(list reports) {
			list[0].Attempts, list[0].Duration, list[0].Err, list[0].Optional = 2, 3*time.Second, errStage, true
		}},
		{name: "last failed", fails: map[string]int{"Third": 1}, out: "in First Second", err: true, change: func(list reports) {
			list[2].Err = errStage
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTextStages(t, new(resilience.Runtime), test.optional)
				s.takes, s.secondAnswersInSecond = time.Second, test.answers
				if test.fails != nil {
					s.fails = test.fails
				}
				wants := reports{want("First", 1, time.Second), second, want("Third", 1, time.Second)}
				if test.change != nil {
					test.change(wants)
				}
				wants = append(wants[:3-len(test.skipped)], skipped(test.skipped...)...)
				out, report, err := s.Run(t.Context(), "in")
				if out != test.out || (err != nil) != test.err || test.err && !errors.Is(err, errStage) {
					t.Errorf("Run = %q, %v", out, err)
				}
				for i, got := range report.Stages {
					if want := wants[i]; !errors.Is(got.Err, want.Err) {
						t.Errorf("%s failed with %v", got.Stage, got.Err)
					}
					got.Err, wants[i].Err = nil, nil
					if got != wants[i] {
						t.Errorf("stage %d: %+v, want %+v", i, got, wants[i])
					}
				}
				var sum time.Duration
				for _, s := range report.Stages {
					sum += s.Duration
				}
				if report.Pipeline != "Text" || report.Duration != sum || len(report.Stages) != 3 {
					t.Errorf("the report is %+v", report)
				}
			})
		})
	}
}

// TestPipelineWithoutCaller has the caller leave within a stage: the next is not
// called.
func TestPipelineWithoutCaller(t *testing.T) {
	s := newTextStages(t, new(resilience.Runtime), "")
	ctx, cancel := context.WithCancel(t.Context())
	s.leave = cancel
	out, report, err := s.Run(ctx, "in")
	if !errors.Is(err, context.Canceled) || out != "in First" || !report.Stages[1].Skipped || report.Stages[0].Err != nil {
		t.Errorf("Run = %q, %v, %v", out, report, err)
	}
	if _, report, err = s.Run(ctx, "in"); !errors.Is(err, context.Canceled) || !report.Stages[0].Skipped {
		t.Errorf("under a context that is over: %v, %v", report, err)
	}
}

// TestPipelineBreaker has the breaker of a stage open: nothing is executed, and the
// report says why.
func TestPipelineBreaker(t *testing.T) {
	s := newTextStages(t, new(resilience.Runtime), "")
	s.pipeline.rt.Breaker("pipeline/Text/Second").ForceOpen()
	_, report, err := s.Run(t.Context(), "in")
	if r := report.Stages[1]; !errors.Is(err, resilience.ErrCircuitOpen) || r.Attempts != 0 || r.Breaker != resilience.StateForcedOpen {
		t.Errorf("%v, %v", report, err)
	}
	if b := s.pipeline.Breakers(); len(b) != 1 || b[0].Mode != resilience.ForcedOpen || b[0].Name != "pipeline/Text/Second" {
		t.Errorf("Breakers() = %+v", b)
	}
	text := report.String()
	for _, part := range []string{"Text in ", "First ", "; Second ", ", 0 attempts, fallback, breaker forced_open, failed: ", "; Third skipped"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in %q", part, text)
		}
	}
}

// TestReportJSON writes a report as JSON.
func TestReportJSON(t *testing.T) {
	report := Report{Pipeline: "Text", Stages: []StageReport{
		{Stage: "First", Attempts: 2, Duration: 5, Breaker: resilience.StateHalfOpen, FallbackUsed: true, Optional: true, Err: errStage},
		{Stage: "Second", Skipped: true},
	}}
	text, err := json.Marshal(report)
	want := `{"pipeline":"Text","started":"0001-01-01T00:00:00Z","duration":0,"stages":[` +
		`{"stage":"First","attempts":2,"duration":5,"breaker":"half_open","fallbackUsed":true,"optional":true,"error":"stage failed"},` +
		`{"stage":"Second","attempts":0,"duration":0,"skipped":true}]}`
	if err != nil || string(text) != want {
		t.Errorf("%v\n%s\n%s", err, text, want)
	}
}

// TestReportTell has a pipeline told of as what a node took.
func TestReportTell(t *testing.T) {
	var taken resilience.Taken
	report := Report{Stages: []StageReport{
		{Attempts: 3, Breaker: resilience.StateClosed}, {Attempts: 2, FallbackUsed: true, Breaker: resilience.StateOpen},
		{Attempts: 1, Breaker: resilience.StateClosed}, {Skipped: true},
	}}
	report.Tell(context.WithValue(t.Context(), tellKey{}, &taken))
	if want := (resilience.Taken{Attempts: 4, FallbackUsed: true, Breaker: resilience.StateOpen}); taken != want {
		t.Errorf("told of %+v, want %+v", taken, want)
	}
	report.Tell(t.Context()) // nobody
}

// TestPipelineEvents hears of stages and of the end.
func TestPipelineEvents(t *testing.T) {
	var heard []string
	rt, err := resilience.Open(resilience.Options{Observe: func(_ context.Context, e resilience.Event) {
		if e.Kind >= resilience.RunStarted {
			heard = append(heard, e.Kind.String()+" "+e.Name+" "+e.Reason)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rt.Close() }()
	s := newTextStages(t, rt, "Third")
	s.fails["Third"] = 1
	_, _, _ = s.Run(t.Context(), "in")
	s.panics = "First"
	func() {
		defer func() {
			if recover() != "First" {
				t.Error("the panic did not come through")
			}
		}()
		_, _, _ = s.Run(t.Context(), "in")
	}()
	want := []string{"step done pipeline/Text/First ", "step done pipeline/Text/Second ", "step failed pipeline/Text/Third optional", "run ended pipeline/Text completed", "run ended pipeline/Text failed"}
	if !slices.Equal(heard, want) {
		t.Errorf("heard\n%s\nwant\n%s", strings.Join(heard, "\n"), strings.Join(want, "\n"))
	}
}

// TestPassIsContext has values of the caller's, and its end, come through a stage.
func TestPassIsContext(t *testing.T) {
	type key struct{}
	s := newTextStages(t, new(resilience.Runtime), "")
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	_, _, _ = s.Run(ctx, "in")
	if s.firstCtx.Value(key{}) != "value" {
		t.Error("a value did not come through")
	}
	child, end := context.WithCancel(s.firstCtx)
	defer end()
	cancel()
	if child.Err() == nil { // at once: no goroutine carries it on
		t.Error("the end of the caller did not come through")
	}
	var none context.Context
	if !reflect.DeepEqual(s.pipeline.Begin(none).Context, context.Background()) {
		t.Error("a nil context is not context.Background")
	}
}

// TestPipelineAllocs bounds what a way through a pipeline allocates beside its
// stages: the pass and the report.
func TestPipelineAllocs(t *testing.T) {
	p := NewPipeline(new(resilience.Runtime), "Empty", []Stage{{Name: "A"}, {Name: "B"}, {Name: "C"}})
	ctx := t.Context()
	if allocs := testing.AllocsPerRun(100, func() {
		pass := p.Begin(ctx)
		defer pass.End()
		for pass.Next() {
			if pass.Record(nil); len(pass.reports) == 3 {
				break
			}
		}
		_ = pass.Report()
	}); allocs > 2 {
		t.Errorf("%v allocations", allocs)
	}
}
