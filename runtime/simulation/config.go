package simulation

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Config is a load and a peer. Its zero value is no load at all.
type Config struct {
	Seed     uint64        // of arrivals, latencies, failures and jitter
	Rate     float64       // calls a second
	Uniform  bool          // calls come evenly, instead of at random (a Poisson process)
	Duration time.Duration // calls come for so long; those in flight then end as they will
	Deadline time.Duration // of each caller; 0 is none
	// Instances of the service take turns with the calls. Each has breakers,
	// budgets and limits of its own; 0 is one.
	Instances int

	// Half of the answers take at most P50, and all but a hundredth at most P99:
	// latencies are log-normal. Zeros are answers at once.
	P50, P99 time.Duration
	Failures float64 // share of the attempts that fail, in [0,1]
	Capacity int     // attempts that the peer works on at a time, the others queue; 0 is any number
	Outage   Outage
}

// Outage is a time in which every attempt that comes fails at once, or hangs
// until its context or the outage ends. The zero value is none.
type Outage struct {
	Start, Length time.Duration
	Hang          bool
}

// MaxCalls is the most calls that a simulation may have.
const MaxCalls = 2_000_000

// maxInFlight is where calls have piled up beyond what a process bears.
const maxInFlight = 50_000

// check returns what is wrong with c.
func (c Config) check() error {
	switch {
	case !(c.Rate > 0) || c.Duration <= 0:
		return errors.New("a load has a rate and a duration above 0")
	case c.Rate*c.Duration.Seconds() > MaxCalls:
		return fmt.Errorf("%.0f calls are more than %d", c.Rate*c.Duration.Seconds(), MaxCalls)
	case c.P99 < c.P50 || c.P50 < 0 || c.P50 == 0 && c.P99 > 0:
		return fmt.Errorf("no latency has a p50 of %v and a p99 of %v", c.P50, c.P99)
	case !(c.Failures >= 0 && c.Failures <= 1):
		return errors.New("failures are a share in [0,1]")
	case c.Outage.Start < 0 || c.Outage.Length < 0 || c.Outage.Start+c.Outage.Length > c.Duration:
		return errors.New("an outage lies within the duration")
	case c.Capacity < 0 || c.Deadline < 0 || c.Instances < 0:
		return errors.New("neither capacity nor deadline nor instances are negative")
	}
	return nil
}

// out reports whether the peer is out at the time.
func (c Config) out(at time.Duration) bool {
	return at >= c.Outage.Start && at < c.Outage.Start+c.Outage.Length
}

// sliceCount is how many parts of a load are told apart.
const sliceCount = 120

// slice is the number of the slice of a time since the load began; what comes
// after the load is in one more.
func (c Config) slice(at time.Duration) int {
	return min(int(float64(at)/float64(c.Duration)*sliceCount), sliceCount)
}

// phase is 0 before an outage, 1 in it and 2 after it.
func (c Config) phase(at time.Duration) int {
	switch {
	case c.Outage.Length == 0 || at < c.Outage.Start:
		return 0
	case c.out(at):
		return 1
	}
	return 2
}

// lengths are those of the phases.
func (c Config) lengths() [3]time.Duration {
	if c.Outage.Length == 0 {
		return [3]time.Duration{c.Duration}
	}
	return [3]time.Duration{c.Outage.Start, c.Outage.Length, c.Duration - c.Outage.Start - c.Outage.Length}
}

// Streams of random numbers, so that one does not move another.
const (
	arrivalStream = 1 << 62
	peerStream    = 1 << 61
)

// arrivals calls yield with the time of each call, in order. Even ones are
// spread over a hundredth of their gap: two events at one instant have no order
// that a seed could fix.
func (c Config) arrivals(yield func(n int, at time.Duration) bool) {
	random := rand.New(rand.NewPCG(c.Seed, arrivalStream))
	gap := float64(time.Second) / c.Rate
	at := 0.0
	for n := 0; ; n++ {
		when := at + random.Float64()*gap/100
		at += gap
		if !c.Uniform {
			at += random.ExpFloat64()*gap - gap
			when = at
		}
		if when >= float64(c.Duration) || !yield(n, time.Duration(when)) {
			return
		}
	}
}

// normal99 is how many standard deviations 99 % of a normal distribution lie
// below.
const normal99 = 2.3263478740408408

// latency draws one: e to a normal number whose median is ln p50, and whose 99th
// percentile is ln p99.
func (c Config) latency(random *rand.Rand) time.Duration {
	if c.P50 == 0 {
		return 0
	}
	sigma := math.Log(float64(c.P99)/float64(c.P50)) / normal99
	return time.Duration(float64(c.P50) * math.Exp(sigma*random.NormFloat64()))
}
