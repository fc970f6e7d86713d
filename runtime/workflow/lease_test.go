package workflow

import (
	"context"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// slowLeases finds the time of the first release over, as after a process that stood still.
type slowLeases struct {
	resilience.Leases
	asked int
}

func (l *slowLeases) Release(ctx context.Context, lease resilience.Lease) error {
	if l.asked++; l.asked == 1 {
		return context.DeadlineExceeded
	}
	return l.Leases.Release(ctx, lease)
}

// TestReleaseAfterAStandstill gives a lease back although the time for it was over at once.
func TestReleaseAfterAStandstill(t *testing.T) {
	leases := &slowLeases{Leases: resilience.MemoryStores().Leases}
	l, err := hold(t.Context(), leases, "a", "me", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	l.release()
	if _, err := hold(t.Context(), leases, "a", "you", time.Minute); err != nil || leases.asked != 2 {
		t.Errorf("after %d releases: %v", leases.asked, err)
	}
}
