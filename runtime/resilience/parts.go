package resilience

import (
	"fmt"
	"slices"
	"strings"
)

// A policyPart is a part of a [Policy] by its key. What is said of each is in
// funcs over all of them, and not in funcs of their own, of which every binary
// would have forty.
type policyPart struct{ key string }

var policyParts = []policyPart{
	{"timeout"}, {"retry"}, {"retry.budget"}, {"hedge"}, {"circuitBreaker"}, {"rateLimit"}, {"bulkhead"}, {"adaptive"}, {"chaos"}, {"fallback"}, {"cache"},
}

// on reports whether p has the part.
func (part *policyPart) on(p *Policy) bool {
	switch part.key {
	case "timeout":
		return p.Timeout != (Timeout{})
	case "retry":
		return p.Retry.set()
	case "retry.budget":
		return p.budgeted()
	case "hedge":
		return p.Hedge.set()
	case "circuitBreaker":
		return p.Breaker.set()
	case "rateLimit":
		return p.RateLimit != (RateLimit{})
	case "bulkhead":
		return p.Bulkhead != (Bulkhead{})
	case "adaptive":
		return p.Adaptive.set()
	case "chaos":
		return p.Chaos.set()
	case "fallback":
		return p.Fallback.On || p.Fallback.ApplyOn.given() || p.Fallback.SkipOn.given()
	case "cache":
		return p.Caching != (Caching{})
	}
	panic("no such part: " + part.key)
}

// from copies the part from another policy: the generated one puts it back, the
// zero one takes it out.
func (part *policyPart) from(p, other *Policy) {
	switch part.key {
	case "timeout":
		p.Timeout = other.Timeout
	case "retry":
		p.Retry = other.Retry
	case "retry.budget":
		if p.Budget = other.Budget; !other.budgeted() { // a preset would bring one
			p.Budget.Ratio = None
		}
	case "hedge":
		p.Hedge = other.Hedge
	case "circuitBreaker":
		p.Breaker = other.Breaker
	case "rateLimit":
		p.RateLimit = other.RateLimit
	case "bulkhead":
		p.Bulkhead = other.Bulkhead
	case "adaptive":
		p.Adaptive = other.Adaptive
	case "chaos":
		p.Chaos = other.Chaos
	case "fallback":
		p.Fallback = other.Fallback
	case "cache":
		p.Caching = other.Caching
	}
}

// turnOn keeps the part on without any value of its own, if it can be.
func (part *policyPart) turnOn(p *Policy) {
	switch part.key {
	case "retry":
		p.Retry.On = true
	case "retry.budget":
		p.Budget.On = true
	case "hedge":
		p.Hedge.On = true
	case "circuitBreaker":
		p.Breaker.On = true
	case "bulkhead":
		p.Bulkhead.On = true
	case "adaptive":
		p.Adaptive.On = true
	case "chaos":
		p.Chaos.On = true
	case "fallback":
		p.Fallback.On = true
	}
}

// shared is the name under which the guard shares the part's state, "" if it
// does not.
func (part *policyPart) shared(g *Guard) string {
	switch part.key {
	case "retry.budget":
		return g.policy.Budget.Name
	case "rateLimit":
		return g.policy.RateLimit.Name
	case "bulkhead":
		return g.policy.Bulkhead.Name
	case "circuitBreaker":
		if name, shared := g.breakerName(); shared && g.policy.Breaker.set() {
			return name
		}
	}
	return ""
}

func lookupPart(key string) *policyPart {
	if i := slices.Index(policyParts, policyPart{key}); i >= 0 {
		return &policyParts[i]
	}
	return nil
}

// takeOut removes the parts that a list like "retry, hedge" names.
func takeOut(p *Policy, list string) {
	for _, key := range partList(list) {
		if part := lookupPart(key); part != nil { // else it is about to be refused
			part.from(p, &Policy{})
		}
	}
}

func partList(text string) []string {
	var list []string
	for key := range strings.SplitSeq(text, ",") {
		if key = strings.TrimSpace(key); key != "" {
			list = append(list, key)
		}
	}
	return list
}

func checkPartList(text string) error {
	for _, key := range partList(text) {
		if lookupPart(key) == nil {
			var keys []string
			for _, p := range policyParts {
				keys = append(keys, p.key)
			}
			return fmt.Errorf("there is no part %s to take out, only %s", key, strings.Join(keys, ", "))
		}
	}
	return nil
}
