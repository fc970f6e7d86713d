package policy

import (
	"slices"
	"strings"
)

// Type is the type of a key's value.
type Type string

// The types of values.
const (
	Part       Type = "mapping"
	Duration   Type = "duration"
	Int        Type = "integer"
	Float      Type = "number"
	Bool       Type = "boolean"
	Enum       Type = "name"
	Matchers   Type = "list of matchers"
	Durations  Type = "list of durations"
	FuncName   Type = "Go func"
	Expression Type = "Go expression"
	Text       Type = "text"
	Switch     Type = "true or mapping" // fallback
)

// Key is a key of the policy language.
type Key struct {
	Path    string // "retry.backoff.initialDelay"
	Type    Type
	Default string // as written in YAML, "" if there is none
	Range   string // of numbers, in words; Min is what the reader checks
	Min     float64
	Max     float64 // 0: no limit
	Doc     string
	Example string
	Built   bool
	GoField string     // path in resilience.Policy: "Retry.Backoff.InitialDelay"
	Values  []Constant // of an Enum
}

// Constant is a value of an Enum and the runtime's constant for it.
type Constant struct{ Name, Go string }

// table is the one table of keys. Adding a key is one entry here and its
// meaning in the runtime.
var table = []*Key{
	{Path: "idempotent", Type: Bool, Built: true, Doc: "the method may be executed twice without harm; a retry needs it", Example: "true"},
	{Path: "timeout", Type: Part, Built: true, GoField: "Timeout", Doc: "bounds the time of a call"},
	{Path: "timeout.total", Type: Duration, Built: true, GoField: "Timeout.Total", Range: "> 0", Min: 1, Doc: "the whole call: sleeps, queues, attempts; not the fallback", Example: "20s"},
	{Path: "timeout.attempt", Type: Duration, Built: true, GoField: "Timeout.Attempt", Range: "> 0", Min: 1, Doc: "one execution of the delegate; never longer than what is left of total", Example: "2s"},
	{Path: "timeout.open", Type: Duration, Doc: "until the method returns; then the context lives on until the caller's ends"},
	{Path: "timeout.mode", Type: Enum, Default: "cooperative", Doc: "cooperative cancels the context and waits; abandon returns at the deadline"},
	{Path: "retry", Type: Part, Built: true, GoField: "Retry", Doc: "repeats failed attempts"},
	{Path: "retry.maxAttempts", Type: Int, Default: "3", Built: true, GoField: "Retry.MaxAttempts", Range: "≥ 1", Min: 1, Doc: "total executions, the first included", Example: "4"},
	{Path: "retry.maxDuration", Type: Duration, Built: true, GoField: "Retry.MaxDuration", Range: "> 0", Min: 1, Doc: "no new attempt starts and no sleep begins past it", Example: "10s"},
	{Path: "retry.backoff", Type: Part, Built: true, GoField: "Retry.Backoff", Doc: "the delays between attempts"},
	{Path: "retry.backoff.strategy", Type: Enum, Default: "exponential", Built: true, GoField: "Retry.Backoff.Strategy", Doc: "how delays grow", Values: []Constant{
		{"none", "NoBackoff"}, {"constant", "Constant"}, {"linear", "Linear"}, {"exponential", "Exponential"}, {"fibonacci", "Fibonacci"}, {"sequence", "Sequence"}}},
	{Path: "retry.backoff.initialDelay", Type: Duration, Default: "100ms", Built: true, GoField: "Retry.Backoff.InitialDelay", Range: "≥ 0", Doc: "the first delay", Example: "50ms"},
	{Path: "retry.backoff.multiplier", Type: Float, Default: "2", Built: true, GoField: "Retry.Backoff.Multiplier", Range: "≥ 1", Min: 1, Doc: "growth of exponential delays", Example: "1.5"},
	{Path: "retry.backoff.maxDelay", Type: Duration, Default: "10s", Built: true, GoField: "Retry.Backoff.MaxDelay", Range: "≥ 0", Doc: "holds before jitter and after it", Example: "1s"},
	{Path: "retry.backoff.jitter", Type: Enum, Default: "full", Built: true, GoField: "Retry.Backoff.Jitter", Doc: "how delays are spread", Values: []Constant{
		{"none", "NoJitter"}, {"full", "FullJitter"}, {"equal", "EqualJitter"}, {"ratio", "RatioJitter"}, {"decorrelated", "DecorrelatedJitter"}, {"decorrelatedV2", "DecorrelatedJitterV2"}}},
	{Path: "retry.backoff.jitterFactor", Type: Float, Default: "0.5", Built: true, GoField: "Retry.Backoff.JitterFactor", Range: "0 to 1", Max: 1, Doc: "spread of ratio jitter", Example: "0.2"},
	{Path: "retry.backoff.delays", Type: Durations, Built: true, GoField: "Retry.Backoff.Delays", Doc: "of strategy sequence; the last one repeats", Example: "[1s, 5s, 30s]"},
	{Path: "retry.retryOn", Type: Matchers, Built: true, GoField: "Retry.RetryOn", Doc: "errors worth another attempt; any over the floor if not given", Example: "[ErrUnavailable, Transient]"},
	{Path: "retry.abortOn", Type: Matchers, Built: true, GoField: "Retry.AbortOn", Doc: "errors that end the call; wins over retryOn", Example: "[ErrDeclined]"},
	{Path: "retry.retryAfter", Type: Part, Built: true, GoField: "Retry.RetryAfter", Doc: "what is made of the wait that a peer asks for"},
	{Path: "retry.retryAfter.honor", Type: Bool, Default: "true", Built: true, GoField: "Retry.RetryAfter.Ignore", Doc: "it replaces the computed delay", Example: "false"},
	{Path: "retry.retryAfter.max", Type: Duration, Default: "30s", Built: true, GoField: "Retry.RetryAfter.Max", Range: "≥ 0", Doc: "a longer one ends the call", Example: "1m"},
	{Path: "fallback", Type: Switch, Built: true, GoField: "Fallback", Doc: "true: a method of the generated Fallback interface answers after the policies gave up", Example: "true"},
	{Path: "fallback.applyOn", Type: Matchers, Built: true, GoField: "Fallback.ApplyOn", Doc: "errors that it answers for; any over the floor if not given", Example: "[Timeout]"},
	{Path: "fallback.skipOn", Type: Matchers, Built: true, GoField: "Fallback.SkipOn", Doc: "errors that it does not answer for; wins over applyOn", Example: "[ErrNotFound]"},
	{Path: "fallback.func", Type: FuncName, Built: true, Doc: "a func answers: the method's parameters, the cause last if it wants it, the method's results", Example: "cachedQuote"},
	{Path: "fallback.to", Type: Enum, Built: true, Doc: "a second implementation answers; the constructor takes it", Values: []Constant{{"secondary", ""}}},
	{Path: "fallback.value", Type: Enum, Built: true, Doc: "zero values and no error answer", Values: []Constant{{"zero", ""}}},
	{Path: "retry.retryOnResult", Type: FuncName, Built: true, Doc: "a func(T…) bool over the results beside the error: those worth another attempt; exhausted, the last result comes without an error", Example: "isStale"},
	{Path: "retry.failOnExhaustedResult", Type: Bool, Default: "false", Built: true, GoField: "Retry.FailOnExhaustedResult", Doc: "an unwanted result that stays is an error, and the fallback answers for it", Example: "true"},
	{Path: "retry.budget", Type: Part, Doc: "share of executions that may be retries"},
	{Path: "circuitBreaker", Type: Part, Built: true, GoField: "Breaker", Doc: "stops calls to a peer that fails"},
	{Path: "circuitBreaker.name", Type: Text, Built: true, GoField: "Breaker.Name", Doc: "shares the state with every breaker of that name", Example: "db"},
	{Path: "circuitBreaker.scope", Type: Enum, Default: "method", Built: true, GoField: "Breaker.Scope", Doc: "what an unnamed breaker belongs to, of each wrapper instance", Values: []Constant{
		{"method", "MethodScope"}, {"interface", "InterfaceScope"}}},
	{Path: "circuitBreaker.window", Type: Part, Built: true, GoField: "Breaker.Window", Doc: "what it remembers"},
	{Path: "circuitBreaker.window.type", Type: Enum, Default: "count", Built: true, GoField: "Breaker.Window.Type", Doc: "the last calls, or those of the last time", Values: []Constant{
		{"count", "CountWindow"}, {"time", "TimeWindow"}}},
	{Path: "circuitBreaker.window.size", Type: Int, Default: "100", Built: true, GoField: "Breaker.Window.Size", Range: "≥ 1", Min: 1, Max: 1 << 20, Doc: "calls of a count window", Example: "50"},
	{Path: "circuitBreaker.window.duration", Type: Duration, Default: "30s", Built: true, GoField: "Breaker.Window.Duration", Range: "> 0", Min: 1, Doc: "of a time window, with a slack of one bucket", Example: "1m"},
	{Path: "circuitBreaker.window.buckets", Type: Int, Default: "10", Built: true, GoField: "Breaker.Window.Buckets", Range: "1 to 10000", Min: 1, Max: 10000, Doc: "of a time window", Example: "20"},
	{Path: "circuitBreaker.minimumCalls", Type: Int, Default: "20", Built: true, GoField: "Breaker.MinimumCalls", Range: "≥ 1", Min: 1, Doc: "no decision by rate below it; at most the size of a count window", Example: "10"},
	{Path: "circuitBreaker.failureRateThreshold", Type: Float, Default: "50", Built: true, GoField: "Breaker.FailureRateThreshold", Range: "in (0,100]", Max: 100, Doc: "percent; trips at ≥", Example: "25"},
	{Path: "circuitBreaker.consecutiveFailures", Type: Int, Built: true, GoField: "Breaker.ConsecutiveFailures", Range: "≥ 1", Min: 1, Doc: "alone it replaces the rate; beside failureRateThreshold, minimumCalls or window either trips", Example: "5"},
	{Path: "circuitBreaker.slowCallDuration", Type: Duration, Built: true, GoField: "Breaker.SlowCallDuration", Range: "> 0", Min: 1, Doc: "a call is slow if it took strictly longer", Example: "2s"},
	{Path: "circuitBreaker.slowCallRateThreshold", Type: Float, Default: "100", Built: true, GoField: "Breaker.SlowCallRateThreshold", Range: "in (0,100]", Max: 100, Doc: "percent; trips at ≥", Example: "80"},
	{Path: "circuitBreaker.openDuration", Type: Duration, Default: "5s", Built: true, GoField: "Breaker.OpenDuration", Range: "> 0", Min: 1, Doc: "how long it rejects before it probes", Example: "30s"},
	{Path: "circuitBreaker.openBackoff", Type: Part, Built: true, GoField: "Breaker.OpenBackoff", Doc: "lengthens openDuration with each failed probe, until it closes"},
	{Path: "circuitBreaker.openBackoff.multiplier", Type: Float, Built: true, GoField: "Breaker.OpenBackoff.Multiplier", Range: "≥ 1", Min: 1, Doc: "growth", Example: "2"},
	{Path: "circuitBreaker.openBackoff.maxDuration", Type: Duration, Default: "1h", Built: true, GoField: "Breaker.OpenBackoff.MaxDuration", Range: "> 0", Min: 1, Doc: "limit of the growth", Example: "5m"},
	{Path: "circuitBreaker.autoHalfOpen", Type: Bool, Default: "false", Built: true, GoField: "Breaker.AutoHalfOpen", Doc: "a timer, not the next caller, ends the open state", Example: "true"},
	{Path: "circuitBreaker.halfOpen", Type: Part, Built: true, GoField: "Breaker.HalfOpen", Doc: "how it probes"},
	{Path: "circuitBreaker.halfOpen.mode", Type: Enum, Default: "all", Built: true, GoField: "Breaker.HalfOpen.Mode", Doc: "all: successThreshold successes in a row close, a failure opens; rate: the thresholds decide after permittedCalls", Values: []Constant{
		{"all", "AllMode"}, {"rate", "RateMode"}}},
	{Path: "circuitBreaker.halfOpen.successThreshold", Type: Int, Default: "1", Built: true, GoField: "Breaker.HalfOpen.SuccessThreshold", Range: "≥ 1", Min: 1, Doc: "of mode all", Example: "3"},
	{Path: "circuitBreaker.halfOpen.permittedCalls", Type: Int, Default: "1", Built: true, GoField: "Breaker.HalfOpen.PermittedCalls", Range: "≥ 1", Min: 1, Doc: "probes at a time; in mode rate also the sample, and 10 by default", Example: "4"},
	{Path: "circuitBreaker.halfOpen.maxWait", Type: Duration, Built: true, GoField: "Breaker.HalfOpen.MaxWait", Range: "> 0", Min: 1, Doc: "ends a half-open that cannot decide; openDuration by default, none: never", Example: "10s"},
	{Path: "circuitBreaker.halfOpen.onMaxWait", Type: Enum, Default: "open", Built: true, GoField: "Breaker.HalfOpen.OnMaxWait", Doc: "what follows then", Values: []Constant{
		{"open", "StateOpen"}, {"closed", "StateClosed"}}},
	{Path: "circuitBreaker.recordOn", Type: Matchers, Built: true, GoField: "Breaker.RecordOn", Doc: "errors that count; any over the floor if not given; others are successes", Example: "[Transient]"},
	{Path: "circuitBreaker.ignoreOn", Type: Matchers, Built: true, GoField: "Breaker.IgnoreOn", Doc: "neither success nor failure; wins over recordOn; Panic may stand here", Example: "[ErrStale]"},
	{Path: "circuitBreaker.initialState", Type: Enum, Default: "closed", Built: true, GoField: "Breaker.InitialState", Doc: "the state of a new one", Values: []Constant{
		{"closed", "StateClosed"}, {"open", "StateOpen"}}},
	{Path: "circuitBreaker.mode", Type: Enum, Default: "enforce", Built: true, GoField: "Breaker.Mode", Doc: "shadow records and never rejects", Values: []Constant{
		{"enforce", "Enforce"}, {"shadow", "Shadow"}, {"disabled", "Disabled"}, {"forcedOpen", "ForcedOpen"}}},
	{Path: "circuitBreaker.recordOnResult", Type: FuncName, Built: true, Doc: "a func(T…) bool over the results beside the error: those that count as failures", Example: "isDegraded"},
	{Path: "circuitBreaker.perKey", Type: Expression, Doc: "one breaker for each key"},
	{Path: "circuitBreaker.maxKeys", Type: Int, Doc: "of perKey"},
	{Path: "bulkhead", Type: Part, Built: true, GoField: "Bulkhead", Doc: "limits the executions in flight"},
	{Path: "bulkhead.name", Type: Text, Built: true, GoField: "Bulkhead.Name", Doc: "shares the slots with every bulkhead of that name", Example: "db"},
	{Path: "bulkhead.maxConcurrent", Type: Int, Default: "25", Built: true, GoField: "Bulkhead.MaxConcurrent", Range: "≥ 1", Min: 1, Doc: "executions at a time", Example: "100"},
	{Path: "bulkhead.maxWait", Type: Duration, Default: "0", Built: true, GoField: "Bulkhead.MaxWait", Range: "≥ 0", Doc: "in the queue, first come first served; without it nobody queues", Example: "50ms"},
	{Path: "bulkhead.maxQueue", Type: Int, Built: true, GoField: "Bulkhead.MaxQueue", Range: "≥ 0", Doc: "how many may queue; unbounded by default", Example: "10"},
	{Path: "rateLimit", Type: Part, Doc: "limits the calls in a period"},
	{Path: "adaptive", Type: Part, Doc: "limits that follow the peer"},
	{Path: "hedge", Type: Part, Doc: "a second attempt while the first is out"},
	{Path: "cache", Type: Part, Doc: "keeps results"},
	{Path: "deadLetter", Type: Part, Doc: "keeps calls that finally failed"},
	{Path: "checkpoint", Type: Part, Doc: "keeps results durably"},
	{Path: "chaos", Type: Part, Doc: "injects faults"},
	{Path: "health", Type: Part, Doc: "reports the health of the method"},
	{Path: "order", Type: Part, Doc: "overrides the nesting"},
}

var byPath = func() map[string]*Key {
	m := make(map[string]*Key, len(table))
	for _, k := range table {
		m[k.Path] = k
	}
	return m
}()

// Keys returns the table, in the order of the reference.
func Keys() []*Key { return slices.Clone(table) }

// constant returns the runtime's constant for a value of an enum.
func (k *Key) constant(name string) (string, bool) {
	for _, c := range k.Values {
		if c.Name == name {
			return c.Go, true
		}
	}
	return "", false
}

// names lists the values of an enum.
func (k *Key) names() string {
	var list []string
	for _, c := range k.Values {
		list = append(list, c.Name)
	}
	return strings.Join(list, ", ")
}

// foreign answers keys of other libraries.
var foreign = map[string]string{
	"maxRetries":                   "write retry.maxAttempts: N+1, it counts the first attempt too",
	"maxRetryAttempts":             "write retry.maxAttempts: N+1, it counts the first attempt too",
	"attempts":                     "write retry.maxAttempts",
	"perTryTimeout":                "write timeout.attempt, with a unit",
	"timeoutDuration":              "write timeout.attempt, or timeout.total for all attempts together",
	"waitDuration":                 "write retry.backoff.initialDelay, with a unit",
	"intervalFunction":             "write retry.backoff.strategy",
	"retryExceptions":              "write retry.retryOn",
	"ignoreExceptions":             "write retry.abortOn",
	"backoffMultiplier":            "write retry.backoff.multiplier",
	"exponentialBackoffMultiplier": "write retry.backoff.multiplier",
	"slidingWindowSize":            "write circuitBreaker.window: {type: count, size: N}",
	"requestVolumeThreshold":       "write circuitBreaker.minimumCalls",
	"minimumNumberOfCalls":         "write circuitBreaker.minimumCalls",
	"minimumThroughput":            "write circuitBreaker.minimumCalls",
	"sleepWindowInMilliseconds":    "write circuitBreaker.openDuration, with a unit: 5000 is 5s",
	"waitDurationInOpenState":      "write circuitBreaker.openDuration",
	"breakDuration":                "write circuitBreaker.openDuration",
	"failureThreshold":             "write circuitBreaker.consecutiveFailures, or failureRateThreshold in percent",
	"errorThresholdPercentage":     "write circuitBreaker.failureRateThreshold, in percent",
	"maxConcurrentCalls":           "write bulkhead.maxConcurrent",
	"maxWaitDuration":              "write bulkhead.maxWait",
	"maxDelayDuration":             "write retry.backoff.maxDelay",
}

// Nearest returns the nearest of the candidates, "" if none is near.
func Nearest(word string, candidates []string) string {
	best, at := "", max(2, len(word)/3)+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < at {
			best, at = c, d
		}
	}
	return best
}

// distance is the edit distance of Levenshtein (1965).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// Constant returns the runtime's constant for a value of an enum that the
// reader accepted.
func (k *Key) Constant(name string) string {
	c, _ := k.constant(name)
	return c
}
