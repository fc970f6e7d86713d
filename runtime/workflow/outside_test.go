package workflow

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// tappedLog is the log of a process that may end at any append to a run, and has the
// test do something there.
type tappedLog struct {
	resilience.Log
	mu    sync.Mutex
	n     int // appends to runs that began
	at    int // the one at which something happens
	after bool
	crash bool
	act   func()
	dead  bool
}

func (l *tappedLog) gone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

func (l *tappedLog) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	if l.gone() {
		return 0, resilience.ErrClosed
	}
	if !strings.HasPrefix(key, "run/") {
		return l.Log.Append(ctx, key, after, body)
	}
	l.mu.Lock()
	now := l.n == l.at
	l.n++
	l.mu.Unlock()
	if now && !l.after && l.happens() {
		return 0, resilience.ErrClosed
	}
	v, err := l.Log.Append(ctx, key, after, body)
	if now && l.after && l.happens() {
		return 0, resilience.ErrUnavailable
	}
	return v, err
}

// happens does what is to happen, and reports whether the process ends with it.
func (l *tappedLog) happens() bool {
	l.act()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = l.crash
	return l.dead
}

func (l *tappedLog) Scan(ctx context.Context, key string, after resilience.Version) iter.Seq2[resilience.Record, error] {
	if l.gone() {
		return func(yield func(resilience.Record, error) bool) { yield(resilience.Record{}, resilience.ErrClosed) }
	}
	return l.Log.Scan(ctx, key, after)
}

func (l *tappedLog) Drop(ctx context.Context, key string, through resilience.Version) error {
	if l.gone() {
		return resilience.ErrClosed
	}
	return l.Log.Drop(ctx, key, through)
}

// moment is one at which a message from outside arrives.
type moment struct {
	at           int
	after, crash bool
}

func (m moment) String() string {
	return fmt.Sprintf("append %d, after %t, crash %t", m.at, m.after, m.crash)
}

// everyMoment plays a run with something that happens at each append to its log,
// before and after it, without and with the end of the process that runs it; others
// is another process. It has check look at what came of it.
func everyMoment(t *testing.T, g func() Graph, act func(t *testing.T, other *Engine[string, string]), check func(t *testing.T, other *Engine[string, string], m moment, got string)) {
	for at, last := 0, false; !last; at++ {
		for _, m := range []moment{{at, false, false}, {at, true, false}, {at, false, true}, {at, true, true}} {
			synctest.Test(t, func(t *testing.T) {
				inner := resilience.MemoryStores()
				other := opened(t, &inner, g())
				log := &tappedLog{Log: inner.Log, at: m.at, after: m.after, crash: m.crash, act: func() { act(t, other) }}
				e := opened(t, &resilience.Stores{Log: log, Leases: inner.Leases}, g())
				got := outcome(e.runOrResume(t, other, log))
				log.mu.Lock()
				last = log.n <= m.at
				log.mu.Unlock()
				if !last {
					check(t, other, m, got)
				}
			})
			if t.Failed() || last {
				break
			}
		}
		if at > 100 {
			t.Fatal("the run does not end")
		}
		if t.Failed() {
			return
		}
	}
}

// runOrResume runs, and goes on after half a minute, or where the process ends
// meanwhile, in another process.
func (e *Engine[In, Out]) runOrResume(t *testing.T, other *Engine[string, string], log *tappedLog) (got Result[string], err error) {
	for n, engine := range []*Engine[string, string]{any(e).(*Engine[string, string]), other, other} {
		ctx, cancel := context.WithTimeout(t.Context(), []time.Duration{30 * time.Second, 30 * time.Second, 24 * time.Hour}[n])
		got, err = engine.Run(ctx, "in", Options{ID: "r"})
		cancel()
		if errors.Is(err, resilience.ErrFenced) || !log.gone() && !errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	return got, err
}

// TestSignalAtEveryMoment is taken once, whenever it comes and however often it is
// sent.
func TestSignalAtEveryMoment(t *testing.T) {
	var plans, ships atomic.Int32
	g := func() Graph {
		plans.Store(0)
		ships.Store(0)
		g := graph(
			works("Plan", func(_ context.Context, in string) (string, error) { plans.Add(1); return in, nil }, "Approval", "Pack"),
			signals("Approval", 0, "Ship"), says("Pack", "Ship"), joins("Ship", []string{"Approval", "Pack"}, "Again"),
			signals("Again", 0, end),
		)
		g.Nodes[4].Signal = "approval"
		return g
	}
	var sent chan struct{}
	everyMoment(t, g, func(t *testing.T, other *Engine[string, string]) {
		send := func(ids ...string) {
			for _, id := range ids {
				if err := other.e.signal(t.Context(), "r", "approval", Of("yes"+id), SignalOptions{ID: id}); err != nil && !errors.Is(err, ErrRunOver) && !errors.Is(err, resilience.ErrClosed) {
					t.Error(err)
				}
			}
		}
		send("1", "1")
		sent = make(chan struct{})
		go func() { // when it was taken, and dropped from the inbox
			defer close(sent)
			time.Sleep(time.Minute)
			send("1", "2")
		}()
	}, func(t *testing.T, _ *Engine[string, string], m moment, got string) {
		<-sent // the run may be over before whoever sent it has heard that it is there
		if got != "completed yes2" || plans.Load() > 2 || !m.crash && plans.Load() > 1 {
			t.Errorf("%v: %s, planned %d times", m, got, plans.Load())
		}
	})
}

// TestCancelAtEveryMoment ends the run, unless it has ended.
func TestCancelAtEveryMoment(t *testing.T) {
	g := func() Graph {
		return graph(says("A", "B", "C"), says("B", "J"), says("C", "J"), joins("J", []string{"B", "C"}, end))
	}
	completed := 0
	everyMoment(t, g, func(t *testing.T, other *Engine[string, string]) {
		if err := other.e.post(t.Context(), "r", inboxEntry{ID: "cancel", Kind: inboxCancel, By: "eva"}); err != nil {
			t.Error(err)
		}
	}, func(t *testing.T, _ *Engine[string, string], m moment, got string) {
		switch got {
		case "completed J(B(A(in)),C(A(in)))": // the last record was on its way
			if completed++; m.at < 4 && m.crash {
				t.Errorf("%v: %s", m, got)
			}
		case "cancelled !" + ErrCancelled.Error():
		default:
			t.Errorf("%v: %s", m, got)
		}
	})
	if completed == 0 {
		t.Error("no cancellation came too late")
	}
}

// TestReplayAtEveryMoment continues the run with the letter, whether its owner lives,
// has parked it or is gone; every message is done once.
func TestReplayAtEveryMoment(t *testing.T) {
	var calls, joined atomic.Int32
	var mended atomic.Bool
	g := func() Graph {
		calls.Store(0)
		joined.Store(0)
		mended.Store(false)
		b := works("B", func(context.Context, string) (string, error) {
			calls.Add(1)
			if !mended.Load() {
				return "", errDown
			}
			return "b", nil
		}, "J")
		j := joins("J", []string{"B", "D"}, end)
		call := j.Call
		j.Call = func(ctx context.Context, in Args) (Value, Route, error) { joined.Add(1); return call(ctx, in) }
		return graph(says("A", "B", "C"), b, says("C", "D"), says("D", "J"), j)
	}
	replayed := 0
	everyMoment(t, g, func(t *testing.T, other *Engine[string, string]) {
		mended.Store(true)
		p, err := other.e.rt.DeadLetters().Plan(t.Context(), "state:dead", resilience.ReplayOptions{})
		if err == nil && p.Count > 0 { // else it is too early
			replayed++
			_, err = other.e.rt.DeadLetters().Apply(t.Context(), p.Token, resilience.ApplyOptions{})
			synctest.Wait()
		}
		if err != nil {
			t.Error(err)
		}
	}, func(t *testing.T, other *Engine[string, string], m moment, got string) {
		time.Sleep(time.Hour) // the job may be at work yet
		if strings.HasPrefix(got, "parked") {
			got = outcome(other.Run(t.Context(), "in", Options{ID: "r"}))
		}
		if strings.HasPrefix(got, "parked") { // no letter was seen yet
			other = other.reopened(t)
			replayAll(t, other)
			got = outcome(other.Run(t.Context(), "in", Options{ID: "r"}))
		}
		again, letters := int32(0), lettersOf(t, other.reopened(t))
		if m.crash {
			again = 1
		}
		if got != "completed J(b,D(C(A(in))))" || calls.Load() > 2+again || joined.Load() > 1+again || strings.Contains(letters, "dead") {
			t.Errorf("%v: %s, B called %d times, J %d times, letters %s", m, got, calls.Load(), joined.Load(), letters)
		}
	})
	if replayed == 0 {
		t.Error("nothing was replayed")
	}
}

// reopened is the engine in a process that begins now.
func (e *Engine[In, Out]) reopened(t *testing.T) *Engine[string, string] {
	t.Helper()
	stores, err := e.e.rt.Stores()
	if err != nil {
		t.Fatal(err)
	}
	return opened(t, &stores, *e.e.g)
}

// TestReplayWaitsForTheOwner: while another process has the run, whoever replays a
// letter does not take it, and the owner finds the replay in its inbox.
func TestReplayWaitsForTheOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, broken := resilience.MemoryStores(), &atomic.Bool{}
		broken.Store(true)
		g := func() Graph {
			return graph(says("A", "B", "C"), sometimes("B", broken, "J"), signals("C", 0, "J"), joins("J", []string{"B", "C"}, end))
		}
		owner := opened(t, &resilience.Stores{Log: &tappedLog{Log: inner.Log, at: -1}, Leases: inner.Leases}, g())
		get := finish(owner, Options{ID: "r"})
		time.Sleep(time.Minute)
		broken.Store(false)
		other := opened(t, &resilience.Stores{Log: inner.Log, Leases: inner.Leases}, g())
		replayAll(t, other)
		other.mustSignal(t, "r", "c", "go", "")
		if got := get(); got != "completed J(B(A(in)),go)" {
			t.Error(got)
		}
		if got := lettersOf(t, other.reopened(t)); got != "B:replayed" {
			t.Error(got)
		}
	})
}

// TestLettersOnFiles survive the end of the process, with what is decided of them.
func TestLettersOnFiles(t *testing.T) {
	dir, broken := t.TempDir(), &atomic.Bool{}
	broken.Store(true)
	open := func() *Engine[string, string] {
		rt, err := resilience.Open(resilience.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		e, err := New[string, string](rt, graph(says("A", "B", "C"), sometimes("B", broken, "J"), signals("C", 0, "J"), joins("J", []string{"B", "C"}, end)))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := open()
	if err := e.Get("r").Signal(t.Context(), "c", Of("early"), SignalOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := outcome(e.Run(t.Context(), "in", Options{ID: "r"})); got != "parked !"+ErrParked.Error() {
		t.Fatal(got)
	}
	if err := e.e.rt.Close(); err != nil {
		t.Fatal(err)
	}
	broken.Store(false)
	e = open()
	p, err := e.e.rt.DeadLetters().Plan(t.Context(), "", resilience.ReplayOptions{})
	if err == nil {
		_, err = e.e.rt.DeadLetters().Apply(t.Context(), p.Token, resilience.ApplyOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	w, err := e.Get("r").watch()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.until(t.Context(), Status.Ended); err != nil {
		t.Fatal(err)
	}
	w.stop()
	if got := outcome(e.Run(t.Context(), "in", Options{ID: "r"})); got != "completed J(B(A(in)),early)" {
		t.Error(got)
	}
	if err := e.e.rt.Close(); err != nil {
		t.Fatal(err)
	}
}
