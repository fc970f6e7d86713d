package resilience

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// listedEntry is an entry without its body, and where that is.
type listedEntry struct {
	QueueEntry
	key     string
	version Version
}

// Entries implements [Queue]. Bodies are read one by one.
func (q *logQueue) Entries(ctx context.Context, prefix string) iter.Seq2[QueueEntry, error] {
	return func(yield func(QueueEntry, error) bool) {
		list, err := q.list(ctx, prefix)
		for i := 0; i < len(list) && err == nil; i++ {
			var found bool
			if found, err = q.fill(ctx, &list[i]); found && !yield(list[i].QueueEntry, nil) {
				return
			}
		}
		if err != nil {
			yield(QueueEntry{}, fmt.Errorf("entries of %s: %w", prefix, err))
		}
	}
}

// list returns the entries that there are, by when they are due.
func (q *logQueue) list(ctx context.Context, prefix string) (list []listedEntry, err error) {
	now := time.Now()
	for r, err := range q.values.heads(ctx, "queue/", "") {
		var e packedEntry
		if err == nil {
			e, err = unpackEntry(r.Body)
		}
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(e.queue, prefix) {
			l := listedEntry{key: r.Key, version: r.Version}
			l.ID, l.Queue, l.Enqueued, l.Due = strings.Clone(e.id), strings.Clone(e.queue), r.At, now.Add(e.remaining(now))
			list = append(list, l)
		}
	}
	if err := q.look(list, now); err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(a, b listedEntry) int { return a.Due.Compare(b.Due) })
	return list, nil
}

// look adds what is in memory alone. A process that does not own the log has nothing
// there: what it shows is how the entries were put.
func (q *logQueue) look(list []listedEntry, now time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	for i := range list {
		l := &list[i]
		w := q.queues[l.Queue]
		if w == nil || w.byID[l.ID] == nil || w.byID[l.ID].version != l.version {
			continue
		}
		e := w.byID[l.ID]
		l.Due, l.Deliveries, l.Claimed = e.due, e.deliveries, e.holder != nil && e.due.After(now)
	}
	return nil
}

// fill reads the body of an entry. One that was acknowledged meanwhile is none.
func (q *logQueue) fill(ctx context.Context, l *listedEntry) (found bool, err error) {
	for r, err := range q.values.scan(ctx, l.key, l.version-1) {
		if err != nil || r.Version != l.version {
			return false, err
		}
		e, err := unpackEntry(r.Body)
		l.Body = e.body
		return err == nil, err
	}
	return false, nil
}
