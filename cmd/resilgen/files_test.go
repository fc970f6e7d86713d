//go:build unix

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/generator"
)

// plain is a package whose loading compiles nothing.
const plain = "package shop\n\ntype Gateway interface{ Charge() error }\n"

const none = "version: 1\ninterfaces: {Gateway: none}\n"

// TestInterrupt sends a real SIGINT in the middle of a run over several
// packages: every file stays as it was, and nothing else is left.
func TestInterrupt(t *testing.T) {
	files := map[string]string{}
	for _, name := range []string{"a", "b", "c", "d"} {
		files[name+"/shop.go"] = plain
		files[name+"/resilience.yaml"] = none
	}
	dir := module(t, files)
	code, _, errs := tool(t, dir, "generate", "./...")
	require.Equal(t, 0, code, errs)
	before := snapshot(t, dir)
	for _, name := range []string{"a", "b", "c", "d"} { // each warns, and would change its file
		text := "version: 1\npolicies: {unused: {bulkhead: true}}\ninterfaces: {Gateway: {bulkhead: {maxConcurrent: 7}}}\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "resilience.yaml"), []byte(text), 0o644))
		before[name+"/resilience.yaml"] = text
	}
	cmd := exec.Command(os.Args[0], "generate", "./...")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), asTool+"=interrupted")
	out, _ := cmd.CombinedOutput()
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), string(out))
	require.True(t, strings.HasSuffix(string(out), "resilgen: interrupted; every file is as it was\n"), string(out))
	require.Equal(t, before, snapshot(t, dir))
}

func snapshot(t *testing.T, dir string) map[string]string {
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = string(data)
		return err
	}))
	return files
}

// TestAllOrNothing: the second file cannot be written, so the first is not.
func TestAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.go")
	require.NoError(t, os.WriteFile(good, []byte("old"), 0o600))
	err := writeAll(context.Background(), []generator.File{{Path: good, Content: []byte("new")},
		{Path: filepath.Join(dir, "nowhere", "x.go"), Content: []byte("new")}})
	require.ErrorContains(t, err, "x.go cannot be written")
	require.Equal(t, map[string]string{"good.go": "old"}, snapshot(t, dir))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, writeAll(ctx, []generator.File{{Path: good, Content: []byte("new")}}), context.Canceled)
	require.Equal(t, map[string]string{"good.go": "old"}, snapshot(t, dir))
	require.NoError(t, writeAll(context.Background(), []generator.File{{Path: good, Content: []byte("new")}}))
	require.Equal(t, map[string]string{"good.go": "new"}, snapshot(t, dir))
	info, err := os.Stat(good)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "the mode stays")
}

// TestCheckedOutWithCRLF: as git does where core.autocrlf is set.
func TestCheckedOutWithCRLF(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": plain, "resilience.yaml": none})
	code, _, errs := tool(t, dir, "generate")
	require.Equal(t, 0, code, errs)
	for name, text := range snapshot(t, dir) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "\n", "\r\n")), 0o644))
	}
	before := snapshot(t, dir)
	for _, verb := range []string{"check", "generate"} {
		code, out, errs := tool(t, dir, verb)
		require.Equal(t, 0, code, out+errs)
		require.Equal(t, before, snapshot(t, dir))
	}
}

func TestReadOnlyFile(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": plain, "resilience.yaml": none})
	code, _, errs := tool(t, dir, "generate")
	require.Equal(t, 0, code, errs)
	out := filepath.Join(dir, "resilience_gen.go")
	require.NoError(t, os.Chmod(out, 0o444))
	code, _, errs = tool(t, dir, "generate")
	require.Equal(t, 0, code, "what would not change need not be writable: %s", errs)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "resilience.yaml"), []byte("version: 1\ninterfaces: {Gateway: {bulkhead: true}}\n"), 0o644))
	before := snapshot(t, dir)
	code, _, errs = tool(t, dir, "generate")
	require.Equal(t, 1, code)
	require.Equal(t, "resilgen: resilience_gen.go is read-only, and resilgen would change it: make it writable and run again\n", errs)
	require.Equal(t, before, snapshot(t, dir))
}

func TestUnwritableDirectory(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": plain, "resilience.yaml": none})
	require.NoError(t, os.Chmod(dir, 0o555))
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	code, errs := asNobody(t, dir, "generate")
	require.Equal(t, exitFindings, code, errs)
	require.Contains(t, errs, "resilgen: resilience_gen.go cannot be written: make the directory . writable and run again")
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Remove(filepath.Join(dir, "resilience.yaml")))
	require.NoError(t, os.Chmod(dir, 0o555))
	code, errs = asNobody(t, dir, "init")
	require.Equal(t, exitFindings, code, errs)
	require.Contains(t, errs, "resilgen: resilience.yaml cannot be written: make this directory writable and run again")
}

func TestUnreadablePolicies(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": plain, "resilience.yaml": none})
	require.NoError(t, os.Chmod(filepath.Join(dir, "resilience.yaml"), 0))
	code, errs := asNobody(t, dir, "check")
	require.Equal(t, exitFindings, code, errs)
	require.Contains(t, errs, "resilgen: resilience.yaml cannot be read: make it readable and run again")
}

// asNobody runs the tool in dir as a user whom modes concern.
func asNobody(t *testing.T, dir, verb string) (code int, stderr string) {
	t.Helper()
	for up := filepath.Dir(dir); strings.HasPrefix(up, os.TempDir()+"/"); up = filepath.Dir(up) {
		require.NoError(t, os.Chmod(up, 0o755))
	}
	cache := t.TempDir()
	require.NoError(t, os.Chmod(cache, 0o777))
	bin := filepath.Join(filepath.Dir(dir), "resilgen")
	text, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(bin, text, 0o755))
	cmd := exec.Command(bin, verb)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), asTool+"=1", "GOCACHE="+cache, "HOME="+cache)
	if os.Geteuid() == 0 { // nobody
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	if _, isExit := err.(*exec.ExitError); err != nil && !isExit {
		t.Skipf("cannot run as another user: %v", err)
	}
	if os.Geteuid() != 0 && cmd.ProcessState.Success() {
		t.Skip("modes do not bite here")
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestNoToolchain(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": none})
	cmd := exec.Command(os.Args[0], "generate")
	cmd.Dir, cmd.Env = dir, []string{asTool + "=1", "PATH=" + t.TempDir(), "HOME=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, exitFindings, cmd.ProcessState.ExitCode())
	require.Contains(t, string(out), "is Go installed?")
}
