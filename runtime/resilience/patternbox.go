package resilience

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrNoPattern says that there is no pattern under an id.
var ErrNoPattern = errors.New("no such pattern")

// Patterns returns the patterns of letters, those with the most open letters first.
// text, if it is not empty, must be the id or the state of one, or a part of its
// title, its errors or its method.
func (b *LetterBox) Patterns(ctx context.Context, text string) ([]LetterPattern, error) {
	if err := b.current(ctx); err != nil {
		return nil, err
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []LetterPattern
	for _, p := range b.patterns.by {
		if snapshot := p.snapshot(now); snapshot.fits(text) {
			list = append(list, snapshot)
		}
	}
	slices.SortFunc(list, func(a, b LetterPattern) int {
		return cmp.Or(cmp.Compare(b.Open, a.Open), b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// Pattern returns a pattern.
func (b *LetterBox) Pattern(ctx context.Context, id string) (LetterPattern, error) {
	if err := b.current(ctx); err != nil {
		return LetterPattern{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.patterns.by[id]
	if p == nil {
		return LetterPattern{}, fmt.Errorf("pattern %.40q: %w", id, ErrNoPattern)
	}
	return p.snapshot(time.Now()), nil
}

// SetPattern changes what is said of a pattern, and returns what it is then. It is
// durable when it returns.
func (b *LetterBox) SetPattern(ctx context.Context, id string, o PatternChange) (LetterPattern, error) {
	if o.State != "" && !slices.Contains([]PatternState{PatternOngoing, PatternResolved, PatternMuted}, o.State) {
		return LetterPattern{}, fmt.Errorf("pattern %.40q: a state of %.40q cannot be set: want ongoing, resolved or muted", id, o.State)
	}
	if _, err := b.Pattern(ctx, id); err != nil {
		return LetterPattern{}, err
	}
	v, err := b.rt.values()
	if err != nil {
		return LetterPattern{}, err
	}
	if err := b.setPattern(ctx, v, id, o); err != nil {
		return LetterPattern{}, fmt.Errorf("pattern %.40q: %w", id, err)
	}
	return b.Pattern(ctx, id)
}

func (b *LetterBox) setPattern(ctx context.Context, v values, id string, o PatternChange) error {
	b.saying.Lock() // one after the other: each stands on what the one before said
	defer b.saying.Unlock()
	now := time.Now().Round(0).UTC()
	return b.sayOf(ctx, v, id, func(c patternChange) patternChange { return c.with(id, o, now) })
}

// sayOf writes what is to be said of a pattern: it stands on what another process said
// of it meanwhile. b.saying is held.
func (b *LetterBox) sayOf(ctx context.Context, v values, id string, change func(patternChange) patternChange) error {
	var said patternChange
	var rev Version
	err := standing(func() (err error) {
		b.mu.Lock()
		p := b.patterns.get(id)
		after := p.rev
		said = change(p.change)
		b.mu.Unlock()
		rev, err = replace(ctx, v, patternKey(id), after, said)
		return err
	}, func() error { return b.loadPatterns(ctx, v) })
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.patterns.get(id); rev > p.rev {
		p.say(said)
		p.rev = rev
	}
	return nil
}

// standing writes, and reads what another process wrote where that came first. It gives
// up where that happens again and again.
func standing(write, read func() error) error {
	for try := 0; ; try++ {
		err := write()
		if !errors.Is(err, ErrConflict) || try == mostConflicts {
			return err
		}
		if err := read(); err != nil {
			return err
		}
	}
}

const mostConflicts = 10

// replace writes a record in the place of version after of a key.
func replace(ctx context.Context, v values, key string, after Version, what any) (Version, error) {
	body, err := json.Marshal(what)
	if err != nil {
		return 0, err
	}
	rev, err := v.urgent().append(ctx, key, after, body) // it is said before something is dropped: a full store gets room by it
	if err == nil && after > 0 {
		_ = v.drop(ctx, key, after) // what stood there before; another time if not now
	}
	return rev, err
}

const patternPrefix = "pattern/"

func patternKey(id string) string { return StoreKey("pattern", id) }

// loadPatterns reads what people said of patterns, where it is not known.
func (b *LetterBox) loadPatterns(ctx context.Context, v values) error {
	for head, err := range v.heads(ctx, patternPrefix, "") {
		if err != nil {
			return fmt.Errorf("patterns: %w", err)
		}
		var said patternChange
		if json.Unmarshal(head.Body, &said) != nil || patternKey(said.ID) != head.Key {
			continue // only notes of people stood there; Verify tells of it
		}
		b.hear(said, head.Version)
	}
	return nil
}

// hear takes in what was said of a pattern. Where there are too many patterns already,
// one that is not known does not push another one out at every look.
func (b *LetterBox) hear(said patternChange, rev Version) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shared() && b.patterns.by[said.ID] == nil && len(b.patterns.by) >= maxPatterns {
		return
	}
	if p := b.patterns.get(said.ID); rev > p.rev {
		p.say(said)
		p.rev = rev
	}
}
