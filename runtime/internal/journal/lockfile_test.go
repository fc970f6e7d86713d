package journal_test

import (
	"errors"
	"os"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// TestClosedIsNoOwner: a process that closed its journal and lives on is not told to
// own the directory, and it is once it opens it again.
func TestClosedIsNoOwner(t *testing.T) {
	d := faultfs.New(1)
	for range 2 {
		j := must(journal.Open(d, small))
		if e := journal.Owner(d); e == nil || e.PID != os.Getpid() {
			t.Errorf("while it is open: %v", e)
		}
		ok(t, j.Close())
		if e := journal.Owner(d); e != nil {
			t.Errorf("when it is closed: %v", e)
		}
	}
	held := must(d.Lock()) // by somebody who says nothing, as one who copies
	var busy *journal.BusyError
	if _, err := journal.Open(d, small); !errors.As(err, &busy) || busy.PID != 0 || busy.Orphan {
		t.Errorf("beside who holds the lock only: %v", err)
	}
	ok(t, held.Close())
}

// TestOwnerOnABadDisk: where LOCK cannot be written the lock is given back all the same.
func TestOwnerOnABadDisk(t *testing.T) {
	d := faultfs.New(1)
	j := must(journal.Open(d, small))
	d.Inject(func(op faultfs.Op) (f faultfs.Fault) {
		if op.Name == "LOCK" {
			f = faultfs.EIO
		}
		return f
	})
	ok(t, j.Close())
	ok(t, must(journal.Open(d, small)).Close())
}
