package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"
)

// emergencyName is a file beside a broken journal with what cannot wait until that
// works again. It looks like a segment with the number 0, and has a batch for each
// record.
const emergencyName = "EMERGENCY"

// ErrNotBroken says that a journal takes appends.
var ErrNotBroken = errors.New("the journal is not broken")

// emergency is that file while this process writes to it.
type emergency struct {
	mu     sync.Mutex // held over a write, and while what is in it goes into the journal
	seg    *segment   // nil: not open
	chain  chain
	failed error // a write or flush failed: nothing may follow it
}

// AppendEmergency keeps a record of a new key beside a journal that is broken, and
// flushes it. It is in the journal once that is open again, here or in another
// process, unless the key is there by then: an append of which nothing is known
// may be tried so. [ErrNotBroken]: the journal works, or works again. [ErrFull]: there is
// no room in the file, which holds no more than a batch. What is kept so can be
// neither read nor dropped before.
func (j *Journal) AppendEmergency(key string, payload []byte) error {
	a := &j.beside
	a.mu.Lock()
	defer a.mu.Unlock()
	j.mu.Lock()
	broken, closed, of, err := j.broken, j.closed, j.id, j.x.unusable(key)
	now, _ := j.clock.now(time.Now())
	j.mu.Unlock()
	switch {
	case closed:
		err = ErrClosed
	case broken == nil:
		return ErrNotBroken
	case err != nil: // nobody could read it
	case a.failed != nil:
		err = a.failed
	default:
		err = j.putAside(of, key, payload, now)
	}
	if err != nil {
		return fmt.Errorf("append to %s in %s: %w", key, emergencyName, err)
	}
	return nil
}

// putAside writes and flushes a record. j.beside.mu is held.
func (j *Journal) putAside(of id, key string, payload []byte, now int64) error {
	a := &j.beside
	if a.seg == nil {
		if err := j.beginAside(of); err != nil {
			return err
		}
	}
	number := a.chain.number + 1
	b := appendRecord(make([]byte, batchHead), kindData, number, now, key, payload)
	if a.seg.used+int64(len(b)) > int64(j.o.most()) { // all of it goes into the journal at once
		return fmt.Errorf("%w: it has %d bytes", ErrFull, a.seg.used)
	}
	h := sealBatch(b, header{records: 1, number: number, durable: a.chain.number, prev: a.chain.crc}, newHeadSum(of, 0))
	n, err := a.seg.file.WriteAt(b, a.seg.used)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = a.seg.file.Sync()
	}
	if err != nil {
		a.failed = fmt.Errorf("%w: %w", ErrUnavailable, err)
		return a.failed
	}
	a.seg.used += int64(len(b))
	a.chain = chain{h.number, h.crc}
	return nil
}

// beginAside opens the file, or makes one: under its name its header is whole. Of what
// stands in one that is there it is not known that it is durable, nor that its name
// is: a flush may have failed. So all of it is written again, for the flush that comes.
func (j *Journal) beginAside(of id) error {
	seg, err := j.openAside(ReadWrite, of)
	if errors.Is(err, fs.ErrNotExist) {
		if err = j.makeAside(of); err == nil {
			seg, err = j.openAside(ReadWrite, of)
		}
	}
	if err != nil {
		return err
	}
	end, c, err := eachAside(seg, of, func(int64, rawRecord) error { return nil })
	if err == nil {
		err = writeAgain(seg, end)
	}
	if err == nil {
		err = j.fs.SyncDir()
	}
	if err != nil {
		return errors.Join(err, seg.release())
	}
	seg.used = end
	j.beside.seg, j.beside.chain = seg, c
	return nil
}

// writeAgain writes what stands in a file up to end.
func writeAgain(seg *segment, end int64) error {
	b := make([]byte, end)
	err := readFull(seg, b, 0)
	if err == nil {
		_, err = seg.file.WriteAt(b, 0)
	}
	return err
}

// makeAside makes the file. Its name is not durable yet.
func (j *Journal) makeAside(of id) error {
	const tmp = tmpPrefix + emergencyName
	f, err := j.fs.Open(tmp, Create)
	if err != nil {
		return err
	}
	var head [segmentHead]byte
	putSegmentHead(head[:], of, 0, 0)
	_, err = f.WriteAt(head[:], 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = j.fs.Rename(tmp, emergencyName)
	}
	if err != nil {
		return errors.Join(err, j.fs.Remove(tmp))
	}
	return nil
}

// openAside opens the file, if it is there and of the journal of an id.
func (j *Journal) openAside(mode Mode, of id) (*segment, error) {
	seg, theirs, err := openSegment(j.fs, emergencyName, mode)
	if err == nil && theirs != of {
		err = errors.Join(&CorruptError{File: emergencyName, Why: "it belongs to another journal"}, seg.release())
	}
	return seg, err
}

// eachAside hands out the records of the file and where they lie, and returns where
// they end.
func eachAside(seg *segment, of id, each func(int64, rawRecord) error) (end int64, c chain, err error) {
	return walk(seg, of, segmentHead, chain{}, false, func(n int) []byte { return make([]byte, n) }, func(b block) error {
		return b.records(func(_ header, off int64, r rawRecord) error { return each(off, r) })
	})
}

// takeIn puts into the journal what was kept beside it, in one batch, and takes
// the file away before anybody can drop what is in it: what was dropped never comes
// back. Where there is no room for it, it stays for the next time. After an error
// the journal is broken. The caller has the turn, and is opening the journal.
func (j *Journal) takeIn() error {
	a := &j.beside
	a.mu.Lock()
	defer a.mu.Unlock()
	err := j.closeAside()
	if err == nil {
		err = j.takeAside()
	}
	if err != nil {
		return j.breakOff(err)
	}
	return nil
}

func (j *Journal) takeAside() error {
	seg, err := j.openAside(Read, j.id)
	switch corrupt := (*CorruptError)(nil); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.As(err, &corrupt):
		j.mu.Lock()
		j.news = append(j.news, Event{Kind: EmergencyIgnored, File: emergencyName, Err: err})
		j.mu.Unlock()
		return nil
	case err != nil:
		return err
	}
	b, there, err := j.waiting(seg)
	err = errors.Join(err, seg.release())
	if err == nil && len(b.changes) > 0 {
		err = j.takeBatch(b)
	}
	if errors.Is(err, ErrFull) && !there { // else some of it could be dropped meanwhile
		j.mu.Lock()
		defer j.mu.Unlock()
		j.waits = true
		return nil
	}
	if err == nil {
		err = j.fs.Remove(emergencyName)
	}
	if err == nil {
		err = j.fs.SyncDir()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.waits = false
	return err
}

// waiting hands out what stands beside the journal of an id that x does not have.
func waiting(disk FS, of id, x *index, each func(int64, rawRecord) error) error {
	seg, theirs, err := openSegment(disk, emergencyName, Read)
	switch corrupt := (*CorruptError)(nil); {
	case errors.Is(err, fs.ErrNotExist) || errors.As(err, &corrupt):
		return nil // as the next owner does
	case err != nil:
		return err
	case theirs == of:
		_, _, err = eachAside(seg, of, func(off int64, r rawRecord) error {
			if x.keys[string(r.key)] != nil {
				return nil
			}
			return each(off, r)
		})
	}
	return errors.Join(err, seg.release())
}

// closeAside ends writing to the file.
func (j *Journal) closeAside() error {
	a := &j.beside
	seg := a.seg
	a.seg, a.chain, a.failed = nil, chain{}, nil
	if seg == nil {
		return nil
	}
	return seg.release()
}

// waiting returns a batch of what the file has and the journal has not, and whether
// the journal has some of it.
func (j *Journal) waiting(seg *segment) (b *batch, there bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	b = j.newBatch()
	b.urgent = true
	end, _, err := eachAside(seg, j.id, func(_ int64, r rawRecord) error {
		key := string(r.key)
		if j.x.keys[key] != nil {
			there = true
			return nil
		}
		e := j.x.entry(key)
		e.last = j.record(b, e, key, kindData, r.payload)
		return nil
	})
	if err != nil {
		j.undo(b, err)
		return b, there, err
	}
	if end < seg.size { // begun, and nobody was told that it is there
		j.news = append(j.news, Event{Kind: TailCut, File: emergencyName, Bytes: seg.size - end})
	}
	return b, there, nil
}

// takeBatch makes b durable.
func (j *Journal) takeBatch(b *batch) error {
	err := j.write(b)
	if err == nil {
		err = j.flush()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.settle(b, err)
	return err
}
