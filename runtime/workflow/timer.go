package workflow

import (
	"container/heap"
	"time"
)

// timer is something that is due at a time: a message, or the end of a wait of a join
// or for a signal.
type timer struct {
	at  time.Time
	seq uint64 // of the message that is due, or that waits
	m   *message
	j   *join
	inv *invocation // that waits for a signal no longer than this
}

// timerHeap is a heap of timers, the next one first.
type timerHeap []timer

// Len implements [heap.Interface].
func (h timerHeap) Len() int { return len(h) }

// Less implements [heap.Interface]. At one time waits end first, then messages are
// there, each in the order in which the messages were sent: whoever reads the run again
// has the same order.
func (h timerHeap) Less(i, k int) bool {
	a, b := &h[i], &h[k]
	if at := a.at.Compare(b.at); at != 0 {
		return at < 0
	}
	if (a.m == nil) != (b.m == nil) {
		return a.m == nil
	}
	return a.seq < b.seq
}

// Swap implements [heap.Interface].
func (h timerHeap) Swap(i, k int) { h[i], h[k] = h[k], h[i] }

// Push implements [heap.Interface].
func (h *timerHeap) Push(t any) { *h = append(*h, t.(timer)) }

// Pop implements [heap.Interface].
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = timer{}
	*h = old[:len(old)-1]
	return t
}

// schedule has a join looked at when its wait ends.
func (r *run) schedule(j *join) {
	due := j.due()
	if due.IsZero() || j.first().Seq == j.alarm {
		return
	}
	j.alarm = j.first().Seq
	heap.Push(&r.timers, timer{at: due, seq: j.alarm, j: j})
}

// due takes in what is due.
func (r *run) due(now time.Time) {
	for len(r.timers) > 0 && !r.timers[0].at.After(now) {
		t := heap.Pop(&r.timers).(timer)
		switch {
		case t.m != nil:
			r.place(t.m, now)
		case t.inv != nil:
			r.expire(t.inv)
		default:
			t.j.alarm = 0
			r.fire(t.j, t.at)
		}
	}
	r.forgetTimers()
}

// forgetTimers takes away what joins do not wait for any more: nothing is to wait
// for it.
func (r *run) forgetTimers() {
	for len(r.timers) > 0 && r.timers[0].stale() {
		if t := heap.Pop(&r.timers).(timer); t.j != nil {
			t.j.alarm = 0
		}
	}
}

func (t *timer) stale() bool {
	return t.j != nil && !t.j.waits(t.seq) || t.inv != nil && t.inv.given
}

// dueWithin reports whether something is due within a time.
func (r *run) dueWithin(d time.Duration) bool {
	return len(r.timers) > 0 && !r.timers[0].at.After(r.now().Add(d))
}

// setAlarm has the run look around when the next thing is due.
func (r *run) setAlarm() {
	var next time.Duration = -1
	if len(r.timers) > 0 {
		next = max(r.timers[0].at.Sub(r.now()), 0)
	}
	if !r.nextSave.IsZero() {
		if left := max(time.Until(r.nextSave), 0); next < 0 || left < next {
			next = left
		}
	}
	if r.e.g.Limits.Duration > 0 && !r.busyFrom.IsZero() && !r.stopping {
		if left := max(r.left(), 0); next < 0 || left < next {
			next = left
		}
	}
	switch {
	case next < 0:
	case r.alarm == nil:
		r.alarm = time.AfterFunc(next, r.poke)
	default:
		r.alarm.Reset(next)
	}
}
