package journal

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
)

// Report is what a look at everything in a journal found.
type Report struct {
	ID               string // of the journal, hexadecimal
	Format           int
	Segments         []SegmentReport
	Batches, Records uint64 // that are whole
	Keys             int    // that have a live record
	Live             int    // records
	Bytes, LiveBytes int64  // of the segments, of live records
	Version          uint64 // the greatest
	Clean            bool   // the last record is the mark of a clean end
	// Torn is how many bytes stand where a last batch was begun and not finished. The
	// next Open zeroes them; while somebody writes, they are the batch that he writes.
	Torn   int64
	Damage []Damage // what was durable and cannot be read
	// Waiting is how many records stand in EMERGENCY: the next Open takes them in. No
	// segment needs to be there, where the journal broke before it had one.
	Waiting int
}

// SegmentReport is what a segment holds.
type SegmentReport struct {
	File             string
	Bytes, Used      int64
	Batches, Records uint64
	First, Last      uint64 // batches
}

// Damage is a stretch of a journal that does not hold what it did. Where batches
// are missing, so are the records with versions between After and Before.
type Damage struct {
	*CorruptError
	Bytes         int64
	First, Last   uint64 // batches that are missing; First 0: none is, Last 0: and all later ones
	After, Before uint64 // versions of the records around it; 0: there is none
}

// Unwrap returns what is damaged.
func (d Damage) Unwrap() error { return d.CorruptError }

func (d Damage) Error() string {
	if d.First == 0 {
		return d.CorruptError.Error()
	}
	if d.Last == 0 {
		return fmt.Sprintf("%v; all from batch %d on is missing, with the records after version %d", d.CorruptError, d.First, d.After)
	}
	return fmt.Sprintf("%v; batches %d to %d are missing, with the records between version %d and %d", d.CorruptError, d.First, d.Last, d.After, d.Before)
}

// ErrNoJournal says that a directory has no segment of a journal, and nothing beside
// one: it is none, or nothing was ever written to it.
var ErrNoJournal = errors.New("no segment of a journal")

// survey reads all that can be proven in the segments of a directory, also behind
// what cannot.
type survey struct {
	segs    []*segment
	of      id
	before  []Damage // found while opening
	bereft  error    // what INDEX knows, if no segment is there
	indexed uint64   // the last batch that INDEX knows

	Report
	proven  uint64 // the greatest batch that another one calls durable
	chain   chain
	suspect *Damage   // at the end of what was read; the next batch tells what is missing
	gaps    []Damage  // between batches
	removed []removed // what compaction took away on purpose
	emit    func(block) error
	buf     []byte
}

// look opens the segments of a directory, reads them, and takes what they have into
// an index. Beside a process that writes, what looks like damage may be a batch
// that was half there: then another look finds something else.
func look(disk FS) (*survey, *index, error) {
	var before string
	for range 100 {
		s, err := openSurvey(disk)
		if err != nil {
			return nil, nil, err
		}
		x := s.index()
		err = s.run(func(b block) error { return x.foldBlock(b, math.MaxUint64) })
		found := fmt.Sprint(damages(s.Damage))
		if err != nil {
			s.close()
			return nil, nil, err
		}
		if len(s.Damage) == 0 || found == before {
			return s, x, nil
		}
		before = found
		s.close()
	}
	return nil, nil, errors.New("it changes faster than it can be read")
}

// openSurvey opens the segments of a directory. Nothing is locked: where one
// vanishes, since somebody compacts, it begins again.
func openSurvey(disk FS) (*survey, error) {
	for range 100 {
		s := &survey{}
		err := s.open(disk)
		if err == nil {
			return s, nil
		}
		s.close()
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, errors.New("segments vanish faster than they can be opened")
}

func (s *survey) open(disk FS) error {
	names, err := disk.List()
	if err != nil {
		return err
	}
	// Before the segments: what it knows was durable then.
	indexOf, err := s.openIndex(disk)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if _, ok := segmentNumber(name); ok {
			if err := s.openOne(disk, name); err != nil {
				return err
			}
		}
	}
	if len(s.segs) == 0 {
		return s.bare(disk)
	}
	if indexOf != s.of {
		s.indexed = 0
	}
	return nil
}

// bare is open where no segment is there: what stands in EMERGENCY is of a journal that
// broke before it had any, or lost all.
func (s *survey) bare(disk FS) error {
	if len(s.before) > 0 {
		s.bereft = nil // there are some, which cannot be read
	}
	err := errors.Join(append(damages(s.before), s.bereft)...)
	if err == nil {
		var seg *segment
		if seg, s.of, err = openSegment(disk, emergencyName, Read); err == nil {
			return seg.release()
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(ErrNoJournal, err)
}

func (s *survey) openOne(disk FS, name string) error {
	seg, of, err := openSegment(disk, name, Read)
	var corrupt *CorruptError
	if errors.As(err, &corrupt) {
		s.before = append(s.before, Damage{CorruptError: corrupt})
		return nil
	}
	if err != nil {
		return err
	}
	if s.of == (id{}) {
		s.of = of
	}
	if s.segs = append(s.segs, seg); of != s.of {
		return &CorruptError{File: name, Why: "it is of another journal than the segments before it"}
	}
	return nil
}

func (s *survey) openIndex(disk FS) (of id, err error) {
	r := recovery{Journal: &Journal{fs: disk}}
	b, err := r.readIndex()
	switch {
	case err == nil:
		copy(of[:], b[12:])
		s.indexed, s.bereft = binary.LittleEndian.Uint64(b[32:]), gone(b)
	case !errors.Is(err, fs.ErrNotExist):
		s.before = append(s.before, Damage{CorruptError: &CorruptError{File: indexName, Why: err.Error()}})
	}
	return of, nil
}

// damages returns a list as one of errors.
func damages(list []Damage) (errs []error) {
	for _, d := range list {
		errs = append(errs, d)
	}
	return errs
}

func (s *survey) close() {
	for _, seg := range s.segs {
		_ = seg.release() // it was only read
	}
}

// run reads everything from the beginning and hands whole batches to emit.
func (s *survey) run(emit func(block) error) error {
	s.Report = Report{Format: formatVersion, ID: hex.EncodeToString(s.of[:]), Damage: slices.Clone(s.before)}
	s.chain, s.suspect, s.gaps, s.removed, s.emit = chain{}, nil, nil, nil, emit
	for _, seg := range s.segs {
		if err := s.segment(seg); err != nil {
			return err
		}
	}
	s.end()
	return nil
}

func (s *survey) take(n int) []byte {
	if cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	return s.buf[:n]
}

// end tells gaps that compaction made from those that damage did.
func (s *survey) end() {
	if s.suspect != nil {
		s.Damage = append(s.Damage, *s.suspect)
	}
	for i, d := range s.Damage { // what the segments behind the last one had, nobody knows
		if _, ok := segmentNumber(d.File); ok && d.File > s.segs[len(s.segs)-1].name() {
			s.Damage[i].First, s.Damage[i].After = s.chain.number+1, s.Version
		}
	}
	if last := len(s.segs) - 1; s.indexed > s.chain.number {
		d := s.damage(s.segs[last], s.Segments[last].Used, s.Torn, "INDEX knows later batches")
		d.First, d.Last = s.chain.number+1, s.indexed
		s.Damage, s.Torn = append(s.Damage, *d), 0
	}
	for _, g := range s.gaps {
		inTheFile := g.Bytes > 0
		if s.covered(g.First, g.Last) {
			g.First, g.Last = 0, 0
		}
		if g.First > 0 || inTheFile {
			s.Damage = append(s.Damage, g)
		}
	}
	slices.SortFunc(s.Damage, func(a, b Damage) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Offset, b.Offset))
	})
}

// covered reports whether the batches were all in segments that compaction took
// away.
func (s *survey) covered(first, last uint64) bool {
	slices.SortFunc(s.removed, func(a, b removed) int { return cmp.Compare(a.first, b.first) })
	for _, r := range s.removed {
		if r.first <= first {
			first = max(first, r.last+1)
		}
	}
	return first > last
}

func (s *survey) segment(seg *segment) error {
	s.Bytes += seg.size
	s.Segments = append(s.Segments, SegmentReport{File: seg.name(), Bytes: seg.size, Used: segmentHead})
	for off := int64(segmentHead); ; {
		end, _, err := walk(seg, s.of, off, s.chain, true, s.take, s.block)
		if err != nil {
			return err
		}
		at, err := s.resume(seg, end)
		if at > end { // a writer's later batch may be seen before the one in front of it, once
			at, err = s.resume(seg, end)
		}
		if err != nil {
			return err
		}
		if at < 0 {
			return s.rest(seg, end)
		}
		if off = at; at > end {
			s.suspect = s.damage(seg, end, at-end, "what stands here is no batch")
		}
	}
}

func (s *survey) damage(seg *segment, off, n int64, why string) *Damage {
	return &Damage{CorruptError: &CorruptError{File: seg.name(), Offset: off, Batch: s.chain.number + 1, Why: why}, Bytes: n, After: s.Version}
}

// resume returns where the next whole batch is, from off on, or -1.
func (s *survey) resume(seg *segment, off int64) (int64, error) {
	sum, buf := newHeadSum(s.of, seg.number), make([]byte, min(readAhead, max(0, seg.size-off)))
	for off+batchHead <= seg.size {
		b := buf[:min(int64(len(buf)), seg.size-off)]
		if err := readFull(seg, b, off); err != nil {
			return -1, err
		}
		i := 0
		for ; i+batchHead <= len(b); i += align {
			h, ok := sum.readHead(b[i:], seg.size-off-int64(i))
			if !ok || h.number <= s.chain.number {
				continue
			}
			if whole, err := s.whole(seg, off+int64(i), h); whole || err != nil {
				return off + int64(i), err
			}
		}
		off += int64(i)
	}
	return -1, nil
}

func (s *survey) whole(seg *segment, off int64, h header) (bool, error) {
	b := s.take(batchHead + int(h.length))
	if err := readFull(seg, b, off); err != nil {
		return false, err
	}
	return h.crc == bodySum(b, b[batchHead:]), nil
}

// rest judges what stands behind the last batch of a segment: zeros, the
// beginning of one that was never finished, or what was one.
func (s *survey) rest(seg *segment, off int64) error {
	at, end, err := later(seg, s.of, off, s.chain.number+1)
	if err != nil {
		return err
	}
	s.Segments[len(s.Segments)-1].Used = off
	var last [batchHead]byte // too short for a header, but zeros as well
	from := max(off, seg.size-batchHead)
	if err := readFull(seg, last[:seg.size-from], from); err != nil {
		return err
	}
	if last != [batchHead]byte{} {
		end = max(end, seg.size)
	}
	switch {
	case at >= 0:
		s.suspect = s.damage(seg, off, at-off, "what stands here is no batch, and a later one says that it was")
		s.suspect.First = s.chain.number + 1
	case end > off && seg == s.segs[len(s.segs)-1]:
		s.Torn = end - off
	case end > off:
		s.suspect = s.damage(seg, off, end-off, "behind the last batch are bytes that are not zero")
	}
	return nil
}

// block takes batches that are whole.
func (s *survey) block(b block) error {
	if len(b.heads) == 0 {
		return nil
	}
	s.join(b)
	last, this := b.heads[len(b.heads)-1], &s.Segments[len(s.Segments)-1]
	if this.First == 0 {
		this.First = b.heads[0].number
	}
	this.Last = last.number
	this.Batches += uint64(len(b.heads))
	s.Batches += uint64(len(b.heads))
	s.chain = chain{last.number, last.crc}
	for _, h := range b.heads {
		s.proven = max(s.proven, h.durable)
	}
	err := b.records(func(_ header, _ int64, r rawRecord) error {
		this.Records++
		s.Records++
		s.Version, s.Clean = max(s.Version, r.version), r.kind == kindClosed
		if gone, ok := readRemoved(r.payload); ok && r.kind == kindRemoved {
			s.removed = append(s.removed, gone)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.emit(b)
}

// join looks at how the first batch of b continues those before.
func (s *survey) join(b block) {
	d, h := s.suspect, b.heads[0]
	s.suspect = nil
	follows := h.number == s.chain.number+1
	if d == nil {
		d = s.damage(b.seg, b.off, 0, "this batch does not continue the one before")
		if follows && h.prev == s.chain.crc {
			return
		}
	}
	if d.First = 0; !follows {
		d.First, d.Last = s.chain.number+1, h.number-1
	}
	if r, why := readRecord(b.bytes[batchHead:]); why == "" {
		d.Before = r.version
	}
	if s.gaps = append(s.gaps, *d); follows && d.Bytes == 0 {
		s.gaps[len(s.gaps)-1].Bytes = int64(h.length)
	}
}
