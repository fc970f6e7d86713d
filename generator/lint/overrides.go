package lint

import (
	"fmt"
	"slices"

	"github.com/resilgen/resilgen/generator/policy"
)

// shapes are the keys that make another window of a breaker's, by what it
// counts: the outcomes so far do not fit into that.
var shapes = map[string][]string{
	"circuitBreaker.window.type":     {"count", "time"},
	"circuitBreaker.window.size":     {"count"},
	"circuitBreaker.window.duration": {"time"},
	"circuitBreaker.window.buckets":  {"time"},
}

// Reset says which state is lost when the override takes the place of what the
// policy says, "" if none is.
func Reset(e *policy.Effective, o policy.Override) string {
	who, span := "breaker", ""
	switch {
	case slices.Contains(shapes[o.Key], e.Str("circuitBreaker.window.type")):
		span = seen(e)
	case o.Key == "adaptive.window" && e.Str("adaptive.mode") == "throttle":
		who, span = "throttle", e.Dur(o.Key).String()
	default:
		return ""
	}
	v, ok := e.Get(o.Key)
	if before := text(v, ok); before != o.Value {
		return fmt.Sprintf("%s → %s begins a new window, and the %s forgets what it has seen of the last %s", before, o.Value, who, span)
	}
	return ""
}

// seen is what the window of a breaker holds.
func seen(e *policy.Effective) string {
	if size := e.Int("circuitBreaker.window.size"); size > 0 {
		return fmt.Sprintf("%d calls", size)
	}
	return e.Dur("circuitBreaker.window.duration").String()
}

// Overridable reports whether the override finds its part in the policy: none
// can be switched on at run time.
func Overridable(e *policy.Effective, o policy.Override) bool {
	k := policy.Lookup(o.Key)
	if k == nil {
		return true // disable
	}
	part := k.PartOf()
	return part == "" || has(e, part)
}
