package workflow

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// isRefused fails unless a run that somebody tried to go on with in a graph stands as
// refused in every list, with what stands against it; trying again says no more.
func isRefused(t *testing.T, stores resilience.Stores, g Graph, against string) {
	t.Helper()
	rs := looked(t, stores)
	d := shown(t, rs, "r")
	if d.Status != Refused || !strings.Contains(d.Waiting, against) || d.Refused == nil || d.Refused.Fingerprint != "f1" || len(d.Refused.Changes) == 0 || d.Graph.Fingerprint != "f0" {
		t.Errorf("%s, %q, %+v", d.Status, d.Waiting, d.Refused)
	}
	e := opened(t, &stores, g)
	if _, err := e.Resume(t.Context(), "r"); !errors.Is(err, ErrGraphChanged) {
		t.Errorf("a second time: %v", err)
	}
	if status, err := e.Get("r").Status(t.Context()); status != Refused || err != nil {
		t.Errorf("its handle: %q, %v", status, err)
	}
	page, err := rs.List(t.Context(), RunQuery{Status: Refused})
	if err != nil || len(page.Runs) != 1 || page.Runs[0] != d.RunSummary {
		t.Errorf("%+v, %v", page, err)
	}
	if again := shown(t, rs, "r"); again.Version != d.Version || again.Epoch != d.Epoch {
		t.Errorf("version %d, epoch %d; want %d and %d", again.Version, again.Epoch, d.Version, d.Epoch)
	}
}

// A run that goes on after all is refused no more, whoever reads it and from where.
func TestRefusalEndsWithTheNextOwner(t *testing.T) {
	s := newState()
	graph := &GraphInfo{Workflow: "example.com/p.Research", Entry: "Plan"}
	for i, r := range []*record{
		{Kind: kindStart, By: "a", Start: &startRecord{ID: "r", Graph: graph}},
		{Kind: kindNote, By: "b", Refused: &RunRefusal{Fingerprint: "f1", Against: []string{"it"}}},
		{Kind: kindNote, By: "b"},
		{Kind: kindOwn, By: "c", Own: &ownRecord{Owner: "c"}},
	} {
		if err := s.apply(r); err != nil {
			t.Fatal(err)
		}
		if refused := s.Refused != nil; refused != (i == 1 || i == 2) {
			t.Errorf("after record %d: refused %t", i, refused)
		}
		if s.forked(time.Time{}).Refused != nil {
			t.Errorf("after record %d: nobody has tried a fork, and it is refused", i)
		}
	}
	if f := (&RunRefusal{Fingerprint: "f1", Against: []string{"it"}}); f.same(nil) || !f.same(&RunRefusal{Fingerprint: "f1", Against: slices.Clone(f.Against)}) ||
		f.same(&RunRefusal{Fingerprint: "f2", Against: f.Against}) || f.same(&RunRefusal{Fingerprint: "f1"}) {
		t.Error("which refusals are the same")
	}
}
