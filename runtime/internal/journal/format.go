package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The format, version 1; docs/journal-format.md tells it in full. All numbers are
// little endian, all offsets of batches and records multiples of align.
const (
	formatVersion = 1
	magic         = "RESILJ1\n"
	segmentHead   = 64
	batchHead     = 40
	recordHead    = 24
	align         = 8
	seedOfBody    = 28 // so many bytes of a batch's header seed the crc of its body
)

// kind says what a record is.
type kind uint8

// Kinds of records. One that is not here was written by a newer program.
const (
	kindData    kind = iota + 1 // payload of a key
	kindDrop                    // the records of a key up to the version in the payload are gone
	kindRemoved                 // segments that were unlinked: see removed
	kindClosed                  // nothing followed in that process: a clean end
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// id tells journals apart: bytes of one never pass for those of another.
type id [16]byte

func padded(n int) int { return (n + align - 1) &^ (align - 1) }

func segmentName(number uint64) string { return fmt.Sprintf("%012d.rj", number) }

// segmentNumber is the reverse of segmentName.
func segmentNumber(name string) (uint64, bool) {
	var n uint64
	if len(name) != len("000000000000.rj") || name[12:] != ".rj" {
		return 0, false
	}
	for _, c := range []byte(name[:12]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, n > 0
}

// putSegmentHead writes the header of a segment. size is how long the file was
// made before the first batch, so that it can be told when it was cut short; 0
// says that it grows.
func putSegmentHead(b []byte, of id, number uint64, size int64) {
	le := binary.LittleEndian
	clear(b[:segmentHead])
	copy(b, magic)
	le.PutUint16(b[8:], formatVersion)
	le.PutUint16(b[10:], 0) // flags
	copy(b[12:], of[:])
	le.PutUint64(b[28:], number)
	le.PutUint64(b[36:], uint64(size))
	le.PutUint32(b[segmentHead-4:], crc32.Checksum(b[:segmentHead-4], castagnoli))
}

// readSegmentHead returns whose segment b begins, and how long the file must be.
// A newer format is a [*FormatError], and anything else a [*CorruptError].
func readSegmentHead(name string, b []byte) (of id, size int64, err error) {
	le := binary.LittleEndian
	bad := func(why string) (id, int64, error) { return id{}, 0, &CorruptError{File: name, Why: why} }
	if len(b) < segmentHead {
		return bad("the header of the segment is cut off")
	}
	if string(b[:8]) != magic {
		return bad("it is no segment of a journal")
	}
	if le.Uint32(b[segmentHead-4:]) != crc32.Checksum(b[:segmentHead-4], castagnoli) {
		return bad("the header of the segment has another checksum")
	}
	if v := le.Uint16(b[8:]); v > formatVersion {
		return id{}, 0, &FormatError{File: name, What: "format", Found: int(v), Have: formatVersion}
	}
	if f := le.Uint16(b[10:]); f != 0 {
		return id{}, 0, &FormatError{File: name, What: "flags", Found: int(f)}
	}
	if n, ok := segmentNumber(name); !ok && name != emergencyName || le.Uint64(b[28:]) != n {
		return bad(fmt.Sprintf("it says that it is segment %d", le.Uint64(b[28:])))
	}
	copy(of[:], b[12:])
	return of, int64(le.Uint64(b[36:])), nil
}

// header is what stands before a batch.
type header struct {
	length  uint32 // of the body, which is the records
	records uint32
	number  uint64 // of the batch: consecutive, from 1
	durable uint64 // the greatest number known to be flushed when this one was written
	prev    uint32 // crc of the body of the batch before
	crc     uint32 // of the body, seeded with what stands above
}

// sealBatch fills the header in front of the records of b, but for h.length and
// h.crc, which it returns.
func sealBatch(b []byte, h header, sum headSum) header {
	le := binary.LittleEndian
	h.length = uint32(len(b) - batchHead)
	le.PutUint32(b, h.length)
	le.PutUint32(b[4:], h.records)
	le.PutUint64(b[8:], h.number)
	le.PutUint64(b[16:], h.durable)
	le.PutUint32(b[24:], h.prev)
	h.crc = bodySum(b, b[batchHead:])
	le.PutUint32(b[28:], h.crc)
	le.PutUint32(b[32:], sum.sum(b))
	le.PutUint32(b[36:], 0)
	return h
}

func bodySum(head, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(head[:seedOfBody], castagnoli), castagnoli, body)
}

// headSum is the crc over what seeds those of the headers of a segment: the
// journal and the segment. A batch that was copied elsewhere is none there.
type headSum uint32

func newHeadSum(of id, segment uint64) headSum {
	var seed [24]byte
	copy(seed[:], of[:])
	binary.LittleEndian.PutUint64(seed[16:], segment)
	return headSum(crc32.Checksum(seed[:], castagnoli))
}

func (s headSum) sum(head []byte) uint32 {
	return crc32.Update(uint32(s), castagnoli, head[:32])
}

// readHead returns the header at the beginning of b, of which room bytes may
// belong to the batch, if it is whole.
func (s headSum) readHead(b []byte, room int64) (h header, ok bool) {
	le := binary.LittleEndian
	h.length, h.records = le.Uint32(b), le.Uint32(b[4:])
	if h.length == 0 || h.length%align != 0 || int64(h.length) > room-batchHead || le.Uint32(b[36:]) != 0 || le.Uint32(b[32:]) != s.sum(b) {
		return header{}, false
	}
	h.number, h.durable = le.Uint64(b[8:]), le.Uint64(b[16:])
	h.prev, h.crc = le.Uint32(b[24:]), le.Uint32(b[28:])
	return h, true
}

// rawRecord is a record in the bytes of a batch, to which key and payload point.
type rawRecord struct {
	kind         kind
	flags        byte
	version      uint64
	time         int64
	key, payload []byte
	size         int // without padding
}

// appendRecord adds a record to the body b.
func appendRecord(b []byte, k kind, version uint64, time int64, key string, payload []byte) []byte {
	le := binary.LittleEndian
	n := recordHead + len(key) + len(payload)
	b = le.AppendUint32(b, uint32(n))
	b = append(b, byte(k), 0)
	b = le.AppendUint16(b, uint16(len(key)))
	b = le.AppendUint64(b, version)
	b = le.AppendUint64(b, uint64(time))
	b = append(b, key...)
	b = append(b, payload...)
	return append(b, make([]byte, padded(n)-n)...)
}

// readRecord returns the record at the beginning of b, and "" or what is wrong
// with it. It believes no length.
func readRecord(b []byte) (r rawRecord, why string) {
	if len(b) < recordHead {
		return r, "a record is cut off"
	}
	le := binary.LittleEndian
	n, keyLen := int64(le.Uint32(b)), int(le.Uint16(b[6:]))
	if n < int64(recordHead+keyLen) || n > int64(len(b)) {
		return r, "a record has an impossible length"
	}
	r.size, r.kind, r.flags = int(n), kind(b[4]), b[5]
	r.version, r.time = le.Uint64(b[8:]), int64(le.Uint64(b[16:]))
	r.key, r.payload = b[recordHead:recordHead+keyLen:recordHead+keyLen], b[recordHead+keyLen:n:n]
	return r, ""
}

// removed is what a record of its kind says: these segments were unlinked, and
// held these batches. It stands for them in the chain.
type removed struct {
	from, through uint64 // segments
	first, last   uint64 // batches
	crc           uint32 // of the body of the last
}

const removedSize = 40

func (r removed) payload() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, removedSize)
	for _, v := range []uint64{r.from, r.through, r.first, r.last, uint64(r.crc)} {
		b = le.AppendUint64(b, v)
	}
	return b
}

func readRemoved(b []byte) (r removed, ok bool) {
	if len(b) != removedSize {
		return r, false
	}
	le := binary.LittleEndian
	r = removed{le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:]), le.Uint32(b[32:])}
	return r, r.from <= r.through && r.first <= r.last
}
