package policy

func cacheKeys() []*Key {
	return []*Key{
		{Path: "cache", Type: Part, Since: first, RunTime: true, Unset: none,
			Doc: "Keeps results of the method, by a key. Concurrent calls that miss one key share one execution.", Example: "cache: {ttl: 1m, key: \"id\"}"},
		{Path: "cache.ttl", Type: Duration, Since: first, RunTime: true, above: true, GoField: "Caching.TTL",
			Doc: "How long a result answers without an execution. Without it there is no cache.", Example: "ttl: 1m"},
		{Path: "cache.key", Type: Expression, Since: first,
			Doc: "What tells calls apart: a Go expression over the parameters, of any type that can be compared. Whatever the result depends on must be in it, the tenant or user in the context too.", Example: "key: \"req.ID\""},
		{Path: "cache.maxEntries", Type: Int, Since: first, RunTime: true, min: 1, def: "1000", GoField: "Caching.MaxEntries",
			Doc: "Results that are kept at most. Roughly the least recently used goes.", Example: "maxEntries: 500"},
		{Path: "cache.staleOnError", Type: Duration, Since: first, RunTime: true, def: "0s", Unset: none, GoField: "Caching.StaleOnError",
			Doc: "How long after its `ttl` a result answers where the execution fails. It does not for what the caller ended, nor for a permanent error, which takes the result away.", Example: "staleOnError: 1h"},
		{Path: "cache.negativeTTL", Type: Duration, Since: first, RunTime: true, def: "0s", Unset: none, GoField: "Caching.NegativeTTL",
			Doc: "How long an error answers without an execution. At 0 none does. What the caller ended and rejections of ours are never kept.", Example: "negativeTTL: 5s"},
	}
}
