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
