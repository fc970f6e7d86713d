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

// TestEndedWaitsKeepTheirTurn: waits that had ended when a process died are in turn
// before what the first of them sent, as they were there.
func TestEndedWaitsKeepTheirTurn(t *testing.T) {
	const n = 5
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		g := graph(routes("A", func(context.Context, string) (string, Route, error) {
			r := To(Target[string]("Wait"))
			for range n - 1 {
				r = r.And(To(Target[string]("Wait")))
			}
			return "", r, nil
		}, "Wait"), signals("Wait", time.Hour, "Last"), says("Last", end))
		g.OutputAll = true
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		skipped := 0
		o := Options{ID: "r", Observer: func(_ context.Context, e resilience.Event) {
			if e.Kind == resilience.StepDone && e.Name == "workflow/Research/Wait" {
				if skipped++; skipped == 2 {
					stop()
				}
			}
		}}
		if got, err := opened(t, &stores, g).Run(ctx, "in", o); !errors.Is(err, context.Canceled) {
			t.Fatalf("%+v, %v", got, err)
		}
		got, err := opened(t, &stores, g).Run(t.Context(), "in", Options{ID: "r"})
		steps := ""
		for _, s := range got.Steps {
			steps += s.Node + " "
		}
		if want := "A Wait Wait Wait Wait Wait Last Last Last Last Last "; err != nil || steps != want {
			t.Errorf("%s, %v; want %s", steps, err, want)
		}
	})
}

// TestSignalAfterTheWait: a signal that came when a wait had ended is not for it, also
// where the process died before that was recorded.
func TestSignalAfterTheWait(t *testing.T) {
	for _, dies := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			stores := resilience.MemoryStores()
			slow := func(ctx context.Context, in string) (string, error) {
				select {
				case <-time.After(40 * time.Minute):
					return in, nil
				case <-ctx.Done():
					return "", ctx.Err()
				}
			}
			g := graph(says("A", "Wait", "S1", "S2", "S3"), signals("Wait", time.Hour, "Ship"), works("S1", slow), works("S2", slow), works("S3", slow), says("Ship", end))
			g.Concurrency = 1
			e := opened(t, &stores, g)
			ctx, stop := t.Context(), func() {}
			if dies {
				ctx, stop = context.WithTimeout(ctx, 110*time.Minute)
			}
			defer stop()
			go func() {
				time.Sleep(100 * time.Minute)
				_ = e.Get("r").Signal(context.Background(), "wait", Of("late"), SignalOptions{})
			}()
			got, err := e.Run(ctx, "in", Options{ID: "r"})
			if dies && errors.Is(err, context.DeadlineExceeded) {
				got, err = opened(t, &stores, g).Run(t.Context(), "in", Options{ID: "r"})
			}
			if outcome(got, err) != "completed Ship()" {
				t.Errorf("dies %v: %s", dies, outcome(got, err))
			}
		})
	}
}

// TestEndedWaitsAreBeforeWhatIsDueLater: a wait that ended while a node ran, or while
// nobody had the run, is in turn before a message that was due after that.
func TestEndedWaitsAreBeforeWhatIsDueLater(t *testing.T) {
	for _, diesAfter := range []time.Duration{0, time.Second, 20 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			stores := resilience.MemoryStores()
			slow := works("Slow", func(ctx context.Context, in string) (string, error) {
				sleep(ctx, 40*time.Second)
				return in, ctx.Err()
			})
			late := says("Late", end)
			late.Delay = 10 * time.Second
			g := graph(says("A", "Wait", "Late", "Slow"), signals("Wait", 5*time.Second, "Last"), late, slow, says("Last", end))
			g.OutputAll = true
			ctx, stop := t.Context(), func() {}
			if diesAfter > 0 {
				ctx, stop = context.WithTimeout(ctx, diesAfter)
			}
			got, err := opened(t, &stores, g).Run(ctx, "in", Options{ID: "r"})
			stop()
			if diesAfter > 0 && errors.Is(err, context.DeadlineExceeded) {
				time.Sleep(time.Minute)
				got, err = opened(t, &stores, g).Run(t.Context(), "in", Options{ID: "r"})
			}
			steps := ""
			for _, s := range got.Steps {
				steps += s.Node + " "
			}
			if want := "A Slow Wait Late Last "; err != nil || steps != want {
				t.Errorf("dies after %v: %s, %v; want %s", diesAfter, steps, err, want)
			}
		})
	}
}
