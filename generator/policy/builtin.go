package policy

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// builtin are the built-in policies.
var builtin = func() map[string]body {
	texts := map[string]string{
		"api": "{timeout: {total: 30s, attempt: 10s}, retry: {maxAttempts: 3, retryOn: [Transient], " +
			"backoff: {initialDelay: 1s, maxDelay: 10s, multiplier: 2, jitter: ratio, jitterFactor: 0.1}}, " + breakerOf("2", "30s"),
		"database": "{timeout: {total: 5s, attempt: 2s}, retry: {maxAttempts: 3, retryOn: [Transient], " +
			"backoff: {initialDelay: 100ms, maxDelay: 1s, multiplier: 2, jitter: full}}, " + breakerOf("3", "10s"),
		"filesystem": "{timeout: {total: 10s, attempt: 5s}, retry: {maxAttempts: 3, retryOn: [Transient], " +
			"backoff: {initialDelay: 50ms, maxDelay: 500ms, multiplier: 2, jitter: full}}}",
		"workflowNode": "{timeout: {total: 2m, attempt: 1m}, retry: {maxAttempts: 3, " +
			"backoff: {initialDelay: 500ms, maxDelay: 5s, multiplier: 2, jitter: ratio, jitterFactor: 0.2}}, " + breakerOf("2", "60s"),
	}
	all := map[string]body{}
	for name, text := range texts {
		s, b := &source{path: name}, body{}
		s.readBody(b, "", s.parse([]byte(text)))
		if len(s.errs) > 0 {
			panic(s.errs)
		}
		for key, v := range b {
			v.Origin, v.Pos = "policy "+name+" (built in)", Pos{}
			b[key] = v
		}
		all[name] = b
	}
	return all
}()

// breakerOf is the breaker of a built-in policy. It trips by rate: a count of
// failures in a row would let one poisonous request open it for everybody.
func breakerOf(successes, open string) string {
	return "circuitBreaker: {window: {type: time, duration: 30s}, minimumCalls: 10, failureRateThreshold: 50, " +
		"halfOpen: {successThreshold: " + successes + "}, openDuration: " + open + "}}"
}

// presets are the numbers that a preset slips under a policy.
var presets = map[string]map[string]string{
	"production":  preset("60s", "5", "1s", "30s", "2", "0.2"),
	"development": preset("30s", "3", "500ms", "5s", "2", "0.1"),
}

func preset(open, attempts, initial, limit, multiplier, factor string) map[string]string {
	return map[string]string{
		"circuitBreaker.minimumCalls": "10", "circuitBreaker.halfOpen.successThreshold": "2", "circuitBreaker.openDuration": open,
		"retry.maxAttempts": attempts, "retry.backoff.initialDelay": initial, "retry.backoff.maxDelay": limit,
		"retry.backoff.multiplier": multiplier, "retry.backoff.jitter": "ratio", "retry.backoff.jitterFactor": factor,
	}
}

// must parses a value of the tables.
func (k *Key) must(text string) any {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		panic(err)
	}
	v, msg, _ := k.parse(doc.Content[0])
	if msg != "" {
		panic(fmt.Sprintf("%s: %s: %s", k.Path, text, msg))
	}
	return v
}
