package journal

import (
	"errors"
	"io"
	"os"
	"syscall"
	"unsafe"
)

// syncData flushes f with FlushFileBuffers.
func syncData(f *os.File, _ uintptr) error { return f.Sync() }

// syncDir does nothing: NTFS logs names, and a directory cannot be flushed.
func syncDir(*os.File) error { return nil }

var lockFileEx = syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")

// Of LockFileEx: do not wait, and nobody else; and what it says then.
const (
	lockNow       = 1 | 2
	lockViolation = syscall.Errno(33)
	diskFull      = syscall.Errno(112)
)

// Lock takes a byte of LOCK far behind what is written there, which others may
// still read.
func (d *osDir) Lock() (io.Closer, error) {
	f, err := d.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	at := syscall.Overlapped{OffsetHigh: 1}
	ok, _, err := lockFileEx.Call(f.Fd(), lockNow, 0, 1, 0, uintptr(unsafe.Pointer(&at)))
	switch {
	case ok != 0:
		return f, nil
	case errors.Is(err, lockViolation):
		err = ErrLocked
	default:
		err = &os.PathError{Op: "LockFileEx", Path: d.path, Err: err}
	}
	return nil, errors.Join(err, f.Close())
}

// Remote knows nothing here.
func (d *osDir) Remote() (string, error) { return "", nil }

// alive reports whether there is a process with this number.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Release()
	}
	return err == nil
}

// isFull reports whether err says that there is no room.
func isFull(err error) bool { return errors.Is(err, diskFull) || errors.Is(err, syscall.ENOSPC) }
