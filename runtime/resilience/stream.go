package resilience

import (
	"context"
	"io"
	"sync/atomic"
)

// Result is how long what a method returned is in use. The generator sees it in
// the signature. The zero value is: no longer than the call.
type Result uint8

// How long results are in use.
const (
	_ Result = iota // not given: complete when the method returns
	// ReadOn results are used on under the context of the attempt, and nobody can
	// see the end of that: *sql.Rows, a channel. The context ends at the limit of a
	// timeout or with the caller's, not when the method returns; a slot of the
	// bulkhead is free again at the return.
	ReadOn
	// Held results are in use until they are closed or ranged over: the context of
	// the attempt, its slot of the bulkhead and its share of an adaptive limit are
	// held until then. See [Call.Hold].
	Held
)

// Hold is what a result needs of the call it came from, for as long as it is in
// use: the context of the attempt, the slot of the bulkhead, the share of an
// adaptive limit.
//
// A timeout goes on, unless it is timeout.open: the context ends at its limit, and
// with the caller's. Slot and share are given back then, too, so that a result
// which nobody closes keeps them no longer than its context. It is safe for
// concurrent use. A nil Hold holds nothing.
type Hold struct {
	plan  *plan
	lazy  *lazyContext // nil: the context is the caller's
	holds holding
	watch func() bool // ends the watch over the context; nil: there is none
	back  atomic.Bool // slot and share are given back
}

// Holds reports whether there is something to hold for the result: the call is
// over, it did not fail, and it has not been asked before.
func (c *Call) Holds() bool {
	return c.holds&(holdsContext|holdsSlot|holdsShare) != 0 && c.plan.lends && c.phase == over && c.last == nil && c.reason == nil
}

// Hold hands over what the result of a call that [Call.Holds] needs on; the call
// has it no longer. Of a result without a Hold the call's End gives all back.
func (c *Call) Hold() *Hold {
	h := c.bequeath(nil)
	ctx := c.caller
	if h.lazy != nil {
		ctx = h.lazy
	}
	if h.holds != 0 && ctx.Done() != nil {
		h.watch = context.AfterFunc(ctx, h.giveBack)
	}
	return h
}

// bequeath takes from the call what its result needs on; around is the context of
// the hedge that the call is, if it is one. nil: nothing is needed.
func (c *Call) bequeath(around *lazyContext) *Hold {
	if around != nil && !c.plan.lends {
		return nil
	}
	h := &Hold{plan: c.plan, lazy: c.lazy, holds: c.holds & (holdsSlot | holdsShare)}
	if h.lazy == nil {
		h.lazy = around
	}
	c.holds &^= holdsSlot | holdsShare | holdsContext
	c.lazy = nil
	return h
}

// adopt makes what a hedge has left that of the call.
func (c *Call) adopt(h *Hold) {
	if h != nil {
		c.holds |= h.holds | holdsContext
		c.lazy = h.lazy
	}
}

// giveBack ends what a call holds for its result, which nobody wants.
func (c *Call) giveBack() {
	c.freeAttempt()
	c.release(false)
}

// freeAttempt gives back the slot and the share of an attempt, if they are not
// those of the call.
func (c *Call) freeAttempt() {
	if n := c.plan.nest; n == nil || n.holds&holdsSlot == 0 {
		c.freeSlot()
	}
	c.leaveShare()
}

// freeUnlessHeld gives the slot back, unless it is for the result.
func (c *Call) freeUnlessHeld() {
	if !c.plan.lends || c.last != nil || c.reason != nil {
		c.freeSlot()
	}
}

// End gives everything back: the result is no longer in use. It may be called
// again.
func (h *Hold) End() {
	if h == nil {
		return
	}
	h.drained()
	if h.lazy != nil {
		h.lazy.conclude()
	}
}

// drained gives slot and share back: nothing more is asked of the peer. The
// context goes on, since closing the result may need it.
func (h *Hold) drained() {
	if h.watch != nil {
		h.watch()
	}
	h.giveBack()
}

func (h *Hold) giveBack() {
	if h.holds == 0 || !h.back.CompareAndSwap(false, true) {
		return
	}
	if h.holds&holdsSlot != 0 {
		h.plan.bulkhead.release()
	}
	if h.holds&holdsShare != 0 {
		h.plan.steering.leave()
	}
}

// HeldReader returns r, the result of the call, such that the call's [Hold] ends
// when it is closed. Slot and share are given back when it has been read to its
// end, unless it can be written to. A read that fails past the limit of a timeout
// fails with an error that matches [ErrTimeout].
//
// The result is an [io.Writer] and an [io.WriterTo] if r is. What else r can do
// is hidden. r itself is returned if there is nothing to hold.
func HeldReader(c *Call, r io.ReadCloser) io.ReadCloser {
	if r == nil || !c.Holds() {
		return r
	}
	held := &heldReader{ReadCloser: r, hold: c.Hold()}
	w, writes := r.(io.Writer)
	_, copies := r.(io.WriterTo)
	held.duplex = writes
	switch {
	case writes && copies:
		return struct {
			*heldReader
			io.Writer
			heldWriterTo
		}{held, w, heldWriterTo{held}}
	case writes:
		return struct {
			*heldReader
			io.Writer
		}{held, w}
	case copies:
		return struct {
			*heldReader
			heldWriterTo
		}{held, heldWriterTo{held}}
	}
	return held
}

// heldReader ends its hold when it is closed.
type heldReader struct {
	io.ReadCloser
	hold   *Hold
	duplex bool // the end of what can be read is not the end
}

func (r *heldReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil {
		err = r.ended(err)
	}
	return n, err
}

// ended notes the end of what can be read, and names the limit if that is why.
func (r *heldReader) ended(err error) error {
	l := r.hold.lazy
	switch {
	case err == io.EOF && !r.duplex:
		r.hold.drained()
	case err != io.EOF && l != nil && l.Err() == context.DeadlineExceeded && l.parent.Err() == nil:
		return r.hold.plan.late(l.cause, err)
	}
	return err
}

// Close closes the reader, and ends the hold also if that panics.
func (r *heldReader) Close() error {
	defer r.hold.End()
	return r.ReadCloser.Close()
}

// heldWriterTo is the WriteTo of a reader that has one; a type of its own,
// because not every reader does.
type heldWriterTo struct{ of *heldReader }

func (w heldWriterTo) WriteTo(to io.Writer) (int64, error) {
	n, err := w.of.ReadCloser.(io.WriterTo).WriteTo(to)
	if err != nil {
		return n, w.of.ended(err)
	}
	if !w.of.duplex {
		w.of.hold.drained()
	}
	return n, nil
}

// HeldSeq returns seq, the result of the call, such that the call's [Hold] ends
// with the first range over it: when that is exhausted, left, or ended by a
// panic. A second one runs under a context that has ended. seq itself is returned
// if there is nothing to hold.
func HeldSeq[V any](c *Call, seq func(yield func(V) bool)) func(yield func(V) bool) {
	if seq == nil || !c.Holds() {
		return seq
	}
	hold := c.Hold()
	return func(yield func(V) bool) {
		defer hold.End()
		seq(yield)
	}
}

// HeldSeq2 is [HeldSeq] for pairs.
func HeldSeq2[K, V any](c *Call, seq func(yield func(K, V) bool)) func(yield func(K, V) bool) {
	if seq == nil || !c.Holds() {
		return seq
	}
	hold := c.Hold()
	return func(yield func(K, V) bool) {
		defer hold.End()
		seq(yield)
	}
}
