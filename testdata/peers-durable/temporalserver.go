package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// temporalServer is the command of the module temporalserver, once it is built.
var temporalServer string

// buildTemporal builds a server into dir. It says why there is none: the module is
// large, comes from the network the first time, and the working directory is to be
// that of this command.
func buildTemporal(dir string) error {
	path, err := filepath.Abs(filepath.Join(dir, "temporalserver"))
	if err != nil {
		return err
	}
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir, build.Env = "temporalserver", append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build in %s: %w\n%s", build.Dir, err, out)
	}
	temporalServer = path
	return nil
}

// startTemporal starts a server. It ends when its input does, with stop or with
// this process.
func startTemporal(args ...string) (addr string, stop func() error, err error) {
	cmd := exec.Command(temporalServer, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() error {
		_ = in.Close()
		return cmd.Wait()
	}
	if addr, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		_ = stop()
		return "", nil, fmt.Errorf("no address from %s: %w", filepath.Base(temporalServer), err)
	}
	return strings.TrimSpace(addr), stop, nil
}
