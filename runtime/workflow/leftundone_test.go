package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// mortalQueue is the queue of a process that ends with its log.
type mortalQueue struct {
	resilience.Queue
	log *tappedLog
}

func (q mortalQueue) Put(ctx context.Context, queue, id string, body []byte, after time.Duration) error {
	if q.log.gone() {
		return resilience.ErrClosed
	}
	return q.Queue.Put(ctx, queue, id, body, after)
}

// workAll has workers without patience take what engines have in their queues, until
// nothing is due for a while.
func workAll(t *testing.T, stores resilience.Stores, engines ...*engine) {
	t.Helper()
	begun := time.Now()
	for idle := 0; idle < 3; {
		some := false
		for _, e := range engines {
			c, err := stores.Queue.Claim(t.Context(), e.g.queueOf(""), time.Minute, 0)
			if errors.Is(err, resilience.ErrEmpty) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			var entry entry
			if err := json.Unmarshal(c.Entry().Body, &entry); err != nil {
				t.Fatal(err)
			}
			some = true
			switch rest, err := e.work(context.WithoutCancel(t.Context()), &turn{entry: entry}); {
			case err == nil && (rest.status.Ended() || rest.status == Parked):
				_ = c.Ack(t.Context())
			default:
				_ = c.Nack(t.Context(), lookAgain)
			}
		}
		if idle++; some {
			idle = 0
		}
		if time.Sleep(lookAgain); time.Since(begun) > 20*lookAgain {
			return // it does not end
		}
	}
}

// TestWorkersAtEveryMoment: whichever worker ends when, another one ends what it left,
// also where nothing but the end, a letter or the start of a child was left to do.
func TestWorkersAtEveryMoment(t *testing.T) {
	always := &atomic.Bool{}
	always.Store(true)
	kept := remembering()
	for name, c := range map[string]struct {
		child Graph
		want  string
	}{
		"a child":                   {graph(says("Pack", "Send"), says("Send", end)), "completed Done(Send(Pack(Order(in))),Bill(Order(in)))"},
		"a child that fails":        {graph(sometimes("Pack", always)), "parked !" + ErrParked.Error()},
		"a child with letters":      {graph(says("Pack", "Send", "Log"), sometimes("Log", always), says("Send", end)), "completed Done(Send(Pack(Order(in))),Bill(Order(in)))"},
		"a memory that is kept too": {kept, "completed Done(x,Bill(Order(in)))"},
	} {
		t.Run(name, func(t *testing.T) {
			for at, last := 0, false; !last && !t.Failed(); at++ {
				synctest.Test(t, func(t *testing.T) {
					inner := resilience.MemoryStores()
					log := &tappedLog{Log: inner.Log, at: at, after: true, crash: true, act: func() {}}
					dying := inner
					dying.Log, dying.Queue = log, mortalQueue{inner.Queue, log}
					parent, child := family(t, &dying, c.child)
					if _, err := parent.e.start(t.Context(), Of("in"), Options{ID: "r"}); err != nil {
						t.Fatal(err)
					}
					workAll(t, inner, parent.e, child.e)
					last = !log.gone()
					parent, child = family(t, &inner, c.child)
					workAll(t, inner, parent.e, child.e)
					h := parent.Get("r")
					if status, err := h.Status(t.Context()); err != nil || !status.Ended() && status != Parked {
						t.Errorf("append %d: it is %s, %v", at, status, err)
						return
					}
					if got := outcome(h.Result(t.Context())); got != c.want {
						t.Errorf("append %d: %s, want %s", at, got, c.want)
					}
				})
			}
		})
	}
}

// TestCancelSurvivesItsOwner: who took the wish dies before the end is recorded.
func TestCancelSurvivesItsOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := resilience.MemoryStores()
		log := &tappedLog{Log: inner.Log, at: 2, after: true, crash: true, act: func() {}}
		first := opened(t, &resilience.Stores{Log: log}, approval(0))
		get := finish(first, Options{ID: "r"})
		time.Sleep(time.Second)
		_ = first.e.cancel(t.Context(), "r", "eva", false)
		_ = get()
		if !log.gone() {
			t.Fatal("its owner lives")
		}
		second := opened(t, &inner, approval(0))
		if rest, err := second.e.work(t.Context(), &turn{entry: entry{ID: "r"}}); err != nil || rest.status != Cancelled {
			t.Errorf("%+v, %v", rest, err)
		}
	})
}
