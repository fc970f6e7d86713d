package lint

import "fmt"

// noRate says why a rate limit limits nothing, or something else than it says.
func noRate(m *Method) string {
	limit, mode := m.Policy.Int("rateLimit.limit"), m.Policy.Str("rateLimit.mode")
	period := m.Policy.Dur("rateLimit.period")
	switch {
	case limit == 0:
		return "rateLimit.limit is not given: how many permits are there in a period?"
	case mode == "rolling" && limit > 1_000_000:
		return fmt.Sprintf("rateLimit.limit %d is more than mode rolling can remember, which is 1000000: mode token needs no memory", limit)
	case mode == "rolling" || mode == "fixed":
		return ""
	}
	exact := float64(period) / float64(limit)
	if whole := float64((int64(period) + int64(limit) - 1) / int64(limit)); whole > exact*1.01 {
		return fmt.Sprintf("rateLimit.limit %d in %v is a permit every %.3gns: whole nanoseconds miss that by more than 1 %%", limit, period, exact)
	}
	return ""
}

func limitWaitAboveTotal(m *Method) string {
	wait, total := m.Policy.Dur("rateLimit.maxWait"), m.Policy.Dur("timeout.total")
	if total > 0 && wait >= total && !m.Policy.Nests("rateLimit", "timeout.total") {
		return fmt.Sprintf("rateLimit.maxWait %v is no less than timeout.total %v: who waits so long cannot run", wait, total)
	}
	attempts, part := executions(m.Policy), "retries"
	if m.Policy.Has("hedge") {
		part = "hedges"
	}
	if n := atOnce(m); wait == 0 && attempts > 1 && n > 0 && n < attempts && m.Policy.Str("rateLimit.scope") == "attempt" {
		return fmt.Sprintf("rateLimit lets %d through at once, and one call makes up to %d attempts: the limiter ends its %s, and those of others", n, attempts, part)
	}
	return ""
}

// atOnce is how many permits there are at most at one moment.
func atOnce(m *Method) int {
	if v, ok := m.Policy.Given("rateLimit.burst"); ok {
		return v.V.(int)
	}
	return m.Policy.Int("rateLimit.limit")
}

// neverFull is Little's law: in flight are what comes in a second times how
// long each takes, and here also what came at once.
func neverFull(m *Method) string {
	e := m.Policy
	each, slots, how := PerAttempt(e), e.Int("bulkhead.maxConcurrent"), "for at most"
	if p99 := e.Dur("p99"); p99 > 0 && (each == 0 || p99 < each) {
		each, how = p99, "at p99 for"
	}
	_, byCost := e.Given("rateLimit.cost")
	_, byKey := e.Given("rateLimit.perKey")
	if each == 0 || byCost || byKey || !e.Has("rateLimit") || e.Str("rateLimit.scope") != "attempt" || e.Str("bulkhead.name") != "" || e.Nests("bulkhead", e.Loop()) {
		return ""
	}
	n := float64(atOnce(m)) + float64(e.Int("rateLimit.limit"))*float64(each)/float64(e.Dur("rateLimit.period"))
	if e.Str("rateLimit.mode") == "fixed" { // the end of one period and the beginning of the next
		n += float64(e.Int("rateLimit.limit"))
	}
	if float64(slots) < n {
		return ""
	}
	return fmt.Sprintf("bulkhead.maxConcurrent %d is never reached: the rate limit lets no more than %.0f be in flight, each %s %v", slots, n, how, each)
}
