package ops

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// The test binary is a service at the address in this variable, until its standard
// input ends, or a client that prints what it is answered.
const (
	asService = "RESILGEN_TEST_AS_SERVICE"
	asClient  = "RESILGEN_TEST_AS_CLIENT"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(asService) != "":
		os.Exit(serve(os.Getenv(asService)))
	case os.Getenv(asClient) != "":
		os.Exit(ask1(os.Getenv(asClient)))
	}
	os.Exit(m.Run())
}

func serve(address string) int {
	s, err := Listen(nil, address)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("listening")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := s.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func ask1(address string) int {
	c, err := Dial(address)
	if err == nil {
		_, err = c.Index(context.Background())
	}
	fmt.Println(err)
	return 0
}

// service starts a process that listens at an address.
func service(t *testing.T, address string) (cmd *exec.Cmd, stop io.Closer) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asService+"="+address)
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	if line != "listening\n" {
		t.Fatalf("service said %q", line)
	}
	return cmd, stdin
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// private returns a directory for sockets, whose name is short.
func private(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ops")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

func TestSocketIsPrivate(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0)) // nothing is left to the mask
	dir := filepath.Join(private(t), "run")
	s, err := Listen(nil, "unix://"+dir+"/x.sock")
	must(t, err)
	for path, want := range map[string]fs.FileMode{"": 0o700, "x.sock": 0o600, "x.sock.lock": 0o600} {
		info, err := os.Lstat(filepath.Join(dir, path))
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s/%s has mode %v, want %v", dir, path, info.Mode(), want)
		}
	}
	c, err := Dial(s.Addr())
	must(t, err)
	got, err := c.Index(t.Context())
	must(t, err)
	if got.PID != os.Getpid() || got.API != 1 {
		t.Errorf("index = %+v", got)
	}
	must(t, s.Close())
	must(t, s.Close())
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) != 0 {
		t.Errorf("Close leaves %v", left)
	}
	if _, err := c.Index(t.Context()); !errors.Is(err, resilience.ErrUnavailable) {
		t.Errorf("without a service: %v", err)
	}
}

// TestSocketIsNeverOpenToOthers watches the directory while sockets are made with
// an open mask.
func TestSocketIsNeverOpenToOthers(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := private(t)
	path := filepath.Join(dir, "x.sock")
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if info, err := os.Lstat(path); err == nil && info.Mode().Perm() != 0o600 {
				t.Errorf("socket seen with mode %v", info.Mode())
				return
			}
		}
	})
	for range 200 {
		s, err := Listen(nil, "unix:"+path)
		must(t, err)
		must(t, s.Close())
	}
	close(done)
	watch.Wait()
}

func TestSocketOfADeadProcessIsReplaced(t *testing.T) {
	path := filepath.Join(private(t), "x.sock")
	cmd, _ := service(t, "unix:"+path)
	_, err := Listen(nil, "unix:"+path)
	if !errors.Is(err, resilience.ErrBusy) {
		t.Fatalf("beside a living service: %v", err)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal("a killed process leaves its socket: ", err)
	}
	s, err := Listen(nil, "unix:"+path)
	must(t, err)
	must(t, s.Close())
}

func TestForeignListenerIsLeftAlone(t *testing.T) {
	path := filepath.Join(private(t), "x.sock")
	l, err := net.Listen("unix", path)
	must(t, err)
	defer l.Close()
	if _, err := Listen(nil, "unix:"+path); !errors.Is(err, resilience.ErrBusy) {
		t.Errorf("beside a listener that has no lock: %v", err)
	}
	if _, err := net.Dial("unix", path); err != nil {
		t.Errorf("the listener was harmed: %v", err)
	}
}

// TestOneOfManyListens has goroutines fight for the place of a dead
// one.
func TestOneOfManyListens(t *testing.T) {
	path := filepath.Join(private(t), "x.sock")
	for range 30 {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		must(t, err)
		l.SetUnlinkOnClose(false)
		must(t, l.Close())
		var made, busy int
		var servers []*Server
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				s, err := Listen(nil, "unix:"+path)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					made++
					servers = append(servers, s)
				case errors.Is(err, resilience.ErrBusy):
					busy++
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if made != 1 || busy != 7 {
			t.Fatalf("%d listen, %d are refused", made, busy)
		}
		must(t, servers[0].Close())
	}
}

func TestPlacesThatAreRefused(t *testing.T) {
	dir := private(t)
	target := filepath.Join(dir, "target")
	must(t, os.WriteFile(target, []byte("precious"), 0o600))
	must(t, os.Symlink(target, filepath.Join(dir, "link.sock")))
	must(t, os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "dangling.sock")))
	must(t, os.Symlink(target, filepath.Join(dir, "lock.sock.lock")))
	must(t, os.WriteFile(filepath.Join(dir, "file.sock"), []byte("precious"), 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "open"), 0o700))
	must(t, os.Chmod(filepath.Join(dir, "open"), 0o777))
	for address, want := range map[string]string{
		"":                                  "want unix:/path",
		"/run/x.sock":                       "want unix:/path",
		"tcp:127.0.0.1:80":                  "want unix:/path",
		"http://127.0.0.1:80":               "want unix:/path",
		"unix:":                             "names no file",
		"unix:///":                          "names no file",
		"unix:" + dir + "/":                 "names no file",
		"unix:a\x00b":                       "names no file",
		"unix:/" + strings.Repeat("n", 1e4): "a path of 10001 bytes",
		"unix:" + dir + "/link.sock":        "is no socket and stays as it is",
		"unix:" + dir + "/dangling.sock":    "is no socket and stays as it is",
		"unix:" + dir + "/file.sock":        "is no socket and stays as it is",
		"unix:" + dir + "/lock.sock":        "too many levels of symbolic links",
		"unix:" + dir + "/open/x.sock":      "others may write in it",
		"unix:" + dir + "/no/such/x.sock":   "no such file or directory",
		"unix:" + target + "/x.sock":        "not a directory",
	} {
		s, err := Listen(nil, address)
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 600 {
			t.Errorf("Listen(%.60q) = %v, want %q", address, err, want)
		}
	}
	for _, name := range []string{"target", "file.sock"} {
		if text, _ := os.ReadFile(filepath.Join(dir, name)); string(text) != "precious" {
			t.Errorf("%s holds %q", name, text)
		}
	}
	for _, pattern := range []string{".s*", "*.lock"} {
		if left, _ := filepath.Glob(filepath.Join(dir, pattern)); len(left) > 0 && left[0] != filepath.Join(dir, "lock.sock.lock") {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestAbstractNamesAreFiles(t *testing.T) {
	t.Chdir(private(t))
	s, err := Listen(nil, "unix:@x.sock")
	must(t, err)
	defer s.Close()
	if info, err := os.Lstat("@x.sock"); err != nil || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("no file: %v", err)
	}
}

// TestOtherUsers opens the doors that file modes close, and has another user
// knock.
func TestOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root becomes another user")
	}
	const nobody = 65534
	dir := private(t)
	must(t, os.Chmod(dir, 0o755))
	s, err := Listen(nil, "unix:"+dir+"/x.sock")
	must(t, err)
	defer s.Close()
	knock := func() string {
		binary := filepath.Join(dir, "client")
		if _, err := os.Stat(binary); err != nil {
			text, err := os.ReadFile(os.Args[0])
			must(t, err)
			must(t, os.WriteFile(binary, text, 0o755))
		}
		cmd := exec.Command(binary)
		cmd.Dir = "/"
		cmd.Env = []string{asClient + "=" + s.Addr()}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, err := cmd.CombinedOutput()
		must(t, err)
		return string(out)
	}
	if got := knock(); !strings.Contains(got, "permission denied") {
		t.Errorf("another user is told %q", got)
	}
	must(t, os.Chmod(dir+"/x.sock", 0o666))
	if got := knock(); !strings.Contains(got, "store unavailable") || s.Refused() == 0 {
		t.Errorf("another user gets through the door: %q, %d refused", got, s.Refused())
	}
	theirs := filepath.Join(dir, "theirs.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: theirs, Net: "unix"})
	must(t, err)
	l.SetUnlinkOnClose(false)
	must(t, l.Close())
	must(t, os.Chown(theirs, nobody, nobody))
	if _, err := Listen(nil, "unix:"+theirs); err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
		t.Errorf("the socket of another user: %v", err)
	}
	must(t, os.Mkdir(dir+"/home", 0o700))
	must(t, os.Chown(dir+"/home", nobody, nobody))
	if _, err := Listen(nil, "unix:"+dir+"/home/x.sock"); err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
		t.Errorf("the directory of another user: %v", err)
	}
}

// slowClients connects clients that are about to send a header, to a server that gives
// them so much time.
func slowClients(t *testing.T, patience time.Duration) (s *Server, slow []net.Conn) {
	t.Helper()
	listener, err := listenUnix(private(t) + "/x.sock")
	must(t, err)
	s = newServer(listener, newAPI(nil))
	s.http.ReadHeaderTimeout = patience
	s.serve()
	t.Cleanup(func() { _ = s.Close() })
	for range maxConns - 1 {
		conn, err := net.Dial("unix", s.socket.path)
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = conn.Write([]byte("GET / HTT")) // unless it was cut off
		slow = append(slow, conn)
	}
	return s, slow
}

// TestSlowClients has clients begin a header and not end it: others are served
// meanwhile.
func TestSlowClients(t *testing.T) {
	s, _ := slowClients(t, time.Hour)
	c, err := Dial(s.Addr())
	must(t, err)
	defer c.Close()
	_, err = c.Index(t.Context())
	must(t, err)
}

// TestSlowClientsAreCutOff has them not end it in time.
func TestSlowClientsAreCutOff(t *testing.T) {
	_, slow := slowClients(t, 50*time.Millisecond)
	for _, conn := range slow {
		must(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
		if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) { // of other errors, it was cut off
			t.Fatalf("a slow client is not cut off: %v", err)
		}
	}
}

func TestCloseWaitsForRequests(t *testing.T) {
	listener, err := listenUnix(private(t) + "/x.sock")
	must(t, err)
	entered, leave := make(chan struct{}), make(chan struct{})
	s := newServer(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		writeJSON(w, Index{API: 7})
	}))
	s.serve()
	c, err := Dial(s.Addr())
	must(t, err)
	var got Index
	var asking, closing sync.WaitGroup
	asking.Go(func() { got, err = c.Index(t.Context()) })
	<-entered
	closing.Go(func() { _ = s.Close() })
	close(leave)
	asking.Wait()
	closing.Wait()
	if err != nil || got.API != 7 {
		t.Errorf("the request got %+v, %v", got, err)
	}
}
