package soak

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// calm lets what was left behind end, puts every part back, and shows that
// everything works still.
func (s *soak) calm(t *testing.T) {
	until := time.Now().Add(time.Minute)
	for time.Now().Before(until) && (s.rt.Abandoned() > 0 || s.exact.runs() > 0 || s.switched.runs() > 0) {
		time.Sleep(time.Millisecond)
	}
	if n := s.rt.Abandoned(); n != 0 {
		t.Errorf("%d delegates are said to run still", n)
	}
	if err := s.rt.SetOverrides(nil); err != nil {
		t.Error(err)
	}
	s.rt.Apply(0)
	s.rt.SetEnabled(true, "soak.Peer@switched")
	for _, w := range []*world{s.exact, s.switched} {
		w.peer.calm.Store(true)
		for m := range methods {
			name := w.accounts[m].name
			if m == mBare {
				continue
			}
			s.rt.SetEnabled(true, name)
			if err := s.rt.Disable(nil, name); err != nil {
				t.Error(err)
			}
		}
	}
	s.closeBreakers()
	for _, w := range []*world{s.exact, s.switched} {
		for m := range methods {
			w.works(t, m)
		}
	}
}

func (s *soak) closeBreakers() {
	for _, b := range s.rt.Breakers() {
		if b.Name() != shared {
			b.Close()
		}
	}
}

// runs is how many delegates run.
func (w *world) runs() (n int64) {
	for m := range w.accounts {
		n += w.accounts[m].running.Load()
	}
	return n
}

// works shows that calls of a method succeed, when they had the time to.
func (w *world) works(t *testing.T, m method) {
	a := &w.accounts[m]
	before, begun := a.success.Load(), a.begun.Load()
	for range 200 {
		w.call(m, patient)
		if a.success.Load() >= before+10 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("%s: %d of %d calls succeed when the peer does", a.name, a.success.Load()-before, a.begun.Load()-begun)
}

// account compares.
func (s *soak) account(t *testing.T) {
	stats := s.rt.Stats()
	for _, m := range stats.Methods {
		for _, w := range []*world{s.exact, s.switched} {
			if a := w.find(m.Name); a != nil {
				(&check{t, a, m}).all(w == s.exact)
			}
		}
	}
	for _, b := range stats.Bulkheads {
		if b.InFlight != 0 || b.Waiting != 0 {
			t.Errorf("bulkhead %s: %d slots taken, %d wait", b.Name, b.InFlight, b.Waiting)
		}
	}
	for _, l := range stats.Limiters {
		if l.Waiting != 0 {
			t.Errorf("limiter %s: %d wait", l.Name, l.Waiting)
		}
	}
	for _, b := range stats.Budgets {
		if b.InFlight != 0 || b.Repeated != 0 {
			t.Errorf("budget %s: %d in flight, %d repeated", b.Name, b.InFlight, b.Repeated)
		}
	}
	for _, a := range s.rt.AdaptiveLimits() {
		if a.InFlight != 0 {
			t.Errorf("adaptive limit %s: %d in flight", a.Name, a.InFlight)
		}
	}
	if n := s.observerPanicked.Load(); stats.Observer.Panics != n || stats.Observer.Dropped != 0 {
		t.Errorf("the observer panicked %d times, counted are %+v", n, stats.Observer)
	}
	s.breakers(t, stats)
	s.caches(t, stats)
	s.keys(t)
	for _, w := range []*world{s.exact, s.switched} {
		for _, wrong := range slices.Sorted(maps.Keys(w.wrongs)) {
			t.Errorf("%s (%d times)", wrong, w.wrongs[wrong])
		}
		for m := range w.accounts {
			if a := &w.accounts[m]; a.opened.Load() != a.closed.Load() {
				t.Errorf("%s: %d connections were opened, %d closed", a.name, a.opened.Load(), a.closed.Load())
			}
		}
	}
}

// check compares one method.
type check struct {
	t *testing.T
	*account
	m resilience.MethodStats
}

func (c *check) equal(what string, got, want int64) {
	c.t.Helper()
	if got != want {
		c.t.Errorf("%s: %s: %d are told, %d counted", c.name, what, got, want)
	}
}

func (c *check) within(what string, got, least, most int64) {
	c.t.Helper()
	if got < least || got > most {
		c.t.Errorf("%s: %s: %d are told, %d to %d counted", c.name, what, got, least, most)
	}
}

func (c *check) all(exact bool) {
	c.equal("in flight", c.m.InFlight, 0)
	c.slices()
	total := &c.m.Total
	rejections, heard := int64(0), int64(0)
	for _, n := range c.m.Rejected {
		rejections += n
	}
	for _, n := range c.turned {
		heard += n
	}
	c.equal("rejections by part", total.Rejections, rejections)
	c.equal("rejections as events", rejections, heard)
	c.equal("given up as events", c.events[resilience.GaveUp].Load(), total.Failure+total.Rejected+total.Canceled)
	c.equal("timeouts as events", total.Timeouts, c.timeouts.Load())
	c.equal("fallbacks as events", total.Fallbacks, c.events[resilience.FallbackUsed].Load())
	if c.method != mBudget {
		c.equal("fallbacks", total.Fallbacks, c.fallbacks.Load())
	}
	if c.m.Breaker != (resilience.Verdicts{}) && !hedges[c.method] {
		c.equal("verdicts", c.m.Breaker.Success+c.m.Breaker.Failure+c.m.Breaker.Ignored, total.Attempts)
	}
	if !exact {
		c.within("calls", total.Calls(), 0, c.begun.Load())
		c.within("attempts", total.Attempts, 0, c.executed.Load()+c.injected.Load())
		return
	}
	c.equal("attempts", total.Attempts, c.executed.Load()+c.injected.Load())
	if c.method != mCached && c.method != mStale {
		c.outcomes()
	}
	if hedges[c.method] {
		c.equal("hedges as events", total.Retries, c.events[resilience.HedgeStarted].Load())
	}
	if most := slots[c.method]; most > 0 {
		c.within("at a time", c.most.Load(), 0, most)
	}
}

// outcomes compares what became of the calls.
func (c *check) outcomes() {
	total := &c.m.Total
	unsure, answered := c.unsure.Load(), c.answered.Load()
	c.equal("calls", total.Calls(), c.begun.Load())
	c.equal("successes", total.Success, c.success.Load())
	c.within("failures", total.Failure, c.failure.Load(), c.failure.Load()+unsure+answered)
	c.within("rejected", total.Rejected, c.rejected.Load(), c.rejected.Load()+unsure+answered)
	c.within("canceled", total.Canceled, c.canceled.Load(), c.canceled.Load()+unsure)
	if c.injected.Load() == 0 {
		c.equal("retries", total.Retries, c.executed.Load()-c.worked.Load())
		if plain[c.method] {
			c.equal("successes after a retry", total.SuccessRetried, c.mended.Load())
		}
	}
}

// slices compares the sum of the minutes with the total.
func (c *check) slices() {
	var sum resilience.Counters
	for _, m := range c.m.Minutes {
		sum.Success += m.Success
		sum.Failure += m.Failure
		sum.Rejected += m.Rejected
		sum.Canceled += m.Canceled
		sum.SuccessRetried += m.SuccessRetried
		sum.FailureRetried += m.FailureRetried
		sum.Attempts += m.Attempts
		sum.Retries += m.Retries
		sum.Rejections += m.Rejections
		sum.Timeouts += m.Timeouts
		sum.Fallbacks += m.Fallbacks
	}
	if sum != c.m.Total {
		c.t.Errorf("%s: the minutes sum up to %+v, the total is %+v", c.name, sum, c.m.Total)
	}
}

var hedges = [methods]bool{mHedge: true, mHedgeAll: true, mHedgeAbandon: true, mHedgeKey: true}

// slots are those of the bulkheads that are never taken out.
var slots = [methods]int64{mRetry: 12, mAbandon: 10, mOpen: 10, mHedge: 12, mHedgeAbandon: 16, mSmooth: 4, mFixed: 4, mThrottle: 30, mSlow: 6, mTotal: 6}

// breakers compares the rejections of breakers that were not reset, and their
// transitions with the events.
func (s *soak) breakers(t *testing.T, stats resilience.Stats) {
	for _, b := range stats.Breakers {
		rejected := int64(0)
		for _, m := range stats.Methods {
			if m.Name == b.Name || b.Name == shared && (m.Method == "Budget" || m.Method == "Slow") {
				rejected += m.Rejected["circuitBreaker"]
			}
		}
		if !strings.Contains(b.Name, "@switched") && !strings.Contains(b.Name, "[") && !strings.Contains(b.Name, "(other") && b.Rejected != rejected {
			t.Errorf("breaker %s: it tells of %d rejections, methods of %d", b.Name, b.Rejected, rejected)
		}
		if told := s.transitions.Load(); b.Name == shared && (b.Transitions != told || told == 0) {
			t.Errorf("breaker %s: %d transitions, %d events", b.Name, b.Transitions, told)
		}
	}
}

// caches compares what caches tell with the calls and the executions.
func (s *soak) caches(t *testing.T, stats resilience.Stats) {
	for _, c := range s.rt.Caches() {
		a := s.exact.find(c.Name)
		if a == nil {
			continue
		}
		for _, m := range stats.Methods {
			if m.Name == c.Name && m.Total.Calls() != c.Misses {
				t.Errorf("%s: %d misses, %d calls of the guard", c.Name, c.Misses, m.Total.Calls())
			}
		}
		known, left := c.Hits+c.Misses+c.Shared, a.came.Load()+a.unsure.Load()
		if rest := a.begun.Load() - known; rest < 0 || rest > left+c.Stale {
			t.Errorf("%s: %d calls, %+v, %d had left", c.Name, a.begun.Load(), c, left)
		}
		if c.Entries > 16 {
			t.Errorf("%s: %d entries", c.Name, c.Entries)
		}
	}
}

// keys calls with new keys until every old one must be gone, unless a call
// that is over is said to use it.
func (s *soak) keys(t *testing.T) {
	for _, w := range []*world{s.exact, s.switched} {
		for _, m := range []method{mPerKey, mHedgeKey, mAbandonKey} {
			for n := range 64 {
				c := &call{}
				w.fresh(m, c, fmt.Sprint("fresh", n))
			}
		}
	}
	for _, b := range s.rt.Breakers() {
		if name := b.Name(); strings.Contains(name, "[key") {
			t.Errorf("breaker %s cannot be evicted", name)
		}
	}
	for _, l := range s.rt.Limiters() {
		if strings.Contains(l.Name, "[key") {
			t.Errorf("limiter %s cannot be evicted", l.Name)
		}
	}
}

// leaks looks for goroutines and timers.
func (s *soak) leaks(t *testing.T, before int) {
	until := time.Now().Add(time.Minute)
	for runtime.NumGoroutine() > before && time.Now().Before(until) {
		time.Sleep(time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", n, before, stacks[:runtime.Stack(stacks, true)])
	}
	for stack, n := range timers() {
		t.Errorf("%d timers that are not stopped (or their contexts), made by\n%s", n, stack)
	}
}

// timers returns what the runtime made with a timer in it and is in use still,
// by its stack.
func timers() map[string]int64 {
	for range 3 {
		runtime.GC()
	}
	records := make([]runtime.MemProfileRecord, 10_000)
	n, ok := runtime.MemProfile(records, false)
	if !ok {
		return map[string]int64{"too many records": int64(n)}
	}
	found := map[string]int64{}
	for _, r := range records[:n] {
		var stack strings.Builder
		first, ours := "", false
		frames := runtime.CallersFrames(r.Stack())
		for {
			frame, more := frames.Next()
			fmt.Fprintf(&stack, "\t%s:%d\n", frame.Function, frame.Line)
			switch {
			case frame.Function == "runtime.acquireSudog", // of the collector that an allocation helped
				frame.Function == "runtime.(*timers).addHeap": // where a processor keeps all its timers
				first = frame.Function
			case !strings.HasPrefix(frame.Function, "runtime.") && first == "":
				first = frame.Function
			}
			ours = ours || strings.Contains(frame.Function, "/runtime/resilience.")
			if !more {
				break
			}
		}
		if ours && (strings.HasPrefix(first, "time.") || strings.HasPrefix(first, "context.With")) {
			found[stack.String()] += r.InUseObjects()
		}
	}
	return found
}

// report prints what was done.
func (s *soak) report(t *testing.T, early, late uint64) {
	var sum resilience.Counters
	calls, executed, unsure, vanished, opened := int64(0), int64(0), int64(0), int64(0), int64(0)
	for _, w := range []*world{s.exact, s.switched} {
		for m := range w.accounts {
			a := &w.accounts[m]
			calls, executed, unsure = calls+a.begun.Load(), executed+a.executed.Load(), unsure+a.unsure.Load()
			vanished, opened = vanished+a.vanished.Load(), opened+a.opened.Load()
		}
	}
	for _, m := range s.rt.Stats().Methods {
		sum.Success, sum.Failure, sum.Rejected, sum.Canceled = sum.Success+m.Total.Success, sum.Failure+m.Total.Failure, sum.Rejected+m.Total.Rejected, sum.Canceled+m.Total.Canceled
		sum.Retries, sum.Timeouts, sum.Fallbacks = sum.Retries+m.Total.Retries, sum.Timeouts+m.Total.Timeouts, sum.Fallbacks+m.Total.Fallbacks
	}
	t.Logf("%v: %d calls, %d executions, %d calls ended by a panic or Goexit, %d connections, %d calls whose end only the runtime knows", time.Since(s.begun).Round(time.Second), calls, executed, vanished, opened, unsure)
	t.Logf("told: %+v", sum)
	for _, m := range []method{mRetry, mHedge, mPerKey, mRolling, mCached} {
		a := &s.exact.accounts[m]
		t.Logf("%s: %d calls, %d succeeded, %d executions, turned away %v", a.name, a.begun.Load(), a.success.Load(), a.executed.Load(), a.turned)
	}
	var ops []string
	s.ops.Range(func(name, n any) bool {
		ops = append(ops, fmt.Sprintf("%v %d", name, n.(*atomic.Int64).Load()))
		return true
	})
	slices.Sort(ops)
	t.Logf("changes: %s; overrides files: %d right, %d wrong; %d put in force, %d refused", strings.Join(ops, ", "), s.file.good.Load(), s.file.bad.Load(), s.file.in.Load(), s.file.refused.Load())
	t.Logf("heap: %d KB early, %d KB late", early>>10, late>>10)
}
