package resilience

import (
	"cmp"
	"context"
	"maps"
	"slices"
)

// Stats counts the letters.
func (b *LetterBox) Stats(ctx context.Context) (LetterStats, error) {
	if err := b.current(ctx); err != nil {
		return LetterStats{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s := LetterStats{Queues: []LetterQueueStats{}, Patterns: len(b.patterns.by), Lost: b.lost}
	for _, q := range b.queues {
		s.Queues = append(s.Queues, q.stats())
	}
	slices.SortFunc(s.Queues, func(a, b LetterQueueStats) int { return cmp.Compare(a.Name, b.Name) })
	return s, nil
}

func (q *letterQueue) stats() LetterQueueStats {
	s := LetterQueueStats{
		Name: q.name, Letters: len(q.letters), States: map[LetterState]int{}, Bytes: q.bytes, Dropped: maps.Clone(q.gone.Dropped),
		MaxCount: q.count, MaxBytes: q.size,
	}
	for _, l := range q.letters {
		s.States[l.State]++
		if l.open() {
			if s.Open == 0 {
				s.Oldest = l.DeadAt
			}
			s.Open++
		}
	}
	return s
}
