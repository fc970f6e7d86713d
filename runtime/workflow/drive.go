package workflow

import (
	"runtime"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// A run is driven by whoever has its baton: one goroutine at a time. The one that
// began the run, its keeper, has it at first and puts it down while it waits. A node
// runs on a goroutine of its own, which takes the baton when the node is done: it takes
// in what came of that and calls the node whose turn it is itself, so that a chain of
// nodes switches between no goroutines. What is more than that is the keeper's: ends,
// errors and all that happens besides.

// handOver is what the keeper gets together with the baton.
type handOver struct {
	err      error                  // nothing can be recorded any more
	panicked *resilience.PanicError // what drove the run, and not a node, did
	exited   bool                   // or it ended its goroutine
}

// accept has the keeper go on where another goroutine stopped.
func (h handOver) accept() error {
	switch {
	case h.panicked != nil:
		panic(h.panicked)
	case h.exited:
		runtime.Goexit()
	}
	return h.err
}

// wait puts the baton down until something happens, and takes in what a node came to.
func (r *run) wait() error {
	var landed *invocation
	halted := false
	r.baton <- struct{}{}
	select {
	case h := <-r.back:
		return h.accept()
	case landed = <-r.landed:
	case <-r.wake:
	case <-r.halt:
		halted = true
	}
	select {
	case <-r.baton:
	case h := <-r.back:
		if landed != nil && h != (handOver{}) {
			r.landed <- landed // for discard: its place is still free
		}
		if err := h.accept(); err != nil {
			return err
		}
	}
	if halted {
		r.halt, r.stopping = nil, true
	}
	if landed != nil {
		return r.land(landed)
	}
	return nil
}

// start has the node of an invocation called. A goroutine that is done with its node
// keeps the last one for itself.
func (r *run) start(inv *invocation) {
	if r.following {
		inv, r.kept = r.kept, inv
	}
	if inv != nil {
		go r.work(inv)
	}
}

// work calls the node of an invocation, and those that follow from it. It is a
// goroutine of its own: a node may end it, or never return.
func (r *run) work(inv *invocation) {
	defer func() {
		if inv != nil { // the node ended the goroutine
			r.landed <- inv
		}
	}()
	for inv != nil {
		inv.call(r.nodes)
		done := inv
		inv = nil
		inv = r.follow(done)
	}
}

// follow drives the run on from an invocation whose node is done, and returns the
// next one to call here, if there is one. While somebody else drives the run, he gets
// the invocation.
func (r *run) follow(inv *invocation) (next *invocation) {
	select {
	case <-r.baton:
	default:
		r.landed <- inv
		return nil
	}
	h := handOver{exited: true}
	defer func() {
		if v := recover(); v != nil {
			h = handOver{panicked: panicOf(v).(*resilience.PanicError)}
		}
		next, r.kept, r.following = r.kept, nil, false
		if h == (handOver{}) && len(r.flying) > 0 && r.nodes.Err() == nil {
			r.baton <- struct{}{}
			return
		}
		if next != nil {
			go r.work(next)
			next = nil
		}
		r.back <- h
	}()
	r.following = true
	h = handOver{err: r.goOnFrom(inv)}
	return nil
}

// goOnFrom takes in what an invocation came to, and begins what follows.
func (r *run) goOnFrom(inv *invocation) error {
	if err := r.land(inv); err != nil {
		return err
	}
	if err := r.snapshot(); err != nil {
		return r.fail(err)
	}
	if err := r.round(); err != nil {
		return err
	}
	r.setAlarm()
	return nil
}
