package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// copyBatch is how many bytes compaction puts into a batch, so that appends wait
// no longer than for one of them.
const copyBatch = 256 << 10

// Compact rewrites segments at the end of the journal of which less than half is
// live, until there is none. A journal does so by itself, unless it is Serial.
func (j *Journal) Compact(ctx context.Context) error {
	for {
		seg := j.wasteful()
		if seg == nil {
			return nil
		}
		if err := j.rewrite(ctx, seg); err != nil {
			return fmt.Errorf("compact %s: %w", seg.name(), err)
		}
	}
}

// Erase returns when no file of the journal holds a byte of a record that was
// dropped before: every segment that does is rewritten and unlinked.
func (j *Journal) Erase(ctx context.Context) error {
	j.mu.Lock()
	list := j.withDropped()
	last := slices.Contains(list, j.seg)
	j.mu.Unlock()
	var err error
	if last {
		j.inTurn(func() { err = j.seal() })
	}
	for _, seg := range list {
		if err == nil {
			err = j.rewrite(ctx, seg)
		}
	}
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	return nil
}

// withDropped returns the segments that may hold something that was dropped. The
// caller has the lock.
func (j *Journal) withDropped() (list []*segment) {
	for n, seg := range j.x.segs {
		for _, d := range j.x.drops {
			if j.x.copied[n] || d.lo <= n && n <= d.hi {
				list = append(list, seg)
				break
			}
		}
	}
	slices.SortFunc(list, func(a, b *segment) int { return int(a.number) - int(b.number) })
	return list
}

// seal goes on to the next segment. The caller has the turn.
func (j *Journal) seal() error {
	j.mu.Lock()
	err := j.writable()
	j.mu.Unlock()
	if err == nil {
		err = j.unindex()
	}
	if err == nil {
		err = j.makeRoom(j.seg.size)
	}
	return err
}

// writable tells why nothing may be written. The caller has the lock.
func (j *Journal) writable() error {
	switch {
	case j.closed:
		return ErrClosed
	case j.o.ReadOnly:
		return ErrReadOnly
	}
	return j.broken
}

// waste has the compactor look whether there is something to do.
func (j *Journal) waste() {
	select {
	case j.wasted <- struct{}{}:
	default:
	}
}

// compactNowAndThen is the goroutine that compacts when something was dropped.
func (j *Journal) compactNowAndThen() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		select {
		case <-j.wasted:
			err := j.Compact(ctx)
			if err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrFull) {
				j.event(Event{Kind: CompactionFailed, Err: err})
			}
		case <-j.stop:
			return
		}
	}
}

// wasteful returns the sealed segment of which the smallest part is live, if that
// is less than half. While the disk is full it returns only one whose copy is
// certain to have room.
func (j *Journal) wasteful() (worst *segment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.writable() != nil {
		return nil
	}
	for _, seg := range j.x.segs {
		if seg == j.seg || seg.unreadable || 2*seg.live >= j.bytes(seg) {
			continue
		}
		if worst == nil || seg.live*j.bytes(worst) < worst.live*j.bytes(seg) {
			worst = seg
		}
	}
	if worst != nil && j.full != nil && !j.cheap(worst) {
		return nil
	}
	return worst
}

// bytes is how much of the disk a segment takes.
func (j *Journal) bytes(seg *segment) int64 {
	if j.o.Growing {
		return seg.used
	}
	return seg.size
}

// cheap reports whether what the reserve keeps for compaction has room for what
// is live in seg, and for saying that it is gone.
func (j *Journal) cheap(seg *segment) bool { return seg.live < j.o.least()/8 }

// rewrite copies what is live in seg to the end of the journal and takes seg away.
func (j *Journal) rewrite(ctx context.Context, seg *segment) error {
	j.compacting.Lock()
	j.mu.Lock()
	err := j.writable()
	there := err == nil && j.x.segs[seg.number] == seg && seg.hold() // else somebody was faster
	j.mu.Unlock()
	if there {
		r := rewriting{Journal: j, seg: seg, gone: removed{from: seg.number, through: seg.number}}
		err = errors.Join(r.run(ctx), seg.release())
	}
	j.compacting.Unlock()
	if there && err == nil {
		j.event(Event{Kind: Compacted, File: seg.name(), Bytes: j.bytes(seg)})
	}
	return err
}

// rewriting is the rewriting of one segment.
type rewriting struct {
	*Journal
	seg  *segment
	gone removed
	buf  []byte
}

func (r *rewriting) run(ctx context.Context) error {
	end, last, err := walk(r.seg, r.id, segmentHead, chain{}, true, r.take, func(b block) error { return r.block(ctx, b) })
	if r.gone.last, r.gone.crc = last.number, last.crc; err == nil && (end != r.seg.used || r.gone.first == 0) {
		err = &CorruptError{File: r.seg.name(), Offset: end, Batch: last.number + 1, Why: "what was a batch is none any more"}
	}
	var corrupt *CorruptError
	if errors.As(err, &corrupt) {
		r.mu.Lock()
		r.seg.unreadable = true
		r.mu.Unlock()
	}
	if err != nil {
		return err
	}
	if err := r.alone(true, r.declare); err != nil {
		return err
	}
	return r.unlink()
}

func (r *rewriting) take(n int) []byte {
	if cap(r.buf) < n {
		r.buf = make([]byte, n)
	}
	return r.buf[:n]
}

// laid is a record and where it lies.
type laid struct {
	rawRecord
	at place
}

// block copies what is live of some batches.
func (r *rewriting) block(ctx context.Context, b block) error {
	if len(b.heads) > 0 && r.gone.first == 0 {
		r.gone.first = b.heads[0].number
	}
	var list []laid
	err := b.records(func(_ header, off int64, rec rawRecord) error {
		list = append(list, laid{rec, place{rec.version, uint32(r.seg.number), uint32(off / align), uint32(rec.size)}})
		return nil
	})
	for err == nil && len(list) > 0 {
		r.mu.Lock()
		i := slices.IndexFunc(list, r.needed)
		r.mu.Unlock()
		if i < 0 {
			break
		}
		if err = ctx.Err(); err == nil {
			err = r.alone(false, func(c *batch) { i += r.fill(c, list[i:]) })
			list = list[i:]
		}
	}
	return err
}

// alone writes a batch that fill makes under the lock when all batches before it
// are settled, so that what is live then is live when the copies are.
func (r *rewriting) alone(durable bool, fill func(*batch)) error {
	j := r.Journal
	j.mu.Lock()
	b := j.newBatch()
	b.urgent = j.cheap(r.seg)
	j.open = nil // what comes from now on comes behind it
	j.queue(b)
	j.mu.Unlock()
	if b.turn != nil {
		<-b.turn
	}
	err := r.write(b, durable, fill)
	j.mu.Lock()
	// Without room for copies there may be some for what is behind them.
	if err == nil && len(b.changes) > 0 || errors.Is(err, ErrUnavailable) {
		j.settle(b, err)
		err = b.err
	}
	j.pass(b)
	return err
}

func (r *rewriting) write(b *batch, durable bool, fill func(*batch)) error {
	j := r.Journal
	j.mu.Lock()
	err := b.err
	if err == nil {
		err = j.writable()
	}
	if err == nil && j.x.segs[r.seg.number] != r.seg {
		err = errors.New("the journal was opened again meanwhile")
	}
	if err == nil {
		fill(b)
	}
	j.mu.Unlock()
	if err == nil && len(b.changes) > 0 {
		j.copying = true
		err = j.write(b)
		j.copying = false
	}
	if err == nil && durable { // and all before it, without which it would not count
		err = j.flush()
	}
	return err
}

// needed reports whether a record is live where it lies. What is being dropped
// still is: the drop may fail. Removals are not looked at: declare has them. The
// caller has the lock.
func (r *rewriting) needed(l laid) bool {
	switch l.kind {
	case kindData:
		e := r.x.keys[string(l.key)]
		return e != nil && e.has(l.at)
	case kindDrop:
		d, ok := r.x.drops[l.version]
		return ok && d.place == l.at && r.x.kills(d, r.seg.number)
	}
	return false
}

// fill copies records into b until it is full, and returns how many of list it
// has dealt with. The caller has the lock and the turn.
func (r *rewriting) fill(b *batch, list []laid) int {
	for i, l := range list {
		if !r.needed(l) {
			continue
		}
		if n := len(b.bytes) + padded(l.size); n > r.o.most() || n > copyBatch && len(b.changes) > 0 {
			return i
		}
		b.changes = append(b.changes, change{key: string(l.key), kind: l.kind, version: l.version, at: len(b.bytes), size: l.size, copied: true})
		b.bytes = appendRecord(b.bytes, l.kind, l.version, l.time, string(l.key), l.payload)
	}
	return len(list)
}

// declare says that the segment is gone, and again what else removals in it say.
// Neighbours become one.
func (r *rewriting) declare(b *batch) {
	list := []removed{r.gone}
	for _, g := range r.x.gone { // by number
		switch own := &list[0]; {
		case g.through+1 == own.from:
			own.from, own.first = g.from, g.first
		case own.through+1 == g.from:
			own.through, own.last, own.crc = g.through, g.last, g.crc
		case g.place.segment() == r.seg.number:
			list = append(list, g.removed)
		}
	}
	for _, g := range list {
		r.record(b, nil, "", kindRemoved, g.payload())
		b.changes[len(b.changes)-1].gone = g
	}
}

// unlink takes the file away. Until that is durable, a crash may bring it back:
// so long it counts as there, and drops of what it holds are kept.
func (r *rewriting) unlink() error {
	err := r.fs.Remove(r.seg.name())
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = r.fs.SyncDir()
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.x.segs[r.seg.number] != r.seg { // it was opened again meanwhile
		return nil
	}
	delete(r.x.segs, r.seg.number)
	delete(r.x.copied, r.seg.number)
	r.x.forgetDrops(r.seg.number)
	return r.seg.release()
}
