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

// TestHealthOfAWorkflow has a call that takes ten times what such calls take be a
// warning, and one for which nobody knows that, or in a run that does not count, not.
func TestHealthOfAWorkflow(t *testing.T) {
	for _, c := range []struct {
		name     string
		before   int           // calls, of 10 s each
		out      time.Duration // for which one has been out
		noHealth bool
		want     resilience.HealthState
	}{
		{"usual", 30, 90 * time.Second, false, resilience.Healthy},
		{"stuck", 30, 101 * time.Second, false, resilience.Unhealthy},
		{"nobody knows", stuckSamples - 1, time.Hour, false, resilience.Healthy},
		{"does not count", 30, time.Hour, true, resilience.Healthy},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				leave := make(chan bool)
				g := graph(works("A", func(_ context.Context, in string) (string, error) {
					if in == "stuck" {
						<-leave
					}
					time.Sleep(10 * time.Second)
					return in, nil
				}, end))
				e := opened(t, nil, g)
				for range c.before {
					if _, err := e.Run(t.Context(), "in", Options{}); err != nil {
						t.Fatal(err)
					}
				}
				h := e.e.rt.Health()
				if err := h.Start(); err != nil {
					t.Fatal(err)
				}
				done := make(chan bool)
				go func() {
					defer close(done)
					_, _ = e.Run(t.Context(), "stuck", Options{ID: "r", NoHealth: c.noHealth})
				}()
				time.Sleep(c.out)
				if err := h.Refresh(t.Context(), "workflow/Research"); err != nil {
					t.Fatal(err)
				}
				got := h.Snapshot().Component("workflow/Research")
				if got.State != c.want || c.want != resilience.Healthy && !strings.Contains(got.Reason, "A of run r has run for 1m41s") {
					t.Errorf("%v: %s, want %v", got.State, got.Reason, c.want)
				}
				if s := h.Snapshot(); s.Ready == resilience.StatusFail {
					t.Error("the service is not ready: it is a warning only")
				}
				close(leave)
				<-done
				if err := h.Refresh(t.Context(), "workflow/Research"); err != nil {
					t.Fatal(err)
				}
				if got := h.Snapshot().Component("workflow/Research"); got.State != resilience.Healthy {
					t.Errorf("afterwards %v: %s", got.State, got.Reason)
				}
			})
		})
	}
}

// TestHealthOfQueues has queues that do not answer be a warning after half a minute.
func TestHealthOfQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		stores.Queue = &flakyQueue{Queue: stores.Queue, until: time.Now().Add(time.Minute)}
		e := opened(t, &stores, graph(says("A", end)))
		stop := start(t, e.Worker(WorkerOptions{}))
		for _, c := range []struct {
			after time.Duration
			want  bool
		}{{20 * time.Second, true}, {45 * time.Second, false}, {70 * time.Second, true}} {
			time.Sleep(c.after - time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)))
			if err := e.e.unwell(time.Now()); (err == nil) != c.want {
				t.Errorf("after %v: %v", c.after, err)
			}
		}
		mustStop(t, stop)
	})
}

func TestStatsOfAWorkflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		e := opened(t, &stores, graph(says("A", "B"), works("B", func(_ context.Context, in string) (string, error) {
			time.Sleep(time.Second)
			if in == "A(bad)" {
				return "", errors.New("no")
			}
			return in, nil
		}, end)))
		for i := range 10 {
			if _, err := e.Run(t.Context(), fmt.Sprint(i), Options{}); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = e.Run(t.Context(), "bad", Options{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan bool)
		go func() { defer close(done); _, _ = e.Run(ctx, "in", Options{}) }()
		time.Sleep(300 * time.Millisecond)
		got := fmt.Sprintf("%+v", e.Stats())
		want := "{Workflow:example.com/p.Research Running:1 Ended:map[completed:10 parked:1] Unread:0 Nodes:[" +
			"{Node:A Calls:12 Running:0 P50:0s P99:0s Oldest:0s} {Node:B Calls:11 Running:1 P50:1s P99:1s Oldest:300ms}]}"
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		cancel()
		<-done
		if s := e.Stats(); s.Running != 0 || s.Nodes[1].Running != 0 {
			t.Errorf("when nothing runs: %+v", s)
		}
	})
}
