package policy

import "slices"

// first is the version that built the first keys.
const first = "0.1.0"

// none and its like are the words that take an inherited value back.
const (
	none      = "none"
	anyError  = "any"
	unbounded = "unbounded"
)

func fileKeys() []*Key {
	return []*Key{
		{Path: "version", Type: structural, written: "`1`", Default: "1", Range: "1", Since: first, Places: InFile,
			Doc: "The version of the language.", Example: "version: 1"},
		{Path: "preset", Type: Enum, Since: first, Places: InFile, RunTime: true, GoField: "Preset",
			Doc:     "Numbers for parts that are present. One chosen at run time replaces it.",
			Example: "preset: production",
			Values: []EnumValue{
				{Name: "production", GoConst: "Production", Doc: "patient and careful"},
				{Name: "development", GoConst: "Development", Doc: "gives up sooner"},
				{Name: "testing", GoConst: "Testing", Doc: "every wrapper passes straight through"},
			}},
		{Path: "errors", Type: structural, written: "mapping of names to lists of matchers", Since: first, Places: InFile,
			Doc:     "Named lists of matchers, to be used by name in any list of matchers.",
			Example: "errors: {transient: [io.ErrUnexpectedEOF, net.OpError, ErrBusy, isThrottled]}"},
		{Path: "policies", Type: structural, written: "mapping of names to entries", Since: first, Places: InFile,
			Doc:     "Named policies, for `use` and `extends`.",
			Example: "policies: {payments-api: {extends: api, timeout: {total: 20s}}}"},
		{Path: "permanent", Type: structural, written: "list of matchers of your own", Since: first, Places: InFile,
			Doc:     "Errors of the package that are nobody's fault: never retried, never held against the peer, no fallback. Error variables, error types, funcs `func(error) bool` and names of `errors`.",
			Example: "permanent: [ErrDeclined]"},
		{Path: "statusOf", Type: Func, Since: first, Places: InFile,
			Doc:     "A func `func(error) (int, bool)` that returns the HTTP status of errors that have no method for it.",
			Example: "statusOf: httpStatus"},
		{Path: "retryAfterOf", Type: Func, Since: first, Places: InFile,
			Doc:     "A func `func(error) (time.Duration, bool)` that returns the wait that the peer asked for.",
			Example: "retryAfterOf: retryAfter"},
		{Path: "interfaces", Type: structural, written: "mapping of interfaces to entries or `none`", Since: first, Places: InFile,
			Doc:     "The interfaces to wrap: a local one, `import/path.Name`, or a name of your own with `of`.",
			Example: "interfaces: {Gateway: {use: api}}"},
	}
}

func interfaceKeys() []*Key {
	return []*Key{
		{Path: "extends", Type: structural, written: "name of a policy", Since: first, Places: InPolicy,
			Doc:     "The policy that this one is merged over, built in or of the file. Chains may be long; cycles are refused.",
			Example: "extends: api"},
		{Path: "use", Type: structural, written: "name of a policy", Since: first, Places: InInterface | InMethod,
			Doc:     "The policy that the entry is merged over. On a method it replaces what the interface says.",
			Example: "use: payments-api"},
		{Path: "of", Type: structural, written: "`Name` or `import/path.Name`", Since: first, Places: InInterface,
			Doc:     "The interface to wrap, where the entry has a name of its own: several wrappers of one interface.",
			Example: "Backup: {of: Gateway, use: database}"},
		{Path: "leaveOut", Type: structural, written: "`all` or list of methods", Since: first, Places: InInterface,
			Doc:     "The methods, or `all`, where a part that cannot act on the method's signature is left out, and listed in the wrapper's doc comment, instead of being an error.",
			Example: "leaveOut: [Watch, Rows]"},
		{Path: "methods", Type: structural, written: "mapping of methods to entries or `none`", Since: first, Places: InInterface,
			Doc:     "Entries for methods: names, globs with `*` and `?`, and lists of them separated by commas. `none` passes the method through.",
			Example: "methods: {Charge: {idempotent: true}, \"Get*, List*\": {retry: {maxAttempts: 4}}, Balance: none}"},
		{Path: "lint", Type: structural, written: "mapping", Since: first, Places: InFile | inEntry,
			Doc:     "Checks to be left out here, each with the reason: in the whole file, in every method that uses a policy, in an interface, in a method.",
			Example: "lint: {ignore: {RG02B: \"one caller only\"}}"},
	}
}

func timeoutKeys() []*Key {
	return []*Key{
		{Path: "timeout", Type: Part, Since: first, RunTime: true, Unset: none,
			Doc: "Bounds the time of a call.", Example: "timeout: {total: 20s, attempt: 2s}"},
		{Path: "timeout.total", Type: Duration, Since: first, RunTime: true, above: true, Unset: none, GoField: "Timeout.Total",
			Doc: "The whole call: sleeps, queues, attempts; not the fallback.", Example: "total: 20s"},
		{Path: "timeout.attempt", Type: Duration, Since: first, RunTime: true, above: true, Unset: none, GoField: "Timeout.Attempt",
			Doc: "One execution of the delegate. Its deadline is the sooner of `attempt` and what is left of `total`.", Example: "attempt: 2s"},
		{Path: "timeout.open", Type: Duration, Since: first, RunTime: true, above: true, Unset: none, GoField: "Timeout.Open",
			Doc: "Until the method returns; then the context lives on, whatever the other limits, until the result is closed or the caller's ends. For streams, bodies and rows. The context tells no deadline, which a delegate would put on what lives longer.", Example: "open: 5s"},
		{Path: "timeout.mode", Type: Enum, Since: first, GoField: "Timeout.Mode", def: "cooperative",
			Doc: "What becomes of a delegate that outlives its timeout.", Example: "mode: abandon",
			Values: []EnumValue{
				{Name: "cooperative", GoConst: "Cooperative", Doc: "the context is cancelled and the delegate waited for; a success that comes late is a success, a late error is ErrTimeout joined with it"},
				{Name: "abandon", GoConst: "Abandon", Doc: "the call returns at the deadline, or when the caller leaves; the delegate runs on and is counted"},
			}},
	}
}

func retryKeys() []*Key {
	return slices.Concat([]*Key{
		{Path: "retry", Type: Part, Since: first, RunTime: true, Unset: none, GoField: "Retry.On",
			Doc: "Repeats failed attempts. `true` takes every default.", Example: "retry: {maxAttempts: 4, retryOn: {add: [ErrBusy]}}"},
		{Path: "retry.maxAttempts", Type: Int, Since: first, RunTime: true, min: 1, rangeID: "RG010", def: "3", GoField: "Retry.MaxAttempts",
			Doc: "Executions in total, the first one included.", Example: "maxAttempts: 4"},
		{Path: "retry.maxDuration", Type: Duration, Since: first, RunTime: true, above: true, Unset: none, GoField: "Retry.MaxDuration",
			Doc: "No attempt starts and no sleep begins past it.", Example: "maxDuration: 10s"},
	}, backoffKeys(), budgetKeys(), []*Key{
		{Path: "retry.retryOn", Type: Matchers, Since: first, Default: "any error", def: anyError, Unset: anyError, GoField: "Retry.RetryOn",
			Doc: "The errors that are retried, over the floor.", Example: "retryOn: {add: [CircuitOpen]}"},
		{Path: "retry.abortOn", Type: Matchers, Since: first, Unset: none, GoField: "Retry.AbortOn",
			Doc: "The errors that are not. It wins over `retryOn`.", Example: "abortOn: [ErrStale]"},
		{Path: "retry.retryOnResult", Type: Func, Since: first, Unset: none,
			Doc:     "A func of the package over the results without the error, `func(T) bool`: a result it reports is retried. When attempts are exhausted the call returns the last result and no error.",
			Example: "retryOnResult: isStale"},
		{Path: "retry.failOnExhaustedResult", Type: Bool, Since: first, def: "false", GoField: "Retry.FailOnExhaustedResult",
			needs: []need{{path: "retry.retryOnResult"}},
			Doc:   "An unwanted result that stays unwanted is an error, ErrUnwantedResult.", Example: "failOnExhaustedResult: true"},
		{Path: "retry.retryAfter", Type: Section, Since: first, RunTime: true, Unset: none, noneKey: "honor=false",
			Doc: "What is made of the wait that the peer asks for: an error in the chain with `RetryAfter() (time.Duration, bool)`. It replaces the computed delay.", Example: "retryAfter: {max: 1m}"},
		{Path: "retry.retryAfter.honor", Type: Bool, Since: first, RunTime: true, def: "true", GoField: "Retry.RetryAfter.Ignore", GoInverted: true,
			Doc: "Whether it is honoured.", Example: "honor: false"},
		{Path: "retry.retryAfter.max", Type: Duration, Since: first, RunTime: true, above: true, def: "30s", GoField: "Retry.RetryAfter.Max",
			needs: []need{{path: "retry.retryAfter.honor", values: []string{"true"}}},
			Doc:   "A longer one ends the call, and the error says when to come back.", Example: "max: 1m"},
	})
}

func backoffKeys() []*Key {
	return []*Key{
		{Path: "retry.backoff", Type: Section, Since: first, RunTime: true, Unset: none, noneKey: "strategy=none",
			Doc: "The delay before each retry. `none` is short for strategy none.", Example: "backoff: {initialDelay: 50ms, maxDelay: 2s}"},
		{Path: "retry.backoff.strategy", Type: Enum, Since: first, RunTime: true, def: "exponential", GoField: "Retry.Backoff.Strategy",
			Doc: "How delays grow.", Example: "strategy: constant",
			Values: []EnumValue{
				{Name: "none", GoConst: "NoBackoff", Doc: "no delay at all"},
				{Name: "constant", GoConst: "Constant", Doc: "b"},
				{Name: "linear", GoConst: "Linear", Doc: "b·(n+1)"},
				{Name: "exponential", GoConst: "Exponential", Doc: "min(C, b·mⁿ)"},
				{Name: "fibonacci", GoConst: "Fibonacci", Doc: "b·(1, 2, 3, 5, 8 …)"},
				{Name: "sequence", GoConst: "Sequence", Doc: "the given `delays`, the last of which repeats"},
			}},
		{Path: "retry.backoff.initialDelay", Type: Duration, Since: first, RunTime: true, def: "100ms", GoField: "Retry.Backoff.InitialDelay",
			needs: []need{{path: "retry.backoff.strategy", values: []string{"constant", "linear", "exponential", "fibonacci"}}},
			Doc:   "The delay b before the first retry.", Example: "initialDelay: 50ms"},
		{Path: "retry.backoff.multiplier", Type: Number, Since: first, RunTime: true, min: 1, rangeID: "RG016", def: "2", GoField: "Retry.Backoff.Multiplier",
			needs: []need{{path: "retry.backoff.strategy", values: []string{"exponential"}}},
			Doc:   "The growth m of strategy exponential.", Example: "multiplier: 1.5"},
		{Path: "retry.backoff.maxDelay", Type: Duration, Since: first, RunTime: true, above: true, def: "10s", GoField: "Retry.Backoff.MaxDelay",
			needs: []need{{path: "retry.backoff.strategy", values: []string{"constant", "linear", "exponential", "fibonacci", "sequence"}}},
			Doc:   "The cap C. It holds before jitter and after it.", Example: "maxDelay: 2s"},
		{Path: "retry.backoff.jitter", Type: Enum, Since: first, RunTime: true, def: "full", GoField: "Retry.Backoff.Jitter",
			Doc: "How delays are spread.", Example: "jitter: ratio",
			Values: []EnumValue{
				{Name: "none", GoConst: "NoJitter", Doc: "d"},
				{Name: "full", GoConst: "FullJitter", Doc: "r·d"},
				{Name: "equal", GoConst: "EqualJitter", Doc: "d/2 + r·d/2"},
				{Name: "ratio", GoConst: "RatioJitter", Doc: "d·(1−f+2·f·r), f is `jitterFactor`"},
				{Name: "decorrelated", GoConst: "DecorrelatedJitter", Doc: "prev' = min(C, b + r·(3·prev − b))"},
				{Name: "decorrelatedV2", GoConst: "DecorrelatedJitterV2", Doc: "t = n+r, next = 2^t·tanh(√(4t)), delay = (next − prev)·b/1.4, capped"},
			}},
		{Path: "retry.backoff.jitterFactor", Type: Number, Since: first, RunTime: true, max: 1, rangeID: "RG016", def: "0.5", GoField: "Retry.Backoff.JitterFactor",
			needs: []need{{path: "retry.backoff.jitter", values: []string{"ratio"}}},
			Doc:   "The share f of jitter ratio.", Example: "jitterFactor: 0.2"},
		{Path: "retry.backoff.delays", Type: Durations, Since: first, RunTime: true, GoField: "Retry.Backoff.Delays",
			needs: []need{{path: "retry.backoff.strategy", values: []string{"sequence"}}},
			Doc:   "The delays of strategy sequence.", Example: "delays: [100ms, 1s, 5s]"},
	}
}

func bulkheadKeys() []*Key {
	return []*Key{
		{Path: "bulkhead", Type: Part, Since: first, RunTime: true, Unset: none, GoField: "Bulkhead.On",
			Doc: "Limits the executions in flight. `true` takes every default. The slot is released when the delegate really returns, or with the result that outlives the call.", Example: "bulkhead: {maxConcurrent: 10, maxWait: 100ms}"},
		{Path: "bulkhead.name", Type: Text, Since: first, Unset: none, GoField: "Bulkhead.Name",
			Doc: "Shares the slots with every bulkhead of this name in the Runtime.", Example: "name: payments"},
		{Path: "bulkhead.maxConcurrent", Type: Int, Since: first, RunTime: true, ZeroAtRunTime: true, min: 1, def: "25", GoField: "Bulkhead.MaxConcurrent",
			Doc: "Executions at a time.", Example: "maxConcurrent: 10"},
		{Path: "bulkhead.maxWait", Type: Duration, Since: first, RunTime: true, def: "0s", Unset: none, GoField: "Bulkhead.MaxWait",
			Doc: "How long a call waits for a slot, first come, first served. At 0 nobody queues.", Example: "maxWait: 100ms"},
		{Path: "bulkhead.maxQueue", Type: Int, Since: first, RunTime: true, Default: unbounded, Unset: unbounded, GoField: "Bulkhead.MaxQueue",
			Doc: "Calls that may wait at a time.", Example: "maxQueue: 50"},
	}
}

func fallbackKeys() []*Key {
	return []*Key{
		{Path: "fallback", Type: Part, Since: first, Unset: none, GoField: "Fallback.On",
			Doc: "Answers for a call that failed, under the caller's context. `true`, like a fallback that says only when it applies: a method of the generated fallback interface.", Example: "fallback: true"},
		{Path: "fallback.func", Type: Func, Since: first,
			Doc: "A func of the package with the method's parameters, after them the error if it wants it, and the method's results.", Example: "func: cachedQuote"},
		{Path: "fallback.to", Type: Enum, Since: first, Doc: "Another implementation of the interface answers.", Example: "to: secondary",
			Values: []EnumValue{{Name: "secondary", Doc: "the implementation that the constructor is given"}}},
		{Path: "fallback.value", Type: Enum, Since: first, Doc: "A value answers.", Example: "value: zero",
			Values: []EnumValue{{Name: "zero", Doc: "the zero values of the results, and no error"}}},
		{Path: "fallback.applyOn", Type: Matchers, Since: first, Default: "any error", def: anyError, Unset: anyError, GoField: "Fallback.ApplyOn",
			Doc: "The errors that it answers for, over the floor.", Example: "applyOn: [CircuitOpen, BulkheadFull]"},
		{Path: "fallback.skipOn", Type: Matchers, Since: first, Unset: none, GoField: "Fallback.SkipOn",
			Doc: "The errors that it does not. It wins over `applyOn`.", Example: "skipOn: [ErrNotFound]"},
	}
}
