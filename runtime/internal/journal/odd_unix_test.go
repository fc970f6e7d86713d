//go:build unix

package journal_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// TestOddFiles puts what is no regular file in the place of a segment, and a
// directory where none can be made.
func TestOddFiles(t *testing.T) {
	dir := t.TempDir()
	ok(t, os.Symlink("/etc/passwd", filepath.Join(dir, "000000000001.rj")))
	_, err := journal.Open(must(journal.OS(dir)), journal.Options{})
	if err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a link: %v", err)
	}
	ok(t, os.Remove(filepath.Join(dir, "000000000001.rj")))
	ok(t, syscall.Mkfifo(filepath.Join(dir, "000000000001.rj"), 0o600))
	_, err = journal.Open(must(journal.OS(dir)), journal.Options{})
	if err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a pipe: %v", err)
	}
	if _, err = journal.OS("/dev/null/x"); err == nil {
		t.Error("a directory below a device was made")
	}
}

// TestDirectoriesAreMade makes a directory with those above it, for nobody else.
func TestDirectoriesAreMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	d := must(journal.OS(dir + "/"))
	j := must(journal.Open(d, journal.Options{SegmentSize: 64 << 10}))
	must(j.Append(background, "k", 0, nil))
	ok(t, j.Close())
	for name, want := range map[string]os.FileMode{"../": 0o700, "": 0o700, "000000000001.rj": 0o600, "LOCK": 0o600, "INDEX": 0o600, "RESERVE": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		ok(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%q has mode %v, want %v", name, info.Mode(), want)
		}
	}
	if _, err := journal.ExistingOS(filepath.Join(dir, "c")); !os.IsNotExist(err) {
		t.Errorf("a directory that is not there: %v", err)
	}
}
