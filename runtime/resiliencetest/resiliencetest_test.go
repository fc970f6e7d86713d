package resiliencetest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/resiliencetest"
)

func TestRecipe(t *testing.T) { t.Run("chargeOutlivesTwoFailures", chargeOutlivesTwoFailures) }

// cut takes the time off a line of a transcript.
func cut(line string) (at, event string, ok bool) { return strings.Cut(line, " ") }

// TestFaulty plays each script with callers that wait for a second.
func TestFaulty(t *testing.T) {
	down := errors.New("down")
	for script, want := range map[string]string{
		"":             "1 1",
		"S":            "1 1",
		"F*2 S":        "faulty faulty 1 1",
		"down F":       "down faulty faulty",
		"P S":          "panic 1 1",
		"H S":          "deadline 1",
		"S/500ms S/2s": "1 deadline",
		"F!2s S":       "faulty 1",
		"hold S":       "1 1",
		"what":         "panic",
		"S/x":          "panic",
		"S*x":          "panic",
	} {
		t.Run(script, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &resiliencetest.Faulty[int]{Script: script, Value: 1, Errors: map[string]error{"down": down}}
				time.AfterFunc(500*time.Millisecond, f.Release)
				var got []string
				for range strings.Fields(want) {
					got = append(got, outcome(t, f))
				}
				if text := strings.Join(got, " "); text != want || f.Calls() != len(got) {
					t.Errorf("got %s in %d calls, want %s", text, f.Calls(), want)
				}
			})
		})
	}
}

func outcome(t *testing.T, f *resiliencetest.Faulty[int]) (text string) {
	defer func() {
		if recover() != nil {
			text = "panic"
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	v, err := f.Call(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	case err != nil:
		return err.Error()
	}
	return fmt.Sprint(v)
}

// TestFaultyErr has an error of its own.
func TestFaultyErr(t *testing.T) {
	down := errors.New("down")
	f := &resiliencetest.Faulty[int]{Script: "F", Err: down}
	if _, err := f.Call(t.Context()); err != down {
		t.Errorf("got %v", err)
	}
}

// failures counts what a test reports.
type failures struct {
	testing.TB
	n int
}

func (f *failures) Helper()               {}
func (f *failures) Errorf(string, ...any) { f.n++ }

func TestRecorder(t *testing.T) {
	var r resiliencetest.Recorder
	var f failures
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for n := range 2 {
		r.Observe(t.Context(), resilience.Event{Kind: resilience.GaveUp, Name: "a", Time: at.Add(time.Duration(n) * time.Second)})
	}
	r.Expect(&f, "\n  0s a: gave up, attempt 0\n\t1s a: gave up, attempt 0\n")
	if f.n != 0 {
		t.Errorf("got %s", r.String())
	}
	r.Expect(&f, "0s a: gave up, attempt 0")
	r.Reset()
	r.Expect(&f, "0s a: gave up, attempt 0")
	if f.n != 2 {
		t.Errorf("%d failures, want 2", f.n)
	}
	r.Observe(t.Context(), resilience.Event{Kind: resilience.GaveUp, Name: "b", Time: at.Add(time.Hour)})
	if got := r.String(); got != "0s b: gave up, attempt 0" {
		t.Errorf("got %s", got)
	}
}
