package resilience

import (
	"context"
	"runtime"
	"time"
)

// Outcome is how a call ended, for a [Cache] to keep.
type Outcome struct {
	plan   *plan // nil: switched off
	caller context.Context
	err    error
	kinds  Kind
	falls  bool
	poor   bool // a result that is judged bad, or too old
	again  bool // see MayRepeat
	tries  int32
	failed *Call // that was executed, where letters of it are kept
	stale  error // what a value answers for that is too old
}

// Outcome returns how the call ended.
func (c *Call) Outcome() Outcome {
	falls := (c.last != nil || c.reason != nil) && c.plan != nil && c.plan.mayFall && c.fallbackApplies()
	return c.noted(Outcome{plan: c.plan, caller: c.caller, err: c.Err(), kinds: c.kinds, falls: falls, poor: c.poor, again: c.MayRepeat(), tries: c.attempts})
}

// Err is [Call.Err].
func (o Outcome) Err() error { return o.err }

// WantsFallback is [Call.WantsFallback]. Each call that shared an execution asks
// for itself.
func (o Outcome) WantsFallback() bool {
	if !o.falls {
		return false
	}
	o.plan.countFallback()
	if o.plan.letters {
		o.plan.notesFallback(o.caller, o.err)
	}
	if observer := o.plan.rt.observer; observer != nil {
		observer.tell(o.caller, Event{Kind: FallbackUsed, Time: time.Now(), Name: o.plan.name, Err: o.err})
	}
	return true
}

// under is o for a call under ctx. A value that is too old does not make it
// a success where it replays a letter.
func (o Outcome) under(ctx context.Context) Outcome {
	o.caller = ctx
	if o.stale != nil && o.plan.letters {
		o.plan.notesFallback(ctx, o.stale)
	}
	return o
}

// MayRepeat is [Call.MayRepeat].
func (o Outcome) MayRepeat() bool { return o.again }

// reraise returns what a goroutine of ours came to, in the way it did.
func reraise[T, R any](panicked *PanicError, exited bool, value T, result R) (T, R) {
	if panicked != nil {
		panic(panicked)
	}
	if exited {
		runtime.Goexit()
	}
	return value, result
}
