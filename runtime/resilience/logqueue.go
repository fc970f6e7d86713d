package resilience

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// logQueue is a [Queue] with its entries in a [Log] that this process alone writes
// to, under queue/<queue>/<id>. Who has claimed what it keeps in memory: a process
// that ended claims nothing.
type logQueue struct {
	values values
	known  loader

	mu     sync.Mutex
	closed bool
	queues map[string]*waiting
}

// waiting are the entries of one queue. One that is claimed waits for the end of
// its lease.
type waiting struct {
	byID         map[string]*queueEntry
	again, fresh entryHeap     // those that were delivered before, and those that were not
	changed      chan struct{} // closed when an entry may be claimed earlier; nil if nobody waits
}

type queueEntry struct {
	key, id    string
	version    Version
	due        time.Time
	deliveries int
	holder     *logClaim // nil: nobody
	place      int       // in its heap
}

func newLogQueue(log Log) *logQueue {
	return &logQueue{values: values{log}, queues: map[string]*waiting{}}
}

// Put implements [Queue].
func (q *logQueue) Put(ctx context.Context, queue, id string, body []byte, delay time.Duration) error {
	if err := q.load(ctx); err != nil {
		return fmt.Errorf("put %s into %s: %w", id, queue, err)
	}
	key, due := StoreKey("queue", queue, id), time.Now().Add(delay)
	v, err := q.values.append(ctx, key, 0, packEntry(queue, id, due, delay, body))
	switch {
	case err == nil:
		q.add(queue, &queueEntry{key: key, id: id, version: v, due: due})
	case errors.Is(err, ErrConflict):
		q.known.forgetUnless(q.hasten(queue, id, due))
		return nil
	default:
		q.known.forgetUnless(knownOutcome(err))
		return fmt.Errorf("put %s into %s: %w", id, queue, err)
	}
	return nil
}

// knownOutcome reports whether an error of an append says that nothing was written.
func knownOutcome(err error) bool {
	return errors.Is(err, ErrConflict) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrStoreFull) || errors.Is(err, ErrClosed)
}

// load takes in what is in the log and not yet here.
func (q *logQueue) load(ctx context.Context) error {
	return q.known.once(func() error {
		var found []Record
		for r, err := range q.values.heads(ctx, "queue/", "") {
			if err != nil {
				return err
			}
			found = append(found, r)
		}
		slices.SortFunc(found, func(a, b Record) int { return cmp.Compare(a.Version, b.Version) })
		for _, r := range found {
			e, err := unpackEntry(r.Body)
			if err != nil {
				return fmt.Errorf("%s: %w", r.Key, err)
			}
			q.add(e.queue, &queueEntry{key: r.Key, id: e.id, version: r.Version, due: time.Now().Add(e.remaining(time.Now()))})
		}
		return nil
	})
}

func (q *logQueue) of(queue string) *waiting {
	w := q.queues[queue]
	if w == nil {
		w = &waiting{byID: map[string]*queueEntry{}}
		q.queues[queue] = w
	}
	return w
}

// hasten makes an entry that nobody has claimed due at an instant, if that is earlier.
// It reports false if the entry is not known. A process that ends takes the earlier
// instant with it: the log has the first one.
func (q *logQueue) hasten(queue, id string, due time.Time) (known bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.of(queue)
	e := w.byID[id]
	if e == nil || e.holder != nil || !due.Before(e.due) {
		return e != nil
	}
	e.due = due
	heap.Fix(w.heapOf(e), e.place)
	w.wake()
	return true
}

// heapOf is the heap that e is in.
func (w *waiting) heapOf(e *queueEntry) *entryHeap {
	if e.deliveries > 0 {
		return &w.again
	}
	return &w.fresh
}

func (q *logQueue) add(queue string, e *queueEntry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.of(queue)
	if old := w.byID[e.id]; old != nil {
		if old.version >= e.version {
			return
		}
		w.forget(old) // it was acknowledged, and its claim has not come back from that yet
	}
	w.byID[e.id] = e
	heap.Push(&w.fresh, e)
	w.wake()
}

// forget takes e out. The mutex of the queue is held.
func (w *waiting) forget(e *queueEntry) {
	if w.byID[e.id] != e {
		return
	}
	delete(w.byID, e.id)
	e.holder = nil
	heap.Remove(w.heapOf(e), e.place)
}

// Claim implements [Queue].
func (q *logQueue) Claim(ctx context.Context, queue string, lease, wait time.Duration) (Claim, error) {
	c, err := q.claim(ctx, queue, lease, wait)
	if err != nil {
		return nil, fmt.Errorf("claim from %s: %w", queue, err)
	}
	return c, nil
}

func (q *logQueue) claim(ctx context.Context, queue string, lease, wait time.Duration) (*logClaim, error) {
	if lease <= 0 {
		return nil, fmt.Errorf("lease of %v: want more than 0", lease)
	}
	for end := time.Now().Add(wait); ; {
		if err := errors.Join(ctx.Err(), q.load(ctx)); err != nil {
			return nil, err
		}
		c, due, changed, err := q.take(queue, lease)
		if err != nil {
			return nil, err
		}
		if c != nil {
			if found, err := c.read(ctx); found || err != nil {
				return c, err
			}
			continue
		}
		if !time.Now().Before(end) {
			return nil, ErrEmpty
		}
		if due.IsZero() || end.Before(due) {
			due = end
		}
		waitFor(ctx, changed, due)
	}
}

// waitFor returns when changed is closed, at the instant until, or with ctx.
func waitFor(ctx context.Context, changed <-chan struct{}, until time.Time) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-timer.C:
	}
}

// take claims an entry that is due, those first that come again. Else it returns
// when one will be, and what tells of one before.
func (q *logQueue) take(queue string, lease time.Duration) (c *logClaim, due time.Time, changed <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, due, nil, ErrClosed
	}
	w, now := q.of(queue), time.Now()
	for _, h := range []*entryHeap{&w.again, &w.fresh} {
		if len(*h) == 0 {
			continue
		}
		e := (*h)[0]
		if !e.due.After(now) {
			heap.Pop(h)
			return q.hand(w, e, now, lease), due, nil, nil
		}
		if due.IsZero() || e.due.Before(due) {
			due = e.due
		}
	}
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return nil, due, w.changed, nil
}

// hand gives e, which is in no heap, to a new claim. q.mu is held.
func (q *logQueue) hand(w *waiting, e *queueEntry, now time.Time, lease time.Duration) *logClaim {
	e.deliveries++
	e.due = now.Add(lease)
	c := &logClaim{q: q, w: w, e: e, lease: lease}
	c.entry.ID, c.entry.Deliveries = e.id, e.deliveries
	e.holder = c
	heap.Push(&w.again, e)
	return c
}

// wake has those look again who wait. The mutex of the queue is held.
func (w *waiting) wake() {
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// Close ends the claims that wait.
func (q *logQueue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, w := range q.queues {
		w.wake()
	}
	return nil
}

// logClaim is a [Claim] of a logQueue.
type logClaim struct {
	q     *logQueue
	w     *waiting
	e     *queueEntry
	lease time.Duration
	entry Entry
}

// read gets the body of the entry. One that is not in the log any more is none.
func (c *logClaim) read(ctx context.Context) (found bool, err error) {
	for r, err := range c.q.values.scan(ctx, c.e.key, c.e.version-1) {
		var e packedEntry
		if err == nil {
			e, err = unpackEntry(r.Body)
		}
		if err != nil {
			_ = c.release(time.Now()) // fenced: somebody else has it
			return false, err
		}
		c.entry.Body, c.entry.Enqueued = e.body, r.At
		return true, nil
	}
	c.remove()
	return false, nil
}

// Entry implements [Claim].
func (c *logClaim) Entry() Entry { return c.entry }

// Extend implements [Claim].
func (c *logClaim) Extend(ctx context.Context) error {
	return c.wrap(ctx, "extend", func() error {
		c.q.mu.Lock()
		defer c.q.mu.Unlock()
		err := c.check()
		if err == nil {
			c.setDue(time.Now().Add(c.lease))
		}
		return err
	})
}

// Nack implements [Claim].
func (c *logClaim) Nack(ctx context.Context, delay time.Duration) error {
	return c.wrap(ctx, "nack", func() error { return c.release(time.Now().Add(delay)) })
}

// Ack implements [Claim].
func (c *logClaim) Ack(ctx context.Context) error {
	return c.wrap(ctx, "ack", func() error {
		c.q.mu.Lock()
		err := c.check()
		c.q.mu.Unlock()
		if err != nil {
			return err
		}
		if err := c.q.values.drop(ctx, c.e.key, c.e.version); err != nil {
			return err
		}
		c.remove()
		return nil
	})
}

func (c *logClaim) wrap(ctx context.Context, what string, do func() error) error {
	err := ctx.Err()
	if err == nil {
		err = do()
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, c.entry.ID, err)
	}
	return nil
}

// check says whether the entry is still this claim's. The mutex of the queue is
// held.
func (c *logClaim) check() error {
	switch {
	case c.q.closed:
		return ErrClosed
	case c.e.holder != c:
		return ErrFenced
	}
	return nil
}

func (c *logClaim) setDue(due time.Time) {
	c.e.due = due
	heap.Fix(&c.w.again, c.e.place)
}

// release gives the entry back, to be claimed when it is due.
func (c *logClaim) release(due time.Time) error {
	c.q.mu.Lock()
	defer c.q.mu.Unlock()
	if err := c.check(); err != nil {
		return err
	}
	c.e.holder = nil
	c.setDue(due)
	c.w.wake()
	return nil
}

// remove forgets the entry, whoever has it: it is in the log no more.
func (c *logClaim) remove() {
	c.q.mu.Lock()
	defer c.q.mu.Unlock()
	c.w.forget(c.e)
}

// entryHeap is a heap of entries by when they are due.
type entryHeap []*queueEntry

func (h entryHeap) Len() int { return len(h) }

func (h entryHeap) Less(i, j int) bool {
	if h[i].due.Equal(h[j].due) {
		return h[i].version < h[j].version
	}
	return h[i].due.Before(h[j].due)
}

func (h entryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *entryHeap) Push(e any) {
	entry := e.(*queueEntry)
	entry.place = len(*h)
	*h = append(*h, entry)
}

// Pop implements heap.Interface.
func (h *entryHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}

// packedEntry is an entry as the log has it: 1, when it is due by the wall clock in
// nanoseconds, the delay it was put with, the lengths of queue and id, the two, and
// the body.
type packedEntry struct {
	queue, id  string
	due, delay int64
	body       []byte
}

const entryHead = 1 + 8 + 8 + 4 + 4

func packEntry(queue, id string, due time.Time, delay time.Duration, body []byte) []byte {
	b := make([]byte, 0, entryHead+len(queue)+len(id)+len(body))
	b = append(b, 1)
	b = binary.LittleEndian.AppendUint64(b, uint64(due.UnixNano()))
	b = binary.LittleEndian.AppendUint64(b, uint64(delay))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(queue)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(id)))
	return append(append(append(b, queue...), id...), body...)
}

func unpackEntry(b []byte) (packedEntry, error) {
	if len(b) < entryHead || b[0] != 1 {
		return packedEntry{}, errors.New("no entry of a queue that this version knows")
	}
	e := packedEntry{due: int64(binary.LittleEndian.Uint64(b[1:])), delay: int64(binary.LittleEndian.Uint64(b[9:]))}
	q, n := int64(binary.LittleEndian.Uint32(b[17:])), int64(binary.LittleEndian.Uint32(b[21:]))
	b = b[entryHead:]
	if q+n > int64(len(b)) {
		return packedEntry{}, errors.New("entry of a queue that is cut off")
	}
	e.queue, e.id, e.body = string(b[:q]), string(b[q:q+n]), b[q+n:]
	return e, nil
}

// remaining is for how long the entry waits yet: never longer than it was to,
// whatever became of the wall clock.
func (e packedEntry) remaining(now time.Time) time.Duration {
	return min(time.Duration(e.due-now.UnixNano()), max(time.Duration(e.delay), 0))
}
