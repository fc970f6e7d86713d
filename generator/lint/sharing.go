package lint

import (
	"fmt"
	"slices"
	"time"

	"github.com/resilgen/resilgen/generator/policy"
)

// Guarded is a method of a package with its policy, among all of them.
type Guarded struct {
	Key    string // Gateway.Charge
	Policy *policy.Effective
}

// Shared is a finding about one of several methods.
type Shared struct {
	Finding
	About Guarded
}

// Together returns what is wrong with policies beside each other (RG030,
// RG033).
func Together(all []Guarded) []Shared {
	all = slices.DeleteFunc(slices.Clone(all), func(g Guarded) bool { return !g.Policy.Has("circuitBreaker") })
	return append(disagreeing(all), severalBreakers(all)...)
}

// disagreeing finds methods that share a breaker and do not mean the same by
// it.
func disagreeing(all []Guarded) []Shared {
	var list []Shared
	first := map[string]Guarded{}
	for _, g := range all {
		name := g.Policy.Str("circuitBreaker.name")
		if name == "" {
			continue
		}
		one, ok := first[name]
		if !ok {
			first[name] = g
			continue
		}
		if what := difference(one.Policy, g.Policy); what != "" {
			list = append(list, Shared{Finding{ID: "RG030", Part: "circuitBreaker",
				Msg: fmt.Sprintf("the breaker %q is shared with %s, which has %s: one of them can open it for both", name, one.Key, what)}, g})
		}
	}
	return list
}

// difference says in what a differs from b that matters to a breaker of both.
func difference(a, b *policy.Effective) string {
	if x, y := a.Str("upstream"), b.Str("upstream"); x != y && x != "" && y != "" {
		return fmt.Sprintf("upstream %s and not %s", x, y)
	}
	if x, y := PerAttempt(a), PerAttempt(b); x != y {
		return fmt.Sprintf("%s an attempt and not %s", limit(x), limit(y))
	}
	for _, key := range []string{"recordOn", "ignoreOn"} {
		if x, y := a.List("circuitBreaker."+key), b.List("circuitBreaker."+key); !sameList(x, y) {
			return fmt.Sprintf("another list %s (%s and not %s)", key, x, y)
		}
	}
	return ""
}

func sameList(a, b policy.List) bool {
	return a.Any == b.Any && len(a.Names) == len(b.Names) && !slices.ContainsFunc(a.Names, func(n policy.Name) bool { return !b.Has(n.Text) })
}

// severalBreakers finds peers that breakers with different numbers guard.
func severalBreakers(all []Guarded) []Shared {
	var list []Shared
	first := map[string]Guarded{}
	for _, g := range all {
		peer := g.Policy.Str("upstream")
		if peer == "" {
			continue
		}
		one, ok := first[peer]
		if !ok {
			first[peer] = g
			continue
		}
		name, other := g.Policy.Str("circuitBreaker.name"), one.Policy.Str("circuitBreaker.name")
		if what := threshold(one.Policy, g.Policy); what != "" && (name == "" || name != other) {
			list = append(list, Shared{Finding{ID: "RG033", Part: "circuitBreaker",
				Msg: fmt.Sprintf("upstream %s has another breaker, that of %s, with %s: they open at different times", peer, one.Key, what)}, g})
		}
	}
	return list
}

// threshold says in which number of its breaker a differs from b.
func threshold(a, b *policy.Effective) string {
	for _, key := range []string{"consecutiveFailures", "minimumCalls"} {
		if x, y := a.Int("circuitBreaker."+key), b.Int("circuitBreaker."+key); x != y {
			return fmt.Sprintf("%s %s and not %s", key, count(x), count(y))
		}
	}
	if x, y := a.Float("circuitBreaker.failureRateThreshold"), b.Float("circuitBreaker.failureRateThreshold"); x != y {
		return fmt.Sprintf("failureRateThreshold %v and not %v", x, y)
	}
	return ""
}

func count(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

func limit(d time.Duration) string {
	if d == 0 {
		return "no limit of"
	}
	return d.String()
}
