package workflow

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// heardIDs are the ids of entries that were taken, and when: in Unix seconds. A long run
// need not remember all of them, see [heardIDs.forget].
type heardIDs map[string]int64

// What comes again is known for at least so long, and among so many.
const (
	heardFor  = 24 * time.Hour
	heardMost = 10_000
)

// UnmarshalJSON reads ids, also those of records that had no times.
func (h *heardIDs) UnmarshalJSON(text []byte) error {
	var list map[string]json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*h = make(heardIDs, len(list))
	for id, raw := range list {
		var at int64
		if string(raw) != "true" {
			if err := json.Unmarshal(raw, &at); err != nil {
				return err
			}
		}
		(*h)[id] = at
	}
	return nil
}

// heard reports whether the entry with an id was taken.
func (s *state) heard(id string) bool {
	_, known := s.Heard[id]
	return known
}

// hears notes that an entry was taken at a time.
func (s *state) hears(id string, at time.Time) {
	if s.Heard == nil {
		s.Heard = heardIDs{}
	}
	s.Heard[id] = at.Unix()
	if len(s.Heard)%heardMost == 0 {
		s.Heard.forget(at)
	}
}

// forget leaves the ids of the last day, and no fewer than the last 10,000. Those of
// children stay: there are no more of them than the run has steps, and one that comes
// again much later could be taken for the answer of another child.
func (h heardIDs) forget(now time.Time) {
	oldest := now.Add(-heardFor).Unix()
	ids := make([]string, 0, len(h))
	for id := range h {
		if !strings.HasPrefix(id, childEntry) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(h[a], h[b]), strings.Compare(a, b)) })
	for _, id := range ids[:max(len(ids)-heardMost, 0)] {
		if h[id] < oldest {
			delete(h, id)
		}
	}
}
