package resilience

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// methodStats are the statistics of one guard, which outlive its plans. A call
// that simply succeeds writes no more than it must: with histograms begun and
// one bucket, without them only succeeded. Another one adds to one of ends, or of
// turned, and to retries if it has any; everything else is derived.
//
// No counter ever falls, which a scraper would take for a restart: who ends a
// call that did not succeed says so before it adds to what that is taken off,
// and total reads in the opposite order and never tells less than before.
type methodStats struct {
	stripes [4]stripe              // first, so that no line of the cache holds more than one, nor what others read
	times   bool                   // keeps histograms
	until   atomic.Int64           // of the present slice, since epoch
	present atomic.Pointer[minute] // where durations are counted now

	turned                       [len(partNames)]atomic.Int64 // calls that were never attempted, by who rejected them
	rejections                   [len(partNames)]atomic.Int64 // of attempts of other calls
	retries, timeouts, fallbacks atomic.Int64
	recorded, ignored            atomic.Int64 // by the breaker

	mu      sync.Mutex
	recent  *recent    // made at the first call
	past    *histogram // of the minute before the present one, likewise
	slot    int64      // its number
	drained int64      // from histograms
	success int64      // as told last
}

// stripe is a line of the cache, so that two cores count without waiting for
// each other.
type stripe struct {
	begun     atomic.Int64 // with histograms
	succeeded atomic.Int64 // without
	ends      [numEnds]atomic.Int64
}

// minute has a histogram for each of two cores.
type minute [2]*histogram

func (s *methodStats) stripeOf(c *Call) *stripe { return &s.stripes[placeOf(unsafe.Pointer(c))>>30] }

func (m *minute) stripeOf(c *Call) *histogram { return m[placeOf(unsafe.Pointer(c))>>31] }

func (s *methodStats) begin(c *Call) { s.stripeOf(c).begun.Add(1) }

// end is how a call ended that neither succeeded at once nor was rejected without
// an attempt.
type end uint8

const (
	mended      end = iota // success after retries
	failed                 // after one attempt
	exhausted              // after more
	canceled               // its caller left
	failedEarly            // before any attempt
	leftEarly
	numEnds // six: a stripe has 64 bytes
)

// recent is what is kept of the last hour.
type recent struct {
	last    Counters // when the present slice began
	tens    [6]slice
	minutes [60]slice
}

const slotWidth = 10 * time.Second

// slice are Counters in half the space.
type slice [11]uint32

func (c *Counters) fields() [11]*int64 {
	return [11]*int64{&c.Success, &c.Failure, &c.Rejected, &c.Canceled, &c.SuccessRetried, &c.FailureRetried,
		&c.Attempts, &c.Retries, &c.Rejections, &c.Timeouts, &c.Fallbacks}
}

func (c Counters) since(before Counters) Counters {
	fields := c.fields()
	for i, was := range before.fields() {
		*fields[i] -= *was
	}
	return c
}

// add is called once in ten seconds, and from many places.
//
//go:noinline
func (s *slice) add(c Counters) {
	for i, n := range c.fields() {
		s[i] += uint32(*n)
	}
}

func (s slice) counters() (c Counters) {
	for i, n := range c.fields() {
		*n = int64(s[i])
	}
	return c
}

func newMethodStats(rt *Runtime) *methodStats {
	if rt.noStats {
		return nil
	}
	return &methodStats{times: !rt.noHistograms}
}

// succeed counts a call that succeeds now.
func (s *methodStats) succeed(c *Call, now time.Duration) {
	if c.attempts > 1 {
		s.repeated(c)
		s.stripeOf(c).ends[mended].Add(1)
	}
	switch {
	case s.times:
		s.took(c, now)
	case c.attempts <= 1:
		s.stripeOf(c).succeeded.Add(1)
	}
}

// repeated counts the retries of a call that is over. A hedge counts when it
// begins.
func (s *methodStats) repeated(c *Call) {
	if c.plan.hedge == nil {
		s.retries.Add(int64(c.attempts - 1))
	}
}

// took counts the duration of a call that ends now.
func (s *methodStats) took(c *Call, now time.Duration) {
	m := s.present.Load()
	if m == nil || now >= time.Duration(s.until.Load()) {
		s.turn(now)
		m = s.present.Load()
	}
	m.stripeOf(c)[logBucket(now-c.start)].Add(1)
}

// ended counts a call that did not simply succeed; one that vanished ended by
// a panic or Goexit.
func (s *methodStats) ended(c *Call, vanished bool) {
	switch {
	case vanished:
	case c.why() == nil:
		s.succeed(c, sinceEpoch())
		return
	case c.turned != noPart && c.attempts == 0: // maybe a million times a second: no look at the clock
		s.turned[c.turned].Add(1)
		return
	}
	c.countRejection()
	if c.attempts > 1 {
		s.repeated(c)
	}
	n := s.stripeOf(c).ends[c.ending(vanished)].Add(1)
	switch {
	case c.attempts == 0:
	case s.times:
		s.took(c, sinceEpoch())
	case n%looksEvery == 0:
		if now := sinceEpoch(); now >= time.Duration(s.until.Load()) {
			s.turn(now)
		}
	}
}

// looksEvery is how many calls fail in one way before one looks whether the
// present slice is over, where no histogram needs the clock.
const looksEvery = 16

// ending says how a call ended that did not succeed.
func (c *Call) ending(vanished bool) end {
	left := !vanished && c.kinds&(KindCanceled|KindCallerDeadline) != 0 && c.callerLeft()
	switch {
	case left && c.attempts == 0:
		return leftEarly
	case left:
		return canceled
	case c.attempts == 0:
		return failedEarly
	case c.attempts == 1:
		return failed
	}
	return exhausted
}

// countRejection counts the latest rejection of an attempt, unless that is
// done. It is put off until the call goes on or ends: one that was never
// attempted counts as rejected with it.
func (c *Call) countRejection() {
	if c.turned != noPart {
		c.plan.stats.rejections[c.turned].Add(1)
		c.turned = noPart
	}
}

// told counts what the breaker is told of an attempt.
func (s *methodStats) told(o outcome) {
	switch o {
	case outcomeFailure:
		s.recorded.Add(1)
	case outcomeIgnored:
		s.ignored.Add(1)
	}
}

// total returns the counters, and how many calls are in flight. s.mu is held.
func (s *methodStats) total() (c Counters, inFlight int64) {
	done := s.drained // calls in histograms, or that succeeded at once
	for i := range s.stripes {
		done += s.stripes[i].succeeded.Load()
	}
	for _, h := range s.histograms() {
		done += h.sum()
	}
	var ends [numEnds]int64
	for i := range s.stripes {
		for e := range ends {
			ends[e] += s.stripes[i].ends[e].Load()
		}
	}
	c = Counters{
		Failure:        ends[failed] + ends[exhausted] + ends[failedEarly],
		Canceled:       ends[canceled] + ends[leftEarly],
		SuccessRetried: ends[mended], FailureRetried: ends[exhausted],
		Retries: s.retries.Load(), Timeouts: s.timeouts.Load(), Fallbacks: s.fallbacks.Load(),
	}
	for p := range s.turned {
		c.Rejected += s.turned[p].Load()
		c.Rejections += s.rejections[p].Load()
	}
	c.Rejections += c.Rejected
	others := ends[failed] + ends[exhausted] + ends[canceled] // that were attempted
	if !s.times {
		c.Success = done + ends[mended]
		c.Attempts = c.Success + others + c.Retries
		return c, -1
	}
	s.success = max(s.success, done-others)
	c.Success, c.Attempts = s.success, done+c.Retries
	return c, s.begun() - done - ends[failedEarly] - ends[leftEarly] - c.Rejected
}

// rejected is how many attempts a part did not admit.
func (s *methodStats) rejected(by part) int64 { return s.turned[by].Load() + s.rejections[by].Load() }

func (s *methodStats) begun() (n int64) {
	for i := range s.stripes {
		n += s.stripes[i].begun.Load()
	}
	return n
}

// turn ends the present slice, if it is over.
func (s *methodStats) turn(now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut(now)
}

// cut puts what was counted since the last cut into the slice of that time: a
// call that ended later would have cut before. s.mu is held.
func (s *methodStats) cut(now time.Duration) {
	if s.recent == nil {
		s.recent = &recent{}
		s.slot = int64(now / slotWidth)
	}
	if s.past == nil && s.begun() > 0 {
		s.past = new(histogram)
		s.present.Store(&minute{new(histogram), new(histogram)})
	}
	slot := int64(now / slotWidth)
	if slot <= s.slot && s.until.Load() != 0 {
		return
	}
	total, _ := s.total()
	counted := total.since(s.recent.last)
	s.recent.last = total
	s.recent.tens[s.slot%6].add(counted)
	s.recent.minutes[s.slot/6%60].add(counted)
	forget(s.recent.tens[:], s.slot, slot)
	forget(s.recent.minutes[:], s.slot/6, slot/6)
	if minutes := slot/6 - s.slot/6; s.past != nil && minutes > 0 {
		s.pass(minutes)
	}
	s.slot = slot
	s.until.Store(int64(time.Duration(slot+1) * slotWidth))
}

// pass begins another minute, so many after the present one. The past has one
// histogram for both cores, whose counts are moved together: half the space, and
// who counts meanwhile is in one or the other. s.mu is held.
func (s *methodStats) pass(minutes int64) {
	m := s.present.Load()
	s.drained += s.past.drain()
	if minutes > 1 { // nothing ended in the one before
		s.drained += m[0].drain() + m[1].drain()
		return
	}
	m[0].take(m[1])
	s.present.Store(&minute{s.past, m[1]})
	s.past = m[0]
}

// histograms are those that count the last one to two minutes. s.mu is held.
func (s *methodStats) histograms() []*histogram {
	if s.past == nil {
		return nil
	}
	m := s.present.Load()
	return []*histogram{s.past, m[0], m[1]}
}

// forget clears the slices between from and to, and that of to.
func forget(ring []slice, from, to int64) {
	size := int64(len(ring))
	for n := max(from+1, to-size+1); n <= to; n++ {
		ring[n%size] = slice{}
	}
}

// slices returns those of a ring whose present one is number n and goes on with
// running; they begin at multiples of width since epoch.
func (r *recent) slices(ring []slice, n int64, width time.Duration, running Counters, epoch time.Time) []Slice {
	size := int64(len(ring))
	var list []Slice
	for i := max(n-size+1, 0); i <= n; i++ {
		s := ring[i%size]
		if i == n {
			s.add(running)
		}
		if c := s.counters(); len(list) > 0 || i == n || c != (Counters{}) {
			list = append(list, Slice{epoch.Add(time.Duration(i) * width), c})
		}
	}
	return list
}
