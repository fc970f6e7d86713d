package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// startPostgres starts a server with its data under root, as shipped but for the
// port, and names it in BENCH_PG_URL. It says why there is none.
func startPostgres(root string) (stop func(), err error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp(root, "pg-")
	if err != nil {
		return nil, err
	}
	if data, err = filepath.Abs(data); err != nil {
		return nil, err
	}
	as, err := unprivileged(data)
	if err != nil {
		return nil, err
	}
	run := func(tool string, args ...string) error {
		cmd := exec.Command(filepath.Join(bin, tool), args...)
		cmd.Dir, cmd.SysProcAttr = data, as
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", tool, err, out)
		}
		return nil
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	db := filepath.Join(data, "db")
	if err := run("initdb", "-N", "-U", "postgres", "--auth=trust", "-D", db); err != nil {
		return nil, err
	}
	options := fmt.Sprintf("-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories=%s", port, data)
	if err := run("pg_ctl", "-D", db, "-o", options, "-l", filepath.Join(data, "log"), "-w", "start"); err != nil {
		return nil, err
	}
	if err := run("createdb", "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", "postgres", "bench"); err != nil {
		return nil, err
	}
	return func() {
		_ = run("pg_ctl", "-D", db, "-m", "fast", "-w", "stop")
		_ = os.RemoveAll(data)
	}, os.Setenv("BENCH_PG_URL", fmt.Sprintf("postgres://postgres@127.0.0.1:%d/bench?sslmode=disable", port))
}

// postgresBin is where the tools of the newest server are.
func postgresBin() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("no PostgreSQL server here")
	}
	return found[len(found)-1], nil
}

// unprivileged gives dir to somebody who is not root, since the server refuses to
// be.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(nobody.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(nobody.Gid)
	if err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, os.Chown(dir, uid, gid)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
