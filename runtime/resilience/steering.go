package resilience

import (
	"context"
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
	news  *news    // nil if nobody listens
	name  string   // of the guard
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

func newSteering(name string, conf Adaptive, o *observer) *steering {
	s := &steering{conf: conf, name: name}
	s.move(context.Background(), float64(conf.InitialLimit), "")
	if o != nil {
		s.news = &news{to: o}
	}
	return s
}

// reconfigure gives the steering other numbers. The limit stays, between the new
// bounds.
func (s *steering) reconfigure(conf Adaptive) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conf = conf
	s.move(context.Background(), s.exact, newNumbers)
}

// move makes limit the limit, as far as it may be, and has told why it is
// another one. s.mu is held.
func (s *steering) move(ctx context.Context, limit float64, reason string) {
	s.exact = min(max(limit, float64(s.conf.MinLimit)), float64(s.conf.MaxLimit))
	to := int64(s.exact)
	if from := s.limit.Swap(to); from != to && s.news != nil {
		s.news.add(ctx, Event{Kind: LimitChanged, Time: time.Now(), Name: s.name, By: partNames[adaptivePart], Reason: reason, LimitFrom: int(from), LimitTo: int(to)})
	}
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
func (s *steering) sample(ctx context.Context, took time.Duration, failed bool) {
	defer s.news.tell()
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
		s.turn(ctx)
		s.round = attemptRound{}
	}
}

// turn moves the limit at the end of a round. One that was not used up does not
// grow: nothing is known of what lies above. s.mu is held.
func (s *steering) turn(ctx context.Context) {
	r, next, reason := &s.round, s.exact, "latency"
	switch {
	case r.failed*2 > r.n: // the peer drops what it gets
		next, reason = s.exact*0.9, "failures"
	case r.n > r.failed:
		next = s.weigh(r.sum / float64(r.n-r.failed))
	}
	if next > s.exact && float64(r.peak) < s.exact/2 {
		next = s.exact
	}
	s.move(ctx, next, reason)
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
