package resilience

import (
	"fmt"
	"time"
)

// Adaptive rejects calls by what it observes of the peer. It is the innermost
// of the parts that reject: it measures the peer, and not our queues.
type Adaptive struct {
	On   bool // on with defaults, for an Adaptive that gives nothing else
	Mode AdaptiveMode

	// Of Throttle: attempts are rejected with probability
	// max(0, (requests − K·accepts)/(requests + 1)), at most MaxRejectionRatio
	// (Beyer et al., "Site Reliability Engineering", chapter 21, "Handling
	// Overload"). Requests are the attempts of the last Window, those that it
	// rejected itself among them, accepts those that the peer answered.
	K                 float64       // ≥ 1; default 2
	Window            time.Duration // default 2m
	MaxRejectionRatio float64       // in (0,1]; default 0.9

	// Of Concurrency: the limit of attempts in flight is moved by their latency.
	Algorithm    Algorithm
	InitialLimit int // default 20, or the nearest between MinLimit and MaxLimit
	MinLimit     int // default 1
	MaxLimit     int // default 1000
}

// AdaptiveMode is what an [Adaptive] goes by.
type AdaptiveMode uint8

// Modes of adaptive limits.
const (
	Throttle    AdaptiveMode = iota // the share of attempts that the peer accepts; rejections match ErrRateLimited
	Concurrency                     // the latency of the peer; rejections match ErrBulkheadFull
)

// Algorithm is how a limit is moved.
type Algorithm uint8

// Algorithms, after those of Netflix's concurrency-limits (2018).
const (
	// Gradient moves the limit in proportion to the least latency over that of now.
	Gradient Algorithm = iota
	// Vegas estimates the queue at the peer from the least latency, as TCP Vegas
	// does (Brakmo, O'Malley and Peterson, 1994).
	Vegas
)

func (a *Adaptive) set() bool { return *a != Adaptive{} }

// withDefaults returns a with every number filled in.
func (a Adaptive) withDefaults() Adaptive {
	a.K = orFloat(a.K, 2)
	a.Window = orDuration(a.Window, 2*time.Minute)
	a.MaxRejectionRatio = orFloat(a.MaxRejectionRatio, 0.9)
	a.MinLimit = orInt(a.MinLimit, 1)
	a.MaxLimit = orInt(a.MaxLimit, 1000)
	a.InitialLimit = orInt(a.InitialLimit, min(max(20, a.MinLimit), a.MaxLimit))
	return a
}

// check calls refuse for what cannot work.
func (a *Adaptive) check(refuse func(bad bool, text string)) {
	d := a.withDefaults()
	refuse(a.K != 0 && a.K < 1, "adaptive.k: must be at least 1")
	refuse(a.MaxRejectionRatio < 0 || a.MaxRejectionRatio > 1, "adaptive.maxRejectionRatio: must be in (0,1]")
	refuse(a.Window != 0 && a.Window < time.Millisecond, "adaptive.window: must be at least 1ms")
	refuse(a.MinLimit < 0 || a.MaxLimit < 0 || a.InitialLimit < 0 || d.MaxLimit > mostInFlight, "adaptive: a limit must be 1 to 1000000")
	refuse(d.MinLimit > d.InitialLimit || d.InitialLimit > d.MaxLimit, fmt.Sprintf("adaptive: minLimit, initialLimit and maxLimit must not decrease, and are %d, %d and %d, defaults among them",
		d.MinLimit, d.InitialLimit, d.MaxLimit))
}

const mostInFlight = 1_000_000

// adaptiveFor returns what steers the calls of g, under the numbers of p; one
// of the two at most. rt.mu is held.
func (g *Guard) adaptiveFor(p *Policy) (*throttle, *steering) {
	conf := p.Adaptive.withDefaults()
	switch {
	case !p.Adaptive.set():
		return nil, nil
	case conf.Mode == Throttle:
		if g.throttle == nil {
			g.throttle = newThrottle(g.name, conf, sinceEpoch(), g.rt.observer)
		}
		g.throttle.reconfigure(conf)
		return g.throttle, nil
	}
	if g.steering == nil {
		g.steering = newSteering(g.name, conf, g.rt.observer)
	}
	g.steering.reconfigure(conf)
	return nil, g.steering
}

// limitNews are the events of adaptive parts.
func (rt *Runtime) limitNews() []*news {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	var list []*news
	for _, g := range rt.guards {
		switch {
		case g.throttle != nil:
			list = append(list, g.throttle.news)
		case g.steering != nil:
			list = append(list, g.steering.news)
		}
	}
	return list
}

// adapt asks the adaptive part, and returns why it rejects the call. Its news are
// not told yet.
func (c *Call) adapt() error {
	t, s := c.plan.throttle, c.plan.steering
	switch {
	case t != nil && (t.calm.Load() || !t.rejects(c.caller, sinceEpoch(), c.chance())):
	case t != nil:
		return ErrRateLimited
	case !s.enter():
		return ErrBulkheadFull
	default:
		c.holds |= holdsShare
	}
	c.holds |= holdsWatch
	return nil
}

// tellLimit tells what a throttle that lets the call pass has to say. What the call
// paid is given back if who is told ends the goroutine.
func (c *Call) tellLimit(paid ticket) {
	t := c.plan.throttle
	if t == nil || t.news == nil || t.news.waiting.Load() == 0 {
		return
	}
	exited := true
	defer func() {
		if exited {
			c.repay(paid)
		}
	}()
	t.news.tell()
	exited = false
}

// chance returns a number in [0,1).
func (c *Call) chance() float64 {
	if c.random == 0 {
		c.random = c.plan.rt.stream()
	}
	return c.draw()
}

// watched tells the adaptive part how the attempt ended. now is 0 if no clock was
// read.
func (c *Call) watched(o outcome, now time.Duration) {
	c.holds &^= holdsWatch
	p := c.plan
	if c.last != nil || o == outcomeIgnored || !p.lends {
		defer c.leaveShare() // still counted while a sample is taken; also where who is told ends the goroutine
	}
	switch {
	case o == outcomeIgnored:
	case p.throttle == nil:
		if now == 0 {
			now = sinceEpoch()
		}
		p.steering.sample(c.caller, now-c.begun, o == outcomeFailure)
	case o == outcomeSuccess:
		p.throttle.passed.here().Add(1)
	default:
		p.throttle.refused(c.caller, sinceEpoch())
	}
}

// leaveShare gives back the place among the attempts in flight.
func (c *Call) leaveShare() {
	if c.holds&holdsShare != 0 {
		c.holds &^= holdsShare
		c.plan.steering.leave()
	}
}

// answer is what the adaptive part hears of an attempt that is no plain success:
// a peer that says no for good has accepted it.
func (c *Call) answer() outcome {
	switch {
	case c.kinds&(KindCanceled|KindCallerDeadline) != 0: // also when a result came back
		return outcomeIgnored
	case c.last == nil || c.kinds&KindPermanent != 0:
		return outcomeSuccess
	case c.kinds&floor != 0: // a rejection by another guard
		return outcomeIgnored
	}
	return outcomeFailure
}
