package resilience

import (
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

	byKey    sync.Map // string → *breaker
	mu       sync.Mutex
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
	return k
}

// otherKeys is what follows the name of the breaker for keys without a place.
const otherKeys = " (other keys)"

// acquire returns the breaker of key, which stays until release.
func (k *keyedBreakers) acquire(key string) *breaker {
	if found, ok := k.byKey.Load(key); ok {
		b := found.(*breaker)
		if b.enter() {
			if !b.used.Load() {
				b.used.Store(true)
			}
			return b
		}
	}
	return k.insert(key) // an eviction in progress is decided under its lock
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

func (k *keyedBreakers) insert(key string) *breaker {
	k.mu.Lock()
	defer k.mu.Unlock()
	if found, ok := k.byKey.Load(key); ok { // no eviction meanwhile: it takes the lock
		b := found.(*breaker)
		b.calls.Add(1)
		return b
	}
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
	k.byKey.Store(key, b)
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
			k.byKey.Delete(b.key)
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
