package conformance

import (
	"fmt"
	"strconv"
	"strings"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// play plays a script: steps with spaces between them, whose form README.md
// tells.
func (s *session) play(script string) {
	s.t.Helper()
	for i, step := range strings.Fields(script) {
		if wrong := s.step(step); wrong != "" {
			s.t.Fatalf("%s\nstep %d, %s: %s", script, i+1, step, wrong)
		}
	}
}

func (s *session) step(step string) (wrong string) {
	if strings.HasPrefix(step, "+") {
		time.Sleep(parse(step[1:]))
		synctest.Wait()
		return ""
	}
	if plan, want, ok := strings.Cut(step, ">"); ok {
		return s.outcomes(plan, want)
	}
	if name, want, ok := strings.Cut(step, "="); ok {
		return s.look(name, want)
	}
	if name, plan, ok := strings.Cut(step, ":"); ok {
		s.start(name, plan)
		synctest.Wait()
		return ""
	}
	return s.steer(step)
}

// steer does what is done to a call in flight: a^ cancels it, a? sees that it
// is pending, a!S releases its delegate.
func (s *session) steer(step string) (wrong string) {
	at := strings.IndexAny(step, "^?!")
	c := s.calls[step[:max(at, 0)]]
	if c == nil {
		return "no such call"
	}
	switch step[at] {
	case '^':
		c.cancel(nil)
	case '?':
		select {
		case <-c.done:
			return "over: " + c.outcome()
		default:
		}
	case '!':
		c.gate <- step[at+1:]
	}
	synctest.Wait()
	return ""
}

// outcomes makes calls, or waits for one in flight, and compares what comes
// out.
func (s *session) outcomes(plan, want string) (wrong string) {
	if c := s.calls[plan]; c != nil {
		<-c.done
		s.last = c
		return differ(c, want)
	}
	plan, times, many := strings.Cut(plan, "*")
	n := 1
	if many {
		n, _ = strconv.Atoi(times)
	}
	for i := range n {
		if wrong := differ(s.call(plan), want); wrong != "" {
			return fmt.Sprintf("call %d: %s", i+1, wrong)
		}
	}
	return ""
}

func differ(c *call, want string) string {
	want = strings.ReplaceAll(want, "E", "F") // E is what F fails with; no other outcome has an E
	if got := strings.ReplaceAll(c.outcome(), "E", "F"); got != want {
		return fmt.Sprintf("got %s (%v)", c.outcome(), c.err)
	}
	return ""
}

// look compares what can be seen. Without a name it is the breaker's state.
func (s *session) look(name, want string) string {
	got := s.see(name)
	if name == "took" {
		want = parse(want).String()
	}
	if got != want {
		return "got " + got
	}
	return ""
}

var states = map[resilience.State]string{
	resilience.StateClosed: "CLOSED", resilience.StateOpen: "OPEN", resilience.StateHalfOpen: "HALF_OPEN",
}

func (s *session) see(name string) string {
	switch name {
	case "execs":
		return fmt.Sprint(s.execs())
	case "took":
		return s.last.took.String()
	case "gaps":
		return join(s.last.gaps())
	case "starts":
		return join(s.last.offsets())
	case "order":
		return strings.Join(s.order, ",")
	case "peak":
		return fmt.Sprint(s.peak)
	case "fallbacks":
		return fmt.Sprint(s.fallbacks)
	case "busy":
		return fmt.Sprint(s.slots().InFlight)
	case "queued":
		return fmt.Sprint(s.slots().Waiting)
	case "repeated":
		return fmt.Sprint(s.budget().Repeated)
	case "refused":
		return fmt.Sprint(s.budget().Refused)
	case "transitions":
		return strings.Join(s.transitions(), ",")
	case "timeouts":
		return fmt.Sprint(s.told(func(e resilience.Event) bool { return e.Kind == resilience.AttemptFailed && e.By == "timeout" }))
	case "rejections":
		return fmt.Sprint(s.told(func(e resilience.Event) bool { return e.Kind == resilience.Rejected }))
	}
	if name == "waiting" || name == "after" {
		l := s.limiter()
		if name == "after" {
			return l.RetryAfter.String()
		}
		return fmt.Sprint(l.Waiting)
	}
	b := s.snapshot()
	switch name {
	case "":
		return states[b.State]
	case "calls":
		return fmt.Sprint(b.Calls)
	case "failures":
		return fmt.Sprint(b.Failures)
	case "slow":
		return fmt.Sprint(b.Slow)
	case "consecutive":
		return fmt.Sprint(b.Consecutive)
	case "rejected":
		return fmt.Sprint(b.Rejected)
	case "openings":
		return fmt.Sprint(b.Openings)
	}
	return "nothing of that name"
}

// transitions are those that breakers made, and resets, as events told them.
func (s *session) transitions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, e := range s.events {
		switch {
		case e.Kind == resilience.BreakerReset:
			list = append(list, "reset")
		case e.Kind == resilience.BreakerTransition && e.Reason == "operator":
			list = append(list, fmt.Sprintf("%v-%v(operator)", e.From, e.To))
		case e.Kind == resilience.BreakerTransition:
			list = append(list, fmt.Sprintf("%v-%v", e.From, e.To))
		}
	}
	return list
}

// told counts events.
func (s *session) told(is func(resilience.Event) bool) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if is(e) {
			n++
		}
	}
	return n
}

func (s *session) snapshot() resilience.BreakerSnapshot {
	b := s.rt.Breaker(s.breaker)
	if b == nil {
		s.t.Fatalf("no breaker %s", s.breaker)
	}
	return b.Snapshot()
}

// budget is the budget of the wrapper, the only one there is.
func (s *session) budget() resilience.BudgetSnapshot {
	list := s.rt.Budgets()
	if len(list) != 1 {
		s.t.Fatalf("%d budgets", len(list))
	}
	return list[0]
}

// slots are those of the one bulkhead of the case.
func (s *session) slots() resilience.BulkheadSnapshot {
	synctest.Wait()
	list := s.rt.Stats().Bulkheads
	if len(list) != 1 {
		s.t.Fatalf("%d bulkheads", len(list))
	}
	return list[0]
}

// limiter is the one limiter of the case.
func (s *session) limiter() resilience.LimiterSnapshot {
	list := s.rt.Limiters()
	if len(list) != 1 {
		s.t.Fatalf("%d limiters", len(list))
	}
	return list[0]
}

func (s *session) execs() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.order)
}

// gaps are the delays between the executions of a call.
func (c *call) gaps() []time.Duration {
	var list []time.Duration
	for i := range len(c.starts) - 1 {
		list = append(list, c.starts[i+1].Sub(c.ends[i]))
	}
	return list
}

// offsets are when the executions of a call began, from its beginning.
func (c *call) offsets() []time.Duration {
	var list []time.Duration
	for _, at := range c.starts {
		list = append(list, at.Sub(c.began))
	}
	return list
}

func join(list []time.Duration) string {
	texts := make([]string, len(list))
	for i, d := range list {
		texts[i] = strings.TrimSuffix(d.String(), "m0s")
		if texts[i] != d.String() {
			texts[i] += "m"
		}
	}
	return strings.Join(texts, ",")
}
