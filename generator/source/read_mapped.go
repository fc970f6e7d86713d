//go:build linux || darwin

package source

import (
	"os"
	"syscall"
)

// large is the size from which mapping a file is cheaper than copying it.
const large = 128 << 10

// read returns the content of a file, in the fewest system calls: os.ReadFile
// prepares for files that block. A large file that does not change is mapped,
// until close; most of them are generated code, of which little is looked at.
func (m *modules) read(path string, still bool) ([]byte, error) {
	fd, err := retried(func() (int, error) { return syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer syscall.Close(fd)
	var info syscall.Stat_t
	if err := syscall.Fstat(fd, &info); err != nil {
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if still && info.Size >= large {
		if data, err := syscall.Mmap(fd, 0, int(info.Size), syscall.PROT_READ, syscall.MAP_PRIVATE); err == nil {
			m.remember(data)
			return data, nil
		}
	}
	data := make([]byte, info.Size)
	for n := 0; n < len(data); {
		k, err := retried(func() (int, error) { return syscall.Read(fd, data[n:]) })
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		}
		if k == 0 { // it has become shorter
			return data[:n], nil
		}
		n += k
	}
	return data, nil
}

// retried calls do until no signal interrupts it.
func retried(do func() (int, error)) (int, error) {
	for {
		if n, err := do(); err != syscall.EINTR {
			return n, err
		}
	}
}

func (m *modules) remember(data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mapped = append(m.mapped, data)
}

// close gives back what read mapped.
func (m *modules) close() {
	for _, data := range m.mapped {
		_ = syscall.Munmap(data)
	}
	m.mapped = nil
}
