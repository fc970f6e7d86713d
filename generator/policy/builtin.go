package policy

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// builtin are the built-in policies. Their breakers are missing as long as
// breakers are.
var builtin = func() map[string]body {
	texts := map[string]string{
		"api": "{timeout: {total: 30s, attempt: 10s}, retry: {maxAttempts: 3, retryOn: [Transient], " +
			"backoff: {initialDelay: 1s, maxDelay: 10s, multiplier: 2, jitter: ratio, jitterFactor: 0.1}}}",
		"database": "{timeout: {total: 5s, attempt: 2s}, retry: {maxAttempts: 3, retryOn: [Transient], " +
			"backoff: {initialDelay: 100ms, maxDelay: 1s, multiplier: 2, jitter: full}}}",
		"filesystem": "{timeout: {total: 10s, attempt: 5s}, retry: {maxAttempts: 3, retryOn: [Transient], " +
			"backoff: {initialDelay: 50ms, maxDelay: 500ms, multiplier: 2, jitter: full}}}",
		"workflowNode": "{timeout: {total: 2m, attempt: 1m}, retry: {maxAttempts: 3, " +
			"backoff: {initialDelay: 500ms, maxDelay: 5s, multiplier: 2, jitter: ratio, jitterFactor: 0.2}}}",
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

// presets are the numbers that a preset slips under a retry.
var presets = map[string]map[string]string{
	"production":  retryPreset("5", "1s", "30s", "2", "0.2"),
	"development": retryPreset("3", "500ms", "5s", "2", "0.1"),
}

func retryPreset(attempts, initial, limit, multiplier, factor string) map[string]string {
	return map[string]string{
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
