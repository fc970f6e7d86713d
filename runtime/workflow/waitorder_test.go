package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestWaitsThatEndTogether: waits that end at one time go on in the order in which
// their messages were sent, also where another process goes on with the run.
func TestWaitsThatEndTogether(t *testing.T) {
	const n = 7
	names := func(prefix string) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprint(prefix, i))
		}
		return list
	}
	send := func(to func(i int) string) func(context.Context, string) (string, Route, error) {
		return func(_ context.Context, in string) (string, Route, error) {
			r := Send(Target[string](to(0)), in)
			for i := 1; i < n; i++ {
				r = r.And(Send(Target[string](to(i)), in))
			}
			return in, r, nil
		}
	}
	var took []string
	last := func(ctx context.Context, in string) (string, error) {
		took = append(took, Info(ctx).Message)
		return in, nil
	}
	signal := graph(routes("A", send(func(int) string { return "Wait" }), "Wait"), signals("Wait", time.Hour, "Last"), works("Last", last, end))
	join := graph(routes("A", send(func(i int) string { return fmt.Sprint("J", i) }), names("J")...), says("B", names("J")...), works("Last", last, end))
	for _, name := range names("J") {
		j := joins(name, []string{"A", "B"}, "Last")
		j.WaitTimeout = time.Hour
		join.Nodes = append(join.Nodes, j)
	}
	for kind, g := range map[string]Graph{"signal": signal, "join": join} {
		t.Run(kind, func(t *testing.T) {
			var want []string
			for i := range n {
				id := messageID(firstMessage, i, "Wait")
				if kind == "join" {
					name := fmt.Sprint("J", i)
					id = joinID(name, []*message{{ID: messageID(firstMessage, i, name)}})
				}
				want = append(want, messageID(id, 0, "Last"))
			}
			g.OutputAll = true
			for _, stops := range []bool{false, true} {
				took = nil
				synctest.Test(t, func(t *testing.T) {
					stores := resilience.MemoryStores()
					ctx, stop := t.Context(), func() {}
					if stops {
						ctx, stop = context.WithTimeout(ctx, time.Minute)
					}
					_, err := opened(t, &stores, g).Run(ctx, "in", Options{ID: "r"})
					stop()
					if errors.Is(err, context.DeadlineExceeded) && stops {
						_, err = opened(t, &stores, g).Run(t.Context(), "in", Options{ID: "r"})
					}
					if err != nil || !slices.Equal(took, want) {
						t.Errorf("stops %v: %v, %v; want %v", stops, took, err, want)
					}
				})
			}
		})
	}
}
