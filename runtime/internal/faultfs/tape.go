package faultfs

import (
	"iter"
	"math/rand/v2"
)

// Tape is what was done to a disk, in order.
type Tape struct {
	start *Disk
	steps []step
}

// step is a change as it came about, after any fault.
type step struct {
	kind   Kind
	file   int
	data   []byte
	off    int64
	link   link
	failed bool // of a flush
}

// Record makes d keep a tape from now on.
func (d *Disk) Record() *Tape {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tape = &Tape{start: d.clone()}
	return d.tape
}

// Place returns how long the tape of d is. What is known now has happened before
// that place.
func (d *Disk) Place() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.tape.steps)
}

// Play yields the disk as it was at every place of the tape in turn, from the
// beginning to the end. It must not be used, but by Kill, Cut, Names and Bytes.
// The disk that is recorded must be at rest.
func (t *Tape) Play() iter.Seq2[int, *Disk] {
	return func(yield func(int, *Disk) bool) {
		d := t.start.Kill()
		for i, s := range t.steps {
			if !yield(i, d) {
				return
			}
			d.do(s)
		}
		yield(len(t.steps), d)
	}
}

// do makes a change and puts it on the tape.
func (d *Disk) do(s step) {
	if d.tape != nil {
		d.tape.steps = append(d.tape.steps, s)
	}
	f := d.files[s.file]
	switch s.kind {
	case Write:
		f.write(s.data, s.off)
	case Sync:
		f.flush(d.fails(s.failed))
	case SyncDir:
		d.flushDir(d.fails(s.failed))
	case Create, Rename, Remove:
		if s.kind == Create {
			d.files[s.file] = newInode()
		}
		s.link.apply(d.names)
		d.links = append(d.links, s.link)
	}
}

func (d *Disk) fails(failed bool) *rand.Rand {
	if !failed {
		return nil
	}
	return rand.New(&d.rand)
}

// flushDir makes every change of the directory durable. Where it fails, any of
// them are, and another flush may succeed with the rest: a file system keeps its
// own records better than what it keeps for others, or stops altogether.
func (d *Disk) flushDir(failed *rand.Rand) {
	for _, l := range d.links {
		if failed == nil || failed.IntN(2) == 0 {
			l.apply(d.disk)
		}
	}
	if failed == nil {
		d.links = nil
	}
}
