package resilience

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"
)

// budget limits the calls in flight that are repeated: a call counts from the
// decision to repeat it to its end, its sleeps included, since a retry that
// waits is load that will come. What a call adds on its way are two counts that
// only grow; how many are in flight is their difference.
type budget struct {
	name string
	conf atomic.Pointer[Budget] // every default filled in

	begun, done atomic.Int64 // calls
	repeated    atomic.Int64 // calls in flight that are, now
	refused     atomic.Int64
	extra       atomic.Int64 // executions beyond the first one of each call that is done
	idle        atomic.Int64 // calls done that executed nothing
}

// defaultBudget is that of preset production and of the built-in policies.
var defaultBudget = Budget{Ratio: 0.2, MinConcurrency: 3}

// under returns b with what it leaves open taken from the preset, and whether
// that is a budget at all.
func (b Budget) under(preset Budget) (conf Budget, on bool) {
	if b == (Budget{}) {
		b = preset
	}
	if b == (Budget{}) || b.Ratio < 0 {
		return Budget{}, false
	}
	fill(&b.Ratio, defaultBudget.Ratio)
	b.MinConcurrency = orInt(b.MinConcurrency, defaultBudget.MinConcurrency)
	b.On = true
	return b, true
}

// take counts a call as repeated, unless there are too many of them.
func (b *budget) take() bool {
	for {
		n := b.repeated.Load()
		if n >= b.limit() {
			b.refused.Add(1)
			return false
		}
		if b.repeated.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (b *budget) limit() int64 {
	conf := b.conf.Load()
	return max(int64(conf.MinConcurrency), int64(conf.Ratio*float64(b.inFlight())))
}

// inFlight reads done first: a call that ends in between then counts still,
// and never twice as gone.
func (b *budget) inFlight() int64 {
	done := b.done.Load()
	return b.begun.Load() - done
}

// mayRepeat asks the budget before the first repetition of a call, and ends the
// call if there is nothing left.
func (c *Call) mayRepeat() bool {
	if c.holds&holdsRetry != 0 {
		return true
	}
	if c.plan.budget.take() {
		c.holds |= holdsRetry
		return true
	}
	switch fail := c.plan.Retry.FailOnExhaustedResult; {
	case c.unwanted && !fail: // the result is what the caller gets when attempts are used up, too
	case c.unwanted:
		c.refused(ErrUnwantedResult)
	default:
		c.refused(c.reason)
	}
	return false
}

// refused ends the call with ErrBudgetExhausted, beside what was to be retried.
func (c *Call) refused(besides error) {
	c.kinds |= KindBudgetExhausted
	if c.plan.stats != nil {
		c.countRejection()
		c.turned = budgetPart
	}
	if c.listened() {
		c.tell(Event{Kind: Rejected, By: partNames[budgetPart], Err: ErrBudgetExhausted})
	}
	if besides == nil {
		c.stop(budgetPart, ErrBudgetExhausted)
		return
	}
	c.stop(budgetPart, &joined{ErrBudgetExhausted, besides})
}

// joined is two reasons.
type joined struct{ first, second error }

func (j *joined) Error() string   { return j.first.Error() + ": " + j.second.Error() }
func (j *joined) Unwrap() []error { return []error{j.first, j.second} }

// leaveBudget tells the budget that the call is over, and what it did.
func (c *Call) leaveBudget() {
	b := c.plan.budget
	if c.holds&holdsRetry != 0 {
		b.repeated.Add(-1)
	}
	c.holds &^= holdsFlight | holdsRetry
	if c.attempts != 1 {
		b.count(int64(c.attempts))
	}
	b.done.Add(1)
}

// count notes a call that made another number of executions than one.
func (b *budget) count(executions int64) {
	if executions == 0 {
		b.idle.Add(1)
	} else {
		b.extra.Add(executions - 1)
	}
}

// BudgetSnapshot is what a retry budget looks like at a moment.
type BudgetSnapshot struct {
	Name     string // the budget's own, or the guard's
	Ratio    float64
	Minimum  int   // calls that may be repeated whatever Ratio says
	InFlight int64 // calls
	Repeated int64 // of them are at a retry, or wait for one
	Refused  int64 // retries, since the beginning
	Calls    int64 // that are over
	Attempts int64 // executions of the delegate that they made
}

// Amplification is the load on the peer as a multiple of the calls: attempts ÷
// calls, 1 before the first call is over.
func (s BudgetSnapshot) Amplification() float64 {
	if s.Calls == 0 {
		return 1
	}
	return float64(s.Attempts) / float64(s.Calls)
}

// Budgets returns a snapshot of every retry budget, sorted by name. It stops
// nobody: calls that end meanwhile are in some of the numbers.
func (rt *Runtime) Budgets() []BudgetSnapshot {
	root, _ := rt.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	list := make([]BudgetSnapshot, 0, len(root.budgets))
	for _, b := range root.budgets {
		list = append(list, b.snapshot())
	}
	slices.SortFunc(list, func(a, b BudgetSnapshot) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (b *budget) snapshot() BudgetSnapshot {
	done, conf := b.done.Load(), b.conf.Load()
	return BudgetSnapshot{
		Name: b.name, Ratio: conf.Ratio, Minimum: conf.MinConcurrency,
		InFlight: b.begun.Load() - done, Repeated: b.repeated.Load(), Refused: b.refused.Load(),
		Calls: done, Attempts: done + b.extra.Load() - b.idle.Load(),
	}
}

// budgetFor returns the budget of g under the numbers of p, nil if there is none.
// rt.mu is held.
func (rt *Runtime) budgetFor(g *Guard, p *Policy) *budget {
	conf := budgetConf(p)
	if !conf.On {
		return nil
	}
	name := cmp.Or(g.policy.Budget.Name, g.name)
	b := rt.budgets[name]
	if b == nil {
		if rt.budgets == nil {
			rt.budgets = map[string]*budget{}
		}
		b = &budget{name: name}
		rt.budgets[name] = b
	}
	b.conf.Store(&conf) // calls in flight stay counted
	return b
}

// budgetConf is the budget in force under p, zero if there is none.
func budgetConf(p *Policy) Budget {
	conf, _ := p.Budget.under(presets[p.Preset].budget)
	return conf
}

// budgeted reports whether p has a budget, and something to limit.
func (p *Policy) budgeted() bool { return (p.Retry.set() || p.Hedge.set()) && budgetConf(p).On }
