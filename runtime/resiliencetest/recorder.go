package resiliencetest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Recorder keeps a readable transcript of the events that it is told. The zero
// value is ready; its Observe is made for [resilience.Options]. It is safe for
// concurrent use.
type Recorder struct {
	mu    sync.Mutex
	begun time.Time
	lines []string
}

// Observe adds e to the transcript, with the time since the first event.
func (r *Recorder) Observe(_ context.Context, e resilience.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun.IsZero() {
		r.begun = e.Time
	}
	r.lines = append(r.lines, e.Time.Sub(r.begun).String()+" "+e.String())
}

// Lines returns the lines of the transcript.
func (r *Recorder) Lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

// String returns the transcript, one line an event:
//
//	0s payments.Gateway.Charge: attempt failed, attempt 1: gateway: 503
//	0s payments.Gateway.Charge: retry scheduled, attempt 2 in 100ms
func (r *Recorder) String() string {
	return strings.Join(r.Lines(), "\n")
}

// Reset empties the transcript; the next event is at 0s again.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun, r.lines = time.Time{}, nil
}

// Expect fails the test, and shows both, unless the transcript is want. Spaces
// around lines and empty lines at the ends do not matter.
func (r *Recorder) Expect(t testing.TB, want string) {
	t.Helper()
	if got := r.String(); trimmed(got) != trimmed(want) {
		t.Errorf("events:\n%s\nwant:\n%s", trimmed(got), trimmed(want))
	}
}

func trimmed(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "\n")
}
