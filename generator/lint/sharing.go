package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
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
// RG033, RG034).
func Together(all []Guarded) []Shared {
	breakers := slices.DeleteFunc(slices.Clone(all), func(g Guarded) bool { return !g.Policy.Has("circuitBreaker") })
	return slices.Concat(disagreeing(breakers), severalBreakers(breakers), contradicting(all))
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

// sharable are the parts that methods can share, and what messages call them.
var sharable = []struct{ part, word string }{
	{"circuitBreaker", "breaker"}, {"rateLimit", "rate limit"}, {"bulkhead", "bulkhead"}, {budget, "retry budget"},
}

// contradicting finds methods that give other numbers to a part than those who
// share it: the constructor of one of them would always fail.
func contradicting(all []Guarded) []Shared {
	var list []Shared
	for _, s := range sharable {
		usual := map[string]Guarded{}
		for _, g := range all {
			name := g.shares(s.part)
			if one, ok := usual[name]; !ok || one.Policy.Exact && !g.Policy.Exact {
				usual[name] = g
			}
		}
		for _, g := range all {
			name := g.shares(s.part)
			if name == "" {
				continue
			}
			one := usual[name]
			if k, x, y := contradiction(s.part, one.Policy, g.Policy); k != nil {
				v, _ := g.Policy.Get(k.Path)
				list = append(list, Shared{Finding{ID: "RG034", Part: s.part, Pos: at(v, g.Policy),
					Msg: fmt.Sprintf("the %s %s is shared with %s, which has %s %s and not %s: a shared part has one set of numbers",
						s.word, name, one.Key, strings.TrimPrefix(k.Path, s.part+"."), x, y)}, g})
			}
		}
	}
	return list
}

// shares says as what the method shares the part, "" if it does not: by the name
// in quotes or, a breaker for the whole interface, by that.
func (g Guarded) shares(part string) string {
	if !has(g.Policy, part) || part == "rateLimit" && g.Policy.Int("rateLimit.limit") == 0 {
		return ""
	}
	if name := g.Policy.Str(part + ".name"); name != "" {
		return strconv.Quote(name)
	}
	if g.Policy.Str(part+".scope") == "interface" {
		return "of " + g.Key[:strings.LastIndexByte(g.Key, '.')]
	}
	return ""
}

// contradiction returns a key of the part to which a and b give other values, and
// what those are; nil if there is none. A key that one of them writes comes before
// what follows from it. It compares what the Runtime compares: all but the lists,
// the funcs and the costs, which are the method's.
func contradiction(part string, a, b *policy.Effective) (key *policy.Key, x, y string) {
	for _, k := range policy.Keys() {
		name, inPart := strings.CutPrefix(k.Path, part+".")
		if !inPart || k.GoField == "" || k.Type == policy.Section || k.Type == policy.Matchers || name == "name" || name == "scope" {
			continue
		}
		p, q := shared(a, k), shared(b, k)
		if p == q || k.Type == policy.Expression && p != k.Unset && q != k.Unset { // each of its own parameters
			continue
		}
		_, written := a.Given(k.Path)
		_, too := b.Given(k.Path)
		if written || too {
			return k, p, q
		}
		if key == nil {
			key, x, y = k, p, q
		}
	}
	return key, x, y
}

// shared is the value in force of a key of a part that may be shared.
func shared(e *policy.Effective, k *policy.Key) string {
	v, ok := e.Get(k.Path)
	if ok && !v.None {
		if k.Path == "bulkhead.maxQueue" && e.Dur("bulkhead.maxWait") == 0 {
			return k.Unset // nobody queues, whatever it says
		}
		return text(v, true)
	}
	switch k.Path {
	case "rateLimit.burst":
		return strconv.Itoa(e.Int("rateLimit.limit"))
	case "circuitBreaker.halfOpen.onMaxWait":
		return k.Default
	}
	return cmp.Or(k.Unset, "none")
}
