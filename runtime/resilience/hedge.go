package resilience

import (
	"context"
	"sync"
	"time"
)

// Hedged makes a call of f, and another one in a goroutine of its own where the
// policy hedges and the first has not answered in time. It takes the place of
// the loop over [Call.Next]:
//
//	call := guard.Begin(ctx)
//	defer call.End()
//	quote, err = resilience.Hedged(&call, func(ctx context.Context) (Quote, error) {
//		return next.Quote(ctx, symbol)
//	})
//
// The first attempt stays on the caller's goroutine. A failure starts the next
// attempt at once, unless it is one that is never retried: that ends the
// hedging, and the attempts in flight go on. The first that succeeds wins; the
// contexts of the others are cancelled, and what they return all the same is
// closed if it is an [io.Closer]. If all fail, the result is that of the first
// attempt.
//
// Hedged returns when every attempt has, so that nothing of the call is left
// behind; under timeout.mode abandon it waits for none. A panic of an attempt in
// a goroutine of ours is raised again as a *[PanicError] when the others have
// ended, its Goexit repeated. The error is that of [Call.Err].
func Hedged[T any](c *Call, f func(context.Context) (T, error)) (T, error) {
	return HedgedResult(c, f, nil)
}

// HedgedResult is Hedged for methods whose results are judged: a breaker counts
// a result without an error as a failure if record says so.
func HedgedResult[T any](c *Call, f func(context.Context) (T, error), record func(T) bool) (T, error) {
	if !c.Next() {
		var zero T
		return zero, c.Err()
	}
	if c.plan == nil || c.plan.hedge == nil || c.once {
		v, err := execute(c, f)
		c.RecordResult(err, false, err == nil && record != nil && record(v))
		return v, c.Err()
	}
	r := raceOf[T](c.plan.hedge)
	r.f, r.judge = f, record
	r.enter(c)
	defer r.leave(c) // the first attempt may panic
	return r.run(c)
}

// hedging is how a plan hedges.
type hedging struct {
	conf      Hedge // every default filled in
	latencies *latencies
	races     sync.Pool // of *race, that needed no hedge; without their timers, which may belong to a bubble
}

func (h *Hedge) set() bool { return *h != Hedge{} }

// hedging returns how g hedges, nil if it does not. What it has learned of
// latencies outlives a change of preset. rt.mu is held.
func (g *Guard) hedging(conf Hedge) *hedging {
	if !conf.set() {
		return nil
	}
	conf.MaxHedges = max(conf.MaxHedges, 1)
	if conf.Delay != 0 {
		conf.Delay = max(conf.Delay, 0)
		return &hedging{conf: conf}
	}
	fill(&conf.Percentile, 95)
	fill(&conf.Warmup, 100)
	if l := g.latencies; l == nil || l.percentile != conf.Percentile || l.warmup != int64(conf.Warmup) {
		g.latencies = &latencies{percentile: conf.Percentile, warmup: int64(conf.Warmup)}
	}
	return &hedging{conf: conf, latencies: g.latencies}
}

// delay returns when the next attempt is due; false while too little is known.
func (h *hedging) delay() (time.Duration, bool) {
	if h.latencies == nil {
		return h.conf.Delay, true
	}
	d := h.latencies.estimate.Load()
	return time.Duration(d), d > 0
}

// race is the attempts of one call. The caller's goroutine runs the first one,
// then those that follow a failure of its own; the timer's goroutines run the
// others, and what follows their failures. Most calls need no hedge, so that
// what only those need is apart.
type race[T any] struct {
	f       func(context.Context) (T, error)
	judge   func(T) bool // nil: every result is fine
	like    origin
	bell    func() // fire
	primary *lazyContext
	delay   time.Duration
	begun   time.Duration // only if latencies are learned

	mu    sync.Mutex
	timer *time.Timer
	rest  *rivals[T] // nil until a hedge begins or an attempt fails
	left  int32      // hedges that may still begin
	over  bool       // an attempt won or died
	won   bool
	quiet bool // the timer will not fire
	ended bool // all attempts have; of the caller's goroutine
}

// raceOf returns a race to enter: one that has served another call, if there is
// one.
func raceOf[T any](h *hedging) *race[T] {
	if r, ok := h.races.Get().(*race[T]); ok {
		return r
	}
	r := new(race[T])
	r.bell = r.fire
	return r
}

// rivals are the hedges of a race. Its mutex guards the rest, too.
type rivals[T any] struct {
	lanes    sync.WaitGroup // goroutines of ours
	contexts []*lazyContext
	executed int32 // hedges
	value    T     // of the winner
	kept     *Hold // what it needs on; nil: nothing
	before   error // of the latest failure
	refused  bool  // by the budget
	panicked *PanicError
	exited   bool
}

// origin is what the hedges of a call begin with.
type origin struct {
	plan       *plan
	caller     context.Context
	breaker    *breaker
	limiter    *limiter
	cost       int32
	start, due time.Duration
	holds      holding
}

// call begins a hedge under ctx. As another try, its limits count from now.
func (o *origin) call(ctx context.Context) Call {
	c := Call{
		plan: o.plan, caller: ctx, breaker: o.breaker, limiter: o.limiter, cost: o.cost, start: o.start, due: o.due, tries: 2, races: true,
		holds: o.holds & (holdsKey | holdsLimiter),
	}
	// What a call in flight has cannot be evicted now.
	if c.holds&holdsKey != 0 {
		o.breaker.calls.Add(1)
	}
	if c.holds&holdsLimiter != 0 {
		o.limiter.calls.Add(1)
	}
	return c
}

// enter gives the first attempt a context that can be ended, and has the timer
// begin others.
func (r *race[T]) enter(c *Call) {
	h := c.plan.hedge
	c.races = true
	r.like = origin{c.plan, c.caller, c.breaker, c.limiter, c.cost, c.start, c.due, c.holds}
	if c.lazy == nil { // the delegate may keep it, so that it serves one call
		c.lazy = &lazyContext{parent: c.caller, due: never, outlives: c.plan.keeps, held: c.plan.lends}
		c.holds |= holdsContext
	}
	r.primary = c.lazy
	if h.latencies != nil {
		r.begun = sinceEpoch()
	}
	delay, known := h.delay()
	if !known {
		r.quiet = true
		return
	}
	r.left, r.delay = int32(h.conf.MaxHedges), delay
	if delay > 0 {
		r.mu.Lock() // the timer may fire before it is known here
		r.timer = time.AfterFunc(delay, r.bell)
		r.mu.Unlock()
		return
	}
	for range h.conf.MaxHedges {
		r.start()
	}
}

// fire begins the next hedge in the goroutine of the timer.
func (r *race[T]) fire() {
	if h := r.next(true); h != nil {
		r.lane(h)
	}
}

func (r *race[T]) start() {
	if h := r.next(true); h != nil {
		go r.lane(h)
	}
}

// next returns the context of the next hedge, nil if none may begin. A refusal
// by the budget ends the hedging of the call.
func (r *race[T]) next(lane bool) *lazyContext {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.left == 0 || r.like.plan.off.Load() {
		return nil
	}
	rest := r.hedged()
	if b := r.like.plan.budget; b != nil && !b.take() {
		rest.refused = true
		r.close()
		return nil
	}
	r.left--
	if r.timer != nil && r.left > 0 {
		r.timer.Reset(r.delay)
	}
	if lane {
		rest.lanes.Add(1)
	}
	number := int32(len(rest.contexts)) + 2
	h := &lazyContext{
		parent: &attemptContext{r.like.caller, number, true, rest.before},
		due:    never, later: true, outlives: r.like.plan.keeps || r.like.plan.open > 0, held: r.like.plan.lends,
	}
	rest.contexts = append(rest.contexts, h)
	return h
}

// hedged is what is known of the hedges. r.mu is held.
func (r *race[T]) hedged() *rivals[T] {
	if r.rest == nil {
		r.rest = new(rivals[T])
	}
	return r.rest
}

// close lets no hedge begin any more. r.mu is held.
func (r *race[T]) close() {
	r.left = 0
	if r.timer != nil {
		r.quiet = r.timer.Stop() || r.quiet
	}
}

// lane runs a hedge, and others after failures, in a goroutine of ours.
func (r *race[T]) lane(h *lazyContext) {
	defer r.rest.lanes.Done()
	returned := false
	defer func() {
		if !returned {
			r.die(recover())
		}
	}()
	r.hedges(h)
	returned = true
}

// hedges runs the hedge h, and the next one whenever one fails.
func (r *race[T]) hedges(h *lazyContext) {
	for h != nil && r.hedge(h) {
		h = r.next(false)
	}
}

// hedge runs one hedge; true if another one may follow at once.
func (r *race[T]) hedge(h *lazyContext) bool {
	c := r.like.call(h)
	defer r.settle(&c, h)
	if !c.join() {
		return r.failed(&c)
	}
	r.mu.Lock()
	r.rest.executed++
	r.mu.Unlock()
	c.hedged()
	_, err := r.attempt(&c, h)
	return err != nil && r.failed(&c)
}

// join is Next for a hedge.
func (c *Call) join() bool {
	if c.caller.Err() == nil && c.plan.admits && !c.admit() {
		return false
	}
	if c.caller.Err() != nil { // also while it queued
		c.kinds = c.leftKind()
		c.verdict(outcomeIgnored, 0)
		if c.holds&holdsWatch != 0 {
			c.watched(outcomeIgnored, 0)
		}
		return false
	}
	c.attempts, c.phase = 1, running
	if c.plan.timed {
		c.limit()
	}
	if c.lazy != nil {
		c.lazy.later = true
	}
	return true
}

// hedged tells and counts that a hedge begins.
func (c *Call) hedged() {
	if s := c.plan.stats; s != nil {
		s.retries.Add(1)
	}
	if c.listened() {
		c.tell(Event{Kind: HedgeStarted})
	}
}

// settle gives back what a hedge holds. The context of the winner may be left
// to the caller.
func (r *race[T]) settle(c *Call, h *lazyContext) {
	defer c.End() // at the end: it may tell somebody who ends the goroutine
	if b := c.plan.budget; b != nil {
		b.repeated.Add(-1)
	}
	if c.phase != over || c.last != nil || h.lost.Load() || !h.outlives {
		h.end()
	}
}

// attempt runs the delegate once and records how it ended. A success is known
// before the slot is free: who queues for it must not begin.
func (r *race[T]) attempt(c *Call, ctx *lazyContext) (T, error) {
	v, err := execute(c, r.f)
	lost := err == nil && !r.win(v, ctx)
	c.RecordResult(err, false, err == nil && r.judge != nil && r.judge(v))
	switch {
	case lost:
		discard(v)
		c.giveBack()
	case err == nil && ctx != r.primary:
		r.rest.kept = c.bequeath(ctx)
		if c.listened() {
			c.tell(Event{Kind: HedgeWon})
		}
	}
	return v, err
}

// execute runs the delegate once.
func execute[T any](c *Call, f func(context.Context) (T, error)) (T, error) {
	if chaosBuilt && c.plan != nil && c.plan.chaos && c.plan.hedge != nil {
		if err := c.inject(); err != nil {
			var zero T
			return zero, err
		}
	}
	if c.plan != nil && c.plan.Timeout.Mode == Abandon {
		return Abandonable(c, f)
	}
	return f(c.Context())
}

// beaten reports whether the attempt's context was ended for another one. What
// it came to then is no verdict on the peer.
func (c *Call) beaten() bool {
	own, ok := c.caller.(*lazyContext)
	if !(ok && own.lost.Load() || c.lazy != nil && c.lazy.lost.Load()) {
		return false
	}
	c.kinds, c.plain = KindCanceled, false
	held := c.holds &^ c.plan.spans
	if held&holdsWatch != 0 {
		c.watched(outcomeIgnored, 0)
	}
	if held&holdsPermit != 0 {
		c.tellBreaker(outcomeIgnored)
	}
	if c.plan.nest != nil {
		c.leave()
	}
	c.release(false)
	return true
}

// failed notes a failure; true if the next attempt may begin at once.
func (r *race[T]) failed(c *Call) bool {
	final := c.kinds&floor != 0 || c.due != 0 && sinceEpoch() >= c.due
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hedged().before = c.last
	if final {
		r.close()
	}
	return !final
}

// win makes v the result of the call unless there is one. It ends the other
// attempts.
func (r *race[T]) win(v T, winner *lazyContext) bool {
	r.mu.Lock()
	if r.over {
		r.mu.Unlock()
		return false
	}
	r.won = true
	if r.rest != nil {
		r.rest.value = v
	}
	r.decide(winner)
	return true
}

// decide ends the race, and the attempts but for one. It unlocks r.mu: ending a
// context may wake strangers.
func (r *race[T]) decide(but *lazyContext) {
	r.over = true
	r.close()
	var contexts []*lazyContext
	if r.rest != nil {
		contexts = r.rest.contexts
	}
	r.mu.Unlock()
	if r.primary != but {
		r.primary.lose()
	}
	for _, h := range contexts {
		if h != but {
			h.lose()
		}
	}
}

// die ends the race for a panic of v, or a Goexit.
func (r *race[T]) die(v any) {
	var panicked *PanicError
	if v != nil {
		panicked = carried(v)
	}
	r.mu.Lock()
	if r.rest.panicked == nil {
		r.rest.panicked = panicked
	}
	r.rest.exited = r.rest.exited || v == nil
	r.decide(nil)
}

// run runs the first attempt and what follows it.
func (r *race[T]) run(c *Call) (T, error) {
	v, err := r.attempt(c, r.primary)
	if l := c.plan.hedge.latencies; l != nil && (err == nil || r.primary.lost.Load()) {
		l.add(sinceEpoch() - r.begun) // one that lost took at least so long
	}
	if err != nil && r.failed(c) {
		r.hedges(r.next(false))
	}
	r.ended = true
	if r.rest == nil { // nobody but the timer knows of r, and it is stopped
		c.finish()
		return v, c.Err()
	}
	r.rest.lanes.Wait()
	c.attempts = r.rest.executed + 1
	c.adopt(r.rest.kept)
	r.rest.raise(r.won)
	if r.won {
		c.succeed()
		c.poor = r.judge != nil && r.judge(r.rest.value)
		c.notes(outcomeSuccess, outcomeSuccess)
		if c.poor {
			c.heard = outcomeFailure
		}
		c.finish()
		return r.rest.value, nil
	}
	c.concede(r.rest.refused)
	c.finish()
	return v, c.Err()
}

// leave ends what still runs after a panic of the caller's goroutine. What the
// first attempt holds is free before the others have returned. A race that nobody
// else knows of waits for another call.
func (r *race[T]) leave(c *Call) {
	if r.ended {
		if r.rest == nil && r.quiet {
			h := r.like.plan.hedge
			*r = race[T]{bell: r.bell}
			h.races.Put(r)
		}
		return
	}
	r.mu.Lock()
	r.decide(nil)
	defer r.bury(c) // also where who is told ends the goroutine
	c.diedInside()  // now that no hedge is to begin
}

// bury waits for the hedges of a call that died.
func (r *race[T]) bury(c *Call) {
	if r.rest == nil {
		return
	}
	r.rest.lanes.Wait()
	c.attempts = r.rest.executed + 1
	if r.won {
		discard(r.rest.value)
		r.rest.kept.End()
	}
}

// raise raises again what a hedge died of.
func (h *rivals[T]) raise(won bool) {
	if won && (h.panicked != nil || h.exited) {
		discard(h.value)
	}
	reraise(h.panicked, h.exited, struct{}{}, struct{}{})
}

// succeed makes the success of a hedge that of the call.
func (c *Call) succeed() {
	c.last, c.reason, c.ended, c.kinds, c.unwanted = nil, nil, noPart, 0, false
}

// concede notes that every attempt failed.
func (c *Call) concede(refused bool) {
	switch {
	case refused && c.kinds&floor == 0:
		c.refused(c.reason)
	case c.ended == noPart && c.attempts > 1:
		c.ended = hedgePart
	}
}
