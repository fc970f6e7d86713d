package simulation

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Peer is the modelled callee. It is safe for concurrent use.
type Peer struct {
	config  Config
	failure error
	slots   chan struct{} // nil: any number

	mu       sync.Mutex
	random   *rand.Rand // for attempts that say no number
	begun    time.Time
	attempts []int // by the number of the slice
	phases   [3]int
	inFlight int
	peak     int
}

// StatusError is the failure of a [Peer] that was given no other: an answer with
// an HTTP status, which policies classify by it.
type StatusError int

func (e StatusError) Error() string { return "modelled failure: " + strconv.Itoa(int(e)) }

// StatusCode returns the status.
func (e StatusError) StatusCode() int { return int(e) }

// NewPeer returns a peer whose failures, and those in its outage, are failure;
// nil is a StatusError of 503.
func NewPeer(c Config, failure error) *Peer {
	p := &Peer{config: c, failure: failure, random: rand.New(rand.NewPCG(c.Seed, peerStream)), begun: time.Now(), attempts: make([]int, sliceCount+1)}
	if failure == nil {
		p.failure = StatusError(503)
	}
	if c.Capacity > 0 {
		p.slots = make(chan struct{}, c.Capacity)
	}
	return p
}

// Serve is one attempt: it takes its time and returns nil, the failure, or the
// error of ctx if that ends before.
func (p *Peer) Serve(ctx context.Context) error {
	at := p.enter()
	defer p.leave()
	if p.config.out(at) {
		return p.refuse(ctx, at)
	}
	if p.slots != nil {
		select {
		case p.slots <- struct{}{}:
			defer func() { <-p.slots }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	latency, fails := p.draw(ctx)
	if err := wait(ctx, latency); err != nil {
		return err
	}
	if fails {
		return p.failure
	}
	return nil
}

// refuse is what an attempt gets in an outage.
func (p *Peer) refuse(ctx context.Context, at time.Duration) error {
	if p.config.Outage.Hang {
		if err := wait(ctx, p.config.Outage.Start+p.config.Outage.Length-at); err != nil {
			return err
		}
	}
	return p.failure
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter counts an attempt, and returns the time since the load began.
func (p *Peer) enter() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := time.Since(p.begun)
	p.attempts[p.config.slice(at)]++
	p.phases[p.config.phase(at)]++
	p.inFlight++
	p.peak = max(p.peak, p.inFlight)
	return at
}

func (p *Peer) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight--
}

// begin is when the load begins.
func (p *Peer) begin(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = now
}

// draw decides about an attempt. One that says which it is has numbers of its
// own: what else happens at the same instant does not change them.
func (p *Peer) draw(ctx context.Context) (latency time.Duration, fails bool) {
	random := p.random
	if n, ok := ctx.Value(callKey{}).(int); ok {
		random = rand.New(rand.NewPCG(p.config.Seed, uint64(n)<<16|uint64(resilience.Attempt(ctx).Number&0xffff)))
	} else {
		p.mu.Lock()
		defer p.mu.Unlock()
	}
	return p.config.latency(random), random.Float64() < p.config.Failures
}

// callKey is the key of the number of a call in its context.
type callKey struct{}
