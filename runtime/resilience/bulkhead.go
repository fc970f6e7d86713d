package resilience

import (
	"context"
	"math"
	"sync"
	"time"
)

// bulkhead limits the executions in flight; who waits is served in order.
type bulkhead struct {
	name    string
	conf    Bulkhead // every default filled in
	mu      sync.Mutex
	taken   int
	waiting []chan struct{} // closed when a slot is handed over
}

func newBulkhead(name string, conf Bulkhead) *bulkhead {
	conf.MaxConcurrent = max(orInt(conf.MaxConcurrent, 25), 1)
	conf.MaxWait = max(conf.MaxWait, 0)
	switch {
	case conf.MaxWait == 0:
		conf.MaxQueue = 0
	case conf.MaxQueue == 0:
		conf.MaxQueue = math.MaxInt
	default:
		conf.MaxQueue = max(conf.MaxQueue, 0)
	}
	return &bulkhead{name: name, conf: conf}
}

// acquire takes a slot, or waits for one until MaxWait or ctx ends. The error
// is ErrBulkheadFull or the context's.
func (b *bulkhead) acquire(ctx context.Context) error {
	b.mu.Lock()
	if b.taken < b.conf.MaxConcurrent {
		b.taken++
		b.mu.Unlock()
		return nil
	}
	if len(b.waiting) >= b.conf.MaxQueue {
		b.mu.Unlock()
		return ErrBulkheadFull
	}
	turn := make(chan struct{})
	b.waiting = append(b.waiting, turn)
	b.mu.Unlock()
	return b.wait(ctx, turn)
}

func (b *bulkhead) wait(ctx context.Context, turn chan struct{}) error {
	timer := time.NewTimer(b.conf.MaxWait)
	defer timer.Stop()
	var err error
	select {
	case <-turn:
		return nil
	case <-timer.C:
		err = ErrBulkheadFull
	case <-ctx.Done():
		err = ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, other := range b.waiting {
		if other == turn {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			return err
		}
	}
	// The slot was handed over at the same moment: it goes to the next one.
	b.pass()
	return err
}

// release gives a slot back.
func (b *bulkhead) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pass()
}

// pass hands a slot to who waits longest. b.mu is held.
func (b *bulkhead) pass() {
	if len(b.waiting) == 0 {
		b.taken--
		return
	}
	turn := b.waiting[0]
	b.waiting[0] = nil
	b.waiting = b.waiting[1:]
	close(turn)
}
