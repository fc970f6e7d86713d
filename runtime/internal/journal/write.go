package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// write puts b behind the last batch and makes it as durable as the level of Sync
// says. [ErrFull]: nothing of it is there. Any other error is [ErrUnavailable],
// and the journal is broken. The caller has the turn.
func (j *Journal) write(b *batch) error {
	err := j.unindex()
	if err == nil {
		err = j.makeRoom(int64(len(b.bytes)))
	}
	if err == nil {
		err = j.put(b)
	}
	if b.urgent && errors.Is(err, ErrFull) {
		why := err
		if err = j.intoReserve(why); err == nil && j.seg.used+int64(len(b.bytes)) > j.seg.size {
			err = why
		}
		if err == nil {
			err = j.put(b)
		}
	}
	return err
}

// put writes and flushes b, for which the segment has room.
func (j *Journal) put(b *batch) error {
	j.clean = false
	if j.seg.sum == 0 {
		j.seg.sum = newHeadSum(j.id, j.seg.number)
	}
	h := sealBatch(b.bytes, header{records: uint32(len(b.changes)), number: j.chain.number + 1, durable: j.flushed.Load(), prev: j.chain.crc}, j.seg.sum)
	n, err := j.seg.file.WriteAt(b.bytes, j.seg.used)
	if err == nil && n < len(b.bytes) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return j.unwrite(int64(n), err)
	}
	j.chain = chain{h.number, h.crc}
	if j.o.Sync != Always {
		return nil
	}
	return j.sync(j.seg, h.number, b.changes[len(b.changes)-1].version)
}

// unwrite takes back what a write left that failed for want of room.
func (j *Journal) unwrite(n int64, err error) error {
	if !isFull(err) {
		return j.breakOff(err)
	}
	zerr := zero(j.seg.file, j.seg.used, j.seg.used+n)
	if zerr == nil && n > 0 { // else a power cut may bring it back, beside what is written instead of it
		zerr = j.seg.file.Sync()
	}
	if zerr != nil {
		return j.breakOff(errors.Join(err, zerr))
	}
	return j.fill(err)
}

// sync flushes seg, which holds batches and records up to these. It is the only
// place that does once batches are in: after a flush that failed the system may
// call the same pages clean, so another one would prove nothing.
func (j *Journal) sync(seg *segment, number, version uint64) error {
	j.flushing.Lock()
	defer j.flushing.Unlock()
	j.mu.Lock()
	err := j.broken
	j.mu.Unlock()
	if err != nil {
		return err
	}
	if err := seg.file.Sync(); err != nil {
		return j.breakOff(err)
	}
	j.mu.Lock()
	j.flushed.Store(max(j.flushed.Load(), number))
	j.proved = max(j.proved, version)
	j.stats.Flushes++
	j.mu.Unlock()
	return nil
}

// flush makes all that was written durable. The caller has the turn.
func (j *Journal) flush() error {
	if j.seg == nil || j.flushed.Load() >= j.chain.number {
		return nil
	}
	j.mu.Lock()
	shown := j.x.shown
	j.mu.Unlock()
	return j.sync(j.seg, j.chain.number, shown)
}

// flushNowAndThen is the goroutine of [Interval].
func (j *Journal) flushNowAndThen() {
	every := j.o.SyncInterval
	if every <= 0 {
		every = defaultInterval
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			j.flushWritten()
		case <-j.stop:
			return
		}
	}
}

// flushWritten flushes beside whoever writes. Older segments were flushed when
// the last one was begun.
func (j *Journal) flushWritten() {
	j.mu.Lock()
	seg, number, shown := j.seg, j.written, j.x.shown
	idle := j.broken != nil || seg == nil || j.flushed.Load() >= number || !seg.hold()
	j.mu.Unlock()
	if idle {
		return
	}
	err := errors.Join(j.sync(seg, number, shown), seg.release())
	if err != nil {
		j.tell()
	}
}

// breakOff poisons the journal: nothing is written until [Journal.Reopen], and
// nothing is shown that is not known to be durable.
func (j *Journal) breakOff(err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken == nil {
		j.broken = fmt.Errorf("%w: %w", ErrUnavailable, err)
		j.x.shown = min(j.x.shown, j.proved)
		j.news = append(j.news, Event{Kind: Poisoned, Err: err})
	}
	return j.broken
}

// fill notes that there is no room.
func (j *Journal) fill(err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.full == nil {
		j.news = append(j.news, Event{Kind: Full, Err: err})
	}
	j.full = fmt.Errorf("%w: %w", ErrFull, err)
	return j.full
}

// tell hands out what happened.
func (j *Journal) tell() {
	j.mu.Lock()
	news := j.news
	j.news = nil
	j.mu.Unlock()
	for _, e := range news {
		j.event(e)
	}
}

// unindex takes INDEX away for good before what it says is no longer true.
func (j *Journal) unindex() error {
	if !j.indexed {
		return nil
	}
	err := j.fs.Remove(indexName)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = j.fs.SyncDir()
	}
	if err != nil {
		return j.breakOff(err)
	}
	j.indexed = false
	return nil
}

// makeRoom goes on to the next segment if the last one has no room for n bytes.
func (j *Journal) makeRoom(n int64) error {
	if j.seg != nil && j.seg.used+n <= j.end() {
		return nil
	}
	if err := j.flush(); err != nil { // later flushes go to the new one
		return err
	}
	j.mu.Lock()
	j.hurry = j.hurry || j.seg != nil && j.spare == nil
	err := j.obtain()
	if err == nil {
		j.begin(j.spare)
		j.spare = nil
	}
	j.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case isFull(err):
		return j.fill(err)
	default:
		return j.breakOff(err)
	}
}

// end is how far the last segment may be written. The last quarter of what was
// the reserve is for compaction, without which no room would ever come again.
func (j *Journal) end() int64 {
	if j.seg.rescue && !j.copying {
		return j.seg.size - j.seg.size/4
	}
	return j.seg.size
}

// begin makes seg the last segment. The caller has the lock and the turn.
func (j *Journal) begin(seg *segment) {
	j.x.segs[seg.number] = seg
	j.seg = seg
}

// obtain returns when there is a spare segment, or none can be made. The caller
// has the lock, which is free meanwhile.
func (j *Journal) obtain() error {
	for asked := false; j.spare == nil; {
		switch {
		case j.making:
			j.await()
		case asked || j.stopped:
			return j.failed
		default:
			asked = true
			j.ask()
		}
	}
	return nil
}

// await waits until something of what makes segments changed. The caller has the
// lock, which is free meanwhile.
func (j *Journal) await() {
	j.awaited.Store(true)
	j.ready.Wait()
}

// ask has a spare made.
func (j *Journal) ask() {
	j.making = true
	if !j.o.Serial {
		j.want <- struct{}{}
		return
	}
	j.mu.Unlock()
	j.makeSpare()
	j.mu.Lock()
}

// lookAhead has the next segment made while the last one is being filled: when
// half of it is, or at once where that was too late before. A journal that is
// opened for a few records needs none.
func (j *Journal) lookAhead() {
	if !j.o.Serial && !j.making && !j.closed && j.spare == nil && j.full == nil && (j.hurry || j.seg.used > j.seg.size/2) {
		j.ask()
	}
}

// makeAhead is the goroutine that makes segments.
func (j *Journal) makeAhead() {
	for {
		select {
		case <-j.want:
			j.makeSpare()
		case <-j.stop:
			j.mu.Lock()
			j.making, j.stopped, j.failed = false, true, ErrClosed
			j.ready.Broadcast()
			j.mu.Unlock()
			return
		}
	}
}

// makeSpare makes the reserve, if it was used, and a segment. Where there is no
// room it tries smaller ones.
func (j *Journal) makeSpare() {
	j.mu.Lock()
	number, size, reserve := uint64(1), j.o.segmentSize(), j.reserve
	if j.seg != nil {
		number, size = j.seg.number+1, min(max(size, 2*j.seg.size), mostSegment*size)
	}
	j.mu.Unlock()
	var err error
	if !reserve {
		err = j.makeReserve()
		reserve = err == nil
	}
	var seg *segment
	if err == nil {
		seg, err = j.makeSmaller(number, size)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.spare, j.failed, j.reserve, j.making = seg, err, reserve, false
	j.awaited.Store(false)
	j.ready.Broadcast()
}

// makeSmaller makes a segment of size bytes, or of as many as there is room for.
func (j *Journal) makeSmaller(number uint64, size int64) (*segment, error) {
	for asked := size; ; size = max(size/2, j.o.least()) {
		seg, err := j.makeSegment(number, size)
		if err == nil && size < asked {
			j.event(Event{Kind: HalvedSegment, File: seg.name(), Bytes: size})
		}
		if err == nil || !isFull(err) || size <= j.o.least() {
			return seg, err
		}
	}
}

// roomAgain finds out whether a full disk still is one. The caller has the lock,
// which is free meanwhile.
func (j *Journal) roomAgain() error {
	err := j.obtain()
	switch {
	case err == nil:
		j.full = nil
		j.news = append(j.news, Event{Kind: RoomAgain})
		return nil
	case isFull(err):
		return j.full
	}
	return fmt.Errorf("%w: %w", ErrFull, err)
}

// intoReserve goes on to the reserve, because of why.
func (j *Journal) intoReserve(why error) error {
	if err := j.flush(); err != nil {
		return err
	}
	j.mu.Lock()
	for j.making {
		j.await()
	}
	if j.spare != nil { // there is room again
		j.begin(j.spare)
		j.spare = nil
		j.mu.Unlock()
		return nil
	}
	if !j.reserve || j.seg == nil {
		j.mu.Unlock()
		return why
	}
	j.making = true
	j.mu.Unlock()
	seg, err := j.useReserve(j.seg.number + 1)
	j.mu.Lock()
	j.making, j.reserve = false, isFull(err)
	if err == nil {
		j.begin(seg)
	}
	j.ready.Broadcast()
	j.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case isFull(err): // the file system needs room even for what it has
		return j.fill(err)
	}
	return j.breakOff(err)
}
