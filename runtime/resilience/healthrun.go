package resilience

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"
)

// component is a member of a registry.
type component struct {
	h     *HealthRegistry
	given Component // as registered
	// ctx is that of every run; cancel ends it, and the goroutine.
	ctx    context.Context
	cancel context.CancelFunc

	mu sync.Mutex
	vital
	paused uint64        // times
	wake   chan struct{} // asks for a run
	done   chan struct{} // closed when the run that is out, or the next one, ends
	ended  chan struct{} // closed when the goroutine has ended
}

// start begins the goroutine of a component that has runs. h.mu is held.
func (c *component) start() {
	if !c.given.active() {
		close(c.ended)
		return
	}
	c.mu.Lock()
	c.watched = time.Now()
	c.mu.Unlock()
	go c.run(c.given.InitialDelay)
}

// run is the goroutine. A check that ends it gets another one.
func (c *component) run(delay time.Duration) {
	closed := false
	defer func() {
		if closed {
			close(c.ended)
		} else {
			go c.run(c.pause())
		}
	}()
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for {
		select {
		case <-c.ctx.Done():
		case <-c.wake:
		case <-timer.C:
		}
		if closed = c.ctx.Err() != nil; closed {
			return
		}
		c.probe()
		timer.Reset(c.pause())
	}
}

// pause returns the time until the next run: Interval ± 10 %, so that the
// replicas of a service do not ask all at once.
func (c *component) pause() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused++
	r := rand.Float64()
	if seed := c.h.rt.seed; seed != 0 {
		name := fnv.New64a()
		_, _ = name.Write([]byte(c.given.Name)) // it never fails
		own := Call{random: seed ^ name.Sum64() ^ c.paused<<32}
		r = own.draw()
	}
	return saturate(float64(c.conf.Interval)*(0.9+0.2*r), math.MaxInt64)
}

// probe makes one run.
func (c *component) probe() {
	preset, _ := c.h.given()
	c.mu.Lock()
	c.adopt(preset)
	now := time.Now()
	c.begin(now)
	select {
	case <-c.wake: // whoever asked waits for this run
	default:
	}
	deadline := now.Add(c.conf.Timeout)
	c.mu.Unlock()

	ctx, cancel := context.WithDeadline(c.ctx, deadline)
	defer cancel()
	var r HealthReading
	failure, stack := "the check ended its goroutine", ""
	defer func() { c.land(r, failure, stack) }()
	defer func() {
		if v := recover(); v != nil {
			failure, stack = clip(fmt.Sprint("panic: ", v)), clip(string(debug.Stack()))
		}
	}()
	r, failure = c.consult(ctx)
}

// land takes note of how a run ended. One that was cut short says nothing.
func (c *component) land(r HealthReading, failure, stack string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		c.started = time.Time{}
	} else {
		if c.stack = stack; stack != "" {
			c.panics++
		}
		c.finish(time.Now(), r, failure)
	}
	c.h.changed.Add(1)
	close(c.done)
	c.done = make(chan struct{})
}

// consult asks the user's func, and the error it returns for its text; "" if
// there is none.
func (c *component) consult(ctx context.Context) (r HealthReading, failure string) {
	var err error
	if c.given.Measure != nil {
		r, err = c.given.Measure(ctx)
	} else {
		err = c.given.Check(ctx)
	}
	if err == nil {
		return r, ""
	}
	return HealthReading{}, cmp.Or(clip(err.Error()), "an error without a text")
}

// hurry asks for a run, unless one is out, and returns what is closed at the
// end of it.
func (c *component) hurry() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started.IsZero() {
		select {
		case c.wake <- struct{}{}:
		default: // somebody has asked
		}
	}
	return c.done
}

// over reports whether the goroutine has ended.
func (c *component) over() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// deadline is when the run that is out ends at the latest, if it listens.
func (c *component) deadline() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started.IsZero() {
		return time.Time{}
	}
	return c.started.Add(c.conf.Timeout)
}

// adopt takes over the numbers of a preset. c.mu is held.
func (c *component) adopt(preset Preset) {
	if g := c.given.Guard; preset == NoPreset && g != nil {
		preset = g.policy.Preset
	}
	c.conf = c.given.under(preset)
}

// examine returns the component's health and what changed since it was
// examined last.
func (c *component) examine(now time.Time, preset Preset) (ComponentHealth, []HealthChange) {
	var r guardReading
	if c.given.Guard != nil {
		r = c.given.Guard.reading()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.adopt(preset)
	changes := c.look(now, r)
	return c.health(), changes
}

// given returns the preset in force, and why the overrides that were given last
// are not, "" if they are.
func (h *HealthRegistry) given() (preset Preset, refused string) {
	h.rt.mu.Lock()
	defer h.rt.mu.Unlock()
	if h.rt.refused != nil {
		refused = h.rt.refused.Error()
	}
	return h.rt.preset, refused
}

// tell is the goroutine that looks once a second, and tells the observer. An
// observer that ends it gets another one.
func (h *HealthRegistry) tell() {
	defer func() {
		if h.ctx.Err() != nil {
			close(h.told)
		} else {
			go h.tell()
		}
	}()
	tick := time.NewTicker(healthTick)
	defer tick.Stop()
	for h.ctx.Err() == nil {
		select {
		case <-h.ctx.Done():
		case <-h.wake:
		case <-tick.C:
			h.Snapshot()
		}
		h.deliver()
	}
}

// report leaves changes for the observers, if there are any.
func (h *HealthRegistry) report(changes []HealthChange) {
	for _, c := range changes {
		if h.news != nil {
			h.news.add(context.Background(), Event{Kind: HealthChanged, Time: c.At, Name: c.Component, By: c.Cause, Reason: c.Reason,
				HealthFrom: c.From, HealthTo: c.To, Flapping: c.Flapping, Quiet: c.Quiet})
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(changes) == 0 || h.observe == nil && h.news == nil || !h.running {
		return
	}
	if h.observe == nil {
		changes = nil
	}
	fit := min(len(changes), queueLimit-len(h.queue))
	h.queue = append(h.queue, changes[:fit]...)
	h.dropped += int64(len(changes) - fit)
	select {
	case h.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// inform tells the observer of the Runtime what a snapshot has found, unless
// there is a goroutine that does: who asks for a snapshot is in a hurry.
func (h *HealthRegistry) inform() {
	h.mu.Lock()
	running := h.running
	h.mu.Unlock()
	if !running {
		h.news.tell()
	}
}

// deliver tells the observers what there is.
func (h *HealthRegistry) deliver() {
	h.news.tell()
	for {
		h.mu.Lock()
		observe := h.observe
		if len(h.queue) == 0 {
			h.mu.Unlock()
			return
		}
		change := h.queue[0]
		h.queue = h.queue[1:]
		h.mu.Unlock()
		if observe != nil {
			h.call(observe, change)
		}
	}
}

// call survives a panic of the observer.
func (h *HealthRegistry) call(observe func(HealthChange), change HealthChange) {
	defer func() {
		if recover() != nil {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.panics++
		}
	}()
	observe(change)
}
