package lint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/generator/policy"
)

func retryWithoutTimeout(m *Method) string {
	if m.Policy.Int("retry.maxAttempts") < 2 || bounded(m) {
		return ""
	}
	return "retry without a timeout: an attempt that hangs blocks the call for ever, and the next one never begins; add timeout: {attempt: …}" + andAbandon(m)
}

func queueWithoutTimeout(m *Method) string {
	wait := m.Policy.Dur("bulkhead.maxWait")
	if wait == 0 || bounded(m) {
		return ""
	}
	return fmt.Sprintf("a queue for slots without a timeout: calls that hang keep their slots for ever, and others wait %v for nothing; add timeout: {attempt: …}", wait) + andAbandon(m)
}

// bounded reports whether a timeout bounds calls, or cannot and was left out.
func bounded(m *Method) bool {
	return m.Policy.Has("timeout") || slices.ContainsFunc(m.Policy.Dropped(), func(d policy.Dropped) bool { return d.Part == "timeout" })
}

func andAbandon(m *Method) string {
	if m.Ctx < 0 {
		return " with mode: abandon, since the method takes no context"
	}
	return ""
}

func maxDurationInert(m *Method) string {
	limit, total := m.Policy.Dur("retry.maxDuration"), m.Policy.Dur("timeout.total")
	_, first := Delay(m.Policy, 0, 0)
	switch {
	case limit == 0:
		return ""
	case total > 0 && limit >= total:
		return fmt.Sprintf("retry.maxDuration %v is no less than timeout.total %v, which ends the call first", limit, total)
	case m.Policy.Int("retry.maxAttempts") > 1 && limit <= first:
		return fmt.Sprintf("retry.maxDuration %v is no more than the first delay of up to %v: a retry may never begin", limit, first)
	}
	return ""
}

func abandonedKeepSlots(m *Method) string {
	if m.Policy.Str("timeout.mode") != "abandon" {
		return ""
	}
	n := executions(m.Policy)
	return fmt.Sprintf("abandoned calls keep their slots: one call may hold %d of the bulkhead's %d until its delegates return", n, m.Policy.Int("bulkhead.maxConcurrent"))
}

// fewAttempts is the most that is not suspicious.
const fewAttempts = 5

func manyAttempts(m *Method) string {
	if n := m.Policy.Int("retry.maxAttempts"); n > fewAttempts {
		return fmt.Sprintf("retry.maxAttempts %d: while the peer is down every call is %d; more than %d hardly ever help", n, n, fewAttempts)
	}
	return ""
}

func noPause(m *Method) string {
	_, first := Delay(m.Policy, 0, 0)
	if m.Policy.Int("retry.maxAttempts") > 1 && first == 0 {
		return fmt.Sprintf("no delay between %d attempts: they all meet the same trouble; add backoff: {initialDelay: 50ms}", m.Policy.Int("retry.maxAttempts"))
	}
	return ""
}

// sameDelay is from when on equal delays make a crowd.
const sameDelay = 50 * time.Millisecond

func noJitter(m *Method) string {
	if m.Policy.Int("retry.maxAttempts") < 2 || m.Policy.Str("retry.backoff.jitter") != "none" {
		return ""
	}
	if longest := longestDelay(m.Policy); longest >= sameDelay {
		return fmt.Sprintf("jitter: none on delays of up to %v: callers that fail together come back together", longest)
	}
	return ""
}

// longestDelay is the longest sleep between two attempts.
func longestDelay(e *policy.Effective) time.Duration {
	var longest time.Duration
	each(e, func(d time.Duration) { longest = max(longest, d) })
	return longest
}

// allSleeps is what the sleeps may come to together.
func allSleeps(e *policy.Effective) time.Duration {
	var sum time.Duration
	each(e, func(d time.Duration) { sum += d })
	return sum
}

// each calls do with the largest sleep before each retry.
func each(e *policy.Effective, do func(time.Duration)) {
	_, prev := Delay(e, 0, 0)
	for n := range e.Int("retry.maxAttempts") - 1 {
		_, prev = Delay(e, n, prev)
		do(prev)
	}
}

// absent returns the parts that the list waits for in vain, "" if some entry
// can match: a matcher of ours whose part is there, or of whose part nothing is
// known. It is another matter where the delegate is wrapped too.
func absent(m *Method, list policy.List) string {
	var parts []string
	for _, n := range list.Names {
		part := missing(m.Policy, n.Text)
		if part == "" {
			return ""
		}
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	if list.Any {
		return ""
	}
	return strings.Join(parts, " and no ")
}

// missing is the part that would make the matcher come true and that the policy
// lacks, "" if it has one that does.
func missing(e *policy.Effective, matcher string) string {
	mode := e.Str("adaptive.mode")
	part, has := "", false
	switch matcher {
	case "CircuitOpen":
		part, has = "circuitBreaker", e.Has("circuitBreaker")
	case "BulkheadFull":
		part, has = "bulkhead", e.Has("bulkhead") || e.Has("adaptive") && mode == "concurrency"
	case "RateLimited":
		part, has = "rateLimit", e.Has("rateLimit") || e.Has("adaptive") && mode == "throttle"
	case "BudgetExhausted":
		part, has = "retry.budget", e.Budgeted()
	case "Timeout":
		part, has = "timeout", e.Has("timeout")
	}
	if has {
		return ""
	}
	return part
}

// unseen are the rejections of the list that only come from outside retry.
func unseen(e *policy.Effective, list policy.List) (names []string) {
	by := map[string][]string{"CircuitOpen": {"circuitBreaker"}, "BulkheadFull": {"bulkhead"}, "RateLimited": {"rateLimit"}}
	switch e.Str("adaptive.mode") {
	case "concurrency":
		by["BulkheadFull"] = append(by["BulkheadFull"], "adaptive")
	case "throttle":
		by["RateLimited"] = append(by["RateLimited"], "adaptive")
	}
	for _, n := range list.Names {
		outside := slices.ContainsFunc(by[n.Text], func(part string) bool { return e.Nests(part, "retry") })
		inside := slices.ContainsFunc(by[n.Text], func(part string) bool { return e.Nests("retry", part) })
		if outside && !inside {
			names = append(names, n.Text)
		}
	}
	return names
}

func retryOnAbsent(m *Method) string {
	list := m.Policy.List("retry.retryOn")
	parts := absent(m, list)
	switch {
	case m.Policy.Str("retry.retryOnResult") != "":
		return ""
	case !list.Any && len(list.Names) > 0 && len(unseen(m.Policy, list)) == len(list.Names):
		return fmt.Sprintf("retryOn names %s alone, and order puts what rejects so outside retry, which never sees it: nothing is ever retried", list)
	case parts == "":
		return ""
	}
	return fmt.Sprintf("retryOn names %s alone, and the policy has no %s: nothing is ever retried", list, parts)
}

func applyOnAbsent(m *Method) string {
	list := m.Policy.List("fallback.applyOn")
	parts := absent(m, list)
	if parts == "" {
		return ""
	}
	return fmt.Sprintf("applyOn names %s alone, and the policy has no %s: the fallback never answers", list, parts)
}

// sleepsBelowOpen looks at each rejection that retryOn names: when a call can
// get through again, and whether retries come then.
func sleepsBelowOpen(m *Method) string {
	e, list := m.Policy, m.Policy.List("retry.retryOn")
	if e.Int("retry.maxAttempts") < 2 {
		return ""
	}
	if names := unseen(e, list); len(names) > 0 && retryOnAbsent(m) == "" {
		return fmt.Sprintf("retryOn names %s, but order puts what rejects so outside retry, which never sees it", strings.Join(names, " and "))
	}
	if e.Has("circuitBreaker") && list.Has("CircuitOpen") {
		if msg := tooSoon(e, "CircuitOpen", "the breaker", "openDuration", e.Dur("circuitBreaker.openDuration")); msg != "" {
			return msg
		}
	}
	if e.Has("rateLimit") && list.Has("RateLimited") {
		if msg := tooSoon(e, "RateLimited", "the limiter", "the time to the next permit,", nextPermit(e)); msg != "" {
			return msg
		}
	}
	if e.Has("bulkhead") && list.Has("BulkheadFull") {
		return slotTooLate(e)
	}
	return ""
}

// tooSoon says why retries of a rejection do not come as late as it takes.
func tooSoon(e *policy.Effective, matcher, who, what string, until time.Duration) string {
	sum, most := allSleeps(e), e.Dur("retry.retryAfter.max")
	honored := e.Bool("retry.retryAfter.honor")
	switch {
	case honored && until > most:
		return fmt.Sprintf("retryOn names %s, but %s asks for a wait of up to %v and retryAfter.max is %v: the call ends there", matcher, who, until, most)
	case !honored && sum < until:
		return fmt.Sprintf("retryOn names %s, but all sleeps together, %v, are shorter than %s %v: the retries are rejected too", matcher, sum, what, until)
	}
	return ""
}

// nextPermit is how long a rejected call may be away from a permit.
func nextPermit(e *policy.Effective) time.Duration {
	period := e.Dur("rateLimit.period")
	switch e.Str("rateLimit.mode") {
	case "token", "smooth":
		return period / time.Duration(max(e.Int("rateLimit.limit"), 1))
	}
	return period
}

// slotTooLate compares the sleeps with the time in which one slot of a full
// bulkhead comes free, as far as it is known how long calls take.
func slotTooLate(e *policy.Effective) string {
	latency, what := e.Dur("p99"), "p99"
	if latency == 0 {
		latency, what = PerAttempt(e), "the attempt limit"
	}
	slots := e.Int("bulkhead.maxConcurrent")
	each := latency / time.Duration(max(slots, 1))
	sum := allSleeps(e) + time.Duration(e.Int("retry.maxAttempts")-1)*e.Dur("bulkhead.maxWait")
	if sum >= each {
		return ""
	}
	return fmt.Sprintf("retryOn names BulkheadFull, but all sleeps and waits together, %v, are shorter than the %v in which one of %d slots comes free at %s %v", sum, each, slots, what, latency)
}

func outlastsLease(m *Method) string {
	lease := m.Policy.Dur("lease")
	if lease == 0 || m.Policy.Int("retry.maxAttempts") < 2 {
		return ""
	}
	worst := WorstCase(m.Policy)
	switch longest := max(worst.Limit, worst.RetryAfter); {
	case !worst.Bounded:
		return fmt.Sprintf("a repetition is recognised for lease %v, and attempts without a timeout may take longer", lease)
	case longest > lease:
		return fmt.Sprintf("a repetition is recognised for lease %v, and attempts may go on for %v: a late one is new work", lease, longest)
	}
	return ""
}

func waitAboveTotal(m *Method) string {
	wait, total := m.Policy.Dur("bulkhead.maxWait"), m.Policy.Dur("timeout.total")
	if total > 0 && wait >= total && !m.Policy.Nests("bulkhead", "timeout.total") {
		return fmt.Sprintf("bulkhead.maxWait %v is no less than timeout.total %v: who waits so long cannot run", wait, total)
	}
	return ""
}

func queueWithoutWait(m *Method) string {
	v, given := m.Policy.Given("bulkhead.maxQueue")
	if n, _ := v.V.(int); given && n > 0 && m.Policy.Dur("bulkhead.maxWait") == 0 {
		return fmt.Sprintf("bulkhead.maxQueue %d without maxWait: nobody queues, and calls are rejected at once", n)
	}
	return ""
}
