package resilience

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// keyedBreakers keeps one breaker for each key, and no more than maxKeys of
// them. Which one goes is decided by CLOCK (Corbató, "A paging experiment with
// the Multics system", 1968): roughly the least recently used, never one that
// is open, half-open or in use. If there is no such one, a shared breaker
// serves the keys that found no place.
type keyedBreakers struct {
	name    string
	conf    Breaker // as given, under the preset
	rate    bool
	maxKeys int

	// read is a copy of byKey that never changes: it may lack who came lately, and
	// hold who went. A new one is made when the misses have paid for it, as package
	// sync's Map did; that one is slower by the conversion of its keys.
	read     atomic.Pointer[map[string]*breaker]
	mu       sync.Mutex
	byKey    map[string]*breaker
	misses   int // of read, since it was made
	ring     []*breaker
	hand     int
	overflow *breaker
}

// keyUse is what a breaker of a key knows about its use.
type keyUse struct {
	key   string
	calls atomic.Int64 // in flight; gone once it was evicted
	used  atomic.Bool  // since the hand passed
}

const gone = -1 << 62

func newKeyedBreakers(name string, conf Breaker, rate bool) *keyedBreakers {
	k := &keyedBreakers{name: name, conf: conf, rate: rate, maxKeys: conf.withDefaults().MaxKeys}
	k.overflow = newBreaker(name+otherKeys, conf, rate)
	k.byKey = map[string]*breaker{}
	k.read.Store(&map[string]*breaker{})
	return k
}

// otherKeys is what follows the name of the breaker for keys without a place.
const otherKeys = " (other keys)"

// acquire returns the breaker of key, which stays until release.
func (k *keyedBreakers) acquire(key string) *breaker {
	if b := (*k.read.Load())[key]; b != nil && b.enter() {
		if !b.used.Load() {
			b.used.Store(true)
		}
		return b
	}
	return k.find(key) // an eviction in progress is decided under its lock
}

// enter counts a call, unless the breaker is being evicted.
func (u *keyUse) enter() bool {
	for {
		n := u.calls.Load()
		if n < 0 {
			return false
		}
		if u.calls.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (u *keyUse) release() { u.calls.Add(-1) }

// find is acquire for a key that read does not know.
func (k *keyedBreakers) find(key string) *breaker {
	k.mu.Lock()
	defer k.mu.Unlock()
	b := k.byKey[key]
	if b == nil {
		return k.insert(key)
	}
	b.calls.Add(1) // nothing is evicted meanwhile
	b.used.Store(true)
	if k.misses++; k.misses >= len(k.byKey) {
		k.misses = 0
		read := maps.Clone(k.byKey)
		k.read.Store(&read)
	}
	return b
}

// insert makes the breaker of a new key. k.mu is held.
func (k *keyedBreakers) insert(key string) *breaker {
	place := len(k.ring)
	if place < k.maxKeys {
		k.ring = append(k.ring, nil)
	} else if place = k.evict(); place < 0 {
		k.overflow.calls.Add(1)
		return k.overflow
	}
	key = strings.Clone(key) // it may be a piece of a large request
	b := newBreaker(k.name+"["+key+"]", k.conf, k.rate)
	b.key = key
	b.calls.Store(1)
	k.ring[place] = b
	k.byKey[key] = b
	return b
}

// evict frees a place and returns it; -1 if every breaker must stay. One turn
// of the hand clears the marks, the second one finds what was not used. In a
// third one a breaker goes whose open state is over though nobody came to see:
// peers that died for good would fill the ring else.
func (k *keyedBreakers) evict() int {
	size := len(k.ring)
	for n := range 3 * size {
		place := k.hand
		k.hand = (k.hand + 1) % size
		b := k.ring[place]
		if b.used.Swap(false) || !b.calls.CompareAndSwap(0, gone) {
			continue
		}
		if b.idle(n >= 2*size) {
			delete(k.byKey, b.key)
			b.stop()
			return place
		}
		b.calls.Store(0)
	}
	return -1
}

// stop ends the timers of all.
func (k *keyedBreakers) stop() {
	for _, b := range k.list() {
		b.stop()
	}
}

// list returns every breaker; the shared one only once it was needed.
func (k *keyedBreakers) list() []*breaker {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []*breaker
	list = append(list, k.ring...)
	if k.overflow.generation.Load() > 0 || k.overflow.calls.Load() > 0 {
		list = append(list, k.overflow)
	}
	return slices.Clip(list)
}
