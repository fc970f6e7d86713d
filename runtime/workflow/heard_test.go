package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// TestHeardIsBounded: what came is known for a day, however much comes, and among the
// last 10,000, however long ago it came; the rest is forgotten, in the same way by
// whoever reads the records from a snapshot.
func TestHeardIsBounded(t *testing.T) {
	begun := time.Unix(1_800_000_000, 0)
	s := newState()
	taken := 0
	take := func(s *state, id string, at time.Time) bool {
		before := len(s.Signals)
		s.take(&inboxEntry{ID: id, Kind: inboxSignal, Name: "n"}, at)
		return len(s.Signals) > before
	}
	more := func(n int, at time.Time) {
		for range n {
			if !take(s, fmt.Sprint(taken), at) {
				t.Fatalf("%d was taken for another one", taken)
			}
			taken++
		}
	}
	again := func(from, to int, at time.Time) {
		t.Helper()
		for i := from; i < to; i++ {
			if take(s, fmt.Sprint(i), at) {
				t.Fatalf("%d of %d was taken once more", i, taken)
			}
		}
	}
	more(3*heardMost, begun)
	again(0, taken, begun.Add(heardFor))
	later := begun.Add(2 * heardFor)
	more(heardMost-1, later)
	again(0, taken, later)
	read := newState()
	if text, err := json.Marshal(s); err != nil || json.Unmarshal(text, read) != nil {
		t.Fatal(err)
	}
	more(1, later)
	if take(read, fmt.Sprint(taken-1), later); !maps.Equal(read.Heard, s.Heard) {
		t.Errorf("read again it knows %d ids, and before %d", len(read.Heard), len(s.Heard))
	}
	again(3*heardMost, taken, later)
	if len(s.Heard) != heardMost {
		t.Errorf("it knows %d ids, want %d", len(s.Heard), heardMost)
	}
	more(heardMost/2, later.Add(30*heardFor))
	again(3*heardMost, taken, later.Add(60*heardFor))
}

// TestHeardOfOldRecords: ids that were kept without a time are known, and the first to
// be forgotten.
func TestHeardOfOldRecords(t *testing.T) {
	s := newState()
	if err := json.Unmarshal([]byte(`{"heard":{"a":true,"b":1800000000}}`), s); err != nil || !s.heard("a") || !s.heard("b") || s.heard("c") {
		t.Fatalf("%v, %v", s.Heard, err)
	}
	for i := range heardMost - 1 {
		s.Heard[fmt.Sprint(i)] = 1_800_000_000
	}
	s.Heard["child/x"] = 1
	s.Heard.forget(time.Unix(1_900_000_000, 0))
	if s.heard("a") || !s.heard("child/x") || len(s.Heard) != heardMost+1 {
		t.Errorf("%d ids, %v", len(s.Heard), slices.Contains(slices.Collect(maps.Keys(s.Heard)), "a"))
	}
}
