package journal

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// segment is a file with batches.
type segment struct {
	number uint64
	file   File
	size   int64   // how far batches may go; the file is shorter with Options.Growing
	sum    headSum // of what seeds the headers of batches; of who has the turn, 0 until it is needed

	// used, live and total are under Journal.mu.
	used  int64 // where the batches end
	live  int64 // bytes of records that the fold still needs: what compaction would copy
	total int64 // bytes of all records

	unreadable bool // under Journal.mu: compaction found it damaged
	rescue     bool // it was the reserve

	refs    atomic.Int32 // of those who read, and one of the journal
	checked atomic.Bool  // the batches were read, or written, by this process
	indexed int64        // where they ended when INDEX was written
	damage  error        // what was found when they were read; under Journal.checking
}

func (s *segment) name() string { return segmentName(s.number) }

// hold keeps the file open until release. It fails where the journal has let go
// of the segment.
func (s *segment) hold() bool {
	for {
		n := s.refs.Load()
		if n == 0 {
			return false
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release closes the file once nobody reads it. Compaction unlinks first.
func (s *segment) release() error {
	if s.refs.Add(-1) == 0 {
		return s.file.Close()
	}
	return nil
}

// openSegment opens a segment and reads its header.
func openSegment(disk FS, name string, mode Mode) (*segment, id, error) {
	number, _ := segmentNumber(name)
	f, err := disk.Open(name, mode)
	if err != nil {
		return nil, id{}, err
	}
	seg := &segment{number: number, file: f}
	seg.refs.Store(1)
	var head [segmentHead]byte
	n, rerr := f.ReadAt(head[:], 0)
	of, size, err := readSegmentHead(name, head[:n])
	if n < segmentHead && rerr != nil && !errors.Is(rerr, io.EOF) {
		err = rerr
	}
	if err == nil {
		seg.size, err = f.Size()
	}
	if err == nil && seg.size < size {
		err = &CorruptError{File: name, Offset: seg.size, Why: fmt.Sprintf("the file was cut short, it had %d bytes", size)}
	} else if size > 0 {
		seg.size = size
	}
	if err != nil {
		return nil, id{}, errors.Join(err, f.Close())
	}
	return seg, of, nil
}

// tmpPrefix begins the names of files that are not finished.
const tmpPrefix = "TMP-"

// zeros are written where nothing else may be.
var zeros [256 << 10]byte

// zero overwrites f from off to end.
func zero(f File, off, end int64) error {
	for off < end {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), end-off)], off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// makeSegment makes a segment of size bytes that is ready to be written to: its
// blocks are written and flushed, and its name is durable, before the first batch
// goes in, so that appends need to change no metadata.
func (j *Journal) makeSegment(number uint64, size int64) (*segment, error) {
	tmp := tmpPrefix + segmentName(number)
	f, err := j.fs.Open(tmp, Create)
	if err != nil {
		return nil, err
	}
	var head [segmentHead]byte
	made := size
	if j.o.Growing {
		made = 0
	}
	putSegmentHead(head[:], j.id, number, made)
	_, err = f.WriteAt(head[:], 0)
	if err == nil && !j.o.Growing {
		err = j.fillAhead(f, size)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = j.fs.Rename(tmp, segmentName(number))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), j.fs.Remove(tmp))
	}
	if err := j.fs.SyncDir(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	seg := &segment{number: number, file: f, size: size, used: segmentHead}
	seg.refs.Store(1)
	seg.checked.Store(true)
	return seg, nil
}

const (
	fillStep  = 256 << 10 // bytes
	fillFlush = 4 * fillStep
	fillPause = 200 * time.Microsecond
)

// fillAhead writes zeros behind the header, to the end. Appends go on meanwhile and
// share the disk with it, so it flushes a little at a time, lest their flushes wait
// for all of it; and it pauses, so that the processor which its writes hold runs
// those whom a flush woke. Where somebody waits for the segment it does neither.
func (j *Journal) fillAhead(f File, size int64) error {
	for off := int64(segmentHead); off < size; {
		end := min(off&^(fillStep-1)+fillStep, size)
		if err := zero(f, off, end); err != nil {
			return err
		}
		if off = end; off == size || j.o.Serial || j.awaited.Load() {
			continue
		}
		if off%fillFlush == 0 {
			if err := f.Sync(); err != nil {
				return err
			}
		}
		time.Sleep(fillPause)
	}
	return nil
}

// makeReserve makes RESERVE, if it is not there.
func (j *Journal) makeReserve() error {
	tmp := tmpPrefix + reserveName
	f, err := j.fs.Open(tmp, Create)
	if err != nil {
		return err
	}
	err = zero(f, 0, j.o.least())
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = j.fs.Rename(tmp, reserveName)
	}
	if err != nil {
		return errors.Join(err, j.fs.Remove(tmp))
	}
	return j.fs.SyncDir()
}

// useReserve makes a segment of RESERVE, for which the disk needs no room.
func (j *Journal) useReserve(number uint64) (*segment, error) {
	f, err := j.fs.Open(reserveName, ReadWrite)
	if err != nil {
		return nil, err
	}
	size, err := f.Size() // as it was when it was made
	if err == nil {
		var head [segmentHead]byte
		putSegmentHead(head[:], j.id, number, size)
		_, err = f.WriteAt(head[:], 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = j.fs.Rename(reserveName, segmentName(number))
	}
	if err == nil {
		err = j.fs.SyncDir()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	seg := &segment{number: number, file: f, size: size, used: segmentHead, rescue: true}
	seg.refs.Store(1)
	seg.checked.Store(true)
	return seg, nil
}

// reserveName is a file that only keeps room.
const reserveName = "RESERVE"
