package resilience

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// steering moves a limit of the attempts in flight by their latency.
type steering struct {
	limit    atomic.Int64
	inFlight atomic.Int64

	mu    sync.Mutex
	conf  Adaptive // every default filled in
	exact float64  // limit, before it is rounded
	round attemptRound
	base  float64 // least mean latency of a round, in ns; 0 before the first one
	turns int     // rounds since base was measured
}

// attemptRound is about as many attempts as are in flight at a time.
type attemptRound struct {
	n, failed int
	sum       float64 // of those that did not fail, in ns
	peak      int64   // most attempts in flight
}

const (
	// leastRound is the fewest attempts of a round.
	leastRound = 10
	// probing is after how many rounds base is measured anew: the limit is halved,
	// what is in flight drains for a round, and the next one tells.
	probing = 50
)

func newSteering(conf Adaptive) *steering {
	s := &steering{conf: conf}
	s.move(float64(conf.InitialLimit))
	return s
}

// reconfigure gives the steering other numbers. The limit stays, between the new
// bounds.
func (s *steering) reconfigure(conf Adaptive) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conf = conf
	s.move(s.exact)
}

// move makes limit the limit, as far as it may be. s.mu is held.
func (s *steering) move(limit float64) {
	s.exact = min(max(limit, float64(s.conf.MinLimit)), float64(s.conf.MaxLimit))
	s.limit.Store(int64(s.exact))
}

// enter takes a place in flight, if one is free.
func (s *steering) enter() bool {
	if s.inFlight.Add(1) <= s.limit.Load() {
		return true
	}
	s.inFlight.Add(-1)
	return false
}

func (s *steering) leave() { s.inFlight.Add(-1) }

// sample tells how long an attempt took that is still counted as in flight.
func (s *steering) sample(took time.Duration, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.round
	r.n++
	r.peak = max(r.peak, s.inFlight.Load())
	if failed {
		r.failed++ // how long a failure takes says nothing of a queue
	} else {
		r.sum += float64(max(took, 1))
	}
	if r.n >= max(leastRound, int(s.exact)) {
		s.turn()
		s.round = attemptRound{}
	}
}

// turn moves the limit at the end of a round. One that was not used up does not
// grow: nothing is known of what lies above. s.mu is held.
func (s *steering) turn() {
	r, next := &s.round, s.exact
	switch {
	case r.failed*2 > r.n: // the peer drops what it gets
		next = s.exact * 0.9
	case r.n > r.failed:
		next = s.weigh(r.sum / float64(r.n-r.failed))
	}
	if next > s.exact && float64(r.peak) < s.exact/2 {
		next = s.exact
	}
	s.move(next)
}

// weigh returns the limit that follows from the mean latency of a round.
func (s *steering) weigh(mean float64) float64 {
	switch s.turns++; {
	case s.turns == probing:
		return s.exact / 2
	case s.turns == probing+1:
		return s.exact
	case s.turns > probing+1:
		s.base, s.turns = mean, 0
		return s.exact * 2
	}
	if s.base == 0 || mean < s.base {
		s.base = mean
	}
	if s.conf.Algorithm == Vegas {
		return s.vegas(mean)
	}
	return s.gradient(mean)
}

// gradient lets the limit grow by a small queue while the latency is little above
// the base, and shrinks it in proportion beyond.
func (s *steering) gradient(mean float64) float64 {
	slope := min(max(1.2*s.base/mean, 0.5), 1)
	return s.exact + (s.exact*slope+math.Sqrt(s.exact)-s.exact)*0.2
}

// vegas keeps an estimate of the queue between two bounds.
func (s *steering) vegas(mean float64) float64 {
	queue, unit := s.exact*(1-s.base/mean), math.Max(1, math.Log10(s.exact))
	switch {
	case queue <= unit:
		return s.exact + 2*unit
	case queue < 3*unit:
		return s.exact + unit
	case queue > 6*unit:
		return s.exact - max(unit, (queue-6*unit)/2)
	}
	return s.exact
}
