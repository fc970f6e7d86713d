package lint

import (
	"fmt"
	"math"
	"slices"

	"github.com/resilgen/resilgen/generator/policy"
)

func consecutiveInert(m *Method) string {
	c, size := m.Policy.Int("circuitBreaker.consecutiveFailures"), m.Policy.Int("circuitBreaker.window.size")
	if c == 0 || size == 0 {
		return ""
	}
	rate := m.Policy.Float("circuitBreaker.failureRateThreshold")
	// After a window full of successes it takes the most failures in a row.
	need := max(m.Policy.Int("circuitBreaker.minimumCalls"), int(math.Ceil(float64(size)*rate/100)))
	if c < need {
		return ""
	}
	return fmt.Sprintf("consecutiveFailures %d never opens the breaker: at %d failures in a row the rate of %v %% in a window of %d has", c, need, rate, size)
}

func windowNeverFull(m *Method) string {
	window := m.Policy.Dur("circuitBreaker.window.duration")
	rate, who := callRate(m.Policy)
	minimum := m.Policy.Int("circuitBreaker.minimumCalls")
	if window == 0 || rate == 0 || m.Policy.Int("circuitBreaker.consecutiveFailures") > 0 {
		return ""
	}
	need := float64(minimum) / window.Seconds()
	if rate >= need {
		return ""
	}
	return fmt.Sprintf("a window of %v needs minimumCalls %d, %.3g calls a second, and %s %.3g: the breaker can never open; lower minimumCalls to %d or lengthen the window to %.0fs",
		window, minimum, need, who, rate, max(int(rate*window.Seconds()), 1), math.Ceil(float64(minimum)/rate))
}

// callRate is how many executions a second can be expected, 0 if nothing says
// so, and who says it: the rate limit lets through no more. One that counts by
// cost or by key, or that others share, says nothing of executions; one of calls
// says nothing where a call is repeated.
func callRate(e *policy.Effective) (float64, string) {
	rate, who := e.Float("expectedRate"), "expectedRate is"
	_, byCost := e.Given("rateLimit.cost")
	_, byKey := e.Given("rateLimit.perKey")
	perCall := e.Str("rateLimit.scope") == "call" && executions(e) > 1
	if !e.Has("rateLimit") || byCost || byKey || perCall || e.Int("rateLimit.limit") == 0 {
		return rate, who
	}
	limit := float64(e.Int("rateLimit.limit")) / e.Dur("rateLimit.period").Seconds()
	if rate == 0 || limit < rate {
		return limit, "the rate limit lets through"
	}
	return rate, who
}

func windowBelowAttempts(m *Method) string {
	window, attempt := m.Policy.Dur("circuitBreaker.window.duration"), PerAttempt(m.Policy)
	if window == 0 || attempt == 0 || window >= 2*attempt || !written(m, "circuitBreaker.window.duration", "timeout.attempt", "timeout.open") {
		return ""
	}
	return fmt.Sprintf("window.duration %v is less than two attempts of %v: outcomes leave the window before enough arrive", window, attempt)
}

// written reports whether one of the keys is the user's own, not built in.
func written(m *Method, keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool {
		v, _ := m.Policy.Given(key)
		return v.Pos.IsValid()
	})
}

func slowAboveAttempt(m *Method) string {
	slow, attempt := m.Policy.Dur("circuitBreaker.slowCallDuration"), PerAttempt(m.Policy)
	if slow == 0 || attempt == 0 || slow < attempt || ofCalls(m) {
		return ""
	}
	return fmt.Sprintf("slowCallDuration %v is no less than the %v an attempt may take: a slow call is seen as a timeout only", slow, attempt)
}

// ofCalls reports whether the breaker hears of calls, not of their attempts.
func ofCalls(m *Method) bool { return m.Policy.Nests("circuitBreaker", m.Policy.Loop()) }

func openBelowAttempt(m *Method) string {
	open, attempt := m.Policy.Dur("circuitBreaker.openDuration"), PerAttempt(m.Policy)
	if open < attempt {
		return fmt.Sprintf("openDuration %v is less than the %v an attempt may take: probes start while calls from before still hang", open, attempt)
	}
	if pause := longestDelay(m.Policy); open < pause && !ofCalls(m) {
		return fmt.Sprintf("openDuration %v is less than the %v between retries: a call that opens the breaker probes it with its own retry", open, pause)
	}
	return ""
}

func probeMayHang(m *Method) string {
	v, given := m.Policy.Given("circuitBreaker.halfOpen.maxWait")
	if given && v.None && PerAttempt(m.Policy) == 0 && m.Policy.Dur("timeout.total") == 0 {
		return "halfOpen.maxWait: none and no timeout: a probe that hangs keeps the breaker half-open for ever"
	}
	return ""
}

// manyOutcomes is from when on one success among all failures is likely.
const manyOutcomes = 10

func everyCallMustFail(m *Method) string {
	if m.Policy.Float("circuitBreaker.failureRateThreshold") < 100 || m.Policy.Int("circuitBreaker.consecutiveFailures") > 0 {
		return ""
	}
	const advice = " keeps the breaker closed; say consecutiveFailures, or a lower rate"
	if size := m.Policy.Int("circuitBreaker.window.size"); size > manyOutcomes {
		return fmt.Sprintf("failureRateThreshold 100: one success in %d%s", size, advice)
	}
	if window := m.Policy.Dur("circuitBreaker.window.duration"); window > 0 {
		return fmt.Sprintf("failureRateThreshold 100: one success in %v%s", window, advice)
	}
	return ""
}

func recordsCanceled(m *Method) string {
	for _, name := range []string{"Canceled", "context.Canceled"} {
		if m.Policy.List("circuitBreaker.recordOn").Has(name) && !m.Policy.List("circuitBreaker.ignoreOn").Has(name) {
			return "recordOn names " + name + ": callers that hang up open the breaker for everybody"
		}
	}
	return ""
}

func panicCounts(m *Method) string {
	if m.Policy.List("circuitBreaker.ignoreOn").Has("Panic") {
		return ""
	}
	return "a panic goes on to the caller and is a failure for the breaker; ignoreOn: {add: [Panic]} takes no notice of it"
}

// countable is the most keys that nobody minds to see listed.
const countable = 10_000

func manyKeys(m *Method) string {
	return tooMany(m.Policy.Int("circuitBreaker.maxKeys"), "breakers")
}

func manyLimits(m *Method) string {
	return tooMany(m.Policy.Int("rateLimit.maxKeys"), "limiters")
}

func tooMany(n int, what string) string {
	if n <= countable {
		return ""
	}
	return fmt.Sprintf("up to %d %s, one a key: as a label of a metric the key makes as many series", n, what)
}
