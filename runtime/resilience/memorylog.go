package resilience

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// MemoryStores returns stores that a process takes with it when it ends. Queue,
// Leases and Cells keep their things in the Log, under queue/, lease/ and cell/.
func MemoryStores() Stores { return storesIn(newMemoryLog()) }

// storesIn returns stores that keep everything in a log that this process alone
// writes to.
func storesIn(log Log) Stores {
	return Stores{Log: log, Queue: newLogQueue(log), Leases: newLogLeases(log), Cells: newLogCells(log)}
}

// memoryLog is a [Log] that a process takes with it.
type memoryLog struct {
	mu     sync.Mutex
	last   Version // of all keys
	keys   map[string][]Record
	closed bool
}

func newMemoryLog() *memoryLog { return &memoryLog{keys: map[string][]Record{}} }

func (l *memoryLog) check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.closed {
		return ErrClosed
	}
	return checkStoreKey(key)
}

// Append implements [Log].
func (l *memoryLog) Append(ctx context.Context, key string, after Version, body []byte) (Version, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(ctx, key); err != nil {
		return 0, fmt.Errorf("append to %s: %w", key, err)
	}
	if len(body) > MaxRecord {
		return 0, fmt.Errorf("append to %s: %d bytes, at most %d: %w", key, len(body), MaxRecord, ErrTooLarge)
	}
	list := l.keys[key]
	var last Version
	if len(list) > 0 {
		last = list[len(list)-1].Version
	}
	if after != last {
		return 0, fmt.Errorf("append to %s after version %d, the last is %d: %w", key, after, last, ErrConflict)
	}
	l.last++
	l.keys[key] = append(list, Record{Key: key, Version: l.last, At: time.Now(), Body: slices.Clone(body)})
	return l.last, nil
}

// Scan implements [Log].
func (l *memoryLog) Scan(ctx context.Context, key string, after Version) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		l.mu.Lock()
		err, list := l.check(ctx, key), l.keys[key]
		l.mu.Unlock()
		if err != nil {
			yield(Record{}, fmt.Errorf("scan %s: %w", key, err))
			return
		}
		i, _ := slices.BinarySearchFunc(list, after+1, func(r Record, v Version) int { return cmp.Compare(r.Version, v) })
		for _, r := range list[i:] {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Heads implements [Log].
func (l *memoryLog) Heads(ctx context.Context, prefix, from string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		l.mu.Lock()
		closed := l.closed
		heads := map[string]Record{}
		for key, list := range l.keys {
			if strings.HasPrefix(key, prefix) && key >= from {
				heads[key] = list[len(list)-1]
			}
		}
		l.mu.Unlock()
		err := ctx.Err()
		if closed {
			err = ErrClosed
		}
		if err != nil {
			yield(Record{}, fmt.Errorf("heads of %s: %w", prefix, err))
			return
		}
		for _, key := range slices.Sorted(maps.Keys(heads)) {
			if !yield(heads[key], nil) {
				return
			}
		}
	}
}

// Drop implements [Log].
func (l *memoryLog) Drop(ctx context.Context, key string, through Version) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(ctx, key); err != nil {
		return fmt.Errorf("drop %s: %w", key, err)
	}
	list := slices.DeleteFunc(slices.Clone(l.keys[key]), func(r Record) bool { return r.Version <= through })
	if len(list) == 0 {
		delete(l.keys, key)
		return nil
	}
	l.keys[key] = list
	return nil
}

// Close ends the log: it returns [ErrClosed] from then on.
func (l *memoryLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}

// Exclusive reports that the process shares the log with no other one.
func (l *memoryLog) Exclusive() bool { return true }
