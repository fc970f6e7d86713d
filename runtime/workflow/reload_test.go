package workflow

import (
	"context"
	"iter"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// scannedLog counts how often it is read from.
type scannedLog struct {
	resilience.Log
	scans int
}

func (l *scannedLog) Scan(ctx context.Context, key string, after resilience.Version) iter.Seq2[resilience.Record, error] {
	l.scans++
	return l.Log.Scan(ctx, key, after)
}

// TestRunIsReadAgainWhereSomebodyHadIt has a run that was read be read once more if it
// went on meanwhile, and not otherwise: a long one takes a while.
func TestRunIsReadAgainWhereSomebodyHadIt(t *testing.T) {
	stores := resilience.MemoryStores()
	log := &scannedLog{Log: stores.Log}
	stores.Log = log
	ctx, cancel := context.WithCancel(t.Context())
	g := graph(says("A", "B"), works("B", func(ctx context.Context, in string) (string, error) {
		cancel()
		return in, ctx.Err()
	}, end))
	e := opened(t, &stores, g)
	if _, err := e.Run(ctx, "in", Options{ID: "r"}); err == nil {
		t.Fatal("the run was not stopped")
	}
	r := e.e.newRun(Options{ID: "r"})
	if r.id = "r"; r.find() != nil || r.load(t.Context()) != nil {
		t.Fatal("the run cannot be read")
	}
	log.scans = 0
	if err := r.reload(t.Context()); err != nil || log.scans > 0 || r.s.Status.Ended() {
		t.Errorf("of a run that nobody had: read %d times, status %s, %v", log.scans, r.s.Status, err)
	}
	g.Nodes[1] = says("B", end)
	if got, err := opened(t, &stores, g).Resume(t.Context(), "r"); err != nil || got.Status != Completed {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := r.reload(t.Context()); err != nil || r.s.Status != Completed {
		t.Errorf("of a run that somebody had: status %s, %v", r.s.Status, err)
	}
}
