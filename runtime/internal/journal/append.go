package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// batch is what one flush makes durable. Whoever puts in the first record leads
// it: waits until the batch before is settled, closes it, writes and flushes it,
// and wakes the others. Whoever comes while the disk works is in the next one; and
// who comes when its turn has come and its leader is still waking up leads it, so
// that the disk does not wait for a goroutine.
type batch struct {
	bytes   []byte // room for the header, then the records
	changes []change
	urgent  bool          // all of it may use the reserve
	ripe    bool          // the turn is its
	led     bool          // and somebody uses it
	settled bool          // and has done so
	turn    chan struct{} // the one before is settled; nil where there was none
	done    chan struct{} // settled; nil while the leader alone waits
	next    *batch
	err     error // once done
}

// change is what a record of a batch does to the index once the batch is written.
type change struct {
	e       *entry
	key     string
	kind    kind
	version uint64
	through uint64  // of a drop
	gone    removed // of a removal
	copied  bool    // by compaction, from where it was
	at      int     // in the bytes of the batch
	size    int
}

// Append writes a record after version after of key, which must be its last one;
// 0 says that the key must not exist. nil says that it is durable, as far as
// [Options.Sync] promises. payload may be changed afterwards. [ErrConflict],
// [ErrFull], [ErrTooLarge], [ErrClosed], [ErrReadOnly] and an error of ctx alone
// say that nothing was or will be written; [ErrUnavailable] and [ErrUnknown] that
// it is not known.
func (j *Journal) Append(ctx context.Context, key string, after uint64, payload []byte) (uint64, error) {
	return j.append(ctx, key, after, payload, false)
}

// AppendUrgent is [Journal.Append] for what is wanted most when the disk is full:
// it may use the reserve.
func (j *Journal) AppendUrgent(ctx context.Context, key string, after uint64, payload []byte) (uint64, error) {
	v, err := j.append(ctx, key, after, payload, true)
	if errors.Is(err, ErrFull) { // it was among others that may not
		v, err = j.append(ctx, key, after, payload, true)
	}
	return v, err
}

// Drop removes the records of key up to a version; all of them, and the key is
// gone and may be made again. It is durable like an append, and may use the
// reserve. Dropping what is not there is no error.
func (j *Journal) Drop(ctx context.Context, key string, through uint64) error {
	err := j.drop(ctx, key, through)
	if errors.Is(err, ErrFull) {
		err = j.drop(ctx, key, through)
	}
	return err
}

func (j *Journal) append(ctx context.Context, key string, after uint64, payload []byte, urgent bool) (uint64, error) {
	size := recordHead + len(key) + len(payload)
	if len(key) == 0 || len(key) > math.MaxUint16 || padded(size) > j.o.most()-batchHead {
		return 0, fmt.Errorf("append to a key of %d bytes a payload of %d: %w", len(key), len(payload), ErrTooLarge)
	}
	if err := j.enter(ctx, urgent); err != nil {
		return 0, fmt.Errorf("append to %s: %w", key, err)
	}
	if err := j.x.unusable(key); err != nil {
		j.mu.Unlock()
		return 0, fmt.Errorf("append to %s: %w", key, err)
	}
	e := j.x.keys[key]
	var head uint64
	if e != nil {
		head = e.head()
	}
	if head != after {
		return 0, j.conflict(ctx, key, after, head, e)
	}
	if e == nil {
		e = j.x.entry(key)
	}
	b, part := j.into(size, urgent)
	version := j.record(b, e, key, kindData, payload)
	e.last = version
	if err := j.leave(ctx, b, part); err != nil {
		return 0, fmt.Errorf("append to %s: %w", key, err)
	}
	return version, nil
}

func (j *Journal) drop(ctx context.Context, key string, through uint64) error {
	if err := j.enter(ctx, true); err != nil {
		return fmt.Errorf("drop %s: %w", key, err)
	}
	if err := j.x.unusable(key); err != nil {
		j.mu.Unlock()
		return fmt.Errorf("drop %s: %w", key, err)
	}
	e := j.x.keys[key]
	if e == nil {
		j.mu.Unlock()
		return nil
	}
	through = min(through, e.last)
	if e.dropping >= through || e.flight == nil && (len(e.places) == 0 || e.places[0].version > through) {
		return j.settled(ctx, e) // there is nothing to drop, or another drop of it is on its way
	}
	var payload [8]byte
	binary.LittleEndian.PutUint64(payload[:], through)
	b, part := j.into(recordHead+len(key)+len(payload), true)
	j.record(b, e, key, kindDrop, payload[:])
	b.changes[len(b.changes)-1].through = through
	e.dropping = max(e.dropping, through)
	if err := j.leave(ctx, b, part); err != nil {
		return fmt.Errorf("drop %s: %w", key, err)
	}
	return nil
}

// enter locks the journal if it takes records. On an error it is not locked.
func (j *Journal) enter(ctx context.Context, urgent bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.mu.Lock()
	for {
		var err error
		switch {
		case j.closed:
			err = ErrClosed
		case j.o.ReadOnly:
			err = ErrReadOnly
		case j.broken != nil:
			err = j.broken
		case j.full != nil && !urgent:
			if err = j.roomAgain(); err == nil {
				continue // whatever happened meanwhile
			}
		default:
			return nil
		}
		j.mu.Unlock()
		return err
	}
}

// conflict unlocks the journal and tells of a version that is not the last one.
// That it was overtaken is said once it is true: when what overtook it is durable.
func (j *Journal) conflict(ctx context.Context, key string, after, head uint64, e *entry) error {
	err := j.settled(ctx, e)
	if errors.Is(err, ErrUnknown) { // of the other one; this one wrote nothing
		err = ctx.Err()
	} else if err == nil {
		err = ErrConflict
	}
	return fmt.Errorf("append to %s after version %d, the last is %d: %w", key, after, head, err)
}

// settled unlocks the journal and waits for what changes e, which may be nil.
func (j *Journal) settled(ctx context.Context, e *entry) error {
	if e == nil || e.flight == nil {
		j.mu.Unlock()
		return nil
	}
	b := e.flight
	done := b.followed()
	j.mu.Unlock()
	return b.wait(ctx, done)
}

// part is what a writer has to do for its batch.
type part int

const (
	follows part = iota // nothing but wait
	first               // lead when the turn comes, if nobody else does
	leads               // it has the turn
)

// into returns a batch with room for a record of size bytes, and the part of who
// puts it in.
func (j *Journal) into(size int, urgent bool) (*batch, part) {
	if b := j.open; b != nil && len(b.bytes)+padded(size) <= j.o.most() {
		b.urgent = b.urgent && urgent
		if b.ripe && !b.led {
			b.led = true
			return b, leads
		}
		return b, follows
	}
	b := j.newBatch()
	b.urgent = urgent
	j.open = b
	j.queue(b)
	if b.turn != nil {
		return b, first
	}
	b.led = true
	return b, leads
}

// memory is what a batch leaves to a later one.
type memory struct {
	bytes   []byte
	changes []change
}

// newBatch returns an empty batch, with the memory of one that is done.
func (j *Journal) newBatch() *batch {
	var m memory
	if n := len(j.idle); n > 0 {
		m, j.idle = j.idle[n-1], j.idle[:n-1]
	} else {
		m.bytes = make([]byte, 0, 4<<10)
	}
	return &batch{bytes: m.bytes[:batchHead], changes: m.changes[:0]}
}

// queue puts b behind those that wait for their turn.
func (j *Journal) queue(b *batch) {
	if j.tail != nil {
		b.turn = make(chan struct{}, 1)
		j.tail.next = b
	}
	j.tail = b
}

// record puts a record into b. The caller has the lock.
func (j *Journal) record(b *batch, e *entry, key string, k kind, payload []byte) (version uint64) {
	now, leapt := j.clock.now(time.Now())
	if leapt != nil {
		j.news = append(j.news, Event{Kind: ClockJumped, Err: leapt})
	}
	j.x.version++
	at := len(b.bytes)
	b.bytes = appendRecord(b.bytes, k, j.x.version, now, key, payload)
	b.changes = append(b.changes, change{e: e, key: key, kind: k, version: j.x.version, at: at, size: recordHead + len(key) + len(payload)})
	if e != nil {
		e.flight = b
	}
	return j.x.version
}

// leave unlocks the journal and returns when b is settled, or when ctx ends and
// the batch does not depend on the caller: without its leader it would never be
// written.
func (j *Journal) leave(ctx context.Context, b *batch, p part) error {
	switch p {
	case first:
		turn := b.turn
		j.mu.Unlock()
		<-turn
		j.mu.Lock()
		if b.led {
			ctx = context.Background() // it is being written
			break
		}
		b.led = true
		return j.lead(b)
	case leads:
		return j.lead(b)
	}
	done := b.followed()
	settled := b.settled
	j.mu.Unlock()
	if settled {
		return b.err
	}
	return b.wait(ctx, done)
}

// followed returns what is closed when b is settled. The caller has the lock.
func (b *batch) followed() chan struct{} {
	if b.done == nil {
		b.done = make(chan struct{})
	}
	return b.done
}

func (b *batch) wait(ctx context.Context, done <-chan struct{}) error {
	if ctx.Done() == nil {
		<-done
		return b.err
	}
	select {
	case <-done:
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
}

// lead closes b and writes it. The caller has the lock, which is free
// afterwards, and the turn.
func (j *Journal) lead(b *batch) error {
	if j.open == b {
		j.open = nil
	}
	err := b.err // of one before it
	j.mu.Unlock()
	if err == nil {
		err = j.write(b)
	}
	j.mu.Lock()
	j.settle(b, err)
	err = b.err
	j.pass(b)
	return err
}

// settle makes b part of what is seen, or undoes it. The caller has the lock and
// the turn.
func (j *Journal) settle(b *batch, err error) {
	switch {
	case b.err != nil: // undone before
		return
	case err == nil: // a flush of an older one may have failed meanwhile
		err = j.broken
	}
	if err != nil {
		j.undo(b, err)
		return
	}
	for i := range b.changes {
		c := &b.changes[i]
		j.apply(c, place{c.version, uint32(j.seg.number), uint32((j.seg.used + int64(c.at)) / align), uint32(c.size)})
		j.x.shown = max(j.x.shown, c.version)
	}
	// Only now: a key may be dropped and made again in one batch.
	for i := range b.changes {
		if c := &b.changes[i]; c.e != nil && c.e.flight == b {
			c.e.flight = nil
			j.x.forget(c.key, c.e)
		}
	}
	j.seg.used += int64(len(b.bytes))
	j.written = j.chain.number
	j.stats.Appends += uint64(len(b.changes))
	j.stats.Batches++
	j.stats.Bytes += uint64(len(b.bytes))
	j.lookAhead()
}

// apply does to the index what a record says that lies at p.
func (j *Journal) apply(c *change, p place) {
	switch {
	case c.copied:
		j.x.again(c, p)
	case c.kind == kindData:
		j.x.put(c.e, p)
	case c.kind == kindDrop:
		j.x.drop(c.key, c.e, c.through, p)
		j.waste()
	case c.kind == kindRemoved:
		j.x.remove(c.gone, p)
	default:
		j.seg.total += p.padded()
	}
}

// undo takes b and all behind it back: they may build on what b did not write.
func (j *Journal) undo(b *batch, err error) {
	for x := b; x != nil; x = x.next {
		x.err = err
		for _, c := range x.changes {
			if c.e == nil {
				continue
			}
			c.e.last, c.e.dropping, c.e.flight = 0, c.e.dropped, nil
			if n := len(c.e.places); n > 0 {
				c.e.last = c.e.places[n-1].version
			}
		}
	}
	for x := b; x != nil; x = x.next {
		for _, c := range x.changes {
			if c.e != nil && j.x.keys[c.key] == c.e {
				j.x.forget(c.key, c.e)
			}
		}
	}
	j.open = nil
}

// pass ends the turn of b, unlocks the journal, wakes the next leader and who
// waits for b, and tells what happened.
func (j *Journal) pass(b *batch) {
	if j.tail == b {
		j.tail = nil
	}
	if b.bytes != nil && len(j.idle) < 4 && cap(b.bytes) <= 1<<20 {
		clear(b.changes)
		j.idle = append(j.idle, memory{b.bytes, b.changes})
	}
	b.settled = true
	done, next, news := b.done, b.next, j.news
	if next != nil {
		next.ripe = true
	}
	j.news = nil
	j.mu.Unlock()
	if done != nil {
		close(done)
	}
	if next != nil {
		next.turn <- struct{}{}
	}
	for _, e := range news {
		j.event(e)
	}
}

// inTurn calls f when all batches before are settled, and holds those behind.
func (j *Journal) inTurn(f func()) {
	j.mu.Lock()
	b := &batch{}
	j.open = nil
	j.queue(b)
	j.mu.Unlock()
	if b.turn != nil {
		<-b.turn
	}
	f()
	j.mu.Lock()
	j.pass(b)
}
