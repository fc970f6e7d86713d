package journal

import (
	"os"
	"runtime"
	"syscall"
)

// syncData flushes the bytes of f and its size, not its times.
func syncData(f *os.File, fd uintptr) error {
	for {
		err := syscall.Fdatasync(int(fd))
		if err != syscall.EINTR {
			runtime.KeepAlive(f)
			return err
		}
	}
}

// remotes are the magic numbers of statfs(2) of file systems over a network.
var remotes = map[int64]string{
	0x6969: "nfs", 0x517b: "smb", 0xff534d42: "cifs", 0xfe534d42: "smb2", 0x01021997: "9p", 0x5346414f: "afs",
	0x6b414653: "afs", 0x00c36400: "ceph", 0x73757245: "coda", 0x0bd00bd0: "lustre", 0x7461636f: "ocfs2", 0x564c: "ncp",
}

func (d *osDir) Remote() (string, error) {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(d.dir.Fd()), &st); err != nil {
		return "", &os.PathError{Op: "statfs", Path: d.path, Err: err}
	}
	return remotes[int64(uint32(st.Type))], nil //nolint:unconvert // its type differs between architectures
}
