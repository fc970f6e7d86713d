package journal

import (
	"errors"
	"fmt"
)

// Reopen makes a broken journal work again, if the disk does: it reads the
// directory anew, writes again what is not known to be durable, and flushes it.
// The lock is kept. Records whose appends returned [ErrUnavailable] are there
// afterwards, or never. A journal that is not broken is left alone.
func (j *Journal) Reopen() error {
	var err error
	j.inTurn(func() { err = j.reopen() })
	j.tell()
	return err
}

func (j *Journal) reopen() error {
	j.mu.Lock()
	for j.making {
		j.await()
	}
	closed, broken := j.closed, j.broken
	old, spare := j.x, j.spare
	j.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if broken == nil {
		return nil
	}
	err := j.again()
	if err == nil {
		for _, seg := range old.segs {
			err = errors.Join(err, seg.release())
		}
		if spare != nil {
			err = errors.Join(err, spare.release())
		}
		err = errors.Join(err, j.takeIn())
	}
	if err != nil {
		return fmt.Errorf("reopen journal in %s: %w", j.fs.Path(), err)
	}
	j.mu.Lock()
	j.news = append(j.news, Event{Kind: Reopened})
	j.mu.Unlock()
	return nil
}

// again reads the directory anew.
func (j *Journal) again() error {
	// A flush that still runs ends before the descriptors are others.
	j.flushing.Lock()
	defer j.flushing.Unlock()
	f, err := j.recover(j.flushed.Load())
	if err != nil {
		return err
	}
	j.adopt(f)
	j.mu.Lock()
	j.news = append(j.news, f.events...)
	j.mu.Unlock()
	return nil
}
