package lint

import (
	"fmt"
	"go/types"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/policy"
)

// keptAgain says that what is remembered of one failure makes letters of others.
func keptAgain(m *Method) string {
	if ttl := m.Policy.Dur("cache.negativeTTL"); m.Policy.Has("cache") && ttl > 0 {
		return fmt.Sprintf("cache.negativeTTL: %s answers calls with a failure that it remembers, and each of them is kept as a letter; leave it out", ttl)
	}
	return ""
}

// nobodyTakes names a result that is in use after the call.
func nobodyTakes(m *Method) string {
	result, use := Outliving(m.Sig)
	if use == Complete {
		return ""
	}
	return fmt.Sprintf("the result %s is in use after the call, and nobody would take that of a replay", resultType(m, result))
}

// notCarried says which argument no letter can hold.
func notCarried(m *Method) string {
	if m.Uncarried == nil {
		return ""
	}
	what, _ := m.Uncarried()
	return what
}

// carriedBy says how a letter could hold it.
func carriedBy(m *Method) string {
	_, do := m.Uncarried()
	return do
}

func letterPos(m *Method) policy.Pos {
	v, _ := m.Policy.Given("deadLetter")
	return v.Pos
}

// fullUnsaid says that nobody decided what happens to a letter without room.
func fullUnsaid(m *Method) string {
	if _, given := m.Policy.Given("deadLetter.overflow"); given {
		return ""
	}
	return "deadLetter.overflow is not given: when the queue is full the oldest letters go; write overflow: dropOldest, reject or block"
}

// replayAsks says that a replay may do the work twice.
func replayAsks(m *Method) string {
	v, _ := m.Policy.Get("idempotent")
	_, key := m.Policy.Given("idempotent.key")
	switch {
	case v.V == true || key:
		return ""
	case m.Policy.Idempotent():
		return fmt.Sprintf("idempotent: %v holds for some calls, so replays of letters have to be told that the work may be done twice", v.V)
	}
	return "the method is not idempotent, so replays of its letters have to be told that the work may be done twice"
}

// keptForNothing says that a list of reasons names only what cannot happen.
func keptForNothing(m *Method) string {
	names := m.Policy.List("deadLetter.when").Names
	if slices.ContainsFunc(names, func(n policy.Name) bool { return mayEnd(m.Policy, n.Text) }) {
		return ""
	}
	return "deadLetter.when lists only what parts decide that the policy does not have: no call is ever kept"
}

// mayEnd reports whether a call may fail for the reason.
func mayEnd(e *policy.Effective, reason string) bool {
	switch reason {
	case "breakerOpen":
		return e.Has("circuitBreaker")
	case "rejected":
		return e.Has("bulkhead") || e.Has("rateLimit") || e.Has("adaptive")
	}
	return true
}

// keptReading says that calls are kept that nobody will want to make again.
func keptReading(m *Method) string {
	if !Reading(m.Policy.Method) {
		return ""
	}
	for i := range m.Sig.Results().Len() {
		if i != m.Err {
			return fmt.Sprintf("the method sounds as if it only read, and nobody gets the %s of a replay: deadLetter: none, if nothing is lost with a call", types.TypeString(m.Sig.Results().At(i).Type(), short))
		}
	}
	return ""
}

// answeredUnkept says that a fallback answers what is rejected, and that
// afterFallback does not keep it.
func answeredUnkept(m *Method) string {
	e := m.Policy
	if !e.Bool("deadLetter.afterFallback") || !e.Has("fallback") {
		return ""
	}
	answers := func(kind string) bool {
		_, given := e.Given("fallback.applyOn")
		return (!given || e.List("fallback.applyOn").Has(kind)) && !e.List("fallback.skipOn").Has(kind)
	}
	var missing, parts []string
	leaves := func(part, kind, reason string) {
		if e.Has(part) && answers(kind) && !e.List("deadLetter.when").Has(reason) {
			if parts = append(parts, part); !slices.Contains(missing, reason) {
				missing = append(missing, reason)
			}
		}
	}
	leaves("circuitBreaker", "CircuitOpen", "breakerOpen")
	leaves("bulkhead", "BulkheadFull", "rejected")
	leaves("rateLimit", "RateLimited", "rejected")
	if len(missing) == 0 {
		return ""
	}
	return fmt.Sprintf("afterFallback keeps what the fallback answers, but not what %s rejects: write when: {add: [%s]}", strings.Join(parts, " and "), strings.Join(missing, ", "))
}
