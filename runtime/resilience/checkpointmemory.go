package resilience

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// checkpointed is what the instances of a wrapper share of the checkpoints of a
// method: the executions in flight, and the results that were used lately.
type checkpointed[V, A any] struct {
	rt            *Runtime
	iface, method string // as in a Checkpoint
	store         values
	same          func(a, b A) bool // may be nil

	sharing[string, V] // its mu guards young and old
	// young has what was used since it was half of maxRemembered, old what was used
	// before that.
	young, old map[string]*remembered[A]

	hits                                        stripes
	executions, shared, recorded, lost, refused atomic.Int64
	suspect                                     atomic.Bool // the store failed to take the last one

	sweeping sync.Mutex
	swept    string // where the next sweep begins; under sweeping
}

// remembered is a result as it stands in the store. It never changes.
type remembered[A any] struct {
	hash  string // of the arguments
	args  A      // if has
	has   bool
	value json.RawMessage
	until time.Duration // when it is too old, since epoch
}

const (
	maxRemembered = 1000     // results of a method
	longestKept   = 16 << 10 // bytes of one
)

// checkpointedOf returns what instances of w share for a method, made if there is
// none.
func checkpointedOf[V, A any](w *Wrapper, method string, same func(a, b A) bool) *checkpointed[V, A] {
	store, _ := w.rt.values() // CheckpointPolicy.check has asked
	iface := fullName(w.pkg, w.name)
	if strings.HasPrefix(w.instance, "@") {
		iface += w.instance
	}
	k := &checkpointed[V, A]{rt: w.rt, iface: iface, method: method, store: store, same: same}
	w.rt.mu.Lock()
	defer w.rt.mu.Unlock()
	for _, other := range w.rt.checkpointed {
		if old, ok := other.(*checkpointed[V, A]); ok && old.iface == iface && old.method == method {
			return old
		}
	}
	w.rt.checkpointed = append(w.rt.checkpointed, k)
	return k
}

// recall returns what is remembered of key, nil if that is nothing or too old.
func (k *checkpointed[V, A]) recall(key string) *remembered[A] {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.find(key)
}

// find is recall while k.mu is held.
func (k *checkpointed[V, A]) find(key string) *remembered[A] {
	h := k.young[key]
	if h == nil {
		if h = k.old[key]; h == nil {
			return nil
		}
		k.put(key, h)
	}
	if sinceEpoch() >= h.until {
		return nil
	}
	return h
}

func (k *checkpointed[V, A]) remember(key string, h *remembered[A]) {
	if len(h.value) > longestKept {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.put(key, h)
}

func (k *checkpointed[V, A]) put(key string, h *remembered[A]) {
	if len(k.young) >= maxRemembered/2 {
		k.young, k.old = nil, k.young
	}
	if k.young == nil {
		k.young = map[string]*remembered[A]{}
	}
	k.young[key] = h
}

// forgetID forgets what is remembered of the checkpoint with an id, if it is one of
// k.
func (k *checkpointed[V, A]) forgetID(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range []map[string]*remembered[A]{k.young, k.old} {
		for key := range m {
			if k.storeKey(key) == id {
				delete(m, key)
			}
		}
	}
}

// hash returns the hash of arguments.
func (k *checkpointed[V, A]) hash(p CheckpointPolicy, args A) (string, error) {
	text, err := json.Marshal(&args)
	if err != nil {
		return "", err
	}
	return hashArgs(k.rt.letterOptions.HashKey, text, p.SecretArgs), nil
}

// matches reports whether arguments are those of what is remembered.
func (k *checkpointed[V, A]) matches(p CheckpointPolicy, h *remembered[A], args A) bool {
	if h.has && k.same != nil && k.same(h.args, args) {
		return true
	}
	hash, err := k.hash(p, args)
	return err == nil && sameArgs(h.hash, hash)
}

// sealer returns what seals and opens c; nil: nothing does.
func (k *checkpointed[V, A]) sealer(p CheckpointPolicy, c *Checkpoint) Sealer {
	if p.SecretValue || c.Sealed != nil {
		return k.rt.letterOptions.Sealer
	}
	return nil
}

func (k *checkpointed[V, A]) storeKey(key string) string {
	return StoreKey("ckpt", k.iface, k.method, key)
}

// load returns the last record of key, or none.
func (k *checkpointed[V, A]) load(ctx context.Context, key string) (Record, error) {
	if k.rt.isClosed() {
		return Record{}, ErrClosed
	}
	r, err := k.store.last(ctx, k.storeKey(key))
	if err == nil && r.Version != 0 {
		k.rt.wall.written(r.At)
	}
	return r, err
}

// write appends c after r, which it replaces. r may have been removed meanwhile.
func (k *checkpointed[V, A]) write(ctx context.Context, r Record, c *Checkpoint) error {
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	key := c.ID()
	_, err = k.store.append(ctx, key, r.Version, body)
	if r.Version != 0 && errors.Is(err, ErrConflict) {
		_, err = k.store.append(ctx, key, 0, body)
	}
	k.suspect.Store(err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrTooLarge))
	if err == nil && r.Version != 0 {
		_ = k.store.drop(ctx, key, r.Version) // else it goes with the next one
	}
	return err
}

const (
	sweepEvery = 64     // results that are recorded
	sweepSize  = 4 * 64 // records that are looked at then
)

// sweep removes records of the method that are too old to answer: as many are looked
// at as that all are before the store has grown by a quarter. Who fails leaves it to
// the next one.
func (k *checkpointed[V, A]) sweep(ctx context.Context) {
	prefix := StoreKey("ckpt", k.iface, k.method) + "/"
	if len(prefix) > maxKey-sha256.Size*2-len("__") || !k.sweeping.TryLock() {
		return // keys so long have parts of the prefix hashed
	}
	defer k.sweeping.Unlock()
	seen, from := 0, k.swept
	k.swept = ""
	for r, err := range k.store.heads(ctx, prefix, from) {
		if err != nil {
			return
		}
		if seen++; seen > sweepSize {
			k.swept = r.Key
			return
		}
		if c, err := decodeCheckpoint(r); err == nil && c.Expired(k.rt.wall.now()) {
			_ = k.store.drop(ctx, r.Key, r.Version)
		}
	}
}

// usable returns why the store will not take a result, as far as that is known: if
// it refused the last one, it is tried.
func (k *checkpointed[V, A]) usable(ctx context.Context) error {
	if !k.suspect.Load() {
		return nil
	}
	key := StoreKey("probe", "ckpt")
	r, err := k.store.last(ctx, key)
	if err != nil {
		return err
	}
	at, err := k.store.append(ctx, key, r.Version, []byte("{}"))
	if err != nil && !errors.Is(err, ErrConflict) { // a conflict: somebody else could write
		return err
	}
	k.suspect.Store(false)
	return k.store.drop(ctx, key, at)
}

// CheckpointSnapshot are the checkpoints of a method at one moment.
type CheckpointSnapshot struct {
	Interface, Method string // as in a Checkpoint
	Remembered        int    // results in memory
	Hits              int64  // calls that a kept result answered; like the next ones since the wrapper was made
	Executions        int64  // of the delegate
	Shared            int64  // calls that waited for another one's execution
	Kept              int64  // results that were recorded
	NotKept           int64  // results that could not be recorded, and were returned
	Refused           int64  // calls that ended in a *CheckpointError
}

func (k *checkpointed[V, A]) snapshot() CheckpointSnapshot {
	k.mu.Lock()
	n := len(k.young)
	for key := range k.old {
		if k.young[key] == nil {
			n++
		}
	}
	k.mu.Unlock()
	return CheckpointSnapshot{
		k.iface, k.method, n, k.hits.sum(), k.executions.Load(), k.shared.Load(), k.recorded.Load(), k.lost.Load(), k.refused.Load(),
	}
}

// anyCheckpointed is a checkpointed of whatever types.
type anyCheckpointed interface {
	snapshot() CheckpointSnapshot
	forgetID(id string)
}

func (rt *Runtime) listCheckpointed() []anyCheckpointed {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.checkpointed[:len(rt.checkpointed):len(rt.checkpointed)]
}
