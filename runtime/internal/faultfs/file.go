package faultfs

import (
	"io"
	"io/fs"
	"maps"
	"slices"
	"syscall"

	"github.com/resilgen/resilgen/runtime/internal/journal"
)

var _ journal.FS = (*Disk)(nil)

// file is an open file of a [Disk].
type file struct {
	d    *Disk
	i    int
	name string
}

func failed(op Op, err error) error {
	return &fs.PathError{Op: op.Kind.String(), Path: op.Name, Err: err}
}

// run does an operation that is done whole or not at all.
func (d *Disk) run(op Op, do func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.begin(op).Err
	if err == nil {
		err = do()
	}
	if err != nil {
		return failed(op, err)
	}
	return nil
}

// sync flushes; a flush that fails may have done something, and has an effect.
func (d *Disk) sync(op Op, i int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.begin(op).Err
	if err != ErrFrozen {
		d.do(step{kind: op.Kind, file: i, failed: err != nil})
	}
	if err != nil {
		return failed(op, err)
	}
	return nil
}

// Path implements [journal.FS].
func (d *Disk) Path() string { return "faultfs" }

// Close implements [journal.FS].
func (d *Disk) Close() error { return nil }

// Remote implements [journal.FS].
func (d *Disk) Remote() (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.remote, nil
}

// List implements [journal.FS].
func (d *Disk) List() (names []string, err error) {
	err = d.run(Op{Kind: List}, func() error {
		names = slices.Sorted(maps.Keys(d.names))
		return nil
	})
	return names, err
}

// Open implements [journal.FS].
func (d *Disk) Open(name string, mode journal.Mode) (journal.File, error) {
	f := &file{d: d, name: name}
	op, do := Op{Kind: Open, Name: name}, f.find
	if mode == journal.Create {
		op.Kind, do = Create, f.create
	}
	if err := d.run(op, do); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *file) find() (err error) {
	var ok bool
	if f.i, ok = f.d.names[f.name]; !ok {
		err = fs.ErrNotExist
	}
	return err
}

func (f *file) create() error {
	if f.find() == nil {
		return fs.ErrExist
	}
	f.i = len(f.d.files)
	f.d.do(step{kind: Create, file: f.i, link: link{to: f.name, file: f.i}})
	return nil
}

// Rename implements [journal.FS].
func (d *Disk) Rename(from, to string) error {
	return d.run(Op{Kind: Rename, Name: from + " to " + to}, func() error {
		i, ok := d.names[from]
		if !ok {
			return fs.ErrNotExist
		}
		d.do(step{kind: Rename, link: link{from, to, i}})
		return nil
	})
}

// Remove implements [journal.FS].
func (d *Disk) Remove(name string) error {
	return d.run(Op{Kind: Remove, Name: name}, func() error {
		if _, ok := d.names[name]; !ok {
			return fs.ErrNotExist
		}
		d.do(step{kind: Remove, link: link{from: name}})
		return nil
	})
}

// SyncDir implements [journal.FS].
func (d *Disk) SyncDir() error { return d.sync(Op{Kind: SyncDir}, -1) }

// lock is the lock of the directory.
type lock struct{ d *Disk }

// Lock implements [journal.FS].
func (d *Disk) Lock() (io.Closer, error) {
	l := &lock{d}
	err := d.run(Op{Kind: Lock}, func() error {
		if d.lock != nil {
			return journal.ErrLocked
		}
		d.lock = l
		return nil
	})
	return l, err
}

// Close gives the lock back. It cannot fail, as the end of a process cannot.
func (l *lock) Close() error {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	if l.d.lock == l {
		l.d.lock = nil
	}
	return nil
}

// ReadAt implements [journal.File].
func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
	op := Op{Kind: Read, Name: f.name, Off: off, Size: int64(len(p))}
	err = f.d.run(op, func() error {
		if b := f.d.files[f.i].data; off < int64(len(b)) {
			n = copy(p, b[off:])
		}
		return nil
	})
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// WriteAt implements [journal.File].
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	d := f.d
	d.mu.Lock()
	defer d.mu.Unlock()
	op := Op{Kind: Write, Name: f.name, Off: off, Size: int64(len(p))}
	fault, part := d.begin(op), int64(len(p))
	if fault.Err != nil {
		part = min(part, fault.Part)
	}
	for part > 0 && !d.fits(d.files[f.i], off, part) {
		fault.Err = syscall.ENOSPC
		part = max(0, (off+part-1)/block*block-off) // without the last block
	}
	if part > 0 {
		d.do(step{kind: Write, file: f.i, data: slices.Clone(p[:part]), off: off})
	}
	if fault.Err != nil {
		return int(part), failed(op, fault.Err)
	}
	return int(part), nil
}

// Sync implements [journal.File].
func (f *file) Sync() error { return f.d.sync(Op{Kind: Sync, Name: f.name}, f.i) }

// Size implements [journal.File].
func (f *file) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.d.files[f.i].data)), nil
}

// Close implements [journal.File]. It flushes nothing.
func (f *file) Close() error { return nil }
