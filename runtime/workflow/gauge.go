package workflow

import (
	"math"
	"slices"
	"sync"
	"time"
)

// gauge knows the calls of one node in this process, those of all runs: which are out,
// and how long the latest ones took. The zero gauge has seen none.
type gauge struct {
	mu    sync.Mutex
	out   []*invocation
	took  [gaugeWindow]time.Duration // the latest, in a ring
	calls int64                      // that are over
}

const gaugeWindow = 256

// enter notes that a call begins, and when.
func (g *gauge) enter(inv *invocation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	inv.begun, inv.place = time.Now(), len(g.out)
	g.out = append(g.out, inv)
}

// leave notes that a call is over, or given up, after so long. Of one that is not out
// it notes nothing.
func (g *gauge) leave(inv *invocation, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if inv.place >= len(g.out) || g.out[inv.place] != inv {
		return
	}
	last := len(g.out) - 1
	g.out[inv.place] = g.out[last]
	g.out[inv.place].place = inv.place
	g.out[last] = nil
	g.out = g.out[:last]
	g.took[g.calls%gaugeWindow] = took
	g.calls++
}

// percentiles returns those of the latest calls, in [0,1], and how many that were.
// g.mu is held.
func (g *gauge) percentiles(of ...float64) (list []time.Duration, n int) {
	n = int(min(g.calls, gaugeWindow))
	sorted := slices.Clone(g.took[:n])
	slices.Sort(sorted)
	for _, p := range of {
		if n == 0 {
			list = append(list, 0)
			continue
		}
		list = append(list, sorted[max(int(math.Ceil(p*float64(n))), 1)-1])
	}
	return list, n
}

// oldest returns the call that has been out for the longest time, nil if none is.
// g.mu is held.
func (g *gauge) oldest() (inv *invocation) {
	for _, other := range g.out {
		if inv == nil || other.begun.Before(inv.begun) {
			inv = other
		}
	}
	return inv
}
