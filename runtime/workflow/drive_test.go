package workflow

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// goroutine is the number of the one that calls it.
func goroutine() string {
	var buf [64]byte
	return strings.Fields(string(buf[:runtime.Stack(buf[:], false)]))[1]
}

// TestChainStaysOnItsGoroutine has nodes that follow one another called by one
// goroutine, while the run's keeper waits: that is what makes a step cheap. After one
// that ends its goroutine, another one goes on.
func TestChainStaysOnItsGoroutine(t *testing.T) {
	ways(t, func(t *testing.T, stores *resilience.Stores) {
		synctest.Test(t, func(t *testing.T) {
			var on []string
			node := func(name string, last func(), next ...string) Node {
				return works(name, func(_ context.Context, in string) (string, error) {
					on = append(on, goroutine())
					time.Sleep(time.Millisecond) // the keeper has put down the baton, and nothing else is due
					last()
					return in, nil
				}, next...)
			}
			goOn := func() {}
			g := graph(node("A", goOn, "B"), node("B", goOn, "C"), node("C", goOn, end))
			if got, err := opened(t, stores, g).Run(t.Context(), "in", Options{}); err != nil || got.Output != "in" {
				t.Fatalf("%+v, %v", got, err)
			}
			if on[0] == goroutine() || on[1] != on[0] || on[2] != on[0] {
				t.Errorf("run by %s, nodes called by %v", goroutine(), on)
			}
			on = nil
			g = graph(node("A", goOn, "B", "C"), node("B", runtime.Goexit, end), node("C", goOn, end))
			g.OutputAll = true
			if got, err := opened(t, stores, g).Run(t.Context(), "in", Options{}); err != nil || len(got.Outputs) != 1 || got.NodeFailures["B"] != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
			if on[1] != on[0] || on[2] == on[0] {
				t.Errorf("nodes called by %v", on)
			}
		})
	})
}

// hostileLog does something with whoever makes an append.
type hostileLog struct {
	resilience.Log
	left int // appends before that one
	does func()
}

func (l *hostileLog) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	if l.left--; l.left == -1 {
		l.does()
	}
	return l.Log.Append(ctx, key, after, body)
}

// TestStoreThatMisbehavesIsTheCallers has a panic of a store, and the end of its
// goroutine, come to whoever began the run, whichever goroutine drove it then. The run
// can be resumed.
func TestStoreThatMisbehavesIsTheCallers(t *testing.T) {
	for name, does := range map[string]func(){
		"panics":             func() { panic("no") },
		"ends its goroutine": runtime.Goexit,
	} {
		for left := range 4 { // of a start and three steps
			t.Run(name, func(t *testing.T) {
				stores := resilience.MemoryStores()
				hostile := stores
				hostile.Log = &hostileLog{Log: stores.Log, left: left, does: does}
				g := graph(says("A", "B"), says("B", "C"), says("C", end))
				ended := make(chan any)
				go func() {
					defer func() { ended <- recover() }()
					_, err := opened(t, &hostile, g).Run(t.Context(), "in", Options{ID: "r"})
					t.Errorf("the run returned: %v", err)
				}()
				got := <-ended
				if carried, ok := got.(*resilience.PanicError); ok {
					got = carried.Value
				}
				if want := map[bool]any{true: "no"}[name == "panics"]; got != want {
					t.Errorf("the caller got the panic %v, want %v", got, want)
				}
				again, err := opened(t, &stores, g).Run(t.Context(), "in", Options{ID: "r"})
				if err != nil || !again.Status.Ended() {
					t.Errorf("resumed: %+v, %v", again, err)
				}
			})
		}
	}
}

// TestCancelEndsANodeThatIgnoresIt has a run that is cancelled wait no longer than the
// grace for a node that does not return.
func TestCancelEndsANodeThatIgnoresIt(t *testing.T) {
	ways(t, func(t *testing.T, stores *resilience.Stores) {
		synctest.Test(t, func(t *testing.T) {
			leave := make(chan bool)
			node := works("A", func(context.Context, string) (string, error) { <-leave; return "out", nil }, end)
			e := opened(t, stores, graph(node))
			time.AfterFunc(time.Minute, func() {
				if err := e.Get("r").Cancel(context.Background()); err != nil {
					t.Error(err)
				}
			})
			begun := time.Now()
			_, err := e.Run(t.Context(), "in", Options{ID: "r"})
			if took := time.Since(begun); !errors.Is(err, ErrCancelled) || took != time.Minute+grace {
				t.Errorf("%v after %v", err, took)
			}
			close(leave)
			synctest.Wait()
		})
	})
}

// TestTroubleWhileSeveralNodesRun has a store panic, end its goroutine, or have the run
// cancelled at each of its records, while other nodes run, be they in time or not:
// the run ends all the same, and can be resumed without a step lost or done twice.
func TestTroubleWhileSeveralNodesRun(t *testing.T) {
	for trouble, does := range map[string]func(cancel func()){
		"panic": func(func()) { panic("no") }, "exit": func(func()) { runtime.Goexit() }, "cancel": func(cancel func()) { cancel() },
	} {
		for left := range 8 {
			for atOnce := 1; atOnce <= 3; atOnce++ {
				synctest.Test(t, func(t *testing.T) {
					stores := resilience.MemoryStores()
					hostile := stores
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					hostile.Log = &hostileLog{Log: stores.Log, left: left, does: func() { does(cancel) }}
					node := func(name string, takes time.Duration, next ...string) Node {
						return works(name, func(_ context.Context, in string) (string, error) { time.Sleep(takes); return in, nil }, next...)
					}
					g := graph(node("A", 1, "B", "C", "D"), node("B", 2, "E"), node("C", 2, "E"), node("D", grace+time.Second, "E"), node("E", 3, end))
					g.OutputAll, g.Concurrency = true, atOnce
					ended := make(chan any)
					go func() {
						defer func() { ended <- recover() }()
						_, _ = opened(t, &hostile, g).Run(ctx, "in", Options{ID: "r"})
					}()
					<-ended
					got, err := opened(t, &stores, g).Run(t.Context(), "in", Options{ID: "r"})
					if err != nil || got.Status != Completed || len(got.Outputs) != 3 || got.StepCount != 7 {
						t.Errorf("%s at record %d, %d nodes at once: %s, %d steps, %v", trouble, left, atOnce, got.Status, got.StepCount, err)
					}
					time.Sleep(2 * grace) // those that were abandoned return
				})
			}
		}
	}
}
