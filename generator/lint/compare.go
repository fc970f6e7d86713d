package lint

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/generator/policy"
)

// Change is a difference between two policies of one method.
type Change struct {
	// Kind is Weaker, Stronger or Other.
	Kind string
	// Key is the key, or the part where all of it came or went.
	Key      string
	Old, New string // as the language says them, "" for what is not there
	Pos      policy.Pos
}

// Kinds of changes. Weaker is what protects the caller or the peer less: more
// attempts, a longer timeout, a threshold that is reached later.
const (
	Weaker   = "weaker"
	Stronger = "stronger"
	Other    = "other"
)

// weight says what more of a value means.
type weight int

const (
	moreIsWeaker weight = iota + 1
	moreIsStronger
	// onIsStronger is for parts and for what is true or false.
	onIsStronger
	// offIsStronger is for what does harm where it is on.
	offIsStronger
	// stepsAreStronger is for an enum: each of the values in steps is stronger
	// than the one before.
	stepsAreStronger
)

// weights are the keys whose changes have a direction. A value that is unset
// is no limit: more than any.
var weights = map[string]weight{
	"adaptive":                   onIsStronger,
	"adaptive.k":                 moreIsWeaker,
	"adaptive.maxRejectionRatio": moreIsStronger,
	"adaptive.initialLimit":      moreIsWeaker,
	"adaptive.minLimit":          moreIsWeaker,
	"adaptive.maxLimit":          moreIsWeaker,

	"rateLimit":         onIsStronger,
	"rateLimit.limit":   moreIsWeaker,
	"rateLimit.period":  moreIsStronger,
	"rateLimit.burst":   moreIsWeaker,
	"rateLimit.maxWait": moreIsWeaker,
	"rateLimit.scope":   stepsAreStronger,

	"retry.budget":                onIsStronger,
	"retry.budget.ratio":          moreIsWeaker,
	"retry.budget.minConcurrency": moreIsWeaker,

	"hedge.maxHedges":  moreIsWeaker,
	"hedge.delay":      moreIsStronger,
	"hedge.percentile": moreIsStronger,
	"hedge.warmup":     moreIsStronger,

	"cache":              onIsStronger,
	"cache.ttl":          moreIsStronger,
	"cache.maxEntries":   moreIsStronger,
	"cache.staleOnError": moreIsStronger,

	"checkpoint":     onIsStronger,
	"checkpoint.ttl": moreIsStronger,

	"chaos":                offIsStronger,
	"chaos.injectionRatio": moreIsWeaker,
	"chaos.latency":        moreIsWeaker,

	"deadLetter":               onIsStronger,
	"deadLetter.when":          moreIsStronger,
	"deadLetter.afterFallback": onIsStronger,
	"deadLetter.redact":        moreIsStronger,
	"deadLetter.allow":         moreIsWeaker,
	"deadLetter.exclude":       moreIsWeaker,
	"deadLetter.maxAge":        moreIsStronger,
	"deadLetter.keepReplayed":  moreIsStronger,
	"deadLetter.maxCount":      moreIsStronger,
	"deadLetter.maxBytes":      moreIsStronger,

	"health.register": onIsStronger,

	"timeout":         onIsStronger,
	"timeout.total":   moreIsWeaker,
	"timeout.attempt": moreIsWeaker,
	"timeout.open":    moreIsWeaker,

	"idempotent":                 onIsStronger,
	"retry.maxAttempts":          moreIsWeaker,
	"retry.maxDuration":          moreIsWeaker,
	"retry.backoff.strategy":     stepsAreStronger,
	"retry.backoff.jitter":       stepsAreStronger,
	"retry.backoff.initialDelay": moreIsStronger,
	"retry.backoff.multiplier":   moreIsStronger,
	"retry.backoff.maxDelay":     moreIsStronger,
	"retry.retryOn":              moreIsWeaker,
	"retry.abortOn":              moreIsStronger,
	"retry.retryAfter.honor":     onIsStronger,

	"circuitBreaker":                           onIsStronger,
	"circuitBreaker.mode":                      stepsAreStronger,
	"circuitBreaker.minimumCalls":              moreIsWeaker,
	"circuitBreaker.failureRateThreshold":      moreIsWeaker,
	"circuitBreaker.consecutiveFailures":       moreIsWeaker,
	"circuitBreaker.slowCallDuration":          moreIsWeaker,
	"circuitBreaker.slowCallRateThreshold":     moreIsWeaker,
	"circuitBreaker.openDuration":              moreIsStronger,
	"circuitBreaker.halfOpen.successThreshold": moreIsStronger,
	"circuitBreaker.halfOpen.permittedCalls":   moreIsWeaker,
	"circuitBreaker.recordOn":                  moreIsStronger,
	"circuitBreaker.ignoreOn":                  moreIsWeaker,

	"bulkhead":               onIsStronger,
	"bulkhead.maxConcurrent": moreIsWeaker,
	"bulkhead.maxWait":       moreIsWeaker,
	"bulkhead.maxQueue":      moreIsWeaker,

	"workflows.limits.invocations":    moreIsWeaker,
	"workflows.limits.duration":       moreIsWeaker,
	"workflows.limits.cost":           moreIsWeaker,
	"workflows.nodes.waitFor.timeout": moreIsWeaker,
	"workflows.nodes.signal.timeout":  moreIsWeaker,

	"fallback":         onIsStronger,
	"fallback.applyOn": moreIsStronger,
	"fallback.skipOn":  moreIsWeaker,
}

// steps are the values of enums from the weakest on; those that are not there
// are as strong as the last.
var steps = map[string][]string{
	"retry.backoff.strategy": {"none"},
	"retry.backoff.jitter":   {"none"},
	"circuitBreaker.mode":    {"disabled", "shadow"},
	"rateLimit.scope":        {"call"},
}

// alternatives are keys that others replace: without one there is not no limit,
// but another way to say it.
var alternatives = []string{"hedge.delay", "hedge.percentile", "hedge.warmup"}

// Compare returns what changed from one policy of a method to another, in the
// order of the table of keys. A part that came or went is one change.
func Compare(before, now *policy.Effective) []Change {
	var list []Change
	for _, k := range policy.Keys() {
		part, _, inPart := strings.Cut(k.Path, ".")
		switch {
		case k.Hint:
		case k.Type == policy.Part || k.Path == budget:
			if has(before, k.Path) != has(now, k.Path) {
				list = append(list, partChange(k, before, now))
			}
		case k.Type == policy.Section:
		case strings.HasPrefix(k.Path, budget+".") && has(before, budget) != has(now, budget):
		case inPart && isPart(part) && before.Has(part) != now.Has(part):
		default:
			if c, changed := keyChange(k, before, now); changed {
				list = append(list, c)
			}
		}
	}
	return list
}

// budget is a part of its own, though it stands under retry: a hedge draws from
// it, too.
const budget = "retry.budget"

func has(e *policy.Effective, part string) bool {
	if part == budget {
		return e.Budgeted()
	}
	return e.Has(part)
}

func isPart(name string) bool { return slices.Contains(policy.Parts(), name) }

func partChange(k *policy.Key, before, now *policy.Effective) Change {
	c := Change{Kind: Other, Key: k.Path, Old: "on", Pos: now.Pos}
	if has(now, k.Path) {
		c.Old, c.New = "", "on"
		v, _ := now.Given(k.Path)
		c.Pos = at(v, now)
	}
	switch weights[k.Path] {
	case onIsStronger:
		c.Kind = direction(has(now, k.Path), has(before, k.Path))
	case offIsStronger:
		c.Kind = direction(has(before, k.Path), has(now, k.Path))
	}
	return c
}

// at is the place of a value, or else of what names the method.
func at(v policy.Value, e *policy.Effective) policy.Pos {
	if v.Pos.IsValid() {
		return v.Pos
	}
	return e.Pos
}

func keyChange(k *policy.Key, before, now *policy.Effective) (Change, bool) {
	a, hadIt := before.Get(k.Path)
	b, hasIt := now.Get(k.Path)
	c := Change{Kind: Other, Key: k.Path, Old: text(a, hadIt), New: text(b, hasIt), Pos: at(b, now)}
	derived := a.Origin == byDefault && b.Origin == byDefault // from what changed elsewhere
	if c.Old == c.New || derived {
		return c, false
	}
	if hadIt != hasIt && slices.Contains(alternatives, k.Path) {
		return c, true
	}
	switch weights[k.Path] {
	case moreIsWeaker:
		c.Kind = turned(compare(a, b, hadIt, hasIt))
	case moreIsStronger:
		c.Kind = compare(a, b, hadIt, hasIt)
	case onIsStronger:
		c.Kind = direction(on(b), on(a))
	case stepsAreStronger:
		c.Kind = stepped(steps[k.Path], fmt.Sprint(a.V), fmt.Sprint(b.V))
	}
	return c, true
}

// CompareSettings returns the change of a key that stands beside policies: of a
// workflow, a node or a stage.
func CompareSettings(k *policy.Key, before, now policy.Settings) (Change, bool) {
	a, hadIt := before.Given(k.Path)
	b, hasIt := now.Given(k.Path)
	c := Change{Kind: Other, Key: k.Path, Old: setting(k, a, hadIt), New: setting(k, b, hasIt), Pos: b.Pos}
	if weights[k.Path] == moreIsWeaker {
		c.Kind = turned(compare(a, b, hadIt, hasIt))
	}
	return c, c.Old != c.New
}

// setting is a value as text, that which nobody wrote included.
func setting(k *policy.Key, v policy.Value, is bool) string {
	switch d, err := time.ParseDuration(k.Default); {
	case is && v.None:
		return cmp.Or(k.Unset, "none")
	case is:
		return text(v, true)
	case k.Type == policy.Duration && err == nil:
		return d.String()
	}
	return cmp.Or(k.Default, "none")
}

// byDefault is the origin of values that nobody wrote.
const byDefault = "default"

// on reports whether the value is more than false: a condition of idempotent is,
// and a mapping of its keys.
func on(v policy.Value) bool { return v.V != nil && v.V != false }

func direction(now, before bool) string {
	switch {
	case now == before:
		return Other
	case now:
		return Stronger
	}
	return Weaker
}

// turned is for values of which more is weaker.
func turned(kind string) string {
	switch kind {
	case Weaker:
		return Stronger
	case Stronger:
		return Weaker
	}
	return Other
}

// compare says Stronger if the value is more than it was, Weaker if it is less.
func compare(a, b policy.Value, hadIt, hasIt bool) string {
	before, isList := a.V.(policy.List)
	if now, ok := b.V.(policy.List); ok || isList {
		more, less := !includes(before, now), !includes(now, before)
		if more == less {
			return Other
		}
		return direction(more, less)
	}
	x, y := size(a, hadIt), size(b, hasIt)
	if x == y {
		return Other
	}
	return direction(y > x, x > y)
}

// includes reports whether list has all that other has.
func includes(list, other policy.List) bool {
	return (list.Any || !other.Any) && !slices.ContainsFunc(other.Names, func(n policy.Name) bool { return !list.Has(n.Text) && !list.Any })
}

func size(v policy.Value, is bool) float64 {
	if !is || v.None {
		return math.Inf(1)
	}
	switch x := v.V.(type) {
	case time.Duration:
		return float64(x)
	case int:
		return float64(x)
	case float64:
		return x
	}
	return 0
}

func stepped(steps []string, before, now string) string {
	rank := func(word string) int {
		if i := slices.Index(steps, word); i >= 0 {
			return i
		}
		return len(steps)
	}
	return direction(rank(now) > rank(before), rank(before) > rank(now))
}

func text(v policy.Value, is bool) string {
	switch {
	case !is || v.None:
		return "none"
	case v.V == nil:
		return ""
	case v.V == "": // a mapping
		return "on"
	}
	return fmt.Sprint(v.V)
}

// ComparedKeys returns the keys whose changes have a direction, sorted.
func ComparedKeys() []string { return slices.Sorted(maps.Keys(weights)) }
