package resilience

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestLeasesEndByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ctx := newLogLeases(newMemoryLog()), context.Background()
		first, err := l.Acquire(ctx, "n", "a", 10*time.Second)
		if err != nil || first.Name != "n" || first.Owner != "a" || first.Epoch == 0 {
			t.Fatalf("%+v, %v", first, err)
		}
		time.Sleep(4 * time.Second)
		var held *HeldError
		if _, err := l.Acquire(ctx, "n", "b", time.Second); !errors.As(err, &held) || !errors.Is(err, ErrHeld) || held.Owner != "a" || held.For != 6*time.Second {
			t.Errorf("held: %v", err)
		}
		if err := l.Renew(ctx, first, 10*time.Second); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		second, err := l.Acquire(ctx, "n", "b", time.Minute)
		if err != nil || second.Epoch <= first.Epoch {
			t.Errorf("%+v after %+v, %v", second, first, err)
		}
		if err := errors.Join(l.Renew(ctx, first, time.Second), l.Release(ctx, first)); !errors.Is(err, ErrFenced) {
			t.Errorf("what is over: %v", err)
		}
		if err := l.Release(ctx, second); err != nil {
			t.Error(err)
		}
		if err := l.Renew(ctx, second, time.Second); !errors.Is(err, ErrFenced) {
			t.Errorf("what was released: %v", err)
		}
	})
}

// TestEpochsGrow reserves epochs from the log more than once, and in more than one
// process.
func TestEpochsGrow(t *testing.T) {
	log, ctx, last := newMemoryLog(), context.Background(), uint64(0)
	for range 3 {
		l := newLogLeases(log)
		for i := range 6 {
			if i%2 == 1 {
				l.next = l.last // as if all had been given
			}
			lease, err := l.Acquire(ctx, fmt.Sprint("n", i), "a", time.Hour)
			if err != nil || lease.Epoch <= last {
				t.Fatalf("epoch %d after %d, %v", lease.Epoch, last, err)
			}
			last = lease.Epoch
		}
		_ = l.Close()
		if _, err := l.Acquire(ctx, "n", "a", time.Hour); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	if n := len(log.keys[epochKey]); n != 1 {
		t.Errorf("%d records are kept", n)
	}
}

func TestEndedLeasesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ctx := newLogLeases(newMemoryLog()), context.Background()
		for i := range 10_000 {
			if _, err := l.Acquire(ctx, fmt.Sprint("n", i), "a", time.Millisecond); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		if len(l.held) > 1024 {
			t.Errorf("%d leases are kept", len(l.held))
		}
	})
}
