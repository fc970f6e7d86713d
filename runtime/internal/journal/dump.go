package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Entry is a record of any kind, as it lies in a journal.
type Entry struct {
	File           string
	Offset         int64
	Batch, Durable uint64 // its batch, and the last one that was known to be flushed then
	Kind           string // "record", "drop", "removed" or "closed"; "waiting": a record in EMERGENCY, which has no version yet
	Record                // of a record; of others what of it they have
	Live           bool   // of a record: it was not dropped, as far as the journal was read
	Through        uint64 // of a drop: the versions of Key up to it are gone
	From, To       uint64 // of a removal: the segments that are gone
}

// Verify reads everything and says what it found. It writes nothing and takes no
// lock, and may be called on a directory in use. An error says that it could not
// read; damage is in the report.
func Verify(disk FS) (Report, error) { return Dump(disk, nil) }

// Dump is [Verify], and hands out every record that can be proven, in the order in
// which they lie, and then those that wait. Payloads are valid until each returns, and an error of it ends
// the dump.
func Dump(disk FS, each func(Entry) error) (Report, error) {
	s, x, err := look(disk)
	if err != nil {
		return Report{}, fmt.Errorf("read journal in %s: %w", disk.Path(), err)
	}
	defer s.close()
	s.count(x)
	report := s.Report
	var beside []Entry
	err = waiting(disk, s.of, x, func(off int64, r rawRecord) error {
		report.Waiting++
		beside = append(beside, Entry{File: emergencyName, Offset: off, Kind: "waiting", Record: Record{Key: string(r.key), Time: r.time, Payload: bytes.Clone(r.payload)}})
		return nil
	})
	if err != nil || each == nil {
		return report, err
	}
	x, last := s.index(), s.chain.number
	err = s.run(func(b block) error {
		return b.records(func(h header, off int64, r rawRecord) error {
			if h.number > last {
				return nil // written meanwhile
			}
			return each(entryOf(b.seg, off, h, r, x.fold(b.seg, off, r)))
		})
	})
	for _, e := range beside {
		if err == nil {
			err = each(e)
		}
	}
	if err != nil {
		err = fmt.Errorf("read journal in %s: %w", disk.Path(), err)
	}
	return report, err
}

func entryOf(seg *segment, off int64, h header, r rawRecord, live bool) Entry {
	e := Entry{File: seg.name(), Offset: off, Batch: h.number, Durable: h.durable, Kind: kindNames[r.kind],
		Record: Record{Key: string(r.key), Version: r.version, Time: r.time}, Live: live}
	switch r.kind {
	case kindData:
		e.Payload = r.payload
	case kindDrop:
		e.Through, _ = r.through()
	case kindRemoved:
		gone, _ := readRemoved(r.payload)
		e.From, e.To = gone.from, gone.through
	}
	return e
}

var kindNames = map[kind]string{kindData: "record", kindDrop: "drop", kindRemoved: "removed", kindClosed: "closed"}

// through reads up to which version a drop goes.
func (r rawRecord) through() (version uint64, ok bool) {
	if len(r.payload) != 8 {
		return 0, false
	}
	return binary.LittleEndian.Uint64(r.payload), true
}

// index returns an empty one for the segments of s.
func (s *survey) index() *index {
	x := newIndex()
	for _, seg := range s.segs {
		seg.live, seg.total = 0, 0
		x.segs[seg.number] = seg
	}
	return x
}

// fold takes a record into x, and reports whether it is one that is live so far.
func (x *index) fold(seg *segment, off int64, r rawRecord) bool {
	p := place{r.version, uint32(seg.number), uint32(off / align), uint32(r.size)}
	x.version = max(x.version, r.version)
	switch r.kind {
	case kindData:
		e := x.keys[string(r.key)]
		if e == nil {
			e = x.add(string(r.key))
		}
		x.put(e, p)
		return e.has(p)
	case kindDrop:
		if through, ok := r.through(); ok {
			x.drop(string(r.key), x.entry(string(r.key)), through, p)
		}
	}
	return false
}

// foldBlock takes the records of batches up to one into x.
func (x *index) foldBlock(b block, through uint64) error {
	return b.records(func(h header, off int64, r rawRecord) error {
		if h.number <= through {
			x.fold(b.seg, off, r)
		}
		return nil
	})
}

// count counts what is live in the end.
func (s *survey) count(x *index) {
	for _, e := range x.keys {
		if len(e.places) > 0 {
			s.Keys++
		}
		s.Live += len(e.places)
		for _, p := range e.places {
			s.LiveBytes += p.padded()
		}
	}
}
