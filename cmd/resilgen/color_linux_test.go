package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestColorOnTerminalsOnly runs the tool on a terminal of its own.
func TestColorOnTerminalsOnly(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": plain, "resilience.yaml": "version: 1\ninterfaces: {Gateway: {checkpoint: {}}}\n"})
	require.Contains(t, onTerminal(t, dir, "TERM=xterm"), "\x1b[1mresilience.yaml:2:24\x1b[0m: checkpoint")
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		text := onTerminal(t, dir, env)
		require.Contains(t, text, "resilience.yaml:2:24: checkpoint")
		require.NotContains(t, text, "\x1b")
	}
	_, out, errs := tool(t, dir, "generate")
	require.NotContains(t, out+errs, "\x1b")
}

// onTerminal returns what resilgen generate prints on a terminal.
func onTerminal(t *testing.T, dir, env string) string {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	defer master.Close()
	var number, unlock int32
	for call, arg := range map[uintptr]*int32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &unlock} {
		if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), call, uintptr(unsafe.Pointer(arg))); e != 0 {
			t.Skipf("no terminals here: %v", e)
		}
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	cmd := exec.Command(os.Args[0], "generate")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), asTool+"=1", "NO_COLOR=", env)
	cmd.Stdout, cmd.Stderr = slave, slave
	require.NoError(t, cmd.Start())
	slave.Close()
	var text strings.Builder
	_, _ = io.Copy(&text, master) // ends with EIO when the other side is closed
	_ = cmd.Wait()
	return text.String()
}
