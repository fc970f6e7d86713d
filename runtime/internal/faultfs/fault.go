package faultfs

import (
	"fmt"
	"syscall"
)

// Kind says what an operation does.
type Kind int

// Kinds of operations.
const (
	Open Kind = iota
	Create
	Read
	Write
	Sync
	Rename
	Remove
	SyncDir
	List
	Lock
)

func (k Kind) String() string {
	return [...]string{"open", "create", "read", "write", "sync", "rename", "remove", "sync directory", "list", "lock"}[k]
}

// Changes reports whether operations of this kind change what is on the disk, or
// make a change durable.
func (k Kind) Changes() bool {
	return k != Open && k != Read && k != List && k != Lock
}

// Op is one operation.
type Op struct {
	N         int // its place among those of the disk, from 0
	Kind      Kind
	Name      string
	Off, Size int64 // of a read or a write: where, and how many bytes
}

func (op Op) String() string {
	return fmt.Sprintf("%d: %v %s %d+%d", op.N, op.Kind, op.Name, op.Off, op.Size)
}

// Fault is how an operation fails. The zero value is none.
type Fault struct {
	Err  error // what it returns
	Part int64 // how many bytes of a write are done nevertheless
}

// Faults that disks have.
var (
	EIO    = Fault{Err: syscall.EIO}
	NoRoom = Fault{Err: syscall.ENOSPC}
)

// Short returns a write that fails after n bytes.
func Short(err error, n int64) Fault { return Fault{Err: err, Part: n} }

// Inject lets fail decide, from now on, over every operation. It is called one
// operation at a time and must not use d.
func (d *Disk) Inject(fail func(Op) Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inject = fail
}

// At fails the n-th operation with f, and, where ever is set, all later ones of
// its kind.
func At(n int, f Fault, ever bool) func(Op) Fault {
	kind := Kind(-1)
	return func(op Op) Fault {
		if op.N == n {
			kind = op.Kind
		}
		if op.N == n || ever && op.Kind == kind {
			return f
		}
		return Fault{}
	}
}

// Ops returns how many operations there were.
func (d *Disk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

// begin counts an operation and says how it fails.
func (d *Disk) begin(op Op) Fault {
	if d.frozen {
		return Fault{Err: ErrFrozen}
	}
	op.N = d.ops
	d.ops++
	if d.inject == nil {
		return Fault{}
	}
	return d.inject(op)
}
