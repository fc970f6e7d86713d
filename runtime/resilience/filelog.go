package resilience

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// fileLog is a [Log] in a journal, which it opens again after a fault of the disk.
type fileLog struct {
	j     *journal.Journal
	disk  journal.FS
	owned bool // the journal may be changed
	tell  func(journal.Event)

	mu      sync.Mutex
	closed  bool
	mending bool
	again   bool  // it broke while it was mended
	failed  error // why it does not work now
	damage  error // what was lost, of keys that are not shown
	stop    chan struct{}
	menders sync.WaitGroup
}

// How long the log waits before it is opened again: twice as long after each time
// that fails.
const (
	firstMend = 50 * time.Millisecond
	mostMend  = 30 * time.Second
)

// openFileLog opens the log in disk, which it closes. tell is told what happens, at
// any time and from any goroutine, and must not wait.
func openFileLog(disk journal.FS, o journal.Options, tell func(journal.Event)) (*fileLog, error) {
	l := &fileLog{disk: disk, owned: !o.ReadOnly, tell: tell, stop: make(chan struct{})}
	o.OnEvent = l.hear
	j, err := journal.Open(disk, o)
	if err != nil {
		return nil, asOurs(errors.Join(err, disk.Close()))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.j = j
	return l, nil
}

// hear takes in what happens to the journal.
func (l *fileLog) hear(e journal.Event) {
	l.mu.Lock()
	switch e.Kind {
	case journal.Poisoned, journal.Full:
		l.failed = asOurs(e.Err)
	case journal.Reopened, journal.RoomAgain:
		l.failed = nil
	case journal.Damaged:
		l.damage = asOurs(e.Err)
	}
	if e.Kind == journal.Poisoned && !l.closed {
		l.again = l.mending
		if !l.mending {
			l.mending = true
			l.menders.Go(l.mend)
		}
	}
	l.mu.Unlock()
	l.tell(e)
}

// mend opens the journal again, until that succeeds.
func (l *fileLog) mend() {
	for wait := firstMend; ; wait = min(2*wait, mostMend) {
		timer := time.NewTimer(wait)
		select {
		case <-l.stop:
			timer.Stop()
			return
		case <-timer.C:
		}
		if l.mended(l.j.Reopen()) {
			return
		}
	}
}

// mended takes in how opening it again went, and reports whether that was all.
func (l *fileLog) mended(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil && l.again:
		l.again = false
		return false
	case err == nil || l.closed:
		l.mending = false
		return true
	}
	l.failed = asOurs(err)
	return false
}

// well says what keeps the log from working.
func (l *fileLog) well() (failed, damage error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed, l.damage
}

// Append implements [Log].
func (l *fileLog) Append(ctx context.Context, key string, after Version, body []byte) (Version, error) {
	return l.append(ctx, key, after, body, l.j.Append)
}

// urgentLog is a fileLog whose appends may use the reserve of a full store.
type urgentLog struct{ *fileLog }

// Append implements [Log].
func (l urgentLog) Append(ctx context.Context, key string, after Version, body []byte) (Version, error) {
	return l.append(ctx, key, after, body, l.j.AppendUrgent)
}

func (l *fileLog) append(ctx context.Context, key string, after Version, body []byte,
	write func(context.Context, string, uint64, []byte) (uint64, error)) (Version, error) {
	if err := checkStoreKey(key); err != nil {
		return 0, fmt.Errorf("append to %s: %w", key, err)
	}
	if len(body) > MaxRecord {
		return 0, fmt.Errorf("append to %s: %d bytes, at most %d: %w", key, len(body), MaxRecord, ErrTooLarge)
	}
	v, err := write(ctx, key, uint64(after), body)
	return Version(v), asOurs(err)
}

// aside keeps a record of a new key beside the log, because of an append of it that
// is not known to be there: it is in the log once that works again, once.
func (l *fileLog) aside(ctx context.Context, key string, body []byte) error {
	err := l.j.AppendEmergency(key, body)
	if errors.Is(err, journal.ErrNotBroken) { // any more
		if _, err = l.j.AppendUrgent(ctx, key, 0, body); errors.Is(err, journal.ErrConflict) {
			return nil // it was there
		}
	}
	return asOurs(err)
}

// knows reports whether the log tells what it has: it works, and has taken in what
// was kept beside it.
func (l *fileLog) knows() bool {
	failed, _ := l.well()
	return failed == nil && !l.j.Stats().Poisoned
}

// inFiles reports whether the log is one in files of ours.
func (v values) inFiles() bool {
	_, ok := v.log.(*fileLog)
	return ok
}

// newest returns the version of the newest record of keys that begin with prefix, where
// the log is one in files of ours, which knows it; else 0.
func (v values) newest(ctx context.Context, prefix string) (Version, error) {
	l, ok := v.log.(*fileLog)
	if !ok {
		return 0, nil
	}
	version, err := l.j.Newest(ctx, prefix)
	return Version(version), asOurs(err)
}

// waiting reports whether something that was kept beside the log found no room in it.
func (v values) waiting() bool {
	l, ok := v.log.(*fileLog)
	return ok && l.j.Stats().Waiting
}

// Scan implements [Log].
func (l *fileLog) Scan(ctx context.Context, key string, after Version) iter.Seq2[Record, error] {
	return records(l.j.Scan(ctx, key, uint64(after)))
}

// Heads implements [Log].
func (l *fileLog) Heads(ctx context.Context, prefix, from string) iter.Seq2[Record, error] {
	return records(l.j.Heads(ctx, prefix, from))
}

func records(list iter.Seq2[journal.Record, error]) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for r, err := range list {
			if err != nil {
				yield(Record{}, asOurs(err))
				return
			}
			if !yield(Record{Key: r.Key, Version: Version(r.Version), At: time.Unix(0, r.Time), Body: r.Payload}, nil) {
				return
			}
		}
	}
}

// Drop implements [Log].
func (l *fileLog) Drop(ctx context.Context, key string, through Version) error {
	if err := checkStoreKey(key); err != nil {
		return fmt.Errorf("drop %s: %w", key, err)
	}
	return asOurs(l.j.Drop(ctx, key, uint64(through)))
}

// Close ends the log, and waits for what runs.
func (l *fileLog) Close() error {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return nil
	}
	close(l.stop)
	err := l.j.Close()
	l.menders.Wait()
	return asOurs(errors.Join(err, l.disk.Close()))
}

// asOurs makes an error of the journal match what the contract of [Log] says.
func asOurs(err error) error {
	if err == nil {
		return nil
	}
	for _, c := range [...]struct{ theirs, ours error }{
		{journal.ErrConflict, ErrConflict},
		{journal.ErrUnknown, ErrUnavailable},
		{journal.ErrUnavailable, ErrUnavailable},
		{journal.ErrFull, ErrStoreFull},
		{journal.ErrTooLarge, ErrTooLarge},
		{journal.ErrClosed, ErrClosed},
		{journal.ErrReadOnly, ErrReadOnly},
		{journal.ErrBusy, ErrBusy},
	} {
		if errors.Is(err, c.theirs) {
			return &journalError{err, c.ours}
		}
	}
	return err
}

// journalError is an error of the journal that is one of ours.
type journalError struct {
	err  error
	ours error
}

func (e *journalError) Error() string { return e.err.Error() }

// Unwrap returns what happened and what that is.
func (e *journalError) Unwrap() []error { return []error{e.err, e.ours} }

// Exclusive reports whether the process owns the directory: no other one writes to
// the log, and whoever did before is gone.
func (l *fileLog) Exclusive() bool { return l.owned }

// Elsewhere returns the other process that owns the directory, as far as it tells, or
// nil if none lives that does.
func (l *fileLog) Elsewhere() *BusyError {
	if l.owned {
		return nil
	}
	return journal.Owner(l.disk)
}
