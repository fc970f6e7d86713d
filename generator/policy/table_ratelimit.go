package policy

func rateLimitKeys() []*Key {
	return []*Key{
		{Path: "rateLimit", Type: Part, Since: first, RunTime: true, Unset: none,
			Doc: "Limits executions in a period. It needs a `limit`.", Example: "rateLimit: {limit: 100, period: 1s, maxWait: 200ms}"},
		{Path: "rateLimit.name", Type: Text, Since: first, Unset: none, GoField: "RateLimit.Name",
			Doc: "Shares the permits with every rate limit of this name in the Runtime.", Example: "name: payments"},
		{Path: "rateLimit.mode", Type: Enum, Since: first, GoField: "RateLimit.Mode", def: "token",
			Doc: "How permits are counted. Mode rolling remembers when each was taken, 8 bytes for each permit of `limit`; the others need nothing for a permit.", Example: "mode: fixed",
			Values: []EnumValue{
				{Name: "token", GoConst: "TokenLimit", Doc: "a bucket of `burst` permits, full at first, refilled at `limit` in a `period`"},
				{Name: "smooth", GoConst: "SmoothLimit", Doc: "one permit every period/limit; idle time accrues, up to `limit`; there is one at first"},
				{Name: "fixed", GoConst: "FixedLimit", Doc: "`limit` permits in each period; the first one begins with the limiter"},
				{Name: "rolling", GoConst: "RollingLimit", Doc: "`limit` permits in any period; a `limit` of at most 1000000"},
			}},
		{Path: "rateLimit.limit", Type: Int, Since: first, RunTime: true, min: 1, max: 1_000_000_000, rangeID: "RG054", GoField: "RateLimit.Limit",
			Doc: "Permits in a period.", Example: "limit: 100"},
		{Path: "rateLimit.period", Type: Duration, Since: first, RunTime: true, above: true, min: 1e6 - 1, max: 8784 * 3600e9, rangeID: "RG054", Range: "1ms to 8784h", def: "1s", GoField: "RateLimit.Period",
			Doc: "The period.", Example: "period: 1m"},
		{Path: "rateLimit.burst", Type: Int, Since: first, RunTime: true, min: 1, max: 1_000_000_000, rangeID: "RG054", Default: "limit", GoField: "RateLimit.Burst",
			needs: []need{{path: "rateLimit.mode", values: []string{"token"}}},
			Doc:   "The permits that the bucket holds at most.", Example: "burst: 20"},
		{Path: "rateLimit.maxWait", Type: Duration, Since: first, RunTime: true, def: "0s", Unset: none, GoField: "RateLimit.MaxWait",
			Doc: "How long a call waits for its permits, first come, first served; `timeout.total`, `retry.maxDuration` and the caller bound it too. Who cannot be served in time does not wait. At 0 nobody queues.", Example: "maxWait: 200ms"},
		{Path: "rateLimit.scope", Type: Enum, Since: first, GoField: "RateLimit.Scope", def: "attempt",
			Doc: "What takes a permit.", Example: "scope: call",
			Values: []EnumValue{
				{Name: "attempt", GoConst: "PerAttempt", Doc: "every execution"},
				{Name: "call", GoConst: "PerCall", Doc: "the first execution of a call; its retries are free"},
			}},
		{Path: "rateLimit.cost", Type: Expression, Since: first, Unset: none,
			Doc: "How many permits a call takes instead of one: a Go expression over the method's parameters, an integer; none at 0 or less. What costs more than there can be at once is paid in instalments by who is first in line, if `maxWait` is long enough.", Example: "cost: \"req.Tokens\""},
		{Path: "rateLimit.perKey", Type: Expression, Since: first, Unset: none, GoField: "RateLimit.PerKey",
			Doc: "One limiter for each value of a Go expression over the method's parameters, a string.", Example: "perKey: \"req.Tenant\""},
		{Path: "rateLimit.maxKeys", Type: Int, Since: first, min: 1, max: 10_000_000, rangeID: "RG032", noneID: "RG032", def: "1000", GoField: "RateLimit.MaxKeys",
			needs: []need{{path: "rateLimit.perKey"}},
			Doc:   "Limiters kept at a time. Roughly the least recently used goes, of those that are in nobody's use and have every permit back; if there is none, one shared limiter serves the rest.", Example: "maxKeys: 200"},
	}
}
