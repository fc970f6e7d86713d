package resiliencetest

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// register is a call of a history of a register that holds a number.
func register(begin, end int64, write bool, value int) call[int] {
	return call[int]{begin: begin, end: end, apply: func(state int) (int, bool) {
		if write {
			return value, true
		}
		return state, state == value
	}}
}

func TestLinearizable(t *testing.T) {
	for name, c := range map[string]struct {
		calls []call[int]
		want  bool
	}{
		"nothing":                        {nil, true},
		"one after the other":            {[]call[int]{register(1, 2, true, 1), register(3, 4, false, 1)}, true},
		"a stale read":                   {[]call[int]{register(1, 2, true, 1), register(3, 4, false, 0)}, false},
		"a read during a write, before":  {[]call[int]{register(1, 4, true, 1), register(2, 3, false, 0)}, true},
		"a read during a write, after":   {[]call[int]{register(1, 4, true, 1), register(2, 3, false, 1)}, true},
		"new, then old, during a write":  {[]call[int]{register(1, 8, true, 1), register(2, 3, false, 1), register(4, 5, false, 0)}, false},
		"two reads that want two orders": {[]call[int]{register(1, 4, true, 1), register(2, 3, true, 2), register(5, 6, false, 1), register(7, 8, false, 2)}, false},
		"a read of what nobody wrote":    {[]call[int]{register(1, 2, true, 1), register(1, 4, false, 3)}, false},
	} {
		h := history[int]{calls: c.calls}
		if got := h.check(0) == ""; got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

// TestLinearizableAgainstAllOrders compares the search with one that tries every
// order, on histories of up to seven calls.
func TestLinearizableAgainstAllOrders(t *testing.T) {
	random, found := rand.New(rand.NewPCG(1, 1)), 0
	for range 3000 {
		var calls []call[int]
		for range 1 + random.IntN(7) {
			begin := 1 + random.Int64N(12)
			calls = append(calls, register(begin, begin+1+random.Int64N(6), random.IntN(2) == 0, random.IntN(3)))
		}
		h := history[int]{calls: slices.Clone(calls)}
		want := someOrder(calls, nil, 0)
		if got := h.check(0) == ""; got != want {
			t.Fatalf("%v: %t, want %t", calls, got, want)
		}
		if want {
			found++
		}
	}
	if found < 300 || found > 2700 {
		t.Errorf("%d of 3000 histories are linearizable: too few of one kind", found)
	}
}

func someOrder(rest, done []call[int], state int) bool {
	if len(rest) == 0 {
		return true
	}
	for i, c := range rest {
		early := !slices.ContainsFunc(rest, func(other call[int]) bool { return other.end < c.begin })
		next, ok := c.apply(state)
		if early && ok && someOrder(slices.Delete(slices.Clone(rest), i, i+1), append(done, c), next) {
			return true
		}
	}
	return false
}
