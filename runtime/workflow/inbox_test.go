package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// signals is a node that waits for a signal of its name.
func signals(name string, timeout time.Duration, next ...string) Node {
	return Node{Name: name, Signal: strings.ToLower(name), SignalTimeout: timeout, Out: text, Next: next}
}

// approval plans, waits, and ships what it got.
func approval(timeout time.Duration) Graph {
	return graph(says("Plan", "Approval"), signals("Approval", timeout, "Ship"), says("Ship", end))
}

// outcome is what a run came to, in words.
func outcome(got Result[string], err error) string {
	text := string(got.Status) + " " + got.Output
	for _, is := range []error{ErrCancelled, ErrParked, ErrFailed, ErrRunBusy, ErrLimit, resilience.ErrFenced} {
		if errors.Is(err, is) {
			return text + "!" + is.Error()
		}
	}
	if err != nil {
		return text + "! " + err.Error()
	}
	return text
}

// finish runs in the background, and returns what gets the outcome.
func finish(e *Engine[string, string], o Options) func() string {
	done := make(chan string, 1)
	go func() {
		got, err := e.Run(context.Background(), "in", o)
		done <- outcome(got, err)
	}()
	return func() string { return <-done }
}

func (e *Engine[In, Out]) mustSignal(t *testing.T, id, name, value, signalID string) {
	t.Helper()
	if err := e.Get(id).Signal(t.Context(), name, Of(value), SignalOptions{ID: signalID}); err != nil {
		t.Fatal(err)
	}
}

func TestSignal(t *testing.T) {
	for name, c := range map[string]struct {
		timeout time.Duration
		at      time.Duration
		send    func(t *testing.T, e *Engine[string, string])
		want    string
	}{
		"in time": {0, time.Hour, func(t *testing.T, e *Engine[string, string]) { e.mustSignal(t, "r", "approval", "yes", "") }, "completed Ship(yes)"},
		"the first": {0, time.Hour, func(t *testing.T, e *Engine[string, string]) {
			e.mustSignal(t, "r", "approval", "yes", "")
			_ = e.e.signal(t.Context(), "r", "approval", Of("no"), SignalOptions{}) // the run may have ended
		}, "completed Ship(yes)"},
		"too late": {time.Minute, time.Hour, func(*testing.T, *Engine[string, string]) {}, "completed Ship()"},
		"of no node": {time.Minute, time.Second, func(t *testing.T, e *Engine[string, string]) {
			if err := e.e.signal(t.Context(), "r", "approved", Of("yes"), SignalOptions{}); err == nil {
				t.Error("a signal that no node waits for was taken")
			}
		}, "completed Ship()"},
	} {
		t.Run(name, func(t *testing.T) {
			ways(t, func(t *testing.T, stores *resilience.Stores) {
				synctest.Test(t, func(t *testing.T) {
					if stores != nil {
						fresh := resilience.MemoryStores()
						stores = &fresh
					}
					e := opened(t, stores, approval(c.timeout))
					get := finish(e, Options{ID: "r"})
					time.Sleep(c.at)
					if c.at < time.Hour || c.timeout == 0 {
						c.send(t, e)
					}
					if got := get(); got != c.want {
						t.Errorf("%s, want %s", got, c.want)
					}
				})
			})
		})
	}
}

// TestEarlySignal is kept for the run, taken once however often it comes, and by two
// nodes in turn.
func TestEarlySignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		g := graph(says("Plan", "First", "Second"), signals("First", 0, "Join"), signals("Second", 0, "Join"), joins("Join", []string{"First", "Second"}, end))
		g.Nodes[2].Signal = "first"
		e := opened(t, &resilience.Stores{Log: &tappedLog{Log: stores.Log, at: -1}}, g) // which does not say that nobody else has it
		for range 3 {
			e.mustSignal(t, "r", "first", "a", "1")
		}
		get := finish(e, Options{ID: "r"})
		time.Sleep(time.Minute)
		e.mustSignal(t, "r", "first", "a", "1") // after it was taken, and dropped from the inbox
		time.Sleep(time.Minute)
		other := opened(t, &stores, g) // another process
		other.mustSignal(t, "r", "first", "b", "2")
		if got := get(); got != "completed Join(a,b)" {
			t.Error(got)
		}
		for r := range stores.Log.Heads(t.Context(), "inbox/", "") {
			t.Errorf("the inbox still has %s", r.Body)
		}
		if err := e.e.signal(t.Context(), "r", "first", Of("c"), SignalOptions{}); !errors.Is(err, ErrRunOver) {
			t.Errorf("a signal after the end: %v", err)
		}
	})
}

// TestWrongSignal becomes a letter, and the node waits again when that is replayed.
func TestWrongSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		e := opened(t, &stores, approval(0))
		if err := e.e.post(t.Context(), "r", inboxEntry{ID: "x", Kind: inboxSignal, Name: "approval", Value: Raw(json.RawMessage(`{"a":1}`))}); err != nil {
			t.Fatal(err)
		}
		got, err := e.Run(t.Context(), "in", Options{ID: "r"})
		if outcome(got, err) != "parked !"+ErrParked.Error() || len(got.DeadLetters) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		e.mustSignal(t, "r", "approval", "yes", "")
		replayAll(t, e)
		got, err = e.Resume(t.Context(), "r")
		if outcome(got, err) != "completed Ship(yes)" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// replayAll replays every letter that waits, and returns how the job ended.
func replayAll(t *testing.T, e *Engine[string, string]) resilience.Job {
	t.Helper()
	b := e.e.rt.DeadLetters()
	p, err := b.Plan(t.Context(), "state:dead", resilience.ReplayOptions{NoCanary: true, StopErrors: resilience.None})
	if err != nil {
		t.Fatal(err)
	}
	j, err := b.Apply(t.Context(), p.Token, resilience.ApplyOptions{By: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if j, err = b.Job(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
		if j.State == resilience.JobDone {
			return j
		}
		time.Sleep(time.Second)
	}
	t.Fatalf("the job does not end: %+v", j)
	return j
}

// lettersOf returns the states of all letters.
func lettersOf(t *testing.T, e *Engine[string, string]) (states string) {
	t.Helper()
	page, err := e.e.rt.DeadLetters().List(t.Context(), resilience.LetterQuery{OldestFirst: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range page.Letters {
		states += fmt.Sprintf(" %s:%s", l.Method, l.State)
	}
	return strings.TrimSpace(states)
}

func TestCancel(t *testing.T) {
	block := works("Plan", func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() }, end)
	for name, c := range map[string]struct {
		graph Graph
		wait  bool // until it is parked
	}{
		"a node that runs":   {graph(block), false},
		"waits for a signal": {approval(0), false},
		"waits for a timer": {func() Graph {
			g := graph(says("Plan", "Ship"), says("Ship", end))
			g.Nodes[1].Delay = 100 * time.Hour
			return g
		}(), false},
		"parked": {graph(works("Plan", func(context.Context, string) (string, error) { return "", errors.New("no") }, end)), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stores := resilience.MemoryStores()
				e := opened(t, &stores, c.graph)
				get := finish(e, Options{ID: "r"})
				time.Sleep(time.Second)
				if c.wait {
					get()
				}
				for range 2 {
					if err := e.Get("r").Cancel(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if !c.wait {
					if got := get(); got != "cancelled !"+ErrCancelled.Error() {
						t.Error(got)
					}
				}
				got, err := e.Run(t.Context(), "in", Options{ID: "r"})
				if outcome(got, err) != "cancelled !"+ErrCancelled.Error() || len(got.DeadLetters) != 0 {
					t.Errorf("%+v, %v", got, err)
				}
				if got := lettersOf(t, e); c.wait && got != "Plan:discarded" {
					t.Errorf("letters %s", got)
				}
			})
		})
	}
}

// TestCancelInMemory ends a run that has no store.
func TestCancelInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := opened(t, nil, approval(0))
		get := finish(e, Options{ID: "r"})
		time.Sleep(time.Second)
		if err := e.e.cancel(t.Context(), "r", "eva", false); err != nil {
			t.Fatal(err)
		}
		if got := get(); got != "cancelled !"+ErrCancelled.Error() {
			t.Error(got)
		}
		if err := e.e.cancel(t.Context(), "r", "eva", false); !errors.Is(err, resilience.ErrNoStore) {
			t.Errorf("of a run that is gone: %v", err)
		}
	})
}

// sometimes fails while it is told to.
func sometimes(name string, broken *atomic.Bool, next ...string) Node {
	n := works(name, func(_ context.Context, in string) (string, error) {
		if broken.Load() {
			return "", errors.New("peer is down")
		}
		return name + "(" + in + ")", nil
	}, next...)
	n.Params = []string{"in"}
	return n
}

func TestReplayOfNodes(t *testing.T) {
	for name, c := range map[string]struct {
		graph  func(broken *atomic.Bool) Graph
		before string
		act    func(t *testing.T, e *Engine[string, string], broken *atomic.Bool)
		after  string
		states string
	}{
		"parked, mended": {
			func(b *atomic.Bool) Graph { return graph(says("A", "B"), sometimes("B", b, "C"), says("C", end)) }, "parked !" + ErrParked.Error(),
			func(t *testing.T, e *Engine[string, string], b *atomic.Bool) { b.Store(false); replayAll(t, e) }, "completed C(B(A(in)))", "B:replayed",
		},
		"a join that waits for it": {
			func(b *atomic.Bool) Graph {
				return graph(says("A", "B", "C"), sometimes("B", b, "J"), says("C", "J"), joins("J", []string{"B", "C"}, end))
			}, "parked !" + ErrParked.Error(),
			func(t *testing.T, e *Engine[string, string], b *atomic.Bool) { b.Store(false); replayAll(t, e) }, "completed J(B(A(in)),C(A(in)))", "B:replayed",
		},
		"fails again": {
			func(b *atomic.Bool) Graph { return graph(says("A", "B"), sometimes("B", b, end)) }, "parked !" + ErrParked.Error(),
			func(t *testing.T, e *Engine[string, string], _ *atomic.Bool) { replayAll(t, e); replayAll(t, e) }, "parked !" + ErrParked.Error(), "B:dead",
		},
		"fails three times": {
			func(b *atomic.Bool) Graph { return graph(says("A", "B"), sometimes("B", b, end)) }, "parked !" + ErrParked.Error(),
			func(t *testing.T, e *Engine[string, string], _ *atomic.Bool) {
				replayAll(t, e)
				replayAll(t, e)
				replayAll(t, e)
			}, "parked !" + ErrParked.Error(), "B:quarantined",
		},
		"edited": {
			func(b *atomic.Bool) Graph { return graph(says("A", "B"), sometimes("B", b, end)) }, "parked !" + ErrParked.Error(),
			func(t *testing.T, e *Engine[string, string], b *atomic.Bool) {
				b.Store(false)
				page, _ := e.e.rt.DeadLetters().List(t.Context(), resilience.LetterQuery{})
				if _, err := e.e.rt.DeadLetters().Edit(t.Context(), page.Letters[0].ID, resilience.LetterEditRequest{Document: json.RawMessage(`{"in":"better"}`)}); err != nil {
					t.Fatal(err)
				}
				replayAll(t, e)
			}, "completed B(better)", "B:replayed",
		},
		"discarded, no way left": {
			func(b *atomic.Bool) Graph { return graph(says("A", "B"), sometimes("B", b, end)) }, "parked !" + ErrParked.Error(),
			discardAll, "failed !" + ErrFailed.Error(), "B:discarded",
		},
		"completed with dead letters, mended": {
			func(b *atomic.Bool) Graph { return graph(says("A", "B", end), sometimes("B", b)) }, "completed_with_dead_letters A(in)",
			func(t *testing.T, e *Engine[string, string], b *atomic.Bool) { b.Store(false); replayAll(t, e) }, "completed A(in)", "B:replayed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stores := resilience.MemoryStores()
				broken := &atomic.Bool{}
				broken.Store(true)
				e := opened(t, &stores, c.graph(broken))
				got, err := e.Run(t.Context(), "in", Options{ID: "r"})
				if outcome(got, err) != c.before {
					t.Errorf("before: %s, want %s", outcome(got, err), c.before)
				}
				c.act(t, e, broken)
				if status, err := e.Get("r").Status(t.Context()); err != nil || !strings.HasPrefix(c.after, string(status)) {
					t.Errorf("status %s, %v", status, err)
				}
				if got, err = e.Run(t.Context(), "in", Options{ID: "r"}); outcome(got, err) != c.after {
					t.Errorf("after: %s, want %s", outcome(got, err), c.after)
				}
				if got := lettersOf(t, e); got != c.states {
					t.Errorf("letters %s, want %s", got, c.states)
				}
			})
		})
	}
}

func discardAll(t *testing.T, e *Engine[string, string], _ *atomic.Bool) {
	t.Helper()
	page, err := e.e.rt.DeadLetters().List(t.Context(), resilience.LetterQuery{})
	for _, l := range page.Letters {
		if err == nil {
			_, err = e.e.rt.DeadLetters().Discard(t.Context(), l.ID, 0, "eva", "")
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRunsTell signals and cancels runs without the code that they run.
func TestRunsTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		e := opened(t, &stores, approval(0))
		runs, ctx := RunsOf(e.e.rt), t.Context()
		first, second := finish(e, Options{ID: "a"}), finish(e, Options{ID: "b"})
		time.Sleep(time.Minute)
		for _, wrong := range []error{
			runs.Signal(ctx, "Research", "a", "approved", json.RawMessage(`"yes"`), SignalOptions{}),
			runs.Signal(ctx, "Research", "a", "approval", json.RawMessage(`"yes`), SignalOptions{}),
		} {
			if !errors.Is(wrong, resilience.ErrInvalid) {
				t.Errorf("%v, want ErrInvalid", wrong)
			}
		}
		if err := runs.Signal(ctx, "Research", "a", "approval", json.RawMessage(`"yes"`), SignalOptions{By: "eva"}); err != nil {
			t.Fatal(err)
		}
		if err := runs.Cancel(ctx, "Research", "b", "eva"); err != nil {
			t.Fatal(err)
		}
		if a, b := first(), second(); a != "completed Ship(yes)" || b != "cancelled !"+ErrCancelled.Error() {
			t.Errorf("%s, %s", a, b)
		}
		if err := runs.Cancel(ctx, "Research", "b", "eva"); !errors.Is(err, ErrRunOver) {
			t.Errorf("of a run that has ended: %v", err)
		}
		if err := runs.Signal(ctx, "Research", "c", "approval", json.RawMessage(`1`), SignalOptions{}); !errors.Is(err, ErrRunUnknown) {
			t.Errorf("of a run that is not there: %v", err)
		}
	})
}

// TestCancelOfAQueuedRun ends one that nobody has begun.
func TestCancelOfAQueuedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		e := opened(t, &stores, approval(0))
		h, err := e.Start(t.Context(), "in", Options{ID: "r"})
		if err == nil {
			err = h.Cancel(t.Context())
		}
		if unknown := e.Get("nobody").Cancel(t.Context()); err != nil || !errors.Is(unknown, ErrRunUnknown) {
			t.Fatalf("%v; of no run: %v", err, unknown)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- e.Worker(WorkerOptions{}).Run(ctx) }()
		if got, err := h.Result(t.Context()); outcome(got, err) != "cancelled !"+ErrCancelled.Error() {
			t.Errorf("%+v, %v", got, err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
