package resilience

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	lostFor    = 10 * time.Minute // that a lost letter is told by the health
	nearlyFull = 90               // percent of a queue
)

// component is what the health knows of letters: it is unhealthy, which is a warning,
// where letters were lost lately, or will be, since a queue is nearly full.
func (b *LetterBox) component() Component {
	return Component{
		Name: "letters", Title: "dead letters", Kind: "component", InProcess: true, Criticality: Degradable,
		FailAfter: 1, RecoverAfter: 1, Check: b.check,
	}
}

// register makes b a component of the health, if that was made before: else it asks.
func (b *LetterBox) register() {
	b.rt.mu.Lock()
	register := b.rt.registerHealth
	b.rt.mu.Unlock()
	if register != nil {
		_ = register(b.component()) // a component of the user's may have the name
	}
}

// check is nil where letters have room and none was lost lately.
func (b *LetterBox) check(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost > 0 && time.Since(b.lostAt) < lostFor {
		return fmt.Errorf("%d letters lost, the last one %v ago", b.lost, rounded(time.Since(b.lostAt)))
	}
	for _, name := range slices.Sorted(maps.Keys(b.queues)) {
		q := b.queues[name]
		if used := q.used(); used >= nearlyFull {
			return fmt.Errorf("the queue %s is full to %d %%", name, used)
		}
	}
	return nil
}

// used is how much of its room a queue takes, in percent.
func (q *letterQueue) used() (percent int64) {
	if q.count > 0 {
		percent = int64(len(q.letters)) * 100 / int64(q.count)
	}
	if q.size > 0 {
		percent = max(percent, q.bytes*100/q.size)
	}
	return percent
}
