package journal

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
)

// TestDroppedAndMadeAgainInOneBatch has one flush carry both.
func TestDroppedAndMadeAgainInOneBatch(t *testing.T) {
	disk, err := OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	j, err := Open(disk, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = j.Close(), disk.Close() }()
	ctx := context.Background()
	first, err := j.Append(ctx, "k", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	waiting := func(n int) { // until the open batch has n records
		for joined := 0; joined < n; runtime.Gosched() {
			j.mu.Lock()
			if joined = 0; j.open != nil {
				joined = len(j.open.changes)
			}
			j.mu.Unlock()
		}
	}
	var again uint64
	j.inTurn(func() {
		group.Go(func() {
			if err := j.Drop(ctx, "k", first); err != nil {
				t.Error(err)
			}
		})
		waiting(1)
		group.Go(func() {
			if again, err = j.Append(ctx, "k", 0, []byte("again")); err != nil {
				t.Error(err)
			}
		})
		waiting(2)
	})
	group.Wait()
	if _, err := j.Append(ctx, "k", 0, nil); !errors.Is(err, ErrConflict) {
		t.Errorf("a third time: %v, want a conflict", err)
	}
	var got []uint64
	for r, err := range j.Scan(ctx, "k", 0) {
		if err != nil {
			t.Error(err)
		}
		got = append(got, r.Version)
	}
	if len(got) != 1 || got[0] != again {
		t.Errorf("%v are there, want %d", got, again)
	}
}
