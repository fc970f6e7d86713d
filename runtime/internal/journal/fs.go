package journal

import (
	"errors"
	"io"
)

// FS is one directory, and all that a journal does to a disk. [OS] is the real
// one. Names are without separators. Errors name operation and path, match
// fs.ErrNotExist and fs.ErrExist where that is what happened, and syscall.ENOSPC,
// EDQUOT or EFBIG where there is no room. It is safe for concurrent use.
type FS interface {
	// Path names the directory for messages.
	Path() string
	// List returns the names in the directory, in any order.
	List() ([]string, error)
	// Open opens a regular file, and refuses whatever else has the name.
	Open(name string, mode Mode) (File, error)
	// Rename gives a file another name; a file that had it is gone.
	Rename(from, to string) error
	// Remove takes a name away. Files that are open stay readable.
	Remove(name string) error
	// SyncDir makes what Open, Rename and Remove did to names durable. It fails where
	// Path no longer leads to the directory.
	SyncDir() error
	// Lock takes the directory for this process until the Closer is closed or the
	// process ends. [ErrLocked]: another one has it.
	Lock() (io.Closer, error)
	// Remote names the kind of file system where that is one over a network, and
	// returns "" where it is not known to be one.
	Remote() (string, error)
	// Close gives the directory back. Files and locks stay open.
	Close() error
}

// File is an open file of an [FS]. Writes to one file never overlap. Reads come at
// any time, and so does Sync, which covers what was written before it began.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Size returns how many bytes the file has.
	Size() (int64, error)
	// Sync makes the bytes that were written durable, and what of the metadata is
	// needed to read them. After an error nothing is known of them, nor can another
	// Sync of this File tell.
	Sync() error
	io.Closer
}

// Mode says what a file is opened for.
type Mode int

// Modes of [FS.Open].
const (
	Read      Mode = iota // the file exists
	ReadWrite             // the file exists
	Create                // the file does not exist yet; for reading and writing
)

// ErrLocked says that another process has the lock of a directory.
var ErrLocked = errors.New("directory is locked by another process")
