package generator

import (
	"strings"
	"testing"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// What is said about a method mentions every part of its policy.
func TestEveryPartIsMentioned(t *testing.T) {
	for _, part := range policy.Parts() {
		e := effective(t, policy.Lookup(part).Example)
		if text := nesting(e); !strings.Contains(text, part) {
			t.Errorf("nesting with %s = %q", part, text)
		}
		m := &templates.Method{Name: "Get", Policy: &templates.Literal{}}
		m.Fallback.Method = part == "fallback"
		if part == "deadLetter" {
			m.Letters = &templates.Letters{Queue: "payments.notify"}
		}
		if text := sentence(&templates.Wrapper{Short: "G"}, m, e); text == "Get calls the wrapped G." {
			t.Errorf("sentence says nothing of %s", part)
		}
		if text := describe(m, e); strings.HasPrefix(text, ";") {
			t.Errorf("describe with %s = %q", part, text)
		}
	}
}

// What is said is true of the policy, whatever it has and lacks.
func TestSentencesAreTrue(t *testing.T) {
	for _, c := range []struct{ entry, sentence, summary string }{
		{"retry: {maxAttempts: 1}", "Get calls the wrapped G, once.", "1 attempt; at worst unbounded: no timeout"},
		{"retry: {maxAttempts: 1}, timeout: {attempt: 1s}", "Get calls the wrapped G, once, for at most 1s.", "1 attempt of 1s; at worst 1s"},
		{"retry: {maxAttempts: 2}, timeout: {attempt: 1s}", "Get calls the wrapped G, up to 2 times and for 1s each time.", "2 attempts of 1s each; at worst 2.1s, with Retry-After 32s"},
		{"timeout: {total: 90m, open: 1m}", "Get calls the wrapped G, within 1h30m in all, which must return within 1m.", "1h30m in all, opened in 1m; at worst 1m"},
		{"timeout: {mode: abandon}", "Get calls the wrapped G. It is not waited for when the caller has left.", "left behind when late; at worst unbounded: no timeout"},
		{"timeout: {total: 1s, mode: abandon}", "Get calls the wrapped G, within 1s in all. One that is late is not waited for.", "1s in all, left behind when late; at worst 1s"},
		{"circuitBreaker: true", "Get calls the wrapped G, while the breaker lets it.", "breaker; at worst unbounded: no timeout"},
		{"circuitBreaker: {mode: shadow}", "Get calls the wrapped G, watched by the breaker, which rejects nothing.", "breaker in shadow; at worst unbounded: no timeout"},
		{"circuitBreaker: {mode: disabled}", "Get calls the wrapped G.", "breaker, disabled; at worst unbounded: no timeout"},
		{"circuitBreaker: {mode: forcedOpen}", "Get calls the wrapped G. Its breaker is forced open, and rejects every call.", "breaker, forced open; at worst unbounded: no timeout"},
		{"circuitBreaker: true, health: {register: true}", "Get calls the wrapped G, while the breaker lets it. Its breaker shows in the health of the service.", "breaker, in health; at worst unbounded: no timeout"},
		{"circuitBreaker: true, health: {register: true, failOn: open}", "Get calls the wrapped G, while the breaker lets it. The service is not ready while its breaker is open.", "breaker, not ready while it is open; at worst unbounded: no timeout"},
		{"circuitBreaker: {mode: shadow}, health: {register: true, failOn: open}", "Get calls the wrapped G, watched by the breaker, which rejects nothing. Its breaker shows in the health of the service.", "breaker in shadow, in health; at worst unbounded: no timeout"},
		{"circuitBreaker: true, health: {register: false}", "Get calls the wrapped G, while the breaker lets it.", "breaker; at worst unbounded: no timeout"},
		{"bulkhead: {maxConcurrent: 2, maxWait: 1s}, timeout: {attempt: 1s}", "Get calls the wrapped G, for at most 1s, no more than 2 at a time.", "timeout 1s, 2 at a time; at worst 2s"},
		{"hedge: true", "Get calls the wrapped G, and once more if it fails or has not answered after as long as 95% take.", "hedged at p95; at worst unbounded: no timeout"},
		{"hedge: {delay: 50ms}, timeout: {attempt: 1s}", "Get calls the wrapped G, and once more if it fails or has not answered after 50ms, for at most 1s each time.", "hedged after 50ms, timeout 1s each; at worst 1.05s"},
		{"hedge: {maxHedges: 2, delay: 5s}, timeout: {attempt: 1s}, bulkhead: {maxWait: 1s}", "Get calls the wrapped G, and up to 2 more times, whenever one fails or has not answered after 5s, for at most 1s each time, no more than 25 at a time.", "2 hedges, each after 5s, timeout 1s each, 25 at a time; at worst 6s"},
		{"hedge: {maxHedges: 2, delay: 0s}, timeout: {total: 1s}", "Get calls the wrapped G, 3 times at once, within 1s in all.", "3 attempts at once, 1s in all; at worst 1s"},
		{"hedge: {delay: 1s}, retry: {budget: {ratio: 0.05, minConcurrency: 1}}", "Get calls the wrapped G, and once more if it fails or has not answered after 1s. No more than 5% of the calls in flight are repeated, or 1 if that is more.", "hedged after 1s, budget 5%; at worst unbounded: no timeout"},
		{"rateLimit: {limit: 100, maxWait: 1s}, timeout: {attempt: 1s}", "Get calls the wrapped G, for at most 1s, no more than 100 in 1s.", "timeout 1s, 100 in 1s; at worst 2s"},
		{"rateLimit: {limit: 5, period: 1m, maxWait: 1s}, retry: {maxAttempts: 3, backoff: none, retryAfter: none}, timeout: {attempt: 1s}", "Get calls the wrapped G, up to 3 times and for 1s each time, no more than 5 in 1m.", "3 attempts of 1s each, 5 in 1m; at worst 6s"},
		{"rateLimit: {limit: 5, scope: call, maxWait: 1s}, retry: {maxAttempts: 3, backoff: none, retryAfter: none}, timeout: {attempt: 1s}", "Get calls the wrapped G, up to 3 times and for 1s each time, no more than 5 in 1s without retries.", "3 attempts of 1s each, 5 in 1s without retries; at worst 4s"},
		{"adaptive: true", "Get calls the wrapped G, less often while the peer refuses.", "adaptive throttle; at worst unbounded: no timeout"},
		{"adaptive: {mode: concurrency}, bulkhead: {maxConcurrent: 2}", "Get calls the wrapped G, no more than 2 at a time, as many at a time as its latency allows.", "2 at a time, adaptive concurrency; at worst unbounded: no timeout"},
		{"fallback: {value: zero}", "Get calls the wrapped G. If that fails, it returns zero values and no error.", "fallback; at worst unbounded: no timeout"},
		{"fallback: {applyOn: [Timeout, CircuitOpen, io.EOF]}", "Get calls the wrapped G. If that fails with Timeout, CircuitOpen or io.EOF, fallback answers.", "fallback; at worst unbounded: no timeout"},
		{"fallback: {applyOn: {add: [Permanent]}, skipOn: [ErrGone]}", "Get calls the wrapped G. If that fails, and not with ErrGone, fallback answers.", "fallback; at worst unbounded: no timeout"},
	} {
		e := effective(t, c.entry)
		m := &templates.Method{Name: "Get", Policy: &templates.Literal{}, Abandon: e.Str("timeout.mode") == "abandon"}
		m.Fallback.Zero = e.Str("fallback.value") == "zero"
		m.Fallback.Method = e.Has("fallback") && !m.Fallback.Zero
		got, told, _ := strings.Cut(sentence(&templates.Wrapper{Short: "G"}, m, e), " Nesting, outermost first: ")
		if got != c.sentence {
			t.Errorf("%s\ngot  %s\nwant %s", c.entry, got, c.sentence)
		}
		if parts := e.Nesting(); len(parts) > 1 && told != strings.Join(parts, ", ")+"." {
			t.Errorf("%s\nnests %q, and not %v", c.entry, told, parts)
		}
		if got := describe(m, e); got != c.summary {
			t.Errorf("%s\ngot  %s\nwant %s", c.entry, got, c.summary)
		}
	}
}

// effective resolves an entry for a method Get that may be executed twice.
func effective(t *testing.T, entry string) *policy.Effective {
	t.Helper()
	yaml := "version: 1\ninterfaces: {G: {idempotent: true, " + entry + "}}"
	set, err := policy.Read([]policy.Input{{Path: "resilience.yaml", Data: []byte(yaml)}})
	if err != nil {
		t.Fatal(err)
	}
	list, errs := set.Files[0].Interfaces[0].Resolve([]policy.Method{{Name: "Get"}})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return list[0]
}
