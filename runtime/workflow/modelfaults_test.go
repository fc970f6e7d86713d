package workflow_test

import (
	"math/rand/v2"
	"testing"
)

// TestFaultsAreFound has something go wrong that must not, and each must be found
// by TestRandomRuns.
func TestFaultsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("many plans")
	}
	for _, f := range []struct {
		fault string
		ways  []string
		first int
	}{
		{faultLostRecord, dies, 0}, {faultNewKeys, dies, 0}, {faultTwice, dies, 0}, {faultMemory, dies, 0},
		{faultDeafToRoutes, dies, 0}, {faultNoFallback, dies, 0}, {faultSignalTwice, dies, 500}, // they are rare
		{faultNoFence, stops, 0},
	} {
		t.Run(f.fault, func(t *testing.T) {
			for seed := f.first; seed < f.first+2000; seed++ {
				r := rand.New(rand.NewPCG(uint64(seed), 7))
				h := history{Plan: randomPlan(r), fault: f.fault}
				calm := play(t, h)
				h.Deaths = randomDeaths(r, calm, f.ways)
				if len(difference(h.Plan, calm)) > 0 || len(difference(h.Plan, play(t, h))) > 0 {
					t.Logf("found by plan %d", seed)
					return
				}
			}
			t.Error("2,000 plans pass")
		})
	}
}

// Faults of the stores, of what runs the nodes, and of the nodes.
const (
	faultLostRecord   = "an append that was acknowledged is not there after a death"
	faultNewKeys      = "each attempt has a key of its own"
	faultTwice        = "a node does its work twice"
	faultMemory       = "memory is kept by the process, not by the run"
	faultDeafToRoutes = "a node sends to all of its next"
	faultNoFallback   = "a fallback does not answer"
	faultSignalTwice  = "a signal that comes twice has two ids"
	faultNoFence      = "a log lets whoever had the run append"
)
