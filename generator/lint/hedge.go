package lint

import (
	"fmt"
	"go/types"
	"time"

	"github.com/resilgen/resilgen/generator/policy"
)

// executions is how often one call may execute the method.
func executions(e *policy.Effective) int {
	switch {
	case e.Has("retry"):
		return e.Int("retry.maxAttempts")
	case e.Has("hedge"):
		return e.Int("hedge.maxHedges") + 1
	}
	return 1
}

// hedgeDelay is how long the attempt before a hedge has, if the policy says so
// and not a percentile.
func hedgeDelay(m *Method) (time.Duration, bool) {
	v, ok := m.Policy.Get("hedge.delay")
	d, is := v.V.(time.Duration)
	return d, ok && is && !v.None
}

func hedgeWithoutTimeout(m *Method) string {
	if bounded(m) {
		return ""
	}
	return fmt.Sprintf("hedge without a timeout: a call whose %d executions all hang blocks for ever; add timeout: {attempt: …}", executions(m.Policy))
}

func hedgesReject(m *Method) string {
	slots, hedges := m.Policy.Int("bulkhead.maxConcurrent"), m.Policy.Int("hedge.maxHedges")
	if !m.Policy.Has("bulkhead") || slots >= hedges+1 || m.Policy.Nests("bulkhead", "hedge") {
		return ""
	}
	return fmt.Sprintf("bulkhead.maxConcurrent %d is less than maxHedges + 1 = %d: the hedges of one call reject each other", slots, hedges+1)
}

func hedgeTooLate(m *Method) string {
	delay, _ := hedgeDelay(m)
	attempt, total := PerAttempt(m.Policy), m.Policy.Dur("timeout.total")
	switch {
	case attempt > 0 && delay >= attempt:
		return fmt.Sprintf("hedge.delay %v is no less than the %v that an attempt may take: no hedge starts but after a failure", delay, attempt)
	case total > 0 && delay >= total:
		return fmt.Sprintf("hedge.delay %v is no less than timeout.total %v: no hedge starts but after a failure", delay, total)
	}
	return ""
}

// lastHedgeTooLate is about hedges that begin so late that only failures before
// them let them start. One alone is what RG062 speaks of.
func lastHedgeTooLate(m *Method) string {
	delay, _ := hedgeDelay(m)
	n, total := m.Policy.Int("hedge.maxHedges"), m.Policy.Dur("timeout.total")
	last := time.Duration(n) * delay
	if total == 0 || delay >= total || last <= total {
		return ""
	}
	return fmt.Sprintf("maxHedges %d × delay %v = %v exceeds timeout.total %v: no more than %d of %d hedges start but after failures", n, delay, last, total, int((total-1)/delay), n)
}

// coldWarmup is the fewest successes whose percentile is more than chance.
const coldWarmup = 20

func hedgesWhenCold(m *Method) string {
	if _, given := hedgeDelay(m); given {
		return ""
	}
	if n := m.Policy.Int("hedge.warmup"); n < coldWarmup {
		return fmt.Sprintf("hedge.warmup %d: percentile %v of %d calls is chance, and after a start, when calls are slow, nearly all are hedged; %d is little enough",
			n, m.Policy.Float("hedge.percentile"), n, coldWarmup)
	}
	return ""
}

func hedgeWithoutBudget(m *Method) string {
	if m.Policy.Budgeted() {
		return ""
	}
	return fmt.Sprintf("hedge without a budget: when the peer is slow for all, each call is %d; add retry: {budget: {ratio: 0.1}}", executions(m.Policy))
}

// budgetOff is about a budget that was taken away: without one in a preset or a
// policy that is built in there is none to begin with.
func budgetOff(m *Method) string {
	v, given := m.Policy.Given("retry.budget.ratio")
	n := m.Policy.Int("retry.maxAttempts")
	if !given || !v.None || n < 2 {
		return ""
	}
	return fmt.Sprintf("budget: none: in an outage every call is %d, and nothing bounds the load of all of them together", n)
}

// sharedWithHedges names an argument that executions use side by side.
func sharedWithHedges(m *Method) string {
	for v := range m.Sig.Params().Variables() {
		switch t := types.Unalias(v.Type()).Underlying().(type) {
		case *types.Map, *types.Slice, *types.Pointer:
			return fmt.Sprintf("%d executions use the argument %s side by side: none of them may change it", executions(m.Policy), types.TypeString(v.Type(), short))
		case *types.Signature:
			return fmt.Sprintf("%d executions call the argument %s side by side", executions(m.Policy), types.TypeString(t, short))
		}
	}
	return ""
}

// beatenIsClosed names a result that nobody takes of an attempt that lost.
func beatenIsClosed(m *Method) string {
	for v := range m.Sig.Results().Variables() {
		if hasMethod(types.Unalias(v.Type()), "Close") {
			return fmt.Sprintf("the %s of up to %d attempts that lose is closed: the delegate must not keep it", types.TypeString(v.Type(), short), m.Policy.Int("hedge.maxHedges"))
		}
	}
	return ""
}
