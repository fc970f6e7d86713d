package soak

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/overrides"
	"github.com/resilgen/resilgen/runtime/resilience"
)

var duration = flag.Duration("soak", 3*time.Second, "how long to call")

const callers = 64

// shared is the name of the breaker that no operator touches.
const shared = "together"

// Every allocation of a timer is to be found again.
func init() { runtime.MemProfileRate = 512 }

// soak is a Runtime under load. On the exact instance nothing passes the guards
// by, so that every count is known; the other one is switched off and on, and
// its breakers are reset.
type soak struct {
	rt               *resilience.Runtime
	dir              string
	exact, switched  *world
	over             atomic.Bool // callers are to end
	observerPanicked atomic.Int64
	transitions      atomic.Int64 // of the shared breaker, as events told
	begun            time.Time

	file struct{ good, bad, in, refused atomic.Int64 }
	ops  sync.Map // of what changed things: *atomic.Int64 by name
}

// world is an instance of the wrapper, and what it wraps.
type world struct {
	*peer
	wrapper *ResilientPeer
	ids     atomic.Uint64
}

func newSoak(t *testing.T) *soak {
	s := &soak{dir: t.TempDir(), begun: time.Now()}
	var err error
	s.rt, err = resilience.Open(resilience.Options{Observe: s.observe, ChaosInProduction: true})
	if err != nil {
		t.Fatal(err)
	}
	s.exact, s.switched = s.world(t, "exact"), s.world(t, "switched")
	return s
}

func (s *soak) world(t *testing.T, name string) *world {
	p := &peer{book: newBook(name)}
	w, err := NewResilientPeer(s.rt.Named(name), p, p)
	if err != nil {
		t.Fatal(err)
	}
	return &world{peer: p, wrapper: w}
}

// observe counts, and panics now and then.
func (s *soak) observe(_ context.Context, e resilience.Event) {
	if e.Kind == resilience.BreakerTransition && e.Name == shared {
		s.transitions.Add(1)
	}
	for _, w := range []*world{s.exact, s.switched} {
		if w != nil {
			w.observe(e)
		}
	}
	if rand.IntN(5000) == 0 {
		s.observerPanicked.Add(1)
		panic("observer")
	}
}

// TestSoak calls every method from many goroutines while policies change, and
// then holds what the Runtime says against what callers, delegates and events
// have counted.
func TestSoak(t *testing.T) {
	before := runtime.NumGoroutine()
	s := newSoak(t)
	stop := s.change(t)
	var load sync.WaitGroup
	for range callers {
		load.Go(s.caller)
	}
	s.openShared()
	time.Sleep(*duration / 5)
	early := heap()
	time.Sleep(*duration - *duration/5)
	s.over.Store(true)
	load.Wait()
	stop()
	s.calm(t)
	late := heap()
	s.account(t)
	s.report(t, early, late)
	if late > early+4<<20 {
		t.Errorf("the heap grew from %d to %d KB", early>>10, late>>10)
	}
	if err := s.rt.Close(); err != nil {
		t.Error(err)
	}
	s.leaks(t, before)
}

// openShared has every delegate fail until the shared breaker has opened, which
// by chance no outage of a short soak may bring about.
func (s *soak) openShared() {
	for until := time.Now().Add(time.Minute); s.transitions.Load() == 0 && time.Now().Before(until); {
		s.exact.down.Store(true)
		time.Sleep(time.Millisecond)
	}
	s.exact.down.Store(false)
}

// caller calls until it is over. A goroutine that ends is replaced.
func (s *soak) caller() {
	for !s.over.Load() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for !s.over.Load() {
				w := s.exact
				if rand.IntN(4) == 0 {
					w = s.switched
				}
				w.call(method(rand.IntN(int(methods))), fate(rand.IntN(100)))
				runtime.Gosched() // else who waited for a while waits for the slices of all
			}
		}()
		<-done
	}
}

// fate is how a caller is.
type fate int

const patient fate = 99

// call makes one call and counts what comes of it.
func (w *world) call(m method, how fate) {
	c := &call{}
	c.caller, c.cancel = context.WithCancel(context.Background())
	switch {
	case how < 4:
		c.cancel()
	case how < 10:
		c.cancel()
		c.caller, c.cancel = context.WithTimeout(context.Background(), time.Duration(rand.IntN(3000))*time.Microsecond)
	}
	w.run(m, c, keys[rand.IntN(len(keys))])
}

// fresh makes a call with a key of its own.
func (w *world) fresh(m method, c *call, key string) {
	c.caller, c.cancel = context.WithCancel(context.Background())
	w.run(m, c, key)
}

func (w *world) run(m method, c *call, key string) {
	a := &w.accounts[m]
	early := c.caller.Err() != nil
	req := Request{ID: w.ids.Add(1), Key: key, Tokens: rand.IntN(4), call: c}
	defer c.cancel()
	returned := false
	defer func() {
		if v := recover(); !returned {
			w.vanished(a, c, v)
		}
	}()
	a.begun.Add(1)
	if early {
		a.came.Add(1)
	}
	answer, err := called[m](w.wrapper, c.caller, req)
	returned = true
	if m == mBudget && err == nil && answer == (Answer{}) {
		a.answered.Add(1)
	} else {
		a.judge(c, err, early)
	}
	w.look(a, c, req, answer, err)
}

var keys = func() (list []string) {
	for n := range 24 {
		list = append(list, fmt.Sprint("key", n))
	}
	return list
}()

// vanished counts a call that ended by a panic of v, or Goexit.
func (w *world) vanished(a *account, c *call, v any) {
	if c.fell { // it was the fallback: the call had ended
		a.judge(c, nil, false)
		return
	}
	if carried, ok := v.(*resilience.PanicError); ok {
		v = carried.Value
	}
	if v != nil && v != "peer" && v != resilience.ErrChaos {
		a.wrong("panic: %v", v)
	}
	a.failure.Add(1)
	a.vanished.Add(1)
}

// look looks at what came back, and at what was left.
func (w *world) look(a *account, c *call, req Request, answer Answer, err error) {
	shared := a.method == mCached || a.method == mStale
	switch {
	case err != nil || a.method == mBudget && answer == (Answer{}):
	case answer.Key != req.Key || answer.ID != req.ID && !shared:
		a.wrong("the answer is not that of the request")
	}
	if a.method != mOpen && !shared && !c.settled() {
		a.wrong("the context of an attempt lives on")
	}
}

// heap is what is in use, in bytes.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// change changes everything until stop is called.
func (s *soak) change(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for name, f := range map[string]func(context.Context) error{
		"update": s.update, "disable": s.disable, "preset": s.preset, "switch": s.turn, "breaker": s.breaker,
		"outage": s.outage, "read": s.reader(), "file": s.rewrite, "clear": s.clear,
	} {
		count := &atomic.Int64{}
		s.ops.Store(name, count)
		all.Go(func() {
			for ctx.Err() == nil {
				if err := f(ctx); err != nil {
					s.exact.accounts[0].wrong("%s: %v", name, err)
				}
				count.Add(1)
				_ = sleep(ctx, time.Duration(rand.IntN(4000))*time.Microsecond)
			}
		})
	}
	path := filepath.Join(s.dir, "overrides.yaml")
	if err := os.WriteFile(path, []byte("version: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stopWatch, err := overrides.Watch(s.rt, path, overrides.Options{Interval: 5 * time.Millisecond, Report: func(err error) {
		if err == nil {
			s.file.in.Add(1)
		} else {
			s.file.refused.Add(1)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return func() { cancel(); all.Wait(); stopWatch() }
}
