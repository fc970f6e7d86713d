package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

type draft struct{ Text string }

// takesDraft is a node that takes what was a text before.
func takesDraft(name string, next ...string) Node {
	return Node{Name: name, In: []Codec{JSON[draft]("draft")}, Out: text, Next: next, Call: func(_ context.Context, in Args) (Value, Route, error) {
		return Of(name + "(" + Arg[draft](in, 0).Text + ")"), Route{}, nil
	}}
}

// TestChangedGraphIsJudged begins a run of Plan, then Analyse and Write side by side,
// then Review of both; stops it after some steps, and goes on in another graph.
func TestChangedGraphIsJudged(t *testing.T) {
	changed := func(nodes ...Node) Graph { g := graph(nodes...); g.Fingerprint = "f1"; return g }
	plan, analyse, write := says("Plan", "Analyse", "Write"), says("Analyse", "Review"), says("Write", "Review")
	review := joins("Review", []string{"Analyse", "Write"}, end)
	again := says("Again", "Write")
	for name, c := range map[string]struct {
		after  int // steps of the old graph
		graph  Graph
		before func(t *testing.T, rt *resilience.Runtime)
		want   string // output, or
		not    string // what stands against it
	}{
		"a node that is done is gone":       {1, changed(again, analyse, write, review), nil, "Review(Analyse(Plan(in)),Write(Plan(in)))", ""},
		"a node that waits is gone":         {1, changed(says("Plan", "Write"), says("Write", end)), nil, "", "Analyse, which is gone"},
		"a node more":                       {1, changed(plan, says("Analyse", "More"), write, says("More", "Review"), joins("Review", []string{"More", "Write"}, end)), nil, "Review(More(Analyse(Plan(in))),Write(Plan(in)))", ""},
		"the join has arrivals":             {2, changed(plan, says("Analyse", "More"), write, says("More", "Review"), joins("Review", []string{"More", "Write"}, end)), nil, "", `waited for ["Analyse" "Write"]`},
		"a new join waits for what is done": {2, changed(plan, analyse, says("Write", "Late"), review, joins("Late", []string{"Analyse", "Write"}, end)), nil, "", "now waits for Analyse, which is done"},
		"another type":                      {1, changed(plan, takesDraft("Analyse", "Review"), write, review), nil, "", "resilience.Upcast makes one of the other"},
		"another type that is upcast": {1, changed(plan, takesDraft("Analyse", "Review"), write, review), func(t *testing.T, rt *resilience.Runtime) {
			if err := resilience.Upcast(rt, "text", func(old string) (draft, error) { return draft{"up " + old}, nil }); err != nil {
				t.Error(err)
			}
		}, "Review(Analyse(up Plan(in)),Write(Plan(in)))", ""},
		"a name that is mapped": {2, changed(says("Plan", "Study", "Write"), says("Study", "Judge"), says("Write", "Judge"), joins("Judge", []string{"Study", "Write"}, end)), func(t *testing.T, rt *resilience.Runtime) {
			m := Moves{Rename: map[string]string{"Analyse": "Study", "Review": "Judge"}}
			if err := Migrate(rt, "example.com/p.Research", "f0", m); err != nil {
				t.Error(err)
			}
			if err := Migrate(rt, "example.com/p.Research", "f0", m); err == nil {
				t.Error("told twice")
			}
		}, "Judge(Analyse(Plan(in)),Write(Plan(in)))", ""},
		"a value that is converted": {1, changed(plan, takesDraft("Analyse", "Review"), write, review), func(_ *testing.T, rt *resilience.Runtime) {
			_ = Migrate(rt, "example.com/p.Research", "f0", Moves{Convert: map[string]func(json.RawMessage) (json.RawMessage, error){
				"Analyse": func(json.RawMessage) (json.RawMessage, error) { return json.RawMessage(`{"Text":"new"}`), nil }}})
		}, "Review(Analyse(new),Write(Plan(in)))", ""},
	} {
		t.Run(name, func(t *testing.T) {
			stores := resilience.MemoryStores()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			old := diamond()
			for i := range old.Nodes {
				call := old.Nodes[i].Call
				old.Nodes[i].Call = func(ctx context.Context, in Args) (Value, Route, error) {
					if i+1 == c.after {
						cancel()
					}
					return call(ctx, in)
				}
			}
			if _, err := opened(t, &stores, old).Run(ctx, "in", Options{ID: "r"}); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			e := opened(t, &stores, c.graph)
			if c.before != nil {
				c.before(t, e.e.rt)
			}
			before := keys(t, stores)
			got, err := e.Run(t.Context(), "in", Options{ID: "r"})
			if c.not == "" {
				if err != nil || got.Output != c.want {
					t.Errorf("%q, %v", got.Output, err)
				}
				return
			}
			var wrong *GraphError
			if !errors.Is(err, ErrGraphChanged) || !errors.As(err, &wrong) || !strings.Contains(strings.Join(wrong.Against, "; "), c.not) {
				t.Errorf("%v", err)
			}
			isRefused(t, stores, c.graph, c.not)
			if after := keys(t, stores); after != before+1 {
				t.Errorf("%d records, want %d and one that says why", after, before)
			}
			if got, err := opened(t, &stores, diamond()).Resume(t.Context(), "r"); err != nil || got.Output != "Review(Analyse(Plan(in)),Write(Plan(in)))" {
				t.Errorf("in the old graph: %q, %v", got.Output, err)
			}
		})
	}
}

// keys counts the records of a store.
func keys(t *testing.T, stores resilience.Stores) (n int) {
	t.Helper()
	for head, err := range stores.Log.Heads(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		for range stores.Log.Scan(t.Context(), head.Key, 0) {
			n++
		}
	}
	return n
}
