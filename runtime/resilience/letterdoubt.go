package resilience

import (
	"context"
	"errors"
)

// doubt notes that the store did not say whether a change of a letter was written.
// Until that is known, the index may not be right.
func (b *LetterBox) doubt(id, key string, err error) {
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrStoreFull) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrClosed) {
		return // nothing was written
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.doubts == nil {
		b.doubts = map[string]string{}
	}
	b.doubts[id] = key
}

// takeDoubts returns the keys of the doubtful letters by their ids, and forgets them.
func (b *LetterBox) takeDoubts() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.doubts
	b.doubts = nil
	return list
}

// settleDoubts decides what is in doubt, where the store tells that it works.
func (b *LetterBox) settleDoubts(ctx context.Context) {
	b.mu.Lock()
	none := len(b.doubts) == 0
	b.mu.Unlock()
	if none {
		return
	}
	v, err := b.rt.values()
	log, ok := v.log.(*fileLog)
	if err != nil || !ok || !log.knows() {
		return
	}
	b.gate.RLock()
	defer b.gate.RUnlock()
	b.decide(ctx, v)
}

// decide reads the doubtful letters again: the store has just written something, and
// so knows by now what it wrote before. The gate is held.
func (b *LetterBox) decide(ctx context.Context, v values) {
	if v.waiting() {
		return // for the next process, which takes in what is beside the store
	}
	for id, key := range b.takeDoubts() {
		l, err := readLetter(ctx, v, key)
		switch {
		case errors.Is(err, ErrNoLetter): // it was not written
		case err != nil:
			b.doubt(id, key, err)
		case b.loaded:
			b.enter(ctx, l.summary(), !b.has(id))
		}
	}
}

// recalled enters a letter that is found to have been changed by us.
func (b *LetterBox) recalled(ctx context.Context, l Letter) {
	b.gate.RLock()
	defer b.gate.RUnlock()
	if b.loaded {
		b.enter(ctx, l.summary(), false)
	}
}

func (b *LetterBox) has(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.letters[id] != nil
}
