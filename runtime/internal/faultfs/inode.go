package faultfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Sector is what a disk writes whole: what is larger may be torn between two.
const Sector = 512

// block is what a file system gives out room in.
const block = 4096

// inode is a file: what a reader sees, what the platter has, and how the two may
// still become one.
type inode struct {
	data  []byte             // the cache: what reads see
	disk  []byte             // what every power cut leaves
	dirty map[int64][][]byte // by sector, what it was after each write since the last flush
	sizes []int64            // what the size was since the last flush
	room  map[int64]bool     // blocks given out
}

func newInode() *inode {
	return &inode{dirty: map[int64][][]byte{}, room: map[int64]bool{}}
}

func (f *inode) clone() *inode {
	c := &inode{data: slices.Clone(f.data), disk: slices.Clone(f.disk), sizes: slices.Clone(f.sizes), room: maps.Clone(f.room)}
	c.dirty = make(map[int64][][]byte, len(f.dirty))
	for s, versions := range f.dirty {
		c.dirty[s] = slices.Clone(versions) // a version is never written again
	}
	return c
}

// sector returns a copy of sector s of b, which ends with zeros.
func sector(b []byte, s int64) []byte {
	v := make([]byte, Sector)
	if at := s * Sector; at < int64(len(b)) {
		copy(v, b[at:])
	}
	return v
}

func resized(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size]
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

func (f *inode) write(p []byte, off int64) {
	if len(p) == 0 {
		return
	}
	end := off + int64(len(p))
	if end > int64(len(f.data)) {
		f.data = resized(f.data, end)
		f.sizes = append(f.sizes, end)
	}
	copy(f.data[off:], p)
	for s := off / Sector; s*Sector < end; s++ {
		f.dirty[s] = append(f.dirty[s], sector(f.data, s))
	}
	for b := off / block; b*block < end; b++ {
		f.room[b] = true
	}
}

// growth is how many blocks a write needs that the file does not have.
func (f *inode) growth(off, n int64) (blocks int64) {
	for b := off / block; n > 0 && b*block < off+n; b++ {
		if !f.room[b] {
			blocks++
		}
	}
	return blocks
}

// flush brings what was written to the platter. One that fails brings any part of
// it, and none of the rest ever will be, since the cache takes it for clean,
// though it goes on showing it.
func (f *inode) flush(failed *rand.Rand) {
	if failed == nil {
		f.disk = f.onto(f.disk, nil, Kept)
	} else {
		f.disk = f.onto(f.disk, failed, Mixed)
	}
	clear(f.dirty)
	f.sizes = f.sizes[:0]
}

// after returns what a power cut leaves.
func (f *inode) after(r *rand.Rand, fate Fate) []byte {
	return f.onto(slices.Clone(f.disk), r, fate)
}

// onto writes to b, which is what the platter has, what was not flushed.
func (f *inode) onto(b []byte, r *rand.Rand, fate Fate) []byte {
	size := int64(len(b))
	for _, s := range slices.Sorted(maps.Keys(f.dirty)) {
		if v := choose(r, fate, f.dirty[s]); v != nil {
			b = resized(b, max(int64(len(b)), (s+1)*Sector))
			copy(b[s*Sector:], v)
		}
	}
	switch n := len(f.sizes); {
	case n == 0:
	case fate == Kept:
		size = f.sizes[n-1]
	case fate == Mixed:
		if i := r.IntN(n + 1); i < n {
			size = f.sizes[i]
		}
	}
	return resized(b, size)
}

// choose returns the version of a sector that a power cut leaves, nil for the
// one before all of them.
func choose(r *rand.Rand, fate Fate, versions [][]byte) []byte {
	switch fate {
	case Kept:
		return versions[len(versions)-1]
	case Mixed:
		if i := r.IntN(2 * len(versions)); i < len(versions) {
			return versions[i]
		}
	}
	return nil
}
