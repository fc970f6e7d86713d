package workflow

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// lateLog fails a report of a child, and not before its parent ends.
type lateLog struct {
	resilience.Log
	run    string
	ends   chan struct{}
	failed atomic.Int32
}

func (l *lateLog) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	if strings.HasPrefix(key, "inbox/") {
		<-l.ends
		l.failed.Add(1)
		return 0, resilience.ErrUnavailable
	}
	if rec, err := decodeRecord(body); key == l.run && err == nil && rec.End != nil {
		close(l.ends)
		time.Sleep(time.Second) // until whoever has reported has been told
	}
	return l.Log.Append(ctx, key, after, body)
}

// reportedLog is of a process that dies once a child has reported.
type reportedLog struct {
	resilience.Log
	dead atomic.Bool
}

func (l *reportedLog) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	if l.dead.Load() {
		return 0, resilience.ErrClosed
	}
	if strings.HasPrefix(key, "inbox/") {
		l.dead.Store(true)
	}
	return l.Log.Append(ctx, key, after, body)
}

// TestLateReportStopsNothing: a child that had ended before its parent was resumed
// reports once more. That the store does not take that is nothing to a run that has
// ended meanwhile.
func TestLateReportStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := resilience.MemoryStores()
		first, _ := family(t, &resilience.Stores{Log: &reportedLog{Log: inner.Log}}, graph(says("Pack", end)))
		if got, err := first.Run(t.Context(), "in", Options{ID: "r"}); err == nil {
			t.Fatalf("it ended: %v", got)
		}
		log := &lateLog{Log: inner.Log, run: resilience.StoreKey("run", first.e.g.storeName(), "r"), ends: make(chan struct{})}
		second, _ := family(t, &resilience.Stores{Log: log}, graph(says("Pack", end)))
		if got := outcome(second.Run(t.Context(), "in", Options{ID: "r"})); got != "completed Done(Pack(Order(in)),Bill(Order(in)))" {
			t.Error(got)
		}
		if log.failed.Load() == 0 {
			t.Error("no report failed")
		}
	})
}
