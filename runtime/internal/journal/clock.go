package journal

import (
	"fmt"
	"time"
)

// leap is how far the wall clock may run away from the monotonic one before the
// journal no longer follows: what expires by its time must come too late rather
// than too early.
const leap = time.Hour

// clock gives times that never go back. It is under Journal.mu.
type clock struct {
	greatest int64     // Unix nanoseconds
	start    time.Time // with its monotonic reading
	wall     int64     // when the wall clock was last believed
	ran      time.Duration
	strange  bool // the wall clock has leapt, and was reported
}

// now returns the greatest time seen: t, unless the wall clock has leapt, or was
// set back. It says so once.
func (c *clock) now(t time.Time) (nanos int64, leapt error) {
	if c.start.IsZero() {
		c.start, c.wall = t, t.UnixNano()
	}
	return c.at(t.UnixNano(), t.Sub(c.start))
}

// at is now, by the wall clock and by the monotonic one since the start.
func (c *clock) at(wall int64, ran time.Duration) (nanos int64, leapt error) {
	should := c.wall + int64(ran-c.ran)
	if off := time.Duration(wall - should); off > leap || off < -leap {
		if !c.strange {
			c.strange = true
			leapt = fmt.Errorf("the clock moved by %v, from %v to %v", off, time.Unix(0, should).UTC(), time.Unix(0, wall).UTC())
		}
		wall = should
	} else {
		c.wall, c.ran, c.strange = wall, ran, false
	}
	c.greatest = max(c.greatest, wall)
	return c.greatest, leapt
}
