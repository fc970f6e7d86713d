package workflow

import (
	"cmp"
	"slices"
	"time"
)

// join are the messages that have come to a node that waits for several. The n-th
// message of each sender make the n-th set, and the sets fire in turn: with one of
// each, with the first one where any will do, or with what is there after the node's
// timeout. What comes later for a set that has fired is dropped.
//
// It runs ahead of the state: a set that fires here is taken out of the state by the
// record of its step.
type join struct {
	node  *node
	name  string // which the ids of its invocations are made of
	fired int
	came  []int // by sender: messages of sets that have fired, or dropped
	slots [][]*message
	alarm uint64 // of the set that waits: number of its first message
}

// newJoin returns the join as a state has it, without the messages that are pending.
func newJoin(n *node, c *joinCount) *join {
	j := &join{node: n, name: n.Name, came: make([]int, len(n.WaitFor)), slots: make([][]*message, len(n.WaitFor))}
	if c != nil {
		j.fired = c.Fired
		j.name = cmp.Or(c.Name, n.Name)
		for i, from := range n.WaitFor {
			j.came[i] = c.Came[from]
		}
	}
	return j
}

// arrive takes m in. It reports false if m is too late.
func (j *join) arrive(m *message) bool {
	slot := j.node.slots[m.From]
	if j.came[slot]+len(j.slots[slot]) < j.fired {
		j.came[slot]++
		return false
	}
	j.slots[slot] = append(j.slots[slot], m)
	return true
}

// ready returns the messages of the next set if it fires now, by slot, else nil.
func (j *join) ready(now time.Time) []*message {
	there := 0
	for _, list := range j.slots {
		if len(list) > 0 {
			there++
		}
	}
	whole := there == len(j.slots) || j.node.Any && there > 0
	if !whole && !j.timedOut(now) {
		return nil
	}
	set := make([]*message, len(j.slots))
	for i, list := range j.slots {
		if len(list) == 0 {
			continue
		}
		set[i] = list[0]
		j.slots[i] = slices.Delete(list, 0, 1)
		j.came[i]++
	}
	j.fired++
	return set
}

// due is when the set that waits goes on without the rest, zero for never.
func (j *join) due() time.Time {
	if j.node.WaitTimeout > 0 {
		if first := j.first(); first != nil {
			return first.arrives().Add(j.node.WaitTimeout)
		}
	}
	return time.Time{}
}

// waits reports whether the set that waits is the one whose first message is number seq.
func (j *join) waits(seq uint64) bool {
	first := j.first()
	return first != nil && first.Seq == seq
}

// first is the message that came first of those that wait, nil if none does.
func (j *join) first() (first *message) {
	for _, list := range j.slots {
		if len(list) > 0 && (first == nil || byArrival(list[0], first) < 0) {
			first = list[0]
		}
	}
	return first
}

func (j *join) timedOut(now time.Time) bool {
	due := j.due()
	return !due.IsZero() && !now.Before(due)
}
