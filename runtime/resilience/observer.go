package resilience

import (
	"context"
	"sync"
	"sync/atomic"
)

// observer is the func that events are told to. A nil one is nobody.
type observer struct {
	observe         func(context.Context, Event)
	panics, dropped atomic.Int64
}

// tell calls the func, with no lock held. A panic in it is counted and goes no
// further; a Goexit ends the goroutine, as who calls it wants.
func (o *observer) tell(ctx context.Context, e Event) {
	defer func() {
		if recover() != nil {
			o.panics.Add(1)
		}
	}()
	o.observe(ctx, e)
}

// ObserverCounts are what went wrong in telling [Options.Observe].
type ObserverCounts struct {
	Panics  int64 // of the func
	Dropped int64 // events of an object that had too many waiting, because the func blocked
}

// Observer returns the counts of the Runtime's observer.
func (rt *Runtime) Observer() ObserverCounts {
	root, _ := rt.root()
	if root.observer == nil {
		return ObserverCounts{}
	}
	return ObserverCounts{root.observer.panics.Load(), root.observer.dropped.Load()}
}

// news are the events of one object that several goroutines use: they are
// added under the object's lock and told without it, in the order in which they
// happened, by one goroutine at a time. Who finds another one telling leaves its
// own to it; so does the observer when it causes events itself.
type news struct {
	to      *observer
	waiting atomic.Int64 // len(queue)

	mu      sync.Mutex
	queue   []untold
	telling bool
}

type untold struct {
	ctx   context.Context
	event Event
}

// maxNews bounds what waits while an observer blocks.
const maxNews = 1024

func (n *news) add(ctx context.Context, e Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue) == maxNews {
		n.to.dropped.Add(1)
		return
	}
	n.queue = append(n.queue, untold{ctx, e})
	n.waiting.Add(1)
}

// tell tells what waits, unless somebody is at it. No lock is held.
func (n *news) tell() {
	if n == nil || n.waiting.Load() == 0 {
		return
	}
	for u, ok := n.next(); ok; u, ok = n.next() {
		n.tellOne(u)
	}
}

// next takes the oldest event, and with it the turn to tell.
func (n *news) next() (u untold, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.telling || len(n.queue) == 0 {
		return u, false
	}
	u = n.queue[0]
	n.queue[0] = untold{}
	n.queue = n.queue[1:]
	n.waiting.Add(-1)
	n.telling = true
	return u, true
}

func (n *news) tellOne(u untold) {
	exited := true
	defer func() {
		n.mu.Lock()
		n.telling = false
		n.mu.Unlock()
		if exited { // the observer ended the goroutine: nobody else would go on
			n.tell()
		}
	}()
	n.to.tell(u.ctx, u.event)
	exited = false
}
