package resilience

import (
	"fmt"
	"slices"
	"strings"
)

// A policyPart is a part of a [Policy] by its key.
type policyPart struct {
	key string
	on  func(*Policy) bool
	// from copies the part from another policy: the generated one puts it back,
	// the zero one takes it out.
	from func(p, other *Policy)
	// turnOn keeps the part on without any value of its own.
	turnOn func(*Policy)
	// shared is the name under which the guard shares the part's state, "" if it
	// does not.
	shared func(*Guard) string
}

var policyParts = []policyPart{
	{key: "timeout",
		on:     func(p *Policy) bool { return p.Timeout != (Timeout{}) },
		from:   func(p, other *Policy) { p.Timeout = other.Timeout },
		turnOn: func(*Policy) {}},
	{key: "retry",
		on:     func(p *Policy) bool { return p.Retry.set() },
		from:   func(p, other *Policy) { p.Retry = other.Retry },
		turnOn: func(p *Policy) { p.Retry.On = true }},
	{key: "retry.budget",
		on: (*Policy).budgeted,
		from: func(p, other *Policy) {
			if p.Budget = other.Budget; !other.budgeted() { // a preset would bring one
				p.Budget.Ratio = None
			}
		},
		turnOn: func(p *Policy) { p.Budget.On = true },
		shared: func(g *Guard) string { return g.policy.Budget.Name }},
	{key: "hedge",
		on:     func(p *Policy) bool { return p.Hedge.set() },
		from:   func(p, other *Policy) { p.Hedge = other.Hedge },
		turnOn: func(p *Policy) { p.Hedge.On = true }},
	{key: "circuitBreaker",
		on:     func(p *Policy) bool { return p.Breaker.set() },
		from:   func(p, other *Policy) { p.Breaker = other.Breaker },
		turnOn: func(p *Policy) { p.Breaker.On = true },
		shared: func(g *Guard) string {
			if name, shared := g.breakerName(); shared && g.policy.Breaker.set() {
				return name
			}
			return ""
		}},
	{key: "rateLimit",
		on:     func(p *Policy) bool { return p.RateLimit != (RateLimit{}) },
		from:   func(p, other *Policy) { p.RateLimit = other.RateLimit },
		turnOn: func(*Policy) {},
		shared: func(g *Guard) string { return g.policy.RateLimit.Name }},
	{key: "bulkhead",
		on:     func(p *Policy) bool { return p.Bulkhead != (Bulkhead{}) },
		from:   func(p, other *Policy) { p.Bulkhead = other.Bulkhead },
		turnOn: func(p *Policy) { p.Bulkhead.On = true },
		shared: func(g *Guard) string { return g.policy.Bulkhead.Name }},
	{key: "adaptive",
		on:     func(p *Policy) bool { return p.Adaptive.set() },
		from:   func(p, other *Policy) { p.Adaptive = other.Adaptive },
		turnOn: func(p *Policy) { p.Adaptive.On = true }},
	{key: "chaos",
		on:     func(p *Policy) bool { return p.Chaos.set() },
		from:   func(p, other *Policy) { p.Chaos = other.Chaos },
		turnOn: func(p *Policy) { p.Chaos.On = true }},
	{key: "fallback",
		on:     func(p *Policy) bool { return p.Fallback.On || p.Fallback.ApplyOn.given() || p.Fallback.SkipOn.given() },
		from:   func(p, other *Policy) { p.Fallback = other.Fallback },
		turnOn: func(p *Policy) { p.Fallback.On = true }},
	{key: "cache",
		on:     func(p *Policy) bool { return p.Caching != (Caching{}) },
		from:   func(p, other *Policy) { p.Caching = other.Caching },
		turnOn: func(*Policy) {}},
}

func lookupPart(key string) *policyPart {
	if i := slices.IndexFunc(policyParts, func(p policyPart) bool { return p.key == key }); i >= 0 {
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
