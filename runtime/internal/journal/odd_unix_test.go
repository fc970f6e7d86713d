//go:build unix

package journal_test

import (
	"fmt"
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

// TestLinksInPlaceOfFiles puts links to a file of somebody else's in the place of
// each file of a journal, before it is opened and while it is used: that file is
// neither read for one of ours nor written, and what was acknowledged is there when
// the links are gone.
func TestLinksInPlaceOfFiles(t *testing.T) {
	const theirs = "not ours\n"
	for _, name := range []string{"LOCK", "INDEX", "RESERVE", "TMP-RESERVE", "TMP-INDEX", "000000000001.rj", "000000000002.rj", "000000000003.rj"} {
		for _, open := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " while open: ", open), func(t *testing.T) {
				dir, victim := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "victim")
				ok(t, os.WriteFile(victim, []byte(theirs), 0o600))
				j := must(journal.Open(must(journal.OS(dir)), small))
				last := must(j.Append(background, "k", 0, []byte("kept")))
				if !open {
					ok(t, j.Close())
				}
				// The file goes aside, as who swaps it would do.
				aside := os.Rename(filepath.Join(dir, name), filepath.Join(dir, "aside")) == nil
				ok(t, os.Symlink(victim, filepath.Join(dir, name)))
				var err error
				if !open {
					j, err = journal.Open(must(journal.OS(dir)), small)
				}
				for i := 0; err == nil && i < 20; i++ {
					var v uint64
					if v, err = j.Append(background, "k", last, make([]byte, 800)); err == nil {
						last = v
					}
				}
				if j != nil {
					_ = j.Close()
				}
				if text := string(must(os.ReadFile(victim))); text != theirs {
					t.Fatalf("the file behind the link has %d bytes of ours", len(text))
				}
				if info, e := os.Lstat(filepath.Join(dir, name)); e == nil && info.Mode()&os.ModeSymlink != 0 {
					ok(t, os.Remove(filepath.Join(dir, name)))
					if aside {
						ok(t, os.Rename(filepath.Join(dir, "aside"), filepath.Join(dir, name)))
					}
				}
				j = must(journal.Open(must(journal.OS(dir)), small))
				defer func() { ok(t, j.Close()) }()
				var found uint64
				for r, err := range j.Scan(background, "k", 0) {
					ok(t, err)
					found = r.Version
				}
				if found < last {
					t.Errorf("record %d is the last, %d was acknowledged", found, last)
				}
			})
		}
	}
}
