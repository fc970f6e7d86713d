package lint

// keeps is a package with a method that takes and returns this.
func keeps(imports, takes, returns string) string {
	return "import (\n\t\"context\"\n" + imports + ")\n\ntype Gateway interface {\n\tCharge(ctx context.Context, " + takes + ") " + returns + "\n}"
}

const kept = "{timeout: {total: 1s}, idempotent: true, deadLetter: {overflow: reject}}"

var deadLetterRules = []Rule{
	{ID: "RG070", Doc: "one failure is not kept as many letters", Severity: Warning,
		Why:   "A failure that the cache remembers fails every call with its key, as fast as they come, and each is kept by itself. One outage of a second fills the queue with calls that were never made.",
		Fires: Example{Policy: "{timeout: {total: 1s}, idempotent: true, cache: {ttl: 1m, key: id, negativeTTL: 1s}, deadLetter: {overflow: reject}}"},
		Holds: Example{Policy: "{timeout: {total: 1s}, idempotent: true, cache: {ttl: 1m, key: id}, deadLetter: {overflow: reject}}"}},
	{ID: "RG071", Doc: "a replay leaves nothing open", Severity: Fact,
		Why:   "A replay has no caller. What it opens, a stream, a body, rows, nobody reads and nobody closes: each letter would leak a connection when it is replayed.",
		Fires: Example{Policy: "{timeout: {open: 1s}, idempotent: true, deadLetter: {overflow: reject}}", Go: keeps("\t\"io\"\n", "id string", "(io.ReadCloser, error)")},
		Holds: Example{Policy: kept, Go: keeps("", "id string", "([]byte, error)")}},
	{ID: "RG072", Doc: "a letter can hold the arguments", Severity: Fact,
		Why:   "A letter is written as JSON and read by another process, perhaps by another version. What JSON loses, or cannot write, is found when somebody wants the call back: at the worst time, and too late.",
		Fires: Example{Policy: kept, Go: keeps("\t\"io\"\n", "body io.Reader", "error")},
		Holds: Example{Policy: kept, Go: keeps("", "body []byte", "error")}},
	{ID: "RG073", Doc: "it is decided what goes when a queue of letters is full", Severity: Warning,
		Why:   "A queue fills up in the outage that it is there for. Whether the oldest letters go, or the newest, or calls wait, is a decision about money that nobody should find out about afterwards.",
		Fires: Example{Policy: "{timeout: {total: 1s}, idempotent: true, deadLetter: {}}"},
		Holds: Example{Policy: kept}},
	{ID: "RG074", Doc: "a letter can be replayed without a question", Severity: Info,
		Why:   "A call that timed out may have done its work. Its replay does it again, unless the method is idempotent: so whoever replays letters of others has to say that this is right.",
		Fires: Example{Policy: "{timeout: {total: 1s}, deadLetter: {overflow: reject}}"},
		Holds: Example{Policy: kept}},
	{ID: "RG075", Doc: "what a policy says of arguments means some", Severity: Fact,
		Why:   "A place to redact that is misspelt redacts nothing, and the number of a card is on the disk. So every place, parameter and tag that a policy of letters names must be there.",
		Fires: Example{Policy: "{timeout: {total: 1s}, idempotent: true, deadLetter: {overflow: reject, redact: [/idd]}}"},
		Holds: Example{Policy: "{timeout: {total: 1s}, idempotent: true, deadLetter: {overflow: reject, redact: [/id]}}"}},
	{ID: "RG076", Doc: "some call can be kept", Severity: Judgement,
		Why:   "Letters for an open breaker, where there is no breaker, are never written. The queue is empty, which looks like good news.",
		Fires: Example{Policy: "{timeout: {total: 1s}, idempotent: true, deadLetter: {overflow: reject, when: [breakerOpen]}}"},
		Holds: Example{Policy: "{timeout: {total: 1s}, idempotent: true, circuitBreaker: {}, deadLetter: {overflow: reject, when: [breakerOpen]}}"}},
	{ID: "RG077", Doc: "what is kept is worth a replay", Severity: Info,
		Why:   "A failed read is over when its caller has gone: a replay reads for nobody. Its letters fill the queue, with the arguments of whoever asked, and hide those that matter.",
		Fires: Example{Policy: kept, Go: "import \"context\"\n\ntype Gateway interface{ GetPrice(ctx context.Context, id string) (int, error) }"},
		Holds: Example{Policy: kept, Go: keeps("", "id string", "(int, error)")}},
	{ID: "RG079", Doc: "what a fallback answers for a rejected call is kept, too", Severity: Warning,
		Why:   "While the breaker is open the fallback answers every call, and none of them is done. That is the outage for which afterFallback keeps calls; and when, as it stands, keeps none that was rejected.",
		Fires: Example{Policy: "{timeout: {total: 1s}, idempotent: true, circuitBreaker: {}, fallback: true, deadLetter: {overflow: reject, afterFallback: true}}"},
		Holds: Example{Policy: "{timeout: {total: 1s}, idempotent: true, circuitBreaker: {}, fallback: true, deadLetter: {overflow: reject, afterFallback: true, when: {add: [breakerOpen]}}}"}},
}
