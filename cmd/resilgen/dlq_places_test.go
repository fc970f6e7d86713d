package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestDirectoriesThatAreNoStore: what would be shown as empty is another directory
// than was meant. A store to which nothing was written yet is one.
func TestDirectoriesThatAreNoStore(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
	fresh := filepath.Join(t.TempDir(), "store")
	store, err := resilience.OpenStore(fresh, resilience.StoreOptions{})
	require.NoError(t, err)
	require.NoError(t, store.Close())
	for _, verb := range [][]string{{"dlq", "ls", "--dir"}, {"dlq", "patterns", "--dir"}, {"dlq", "stats", "--dir"}, {"ckpt", "ls", "--dir"}, {"store", "stat"}, {"store", "verify"}} {
		code, out, errs := tool(t, t.TempDir(), append(verb, dir)...)
		require.Equal(t, exitNotFound, code, "%s: %s", verb, errs)
		require.Contains(t, errs, "is no store")
		require.Empty(t, out)
		if verb[1] == "verify" {
			continue // which finds no file to read
		}
		code, _, errs = tool(t, t.TempDir(), append(verb, fresh)...)
		require.Equal(t, 0, code, "%s: %s", verb, errs)
	}
}

// TestReadOnlyFileSystem: who may not write is told that the store is not there for it.
func TestReadOnlyFileSystem(t *testing.T) {
	require.Equal(t, exitUnavailable, codeOf(fmt.Errorf("store: %w", &fs.PathError{Op: "open", Path: "x", Err: syscall.EROFS})))
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("only root mounts")
	}
	dir := t.TempDir()
	store, err := resilience.OpenStore(dir, resilience.StoreOptions{})
	require.NoError(t, err)
	_, err = store.Stores().Log.Append(t.Context(), "k", 0, nil)
	require.NoError(t, err)
	require.NoError(t, store.Close())
	at := t.TempDir()
	if out, err := exec.Command("mount", "--bind", "-o", "ro", dir, at).CombinedOutput(); err != nil {
		t.Skipf("no mount here: %s", out)
	}
	defer func() { require.NoError(t, exec.Command("umount", at).Run()) }()
	if os.WriteFile(filepath.Join(at, "x"), nil, 0o600) == nil {
		t.Skip("the mount is not read-only")
	}
	code, _, errs := inStore(t, at, "ls")
	require.Equal(t, 0, code, errs)
	code, _, errs = inStore(t, at, "discard", "01j00000000000000000000000")
	require.Equal(t, exitUnavailable, code, errs)
	require.Contains(t, errs, "read-only file system")
}

// TestImportWarns of a directory into which others may write.
func TestImportWarns(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(t.TempDir(), "letters")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Chmod(dir, 0o777))
	code, _, errs := inStore(t, dir, "import", path)
	require.Equal(t, 0, code, errs)
	require.Contains(t, errs, "warning: others may write to "+dir+" (mode 0777)")
	require.NoError(t, os.Chmod(dir, 0o700))
	code, _, errs = inStore(t, dir, "import", path)
	require.Equal(t, 0, code, errs)
	require.NotContains(t, errs, "warning")
}

// TestImportOfALongLine says how long one may be.
func TestImportOfALongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letters")
	require.NoError(t, os.WriteFile(path, []byte("{}\n"+strings.Repeat("x", importLine+1)), 0o600))
	code, _, errs := inStore(t, t.TempDir(), "import", path)
	require.NotEqual(t, 0, code)
	require.Contains(t, errs, "line 2: longer than 8.2 MiB, which no letter is")
	require.NotContains(t, errs, "bufio")
}
