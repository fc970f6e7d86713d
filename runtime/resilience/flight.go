package resilience

import (
	"context"
	"sync"
)

// sharing lets calls with one key share an execution. The zero value has none in
// flight.
type sharing[K comparable, V any] struct {
	mu      sync.Mutex
	flights map[K]*flight[V]
}

// flight is an execution that calls share. The mu of its sharing guards the two in
// the middle.
type flight[V any] struct {
	done   chan struct{}
	cancel context.CancelFunc
	began  int64  // of a Cache: after so many clears
	args   string // of a checkpoint: their hash
	text   []byte // of a checkpoint: the value, if it is recorded

	waiting int
	landed  bool

	value    V
	outcome  Outcome
	panicked *PanicError
	exited   bool // by runtime.Goexit
}

// flightKey is the key under which the context of an execution has it.
type flightKey struct{ flight any }

// around reports whether ctx is one of the execution itself.
func (fl *flight[V]) around(ctx context.Context) bool { return ctx.Value(flightKey{fl}) != nil }

// begin returns a new execution for key, with its context, which has the values of
// ctx and ends when everybody has left. s.mu is held.
func (s *sharing[K, V]) begin(ctx context.Context, key K) (*flight[V], context.Context) {
	fl := &flight[V]{done: make(chan struct{}), waiting: 1}
	ctx, fl.cancel = context.WithCancel(context.WithValue(context.WithoutCancel(ctx), flightKey{fl}, true))
	if s.flights == nil {
		s.flights = map[K]*flight[V]{}
	}
	s.flights[key] = fl
	return fl, ctx
}

// forget lets nobody else wait for an execution. s.mu is held.
func (s *sharing[K, V]) forget(key K, fl *flight[V]) {
	if s.flights[key] == fl {
		delete(s.flights, key)
	}
}

// wait returns when the execution has ended, or its caller has left, which it
// reports. If that was the last one, the execution is cancelled.
func (s *sharing[K, V]) wait(ctx context.Context, rt *Runtime, key K, fl *flight[V]) (left bool) {
	select {
	case <-fl.done:
		return false
	case <-ctx.Done():
	}
	if s.leave(rt, key, fl) {
		return true
	}
	<-fl.done
	return false
}

// leave takes a caller from an execution, and cancels it if it was the last one.
// It reports false if the execution has ended.
func (s *sharing[K, V]) leave(rt *Runtime, key K, fl *flight[V]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fl.landed {
		return false
	}
	if fl.waiting--; fl.waiting == 0 {
		s.forget(key, fl) // who comes now begins anew
		rt.abandoned.Add(1)
		fl.cancel()
	}
	return true
}

// execute calls f, and then land in any case.
func (fl *flight[V]) execute(ctx context.Context, f func(context.Context) (V, Outcome), land func()) {
	fl.exited = true
	defer land()
	defer func() {
		if fl.exited {
			if v := recover(); v != nil {
				fl.exited, fl.panicked = false, carried(v)
			}
		}
	}()
	fl.value, fl.outcome = f(ctx)
	fl.exited = false
}

// end ends an execution: who waits takes what it came to. kept is called before,
// with mu held and if anybody waits. Of one that nobody waits for the name's
// observer hears.
func (s *sharing[K, V]) end(ctx context.Context, rt *Runtime, name string, key K, fl *flight[V], kept func()) {
	fl.cancel()
	s.mu.Lock()
	fl.landed = true
	s.forget(key, fl)
	left := fl.waiting == 0
	if !left {
		kept()
	}
	s.mu.Unlock()
	if left {
		rt.abandoned.Add(-1)
		defer rt.tellAbandoned(ctx, name, 0, fl.outcome.err, fl.panicked, fl.exited)
	}
	close(fl.done)
}

func (fl *flight[V]) result() (V, Outcome) {
	return reraise(fl.panicked, fl.exited, fl.value, fl.outcome)
}
