package workflow

import "testing"

// TestRenameInACircle gives each node what the other one had, in whatever order names
// are gone through.
func TestRenameInACircle(t *testing.T) {
	for range 20 {
		s := newState()
		s.Graph = &GraphInfo{}
		s.Joins["A"], s.Joins["B"] = &joinCount{Fired: 1, Came: map[string]int{"A": 3, "B": 4}}, &joinCount{Fired: 2}
		s.Memory = map[string]map[string]string{"A": {"was": "A"}, "B": {"was": "B"}, "C": {"was": "C"}}
		s.migrate(&migrateRecord{Graph: &GraphInfo{}, Rename: map[string]string{"A": "B", "B": "A", "C": "D"}})
		if b := s.Joins["B"]; s.Joins["A"] == nil || b == nil || s.Joins["A"].Fired != 2 || b.Fired != 1 || b.Came["A"] != 4 || b.Came["B"] != 3 {
			t.Fatalf("joins %v", s.Joins)
		}
		if m := s.Memory; len(m) != 3 || m["A"]["was"] != "B" || m["B"]["was"] != "A" || m["D"]["was"] != "C" {
			t.Fatalf("memory %v", m)
		}
	}
}
