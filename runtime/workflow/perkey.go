package workflow

import (
	"context"
	"errors"
	"hash/fnv"
	"slices"
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
// them comes again as soon as a run of the key is over, and meanwhile looks often.
// Those of other processes look for themselves.
type keyLine struct {
	mu   sync.Mutex
	keys map[string][]inLine
}

// inLine is a run that waits for its key. again has its entry come after a time, if
// not earlier; for one that somebody else has run meanwhile that does no harm.
type inLine struct {
	id    string
	again func(after time.Duration)
}

// wait puts a run at the end of the line of its key, and returns how many are before
// it.
func (k *keyLine) wait(key string, run inLine) (place int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = map[string][]inLine{}
	}
	k.keys[key] = append(k.keys[key], run)
	return len(k.keys[key]) - 1
}

// leave takes a run out of the line, since its entry has come. The one that is first
// then looks often.
func (k *keyLine) leave(key, id string) {
	if first, changed := k.remove(key, id); changed {
		first.again(keyLookLast)
	}
}

// next has the first run of the line come at once.
func (k *keyLine) next(key string) {
	k.mu.Lock()
	var first inLine
	if line := k.keys[key]; len(line) > 0 {
		first = line[0]
	}
	k.mu.Unlock()
	if first.again == nil {
		return
	}
	k.leave(key, first.id)
	first.again(0)
}

// remove takes a run out of a line, and returns the one that is first now if that was
// not so before.
func (k *keyLine) remove(key, id string) (first inLine, changed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	line := k.keys[key]
	i := slices.IndexFunc(line, func(l inLine) bool { return l.id == id })
	if i < 0 {
		return first, false
	}
	line = slices.Delete(line, i, i+1)
	if len(line) == 0 {
		delete(k.keys, key)
		return first, false
	}
	k.keys[key] = line
	return line[0], i == 0
}
