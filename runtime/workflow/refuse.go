package workflow

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// RunRefusal says why a run does not go on in the present graph of its workflow.
// Somebody tried who has that graph.
type RunRefusal struct {
	At          time.Time `json:"at"`
	Fingerprint string    `json:"fingerprint"`       // of that graph; see [Migrate] for the one of the run
	Against     []string  `json:"against"`           // what stands against it
	Changes     []string  `json:"changes,omitempty"` // all that is different
}

// words is the refusal in a line.
func (f *RunRefusal) words() string { return "its graph has changed: " + strings.Join(f.Against, "; ") }

// same reports whether two say the same.
func (f *RunRefusal) same(other *RunRefusal) bool {
	return other != nil && f.Fingerprint == other.Fingerprint && slices.Equal(f.Against, other.Against)
}

// refuse tells that the run cannot go on here, and why, and returns that. What looks
// at runs without their code finds it in the log, where it stands once.
func (r *run) refuse(err error) error {
	r.tell(resilience.Event{Kind: resilience.RunPaused, Reason: "refused", Err: err})
	var graph *GraphError
	if !errors.As(err, &graph) || r.resting() {
		return err
	}
	rec := r.record(kindNote)
	rec.Refused = &RunRefusal{At: rec.At, Fingerprint: r.e.g.Fingerprint, Against: graph.Against, Changes: graph.Changes}
	if !rec.Refused.same(r.s.Refused) {
		_ = r.commit(rec) // it is for people; who has the run meanwhile has fenced it
	}
	return err
}
