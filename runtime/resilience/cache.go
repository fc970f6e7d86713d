package resilience

import (
	"context"
	"maps"
	"sync/atomic"
	"time"
	"unsafe"
)

// Cache keeps the results of one method by key. It is safe for concurrent use.
// Generated code asks [Cache.Get], and fills it with [Cache.Fill] where that
// fails. What V points to is shared by all who get it, and not to be changed.
//
// No more than [Caching.MaxEntries] are kept; which one goes is decided by CLOCK,
// as for [Breaker.PerKey].
type Cache[K comparable, V any] struct {
	guard *Guard
	// read is a copy of slots that never changes, as in keyedBreakers.
	read atomic.Pointer[map[K]*cacheSlot[K, V]]
	hits stripes

	sharing[K, V] // its mu guards the rest
	slots         map[K]*cacheSlot[K, V]
	ring          []*cacheSlot[K, V]
	hand          int
	unread        int   // finds that read did not know, since it was made
	misses        int64 // executions
	shared        int64 // calls that waited for another one's execution
	stale         int64 // calls that a value older than its ttl answered
	clears        int64
}

// stripes is a count that many cores add to without sharing a line: each
// goroutine has a line by the place of its stack.
type stripes struct {
	_     [64]byte
	lines [16]struct {
		n atomic.Int64
		_ [56]byte
	}
}

func (s *stripes) add() {
	var here byte
	s.lines[placeOf(unsafe.Pointer(&here))>>28].n.Add(1)
}

func (s *stripes) sum() (n int64) {
	for i := range s.lines {
		n += s.lines[i].n.Load()
	}
	return n
}

// cacheSlot is the place of a key. kept is nil once it was evicted.
type cacheSlot[K comparable, V any] struct {
	key  K
	kept atomic.Pointer[cacheEntry[V]]
	used atomic.Bool // since the hand passed
}

// cacheEntry is what is known of a key. It never changes. Instants are since epoch,
// and 0 where there is nothing.
type cacheEntry[V any] struct {
	value  V
	fresh  time.Duration // until when value answers
	usable time.Duration // until when it answers for a failure
	failed Outcome       // the last execution, if it is remembered
	until  time.Duration // when it is forgotten
}

// NewCache returns the cache of a method that g guards, under the Caching of its
// policy.
func NewCache[K comparable, V any](g *Guard) *Cache[K, V] {
	c := &Cache[K, V]{guard: g, slots: map[K]*cacheSlot[K, V]{}}
	c.read.Store(&map[K]*cacheSlot[K, V]{})
	g.rt.mu.Lock()
	defer g.rt.mu.Unlock()
	g.rt.caches = append(g.rt.caches, c)
	return c
}

// plan returns the plan in force, nil if nothing is to be cached.
func (c *Cache[K, V]) plan() *plan {
	if p := c.guard.plan.Load(); p != nil && p.Caching.TTL > 0 {
		return p
	}
	return nil
}

// Get returns the value of key, if there is one no older than its ttl.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	if c.plan() == nil {
		return value, false
	}
	if s := (*c.read.Load())[key]; s != nil {
		if k := s.kept.Load(); k != nil && sinceEpoch() < k.fresh {
			c.hit(s)
			return k.value, true
		}
	}
	return c.find(key)
}

func (c *Cache[K, V]) hit(s *cacheSlot[K, V]) {
	if !s.used.Load() {
		s.used.Store(true)
	}
	c.hits.add()
}

// find is Get for a key that read does not know, or knows as it was.
func (c *Cache[K, V]) find(key K) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.slots[key]
	if s == nil {
		return value, false
	}
	if c.unread++; c.unread >= len(c.slots) {
		c.unread = 0
		read := maps.Clone(c.slots)
		c.read.Store(&read)
	}
	k := s.kept.Load()
	if sinceEpoch() >= k.fresh {
		return value, false
	}
	c.hit(s)
	return k.value, true
}

// Fill executes f for a key that Get did not find, and keeps its result. Calls
// with one key share one execution. It has the values of the first one's context
// and ends when every one has left; a caller that leaves does not end it for the
// others, and gets the error of its own context. f must not touch what its caller
// may change meanwhile. A panic of f is raised again by every call as a
// *[PanicError], its Goexit repeated.
//
// A call from within f for the key that f is executed for would wait for itself:
// it executes its f. Switched off, f is simply called.
func (c *Cache[K, V]) Fill(ctx context.Context, key K, f func(context.Context) (V, Outcome)) (V, Outcome) {
	if ctx == nil {
		ctx = context.Background()
	}
	p, again := c.plan(), key
	if p == nil || key != again { // a NaN, which no map finds again
		return f(ctx)
	}
	if ctx.Err() != nil {
		var zero V
		return zero, p.leaving(ctx)
	}
	fl, value, known := c.join(ctx, p, key, f)
	switch {
	case fl == nil:
		return value, known.under(ctx)
	case fl.around(ctx):
		return f(ctx)
	}
	if c.wait(ctx, c.guard.rt, key, fl) {
		var zero V
		return zero, p.leaving(ctx)
	}
	value, known = fl.result()
	return value, known.under(ctx)
}

// leaving is the outcome of a call whose caller left.
func (p *plan) leaving(ctx context.Context) Outcome {
	err, kind := ctx.Err(), leftKind(ctx)
	return Outcome{plan: p, caller: ctx, err: err, kinds: kind, falls: p.falls(err, kind)}
}

// join returns the execution for key, begun if there is none, or what is known
// meanwhile.
func (c *Cache[K, V]) join(ctx context.Context, p *plan, key K, f func(context.Context) (V, Outcome)) (*flight[V], V, Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.slots[key]; s != nil {
		value, known, ok := c.answer(p, s)
		if ok && (known.err == nil && known.stale == nil || !p.replays(ctx)) {
			return nil, value, known
		}
	}
	var zero V
	if fl := c.flights[key]; fl != nil {
		if !fl.around(ctx) {
			fl.waiting++
			c.shared++
		}
		return fl, zero, Outcome{}
	}
	fl, ctx := c.begin(ctx, key)
	fl.began = c.clears
	c.misses++
	go fl.execute(ctx, f, func() { c.land(ctx, p, key, fl) })
	return fl, zero, Outcome{}
}

// answer tells what is known of the slot without an execution. c.mu is held.
func (c *Cache[K, V]) answer(p *plan, s *cacheSlot[K, V]) (value V, known Outcome, ok bool) {
	k, now := s.kept.Load(), sinceEpoch()
	switch {
	case now < k.fresh:
		c.hit(s)
		return k.value, Outcome{}, true
	case now >= k.until:
		return value, Outcome{}, false
	case now < k.usable:
		c.stale++
		return k.value, Outcome{plan: p, poor: true, stale: k.failed.err}, true
	}
	c.hit(s)
	return value, k.failed, true
}

// land ends an execution. The result of one that everybody left is dropped: it
// may be older than what is kept by now. So is that of one that began before the
// cache was cleared.
func (c *Cache[K, V]) land(ctx context.Context, p *plan, key K, fl *flight[V]) {
	c.end(ctx, c.guard.rt, p.name, key, fl, func() {
		if fl.began == c.clears && !fl.exited && fl.panicked == nil {
			c.keep(p, key, fl)
		}
	})
}

// keep keeps what an execution came to, and lets an older value answer for its
// failure. c.mu is held.
func (c *Cache[K, V]) keep(p *plan, key K, fl *flight[V]) {
	now, o, conf := sinceEpoch(), fl.outcome, &p.Caching
	if o.err == nil {
		if !o.poor {
			fresh := after(now, conf.TTL)
			c.put(conf, key, &cacheEntry[V]{value: fl.value, fresh: fresh, usable: after(fresh, max(conf.StaleOnError, 0))})
		}
		return
	}
	var k cacheEntry[V]
	s := c.slots[key]
	if s != nil && o.kinds&KindPermanent == 0 { // else the peer has told that the value is gone
		k = *s.kept.Load()
	}
	if o.kinds&callersOrOurs == 0 && conf.NegativeTTL > 0 {
		o.caller, o.failed, o.tries = nil, nil, 0 // a request must not live as long as what it came to
		k.failed, k.until = o, after(now, conf.NegativeTTL)
	}
	if s != nil || k.until > now {
		c.put(conf, key, &k)
	}
	if now < k.usable && o.kinds&(KindCanceled|KindCallerDeadline) == 0 {
		fl.value, fl.outcome = k.value, Outcome{plan: p, poor: true, stale: o.err}
		c.stale += int64(fl.waiting)
	}
}

// callersOrOurs are the failures that say nothing of the key: the caller's, and
// rejections of ours.
const callersOrOurs = KindCanceled | KindCallerDeadline | KindCircuitOpen | KindBulkheadFull | KindRateLimited | KindBudgetExhausted

// put gives the key something to keep. c.mu is held.
func (c *Cache[K, V]) put(conf *Caching, key K, k *cacheEntry[V]) {
	if s := c.slots[key]; s != nil {
		s.kept.Store(k)
		return
	}
	limit := orInt(conf.MaxEntries, 1000)
	for len(c.ring) >= limit {
		c.evict()
	}
	s := &cacheSlot[K, V]{key: key}
	s.kept.Store(k)
	c.slots[key] = s
	c.ring = append(c.ring, s)
}

// evict frees a place: the first one in the turn of the hand that was not used
// since it passed. Readers may use all of them meanwhile: after two turns one goes
// all the same. c.mu is held.
func (c *Cache[K, V]) evict() {
	size := len(c.ring)
	for range 2 * size {
		if c.hand %= size; !c.ring[c.hand].used.Swap(false) {
			break
		}
		c.hand++
	}
	c.hand %= size
	s := c.ring[c.hand]
	delete(c.slots, s.key)
	s.kept.Store(nil) // read may hold it still
	c.ring[c.hand] = c.ring[size-1]
	c.ring[size-1] = nil
	c.ring = c.ring[:size-1]
}

// CacheSnapshot is a [Cache] at one moment.
type CacheSnapshot struct {
	Name    string // of the method's guard
	Entries int
	Hits    int64 // calls that were answered without an execution; like the next ones since it was made
	Misses  int64 // executions
	Shared  int64 // calls that waited for another one's execution
	Stale   int64 // calls that a value older than its ttl answered
}

func (c *Cache[K, V]) snapshot() CacheSnapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return CacheSnapshot{Name: c.guard.name, Entries: len(c.ring), Hits: c.hits.sum(), Misses: c.misses, Shared: c.shared, Stale: c.stale}
}

// clear forgets every entry. Who waits for an execution gets what it comes to;
// nobody else does, since it may have read what was true before.
func (c *Cache[K, V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.ring {
		s.kept.Store(nil)
	}
	c.ring, c.hand = nil, 0
	clear(c.slots)
	clear(c.flights)
	c.clears++
}

// anyCache is a [Cache] of whatever types.
type anyCache interface {
	snapshot() CacheSnapshot
	clear()
}

// Caches returns every cache, in the order in which the wrappers were made.
func (rt *Runtime) Caches() []CacheSnapshot {
	var list []CacheSnapshot
	for _, c := range rt.listCaches() {
		list = append(list, c.snapshot())
	}
	return list
}

// ClearCaches forgets what the caches of the guards with the names keep; without
// names, of all. Calls that begin afterwards share no execution that began before,
// and what one of those comes to is not kept.
func (rt *Runtime) ClearCaches(names ...string) {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	for _, c := range rt.listCaches() {
		if len(names) == 0 || wanted[c.snapshot().Name] {
			c.clear()
		}
	}
}

func (rt *Runtime) listCaches() []anyCache {
	root, _ := rt.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	return root.caches[:len(root.caches):len(root.caches)]
}
