package ops

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// maxConns is how many clients are served at a time; others wait to be accepted.
const maxConns = 64

// socket is a listener that only the user of this process, and root, get through.
type socket struct {
	*net.UnixListener
	path    string
	made    fs.FileInfo // what is at path, as long as nobody put something else there
	unlock  func() error
	slots   chan struct{} // one for each connection
	done    chan struct{}
	closing sync.Once
	refused atomic.Int64 // connections of other users
}

// listenUnix makes a socket of mode 0600 at path. It is bound in a directory that
// nobody else can enter and moved to its place when it is ready, so that there is
// no moment in which others may connect. What a dead process left is replaced;
// ErrBusy says that one that lives serves the path.
func listenUnix(path string) (*socket, error) {
	dir := filepath.Dir(path)
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	unlock, err := lockPath(path + ".lock")
	if err != nil {
		return nil, err
	}
	s := &socket{path: path, unlock: unlock, slots: make(chan struct{}, maxConns), done: make(chan struct{})}
	err = checkPlace(path)
	if err == nil {
		err = s.bind(dir)
	}
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	return s, nil
}

// checkDir makes the directory if its parent is there, and refuses one in which
// others could put a socket of their own in the place of ours.
func checkDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: not a directory", dir)
	}
	if uid, ok := owner(info); ok && !trusted(uid) {
		return fmt.Errorf("%s: belongs to user %d, who could replace the socket", dir, uid)
	}
	if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 && permissions {
		return fmt.Errorf("%s: others may write in it and could replace the socket; chmod go-w helps", dir)
	}
	return nil
}

// checkPlace returns nil if nothing is at path, or a socket of ours that nobody
// listens on.
func checkPlace(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s: is no socket and stays as it is", path)
	}
	if uid, ok := owner(info); ok && !trusted(uid) {
		return fmt.Errorf("%s: belongs to user %d and stays as it is", path, uid)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("%s: %w: a process listens there", path, resilience.ErrBusy)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s: cannot tell whether a process listens there: %w", path, err)
	}
	return nil
}

// bind makes the socket in a directory of its own and moves it to its path.
func (s *socket) bind(dir string) error {
	private, err := os.MkdirTemp(dir, ".s")
	if err != nil {
		return err
	}
	defer os.RemoveAll(private)
	name := filepath.Join(private, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	listener.SetUnlinkOnClose(false)
	if err = os.Chmod(name, 0o600); err == nil {
		s.made, err = os.Lstat(name)
	}
	if err == nil {
		err = os.Rename(name, s.path)
	}
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.UnixListener = listener
	return nil
}

// Accept waits for a client of the user of this process, or of root.
func (s *socket) Accept() (net.Conn, error) {
	select {
	case s.slots <- struct{}{}:
	case <-s.done:
		return nil, net.ErrClosed
	}
	for {
		conn, err := s.AcceptUnix()
		if err != nil {
			<-s.slots
			return nil, err
		}
		uid, err := peer(conn)
		if err == nil && (uid < 0 || trusted(uid)) {
			return &client{Conn: conn, uid: uid, leave: sync.OnceFunc(func() { <-s.slots })}, nil
		}
		s.refused.Add(1)
		_ = conn.Close()
	}
}

// Close ends the listening and removes the socket, unless something else is in
// its place by now.
func (s *socket) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.done)
		err = s.UnixListener.Close()
		if now, there := os.Lstat(s.path); there == nil && os.SameFile(now, s.made) {
			err = errors.Join(err, os.Remove(s.path))
		}
		err = errors.Join(err, s.unlock())
	})
	return err
}

// client is a connection that knows whose it is.
type client struct {
	net.Conn
	uid   int // -1: the system does not tell
	leave func()
}

// Close gives the place to the next one.
func (c *client) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// trusted reports whether a user may do what this process may.
func trusted(uid int) bool { return uid == os.Geteuid() || uid == 0 }
