package histories

import (
	"slices"
	"testing"
)

// faults are what the model gets wrong when it is told to. A harness that finds
// nothing proves nothing, unless it finds these.
var faults = []string{
	"a beaten attempt is a failure",
	"a failure starts no hedge",
	"a fallback for permanent errors",
	"a late success is a timeout",
	"a local rejection is a failure",
	"a panic is no failure",
	"a rate must be more than its threshold",
	"a sleep past the caller's deadline",
	"a smooth limit begins full",
	"a value answers for a permanent error",
	"an attempt too many",
	"an ignored probe decides",
	"every miss executes",
	"half-open never ends",
	"ignored outcomes are successes",
	"minimumCalls is off by one",
	"one probe more is let through",
	"permanent errors are retried",
	"permits are not given back",
	"the attempt outlives the total",
	"the budget is never used up",
	"the cap does not hold after jitter",
	"the last who waits is served first",
	"the open duration does not grow",
	"the queue holds one more",
	"the window survives the closing",
	"what the peer asks for is ignored",
	"who cannot be served in time waits",
}

// does reports whether the model is to get that wrong.
func (m *model) does(fault string) bool {
	if !slices.Contains(faults, fault) {
		panic("no such fault: " + fault)
	}
	return m.wrong == fault
}

// TestFaultsAreFound puts each fault into the model and plays histories until
// one tells: within as many as CI plays.
func TestFaultsAreFound(t *testing.T) {
	s := newStage(t)
	left := slices.Clone(faults)
	played := 0
	for number := uint64(0); len(left) > 0 && played < 2000; number++ {
		list, g := s.batch(t, number)
		for _, h := range list {
			played++
			got := s.real(t, h, g)
			left = slices.DeleteFunc(left, func(fault string) bool {
				want, doubtful := modelled(t, h, fault)
				found := !doubtful && difference(got, want) != ""
				if found {
					t.Logf("after %4d histories: %s", played, fault)
				}
				return found
			})
		}
	}
	for _, fault := range left {
		t.Errorf("not found: %s", fault)
	}
}
