package journal_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// FuzzOpen opens what is no journal, or nearly one. It must not panic; what opens
// must open again with the same records.
func FuzzOpen(f *testing.F) {
	d := faultfs.New(1)
	j := must(journal.Open(d, small))
	v := must(j.Append(background, "k/a", 0, []byte("one")))
	must(j.Append(background, "k/a", v, []byte("two")))
	must(j.Append(background, "k/b", 0, []byte("three")))
	if err := errors.Join(j.Drop(background, "k/a", v), j.Close()); err != nil {
		f.Fatal(err)
	}
	f.Add(d.Bytes("000000000001.rj"), d.Bytes("INDEX"), false)
	f.Add(d.Bytes("000000000001.rj")[:512], []byte(nil), true)
	f.Fuzz(func(t *testing.T, segment, index []byte, sums bool) {
		if sums {
			segment = withSums(segment)
		}
		d := faultfs.New(1)
		d.Put("000000000001.rj", segment)
		if index != nil {
			d.Put("INDEX", index)
		}
		j, err := journal.Open(d, small)
		if err != nil {
			return
		}
		before := everything(j)
		_ = j.Close()
		j, err = journal.Open(d.Kill(), small)
		if err != nil {
			t.Fatalf("it opened once, and then: %v", err)
		}
		if after := everything(j); after != before {
			t.Fatalf("it held %q, and then %q", before, after)
		}
	})
}

// everything returns what can be read, and the errors.
func everything(j *journal.Journal) (all string) {
	for head, err := range j.Heads(background, "", "") {
		all += head.Key + "\n"
		if err != nil {
			all += "error\n"
			continue
		}
		for r, err := range j.Scan(background, head.Key, 0) {
			all += string(r.Payload) + "\n"
			if err != nil {
				all += "error\n"
			}
		}
	}
	return all
}

// withSums puts right checksums into the header of a segment and of the batches
// that follow it, so that the fuzzer gets past them.
func withSums(b []byte) []byte {
	b = append([]byte(nil), b...)
	if len(b) < 64 {
		return b
	}
	le, table := binary.LittleEndian, crc32.MakeTable(crc32.Castagnoli)
	copy(b, "RESILJ1\n\x01\x00\x00\x00")
	le.PutUint64(b[28:], 1)
	le.PutUint64(b[36:], uint64(len(b)))
	le.PutUint32(b[60:], crc32.Checksum(b[:60], table))
	prev := uint32(0)
	for off, n := 64, uint64(1); off+40 <= len(b); n++ {
		size := int(le.Uint32(b[off:])) &^ 7
		if size <= 0 || size > len(b)-off-40 {
			break
		}
		le.PutUint32(b[off:], uint32(size))
		le.PutUint64(b[off+8:], n)
		le.PutUint32(b[off+24:], prev)
		prev = crc32.Update(crc32.Checksum(b[off:off+28], table), table, b[off+40:off+40+size])
		le.PutUint32(b[off+28:], prev)
		seed := append(append([]byte(nil), b[12:28]...), b[28:36]...)
		le.PutUint32(b[off+32:], crc32.Update(crc32.Checksum(seed, table), table, b[off:off+32]))
		le.PutUint32(b[off+36:], 0)
		off += 40 + size
	}
	return b
}
