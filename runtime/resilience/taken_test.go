package resilience

import (
	"context"
	"errors"
	"testing"
	"time"
)

var errTaken = errors.New("taken")

// TestTaken has calls end in each way, and asks what they took.
func TestTaken(t *testing.T) {
	policy := Policy{
		Retry:    Retry{MaxAttempts: 3, Backoff: Backoff{InitialDelay: time.Nanosecond}},
		Breaker:  Breaker{ConsecutiveFailures: 4, OpenDuration: time.Hour},
		Fallback: Fallback{On: true},
	}
	rt := new(Runtime)
	g := guardOf(t, rt, "taken", policy)
	for _, test := range []struct {
		name  string
		fails int // times
		ask   bool
		want  Taken
	}{
		{"success", 0, true, Taken{Attempts: 1, Breaker: StateClosed}},
		{"second attempt", 1, true, Taken{Attempts: 2, Breaker: StateClosed}},
		{"fallback", 3, true, Taken{Attempts: 3, Breaker: StateClosed, FallbackUsed: true}},
		{"opens, and nobody asked for the fallback", 3, false, Taken{Attempts: 1, Breaker: StateOpen}},
		{"rejected", 0, true, Taken{Attempts: 0, Breaker: StateOpen, FallbackUsed: true}},
	} {
		got := takenBy(g, test.fails, test.ask)
		if cause := got.Cause; (cause != nil) != test.want.FallbackUsed {
			t.Errorf("%s: the cause is %v", test.name, cause)
		}
		if got.Cause = nil; got != test.want {
			t.Errorf("%s: took %+v, want %+v", test.name, got, test.want)
		}
	}
	rt.Breaker("taken").ForceOpen()
	if got := takenBy(g, 0, false); got != (Taken{Breaker: StateForcedOpen}) {
		t.Errorf("forced open: took %+v", got)
	}
	rt.Breaker("taken").Disable()
	if got := takenBy(g, 0, false); got != (Taken{Attempts: 1, Breaker: StateClosed}) || g.Breaker().Name() != "taken" {
		t.Errorf("disabled: took %+v", got)
	}
	rt.SetEnabled(false)
	if got := takenBy(g, 1, true); got != (Taken{Attempts: 1}) {
		t.Errorf("switched off: took %+v", got)
	}
	if got := takenBy(guardOf(t, rt, "plain", Policy{}), 0, true); got != (Taken{Attempts: 1}) {
		t.Errorf("without a policy: took %+v", got)
	}
}

// guardOf returns the guard name of rt under p.
func guardOf(t *testing.T, rt *Runtime, name string, p Policy) *Guard {
	t.Helper()
	g, err := rt.Guard(name, p)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// takenBy makes a call whose first attempts fail.
func takenBy(g *Guard, fails int, ask bool) Taken {
	call := g.Begin(context.Background())
	for n := 0; call.Next(); n++ {
		var err error
		if n < fails {
			err = errTaken
		}
		call.Record(err)
	}
	if ask {
		call.WantsFallback()
	}
	call.End()
	return call.Taken()
}

// TestNamesWithSlashes has guards below a path named with slashes, and found by
// those names.
func TestNamesWithSlashes(t *testing.T) {
	rt := new(Runtime)
	w := rt.Wrap("workflow/Research", t)
	g := w.Guard("Plan", Policy{Breaker: Breaker{ConsecutiveFailures: 1}})
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	if rt.Breaker("workflow/Research/Plan") == nil {
		t.Errorf("there is no breaker of that name, but %q", rt.Breakers()[0].Name())
	}
	if m := rt.Stats().Methods[0]; m.Name != "workflow/Research/Plan" || m.Interface != "workflow/Research" || m.Method != "Plan" {
		t.Errorf("statistics of %q, %q, %q", m.Name, m.Interface, m.Method)
	}
	for name, want := range map[string]bool{
		"": true, "workflow/Research/Plan": true, "workflow/Research": true, "workflow/Research/*": true, "workflow/*": true,
		"workflow/Research/Write": false, "workflow/Other": false, "Plan": false, "example.com/workflow/Research": false,
	} {
		if got := g.rank(name) >= 0; got != want {
			t.Errorf("the name %q means the guard: %v", name, got)
		}
	}
}
