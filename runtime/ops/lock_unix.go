//go:build unix && !solaris && !illumos && !aix

package ops

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// permissions says that the mode of a file means something.
const permissions = true

// owner returns the user whom a file belongs to.
func owner(info fs.FileInfo) (uid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// lockPath locks a file that it makes, until unlock removes it or the process
// ends. The lock decides who may replace a socket: between a look whether
// somebody listens and the replacing there would be room for a second process.
func lockPath(path string) (unlock func() error, err error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case errors.Is(err, syscall.EWOULDBLOCK):
			return nil, errors.Join(fmt.Errorf("%s: %w: a process has locked it", path, resilience.ErrBusy), f.Close())
		case err != nil:
			return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
		}
		if sameFile(f, path) {
			return func() error { return errors.Join(os.Remove(path), f.Close()) }, nil
		}
		_ = f.Close() // its owner removed it meanwhile
	}
}

// sameFile reports whether f is what is at path.
func sameFile(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(mine, there)
}
