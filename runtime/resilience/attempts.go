package resilience

import (
	"slices"
	"time"
)

// aside is what few calls need, so that it costs the others one word.
type aside struct {
	seekers *seeker
	tries   *tries
}

// tries are the attempts of a call that failed, of a guard that keeps letters.
// It is made at the first failure.
type tries struct {
	head, tail []tried
	began      time.Duration // of the attempt that runs, since epoch; 0 for the first one
	delay      time.Duration // before it
	elided     []ElidedRun   // that fell out of tail
}

// tried is an attempt that failed.
type tried struct {
	n              int32 // 0: not admitted
	begun, ended   time.Duration
	delay          time.Duration
	err            error
	breaker        State
	rejectedBy     part
	unwantedResult bool
}

// How many attempts of a call are kept: at its beginning, at its end, and kinds of
// failures between.
const (
	keptAttempts = 8
	keptElided   = 16
)

// remember notes an attempt that failed, for the letter that may follow. by is the
// part that did not admit it.
func (c *Call) remember(by part) {
	if c.races { // hedges run beside each other: the call remembers none
		return
	}
	if c.aside == nil {
		c.aside = &aside{}
	}
	h := c.aside.tries
	if h == nil {
		h = &tries{began: c.start}
		c.aside.tries = h
	}
	t := tried{n: c.attempts, begun: h.began, ended: sinceEpoch(), delay: h.delay, err: c.why(), rejectedBy: by, unwantedResult: c.unwanted}
	if by != noPart {
		t.n = 0
	}
	if b := c.breaker; b != nil {
		t.breaker = b.presentState()
	}
	h.add(t, c.plan.rt.errFP)
}

// add keeps an attempt. fp is [errFP], which a program without letters does not
// contain.
func (h *tries) add(t tried, fp func(error) string) {
	if len(h.head) < keptAttempts {
		h.head = append(h.head, t)
		return
	}
	if len(h.tail) == keptAttempts {
		h.elide(h.tail[0], fp(h.tail[0].err))
		h.tail = slices.Delete(h.tail, 0, 1)
	}
	h.tail = append(h.tail, t)
}

// elide counts an attempt with those that failed alike.
func (h *tries) elide(t tried, fp string) {
	at := slices.IndexFunc(h.elided, func(r ElidedRun) bool { return r.ErrFP == fp })
	if at < 0 && len(h.elided) < keptElided {
		at = len(h.elided)
		h.elided = append(h.elided, ElidedRun{ErrFP: fp, First: wallClock(t.ended)})
	}
	if at < 0 {
		at = keptElided - 1
		h.elided[at].ErrFP = otherFP
	}
	h.elided[at].Count++
	h.elided[at].Last = wallClock(t.ended)
}

// otherFP stands for errors of many kinds.
const otherFP = "other"

// beginsAgain notes that another attempt begins after a delay.
func (c *Call) beginsAgain(delay time.Duration) {
	if c.aside != nil && c.aside.tries != nil {
		c.aside.tries.began, c.aside.tries.delay = sinceEpoch(), delay
	}
}

// attemptsOf returns the attempts of c, and what of them was elided.
func (c *Call) attemptsOf() ([]LetterAttempt, []ElidedRun) {
	if c.aside == nil || c.aside.tries == nil {
		return nil, nil
	}
	h := c.aside.tries
	list := make([]LetterAttempt, 0, len(h.head)+len(h.tail))
	for _, t := range slices.Concat(h.head, h.tail) {
		list = append(list, t.attempt())
	}
	return list, h.elided
}

func (t tried) attempt() LetterAttempt {
	a := LetterAttempt{N: int(t.n), At: wallClock(t.ended), Delay: t.delay, ErrFP: errFP(t.err), Rejected: partNames[t.rejectedBy]}
	if t.begun != 0 {
		a.At, a.Dur = wallClock(t.begun), t.ended-t.begun
	}
	if t.breaker != 0 {
		a.Breaker = t.breaker.String()
	}
	if t.unwantedResult {
		a.ErrFP = "unwanted result"
	}
	return a
}
