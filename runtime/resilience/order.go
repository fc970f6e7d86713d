package resilience

import (
	"fmt"
	"slices"
	"strings"
)

// Layer is a part of a [Policy] where it is about which one is around another.
type Layer uint8

// Layers, in the order in which they nest by default, outermost first.
const (
	_ Layer = iota
	LayerFallback
	LayerCache
	LayerTotal // Timeout.Total
	LayerRetry
	LayerHedge
	LayerBreaker
	LayerRateLimit
	LayerBulkhead
	LayerAdaptive
	LayerAttempt // Timeout.Attempt
	LayerOpen    // Timeout.Open
	LayerChaos
)

var layerNames = [...]string{
	LayerFallback: "fallback", LayerCache: "cache", LayerTotal: "timeout.total", LayerRetry: "retry", LayerHedge: "hedge",
	LayerBreaker: "circuitBreaker", LayerRateLimit: "rateLimit", LayerBulkhead: "bulkhead", LayerAdaptive: "adaptive",
	LayerAttempt: "timeout.attempt", LayerOpen: "timeout.open", LayerChaos: "chaos",
}

// String returns the layer as the policy language names it: "timeout.total".
func (l Layer) String() string {
	if int(l) < len(layerNames) && l > 0 {
		return layerNames[l]
	}
	return fmt.Sprintf("Layer(%d)", uint8(l))
}

// in reports whether p has the layer.
func (l Layer) in(p *Policy) bool {
	switch l {
	case LayerTotal:
		return p.Timeout.Total > 0
	case LayerAttempt:
		return p.Timeout.Attempt > 0
	case LayerOpen:
		return p.Timeout.Open > 0
	case LayerRetry:
		return p.Retry.set() && !p.Hedge.set()
	}
	part := lookupPart(l.String())
	return part != nil && part.on(p)
}

// attempts reports whether what is inside the layer may be done several times
// in a call.
func (l Layer) attempts() bool { return l == LayerRetry || l == LayerHedge }

// bounds reports whether the layer is a limit of one attempt.
func (l Layer) bounds() bool { return l == LayerAttempt || l == LayerOpen }

// listens reports whether the layer is told how what is inside it ended.
func (l Layer) listens() bool { return l == LayerBreaker || l == LayerAdaptive }

// placed reports whether the layer has a place where nobody gives it one: there
// is only one where it may stand, or one that everybody means.
func (l Layer) placed() bool { return l <= LayerTotal || l >= LayerAttempt }

// nesting returns the layers of p, outermost first.
func (p *Policy) nesting() []Layer {
	var list []Layer
	for _, l := range p.Order {
		if l.in(p) {
			list = append(list, l)
		}
	}
	for l := LayerFallback; l <= LayerChaos; l++ {
		if l.in(p) && !slices.Contains(list, l) {
			list = slices.Insert(list, l.place(list), l)
		}
	}
	return list
}

// place returns where in the list a layer stands that nobody gave a place.
func (l Layer) place(list []Layer) int {
	if at := slices.Index(list, LayerAttempt); l == LayerOpen && at >= 0 {
		return at + 1
	}
	if at := slices.IndexFunc(list, func(other Layer) bool { return other > l }); at >= 0 {
		return at
	}
	return len(list)
}

// checkOrder calls refuse for an order that makes no sense. Why is in
// docs/policy.md.
func (p *Policy) checkOrder(refuse func(bad bool, text string)) {
	if len(p.Order) == 0 {
		return
	}
	for i, l := range p.Order {
		refuse(l < LayerFallback || l > LayerChaos, fmt.Sprintf("order: there is no %v", l))
		refuse(slices.Contains(p.Order[:i], l), fmt.Sprintf("order: %v stands in it twice", l))
	}
	for l := LayerFallback; l <= LayerChaos; l++ {
		refuse(l.in(p) && !l.placed() && !slices.Contains(p.Order, l), fmt.Sprintf("order: leaves out %v", l))
	}
	list := p.nesting()
	for i, inside := range list {
		for _, outside := range list[:i] {
			refuse(inside.mustContain(outside), fmt.Sprintf("order: %v must be outside %v", inside, outside))
			refuse(inside.attempts() && p.perAttempt(outside), fmt.Sprintf("order: %v counts attempts here, and must be inside %v", outside, inside))
			refuse(outside.attempts() && inside == LayerRateLimit && p.RateLimit.Scope == PerCall,
				fmt.Sprintf("order: rateLimit with scope call must be outside %v", outside))
		}
	}
	attempt, open := slices.Index(list, LayerAttempt), slices.Index(list, LayerOpen)
	refuse(attempt >= 0 && open >= 0 && attempt-open != 1 && open-attempt != 1, "order: timeout.attempt and timeout.open begin together, and must be neighbours")
}

// mustContain reports whether l may not stand inside other.
func (l Layer) mustContain(other Layer) bool {
	switch l {
	case LayerFallback:
		return true
	case LayerCache:
		return other != LayerFallback
	case LayerTotal:
		return other.attempts() || other.bounds()
	case LayerRetry, LayerHedge, LayerBreaker, LayerAdaptive:
		return other.bounds() || other == LayerChaos
	}
	return other == LayerChaos
}

// perAttempt reports whether the layer can only count attempts, not calls.
func (p *Policy) perAttempt(l Layer) bool {
	return l == LayerAdaptive && p.Adaptive.Mode == Concurrency || l == LayerBulkhead && p.Timeout.Mode == Abandon
}

// nesting is how a plan asks the layers that reject or wait, where their order
// is not the default one.
type nesting struct {
	outer []Layer // asked once for a call
	inner []Layer // for each attempt
	holds holding // what outer ones give, held until the call is over
	spans holding // that, and what is given back behind other layers
	late  bool    // timeout.total begins behind a layer that was asked before
	soon  bool    // the limit of an attempt begins before it is let in
	slow  bool    // the breaker is an outer one and minds how long calls take
}

// nested returns how the layers of p are asked, nil for the default order.
func (p *Policy) nested() *nesting {
	list := p.nesting()
	if slices.IsSorted(list) {
		return nil
	}
	list = slices.DeleteFunc(list, func(l Layer) bool { return l <= LayerCache || l == LayerChaos })
	n := &nesting{late: list[0] != LayerTotal}
	n.soon = n.bounded(list)
	loop := slices.IndexFunc(list, Layer.attempts)
	for i, l := range list {
		switch {
		case l == LayerTotal && !n.late, l.bounds() && !n.soon, l.attempts():
		case i > 0 && l.bounds() && list[i-1].bounds(): // they begin together
		case i < loop:
			n.outer = append(n.outer, l)
			n.holds |= gives[l]
		default:
			n.inner = append(n.inner, l)
		}
	}
	n.spans = n.holds
	if slot := slices.Index(n.inner, LayerBulkhead); slot >= 0 && slices.ContainsFunc(n.inner[slot:], Layer.listens) {
		n.spans |= holdsSlot
	}
	n.slow = n.holds&holdsPermit != 0 && p.Breaker.SlowCallDuration > 0
	return n
}

// gives is what a call holds of its layers.
var gives = [LayerChaos + 1]holding{LayerBreaker: holdsPermit | holdsProbe, LayerBulkhead: holdsSlot, LayerAdaptive: holdsWatch}

// bounded reports whether a wait stands inside the limit of an attempt.
func (n *nesting) bounded(list []Layer) bool {
	at := slices.IndexFunc(list, Layer.bounds)
	return at >= 0 && slices.ContainsFunc(list[at:], func(l Layer) bool { return !l.bounds() })
}

// nestingText is how the layers nest, as Explain says it; "" if there are none.
func (p *Policy) nestingText() string {
	var text strings.Builder
	for _, l := range p.nesting() {
		text.WriteString(l.String() + " > ")
	}
	if text.Len() == 0 {
		return ""
	}
	return text.String() + "delegate"
}

// arrange has the plan ask the layers of policy in their order.
func (p *plan) arrange(policy *Policy) {
	n := policy.nested()
	if n == nil {
		return
	}
	p.nest, p.nests, p.spans = n, true, n.spans
	p.prepares = true
	p.admits = len(n.inner) > 0
	p.timed = p.timed && !n.soon
}

// enter asks the outer layers, and ends the call if one rejects it.
func (c *Call) enter() bool {
	if c.start == 0 {
		c.start = sinceEpoch()
	}
	n := c.plan.nest
	for _, l := range n.outer {
		if !c.pass(l) {
			c.phase = over
			return false
		}
	}
	if len(n.inner) == 0 {
		c.executes()
	}
	return true
}

// admitNested asks the inner layers, and gives back what they gave if one
// rejects the attempt. The breaker has been told by who rejected it.
func (c *Call) admitNested() bool {
	for i, l := range c.plan.nest.inner {
		if c.pass(l) {
			continue
		}
		for _, l := range slices.Backward(c.plan.nest.inner[:i]) {
			c.undo(l)
		}
		return false
	}
	c.executes()
	return true
}

// executes notes that an execution is certain.
func (c *Call) executes() {
	c.holds &^= holdsPaid
	c.begun = 0
	if c.plan.measures {
		c.begun = sinceEpoch()
	}
}

// pass asks one layer. What a limiter gave is held until the execution: who is
// told of what the layers inside it say may end the goroutine.
func (c *Call) pass(l Layer) bool {
	p := c.plan
	switch l {
	case LayerTotal:
		c.due = after(sinceEpoch(), p.total)
	case LayerBreaker:
		if !c.breaker.closed.Load() {
			return c.ask()
		}
		c.generation = c.breaker.generation.Load()
		c.holds |= holdsPermit
	case LayerRateLimit:
		paid, ok := c.charge()
		if paid.l != nil && ok {
			c.begun, c.cost = paid.receipt, paid.cost
			c.holds |= holdsPaid
		}
		return ok
	case LayerBulkhead:
		if !p.bulkhead.quick() {
			if err := c.queue(); err != nil {
				return c.sentBack(ticket{}, bulkheadPart, err)
			}
		}
		c.holds |= holdsSlot
	case LayerAdaptive:
		if err := c.adapt(); err != nil {
			return c.sentBack(ticket{}, adaptivePart, err)
		}
		c.tellLimit(ticket{}) // it holds what it paid
	default:
		c.attempts++ // its context says which one it is
		c.limit()
		c.attempts--
	}
	return true
}

// undo gives back what a layer gave to an attempt that was not let in.
func (c *Call) undo(l Layer) {
	switch {
	case l == LayerBulkhead:
		c.freeSlot()
	case l == LayerRateLimit && c.holds&holdsPaid != 0:
		c.unpay()
	case l == LayerAdaptive:
		c.watched(outcomeIgnored, 0)
	case l.bounds():
		c.release(false)
	}
}

// succeededNested is what a plain success still has to do.
func (c *Call) succeededNested() {
	c.leave()
	if !c.races {
		c.notes(outcomeSuccess, outcomeSuccess)
		c.handBack()
	}
}

// failedNested is what an attempt still has to do that was no plain success.
func (c *Call) failedNested(record bool) {
	if c.plan.nest.holds&holdsPermit != 0 {
		c.heard = c.outcome(record)
	}
	c.seen = c.answer()
	c.leave()
}

// leave frees the slot of an attempt, if it is one of a bulkhead that is around
// those who have heard of it meanwhile.
func (c *Call) leave() {
	if c.holds&holdsSlot&^c.plan.nest.holds != 0 {
		c.freeUnlessHeld()
	}
}

// handBack gives back what the outer layers gave, the innermost first, and tells
// them how the call ended.
func (c *Call) handBack() {
	for _, l := range slices.Backward(c.plan.nest.outer) {
		switch {
		case l == LayerBulkhead:
			c.freeUnlessHeld()
		case l == LayerRateLimit && c.holds&holdsPaid != 0:
			c.unpay()
		case l == LayerAdaptive && c.holds&holdsWatch != 0:
			c.watched(c.seen, 0)
		case l == LayerBreaker && c.holds&holdsPermit != 0:
			c.conclude()
		}
	}
}

// diedInside is died for an attempt whose call goes on: outer layers wait for
// the end of that.
func (c *Call) diedInside() {
	kept := holding(0)
	if n := c.plan.nest; n != nil {
		kept = c.holds & n.holds
	}
	c.holds &^= kept
	defer c.keep(kept) // also where who is told ends the goroutine
	c.died()
}

func (c *Call) keep(kept holding) { c.holds |= kept }

// unpay gives back what a call took that executed nothing.
func (c *Call) unpay() {
	l := c.limiter
	if l == nil {
		l = c.plan.limiter
	}
	c.holds &^= holdsPaid
	c.repay(ticket{l, c.begun, c.cost})
	c.begun = 0
}

// conclude tells a breaker around the attempts of the call.
func (c *Call) conclude() {
	if c.unwanted && c.reason != nil { // what every attempt returned has become an error
		c.heard = c.plan.Breaker.judge(c.reason, c.kinds)
	}
	receipt := c.begun
	c.begun = 0
	if c.plan.nest.slow {
		c.begun = c.start
	}
	c.tellBreaker(c.heard)
	c.begun = receipt
}

// notes is what an attempt or a rejection tells layers that are asked once for a
// call: they hear of the last one.
func (c *Call) notes(breaker, adaptive outcome) { c.heard, c.seen = breaker, adaptive }

// hears tells the breaker of an attempt that was not let in, if it was asked
// for that one.
func (c *Call) hears(o outcome) {
	c.notes(o, outcomeIgnored)
	if c.plan.spans&holdsPermit != 0 {
		return
	}
	receipt := c.begun
	c.begun = 0
	c.verdict(o, 0)
	if c.holds&holdsPaid != 0 {
		c.begun = receipt
	}
}

// overdue ends an attempt whose own limit passed before it was let in. It is an
// attempt that failed, though nothing was executed.
func (c *Call) overdue(late error) {
	name, limit := "timeout.attempt", c.plan.perTry
	if late == error(errOpen) {
		name, limit = "timeout.open", c.plan.open
	}
	c.kinds, c.unwanted = KindTimeout|KindTransient, false
	c.stop(timeoutPart, &timeoutError{name, limit, nil})
	if s := c.plan.stats; s != nil {
		s.rejections[timeoutPart].Add(1)
	}
	if c.listened() {
		c.tell(Event{Kind: Rejected, By: partNames[timeoutPart], Err: c.reason})
	}
	if c.plan.retries && c.mends(c.reason) && c.mayTry() {
		c.phase = again
	}
}
