package journal_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// state is what a journal should show: the records of each key, in order.
type state map[string][]rec

type rec struct {
	version uint64 // 0 in a model: not known
	payload []byte
}

func (s state) clone() state { return maps.Clone(s) } // lists are only ever appended to a clipped one

func (s state) String() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s:", key)
		for _, r := range s[key] {
			fmt.Fprintf(&b, " %d(%d bytes)", r.version, len(r.payload))
		}
		b.WriteString("; ")
	}
	return b.String()
}

func (s state) last(key string) uint64 {
	if list := s[key]; len(list) > 0 {
		return list[len(list)-1].version
	}
	return 0
}

// equal compares what a journal shows with what the model says.
func (s state) equal(model state) bool {
	return maps.EqualFunc(s, model, func(a, b []rec) bool {
		return slices.EqualFunc(a, b, func(x, y rec) bool {
			return (x.version == y.version || y.version == 0) && bytes.Equal(x.payload, y.payload)
		})
	})
}

// act is one thing that was done to a journal.
type act struct {
	key        string
	drop       bool
	through    uint64
	payload    []byte
	version    uint64 // of an append that was answered
	absent     bool   // it turned out not to have happened
	barrier    bool   // nothing is done; what came before is durable in every mode
	start, end int    // places of the tape between which it happened
}

func (a act) on(s state) {
	switch {
	case a.absent || a.barrier:
	case a.drop:
		list := slices.DeleteFunc(slices.Clone(s[a.key]), func(r rec) bool { return r.version <= a.through })
		if s[a.key] = list; len(list) == 0 {
			delete(s, a.key)
		}
	default:
		s[a.key] = append(slices.Clip(s[a.key]), rec{a.version, a.payload})
	}
}

// history is what was done, one after the other.
type history []act

func (h history) state() state {
	s := state{}
	for _, a := range h {
		a.on(s)
	}
	return s
}

// judge says what is wrong with what a journal shows after a crash at a place of
// the tape. loses says that what came after the last barrier may be lost, its end
// first.
func (h history) judge(got state, place int, loses bool) error {
	s := state{}
	allowed := []state{s.clone()}
	for _, a := range h {
		if a.start > place {
			break
		}
		a.on(s)
		switch {
		case a.end > place && a.absent: // it had not been undone yet
			a.absent = false
			maybe := s.clone()
			a.on(maybe)
			allowed = append(allowed, maybe)
		case a.end > place || loses && !a.barrier:
			allowed = append(allowed, s.clone())
		default:
			allowed = []state{s.clone()}
		}
	}
	for _, want := range allowed {
		if got.equal(want) {
			return nil
		}
	}
	return fmt.Errorf("at place %d it has\n\t%v\nwant one of\n\t%v", place, got, allowed)
}

// show reads everything that a journal shows, and complains where its answers do
// not agree with each other.
func show(j *journal.Journal) (state, error) {
	ctx, s := context.Background(), state{}
	var last journal.Record
	for head, err := range j.Heads(ctx, "", "") {
		if err != nil {
			return nil, err
		}
		if head.Key <= last.Key {
			return nil, fmt.Errorf("head %q comes after %q", head.Key, last.Key)
		}
		last = head
		list, err := recordsOf(j, head.Key)
		if err != nil {
			return nil, err
		}
		if n := len(list); n == 0 || list[n-1].version != head.Version || !bytes.Equal(list[n-1].payload, head.Payload) {
			return nil, fmt.Errorf("head of %q is %d, its records are %v", head.Key, head.Version, list)
		}
		s[head.Key] = list
	}
	return s, nil
}

func recordsOf(j *journal.Journal, key string) (list []rec, err error) {
	var last journal.Record
	for r, err := range j.Scan(context.Background(), key, 0) {
		if err != nil {
			return nil, err
		}
		if r.Key != key || r.Version <= last.Version || r.Time < last.Time {
			return nil, fmt.Errorf("scan of %q yields %q %d at %d after %d at %d", key, r.Key, r.Version, r.Time, last.Version, last.Time)
		}
		last = r
		list = append(list, rec{r.Version, bytes.Clone(r.Payload)})
	}
	return list, nil
}

// newest is the greatest version that s has.
func (s state) newest() (v uint64) {
	for _, list := range s {
		v = max(v, slices.MaxFunc(list, func(a, b rec) int { return cmp.Compare(a.version, b.version) }).version)
	}
	return v
}
