// Package faultfs is a disk in memory for tests of what must survive its faults.
//
// A [Disk] holds one directory. Like a real one it forgets: until a file is
// flushed, a power cut leaves any of its sectors as they were at any time since
// the last flush; until the directory is flushed, any of the names made, renamed
// and removed. It fails where it is told to ([Disk.Inject]), counts what is done
// to it, and keeps a tape from which the disk at any moment can be made again
// ([Tape.Play]).
//
// Nothing is durable because of something else: flushing a file does not flush
// its name, nor the other way round. Real file systems do more; whoever survives
// this one does not need it.
package faultfs

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
)

// Fate is what a power cut does to what was not flushed.
type Fate int

// Values of Fate.
const (
	Kept  Fate = iota // all of it reached the platter
	Lost              // none
	Mixed             // any sectors and names, each as it was at any time since the last flush
)

func (f Fate) String() string { return [...]string{"kept", "lost", "mixed"}[f] }

// ErrFrozen is what every operation of a frozen disk returns.
var ErrFrozen = errors.New("frozen")

// Disk is a directory on a disk in memory. It is safe for concurrent use.
type Disk struct {
	mu    sync.Mutex
	files map[int]*inode // every one there ever was, by number
	names map[string]int // the cache
	disk  map[string]int // the platter
	links []link         // since the last flush of the directory
	size  int64          // bytes that fit; 0: no end
	rand  rand.PCG       // decides what a flush that failed left

	inject func(Op) Fault
	ops    int
	frozen bool
	lock   *lock // of the process that uses d, if it has it
	remote string
	tape   *Tape
}

// link is a change of the directory: a name goes, appears, or is another one now.
type link struct {
	from, to string
	file     int
}

func (l link) apply(names map[string]int) {
	delete(names, l.from)
	if l.to != "" {
		names[l.to] = l.file
	}
}

// New returns an empty disk. What the seed decides is what a flush that fails
// leaves.
func New(seed uint64) *Disk {
	return &Disk{files: map[int]*inode{}, names: map[string]int{}, disk: map[string]int{}, rand: *rand.NewPCG(seed, 0)}
}

// SetSize says how many bytes fit on d, in blocks of 4096. 0: any number.
func (d *Disk) SetSize(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.size = bytes
}

// SetRemote makes d pretend to be a file system of that kind over a network.
func (d *Disk) SetRemote(kind string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remote = kind
}

// Used returns how many bytes are given out.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used()
}

func (d *Disk) used() (n int64) {
	for _, i := range d.names {
		n += int64(len(d.files[i].room)) * block
	}
	return n
}

func (d *Disk) fits(f *inode, off, n int64) bool {
	return d.size == 0 || d.used()+f.growth(off, n)*block <= d.size
}

// Freeze makes every operation fail from now on and leaves the disk as it is:
// for those who use it, the end of their process.
func (d *Disk) Freeze() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.frozen = true
}

// Kill returns d as the next process finds it after the one that used it was
// killed: nothing forgotten, nothing flushed, nothing locked, no fault set.
func (d *Disk) Kill() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clone()
}

func (d *Disk) clone() *Disk {
	c := New(0)
	c.names, c.disk, c.links = maps.Clone(d.names), maps.Clone(d.disk), slices.Clone(d.links)
	c.size, c.remote, c.rand = d.size, d.remote, d.rand
	for i, f := range d.files {
		c.files[i] = f.clone()
	}
	return c
}

// Cut returns d as the next process finds it after a power cut.
func (d *Disk) Cut(r *rand.Rand, fate Fate) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	platter := maps.Clone(d.disk)
	for _, l := range d.links {
		if fate == Kept || fate == Mixed && r.IntN(2) == 0 {
			l.apply(platter)
		}
	}
	c := New(0)
	c.size, c.remote, c.rand = d.size, d.remote, d.rand
	for _, name := range slices.Sorted(maps.Keys(platter)) {
		c.put(name, d.files[platter[name]].after(r, fate))
	}
	return c
}

// put makes or replaces a durable file.
func (d *Disk) put(name string, b []byte) {
	i := len(d.files)
	d.files[i], d.names[name], d.disk[name] = withData(b), i, i
}

// Evict makes the cache forget what it takes for clean, so that reads see what
// is on the platter: after a flush that failed, not what was written.
func (d *Disk) Evict() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.files {
		seen := slices.Clone(f.disk)
		for s, versions := range f.dirty {
			at := s * Sector
			seen = resized(seen, max(int64(len(seen)), at+Sector))
			copy(seen[at:], versions[len(versions)-1])
		}
		f.data = resized(seen, int64(len(f.data)))
	}
}

// withData returns a file that is b in the cache and on the platter.
func withData(b []byte) *inode {
	f := newInode()
	f.data, f.disk = b, slices.Clone(b)
	for at := int64(0); at*block < int64(len(b)); at++ {
		f.room[at] = true
	}
	return f
}

// Names returns the names in the directory, sorted.
func (d *Disk) Names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.names))
}

// Bytes returns what a reader of a file sees, nil where there is none.
func (d *Disk) Bytes(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, ok := d.names[name]; ok {
		return append([]byte{}, d.files[i].data...)
	}
	return nil
}

// Put makes or replaces a durable file, without an operation.
func (d *Disk) Put(name string, b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(name, slices.Clone(b))
}

// Delete removes a file durably, without an operation.
func (d *Disk) Delete(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.names, name)
	delete(d.disk, name)
}
