package workflow

import (
	"context"
	"errors"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestJoinThatKillsItsProcess becomes a letter with all that it consumes, and the run
// can still be read.
func TestJoinThatKillsItsProcess(t *testing.T) {
	stores := resilience.MemoryStores()
	g := diamond()
	g.Nodes[3].Call = func(ctx context.Context, _ Args) (Value, Route, error) {
		<-ctx.Done()
		return Value{}, Route{}, ctx.Err()
	}
	e := opened(t, &stores, g).e
	for i := range letterAfter + 1 {
		log := &dyingLog{Log: stores.Log, after: 1}
		if i == 0 {
			log.after = 4 // start, Plan, Analyse and Write
		}
		r := e.newRun(Options{})
		r.id, r.log = "r", newRunLog(log, g.runKey("r"))
		ctx, cancel := context.WithCancel(t.Context())
		log.died = cancel
		if i == 0 {
			_ = r.begin(ctx, &startRecord{Input: Raw([]byte(`"in"`))})
		} else if err := r.load(ctx); err == nil {
			_ = r.goOn(ctx)
		}
		cancel()
	}
	for range 2 {
		got, err := opened(t, &stores, g).Resume(t.Context(), "r")
		if !errors.Is(err, ErrParked) || got.NodeFailures["Review"] != 1 {
			t.Errorf("%s, %v", got.Status, err)
		}
	}
	mended := opened(t, &stores, diamond())
	replayAll(t, mended)
	if got := outcome(mended.Run(t.Context(), "in", Options{ID: "r"})); got != "completed Review(Analyse(Plan(in)),Write(Plan(in)))" {
		t.Error(got)
	}
}
