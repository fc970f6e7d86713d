package policy

import (
	"fmt"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

// builtinSource is what the built-in policies say, in their own language. The
// breakers trip on a rate, never on a few failures in a row: a count no greater
// than maxAttempts would let one poisonous request open the circuit for all.
const builtinSource = `
api:
  timeout: {total: 30s, attempt: 10s}
  retry:
    maxAttempts: 3
    backoff: {initialDelay: 1s, maxDelay: 10s, multiplier: 2, jitter: ratio, jitterFactor: 0.1}
    retryOn: [Transient]
    budget: {ratio: 0.2, minConcurrency: 3}
  circuitBreaker:
    window: {type: time, duration: 30s}
    minimumCalls: 10
    failureRateThreshold: 50
    openDuration: 30s
    halfOpen: {successThreshold: 2}
database:
  timeout: {total: 5s, attempt: 2s}
  retry:
    maxAttempts: 3
    backoff: {initialDelay: 100ms, maxDelay: 1s, multiplier: 2, jitter: full}
    retryOn: [Transient]
    budget: {ratio: 0.2, minConcurrency: 3}
  circuitBreaker:
    window: {type: time, duration: 30s}
    minimumCalls: 10
    failureRateThreshold: 50
    openDuration: 10s
    halfOpen: {successThreshold: 3}
filesystem:
  timeout: {total: 10s, attempt: 5s}
  retry:
    maxAttempts: 3
    backoff: {initialDelay: 50ms, maxDelay: 500ms, multiplier: 2, jitter: full}
    retryOn: [Transient]
    budget: {ratio: 0.2, minConcurrency: 3}
workflowNode:
  timeout: {total: 2m, attempt: 1m}
  retry:
    maxAttempts: 3
    backoff: {initialDelay: 500ms, maxDelay: 5s, multiplier: 2, jitter: ratio, jitterFactor: 0.2}
    budget: {ratio: 0.2, minConcurrency: 3}
  circuitBreaker:
    window: {type: time, duration: 30s}
    minimumCalls: 10
    failureRateThreshold: 50
    openDuration: 60s
    halfOpen: {successThreshold: 2}
`

// presetSource is what the presets say about the parts that are on.
const presetSource = `
production:
  circuitBreaker: {minimumCalls: 10, openDuration: 60s, halfOpen: {successThreshold: 2}}
  retry: {maxAttempts: 5, backoff: {initialDelay: 1s, maxDelay: 30s, multiplier: 2, jitter: ratio, jitterFactor: 0.2}, budget: {ratio: 0.2, minConcurrency: 3}}
  deadLetter: {maxReplays: 5, maxAge: 168h}
development:
  circuitBreaker: {minimumCalls: 10, openDuration: 30s, halfOpen: {successThreshold: 2}}
  retry: {maxAttempts: 3, backoff: {initialDelay: 500ms, maxDelay: 5s, multiplier: 2, jitter: ratio, jitterFactor: 0.1}}
  deadLetter: {maxReplays: 3, maxAge: 24h}
testing:
  circuitBreaker: {minimumCalls: 20, openDuration: 10s, halfOpen: {successThreshold: 1}}
  retry: {maxAttempts: 1, backoff: {initialDelay: 0s, multiplier: 1, jitter: none}}
  deadLetter: {maxReplays: 1, maxAge: 1h}
`

// Builtins are the names of the built-in policies.
func Builtins() []string { return []string{"api", "database", "filesystem", "workflowNode"} }

var builtins = sync.OnceValue(func() map[string]*entry {
	return ownEntries(builtinSource, "policy %s (built in)")
})

var presets = sync.OnceValue(func() map[string]map[string]Value {
	all := make(map[string]map[string]Value)
	for name, e := range ownEntries(presetSource, "preset %s") {
		all[name] = make(map[string]Value)
		for _, v := range e.values {
			if !v.Key.group() {
				all[name][v.Key.Path] = v
			}
		}
	}
	return all
})

// builtin returns the built-in policy with the name, or nil.
func builtin(name string) *entry { return builtins()[name] }

// ownEntries reads entries of our own. They have no place, only an origin.
func ownEntries(text, origin string) map[string]*entry {
	r := &reader{newSource(Input{Data: []byte(strings.TrimSpace(text))})}
	root := r.parse()
	all := make(map[string]*entry)
	for _, p := range pairs(root) {
		e := r.entry(p.value, InPolicy, nil)
		e.pos = Pos{}
		for i := range e.values {
			v := &e.values[i]
			v.Pos, v.Origin = Pos{}, fmt.Sprintf(origin, p.name)
			if l, ok := v.V.(edit); ok {
				for j := range l.names {
					l.names[j].Pos = Pos{}
				}
			}
		}
		all[p.name] = e
	}
	if len(r.errs) > 0 {
		panic(r.errs) // a test reads them all
	}
	return all
}

// defaults are the defaults of the table, read once.
var defaults = sync.OnceValue(func() map[string]any {
	all := make(map[string]any)
	for _, k := range Keys() {
		switch {
		case k.def == "":
		case k.Type == Matchers:
			all[k.Path] = List{Any: true}
		case k.Type == Words:
			all[k.Path] = List{Names: k.usual()}
		default:
			n := &yaml.Node{Kind: yaml.ScalarNode, Value: k.def, Tag: "!!str"}
			if k.Type != Duration && k.Type != Enum && k.Type != Bytes {
				n.Tag = "!!int"
			}
			if k.Type == Bool || k.Type == Condition {
				n.Tag = "!!bool"
			}
			v, c := k.scalar(n)
			if c.bad() {
				panic(k.Path + ": " + c.msg) // a test reads them all
			}
			all[k.Path] = v
		}
	}
	return all
})
