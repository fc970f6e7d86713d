package journal

import (
	"os"
	"slices"
	"syscall"
)

// syncData flushes f past the cache of the disk: F_FULLFSYNC.
func syncData(f *os.File, _ uintptr) error { return f.Sync() }

// mntLocal is MNT_LOCAL of mount(2).
const mntLocal = 0x1000

func (d *osDir) Remote() (string, error) {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(d.dir.Fd()), &st); err != nil {
		return "", &os.PathError{Op: "statfs", Path: d.path, Err: err}
	}
	if st.Flags&mntLocal != 0 {
		return "", nil
	}
	var name []byte
	for _, c := range st.Fstypename[:max(0, slices.Index(st.Fstypename[:], 0))] {
		name = append(name, byte(c))
	}
	return string(name), nil
}
