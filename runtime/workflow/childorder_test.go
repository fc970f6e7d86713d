package workflow

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestChildrenAnswerInOrder: what children come to is taken up in the order in which they
// have answered, also by a process that finds two answers, and before what was sent later.
func TestChildrenAnswerInOrder(t *testing.T) {
	for _, c := range []struct {
		first, second string
		stops         time.Duration
	}{{"A", "B", 0}, {"A", "B", 3 * time.Minute}, {"B", "A", 0}, {"B", "A", 3 * time.Minute}} {
		t.Run(fmt.Sprint(c.first, " ", c.stops), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stores := resilience.MemoryStores()
				node := func(name string, takes time.Duration, next ...string) Node {
					return works(name, func(ctx context.Context, in string) (string, error) {
						select {
						case <-time.After(takes):
							return in, nil
						case <-ctx.Done():
							return "", ctx.Err()
						}
					}, next...)
				}
				open := func() *Engine[string, string] {
					base := opened(t, &stores, graph(says("Entry", end)))
					child := func(name string) Node {
						g := graph(says("In", "Out"), says("Out", end))
						if g.Name = "Child" + name; name != c.first {
							g.Nodes[1].Delay = time.Minute
						}
						e, err := New[string, string](base.e.rt, g)
						if err != nil {
							t.Fatal(err)
						}
						return Node{Name: name, Params: []string{"input"}, In: []Codec{text}, Out: text, Next: []string{"After" + name}, Child: Child(e)}
					}
					g := graph(says("Order", "Short", "Long", "A", "B"), node("Short", 30*time.Second, "Later"), node("Long", 5*time.Minute, end),
						node("Later", time.Second, end), child("A"), child("B"), node("AfterA", time.Second, end), node("AfterB", time.Second, end))
					g.Concurrency, g.OutputAll = 1, true
					e, err := New[string, string](base.e.rt, g)
					if err != nil {
						t.Fatal(err)
					}
					return e
				}
				if c.stops > 0 {
					ctx, stop := context.WithTimeout(t.Context(), c.stops)
					defer stop()
					if _, err := open().Run(ctx, "in", Options{ID: "r"}); err == nil {
						t.Fatal("it has ended, and was to be stopped")
					}
				}
				result, err := open().Run(t.Context(), "in", Options{ID: "r"})
				if err != nil {
					t.Fatal(err)
				}
				got := ""
				for _, s := range result.Steps {
					got += s.Node + " "
				}
				// The first one answered before Short was done and sent to Later.
				if want := fmt.Sprintf("Order Short Long %s Later %s After%[1]s After%[2]s ", c.first, c.second); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			})
		})
	}
}
