package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// This file reads and changes nothing: opening, reading beside a writer,
// verifying and copying all walk with it.

// chain is how far a walk over batches has come: the last batch and the crc of
// its body, which the next one names.
type chain struct {
	number uint64
	crc    uint32
}

// block is a run of whole batches as they lie in a segment, from off on. Their
// checksums and numbers are right.
type block struct {
	seg   *segment
	off   int64
	bytes []byte
	heads []header
}

// readAhead is how many bytes a walk reads at once, unless a batch is larger.
const readAhead = 1 << 20

// walk reads the batches of seg from off on that continue c, and hands them to emit in
// blocks. With jump, the first may have any greater number, since segments before
// it are gone. It returns where the first thing lies that is no such batch, and
// how the chain goes on from there. buf may hold a block or nil; emit must not
// keep the bytes, unless it hands out another buffer in take.
func walk(seg *segment, of id, off int64, c chain, jump bool, take func(n int) []byte, emit func(block) error) (int64, chain, error) {
	sum := newHeadSum(of, seg.number)
	for want := int64(readAhead); ; {
		n := min(want, seg.size-off)
		if n < batchHead {
			return off, c, nil
		}
		buf := take(int(n))
		if err := readFull(seg, buf, off); err != nil {
			return off, c, err
		}
		b := block{seg: seg, off: off}
		used, missing := int64(0), int64(0)
		for {
			h, need := nextBatch(sum, buf[used:], seg.size-off-used, c, jump)
			if missing = need; h.number == 0 {
				break
			}
			b.heads = append(b.heads, h)
			used += batchHead + int64(h.length)
			c, jump = chain{h.number, h.crc}, false
		}
		b.bytes = buf[:used]
		if err := emit(b); err != nil {
			return off, c, err
		}
		off += used
		if missing == 0 {
			return off, c, nil
		}
		want = max(readAhead, missing)
	}
}

// nextBatch returns the header of the batch at the beginning of b if it is whole
// and continues c, or else how many bytes must be there to tell; 0 bytes say that
// there is no such batch.
func nextBatch(sum headSum, b []byte, room int64, c chain, jump bool) (h header, need int64) {
	if len(b) < batchHead {
		if room < batchHead {
			return header{}, 0
		}
		return header{}, batchHead
	}
	h, ok := sum.readHead(b, room)
	if !ok || !h.continues(c, jump) {
		return header{}, 0
	}
	if n := batchHead + int64(h.length); n > int64(len(b)) {
		return header{}, n
	}
	if h.crc != bodySum(b, b[batchHead:batchHead+h.length]) {
		return header{}, 0
	}
	return h, 0
}

func (h header) continues(c chain, jump bool) bool {
	if jump {
		return h.number > c.number
	}
	return h.number == c.number+1 && h.prev == c.crc
}

// later looks for the header of a batch behind off that says that batch n was
// durable, and returns where it is, or -1; and where the last byte lies that is
// not zero. A header stands for itself: its checksum covers the journal's random
// id, which no payload knows.
func later(seg *segment, of id, off int64, n uint64) (at, end int64, err error) {
	sum, buf := newHeadSum(of, seg.number), make([]byte, min(readAhead, max(0, seg.size-off)))
	at, end = -1, off
	for off+batchHead <= seg.size {
		b := buf[:min(int64(len(buf)), seg.size-off)]
		if err := readFull(seg, b, off); err != nil {
			return at, end, err
		}
		i := 0
		for ; i+batchHead <= len(b); i += align {
			if binary.LittleEndian.Uint64(b[i:]) == 0 {
				continue
			}
			end = off + int64(i) + align
			if h, ok := sum.readHead(b[i:], seg.size-off-int64(i)); ok && h.durable >= n {
				return off + int64(i), end, nil
			}
		}
		off += int64(i)
	}
	return at, end, nil
}

// readFull reads bytes that must be there.
func readFull(seg *segment, b []byte, off int64) error {
	n, err := seg.file.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return &CorruptError{File: seg.name(), Offset: off + int64(n), Why: "the file is shorter than it was"}
	}
	return err
}

// records yields what a batch holds. A body whose checksum is right and whose
// records are not was written by another program.
func (b block) records(yield func(header, int64, rawRecord) error) error {
	at := 0
	for _, h := range b.heads {
		end, count := at+batchHead+int(h.length), uint32(0)
		for i := at + batchHead; i < end; count++ {
			r, why := readRecord(b.bytes[i:end])
			if why != "" {
				return &CorruptError{File: b.seg.name(), Offset: b.off + int64(i), Batch: h.number, Why: why}
			}
			if err := r.known(b.seg.number); err != nil {
				return err
			}
			if err := yield(h, b.off+int64(i), r); err != nil {
				return err
			}
			i += padded(r.size)
		}
		if count != h.records {
			return &CorruptError{File: b.seg.name(), Offset: b.off + int64(at), Batch: h.number,
				Why: fmt.Sprintf("it has %d records and says %d", count, h.records)}
		}
		at = end
	}
	return nil
}

// known refuses what a newer program wrote into a segment.
func (r rawRecord) known(segment uint64) error {
	if r.kind == 0 || r.kind > kindClosed {
		return &FormatError{File: segmentName(segment), What: "a record of kind", Found: int(r.kind), Have: int(kindClosed)}
	}
	if r.flags != 0 {
		return &FormatError{File: segmentName(segment), What: "a record with flags", Found: int(r.flags)}
	}
	return nil
}
