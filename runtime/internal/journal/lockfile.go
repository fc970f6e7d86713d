package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// lockName is the file that tells who has the lock of the directory. Whether it
// is there, and what it says, changes nothing.
const lockName = "LOCK"

// lockSize is how many bytes LOCK has, so that a shorter text covers a longer one.
const lockSize = 256

// ownership is the lock of a directory of which LOCK tells.
type ownership struct {
	io.Closer
	disk FS
}

// Close gives the directory back. LOCK is emptied first: the process may live on, and
// whoever reads the file must not take it for the owner then.
func (o ownership) Close() error {
	if f, err := o.disk.Open(lockName, ReadWrite); err == nil {
		say(f, "")
	}
	return o.Closer.Close()
}

// own takes the directory and says so in LOCK.
func own(disk FS) (io.Closer, error) {
	lock, err := disk.Lock()
	if errors.Is(err, ErrLocked) {
		return nil, owner(disk)
	}
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	text := fmt.Sprintf("%d %s %s", os.Getpid(), time.Now().UTC().Format(time.RFC3339), host)
	// Best effort: a full disk must not keep a journal from opening.
	if f, err := disk.Open(lockName, ReadWrite); err == nil {
		say(f, text)
	} else if f, err := disk.Open(lockName, Create); err == nil {
		say(f, text)
	}
	return ownership{lock, disk}, nil
}

func say(f File, text string) {
	_, _ = f.WriteAt(fmt.Appendf(nil, "%-*.*s\n", lockSize-1, lockSize-1, text), 0)
	_ = f.Close()
}

// owner reads who has the directory.
func owner(disk FS) error {
	e := &BusyError{Path: disk.Path()}
	f, err := disk.Open(lockName, Read)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return e
		}
		return errors.Join(e, err)
	}
	b := make([]byte, lockSize)
	n, _ := f.ReadAt(b, 0)
	if words := strings.Fields(string(b[:n])); len(words) == 3 {
		if pid, err := strconv.Atoi(words[0]); err == nil {
			e.PID, e.Host = pid, words[2]
			e.Since, _ = time.Parse(time.RFC3339, words[1])
		}
	}
	host, _ := os.Hostname()
	e.Orphan = e.PID > 0 && e.Host == host && !alive(e.PID)
	return errors.Join(e, f.Close())
}

// Owner returns who has the directory, as far as the file LOCK tells: nil if nobody
// has, or who had is a process of this machine that has ended. Of another machine
// nothing is known but that.
func Owner(disk FS) *BusyError {
	var e *BusyError
	if !errors.As(owner(disk), &e) || e.PID == 0 || e.Orphan {
		return nil
	}
	return e
}
