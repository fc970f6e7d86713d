package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// entries are complaints about an entry of a method, with what must be said.
var entries = []struct{ name, text, want string }{
	{"typo", "{retry: {maxAtempts: 3}}", "3:19: retry.maxAtempts: unknown key (did you mean maxAttempts?) (RG090)"},
	{"kebab case", "{circuit-breaker: true}", "3:11: circuit-breaker: unknown key (did you mean circuitBreaker?) (RG090)"},
	{"nothing near", "{frobnicate: 3}", "3:11: frobnicate: unknown key; there are use, lint, timeout"},
	{"elsewhere", "{retry: {initialDelay: 1s}}", "retry.initialDelay: unknown key here; write it as retry.backoff.initialDelay (RG090)"},
	{"one of two", "{maxDuration: 1s}", "write it as retry.maxDuration or circuitBreaker.openBackoff.maxDuration"},
	{"part in part", "{retry: {timeout: 1s}}", "retry.timeout: unknown key"},
	{"maxRetries", "{retry: {maxRetries: 3}}", "write maxAttempts: 4, it counts the first execution too (RG090)"},
	{"maxRetries of a word", "{retry: {maxRetries: many}}", "write maxAttempts: N+1"},
	{"slidingWindowSize", "{circuitBreaker: {slidingWindowSize: 50}}", "write window: {type: count, size: 50}"},
	{"requestVolumeThreshold", "{circuitBreaker: {requestVolumeThreshold: 20}}", "write minimumCalls: 20"},
	{"sleepWindowInMilliseconds", "{circuitBreaker: {sleepWindowInMilliseconds: 5000}}", "write openDuration: 5000ms"},
	{"waitDurationInOpenState", "{circuitBreaker: {waitDurationInOpenState: 5s}}", "write openDuration (RG090)"},
	{"perTryTimeout", "{retry: {perTryTimeout: 2s}}", "write timeout: {attempt: …} (RG090)"},
	{"per_try_timeout", "{retry: {per_try_timeout: 2s}}", "write timeout: {attempt: …} (RG090)"},
	{"failureRatio", "{circuitBreaker: {failureRatio: 0.25}}", "write failureRateThreshold, in percent: 25 (RG090)"},
	{"enabled", "{retry: {enabled: false}}", "write none for it"},
	{"checkpoint of nothing", "{checkpoint: {ttl: 1s}}", "checkpoint: wants key: \"req.ID\", what names the work"},
	{"checkpoint as text", "{checkpoint: id}", "wants a mapping, not \"id\", like checkpoint: {key: \"req.ID\"}"},
	{"checkpoint off", "{checkpoint: false}", "write none, not false"},
	{"checkpoint for no time", "{checkpoint: {key: id, ttl: 0s}}", "ttl: must be > 0 (is 0s)"},
	{"mismatch", "{checkpoint: {key: id, onMismatch: retry}}", "\"retry\" is none of refuse, recompute"},
	{"a cache without a key", "{cache: {ttl: 1s}}", "cache: wants key:"},
	{"a cache without a ttl", "{cache: {key: \"id\"}}", "cache: wants ttl:"},
	{"cache true", "{cache: true}", "true says nothing"},
	{"hint", "{expectedRate: 0}", "expectedRate: must be > 0 (is 0)"},
	{"empty retryOn", "{retry: {retryOn: []}}", "an empty list matches nothing; any is the default (RG017)"},
	{"unbounded keys", "{circuitBreaker: {perKey: \"id\", maxKeys: 0}}", "must be 1 to 10000000 (is 0) (RG032)"},
	{"idempotent nothing", "{idempotent: {}}", "idempotent: is empty: write what it shall be"},
	{"idempotent into alone", "{idempotent: {into: \"req.Key\"}}", "idempotent.into: acts only beside key"},
	{"idempotent number", "{idempotent: 3}", "idempotent: wants true or false, not \"3\""},
	{"idempotent torn", "{idempotent: f(a,b)}", "quote it"},
	{"idempotent no expression", "{idempotent: \"a b\"}", "is not a Go expression"},
	{"idempotent unknown", "{idempotent: {key: \"req.ID\", onto: \"req.Key\"}}", "did you mean into?"},
	{"hedge of two kinds", "{hedge: {delay: 1s, percentile: 95}}", "hedge.percentile: a hedge begins after a delay or by percentile, and delay is given at r.yaml:3:"},
	{"hedge of two kinds, the other way round", "{hedge: {warmup: 5, delay: 1s}}", "hedge.warmup: a hedge begins after a delay or by percentile"},
	{"no hedges", "{hedge: {maxHedges: 0}}", "hedge.maxHedges: must be 1 to 100 (is 0)"},
	{"budget", "{retry: {budget: {ratio: 20}}}", "retry.budget.ratio: must be in (0,1] (is 20)"},
	{"no budget", "{retry: {budget: {ratio: 0}}}", "retry.budget.ratio: must be in (0,1] (is 0)"},
	{"file key in an entry", "{preset: production}", "preset: unknown key"},
	{"extends in a method", "{extends: api}", "extends: unknown key"},

	{"no unit", "{timeout: {total: 500}}", "3:28: timeout.total: the duration 500 has no unit: write 500ms or 500s (RG095)"},
	{"fraction without a unit", "{timeout: {total: 1.5}}", "the duration 1.5 has no unit"},
	{"days", "{timeout: {total: 1d}}", "days are written in hours"},
	{"ISO 8601", "{timeout: {total: PT5S}}", "is not a duration: write a number and ns, us, ms, s, m or h"},
	{"no duration", "{timeout: {total: [1s]}}", "wants a duration, not a list"},
	{"too long", "{timeout: {total: 9999999999h}}", "is longer than any duration can be"},
	{"negative", "{timeout: {total: -1s}}", "must be > 0 (is -1s)"},
	{"zero timeout", "{timeout: {attempt: 0s}}", "must be > 0 (is 0s); none switches it off"},
	{"negative delay", "{retry: {backoff: {initialDelay: -1s}}}", "must be ≥ 0 (is -1s)"},
	{"timeout as a scalar", "{timeout: 2s}", "(total is the whole call, attempt one execution)"},
	{"empty timeout", "{timeout: {}}", "timeout: is empty: write what it shall be"},
	{"timeout true", "{timeout: true}", "true says nothing"},
	{"false", "{retry: false}", "write none, not false"},
	{"null", "{retry: }", "retry: has no value"},
	{"part as a list", "{retry: [3]}", "wants a mapping, not a list"},
	{"none where there is none", "{retry: {maxAttempts: none}}", "cannot be none"},
	{"none of a list", "{retry: {retryOn: none}}", "any takes a list back"},
	{"none of a queue", "{bulkhead: {maxQueue: none}}", "0 lets nobody queue, unbounded everybody"},
	{"none of a wait", "{circuitBreaker: {window: none}}", "wants a mapping, not \"none\""},

	{"no attempts", "{retry: {maxAttempts: 0}}", "must be ≥ 1 (is 0); it counts the first attempt too, so “maxRetries: 3” means maxAttempts: 4 (RG010)"},
	{"overflow", "{retry: {maxAttempts: 99999999999}}", "must be ≥ 1 (is 99999999999) (RG010)"},
	{"not whole", "{retry: {maxAttempts: 2.5}}", "wants a whole number, not \"2.5\""},
	{"quoted number", "{retry: {maxAttempts: \"3\"}}", "wants a whole number"},
	{"octal", "{retry: {maxAttempts: 010}}", "wants a whole number"},
	{"multiplier", "{retry: {backoff: {multiplier: 0.5}}}", "must be ≥ 1 (is 0.5) (RG016)"},
	{"multiplier too large", "{retry: {backoff: {multiplier: 1e999}}}", "wants a number, not \"1e999\""},
	{"not a number", "{retry: {backoff: {multiplier: .nan}}}", "wants a number, not \".nan\""},
	{"jitterFactor", "{retry: {backoff: {jitter: ratio, jitterFactor: 2}}}", "must be 0 to 1 (is 2) (RG016)"},
	{"ratio for percent", "{circuitBreaker: {failureRateThreshold: 0.5}}", "must be in (0,100] (is 0.5); it is percent: write 50 for 50 %, not 0.5 (RG020)"},
	{"percent sign", "{circuitBreaker: {failureRateThreshold: 50%}}", "write 50: the threshold is in percent already (RG020)"},
	{"percent too large", "{circuitBreaker: {failureRateThreshold: 101}}", "must be in (0,100] (is 101) (RG020)"},
	{"size", "{circuitBreaker: {window: {size: 0}}}", "must be 1 to 1000000 (is 0)"},
	{"chaos that never comes", "{chaos: {injectionRatio: 0}}", "chaos.injectionRatio: must be in (0,1] (is 0)"},
	{"rateLimit interval", "{rateLimit: {limit: 5, interval: 1s}}", "rateLimit.interval: is not a key of this language: write period: … (RG090)"},
	{"interval of a breaker", "{circuitBreaker: {interval: 1s}}", "circuitBreaker.interval: is not a key of this language: write window: {type: time, duration: …} (RG090)"},
	{"rateLimit rate", "{rateLimit: {rate: 5}}", "rateLimit.rate: is not a key of this language: write limit: 5, period: 1s (RG090)"},
	{"hedge max", "{hedge: {max: 2}}", "hedge.max: is not a key of this language: write maxHedges: 2, which does not count"},
	{"hedge after", "{hedge: {after: 50ms}}", "hedge.after: is not a key of this language: write delay: … (RG090)"},
	{"cache maxSize", "{cache: {ttl: 1s, maxSize: 100}}", "cache.maxSize: is not a key of this language: write maxEntries: 100, which counts entries"},
	{"throttle", "{throttle: true}", "throttle: is not a key of this language: write adaptive: {mode: throttle}"},
	{"foreign part in an order", "{order: [retry, breaker]}", "3:26: order: \"breaker\" is not a name of this language: write circuitBreaker"},
	{"throttle in an order", "{order: [throttle, retry]}", "order: \"throttle\" is not a name of this language: write adaptive"},
	{"enum", "{retry: {backoff: {jitter: fulll}}}", "is none of none, full, equal, ratio, decorrelated, decorrelatedV2 (did you mean full?)"},
	{"enum, nothing near", "{timeout: {total: 1s}, circuitBreaker: {mode: 7}}", "\"7\" is none of enforce, shadow, disabled, forcedOpen"},
	{"bool", "{idempotent: yes}", "wants true or false, not \"yes\""},
	{"name with a space", "{bulkhead: {name: \"a b\"}}", "a name has no spaces"},
	{"name that is a number", "{bulkhead: {name: 5}}", "wants a name, not \"5\": quote it"},
	{"empty name", "{bulkhead: {name: \"\"}}", "wants a name of 1 to 200 characters"},
	{"func", "{fallback: {func: \"f()\"}}", "is not the name of a Go func"},
	{"delays", "{retry: {backoff: {delays: []}}}", "wants a list of durations"},
	{"a delay", "{retry: {backoff: {delays: [1s, 5]}}}", "the duration 5 has no unit"},
	{"two answers", "{fallback: {func: a, value: zero}}", "fallback.value: a fallback has one answer, and func is given at r.yaml:3:22"},

	{"empty list", "{retry: {retryOn: []}}", "an empty list matches nothing"},
	{"list as a scalar", "{retry: {retryOn: ErrBusy}}", "wants a list"},
	{"text", "{retry: {retryOn: [\"connection reset\"]}}", "the text of a message cannot be matched"},
	{"pointer", "{retry: {retryOn: [\"*net.OpError\"]}}", "write the type without the star"},
	{"status code", "{retry: {retryOn: [503]}}", "for HTTP there are HTTP429, HTTP5xx"},
	{"any in a list", "{retry: {retryOn: [any]}}", "it stands instead of the list"},
	{"nested list", "{retry: {retryOn: [[a]]}}", "not a list"},
	{"named twice", "{retry: {retryOn: [a, a]}}", "a is named twice"},
	{"Panic", "{retry: {retryOn: [Panic]}}", "nothing can be retried while a panic unwinds"},
	{"Panic added", "{retry: {abortOn: {add: [Panic]}}}", "nothing can be retried while a panic unwinds"},
	{"edit", "{retry: {retryOn: {ad: [a]}}}", "did you mean add?"},
	{"edit of something else", "{retry: {retryOn: {frobnicate: [a]}}}", "unknown key; there is add, remove"},
	{"empty edit", "{retry: {retryOn: {}}}", "wants add: […], remove: […] or both"},
	{"add nothing", "{retry: {retryOn: {add: []}}}", "names nothing"},
	{"add a word", "{retry: {retryOn: {add: a}}}", "wants a list"},

	{"letters as text", "{deadLetter: payments}", "wants a mapping, not \"payments\", like deadLetter: {queue: payments.notify, overflow: reject}"},
	{"letters off", "{deadLetter: false}", "write none, not false"},
	{"reason", "{deadLetter: {when: [exhausted, paniced]}}", "\"paniced\" is none of exhausted, permanent, deadline, panic, rejected, breakerOpen (did you mean panic?)"},
	{"reason as a number", "{deadLetter: {when: [5]}}", "wants texts in quotes, not \"5\""},
	{"no reason", "{deadLetter: {when: []}}", "an empty list says that nothing is"},
	{"reason that is not there", "{deadLetter: {when: {remove: [rejected]}}}", "rejected is not in the inherited list (exhausted, permanent, deadline, panic)"},
	{"reasons removed", "{deadLetter: {when: {remove: [exhausted, permanent, deadline, panic]}}}", "nothing is left of the inherited list"},
	{"place", "{deadLetter: {redact: [req.card]}}", "is not a place in the arguments: want a JSON pointer"},
	{"place in nothing", "{deadLetter: {redact: [/req//card]}}", "is not a place in the arguments"},
	{"mode", "{deadLetter: {redact: [/req/card hide]}}", "\"hide\" is none of omit, hash, mask, seal"},
	{"mode of what is allowed", "{deadLetter: {allow: [/req/card omit]}}", "is not a place in the arguments"},
	{"parameter", "{deadLetter: {exclude: [\"req.Body\"]}}", "is not the name of a parameter"},
	{"codec as text", "{deadLetter: {codec: shapes}}", "wants a mapping of parameters to Go names, like codec: {shape: shapeCodec}, not \"shapes\""},
	{"codec of nothing", "{deadLetter: {codec: {}}}", "wants a mapping of parameters to Go names"},
	{"codec of a field", "{deadLetter: {codec: {r.x: shapes}}}", "\"r.x\" is not the name of a parameter"},
	{"codec that is no name", "{deadLetter: {codec: {r: [x]}}}", "deadLetter.codec.r: a list is not a Go name"},
	{"size", "{deadLetter: {maxBytes: 5MB}}", "\"5MB\" is not a size: write a whole number and B, KiB, MiB or GiB, like 256MiB"},
	{"no size", "{deadLetter: {maxBytes: 0}}", "is not a size"},
	{"huge size", "{deadLetter: {maxBytes: 99999999999GiB}}", "is more than any disk has"},
	{"wait without block", "{deadLetter: {maxWait: 1s}}", "deadLetter.maxWait"},
	{"after no fallback", "{deadLetter: {afterFallback: true}}", "deadLetter.afterFallback"},
	{"queue with a space", "{deadLetter: {queue: \"a b\"}}", "a name has no spaces"},

	{"lint", "{lint: RG02B}", "lint: wants a mapping"},
	{"lint key", "{lint: {ignor: {RG02B: x}}}", "did you mean ignore?"},
	{"lint list", "{lint: {ignore: [RG02B]}}", "each with a reason"},
	{"lint number", "{lint: {ignore: {RG23: x}}}", "is not the number of a check"},
	{"lint reason", "{lint: {ignore: {RG02B: }}}", "wants the reason"},
	{"use", "{use: [api]}", "wants the name of one policy"},
	{"use a number", "{use: 5}", "wants the name of a policy"},
	{"unknown policy", "{use: databse}", "3:16: use: there is no policy databse (did you mean database?) (RG094)"},
	{"empty entry", "{}", "methods.M: is empty"},
	{"scalar entry", "api", "wants a mapping or none, not \"api\": write {use: api}"},
	{"list entry", "[api]", "wants a mapping or none, not a list"},
}

func TestEntryErrors(t *testing.T) {
	for _, c := range entries {
		t.Run(c.name, func(t *testing.T) {
			got := fails("version: 1\ninterfaces: {G: {methods: {\n      M: "+c.text+"\n}}}", "M")
			if !strings.Contains(got, c.want) || !strings.HasPrefix(got, "r.yaml:") {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// What later versions build is refused wherever it may be written, by its name.
func TestEveryLaterKeyIsRefused(t *testing.T) {
	later := 0
	for _, k := range Keys() {
		if k.Built {
			continue
		}
		later++
		text := k.name() + ": {x: 1}"
		for parent, _ := splitPath(k.Path); parent != ""; parent, _ = splitPath(parent) {
			text = lastName(parent) + ": {" + text + "}"
		}
		for place, file := range map[Place]string{
			InFile:      "version: 1\n" + text,
			InPolicy:    "version: 1\npolicies: {p: {" + text + "}}",
			InInterface: "version: 1\ninterfaces: {G: {" + text + "}}",
			InMethod:    "version: 1\ninterfaces: {G: {methods: {M: {" + text + "}}}}",
		} {
			if k.Places&place == 0 {
				continue
			}
			column := strings.Index(strings.Split(file, "\n")[1], k.name()+":") + 1
			want := fmt.Sprintf("r.yaml:2:%d: %s: not available yet", column, k.Path)
			if got := fails(file, "M"); got != want {
				t.Errorf("%s\ngot  %s\nwant %s", file, got, want)
			}
		}
	}
	for _, name := range []string{"hedge", "chaos", "retry.budget", "checkpoint", "deadLetter", "order", "workflows", "pipelines"} {
		if k := Lookup(name); k == nil {
			t.Errorf("no key %s", name)
		}
	}
	if later == 0 {
		t.Skip("everything is built")
	}
}

func TestFileErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", " \n# nothing\n", "r.yaml:1:1: the file is empty"},
		{"null", "~", "r.yaml:1:1: the file is empty"},
		{"list", "- a", "r.yaml:1:1: a policy file is a mapping"},
		{"no version", "preset: production", "r.yaml:1:1: version: is missing: write version: 1"},
		{"version", "version: 2", "r.yaml:1:10: version: wants 1"},
		{"version in quotes", "version: \"1\"", "version: wants 1"},
		{"unknown key", "version: 1\ninterface: {}", "r.yaml:2:1: interface: unknown key (did you mean interfaces?) (RG090)"},
		{"part at the root", "version: 1\nretry: {}", "retry: belongs to a policy or a method"},
		{"no value", "version: 1\npreset:", "r.yaml:2:1: preset: has no value"},
		{"preset", "version: 1\npreset: prod", "preset: \"prod\" is none of production"},
		{"statusOf", "version: 1\nstatusOf: [a]", "statusOf: wants a func, not a list"},
		{"permanent", "version: 1\npermanent: [Transient]", "Transient is decided by the runtime"},
		{"errors", "version: 1\nerrors: [a]", "errors: wants a mapping, not a list"},
		{"errors named as a matcher", "version: 1\nerrors: {Transient: [a]}", "Transient is a matcher of the language"},
		{"errors with a bad name", "version: 1\nerrors: {\"a b\": [c]}", "a list has a name like transient"},
		{"errors of nothing", "version: 1\nerrors: {a: []}", "errors.a: names nothing"},
		{"errors with Panic", "version: 1\nerrors: {a: [Panic]}", "Panic may be named in circuitBreaker.ignoreOn only"},
		{"errors in a circle", "version: 1\nerrors: {a: [b], b: [a]}", "r.yaml:2:22: errors.b: a cycle: a names itself (RG094)"},
		{"policy named as a built-in", "version: 1\npolicies: {api: {retry: true}}", "api is built in: choose another name and write extends: api"},
		{"policy with a bad name", "version: 1\npolicies: {\"a b\": {retry: true}}", "a policy has a name like payments-api"},
		{"policy as a scalar", "version: 1\npolicies: {a: api}", "policies.a: wants a mapping, not \"api\""},
		{"empty policy", "version: 1\npolicies: {a: {}}", "policies.a: is empty"},
		{"unknown parent", "version: 1\npolicies: {web: {extends: ap}}", "r.yaml:2:27: extends: there is no policy ap (did you mean api?) (RG094)"},
		{"unknown parent, nothing near", "version: 1\npolicies: {web: {extends: zebra}}", "(there are api, database, filesystem, workflowNode, web)"},
		{"cycle", "version: 1\npolicies:\n  a: {extends: b}\n  b: {extends: c}\n  c: {extends: b}\n", "r.yaml:4:16: extends: a cycle: b extends c extends b (RG094)"},
		{"own parent", "version: 1\npolicies: {a: {extends: a}}", "a cycle: a extends a (RG094)"},
		{"interface", "version: 1\ninterfaces: {a-b: {use: api}}", "is not an interface: write Gateway"},
		{"interface of a path", "version: 1\ninterfaces: {io.: {use: api}}", "is not an interface"},
		{"interface as a scalar", "version: 1\ninterfaces: {G: api}", "wants a mapping, not \"api\": write {use: api}"},
		{"interface as a list", "version: 1\ninterfaces: {G: [api]}", "wants a mapping, not a list"},
		{"of", "version: 1\ninterfaces: {G: {of: [a]}}", "of: wants an interface"},
		{"of nothing", "version: 1\ninterfaces: {G: {of: a-b}}", "of: \"a-b\" is not an interface"},
		{"of beside a path", "version: 1\ninterfaces: {io.Reader: {of: G, use: api}}", "a Go identifier, like Backup"},
		{"of null", "version: 1\ninterfaces: {G: {of: , use: api}}", "of: has no value"},
		{"leaveOut", "version: 1\ninterfaces: {G: {leaveOut: some}}", "leaveOut: wants all or a list of methods"},
		{"leaveOut a number", "version: 1\ninterfaces: {G: {leaveOut: [5]}}", "wants the name of a method"},
		{"leaveOut twice", "version: 1\ninterfaces: {G: {leaveOut: [A, A]}}", "A is named twice"},
		{"one generated name", "version: 1\ninterfaces: {G: {use: api}, io.G: {use: api}}", "r.yaml:2:29: interfaces.io.G: generates the names of G, at r.yaml:2:14"},
		{"pattern", "version: 1\ninterfaces: {G: {methods: {\"a-b\": none}}}", "is not a method: a pattern has"},
		{"empty pattern", "version: 1\ninterfaces: {G: {methods: {\"a,\": none}}}", "wants the name of a method, a glob like Get*"},
		{"pattern twice", "version: 1\ninterfaces: {G: {methods: {\"a, a\": none}}}", "a is named twice"},
		{"wild pattern", "version: 1\ninterfaces: {G: {methods: {\"*a*b*c*d*e*f*g*h*i\": none}}}", "has too many wildcards"},
		{"methods as a list", "version: 1\ninterfaces: {G: {methods: [A]}}", "methods: wants a mapping, not a list"},

		{"duplicate key", "version: 1\nversion: 1", "r.yaml:2:1: version: given twice, first at r.yaml:1:1"},
		{"merge key", "version: 1\nerrors: {<<: {a: [b]}}", "r.yaml:2:10: <<: merge keys are not part of the language"},
		{"anchor", "version: 1\npreset: &a production", "r.yaml:2:9: an anchor (&a)"},
		{"alias", "version: 1\npolicies: {a: &a {retry: true}, b: *a}", "r.yaml:2:36: an alias (*a)"},
		{"alias as key", "version: 1\npolicies: {a: &a b, *a : c}", "an alias (*a)"},
		{"tag", "version: 1\npreset: !!str production", "r.yaml:2:9: a tag (!!str)"},
		{"key that is a list", "version: 1\n? [a]\n: b", "r.yaml:2:3: a key must be a word, not a list"},
		{"key that is a number", "version: 1\npolicies: {5: {retry: true}}", "a key must be a string: write \"5\""},
		{"second document", "version: 1\n---\nversion: 1", "r.yaml:2:1: a second document"},
		{"second document, broken", "version: 1\n---\n}", "r.yaml:3:1: not valid YAML"},
		{"tab", "version: 1\ninterfaces:\n\tG: {use: api}", "r.yaml:3:1: a tab: YAML indents with spaces"},
		{"unclosed", "version: 1\ninterfaces: {G: {use: api}\n", "not valid YAML: did not find expected ',' or '}'"},
		{"torn expression", "version: 1\ninterfaces: {G: {circuitBreaker: {perKey: m[req.Host]}}}", "r.yaml:2:1: not valid YAML: did not find expected ',' or '}'; quote the expression of perKey"},
		{"NUL", "version: 1\n# \x00", "r.yaml:2:3: a NUL byte"},
		{"invalid UTF-8", "version: 1\r# \xff", "r.yaml:2:3: invalid UTF-8"},
		{"control character", "version: 1\r\n# \x07", "r.yaml:2:3: control character U+0007"},
		{"line separator", "version: 1 # \u2028", "r.yaml:1:14: invisible character U+2028"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fails(c.text); !strings.Contains(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestResolveErrors(t *testing.T) {
	for _, c := range []struct{ name, iface, want string }{
		{"unknown method", "{use: api, methods: {Chrage: none}}", "methods.Chrage: G has no method Chrage (did you mean Charge?) (RG091)"},
		{"unknown method in a list", "{use: api, methods: {\"Charge, Frob\": none}}", "G has no method Frob (RG091)"},
		{"glob without a method", "{use: api, methods: {\"List*\": none}}", "no method of G matches List* (RG091)"},
		{"glob of closers", "{use: api, methods: {\"Clo*\": {retry: none}}}", "the glob Clo* matches only methods that free a resource"},
		{"leaveOut", "{use: api, leaveOut: [Wach]}", "leaveOut: G has no method Wach (did you mean Watch?) (RG091)"},
		{"uncovered", "{methods: {Charge: none, GetAll: none}}", "interfaces.G: method Watch has no policy"},
		{"two globs", "{use: api, methods: {\"Ch*\": {retry: {maxAttempts: 2}}, \"*ge\": {retry: {maxAttempts: 3}}}}", "retry.maxAttempts: given at r.yaml:2:67 too, by a glob of the same length"},
		{"two globs, none", "{use: api, methods: {\"Ch*\": none, \"*ge\": {retry: none}}}", "none: given at"},
		{"name in two entries", "{use: api, methods: {Charge: {retry: none}, \"Charge, Watch\": {retry: none}}}", "retry: given at r.yaml:2:54 already; nothing wins silently"},
		{"remove what is not there", "{use: api, retry: {retryOn: {remove: [ErrBusy]}}}", "retry.retryOn.remove: ErrBusy is not in the inherited list (Transient)"},
		{"remove everything", "{use: api, retry: {retryOn: {remove: [Transient]}}}", "retry.retryOn: nothing is left of the inherited list"},
		{"size of time", "{circuitBreaker: {window: {type: time, size: 5}}}", "circuitBreaker.window.size: acts only with type: count (it is time)"},
		{"duration of count", "{circuitBreaker: {window: {duration: 5s}}}", "circuitBreaker.window.duration: acts only with type: time (it is count)"},
		{"delays alone", "{retry: {backoff: {delays: [1s]}}}", "acts only with strategy: sequence (it is exponential)"},
		{"sequence alone", "{retry: {backoff: {strategy: sequence}}}", "sequence wants delays"},
		{"jitterFactor alone", "{retry: {backoff: {jitterFactor: 0.2}}}", "acts only with jitter: ratio (it is full)"},
		{"slow rate alone", "{circuitBreaker: {slowCallRateThreshold: 50}}", "acts only beside slowCallDuration"},
		{"wait that is ignored", "{retry: {retryAfter: {honor: false, max: 5s}}}", "retry.retryAfter.max: acts only with honor: true (it is false)"},
		{"exhausted result alone", "{retry: {failOnExhaustedResult: true}}", "acts only beside retryOnResult"},
		{"lone failures by rate", "{circuitBreaker: {consecutiveFailures: 3, halfOpen: {mode: rate}}}", "has only consecutiveFailures"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := fails("version: 1\ninterfaces: {G: "+c.iface+"}", "Charge", "GetAll", "Watch", "Close")
			if !strings.Contains(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAllErrorsAtOnceSorted(t *testing.T) {
	_, err := Read([]Input{
		{Path: "b.yaml", Data: []byte("version: 3\ninterfaces:\n  G: {deadLitter: {}, retry: {x: 1}}\n")},
		{Path: "a.yaml", Data: []byte("version: 1\npreset: x")},
	})
	var list Errors
	if !errors.As(err, &list) {
		t.Fatal(err)
	}
	var places []string
	for _, e := range list {
		places = append(places, e.Pos.String())
	}
	if got, want := strings.Join(places, " "), "a.yaml:2:9 b.yaml:1:10 b.yaml:3:7 b.yaml:3:31"; got != want {
		t.Errorf("places %s, want %s", got, want)
	}
	if got, want := list[3].Line, "  G: {deadLitter: {}, retry: {x: 1}}"; got != want {
		t.Errorf("Line = %q, want %q", got, want)
	}
	var one *Error
	if !errors.As(err, &one) || one.Pos.File != "a.yaml" {
		t.Errorf("errors.As found %v", one)
	}
}

func TestErrorsAreLimited(t *testing.T) {
	_, err := Read([]Input{{Path: "r.yaml", Data: []byte(strings.Repeat("x: 1\n", 20_000))}})
	if n := len(err.(Errors)); n > maxErrors+10 {
		t.Errorf("%d errors, want about %d at most", n, maxErrors)
	}
}

func TestLongLinesAreNotShown(t *testing.T) {
	_, err := Read([]Input{{Path: "r.yaml", Data: []byte("version: 1\nx: " + strings.Repeat("a", 2*maxLine))}})
	if line := err.(Errors)[0].Line; line != "" {
		t.Errorf("a line of %d characters is shown", len(line))
	}
}

// fails reads and resolves the text and returns the complaints, one a line.
func fails(text string, methods ...string) string {
	set, err := Read([]Input{{Path: "r.yaml", Data: []byte(text)}})
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, f := range set.Files {
		for _, i := range f.Interfaces {
			_, errs := i.Resolve(methodsOf(methods))
			for _, err := range errs {
				lines = append(lines, err.Error())
			}
		}
	}
	return strings.Join(lines, "\n")
}
