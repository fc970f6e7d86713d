package workflow

import (
	"context"
	"errors"
	"hash/fnv"
	"strconv"
	"sync"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// holdKey takes one of the leases of a key, of which there are most, or returns a
// [*resilience.HeldError] with the shortest time that one of them is held for. Each
// owner asks in an order of its own, so that those that wait do not all wait for the
// same one.
func holdKey(ctx context.Context, leases resilience.Leases, workflow, key string, most int, owner string, ttl time.Duration) (*leased, error) {
	var soonest *resilience.HeldError
	first := fnv.New32a()
	_, _ = first.Write([]byte(owner)) // never fails
	most = max(most, 1)
	for i := range most {
		n := (int(first.Sum32()%uint32(most)) + i) % most
		l, err := hold(ctx, leases, keyLease(workflow, key, n), owner, ttl)
		var other *resilience.HeldError
		if !errors.As(err, &other) {
			return l, err
		}
		if soonest == nil || other.For < soonest.For {
			soonest = other
		}
	}
	return nil, soonest
}

// keyLease is the name of lease n of a key.
func keyLease(workflow, key string, n int) string {
	return resilience.StoreKey("perkey", workflow, key, strconv.Itoa(n))
}

// Between looks at a key that is held, where nobody says when it is free again.
const (
	keyLookFirst = 50 * time.Millisecond
	keyLookLast  = 2 * time.Second
	keyLookMost  = time.Minute // with others before it
)

// keyLook is how long a run waits before the next look at its key, whose entry came
// for the n-th time and before which so many others wait in this process.
func keyLook(n, place int) time.Duration {
	return min(min(keyLookFirst<<min(max(n-1, 0), 10), keyLookLast)*time.Duration(place+1), keyLookMost)
}

// keyLine has the runs that wait for their key in this process, so that the first of
// them comes again as soon as a run of the key is over. Those of other processes
// look for themselves.
type keyLine struct {
	mu   sync.Mutex
	keys map[string]*line
}

// line are the runs that wait for one key, in the order in which they came.
type line struct {
	ids   []string
	again map[string]func() // brings a run back, by id
}

// wait puts a run into the line of its key, and returns how many are before it.
func (k *keyLine) wait(key, id string, again func()) (place int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = map[string]*line{}
	}
	l := k.keys[key]
	if l == nil {
		l = &line{again: map[string]func(){}}
		k.keys[key] = l
	}
	if l.again[id] == nil {
		l.ids = append(l.ids, id)
	}
	l.again[id] = again
	return len(l.again) - 1
}

// leave takes a run out of the line: it has come.
func (k *keyLine) leave(key, id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l := k.keys[key]; l != nil {
		delete(l.again, id)
		k.trim(key, l)
	}
}

// next brings the first run of the line back.
func (k *keyLine) next(key string) {
	if again := k.first(key); again != nil {
		again()
	}
}

func (k *keyLine) first(key string) func() {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.keys[key]
	if l == nil {
		return nil
	}
	k.trim(key, l)
	if len(l.ids) == 0 {
		return nil
	}
	return l.again[l.ids[0]] // it leaves when it comes
}

// trim takes those out of the front that have left, and the line if nobody is in it.
// k.mu is held.
func (k *keyLine) trim(key string, l *line) {
	for len(l.ids) > 0 && l.again[l.ids[0]] == nil {
		l.ids = l.ids[1:]
	}
	if len(l.ids) == 0 {
		delete(k.keys, key)
	}
}
