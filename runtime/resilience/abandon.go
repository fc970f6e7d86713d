package resilience

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"
)

// Abandonable calls f in a goroutine of its own and returns when f does, or
// when the context of the attempt ends: then with the zero value and the
// context's error, while f runs on, is counted by [Runtime.Abandoned] and keeps
// its slot of the bulkhead. What f returns later is
// dropped, and closed if it is an [io.Closer].
//
// A panic of f is raised again as a *[PanicError], its Goexit repeated; once f
// is abandoned, neither reaches anybody. Switched off, f is simply called.
func Abandonable[T any](c *Call, f func(context.Context) (T, error)) (T, error) {
	ctx := c.Context()
	if c.plan == nil {
		return f(ctx)
	}
	a := &abandonable[T]{done: make(chan struct{}), plan: c.plan, caller: c.caller, attempt: int(c.attempts), slot: c.holds&holdsSlot != 0, keyed: c.holds&holdsKey != 0, breaker: c.breaker}
	if c.holds&holdsShare != 0 {
		a.steering = c.plan.steering
	}
	lent := c.holds & (holdsSlot | holdsShare)
	c.holds &^= lent // the delegate's, until it really returns
	if a.keyed {
		a.breaker.calls.Add(1) // by a call that is in flight: it cannot be evicted now
	}
	go a.run(ctx, f)
	if !c.plan.lends {
		lent = 0
	}
	select {
	case <-a.done:
		c.holds |= lent
		return a.result()
	case <-ctx.Done():
	}
	running := &c.plan.rt.abandoned
	running.Add(1)
	if !a.state.CompareAndSwap(flying, left) {
		running.Add(-1)
		<-a.done
		c.holds |= lent
		return a.result()
	}
	var zero T
	return zero, ctx.Err()
}

// Abandoned returns how many delegates still run that no call waits for: left
// behind by timeout.mode abandon, or by all who shared an execution of a
// [Cache].
func (rt *Runtime) Abandoned() int64 {
	root, _ := rt.root()
	return root.abandoned.Load()
}

// abandonable is an execution that its caller may leave.
type abandonable[T any] struct {
	done    chan struct{}
	state   atomic.Int32
	plan    *plan
	slot    bool
	caller  context.Context
	attempt int
	keyed   bool // the breaker is one that a key keeps

	breaker  *breaker
	steering *steering // of which it has a share; nil: none

	value    T
	err      error
	panicked *PanicError
	exited   bool // by runtime.Goexit
}

const (
	flying int32 = iota
	landed
	left // by the caller
)

func (a *abandonable[T]) run(ctx context.Context, f func(context.Context) (T, error)) {
	a.exited = true
	defer a.land()
	defer func() {
		if a.exited {
			if v := recover(); v != nil {
				a.exited, a.panicked = false, carried(v)
			}
		}
	}()
	a.value, a.err = f(ctx)
	a.exited = false
}

func (a *abandonable[T]) land() {
	if a.keyed {
		a.breaker.release()
	}
	if a.plan.lends && a.state.CompareAndSwap(flying, landed) { // what it holds is the caller's again
		close(a.done)
		return
	}
	if a.slot {
		a.plan.bulkhead.release()
	}
	if a.steering != nil {
		a.steering.leave()
	}
	if !a.state.CompareAndSwap(flying, landed) {
		if a.err == nil && !a.exited && a.panicked == nil {
			discard(a.value)
		}
		a.plan.rt.abandoned.Add(-1)
		defer a.ended()
	}
	close(a.done)
}

func (a *abandonable[T]) result() (T, error) {
	return reraise(a.panicked, a.exited, a.value, a.err)
}

// discard closes a result that nobody takes, if it can be closed. What the
// closing comes to reaches nobody, like the result.
func discard[T any](v T) {
	closer, ok := any(v).(io.Closer)
	if !ok {
		return
	}
	defer func() { _ = recover() }() // a nil pointer with a method, for one
	_ = closer.Close()
}

// PanicError is the panic of a delegate that ran in a goroutine of ours, raised
// again where the call was made.
type PanicError struct {
	Value any    // what the delegate panicked with
	Stack []byte // of the delegate's goroutine
}

// carried is a panic of v as it is raised again: one that another goroutine of ours
// has carried already stays what it is. It is called where v is recovered.
func carried(v any) *PanicError {
	if e, ok := v.(*PanicError); ok {
		return e
	}
	return &PanicError{Value: v, Stack: debug.Stack()}
}

// Error returns the value and the delegate's stack, which a crash would print.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n\n%s", e.Value, e.Stack) }

// Unwrap returns the value if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
