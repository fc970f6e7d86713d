package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/policy"
)

// misplaced says why an order makes no sense, or is not one of all parts.
func misplaced(m *Method) []Finding {
	order := m.Policy.Ordered()
	if len(order) == 0 {
		return nil
	}
	v, _ := m.Policy.Given("order")
	for _, find := range []func(*Method) (part, msg string){absentPart, missingPart, wrongPlace, wrongSide} {
		part, msg := find(m)
		if msg == "" {
			continue
		}
		f := Finding{ID: "RG042", Error: true, Part: "order", Msg: msg, Pos: v.Pos}
		if at := slices.IndexFunc(order, func(n policy.Name) bool { return n.Text == part }); at >= 0 {
			f.Pos = order[at].Pos
		}
		return []Finding{f}
	}
	return nil
}

// absentPart finds a part that the method does not have. An order that other
// methods have, too, may name it, and so may one of a part that was left out.
func absentPart(m *Method) (part, msg string) {
	if !m.Policy.Own("order") {
		return "", ""
	}
	for _, n := range m.Policy.Ordered() {
		left := slices.ContainsFunc(m.Policy.Dropped(), func(d policy.Dropped) bool {
			return d.Part == n.Text || strings.HasPrefix(n.Text, d.Part+".")
		})
		if !left && !m.Policy.HasLayer(n.Text) {
			return n.Text, fmt.Sprintf("order names %s, which the method does not have: drop it from the list", n.Text)
		}
	}
	return "", ""
}

// movable are the parts that may stand in several places, so that nothing but
// the order says where.
var movable = []string{"retry", "hedge", "circuitBreaker", "rateLimit", "bulkhead", "adaptive"}

func missingPart(m *Method) (part, msg string) {
	order := m.Policy.Ordered()
	for _, part := range movable {
		if m.Policy.Has(part) && !order.Has(part) {
			return part, fmt.Sprintf("order leaves out %s, which may stand in several places: say where, like [%s]",
				part, strings.Join(m.Policy.Nesting(), ", "))
		}
	}
	return "", ""
}

// wrongPlace finds a part inside another one that it may not be inside of:
// among those that the order names, before those that it does not.
func wrongPlace(m *Method) (part, msg string) {
	order, list := m.Policy.Ordered(), m.Policy.Nesting()
	named := slices.DeleteFunc(slices.Clone(list), func(part string) bool { return !order.Has(part) })
	for _, list := range [][]string{named, list} {
		for i, inside := range list {
			for _, outside := range list[:i] {
				why := clash(outside, inside)
				switch {
				case why == "":
				case order.Has(inside):
					return inside, fmt.Sprintf("order puts %s inside %s: %s", inside, outside, why)
				default:
					return outside, fmt.Sprintf("order puts %s outside %s: %s", outside, inside, why)
				}
			}
		}
	}
	return "", ""
}

// clash says why a part may not be around another one, "" if it may.
func clash(outside, inside string) string {
	switch {
	case inside == "deadLetter":
		return "it keeps what finally failed, so it stands outermost"
	case inside == "fallback" && outside != "deadLetter":
		return aroundFallback(outside)
	case inside == "checkpoint" && outside != "fallback" && outside != "deadLetter":
		return aroundCheckpoint(outside)
	case inside == "cache" && outside != "fallback" && outside != "deadLetter" && outside != "checkpoint":
		return aroundCache(outside)
	case outside == "chaos":
		return "chaos injects faults as if the delegate had made them, so it stands innermost"
	case inside == "timeout.total" && loops(outside):
		return "there it would begin anew with each attempt, and that is timeout.attempt"
	case inside == "timeout.total" && limitsAttempt(outside):
		return "the time of the whole call cannot be part of that of an attempt"
	case limitsAttempt(outside) && loops(inside):
		return outside + " would bound all attempts together, and that is timeout.total"
	case limitsAttempt(outside) && (inside == "circuitBreaker" || inside == "adaptive"):
		return inside + " would not see that an attempt came too late"
	}
	return ""
}

func loops(part string) bool { return part == "retry" || part == "hedge" }

func limitsAttempt(part string) bool { return part == "timeout.attempt" || part == "timeout.open" }

func aroundFallback(outside string) string {
	switch outside {
	case "retry", "hedge", "circuitBreaker", "adaptive":
		return outside + " never sees a failure, since the fallback has answered"
	case "cache", "checkpoint":
		return "its answer would be kept as if the peer had given it"
	case "rateLimit", "bulkhead":
		return "it could not answer for what " + outside + " rejects"
	}
	return "the time is up when it is needed"
}

func aroundCheckpoint(outside string) string {
	if outside == "cache" {
		return "the cache would answer where the checkpoint tells that a key comes with other arguments"
	}
	return aroundCache(outside)
}

func aroundCache(outside string) string {
	switch outside {
	case "retry", "hedge":
		return "what is kept needs no attempt, and the calls that share an execution would each repeat it"
	case "circuitBreaker":
		return "while it is open nobody would get what is kept, and what is kept says nothing of the peer"
	case "adaptive":
		return "what is kept says nothing of the peer"
	case "rateLimit", "bulkhead":
		return "what is kept costs the peer nothing, and would need a permit"
	}
	return "calls share an execution that belongs to none of them: the limit bounds the execution, and so the wait of each"
}

// wrongSide finds a part that is on the side of the retry on which it cannot do
// what it is told.
func wrongSide(m *Method) (part, msg string) {
	e, loop := m.Policy, m.Policy.Loop()
	scope, _ := e.Given("rateLimit.scope")
	switch {
	case e.Nests("adaptive", loop) && e.Str("adaptive.mode") == "concurrency":
		return "adaptive", fmt.Sprintf("order puts adaptive outside %s: mode concurrency goes by the latency of the peer, and would take all attempts and the time between them for it", loop)
	case e.Nests("bulkhead", loop) && e.Str("timeout.mode") == "abandon":
		return "bulkhead", fmt.Sprintf("order puts bulkhead outside %s: a delegate that is left behind keeps its slot until it returns, and there the attempts of a call have one between them", loop)
	case e.Nests("rateLimit", loop) && scope.V == "attempt":
		return "rateLimit", fmt.Sprintf("order puts rateLimit outside %s, where it takes a permit for a call, and scope: attempt says one for each execution: drop one of them", loop)
	case e.Nests(loop, "rateLimit") && scope.V == "call":
		return "rateLimit", fmt.Sprintf("order puts rateLimit inside %s, and scope: call says outside: move it there, or drop the scope", loop)
	}
	list := e.Nesting()
	attempt, open := slices.Index(list, "timeout.attempt"), slices.Index(list, "timeout.open")
	if attempt >= 0 && open >= 0 && attempt-open != 1 && open-attempt != 1 {
		return "timeout.open", "order has something between timeout.attempt and timeout.open, which begin together"
	}
	return "", ""
}
