package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrQueueFull says that a queue of letters has no room, and its policy rejects.
var ErrQueueFull error = &sentinel{"queue of letters is full"}

// letterQueue is what the index knows of a queue. The box's mutex guards it.
type letterQueue struct {
	name    string
	letters []*LetterSummary // sorted by id
	bytes   int64
	pending int  // letters that are being written
	conf    bool // a method says how long letters are kept
	age     time.Duration
	settled time.Duration
	count   int
	size    int64
	over    Overflow
	wait    time.Duration
	gone    tombstone
	goneRev Version
}

// tombstone is what is left of the letters of a queue that were dropped.
type tombstone struct {
	Queue   string           `json:"queue"`
	Dropped map[string]int64 `json:"dropped"` // letters, by why
	Bytes   int64            `json:"bytes"`
	Last    []goneLetter     `json:"last"` // oldest first
}

// goneLetter is a letter that was dropped.
type goneLetter struct {
	ID  string    `json:"id"`
	At  time.Time `json:"at"`
	Why string    `json:"why"`
}

// Why letters are dropped.
const (
	dropAge     = "maxAge"
	dropSettled = "keepReplayed"
	dropCount   = "maxCount"
	dropBytes   = "maxBytes"
	dropErased  = "erased"
)

const (
	maxGone       = 100 // letters that a tombstone names
	dropBatch     = 100
	sweepInterval = time.Minute
	sweepLook     = 10 * time.Minute // between two looks at a store that is shared, if nobody asks for letters
)

// limit makes the numbers of a policy hold for its queue. Of several the smallest
// holds.
func (q *letterQueue) limit(p *DeadLetterPolicy) {
	if !q.conf {
		q.conf, q.age, q.settled, q.count, q.size = true, p.MaxAge, p.KeepReplayed, p.MaxCount, p.MaxBytes
		q.over, q.wait = p.Overflow, p.BlockTimeout
		return
	}
	q.age, q.settled = smaller(q.age, p.MaxAge), smaller(q.settled, p.KeepReplayed)
	q.count, q.size = smaller(q.count, p.MaxCount), smaller(q.size, p.MaxBytes)
}

// smaller is the smaller one of two limits, of which one that is negative is none.
func smaller[N int | int64 | time.Duration](a, b N) N {
	if a < 0 || b < 0 {
		return max(a, b)
	}
	return min(a, b)
}

// full says which limit another letter of a size would pass, "" if none.
func (q *letterQueue) full(size int) string {
	switch {
	case q.count > 0 && len(q.letters)+q.pending >= q.count:
		return dropCount
	case q.size > 0 && q.bytes+int64(size) > q.size:
		return dropBytes
	}
	return ""
}

// expired says why a letter is to go now, "" if it is not.
func (q *letterQueue) expired(s *LetterSummary, now time.Time) string {
	switch {
	case s.State == LetterClaimed || s.State == LetterInDoubt:
		return ""
	case !s.open() && q.settled > 0 && now.Sub(s.MovedAt) >= q.settled:
		return dropSettled
	case q.age > 0 && now.Sub(s.DeadAt) >= q.age:
		return dropAge
	}
	return ""
}

// excess returns the letters that have to go for the others to have room: those
// that are settled first, then the oldest. Once a limit is reached one letter in a
// hundred goes, so that not every letter that comes pays for it.
func (q *letterQueue) excess() (list []*LetterSummary, why string) {
	switch {
	case q.over != OverflowDropOldest:
		return nil, ""
	case q.count > 0 && len(q.letters) > q.count:
		why = dropCount
	case q.size > 0 && q.bytes > q.size:
		why = dropBytes
	default:
		return nil, ""
	}
	count, size := len(q.letters), q.bytes
	enough := func() bool {
		return (q.count <= 0 || count <= q.count-q.count/100) && (q.size <= 0 || size <= q.size-q.size/100)
	}
	for _, settled := range []bool{true, false} {
		for _, s := range q.letters {
			if enough() || len(list) == dropBatch {
				return list, why
			}
			if s.State != LetterClaimed && s.State != LetterInDoubt && s.open() != settled {
				list = append(list, s)
				count--
				size -= int64(s.Size)
			}
		}
	}
	return list, why
}

// queue returns a queue, which may be new. b.mu is held.
func (b *LetterBox) queue(name string) *letterQueue {
	q := b.queues[name]
	if q == nil {
		q = &letterQueue{name: name, gone: tombstone{Queue: name, Dropped: map[string]int64{}}}
		b.queues[name] = q
	}
	return q
}

// reserve takes a place in a queue for a letter of a size, and waits for one where
// the policy says so. Where the oldest make room, there is always one.
func (b *LetterBox) reserve(ctx context.Context, queue string, size int) (free func(), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.queue(queue)
	var timer *time.Timer
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	for q.over == OverflowReject || q.over == OverflowBlock {
		why := q.full(size)
		if why == "" {
			break
		}
		if q.over == OverflowReject {
			return nil, fmt.Errorf("%s: %w", why, ErrQueueFull)
		}
		if timer == nil {
			timer = time.NewTimer(q.wait)
		}
		room := b.room
		b.mu.Unlock()
		err := wait(ctx, room, timer.C)
		b.mu.Lock()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", why, err)
		}
	}
	q.pending++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		q.pending--
		b.makeRoom()
	}, nil
}

func wait(ctx context.Context, room <-chan struct{}, until <-chan time.Time) error {
	select {
	case <-room:
		return nil
	case <-until:
		return ErrQueueFull
	case <-ctx.Done():
		return ctx.Err()
	}
}

// makeRoom wakes those that wait for room. b.mu is held.
func (b *LetterBox) makeRoom() {
	close(b.room)
	b.room = make(chan struct{})
}

// doomed is a letter that is to be dropped, and why.
type doomed struct {
	LetterSummary
	why string
}

// sweep drops the letters whose time is over, at most once a minute, and those for
// which there is no room. Errors of the store are for the next sweep.
func (b *LetterBox) sweep(ctx context.Context) {
	if !b.sweeping.TryLock() {
		return
	}
	defer b.sweeping.Unlock()
	if !b.lookedLately(sweepLook) && b.catchUp(ctx) != nil {
		return
	}
	list := b.condemned(b.rt.wall.now())
	if len(list) == 0 {
		return
	}
	release, err := b.own(ctx, "letters/sweep", sweepInterval)
	if err != nil {
		return // another process does it
	}
	defer release()
	if b.shared() { // it may have
		if b.catchUp(ctx) != nil {
			return
		}
		list = b.condemned(b.rt.wall.now())
	}
	for len(list) > 0 && b.dropAll(ctx, list) == nil {
		list = b.condemned(b.rt.wall.now())
	}
}

// condemned returns the next letters to drop, of one queue.
func (b *LetterBox) condemned(now time.Time) (list []doomed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, q := range b.queues {
		if !q.conf {
			continue
		}
		excess, why := q.excess()
		for _, s := range excess {
			list = append(list, doomed{*s, why})
		}
		if len(list) > 0 {
			return list
		}
	}
	if now.Sub(b.swept) < sweepInterval {
		return nil
	}
	for _, q := range b.queues {
		for _, s := range q.letters {
			if why := q.expired(s, now); q.conf && why != "" && !b.held[s.ID] {
				list = append(list, doomed{*s, why})
			}
			if len(list) == dropBatch {
				return list
			}
		}
		if len(list) > 0 {
			return list
		}
	}
	b.swept, b.held = now, nil // a whole round was looked at
	return nil
}

// dropAll drops letters of one queue: first the words about them, then they. The
// program is asked before, and may keep those whose time is over.
func (b *LetterBox) dropAll(ctx context.Context, list []doomed) error {
	v, err := b.rt.values()
	if err != nil {
		return err
	}
	ctx, cancel := durably(ctx)
	defer cancel()
	if list[0].why != dropErased {
		list = b.archive(ctx, v, list)
	}
	if len(list) == 0 {
		return nil
	}
	if err := b.tellRuns(ctx, v, list); err != nil {
		return err
	}
	if list, err = b.fence(ctx, v, list); err != nil || len(list) == 0 {
		return err
	}
	if err := b.bury(ctx, v, list); err != nil {
		return err
	}
	for _, d := range list {
		if err := v.drop(ctx, letterKey(d.Queue, d.ID), d.Rev); err != nil {
			return err
		}
		b.remove(d.ID)
		b.tellDropped(ctx, d)
	}
	b.news.tell()
	return nil
}

// fence writes into letters of a store that is shared that they go, so that no other
// process begins a replay whose record would be all that is left. It returns the
// letters that were still what they were; those to be erased go as they are by now.
func (b *LetterBox) fence(ctx context.Context, v values, list []doomed) (fenced []doomed, err error) {
	if !b.shared() {
		return list, nil
	}
	for _, d := range list {
		switch d.Rev, err = b.expire(ctx, v, d); {
		case err == nil:
			fenced = append(fenced, d)
		case errors.Is(err, ErrConflict):
			err = b.reread(ctx, v, d)
		}
		if err != nil {
			return nil, err
		}
	}
	return fenced, nil
}

// expire appends that a letter goes.
func (b *LetterBox) expire(ctx context.Context, v values, d doomed) (rev Version, err error) {
	t := LetterTransition{At: time.Now().Round(0).UTC(), To: LetterExpired, Why: d.why}
	body, err := json.Marshal(letterRecord{Kind: recordTransition, Transition: &t})
	if err != nil {
		return 0, err
	}
	key := letterKey(d.Queue, d.ID)
	err = standing(func() (err error) {
		rev, err = v.urgent().append(ctx, key, d.Rev, body)
		return err
	}, func() error {
		last, err := v.last(ctx, key)
		if err == nil && (last.Version == 0 || d.why != dropErased) {
			err = ErrConflict
		}
		d.Rev = last.Version
		return err
	})
	return rev, err
}

// reread puts into the index what a letter is by now.
func (b *LetterBox) reread(ctx context.Context, v values, d doomed) error {
	l, err := readLetter(ctx, v, letterKey(d.Queue, d.ID))
	switch {
	case errors.Is(err, ErrNoLetter):
		b.remove(d.ID)
		return nil
	case err == nil:
		b.recalled(ctx, l)
	}
	return err
}

// archive gives letters to the program, and returns those that it does not keep.
func (b *LetterBox) archive(ctx context.Context, v values, list []doomed) []doomed {
	if b.o.OnExpire == nil {
		return list
	}
	batch := make([]Letter, 0, len(list))
	for _, d := range list {
		if l, err := readLetter(ctx, v, letterKey(d.Queue, d.ID)); err == nil {
			l.State = LetterExpired
			batch = append(batch, l)
		}
	}
	if b.expires(ctx, batch) == nil {
		return list
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held == nil {
		b.held = map[string]bool{}
	}
	return slices.DeleteFunc(list, func(d doomed) bool {
		over := d.why == dropAge || d.why == dropSettled
		if over { // it is asked for again in the next round
			b.held[d.ID] = true
		}
		return over
	})
}

// expires asks the program. A panic keeps the letters.
func (b *LetterBox) expires(ctx context.Context, batch []Letter) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("OnExpire panicked: %v", v)
		}
	}()
	return b.o.OnExpire(ctx, batch)
}

// bury writes what stays of letters: the tombstone of their queue and the counts of
// their patterns.
func (b *LetterBox) bury(ctx context.Context, v values, list []doomed) error {
	var q *letterQueue
	var gone tombstone
	var rev Version
	err := standing(func() (err error) {
		b.mu.Lock()
		q = b.queue(list[0].Queue)
		gone = q.gone.with(list, time.Now().Round(0).UTC())
		after := q.goneRev
		b.mu.Unlock()
		rev, err = replace(ctx, v, StoreKey("tombstone", gone.Queue), after, gone)
		return err
	}, func() error { return b.loadTombstones(ctx, v) })
	if err != nil {
		return err
	}
	b.mu.Lock()
	if rev > q.goneRev {
		q.gone, q.goneRev = gone, rev
	}
	b.mu.Unlock()
	return b.countForGood(ctx, v, list)
}

// with returns t with letters more.
func (t tombstone) with(list []doomed, now time.Time) tombstone {
	dropped := map[string]int64{}
	for why, n := range t.Dropped {
		dropped[why] = n
	}
	t.Dropped, t.Last = dropped, slices.Clone(t.Last)
	for _, d := range list {
		t.Dropped[d.why]++
		t.Bytes += int64(d.Size)
		t.Last = append(t.Last, goneLetter{d.ID, now, d.why})
	}
	t.Last = t.Last[max(len(t.Last)-maxGone, 0):]
	return t
}

// countForGood writes the counts of the patterns of letters that are about to go.
func (b *LetterBox) countForGood(ctx context.Context, v values, list []doomed) error {
	b.saying.Lock()
	defer b.saying.Unlock()
	done := map[string]bool{}
	for _, d := range list {
		b.mu.Lock()
		counted := b.patterns.by[d.Group] != nil
		b.mu.Unlock()
		if done[d.Group] || !counted {
			continue
		}
		done[d.Group] = true
		err := b.sayOf(ctx, v, d.Group, func(c patternChange) patternChange {
			p := b.patterns.by[d.Group]                                                  // sayOf holds b.mu
			c.ID, c.Counted = d.Group, &patternCount{p.through, p.LetterPattern.clone()} // letters come while it is written
			return c
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// loadTombstones reads what is left of letters that were dropped.
func (b *LetterBox) loadTombstones(ctx context.Context, v values) error {
	for head, err := range v.heads(ctx, "tombstone/", "") {
		if err != nil {
			return fmt.Errorf("tombstones: %w", err)
		}
		var t tombstone
		if decodeListed(head.Body, &t) != nil || StoreKey("tombstone", t.Queue) != head.Key {
			continue // Verify tells of it
		}
		if t.Dropped == nil {
			t.Dropped = map[string]int64{}
		}
		b.mu.Lock()
		if q := b.queue(t.Queue); head.Version > q.goneRev {
			q.gone, q.goneRev = t, head.Version
		}
		b.mu.Unlock()
	}
	return nil
}
