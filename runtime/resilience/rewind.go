package resilience

import (
	"fmt"
	"io"
)

// Rewind has s, an argument that the delegate reads or writes, stand at every
// further attempt where it stands now. It is called before the loop, once for
// each such argument. The delegate must have left s alone when it returns.
//
// An argument that cannot be rewound is one to the first attempt all the same;
// the call ends with the error of Seek where a second one would begin. Nil is
// no argument, and a call that is not retried asks nothing of s.
func (c *Call) Rewind(s io.Seeker) {
	if s == nil || c.plan == nil || c.plan.attempts < 2 {
		return
	}
	at, err := s.Seek(0, io.SeekCurrent)
	if c.aside == nil {
		made := &struct { // one allocation
			aside
			seeker
		}{seeker: seeker{s, at, err, nil}}
		c.aside, made.seekers = &made.aside, &made.seeker
		return
	}
	c.aside.seekers = &seeker{s, at, err, c.aside.seekers}
}

// seeker is an argument and where it stood before the first attempt.
type seeker struct {
	io.Seeker
	start int64
	err   error // of asking that
	next  *seeker
}

// resume waits for the next attempt, and makes the arguments ready for it.
func (c *Call) resume() bool { return c.pause() && (c.aside == nil || c.rewind()) }

// rewind winds every argument back, and ends the call if one cannot be.
func (c *Call) rewind() bool {
	for s := c.aside.seekers; s != nil; s = s.next {
		err := s.err
		if err == nil {
			_, err = s.Seek(s.start, io.SeekStart)
		}
		if err != nil {
			c.stop(retryPart, fmt.Errorf("an argument cannot be rewound for another attempt: %w", err))
			return false
		}
	}
	return true
}
