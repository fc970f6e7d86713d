package resilience

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// outlook is what a box knows of a store that other processes write to, too. The box's
// mutex guards what is not said to be of who has the turn.
type outlook struct {
	turn  chan struct{} // holds one element while somebody looks at the store
	begun atomic.Uint64 // looks
	whole bool          // the last look saw everything; of who has the turn
	heads map[string]letterHead

	wrote   map[string]letterHead // entered by this process since the last look began
	dropped map[string]bool       // ids that this process has taken out since then
	writing map[string]int        // ids of letters to which this process appends now
	at      time.Time             // when the last look began
}

// letterHead is the end of the key of a letter as it was seen last.
type letterHead struct {
	id, queue string
	rev       Version
	look      uint64 // that saw it
}

func newOutlook() outlook {
	return outlook{turn: make(chan struct{}, 1), heads: map[string]letterHead{}, wrote: map[string]letterHead{}, dropped: map[string]bool{}, writing: map[string]int{}}
}

// shared reports whether other processes change letters while this one has them. A
// directory belongs to one process, and who opens it to be read sees it as it was
// then.
func (b *LetterBox) shared() bool {
	_, files := b.rt.stores.Log.(*fileLog)
	return !files && !b.exclusive()
}

// current is load for who shows letters: where others write to the store, too, it
// looks what they have done. It tells what it has found: no lock is held.
func (b *LetterBox) current(ctx context.Context) error {
	err := b.catchUp(ctx)
	if err == nil {
		b.news.tell()
	}
	return err
}

// catchUp is current for who holds a lock: somebody else tells. Who comes while somebody
// looks waits for a look that begins later, and shares it with others that wait.
func (b *LetterBox) catchUp(ctx context.Context) error {
	before := b.outlook.begun.Load()
	if err := b.load(ctx); err != nil || !b.shared() {
		return err
	}
	if err := b.lookAfter(ctx, before); err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	return nil
}

// lookAfter looks at the store, unless that was done since so many looks had begun.
func (b *LetterBox) lookAfter(ctx context.Context, before uint64) error {
	if err := b.outlook.take(ctx); err != nil {
		return err
	}
	defer b.outlook.leave()
	if b.outlook.whole && b.outlook.begun.Load() > before {
		return nil
	}
	v, err := b.rt.values()
	if err == nil {
		err = b.compare(ctx, v)
	}
	b.outlook.whole = err == nil
	return err
}

func (o *outlook) take(ctx context.Context) error {
	select {
	case o.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *outlook) leave() { <-o.turn }

// compare looks at the last record of every letter, reads the letters that have
// changed since the look before, and takes out those that are gone. The caller has
// the turn.
func (b *LetterBox) compare(ctx context.Context, v values) error {
	round := b.beginLook()
	// What people said comes first: a letter is counted under it.
	if err := errors.Join(b.loadPatterns(ctx, v), b.loadTombstones(ctx, v)); err != nil {
		return err
	}
	fresh, err := b.differing(ctx, v, round)
	b.meet(ctx, fresh)
	if err == nil {
		b.miss(round)
	}
	return err
}

// readShared reads every letter, which is a look, too. There is no index: nobody could
// know whether others have changed anything since it was written. The caller has the
// turn.
func (b *LetterBox) readShared(ctx context.Context, v values) error {
	o := &b.outlook
	clear(o.heads)
	b.beginLook()
	o.whole = false
	b.indexed = b.dropIndex(ctx, v) != nil // one of a program that did not know better
	if err := errors.Join(b.loadPatterns(ctx, v), b.loadTombstones(ctx, v)); err != nil {
		return err
	}
	list, err := readLetters(ctx, v, o.heads)
	if err != nil {
		return err
	}
	b.fill(list)
	o.whole = true
	return nil
}

// beginLook takes what this process has written for something that was seen. What it
// writes from now on the look may see or not.
func (b *LetterBox) beginLook() (round uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := &b.outlook
	for key, w := range o.wrote {
		if w.rev > o.heads[key].rev {
			o.heads[key] = w
		}
	}
	clear(o.wrote)
	clear(o.dropped)
	o.at = time.Now()
	return o.begun.Add(1)
}

// differing reads the letters whose last record is not the one that was seen. It
// returns what it has read also beside an error: that counts as seen.
func (b *LetterBox) differing(ctx context.Context, v values, round uint64) (list []LetterSummary, err error) {
	for head, err := range v.heads(ctx, letterPrefix, "") {
		if err != nil {
			return list, err
		}
		known, ok := b.outlook.heads[head.Key]
		if !ok || known.rev != head.Version {
			s, err := summaryAt(ctx, v, head)
			if errors.Is(err, ErrNoLetter) { // dropped since
				continue
			}
			if err != nil {
				return list, err
			}
			list, known = append(list, s), letterHead{id: s.ID, queue: s.Queue, rev: s.Rev}
		}
		known.look = round
		b.outlook.heads[head.Key] = known
	}
	return list, nil
}

// meet puts letters into the index that others have written or changed.
func (b *LetterBox) meet(ctx context.Context, list []LetterSummary) {
	b.mu.Lock()
	defer b.mu.Unlock()
	grown := map[*letterQueue]bool{}
	for i := range list {
		s := &list[i]
		old := b.letters[s.ID]
		switch {
		case old == nil && b.outlook.dropped[s.ID], old != nil && (old.Queue != s.Queue || old.Rev >= s.Rev):
			continue
		case old == nil:
			q := b.queue(s.Queue)
			b.letters[s.ID], grown[q] = s, true
			b.byID, q.letters = append(b.byID, s), append(q.letters, s)
			q.bytes += int64(s.Size)
			b.countForeign(ctx, s)
		default:
			again := s.Last.After(old.Last)
			b.patterns.tally(old, -1)
			b.queue(s.Queue).bytes += int64(s.Size - old.Size)
			if *old = *s; again {
				b.countForeign(ctx, s)
			}
		}
		b.patterns.tally(s, 1)
	}
	if len(grown) > 0 {
		slices.SortFunc(b.byID, compareLetters)
	}
	for q := range grown {
		slices.SortFunc(q.letters, compareLetters)
	}
}

// countForeign counts a call that failed in another process, which has told of it. One
// that failed here and was seen in the store before it was entered is told here. b.mu
// is held.
func (b *LetterBox) countForeign(ctx context.Context, s *LetterSummary) {
	if p := b.patterns.by[s.Group]; p != nil && s.ID <= p.adopted {
		return // who counted it has said so
	}
	if news := b.patterns.count(s); b.outlook.writing[s.ID] > 0 {
		b.tellPattern(ctx, s, news)
	}
}

// miss takes letters out of the index that a look has not found, unless they were
// written again meanwhile. The caller has the turn.
func (b *LetterBox) miss(round uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.outlook.heads, func(_ string, h letterHead) bool {
		if h.look == round {
			return false
		}
		if s := b.letters[h.id]; s != nil && s.Queue == h.queue && s.Rev <= h.rev {
			b.takeOut(s)
		}
		return true
	})
}

// writes notes that this process appends to a letter, until the func is called.
func (b *LetterBox) writes(id string) func() {
	if !b.shared() {
		return func() {}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outlook.writing[id]++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.outlook.writing[id]--; b.outlook.writing[id] == 0 {
			delete(b.outlook.writing, id)
		}
	}
}

// noteWritten notes what this process has entered, for the next look. b.mu is held.
func (b *LetterBox) noteWritten(s *LetterSummary) {
	if b.shared() {
		b.outlook.wrote[letterKey(s.Queue, s.ID)] = letterHead{id: s.ID, queue: s.Queue, rev: s.Rev}
		delete(b.outlook.dropped, s.ID)
	}
}

// lookedLately reports whether the last look is younger than an age. Where nobody else
// writes, it always is.
func (b *LetterBox) lookedLately(age time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.shared() || time.Since(b.outlook.at) < age
}

// own has this process be the only one to do something, where a store that is shared
// has leases. It returns what gives that up, and [ErrHeld] where another one has it.
// It always succeeds where there is nobody else, or no lease: then what is done is as
// safe as the comparing of appends makes it.
func (b *LetterBox) own(ctx context.Context, name string, ttl time.Duration) (release func(), err error) {
	leases := b.leases()
	if leases == nil {
		return func() {}, nil
	}
	lease, err := leases.Acquire(ctx, name, b.instance, ttl)
	if err != nil {
		return nil, err
	}
	return func() {
		ctx, cancel := durably(ctx)
		defer cancel()
		_ = leases.Release(ctx, lease) // else it ends by itself
	}, nil
}

// leases returns those of a store that is shared, nil if there are none.
func (b *LetterBox) leases() Leases {
	if !b.shared() {
		return nil
	}
	return b.rt.stores.Leases
}
