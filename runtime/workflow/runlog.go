package workflow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// How long a record is tried to be written, and the pauses between.
const (
	storeLimit = 30 * time.Second
	firstPause = 5 * time.Millisecond
	mostPause  = time.Second
)

// errKnown says that a run with this id is there.
var errKnown = errors.New("the run is known")

// runLog is the log of a run, as its owner writes it. One goroutine uses it at a
// time.
type runLog struct {
	log  resilience.Log
	key  string
	last resilience.Version // after which the next record comes
	crc  uint32             // of the last one
	size int                // of the last one that was written

	limit *limitContext // of an append; used again
}

func newRunLog(log resilience.Log, key string) *runLog {
	return &runLog{log: resilience.Large(log), key: key}
}

// append writes a record after the last one, and returns when it is durable. What it
// records has happened, so it does not end with ctx, but with a limit of its own. The
// log is the fence: [resilience.ErrFenced] says that somebody else wrote, and
// [errKnown] of the first record that there is a run.
func (l *runLog) append(ctx context.Context, body []byte) error {
	ctx, release := l.limited(ctx)
	defer release()
	for pause, tries := firstPause, 1; ; pause, tries = min(2*pause, mostPause), tries+1 {
		at, err := l.log.Append(ctx, l.key, l.last, body)
		if err == nil {
			l.wrote(at, body)
			return nil
		}
		if done, known := l.settle(ctx, body, err, tries); known != nil || done {
			return known
		}
		if sleep(ctx, pause); ctx.Err() != nil {
			return fmt.Errorf("record a step of %s: %w", l.key, err)
		}
	}
}

func (l *runLog) wrote(at resilience.Version, body []byte) {
	l.last, l.crc, l.size = at, sumOf(body), len(body)
}

// settle finds out what became of an append that failed with err: done if the record
// is there after all. Neither done nor an error: it is not there, and may be written
// again after the same record, which cannot land twice.
func (l *runLog) settle(ctx context.Context, body []byte, err error, tries int) (done bool, final error) {
	if errors.Is(err, resilience.ErrTooLarge) || errors.Is(err, resilience.ErrClosed) || errors.Is(err, resilience.ErrReadOnly) {
		return false, err
	}
	if l.last == 0 && tries == 1 && errors.Is(err, resilience.ErrConflict) {
		return false, errKnown
	}
	for r, err := range l.log.Scan(ctx, l.key, l.last) {
		switch {
		case err != nil:
			return false, nil
		case bytes.Equal(r.Body, body):
			l.wrote(r.Version, body)
			return true, nil
		case l.last == 0:
			return false, errKnown
		default:
			return false, fmt.Errorf("%s: %w", l.key, resilience.ErrFenced)
		}
	}
	if errors.Is(err, resilience.ErrConflict) && tries > 3 {
		return false, fmt.Errorf("%s: version %d is not its last one, and nothing follows it: %w", l.key, l.last, ErrLogWentBack)
	}
	return false, nil
}

// read returns the state that the records of the run make, and [ErrRunUnknown] if
// there are none. It begins at the last snapshot.
func (l *runLog) read(ctx context.Context) (*state, error) {
	s := newState()
	from, err := l.lastSnapshot(ctx)
	if err != nil {
		return nil, err
	}
	for r, err := range l.log.Scan(ctx, l.key, max(from, 1)-1) {
		if err != nil {
			return nil, err
		}
		if err := s.fold(r); err != nil {
			return nil, fmt.Errorf("%s: version %d: %w", l.key, r.Version, err)
		}
	}
	if s.version == 0 {
		return nil, ErrRunUnknown
	}
	l.last, l.crc = s.version, s.crc
	return s, nil
}

// unchanged reports whether the last record of the run is still the one that was read
// last.
func (l *runLog) unchanged(ctx context.Context) bool {
	for head, err := range l.log.Heads(ctx, l.key, l.key) {
		return err == nil && head.Key == l.key && head.Version == l.last && sumOf(head.Body) == l.crc
	}
	return false
}

// lastSnapshot returns the version of the last snapshot of the run, or 0.
func (l *runLog) lastSnapshot(ctx context.Context) (resilience.Version, error) {
	for head, err := range l.log.Heads(ctx, l.key, l.key) {
		switch {
		case err != nil:
			return 0, err
		case head.Key != l.key:
			return 0, nil
		}
		r, err := decodeRecord(head.Body)
		switch {
		case err != nil:
			return 0, fmt.Errorf("%s: version %d: %w", l.key, head.Version, err)
		case r.Kind == kindSnapshot:
			return head.Version, nil
		}
		return r.Snap, nil
	}
	return 0, nil
}

// fold applies a record as the log has it, after it made sure that it follows the one
// before.
func (s *state) fold(at resilience.Record) error {
	r, err := decodeRecord(at.Body)
	if err != nil {
		return err
	}
	return s.foldIn(r, at)
}

// foldIn is fold for a record that was decoded.
func (s *state) foldIn(r *record, at resilience.Record) error {
	if s.version == 0 {
		if r.Kind == kindSnapshot {
			*s = *r.Snapshot
			s.fill()
		} else if r.Kind != kindStart {
			return fmt.Errorf("%w: it begins with a %s", ErrLogWentBack, r.Kind)
		}
	} else if r.Prev != s.version || r.CRC != s.crc {
		return fmt.Errorf("%w: it follows version %d, and the one before is %d", ErrLogWentBack, r.Prev, s.version)
	}
	if r.Kind != kindSnapshot {
		if err := s.apply(r); err != nil {
			return err
		}
	}
	s.placed(r, at.Version, sumOf(at.Body), len(at.Body))
	return nil
}

// placed notes where in the log the record that was applied last stands.
func (s *state) placed(r *record, at resilience.Version, crc uint32, size int) {
	s.version, s.crc = at, crc
	s.sinceSnap += size
	switch {
	case r.Kind == kindStart, r.Kind == kindOwn && !r.Own.Released:
		s.Epoch = at
	case r.Kind == kindSnapshot:
		s.snap, s.snapStep, s.snapSize, s.sinceSnap = at, s.Count, size, 0
		s.marks = append(s.marks, mark{r.Prev, s.Count})
	}
}
