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
	base     time.Time // when it was last believed, with its monotonic reading
	strange  bool      // the wall clock has leapt, and was reported
}

// now returns the greatest time seen: t, unless the wall clock has leapt, or was
// set back. It says so once.
func (c *clock) now(t time.Time) (nanos int64, leapt error) {
	wall := t.UnixNano()
	if c.base.IsZero() {
		c.base = t
	}
	should := c.base.UnixNano() + int64(t.Sub(c.base)) // by the monotonic clock
	if off := time.Duration(wall - should); off > leap || off < -leap {
		if !c.strange {
			c.strange = true
			leapt = fmt.Errorf("the clock moved by %v, from %v to %v", off, time.Unix(0, should).UTC(), t.UTC().Round(0))
		}
		wall = should
	} else {
		c.base, c.strange = t, false
	}
	c.greatest = max(c.greatest, wall)
	return c.greatest, leapt
}
