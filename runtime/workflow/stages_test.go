package workflow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// What a pipeline took that is a node is kept with the record of its step.
func TestStagesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		rt, err := resilience.Open(resilience.Options{Stores: stores})
		if err != nil {
			t.Fatal(err)
		}
		stages := newTextStages(t, rt, "Third")
		stages.fails, stages.takes = map[string]int{"Second": 1, "Third": 1}, time.Second
		node := says("Invoke", end)
		node.Call = func(ctx context.Context, in Args) (Value, Route, error) {
			out, report, err := stages.Run(ctx, Arg[string](in, 0))
			report.Tell(ctx)
			return Of(out), Route{}, err
		}
		e := opened(t, &stores, graph(says("Plan", "Invoke"), node))
		if _, err := e.Run(t.Context(), "in", Options{ID: "r"}); err != nil {
			t.Fatal(err)
		}
		rs := looked(t, stores)
		d := shown(t, rs, "r")
		want := `[{"stage":"First","attempts":1,"duration":1000000000},` +
			`{"stage":"Second","attempts":2,"duration":3000000000,"breaker":"closed"},` +
			`{"stage":"Third","attempts":1,"duration":1000000000,"optional":true,"error":"stage failed"}]`
		if got := asJSON(t, d.Steps[1].Stages); got != want || len(d.Steps[0].Stages) > 0 {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		exported := ""
		for line, err := range rs.Export(t.Context(), "", "r") {
			exported += string(line)
			if err != nil {
				t.Error(err)
			}
		}
		if strings.Count(exported, `"stages":`+want) != 1 {
			t.Errorf("exported %s", exported)
		}
	})
}

// A pipeline that failed is kept with the step that failed, one of no node nowhere, nor
// one that is a stage of another one.
func TestStagesOfWhatFailed(t *testing.T) {
	stores := resilience.MemoryStores()
	inner := Report{Stages: []StageReport{{Stage: "Inner"}}}
	outer := Report{Stages: []StageReport{{Stage: "Outer", Attempts: 1, Err: errStage}}}
	node := says("Invoke", end)
	node.Call = func(ctx context.Context, _ Args) (Value, Route, error) {
		outer.Tell(ctx)
		pass := NewPipeline(nil, "x", []Stage{{Name: "a"}}).Begin(ctx)
		inner.Tell(pass)
		return Value{}, Route{}, errStage
	}
	if _, err := opened(t, &stores, graph(node)).Run(t.Context(), "in", Options{ID: "r"}); !errors.Is(err, errStage) {
		t.Fatal(err)
	}
	if got := asJSON(t, shown(t, looked(t, stores), "r").Steps[0].Stages); got != `[{"stage":"Outer","attempts":1,"duration":0,"error":"stage failed"}]` {
		t.Error(got)
	}
}

// What is kept of a pipeline is bounded.
func TestStagesAreBounded(t *testing.T) {
	var r Report
	for i := range 2 * maxStages {
		r.Stages = append(r.Stages, StageReport{Stage: fmt.Sprint(i), Err: errors.New(strings.Repeat("é", maxStageError))})
	}
	r.Stages[1].Err = errors.New("x" + strings.Repeat("é", maxStageError))
	kept := r.stages()
	if len(kept) != maxStages || len(kept[0].Err) != maxStageError || kept[1].Err != "x"+strings.Repeat("é", maxStageError/2-1) {
		t.Errorf("%d stages, errors of %d and %d bytes", len(kept), len(kept[0].Err), len(kept[1].Err))
	}
}
