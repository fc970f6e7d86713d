package resilience

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// keyRing keeps one thing for each key, a breaker or a limiter, and no more than
// maxKeys of them. Which one goes is decided by CLOCK (Corbató, "A paging
// experiment with the Multics system", 1968): roughly the least recently used,
// never one that is in use or not idle: a breaker that is open or half-open. If
// there is no such one, a shared one serves the keys that found no place.
type keyRing struct {
	name    string
	maxKeys int
	build   func(name string) keyed

	// read is a copy of byKey that never changes: it may lack who came lately, and
	// hold who went. A new one is made when the misses have paid for it, as package
	// sync's Map did; that one is slower by the conversion of its keys.
	read     atomic.Pointer[map[string]*keyUse]
	mu       sync.Mutex
	byKey    map[string]*keyUse
	misses   int // of read, since it was made
	ring     []*keyUse
	hand     int
	overflow *keyUse
	crowded  bool // overflow was needed
	patience int  // searches for a place to be left out, after one in vain
}

// keyed is what is kept for a key.
type keyed interface {
	use() *keyUse
	// idle reports whether nothing is lost with it; late, if nobody else can go.
	idle(late bool) bool
	stop()
}

// keyedBreakers keeps a breaker for each key.
type keyedBreakers struct {
	*keyRing
	conf Breaker // as given, under the preset
	rate bool
}

// keyUse is what is known about the use of what is kept for a key.
type keyUse struct {
	key   string
	what  keyed
	calls atomic.Int64 // in flight; gone once it was evicted
	used  atomic.Bool  // since the hand passed
}

const gone = -1 << 62

func newKeyedBreakers(name string, conf Breaker, rate bool, o *observer) *keyedBreakers {
	k := &keyedBreakers{conf: conf, rate: rate}
	k.keyRing = newKeyRing(name, conf.withDefaults().MaxKeys, func(name string) keyed { return newBreaker(name, k.conf, k.rate, o) })
	return k
}

func newKeyRing(name string, maxKeys int, build func(name string) keyed) *keyRing {
	k := &keyRing{name: name, maxKeys: maxKeys, build: build, byKey: map[string]*keyUse{}}
	k.overflow = k.new(name + otherKeys)
	k.read.Store(&map[string]*keyUse{})
	return k
}

func (k *keyRing) new(name string) *keyUse {
	what := k.build(name)
	u := what.use()
	u.what = what
	return u
}

// otherKeys is what follows the name of the one for keys without a place.
const otherKeys = " (other keys)"

// acquire returns what is kept for key, which stays until release.
func (k *keyRing) acquire(key string) *keyUse {
	if b := (*k.read.Load())[key]; b != nil && b.enter() {
		if !b.used.Load() {
			b.used.Store(true)
		}
		return b
	}
	return k.find(key) // an eviction in progress is decided under its lock
}

// enter counts a call, unless it is being evicted.
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
func (k *keyRing) find(key string) *keyUse {
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

// insert makes what is kept for a new key. k.mu is held.
func (k *keyRing) insert(key string) *keyUse {
	place := len(k.ring)
	if place < k.maxKeys {
		k.ring = append(k.ring, nil)
	} else if place = k.evict(); place < 0 {
		k.crowded = true
		k.overflow.calls.Add(1)
		return k.overflow
	}
	key = strings.Clone(key) // it may be a piece of a large request
	b := k.new(k.name + "[" + key + "]")
	b.key = key
	b.calls.Store(1)
	k.ring[place] = b
	k.byKey[key] = b
	return b
}

// evict frees a place and returns it; -1 if all must stay. One turn of the hand
// clears the marks, the second one finds what was not used. In a third one a
// breaker goes whose open state is over though nobody came to see: peers that
// died for good would fill the ring else. A search in vain is not repeated for
// every new key.
func (k *keyRing) evict() int {
	if k.patience > 0 {
		k.patience--
		return -1
	}
	size := len(k.ring)
	for n := range 3 * size {
		place := k.hand
		k.hand = (k.hand + 1) % size
		b := k.ring[place]
		if b.used.Swap(false) || !b.calls.CompareAndSwap(0, gone) {
			continue
		}
		if b.what.idle(n >= 2*size) {
			delete(k.byKey, b.key)
			b.what.stop()
			return place
		}
		b.calls.Store(0)
	}
	k.patience = size / 16
	return -1
}

// stop ends the timers of all.
func (k *keyRing) stop() {
	for _, u := range k.all() {
		u.what.stop()
	}
}

// change calls f, which says what is made from now on, and returns what was made
// before.
func (k *keyRing) change(f func()) []*keyUse {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
	return append([]*keyUse{k.overflow}, k.ring...)
}

// all returns everything that is kept; the shared one only once it was needed.
func (k *keyRing) all() []*keyUse {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := slices.Clone(k.ring)
	if k.crowded {
		list = append(list, k.overflow)
	}
	return list
}

// list returns every breaker.
func (k *keyedBreakers) list() []*breaker {
	var list []*breaker
	for _, u := range k.all() {
		list = append(list, u.what.(*breaker))
	}
	return list
}
