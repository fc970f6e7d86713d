package workflow

import (
	"errors"
	"fmt"
	"time"
)

// Schedule starts runs of a workflow at instants that it alone decides: its ticks.
// The id of a run is the name of the schedule and the tick,
// nightly@2026-11-27T02:00:00Z, so that a tick is one run, whoever starts it and
// however often.
type Schedule struct {
	Name string
	// Every is the time between ticks, which are the multiples of it since the
	// beginning of 1970 in UTC. Either it or Cron is given.
	Every time.Duration
	// Cron are ticks by a calendar: minute, hour, day of the month, month, day of the
	// week. Where clocks are set, an expression for every hour goes by the time that
	// passes; of every other one, ticks that the clock skips happen together right
	// after, and those that it shows twice happen the first time.
	Cron     string
	TimeZone string  // of Cron: Europe/Berlin; "" is UTC
	CatchUp  CatchUp // with ticks at which no worker was there
	Overlap  Overlap // with the run of the tick before
	// Input makes the input of a run when its tick has come. An error is an event, and
	// it is asked again.
	Input func() (Value, error)
}

// CatchUp is what becomes of ticks that passed while no worker was there.
type CatchUp string

// Ways to catch up.
const (
	CatchUpSkip CatchUp = "skip" // the default: a tick that is more than a minute late is none
	CatchUpOne  CatchUp = "one"  // one run for all that were missed: the latest tick's
	CatchUpAll  CatchUp = "all"  // a run for each of them, at most the latest 1,000
)

// Overlap is what becomes of a tick while the run of the one before has not ended.
// One that is parked counts as ended here: nothing of it runs.
type Overlap string

// Ways to overlap.
const (
	OverlapSkip  Overlap = "skip"  // the default: the tick is none
	OverlapQueue Overlap = "queue" // it waits, at most 1,000 do; the oldest are dropped
	OverlapAllow Overlap = "allow" // both run
)

const (
	catchUpLimit = 1000        // ticks that wait or are made up for
	onTime       = time.Minute // for how long the latest tick is not a missed one
)

// timetable are the ticks of a [Schedule].
type timetable struct {
	every time.Duration // 0: by cron
	cron  cron
	zone  *time.Location
}

// timetable reads what a schedule says of its ticks.
func (s *Schedule) timetable() (t timetable, err error) {
	switch {
	case (s.Every == 0) == (s.Cron == ""):
		return t, fmt.Errorf("schedule %s: want either every or cron", s.Name)
	case s.Every < 0 || s.Every > 0 && s.Every < time.Second:
		return t, fmt.Errorf("schedule %s: every %v: at least 1s", s.Name, s.Every)
	case s.Every > 0 && s.TimeZone != "":
		return t, fmt.Errorf("schedule %s: timeZone is about cron; every goes by the time that passes", s.Name)
	case s.TimeZone == "Local":
		return t, fmt.Errorf("schedule %s: timeZone Local is another one on every machine", s.Name)
	case s.CatchUp == CatchUpAll && s.Overlap != OverlapQueue && s.Overlap != OverlapAllow:
		return t, fmt.Errorf("schedule %s: catchUp all wants overlap queue or allow: the ticks come together", s.Name)
	case s.Every > 0:
		return timetable{every: s.Every}, nil
	}
	if t.cron, err = parseCron(s.Cron); err != nil {
		return t, fmt.Errorf("schedule %s: %w", s.Name, err)
	}
	if t.zone, err = time.LoadLocation(s.TimeZone); err != nil {
		return t, fmt.Errorf("schedule %s: timeZone: %w", s.Name, err)
	}
	return t, nil
}

// next returns the first tick after an instant.
func (t timetable) next(after time.Time) time.Time {
	if t.every == 0 {
		return t.cron.next(after, t.zone).UTC()
	}
	nanos := after.UnixNano()
	rest := nanos % int64(t.every)
	if rest < 0 {
		rest += int64(t.every)
	}
	return time.Unix(0, nanos-rest+int64(t.every)).UTC()
}

// until returns the latest ticks after seen that are not after now, at most
// catchUpLimit, and how many there were before those.
func (t timetable) until(seen, now time.Time) (ticks []time.Time, more int) {
	if most := catchUpLimit * t.every; t.every > 0 && now.Sub(seen) > most {
		from := now.Add(-most)
		more = int(t.next(from).Sub(t.next(seen)) / t.every)
		seen = from
	}
	for tick := t.next(seen); !tick.IsZero() && !tick.After(now); tick = t.next(tick) {
		if len(ticks) == 2*catchUpLimit {
			more += catchUpLimit
			ticks = append(ticks[:0], ticks[catchUpLimit:]...)
		}
		ticks = append(ticks, tick)
	}
	if surplus := len(ticks) - catchUpLimit; surplus > 0 {
		return ticks[surplus:], more + surplus
	}
	return ticks, more
}

// ticked is what is recorded of a schedule.
type ticked struct {
	Seen    time.Time   `json:"seen"`              // ticks up to here are dealt with
	Running string      `json:"running,omitempty"` // the run that was started last
	Begun   time.Time   `json:"begun,omitzero"`    // when it was
	Queued  []time.Time `json:"queued,omitempty"`  // ticks that wait for its end
}

// due returns the ticks that are to be dealt with, how many are too late for that,
// and the last of all of them.
func (s *Schedule) due(t timetable, seen, now time.Time) (ticks []time.Time, missed int, last time.Time) {
	ticks, missed = t.until(seen, now)
	if len(ticks) == 0 {
		return nil, 0, seen
	}
	last = ticks[len(ticks)-1]
	switch {
	case s.CatchUp == CatchUpAll:
		return ticks, missed, last
	case s.CatchUp == CatchUpOne || now.Sub(last) <= onTime:
		return ticks[len(ticks)-1:], missed + len(ticks) - 1, last
	}
	return nil, missed + len(ticks), last
}

// decide returns which ticks start a run now, and what is known of the schedule
// after that. over says whether the run that was started last has ended. skipped
// counts ticks that start none because of it.
func (s *Schedule) decide(known ticked, ticks []time.Time, now time.Time, over bool) (start []time.Time, next ticked, skipped int) {
	next = ticked{Seen: known.Seen, Running: known.Running, Begun: known.Begun}
	busy := known.Running != "" && !over
	switch s.Overlap {
	case OverlapAllow:
		start = ticks
	case OverlapQueue:
		waiting := append(append([]time.Time(nil), known.Queued...), ticks...)
		if !busy && len(waiting) > 0 {
			start, waiting = waiting[:1], waiting[1:]
		}
		if skipped = len(waiting) - catchUpLimit; skipped > 0 {
			waiting = waiting[skipped:]
		}
		next.Queued = waiting
	default:
		if busy {
			return nil, next, len(ticks)
		}
		start = ticks
	}
	if len(start) > 0 {
		next.Running, next.Begun = s.runID(start[len(start)-1]), now
	}
	return start, next, max(skipped, 0)
}

// runID is the id of the run of a tick.
func (s *Schedule) runID(tick time.Time) string {
	return s.Name + "@" + tick.UTC().Format(time.RFC3339Nano)
}

// checkSchedules refuses what cannot be.
func checkSchedules(list []Schedule) error {
	var errs []error
	seen := map[string]bool{}
	for i := range list {
		s := &list[i]
		switch {
		case s.Name == "":
			errs = append(errs, errors.New("a schedule has no name"))
		case seen[s.Name]:
			errs = append(errs, fmt.Errorf("schedule %s is there twice", s.Name))
		case s.Input == nil:
			errs = append(errs, fmt.Errorf("schedule %s has no input", s.Name))
		}
		seen[s.Name] = true
		_, err := s.timetable()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
