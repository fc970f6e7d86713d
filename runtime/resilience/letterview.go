package resilience

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"
)

// letterSeen is a letter of the index as a filter sees it. What the index does not
// have is read once, when it is asked for.
type letterSeen struct {
	*LetterSummary
	box  *LetterBox
	ctx  context.Context
	full *Letter
	err  error
}

func (v *letterSeen) word(k filterKey) string {
	switch s := v.LetterSummary; k {
	case byQueue:
		return s.Queue
	case byInterface:
		return s.Interface
	case byMethod:
		return s.Method
	case byState:
		return string(s.State)
	case byReason:
		return string(s.Reason)
	case byGroup:
		return s.Group
	case byTrace:
		return s.TraceID
	case byID:
		return s.ID
	case bySig:
		return s.Sig
	case byHost:
		return s.Host
	default:
		return s.Version
	}
}

func (v *letterSeen) count(k filterKey) int {
	if k == byReplays {
		return v.ReplayCount
	}
	return v.AttemptCount
}

func (v *letterSeen) died() time.Time   { return v.DeadAt }
func (v *letterSeen) tags() []string    { return v.Tags }
func (v *letterSeen) errors() []ErrNode { return v.letter().Errors }

func (v *letterSeen) args() []LetterArg {
	if v.full == nil {
		if args, ok := v.box.shownArgs(v.ctx, v.LetterSummary); ok {
			return args
		}
	}
	return v.letter().Call.Args
}

func (v *letterSeen) letter() *Letter {
	if v.full == nil {
		l, err := v.box.get(v.ctx, v.ID)
		v.full = &l
		if err != nil && !errors.Is(err, ErrNoLetter) && !errors.Is(err, errBadLetter) {
			v.err = err
		}
	}
	return v.full
}

// chunk is how many letters are looked at between two looks at the index.
const chunk = 256

// matching yields the letters behind a cursor that f chooses. Letters that come and
// go meanwhile may be seen or not. After an error it ends.
func (b *LetterBox) matching(ctx context.Context, f Filter, cursor string, oldestFirst bool) iter.Seq2[LetterSummary, error] {
	return func(yield func(LetterSummary, error) bool) {
		if err := b.load(ctx); err != nil {
			yield(LetterSummary{}, err)
			return
		}
		for now := time.Now(); ; {
			some := b.some(cursor, oldestFirst)
			for i := range some {
				v := letterSeen{LetterSummary: &some[i], box: b, ctx: ctx}
				fits := f.matches(&v, now)
				if v.err != nil {
					yield(LetterSummary{}, v.err)
					return
				}
				if fits && !yield(some[i], nil) {
					return
				}
			}
			if len(some) < chunk {
				return
			}
			cursor = some[chunk-1].ID
		}
	}
}

// summaryOf copies what the index knows of a letter.
func (b *LetterBox) summaryOf(id string) (LetterSummary, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.letters[id]
	if s == nil {
		return LetterSummary{}, false
	}
	return *s, true
}

// some copies the next letters behind a cursor.
func (b *LetterBox) some(cursor string, oldestFirst bool) []LetterSummary {
	b.mu.Lock()
	defer b.mu.Unlock()
	some := make([]LetterSummary, 0, chunk)
	for s := range b.from(cursor, oldestFirst) {
		if len(some) == chunk {
			break
		}
		some = append(some, *s)
		last := &some[len(some)-1]
		last.Tags, last.State = slices.Clone(s.Tags), b.presentState(s.State, s.Claim)
	}
	return some
}
