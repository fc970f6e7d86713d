package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// indexName is the file that a clean end leaves: the index, and which batch was
// the last. It is a hint: what does not fit is ignored and built anew. It goes
// before the first batch that it would not know.
const indexName = "INDEX"

const (
	indexMagic = "RESILX1\n"
	indexHead  = 88
	placeSize  = 20
)

// writeIndex writes INDEX. The caller has the turn, and nothing is in flight.
func (j *Journal) writeIndex() error {
	j.mu.Lock()
	b := j.indexBytes()
	j.mu.Unlock()
	tmp := tmpPrefix + indexName
	f, err := j.fs.Open(tmp, Create)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(b, 0); err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = j.fs.Rename(tmp, indexName)
	}
	if err != nil {
		return errors.Join(err, j.fs.Remove(tmp))
	}
	j.indexed = true
	return j.fs.SyncDir()
}

func (j *Journal) indexBytes() []byte {
	le, x := binary.LittleEndian, j.x
	keys := x.sorted("")
	b := make([]byte, 0, indexHead+x.records*placeSize+len(keys)*64)
	b = append(b, indexMagic...)
	b = le.AppendUint16(b, formatVersion)
	b = le.AppendUint16(b, 0)
	b = append(b, j.id[:]...)
	b = le.AppendUint32(b, j.chain.crc)
	for _, v := range []uint64{j.chain.number, j.seg.number, x.version, uint64(j.clock.greatest)} {
		b = le.AppendUint64(b, v)
	}
	for _, n := range []int{len(x.segs), len(x.gone), len(x.drops), len(x.copied), len(x.keys)} {
		b = le.AppendUint32(b, uint32(n))
	}
	b = le.AppendUint32(b, 0)
	for _, seg := range x.segs {
		for _, v := range []int64{int64(seg.number), seg.size, seg.used, seg.live, seg.total} {
			b = le.AppendUint64(b, uint64(v))
		}
	}
	for _, g := range x.gone {
		b = append(append(b, g.payload()...), g.place.bytes()...)
	}
	for _, d := range x.drops {
		b = append(b, d.bytes()...)
		for _, v := range []uint64{d.through, d.lo, d.hi} {
			b = le.AppendUint64(b, v)
		}
		b = append(le.AppendUint16(b, uint16(len(d.key))), d.key...)
	}
	for n := range x.copied {
		b = le.AppendUint64(b, n)
	}
	for _, key := range keys {
		e := x.keys[key]
		if e == nil {
			continue
		}
		b = append(le.AppendUint16(b, uint16(len(key))), key...)
		b = le.AppendUint32(b, uint32(len(e.places)))
		for _, p := range e.places {
			b = append(b, p.bytes()...)
		}
	}
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func (p place) bytes() []byte {
	var b [placeSize]byte
	le := binary.LittleEndian
	le.PutUint64(b[:], p.version)
	le.PutUint32(b[8:], p.seg)
	le.PutUint32(b[12:], p.off)
	le.PutUint32(b[16:], p.size)
	return b[:]
}

// reader takes numbers off bytes, and says at the end whether there were enough.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.b, r.short = nil, true
		return make([]byte, min(max(n, 0), removedSize))
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) u16() int    { return int(binary.LittleEndian.Uint16(r.take(2))) }
func (r *reader) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

// count reads how many things of at least size bytes follow, which must be there.
func (r *reader) count(n uint32, size int) int {
	if int64(n)*int64(size) > int64(len(r.b)) {
		r.short = true
		return 0
	}
	return int(n)
}

func (r *reader) place() place {
	return place{r.u64(), r.u32(), r.u32(), r.u32()}
}

// loadIndex takes over what INDEX says, if it fits the segments.
func (r *recovery) loadIndex() error {
	b, err := r.readIndex()
	if err != nil {
		return err
	}
	in := &reader{b: b[12:]}
	if id(in.take(16)) != r.found.id {
		return errors.New("it is of another journal")
	}
	crc := in.u32()
	c := chain{in.u64(), crc}
	r.claimed = max(r.claimed, c.number) // also where the rest does not fit
	last, version, time := in.u64(), in.u64(), int64(in.u64())
	var counts [6]uint32
	for i := range counts {
		counts[i] = in.u32()
	}
	x := r.found.x
	x.version, x.shown = version, version
	if err := r.indexedSegments(in, in.count(counts[0], 40)); err != nil {
		return err
	}
	for range in.count(counts[1], removedSize+placeSize) {
		g, _ := readRemoved(in.take(removedSize))
		x.gone = append(x.gone, removal{g, in.place()})
	}
	for range in.count(counts[2], placeSize+26) {
		d := dropped{place: in.place(), through: in.u64(), lo: in.u64(), hi: in.u64()}
		d.key = string(in.take(in.u16()))
		x.drops[d.version] = d
	}
	for range in.count(counts[3], 8) {
		x.copied[in.u64()] = true
	}
	if err := r.indexedKeys(in, in.count(counts[4], 6+placeSize)); err != nil {
		return err
	}
	if in.short || len(in.b) > 0 {
		return errors.New("it has another length than it says")
	}
	r.found.chain, r.found.durable, r.found.time, r.found.clean, r.found.indexed = c, c.number, time, true, true
	return r.indexedEnd(last)
}

func (r *recovery) readIndex() ([]byte, error) {
	f, err := r.fs.Open(indexName, Read)
	if err != nil {
		return nil, err
	}
	n, err := f.Size()
	if err == nil && (n < indexHead || n > math.MaxInt32) {
		err = fmt.Errorf("it has %d bytes", n)
	}
	var b []byte
	if err == nil {
		b = make([]byte, n)
		if got, rerr := f.ReadAt(b, 0); int64(got) < n {
			err = rerr
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	le, body := binary.LittleEndian, b[:n-4]
	switch {
	case string(b[:8]) != indexMagic || le.Uint32(b[n-4:]) != crc32.Checksum(body, castagnoli):
		return nil, errors.New("it is not whole")
	case le.Uint16(b[8:]) != formatVersion || le.Uint16(b[10:]) != 0:
		return nil, &FormatError{File: indexName, What: "format", Found: int(le.Uint16(b[8:])), Have: formatVersion}
	}
	return body, nil
}

// indexedSegments compares the segments with what INDEX says of them.
func (r *recovery) indexedSegments(in *reader, n int) error {
	files := map[uint64]*segment{}
	for _, seg := range r.segs {
		files[seg.number] = seg
	}
	for range n {
		number, size := in.u64(), int64(in.u64())
		seg := files[number]
		if seg == nil || seg.size > size || seg.size < size && !r.o.Growing {
			return fmt.Errorf("%s is not as it was", segmentName(number))
		}
		seg.size, seg.used = size, int64(in.u64())
		seg.live, seg.total = int64(in.u64()), int64(in.u64())
		seg.indexed = seg.used
		if seg.used > seg.size {
			return fmt.Errorf("%s is shorter than its batches", segmentName(number))
		}
		r.found.x.segs[number] = seg
	}
	return nil
}

// indexedKeys takes the keys over. They are in order.
func (r *recovery) indexedKeys(in *reader, n int) error {
	x, text := r.found.x, string(in.b)
	x.keys = make(map[string]*entry, n)
	x.order = make([]string, 0, n)
	for range n {
		at := len(text) - len(in.b) + 2
		size := in.u16()
		in.take(size)
		count := in.count(in.u32(), placeSize)
		if in.short || count == 0 {
			return errors.New("a key is cut off")
		}
		key := text[at : at+size]
		e := x.add(key)
		for range count {
			p := in.place()
			seg := x.segs[p.segment()]
			if seg == nil || p.at() < segmentHead || p.at()+p.padded() > seg.used || p.version > x.version {
				return fmt.Errorf("it has a record of %s where none is", key)
			}
			e.places = append(e.places, p)
		}
		x.records += count
		e.last = e.places[count-1].version
		x.order = append(x.order, key)
	}
	x.fresh = nil
	return nil
}

// indexedEnd makes sure that the last batch is the one that INDEX knows, and that
// nothing follows it.
func (r *recovery) indexedEnd(last uint64) error {
	seg := r.found.x.segs[last]
	if seg == nil {
		return errors.New("it has no last segment")
	}
	r.found.seg = seg
	var end [batchHead]byte
	if n, err := seg.file.ReadAt(end[:min(batchHead, seg.size-seg.used)], seg.used); err != nil && n > 0 {
		return err
	}
	if end != [batchHead]byte{} {
		return errors.New("more was written since")
	}
	for _, s := range r.segs {
		if s.number < last && r.found.x.segs[s.number] == nil {
			return fmt.Errorf("it does not know %s", s.name())
		}
	}
	if err := r.lastBatch(seg); err != nil {
		return err
	}
	return r.dropSpares(last)
}

// lastBatch reads the mark of the clean end, which is the batch before the end.
func (r *recovery) lastBatch(seg *segment) error {
	off := seg.used - batchHead - int64(padded(recordHead))
	if off < segmentHead {
		return errors.New("there is no mark of a clean end")
	}
	b := make([]byte, seg.used-off)
	if err := readFull(seg, b, off); err != nil {
		return err
	}
	h, ok := newHeadSum(r.found.id, seg.number).readHead(b, int64(len(b)))
	if !ok || (chain{h.number, h.crc}) != r.found.chain || h.crc != bodySum(b, b[batchHead:]) {
		return errors.New("the last batch is another one")
	}
	return nil
}

// dropSpares removes segments that were made ahead and not used.
func (r *recovery) dropSpares(last uint64) error {
	kept := r.segs[:0:0]
	for _, s := range r.segs {
		if s.number <= last {
			kept = append(kept, s)
			continue
		}
		if !r.o.ReadOnly {
			if err := r.fs.Remove(s.name()); err != nil {
				return err
			}
		}
		if err := s.release(); err != nil {
			return err
		}
	}
	r.segs = kept
	return nil
}

// checkSegment reads the batches of a segment that INDEX knew when it was
// written.
func (j *Journal) checkSegment(seg *segment) error {
	j.checking.Lock()
	defer j.checking.Unlock()
	if seg.checked.Load() || seg.damage != nil {
		return seg.damage
	}
	known := &segment{number: seg.number, file: seg.file, size: seg.indexed}
	take := func(n int) []byte { return make([]byte, n) }
	end, _, err := walk(known, j.id, segmentHead, chain{}, true, take, func(block) error { return nil })
	if err == nil && end != seg.indexed {
		err = &CorruptError{File: seg.name(), Offset: end, Why: "a batch that was durable is not whole"}
	}
	var corrupt *CorruptError
	if errors.As(err, &corrupt) { // what the disk could not read now, it may later
		seg.damage = err
	}
	if err != nil {
		return err
	}
	seg.checked.Store(true)
	return nil
}
