package journal

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestCloseDoesNotWaitForItself closes a journal whose compactor has chosen a segment
// and not begun with it.
func TestCloseDoesNotWaitForItself(t *testing.T) {
	disk, err := OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	j, err := Open(disk, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), "k", 0, []byte("x")); err != nil {
		t.Fatal(err)
	}
	chosen := j.seg
	late := make(chan error, 1)
	j.workers.Go(func() {
		<-j.stop // Close waits for workers now
		late <- j.rewrite(context.Background(), chosen)
	})
	ended := make(chan error, 1)
	go func() { ended <- j.Close() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("Close waits for a worker that waits for Close")
	}
	if err := <-late; !errors.Is(err, ErrClosed) {
		t.Errorf("a segment is rewritten behind the end: %v", err)
	}
}
