package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"
)

// found is what opening finds, and what it made of it.
type found struct {
	x       *index
	id      id
	seg     *segment // the last one
	chain   chain
	durable uint64 // the last batch known to be
	time    int64  // the greatest in any record
	clean   bool
	indexed bool
	reserve bool
	aside   bool // EMERGENCY is there
	events  []Event
}

// recovery is one pass over the segments of a directory.
type recovery struct {
	*Journal
	*found
	segs    []*segment
	at      int       // the segment that the chain has come to
	end     int64     // and where in it
	jumps   []removed // segments that are not there, as those beside them tell
	claimed uint64    // the greatest batch that another one calls durable
	unsure  []span    // batches that none calls durable yet
	through uint64    // batches after this one are not seen
	text    texts
	wide    int      // the index is made wider for so many keys
	dropped []string // keys of which something was dropped, perhaps twice
	marked  uint64   // the last batch that ends with the mark of a clean end
	torn    bool     // something stands behind the last batch
}

// texts makes strings that lie together, for many keys at once.
type texts struct{ strings.Builder }

func (t *texts) add(b []byte) string {
	if t.Cap()-t.Len() < len(b) {
		*t = texts{}
		t.Grow(max(64<<10, len(b)))
	}
	t.Write(b)
	return t.String()[t.Len()-len(b):]
}

// span is where a batch lies.
type span struct {
	seg    *segment
	off    int64
	bytes  int64
	number uint64
}

// recover reads the directory. All batches up to known are durable, whatever the
// files say. Unless the journal is read-only, it cuts what is not whole, and
// writes again what may only be in the cache of the system, so that what it
// returns is durable.
func (j *Journal) recover(known uint64) (*found, error) {
	names, err := j.fs.List()
	if err != nil {
		return nil, err
	}
	r := &recovery{Journal: j, found: &found{x: newIndex()}, claimed: known, through: math.MaxUint64, wide: 1 << 14}
	if err = r.open(names); err == nil {
		err = r.read(slices.Contains(names, indexName))
	}
	if err != nil {
		return nil, errors.Join(err, r.closeAll())
	}
	return r.found, nil
}

func (r *recovery) closeAll() error {
	var errs []error
	for _, seg := range r.segs {
		errs = append(errs, seg.release())
	}
	return errors.Join(errs...)
}

// open opens the segments among names, in order.
func (r *recovery) open(names []string) error {
	slices.Sort(names)
	mode := ReadWrite
	if r.o.ReadOnly {
		mode = Read
	}
	for _, name := range names {
		switch number, ok := segmentNumber(name); {
		case ok && number > 1<<32-1:
			return fmt.Errorf("%s: its number is too large", name)
		case ok:
			if err := r.openOne(name, mode); err != nil {
				return err
			}
		case name == emergencyName:
			r.aside = true
		case name == reserveName:
			r.reserve = true
		case strings.HasPrefix(name, tmpPrefix) && !r.o.ReadOnly:
			if err := r.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if len(r.segs) == 0 {
		return r.identify()
	}
	return nil
}

// identify gives a journal that begins anew its id: it stays that of this process,
// or of what stands beside the journal, which would be somebody else's otherwise.
func (r *recovery) identify() error {
	r.found.id = newID(r.o.ID)
	switch {
	case r.o.ID != [16]byte{}:
	case r.Journal.id != id{}:
		r.found.id = r.Journal.id
	case r.aside:
		seg, of, err := openSegment(r.fs, emergencyName, Read)
		if corrupt := (*CorruptError)(nil); errors.As(err, &corrupt) {
			return nil // and is ignored
		}
		if err != nil {
			return err
		}
		r.found.id = of
		return seg.release()
	}
	return nil
}

func (r *recovery) openOne(name string, mode Mode) error {
	seg, of, err := openSegment(r.fs, name, mode)
	if err != nil {
		return err
	}
	r.segs = append(r.segs, seg)
	if len(r.segs) > 1 && of != r.found.id {
		return &CorruptError{File: name, Why: "it belongs to another journal"}
	}
	r.found.id = of
	return nil
}

// read reads all there is.
func (r *recovery) read(index bool) error {
	if len(r.segs) == 0 {
		if index {
			return r.bereft()
		}
		return nil
	}
	if index {
		err := r.loadIndex()
		if err == nil {
			return nil
		}
		r.events = append(r.events, Event{Kind: IndexIgnored, File: indexName, Err: err})
		if err := r.again(); err != nil {
			return err
		}
	}
	return r.replay()
}

// bereft refuses to begin anew where INDEX tells of batches, and no segment is there.
func (r *recovery) bereft() error {
	b, err := r.readIndex()
	if err != nil { // a leftover that says nothing
		r.events = append(r.events, Event{Kind: IndexIgnored, File: indexName, Err: err})
		return nil
	}
	return gone(b)
}

// gone says that the last segment is not there which an INDEX knows, if it knows one.
func gone(index []byte) error {
	le := binary.LittleEndian
	if batch := le.Uint64(index[32:]); batch > 0 {
		return &CorruptError{File: segmentName(le.Uint64(index[40:])), Why: fmt.Sprintf("it is not there, nor any other segment, and INDEX knows batch %d", batch)}
	}
	return nil
}

// again forgets what an INDEX said that turned out wrong.
func (r *recovery) again() error {
	*r.found = found{x: newIndex(), id: r.found.id, reserve: r.found.reserve, aside: r.found.aside, events: r.found.events}
	for _, seg := range r.segs {
		if r.o.Growing {
			var err error
			if seg.size, err = seg.file.Size(); err != nil {
				return err
			}
		}
		seg.used, seg.live, seg.total, seg.indexed = 0, 0, 0, 0
	}
	return nil
}

// replay reads the batches and mends the end.
func (r *recovery) replay() error {
	if r.o.ReadOnly {
		if err := r.pass(nil); err != nil { // to learn what is durable
			return err
		}
		if !r.o.Newest {
			r.through = r.claimed
		}
		r.found.chain, r.found.events, r.jumps, r.unsure = chain{}, nil, nil, nil
	}
	for _, seg := range r.segs {
		r.found.x.segs[seg.number] = seg
	}
	if err := r.pass(r.apply); err != nil {
		return err
	}
	if err := r.checkJumps(); err != nil {
		return err
	}
	r.fold()
	if r.o.ReadOnly {
		return nil
	}
	return r.mend()
}

// pass walks over all batches, and finds out whether what stops it is the end or
// damage.
func (r *recovery) pass(apply func(block) error) error {
	r.at, r.end = 0, segmentHead
	for {
		if err := r.passOn(apply); err != nil {
			return err
		}
		if err := r.judgeEnd(); err == nil || !r.skip(err) {
			return err
		}
	}
}

// passOn walks from where the chain has come to.
func (r *recovery) passOn(apply func(block) error) error {
	start := r.at
	for i, seg := range r.segs {
		if i < start {
			continue
		}
		before, off := uint64(0), int64(segmentHead)
		if i > 0 {
			before = r.segs[i-1].number
		}
		if i == start {
			off = r.end
		}
		jump := seg.number != before+1 && off == segmentHead
		from, first := r.found.chain, header{}
		end, c, err := r.walk(seg, off, jump, func(b block) error {
			if first.number == 0 && len(b.heads) > 0 {
				first = b.heads[0]
			}
			r.note(b)
			if apply == nil {
				return nil
			}
			return apply(b)
		})
		if err != nil {
			return err
		}
		if first.number == 0 && i > start { // it ended in the segment before
			break
		}
		if jump && first.number != 0 {
			r.jumps = append(r.jumps, removed{before + 1, seg.number - 1, from.number + 1, first.number - 1, first.prev})
		}
		r.at, r.end, r.found.chain = i, end, c
		seg.used = end
		seg.checked.Store(true)
	}
	return nil
}

// walk has one goroutine read and check while this one takes in.
func (r *recovery) walk(seg *segment, off int64, jump bool, emit func(block) error) (end int64, c chain, err error) {
	if r.o.Serial {
		var buf []byte
		take := func(n int) []byte {
			if cap(buf) < n {
				buf = make([]byte, n)
			}
			return buf[:n]
		}
		return walk(seg, r.found.id, off, r.found.chain, jump, take, emit)
	}
	blocks, free := make(chan block), make(chan []byte, 2)
	free <- nil
	free <- nil
	go func() {
		defer close(blocks)
		take := func(n int) []byte {
			if buf := <-free; cap(buf) >= n {
				return buf[:n]
			}
			return make([]byte, n)
		}
		end, c, err = walk(seg, r.found.id, off, r.found.chain, jump, take, func(b block) error {
			blocks <- b
			return nil
		})
	}()
	var emitErr error
	for b := range blocks {
		if emitErr == nil {
			emitErr = emit(b)
		}
		free <- b.bytes[:0]
	}
	return end, c, errors.Join(err, emitErr)
}

// note keeps account of which batches are known to be durable.
func (r *recovery) note(b block) {
	off := b.off
	for _, h := range b.heads {
		n := batchHead + int64(h.length)
		r.claimed = max(r.claimed, h.durable)
		r.unsure = append(r.unsure, span{b.seg, off, n, h.number})
		off += n
	}
	i := 0
	for i < len(r.unsure) && r.unsure[i].number <= r.claimed {
		i++
	}
	if i > 0 {
		r.unsure = append(r.unsure[:0], r.unsure[i:]...)
	}
}

// judgeEnd finds out whether the batch after the last one was durable: then it is
// damaged, else it was being written when the process ended.
func (r *recovery) judgeEnd() error {
	next := r.found.chain.number + 1
	damage := &CorruptError{File: r.segs[r.at].name(), Offset: r.end, Batch: next}
	if r.claimed >= next {
		damage.Why = fmt.Sprintf("batch %d was durable", r.claimed)
		return damage
	}
	off, cut := r.end, int64(0)
	for _, seg := range r.segs[r.at:] {
		at, end, err := later(seg, r.found.id, off, next)
		if err != nil {
			return err
		}
		if at >= 0 {
			damage.Why = fmt.Sprintf("%s says at byte %d that it was durable", seg.name(), at)
			return damage
		}
		cut += end - off
		off = segmentHead
	}
	if cut > 0 {
		r.torn = true
		r.found.events = append(r.found.events, Event{Kind: TailCut, File: damage.File, Bytes: cut})
	}
	return nil
}

// apply takes the records of whole batches into the index.
func (r *recovery) apply(b block) error {
	return b.records(func(h header, off int64, rec rawRecord) error {
		if h.number > r.through {
			return nil
		}
		x, p := r.found.x, place{rec.version, uint32(b.seg.number), uint32(off / align), uint32(rec.size)}
		bad := func(why string) error { return &CorruptError{b.seg.name(), off, h.number, why} }
		if rec.version == 0 || rec.version > math.MaxInt64 || rec.kind <= kindDrop && len(rec.key) == 0 {
			return bad("a record without a key or a possible version")
		}
		x.version, r.found.time = max(x.version, rec.version), max(r.found.time, rec.time)
		switch rec.kind {
		case kindData:
			e := x.keys[string(rec.key)]
			if e == nil {
				r.widen(b.seg, off)
				e = x.add(r.text.add(rec.key))
			}
			x.put(e, p)
		case kindDrop:
			if len(rec.payload) != 8 {
				return bad("a drop without a version")
			}
			key := string(rec.key)
			r.dropped = append(r.dropped, key)
			x.drop(key, x.entry(key), binary.LittleEndian.Uint64(rec.payload), p)
		case kindRemoved:
			gone, ok := readRemoved(rec.payload)
			if !ok {
				return bad("a removal that names no segments")
			}
			x.remove(gone, p)
		case kindClosed:
			b.seg.total += p.padded()
			r.marked = h.number
		}
		return nil
	})
}

// widen makes room for as many keys as there may be, judged by those that were found
// up to off in seg, but for no more than eight times as many: the index would be
// copied over and over while it grows.
func (r *recovery) widen(seg *segment, off int64) {
	x := r.found.x
	if len(x.keys) < r.wide {
		return
	}
	read, all := off, int64(0)
	for _, s := range r.segs {
		all += s.size
		if s.number < seg.number {
			read += s.used
		}
	}
	r.wide *= 8
	n := min(r.wide, int(float64(len(x.keys))/float64(read)*float64(all)))
	keys := make(map[string]*entry, n)
	maps.Copy(keys, x.keys)
	x.keys, x.fresh = keys, slices.Grow(x.fresh, max(0, n-len(x.fresh)))
}

// checkJumps refuses segments that are missing though nobody removed them.
func (r *recovery) checkJumps() error {
	for _, jump := range r.jumps {
		next := jump.from
		for _, g := range r.found.x.gone { // by from
			if g.from > next || g.through < next {
				continue
			}
			next = g.through + 1
			if g.through == jump.through && (g.last != jump.last || g.crc != jump.crc) {
				return &CorruptError{File: segmentName(g.through + 1), Offset: segmentHead, Batch: jump.last + 1, Why: "it does not continue the segments that were removed before it"}
			}
		}
		if next <= jump.through {
			return &CorruptError{File: segmentName(next), Why: "the file is missing"}
		}
	}
	return nil
}

// fold forgets keys of which nothing is left.
func (r *recovery) fold() {
	x := r.found.x
	before := len(x.keys)
	for _, key := range r.dropped {
		e := x.keys[key]
		switch {
		case e == nil: // it was dropped more than once
		case len(e.places) == 0:
			delete(x.keys, key)
		default:
			e.last, e.dropped, e.dropping = e.places[len(e.places)-1].version, 0, 0
		}
	}
	if len(x.keys) < before {
		x.fresh = slices.Collect(maps.Keys(x.keys))
	}
	x.shown = x.version
	r.found.clean = r.marked == r.found.chain.number && r.marked > 0
	r.found.durable = r.found.chain.number
	r.found.seg = r.segs[r.at]
}

// mend makes the end one behind which can be written, and what is before it
// durable. Nothing is believed before the flush.
func (r *recovery) mend() error {
	if r.found.chain.number == 0 {
		return r.mendEmpty()
	}
	last := r.segs[r.at]
	if !r.found.clean || r.torn { // what is torn may stand behind the mark of a clean end
		if err := zero(last.file, r.end, last.size); err != nil {
			return err
		}
	}
	if err := r.rewrite(); err != nil {
		return err
	}
	for _, seg := range r.segs[r.at+1:] {
		if err := r.unlink(seg); err != nil {
			return err
		}
	}
	r.segs = r.segs[:r.at+1]
	for _, seg := range slices.Clone(r.segs) {
		if seg == last || seg.live > 0 || !r.found.x.wasRemoved(seg.number) {
			continue
		}
		if err := r.unlink(seg); err != nil { // a crash came before
			return err
		}
		r.segs = slices.DeleteFunc(r.segs, func(s *segment) bool { return s == seg })
	}
	if r.o.Growing {
		last.size = max(last.size, r.o.segmentSize())
	}
	return r.fs.SyncDir()
}

// mendEmpty begins anew where no batch was ever written: it is not known whether
// the name of the first segment is durable.
func (r *recovery) mendEmpty() error {
	for _, seg := range r.segs {
		if err := r.unlink(seg); err != nil {
			return err
		}
	}
	r.segs, r.found.seg = nil, nil
	if err := r.identify(); err != nil {
		return err
	}
	return r.fs.SyncDir()
}

// rewrite writes again what may be in the cache of the system only: after a flush
// that failed it may show pages as clean that the disk never got.
func (r *recovery) rewrite() error {
	touched := map[*segment]bool{r.segs[r.at]: true}
	for _, s := range r.unsure {
		if s.number <= r.claimed {
			continue
		}
		b := make([]byte, s.bytes)
		if err := readFull(s.seg, b, s.off); err != nil {
			return err
		}
		if _, err := s.seg.file.WriteAt(b, s.off); err != nil {
			return err
		}
		touched[s.seg] = true
	}
	for _, seg := range r.segs[:r.at+1] {
		if touched[seg] {
			if err := seg.file.Sync(); err != nil {
				return err
			}
		}
	}
	return nil
}

// unlink removes a segment that holds nothing.
func (r *recovery) unlink(seg *segment) error {
	delete(r.found.x.segs, seg.number)
	if err := r.fs.Remove(seg.name()); err != nil {
		return err
	}
	return seg.release()
}
