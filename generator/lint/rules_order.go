package lint

var orderRules = []Rule{
	{ID: "RG042", Doc: "parts nest in an order that makes sense", Severity: Fact,
		Why:   "Which part is around which decides what each of them sees. A retry around the fallback never sees a failure and never repeats anything; a breaker inside a limit does not learn of what came too late. The order is a list of all that is moved, so that none stands where nobody has looked.",
		Fires: Example{Policy: "{methods: {Charge: {idempotent: true, timeout: {attempt: 1s}, retry: {maxAttempts: 2}, fallback: true, order: [retry, fallback]}}}"},
		Holds: Example{Policy: "{methods: {Charge: {idempotent: true, timeout: {total: 5s, attempt: 1s}, retry: {maxAttempts: 2}, rateLimit: {limit: 100}, order: [rateLimit, timeout.total, retry, timeout.attempt]}}}"}},
}
