package workflow

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"
)

// history is a run of Plan, Analyse and Write side by side, and their join.
func history() []*record {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	graph := &GraphInfo{Workflow: "p.R", Entry: "Plan", Nodes: []NodeInfo{{Name: "Plan"}, {Name: "Analyse"}, {Name: "Write"}, {Name: "Review"}}}
	a, b := messageID("0", 0, "Analyse"), messageID("0", 1, "Write")
	ra, rb := messageID(a, 0, "Review"), messageID(b, 0, "Review")
	return []*record{
		{V: 1, Kind: kindStart, By: "x", At: at, Start: &startRecord{ID: "r", Graph: graph, Input: Raw([]byte(`1`))}},
		{V: 1, Kind: kindStep, By: "x", At: at, Step: &stepRecord{Step: Step{Node: "Plan", Message: "0", Outcome: OutcomeDone}, Value: Raw([]byte(`2`)),
			Sends: []*message{{ID: a, To: "Analyse", Line: "0"}, {ID: b, To: "Write", Line: "1"}}, Memory: map[string]string{"k": "v"}}},
		{V: 1, Kind: kindStep, By: "x", At: at, Step: &stepRecord{Step: Step{Node: "Write", Message: b, Outcome: OutcomeDone, Cost: 2}, Value: Raw([]byte(`3`)),
			Sends: []*message{{ID: rb, To: "Review", Line: "1"}}}},
		{V: 1, Kind: kindOwn, By: "y", At: at, Own: &ownRecord{}},
		{V: 1, Kind: kindStep, By: "y", At: at, Step: &stepRecord{Step: Step{Node: "Analyse", Message: a, Outcome: OutcomeDone, Cost: 1}, Value: Raw([]byte(`4`)),
			Sends: []*message{{ID: ra, To: "Review", Line: "0"}}}},
		{V: 1, Kind: kindStep, By: "y", At: at, Step: &stepRecord{Step: Step{Node: "Review", Message: "j", Outcome: OutcomeDone}, Consumed: []string{ra, rb}, Join: true,
			Value: Raw([]byte(`5`)), Sends: []*message{{ID: messageID("j", 0, end), To: end, Line: "0"}}}, End: &endRecord{Status: Completed}},
	}
}

func TestStateIsTheFoldOfItsRecords(t *testing.T) {
	s := newState()
	for i, r := range history() {
		if err := s.apply(r); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
	if len(s.Pending) != 0 || len(s.Outputs) != 1 || s.Status != Completed || s.Token != "y" || s.Count != 4 || s.Cost != 3 {
		t.Errorf("%+v", s)
	}
	if s.Joins["Review"].Fired != 1 || s.Memory["Plan"]["k"] != "v" || string(s.Outputs[0].Value.raw) != "5" {
		t.Errorf("%+v", s)
	}
}

// A snapshot in the place of any record before it makes no difference to those
// behind it, nor does the way through JSON.
func TestSnapshotIsTheState(t *testing.T) {
	want := newState()
	for _, r := range history() {
		if err := want.apply(r); err != nil {
			t.Fatal(err)
		}
	}
	for cut := 1; cut < len(history()); cut++ {
		s := newState()
		for i, r := range history() {
			text, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if r, err = decodeRecord(text); err != nil {
				t.Fatal(err)
			}
			if err := s.apply(r); err != nil {
				t.Fatal(err)
			}
			if i == cut {
				text, err := json.Marshal(s)
				if err != nil {
					t.Fatal(err)
				}
				s = newState()
				if err := json.Unmarshal(text, s); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, _ := json.Marshal(s)
		if text, _ := json.Marshal(want); string(got) != string(text) {
			t.Errorf("cut after %d:\n%s\nwant\n%s", cut, got, text)
		}
	}
}

func TestRecordThatDoesNotBelongIsRefused(t *testing.T) {
	for i := range history() {
		s := newState()
		list := history()
		list = append(list[:i+1], list[i:]...) // twice
		var err error
		for _, r := range list {
			if err = s.apply(r); err != nil {
				break
			}
		}
		if kind := list[i].Kind; kind != kindOwn && !errors.Is(err, errDamaged) {
			t.Errorf("record %d, a %s, twice: %v", i, kind, err)
		}
	}
	for _, text := range []string{``, `{}`, `{"v":2,"k":"own","own":{}}`, `{"v":1,"k":"step"}`, `{"v":1,"k":"dance"}`} {
		if _, err := decodeRecord([]byte(text)); err == nil {
			t.Errorf("%s: accepted", text)
		}
	}
}

// TestStateForgetsOldSteps holds what a state remembers of its steps against the
// obvious way to forget them, from states of all lengths that a snapshot may have.
func TestStateForgetsOldSteps(t *testing.T) {
	for _, had := range []int{0, 1, maxSteps - 1, maxSteps} {
		s := newState()
		s.Steps = make([]Step, had)
		want := slices.Clone(s.Steps)
		for i := range 5 * maxSteps {
			if len(want) == maxSteps {
				want = slices.Delete(want, 0, maxSteps/4)
			}
			step := Step{Node: "A", Attempts: i}
			want = append(want, step)
			if s.count(&step); !slices.Equal(s.Steps, want) {
				t.Fatalf("after %d steps behind %d: %d are remembered, want %d", i, had, len(s.Steps), len(want))
			}
		}
	}
}
