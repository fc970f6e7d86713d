//go:build unix

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDLQVanishedDirectory takes the files of a running service away: its verbs end
// with an error or an answer, and the directory is not made again to be read.
func TestDLQVanishedDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := startServiceIn(t, dir)
	id := s.tell("keep c-1")
	require.NoError(t, os.RemoveAll(dir))
	code, out, errs := s.dlq("ls")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, id)
	for _, args := range [][]string{{"show", id}, {"verify"}, {"patterns"}, {"plan"}, {"discard", id}} {
		code, out, errs := s.dlq(args...)
		require.Contains(t, []int{0, exitFindings, exitUnavailable}, code, "%q: %s", args, errs)
		require.NotContains(t, errs, "panic")
		printable(t, out+errs)
	}
	code, _, errs = inStore(t, dir, "ls")
	require.Equal(t, exitNotFound, code, errs)
	require.NoDirExists(t, dir)
}

// TestDLQReadOnlyDirectory has a user who may only read look at a store: reading
// works, what changes something says why it does not.
func TestDLQReadOnlyDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root becomes another user")
	}
	const nobody = 65534
	home, err := os.MkdirTemp("", "dlq")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(home)) })
	require.NoError(t, os.Chmod(home, 0o755))
	binary := filepath.Join(home, "resilgen")
	text, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(binary, text, 0o755))
	dir := filepath.Join(home, "store")
	s := startServiceIn(t, dir)
	id := s.tell("keep c-1")
	require.NoError(t, s.cmd.Process.Kill())
	_ = s.cmd.Wait()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		require.NoError(t, os.Chown(path, nobody, nobody))
		mode := fs.FileMode(0o400)
		if d.IsDir() {
			mode = 0o500
		}
		return os.Chmod(path, mode)
	}))
	as := func(args ...string) (int, string) {
		cmd := exec.Command(binary, append([]string{"dlq", args[0], "--dir", dir}, args[1:]...)...)
		cmd.Dir, cmd.Env = "/", []string{asTool + "=1"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	code, out := as("show", id)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, id)
	code, out = as("discard", id)
	require.NotEqual(t, 0, code, out)
	require.Contains(t, out, "permission denied")
	require.Less(t, strings.Count(out, "\n"), 5)
}
