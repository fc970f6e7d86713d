package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// OS returns the directory at path, which is made with mode 0700 if it is not
// there, durably. What happens later happens to that directory, also when it is
// moved.
func OS(path string) (FS, error) {
	if err := makeDir(path); err != nil {
		return nil, err
	}
	return openOS(path)
}

// makeDir makes a directory and those above it. A file is as durable as the name
// of the directory that holds it, so whatever got a new name is flushed.
func makeDir(path string) error {
	_, err := os.Stat(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	above := filepath.Dir(filepath.Clean(path))
	if err := makeDir(above); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	dir, err := os.Open(above)
	if err != nil {
		return err
	}
	return errors.Join(syncDir(dir), dir.Close())
}

// ExistingOS is [OS] for who only reads: it makes nothing.
func ExistingOS(path string) (FS, error) { return openOS(path) }

func openOS(path string) (FS, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	dir, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &osDir{path, root, dir}, nil
}

type osDir struct {
	path string
	root *os.Root
	dir  *os.File // of the same directory, to flush and to lock
}

func (d *osDir) Path() string { return d.path }

func (d *osDir) List() ([]string, error) {
	f, err := d.root.Open(".") // a directory's descriptor remembers how far it was read
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	return names, errors.Join(err, f.Close())
}

func (d *osDir) Open(name string, mode Mode) (File, error) {
	flag := [...]int{Read: os.O_RDONLY, ReadWrite: os.O_RDWR, Create: os.O_RDWR | os.O_CREATE | os.O_EXCL}[mode]
	var before os.FileInfo
	if mode != Create {
		var err error
		// A link or a pipe in the place of a file is somebody's trick or mistake; opening
		// a pipe would wait for ever.
		if before, err = d.root.Lstat(name); err != nil {
			return nil, err
		}
		if !before.Mode().IsRegular() {
			return nil, &fs.PathError{Op: "open", Path: d.path + "/" + name, Err: errors.New("is not a regular file")}
		}
	}
	f, err := d.root.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	if after, err := f.Stat(); err != nil || before != nil && !os.SameFile(before, after) {
		return nil, errors.Join(fmt.Errorf("open %s/%s: it was replaced meanwhile", d.path, name), err, f.Close())
	}
	return osFile{f, f.Fd()}, nil
}

func (d *osDir) Rename(from, to string) error { return d.root.Rename(from, to) }
func (d *osDir) Remove(name string) error     { return d.root.Remove(name) }

func (d *osDir) SyncDir() error {
	here, err := d.dir.Stat()
	if err != nil {
		return err
	}
	if there, err := os.Stat(d.path); err != nil || !os.SameFile(here, there) {
		return errors.Join(&fs.PathError{Op: "sync", Path: d.path, Err: errors.New("the directory was moved or replaced")}, err)
	}
	return syncDir(d.dir)
}

func (d *osDir) Close() error { return errors.Join(d.dir.Close(), d.root.Close()) }

// osFile keeps its descriptor, since asking for it costs a lock each time.
type osFile struct {
	*os.File
	fd uintptr
}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Sync() error {
	if err := syncData(f.File, f.fd); err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}
