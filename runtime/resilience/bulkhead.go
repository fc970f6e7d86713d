package resilience

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// bulkhead limits the executions in flight; who waits is served in order.
//
// Without waiters slots are taken and given back without the lock. Who begins
// to wait says so in queued before looking at taken once more, and who gives
// back looks at queued after: one of the two sees the other.
type bulkhead struct {
	name   string
	conf   atomic.Pointer[Bulkhead] // every default filled in; an update replaces it
	slots  atomic.Int64             // conf.MaxConcurrent
	taken  atomic.Int64
	queued atomic.Int64 // len(waiting)

	mu      sync.Mutex
	waiting []chan struct{} // closed when a slot is handed over
}

func newBulkhead(name string, conf Bulkhead) *bulkhead {
	b := &bulkhead{name: name}
	b.resize(conf)
	return b
}

// withDefaults fills in what was not given.
func (conf Bulkhead) withDefaults() Bulkhead {
	conf.MaxConcurrent = orInt(conf.MaxConcurrent, 25)
	conf.MaxWait = max(conf.MaxWait, 0)
	switch {
	case conf.MaxWait == 0:
		conf.MaxQueue = 0
	case conf.MaxQueue == 0:
		conf.MaxQueue = math.MaxInt
	default:
		conf.MaxQueue = max(conf.MaxQueue, 0)
	}
	return conf
}

// acquire takes a slot, or waits for one until MaxWait, due (unless zero) or
// ctx ends. The error is ErrBulkheadFull, late for due, or the context's.
func (b *bulkhead) acquire(ctx context.Context, due time.Duration, late error) error {
	if b.quick() {
		return nil
	}
	conf := b.conf.Load()
	if conf.MaxQueue == 0 {
		return ErrBulkheadFull
	}
	b.mu.Lock()
	if len(b.waiting) >= conf.MaxQueue {
		b.mu.Unlock()
		return ErrBulkheadFull
	}
	turn := make(chan struct{})
	b.waiting = append(b.waiting, turn)
	b.handOver()
	b.mu.Unlock()
	return b.wait(ctx, conf.MaxWait, due, late, turn)
}

// quick takes a slot if one is free and nobody waits.
func (b *bulkhead) quick() bool { return b.queued.Load() == 0 && b.take() }

// take takes a free slot.
func (b *bulkhead) take() bool {
	for {
		n := b.taken.Load()
		if n >= b.slots.Load() {
			return false
		}
		if b.taken.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// handOver gives free slots to who waits longest. b.mu is held.
func (b *bulkhead) handOver() {
	b.queued.Store(int64(len(b.waiting)))
	for len(b.waiting) > 0 && b.take() {
		close(b.waiting[0])
		b.waiting[0] = nil
		b.waiting = b.waiting[1:]
	}
	b.queued.Store(int64(len(b.waiting)))
}

func (b *bulkhead) wait(ctx context.Context, patience, due time.Duration, late error, turn chan struct{}) error {
	reason := ErrBulkheadFull
	if due != 0 {
		if left := due - sinceEpoch(); left < patience {
			patience, reason = left, late
		}
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var err error
	select {
	case <-turn:
		if err = ctx.Err(); err == nil { // else who leaves does, and gets back what it paid
			return nil
		}
	case <-timer.C:
		err = reason
	case <-ctx.Done():
		err = ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.waiting, turn)
	switch {
	case i >= 0:
		b.waiting = slices.Delete(b.waiting, i, i+1)
	case err == ErrBulkheadFull: // handed over at the moment in which patience ended
		return nil
	default:
		b.taken.Add(-1) // handed over to somebody who leaves: it goes to the next one
	}
	b.handOver()
	return err
}

// release gives a slot back.
func (b *bulkhead) release() {
	b.taken.Add(-1)
	if b.queued.Load() > 0 {
		b.serve()
	}
}

// serve hands free slots over.
func (b *bulkhead) serve() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handOver()
}
