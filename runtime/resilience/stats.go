package resilience

import (
	"slices"
	"strings"
	"time"
)

// Stats are the statistics of a [Runtime] at one moment. Numbers that are read
// while calls end may be one call apart.
type Stats struct {
	Methods   []MethodStats // by name
	Breakers  []BreakerSnapshot
	Bulkheads []BulkheadSnapshot
	Limiters  []LimiterSnapshot
	Budgets   []BudgetSnapshot
	Abandoned int64 // delegates that run on, see [Runtime.Abandoned]
	Observer  ObserverCounts
	Store     *StoreStats // of Options.Dir; nil without
}

// MethodStats are the statistics of one guard.
type MethodStats struct {
	Name      string // "payments.Gateway.Charge@eu"
	Interface string // "payments.Gateway"
	Method    string // "Charge"

	Total    Counters         // since the guard was made
	Rejected map[string]int64 // attempts that were not admitted, by the key of the part
	Breaker  Verdicts

	// InFlight is how many calls have begun and are not over; -1 without histograms,
	// where nobody counts the beginning of a call.
	InFlight int64
	Latency  Latency // zero without histograms

	// Slices of ten seconds and of minutes, oldest first; the last of each is the
	// present one. Without histograms only Stats, and now and then a call that
	// failed, looks whether one is over: what is counted meanwhile is in the slice
	// that was last looked at.
	TenSeconds, Minutes []Slice
}

// Counters count the calls that are over, and what happened in them. The
// outcome of a call is exactly one of the first four.
type Counters struct {
	Success  int64 // no error: a result that was unwanted and returned all the same, too
	Failure  int64
	Rejected int64 // not attempted: a breaker, a bulkhead did not admit it
	Canceled int64 // the caller left, or its deadline passed

	SuccessRetried int64 // of Success: took more than one attempt
	FailureRetried int64 // of Failure

	Attempts   int64 // executions of the delegate
	Retries    int64 // of Attempts: not the first of their call; hedges, too
	Rejections int64 // attempts that were not admitted, retried or not
	Timeouts   int64 // attempts that a limit of the policy ended
	Fallbacks  int64 // calls that a fallback answered for
}

// Calls returns how many calls are over.
func (c Counters) Calls() int64 { return c.Success + c.Failure + c.Rejected + c.Canceled }

// Verdicts are what a method told its breaker of its attempts.
type Verdicts struct{ Success, Failure, Ignored int64 }

// Slice are the calls that ended in a span of time.
type Slice struct {
	Begin time.Time
	Counters
}

// BulkheadSnapshot is a bulkhead at one moment.
type BulkheadSnapshot struct {
	Name              string
	Limit             int
	InFlight, Waiting int64
}

// Stats returns a snapshot. It stops no calls. With [Options].DisableStats there
// are no methods in it.
func (rt *Runtime) Stats() Stats {
	root, _ := rt.root()
	s := Stats{Limiters: root.Limiters(), Budgets: root.Budgets(), Abandoned: root.Abandoned(), Observer: root.Observer()}
	root.mu.Lock()
	guards := slices.Clone(root.guards)
	for _, b := range root.bulkheads {
		s.Bulkheads = append(s.Bulkheads, BulkheadSnapshot{b.name, int(b.slots.Load()), b.taken.Load(), b.queued.Load()})
	}
	root.mu.Unlock()
	for _, g := range guards {
		if g.stats != nil {
			s.Methods = append(s.Methods, g.stats.snapshot(g))
		}
	}
	for _, b := range root.Breakers() {
		s.Breakers = append(s.Breakers, b.Snapshot())
	}
	if root.files != nil {
		store := root.files.Stats()
		s.Store = &store
	}
	slices.SortFunc(s.Methods, func(a, b MethodStats) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Bulkheads, func(a, b BulkheadSnapshot) int { return strings.Compare(a.Name, b.Name) })
	return s
}

func (s *methodStats) snapshot(g *Guard) MethodStats {
	m := MethodStats{Name: g.name, Interface: g.iface, Method: strings.TrimLeft(strings.TrimPrefix(g.method, g.iface), "./")}
	now, wall := sinceEpoch(), time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut(now)
	m.Total, m.InFlight = s.total()
	m.Latency = latencyOf(s.histograms()...)
	m.Rejected = map[string]int64{}
	for p := range s.rejections {
		if n := s.rejected(part(p)); n > 0 {
			m.Rejected[partNames[p]] = n
		}
	}
	if g.policy.Breaker.set() {
		m.Breaker = Verdicts{Failure: s.recorded.Load(), Ignored: s.ignored.Load()}
		m.Breaker.Success = max(m.Total.Attempts-m.Breaker.Failure-m.Breaker.Ignored, 0)
	}
	running := m.Total.since(s.recent.last)
	m.TenSeconds = s.recent.slices(s.recent.tens[:], s.slot, slotWidth, running, wall.Add(-now))
	m.Minutes = s.recent.slices(s.recent.minutes[:], s.slot/6, time.Minute, running, wall.Add(-now))
	return m
}
