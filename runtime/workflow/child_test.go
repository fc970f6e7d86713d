package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// family is a parent whose node Ship is a run of the workflow of child.
func family(t testing.TB, stores *resilience.Stores, child Graph) (parent, c *Engine[string, string]) {
	t.Helper()
	child.Name = "Shipping"
	c = opened(t, stores, child)
	g := graph(says("Order", "Ship", "Bill"), Node{Name: "Ship", Params: []string{"input"}, In: []Codec{text}, Out: text, Next: []string{"Done"}, Child: Child(c)},
		says("Bill", "Done"), joins("Done", []string{"Ship", "Bill"}, end))
	parent, err := New[string, string](c.e.rt, g)
	if err != nil {
		t.Fatal(err)
	}
	return parent, c
}

func TestChild(t *testing.T) {
	slow := graph(says("Pack", "Send"), says("Send", end))
	slow.Nodes[1].Delay = 48 * time.Hour
	for name, c := range map[string]struct {
		child Graph
		want  string
	}{
		"done":              {graph(says("Pack", end)), "completed Done(Pack(Order(in)),Bill(Order(in)))"},
		"waits for a timer": {slow, "completed Done(Send(Pack(Order(in))),Bill(Order(in)))"},
	} {
		t.Run(name, func(t *testing.T) {
			ways(t, func(t *testing.T, stores *resilience.Stores) {
				synctest.Test(t, func(t *testing.T) {
					if stores != nil {
						fresh := resilience.MemoryStores()
						stores = &fresh
					}
					parent, _ := family(t, stores, c.child)
					for range 2 {
						if got := outcome(parent.Run(t.Context(), "in", Options{ID: "r"})); got != c.want {
							t.Errorf("%s, want %s", got, c.want)
						}
					}
				})
			})
		})
	}
}

// TestChildThatFails is the failure of its parent's node, whose replay is another
// child.
func TestChildThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		var calls atomic.Int32
		child := graph(routes("Pack", func(_ context.Context, in string) (string, Route, error) {
			if calls.Add(1) == 1 {
				return "", End, nil // that is no output
			}
			return in, To(Target[string]("Send")), nil
		}, "Send"), says("Send", end))
		parent, _ := family(t, &stores, child)
		if got := outcome(parent.Run(t.Context(), "in", Options{ID: "r"})); got != "parked !"+ErrParked.Error() || lettersOf(t, parent) != "Ship:dead" {
			t.Fatal(got, lettersOf(t, parent))
		}
		replayAll(t, parent)
		if got := outcome(parent.Run(t.Context(), "in", Options{ID: "r"})); got != "completed Done(Send(Order(in)),Bill(Order(in)))" || calls.Load() != 2 || lettersOf(t, parent) != "Ship:replayed" {
			t.Errorf("%s, %d children, letters %s", got, calls.Load(), lettersOf(t, parent))
		}
	})
}

// TestChildThatParks parks its parent, and both go on when its letter is replayed.
func TestChildThatParks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		broken := &atomic.Bool{}
		broken.Store(true)
		parent, _ := family(t, &stores, graph(sometimes("Pack", broken, end)))
		for range 2 {
			if got := outcome(parent.Run(t.Context(), "in", Options{ID: "r"})); got != "parked !"+ErrParked.Error() {
				t.Fatal(got)
			}
		}
		broken.Store(false)
		replayAll(t, parent)
		if got := outcome(parent.Run(t.Context(), "in", Options{ID: "r"})); got != "completed Done(Pack(Order(in)),Bill(Order(in)))" {
			t.Error(got)
		}
		if got := lettersOf(t, parent); got != "Pack:replayed" {
			t.Error(got)
		}
	})
}

// TestChildOfWorkers goes through the queues: its parent is given back while it waits,
// and comes again when the child has ended.
func TestChildOfWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		parent, child := family(t, &stores, graph(says("Pack", end)))
		put, err := parent.e.g.entryOf("r", Of("in"))
		if err == nil {
			err = parent.e.g.put(t.Context(), stores.Queue, put, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		works := func(e *engine) Status {
			t.Helper()
			c, err := stores.Queue.Claim(t.Context(), e.g.queueOf(""), time.Minute, 0)
			if err != nil {
				t.Fatal(err)
			}
			var entry entry
			if err := json.Unmarshal(c.Entry().Body, &entry); err != nil {
				t.Fatal(err)
			}
			rest, err := e.work(t.Context(), &turn{entry: entry})
			if err == nil && rest.status == Waiting {
				err = c.Nack(t.Context(), time.Hour)
			} else if err == nil {
				err = c.Ack(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			return rest.status
		}
		if parent, child, again := works(parent.e), works(child.e), works(parent.e); parent != Waiting || child != Completed || again != Completed {
			t.Errorf("%s, %s, %s", parent, child, again)
		}
	})
}

// busyLeases say of runs of a workflow that somebody else has them, until a time.
type busyLeases struct {
	resilience.Leases
	prefix string
	until  time.Time
}

func (l *busyLeases) Acquire(ctx context.Context, name, owner string, ttl time.Duration) (resilience.Lease, error) {
	if left := time.Until(l.until); left > 0 && strings.HasPrefix(name, l.prefix) {
		return resilience.Lease{}, &resilience.HeldError{Name: name, Owner: "another one", For: left}
	}
	return l.Leases.Acquire(ctx, name, owner, ttl)
}

// TestChildThatIsBusy: the lease of a child may last for longer than that of its parent,
// where who had both is gone. Then the parent asks again, and does not wait for an answer
// that nobody gives.
func TestChildThatIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		busy := &busyLeases{Leases: stores.Leases, until: time.Now().Add(7 * time.Second)}
		stores.Leases = busy
		parent, child := family(t, &stores, graph(says("Pack", end)))
		busy.prefix = resilience.StoreKey("run", child.e.g.storeName()) + "/"
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		begun := time.Now()
		if got := outcome(parent.Run(ctx, "in", Options{ID: "r"})); got != "completed Done(Pack(Order(in)),Bill(Order(in)))" {
			t.Error(got)
		}
		if took := time.Since(begun); took < 7*time.Second || took > 8*time.Second {
			t.Errorf("it took %v, want the 7 s for which the child was busy", took)
		}
	})
}

// TestCancelledParent cancels its children.
func TestCancelledParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		parent, child := family(t, &stores, graph(works("Pack", func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() }, end)))
		get := finish(parent, Options{ID: "r"})
		time.Sleep(time.Second)
		if err := parent.e.cancel(t.Context(), "r", "eva", false); err != nil {
			t.Fatal(err)
		}
		if got := get(); got != "cancelled !"+ErrCancelled.Error() {
			t.Error(got)
		}
		children := 0
		for r, err := range stores.Log.Heads(t.Context(), resilience.StoreKey("run", child.e.g.storeName())+"/", "") {
			last, wrong := decodeRecord(r.Body)
			if children++; errors.Join(err, wrong) != nil || last.End == nil || last.End.Status != Cancelled {
				t.Errorf("%s: %v", r.Body, err)
			}
		}
		if children != 1 {
			t.Errorf("%d children", children)
		}
	})
}

// TestChildAtEveryMoment: whichever process ends when, each node of the child and the
// parent comes to its result once.
func TestChildAtEveryMoment(t *testing.T) {
	var packed atomic.Int32
	child := func() Graph {
		packed.Store(0)
		return graph(works("Pack", func(_ context.Context, in string) (string, error) { packed.Add(1); return in, nil }, "Send"), says("Send", end))
	}
	for at, last := 0, false; !last; at++ {
		for _, after := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				inner := resilience.MemoryStores()
				log := &tappedLog{Log: inner.Log, at: at, after: after, crash: true, act: func() {}}
				first, _ := family(t, &resilience.Stores{Log: log}, child())
				_, _ = first.Run(t.Context(), "in", Options{ID: "r"})
				if last = !log.gone(); last {
					return
				}
				second, _ := family(t, &inner, child())
				got := outcome(second.Run(t.Context(), "in", Options{ID: "r"}))
				if want := "completed Done(Send(Order(in)),Bill(Order(in)))"; got != want || packed.Load() > 1 {
					t.Errorf("append %d, after %t: %s, packed %d times", at, after, got, packed.Load())
				}
			})
			if t.Failed() {
				return
			}
		}
		if at > 100 {
			t.Fatal("the run does not end")
		}
	}
}
