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
	require.Contains(t, onTerminal(t, dir, "TERM=xterm"), "\x1b[1mresilience.yaml:2:36\x1b[0m: checkpoint")
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		text := onTerminal(t, dir, env)
		require.Contains(t, text, "resilience.yaml:2:36: checkpoint")
		require.NotContains(t, text, "\x1b")
	}
	_, out, errs := tool(t, dir, "generate")
	require.NotContains(t, out+errs, "\x1b")
}

// onTerminal returns what resilgen generate prints on a terminal.
func onTerminal(t *testing.T, dir, env string) string {
	_, text := terminalRun(t, dir, []string{"NO_COLOR=", env}, "", "generate")
	return text
}

// terminalRun runs the tool on a terminal, where somebody types input.
func terminalRun(t *testing.T, dir string, env []string, input string, args ...string) (code int, text string) {
	t.Helper()
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
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir, cmd.Env = dir, append(append(os.Environ(), asTool+"=1"), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	require.NoError(t, cmd.Start())
	slave.Close()
	if input != "" {
		_, err = master.WriteString(input)
		require.NoError(t, err)
	}
	var out strings.Builder
	_, _ = io.Copy(&out, master) // ends with EIO when the other side is closed
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), out.String()
}

// TestDLQColours: a terminal has them unless somebody does not want them, a pipe
// where somebody does.
func TestDLQColours(t *testing.T) {
	s := startService(t)
	s.tell("keep c-1")
	const coloured = "\x1b[1mID "
	for _, c := range []struct {
		env  []string
		args []string
		want bool
	}{
		{[]string{"TERM=xterm"}, nil, true},
		{[]string{"TERM=dumb"}, nil, false},
		{[]string{"TERM=xterm", "NO_COLOR=1"}, nil, false},
		{[]string{"TERM=xterm"}, []string{"--color=never"}, false},
		{[]string{"TERM=xterm", "NO_COLOR=1"}, []string{"--color=always"}, true},
	} {
		_, text := terminalRun(t, t.TempDir(), append([]string{"NO_COLOR="}, c.env...), "", append([]string{"dlq", "ls", "--addr", s.addr}, c.args...)...)
		require.Equal(t, c.want, strings.Contains(text, coloured), "%v %v: %q", c.env, c.args, text)
		require.Contains(t, text, "notices")
	}
	_, out, _ := s.dlq("ls")
	require.NotContains(t, out, "\x1b")
	_, out, _ = s.dlq("ls", "--color", "always")
	require.Contains(t, out, coloured)
	t.Setenv("CLICOLOR_FORCE", "1")
	_, out, _ = s.dlq("ls")
	require.Contains(t, out, coloured)
	t.Setenv("NO_COLOR", "1")
	_, out, _ = s.dlq("ls")
	require.NotContains(t, out, "\x1b")
}

// TestDLQConfirms: at a terminal the question is asked there.
func TestDLQConfirms(t *testing.T) {
	s := startService(t)
	id := s.tell("keep c-1")
	args := []string{"dlq", "discard", "--addr", s.addr, "--filter", "queue:notices"}
	code, text := terminalRun(t, t.TempDir(), nil, "n\n", args...)
	require.Equal(t, exitRefused, code, text)
	require.Contains(t, text, "discard 1 letter? [y/N]")
	require.Contains(t, text, "nothing was done")
	code, text = terminalRun(t, t.TempDir(), nil, "y\n", args...)
	require.Equal(t, 0, code, text)
	require.Contains(t, text, id+"  discarded")
}
