package resilience

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	case byRun:
		return v.run()
	default:
		return s.Version
	}
}

// run is the id of the run that the letter is one of. The index does not have it.
func (v *letterSeen) run() string {
	if !strings.HasPrefix(v.Sig, runSig) {
		return ""
	}
	if r := v.letter().Run; r != nil {
		return r.ID
	}
	return ""
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

func (v *letterSeen) args(text string) []LetterArg {
	if v.full == nil {
		if args, ok := v.box.shownArgs(v.ctx, v.LetterSummary, text); ok {
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
		if err := b.current(ctx); err != nil {
			yield(LetterSummary{}, err)
			return
		}
		for now := time.Now(); ; {
			some := b.some(cursor, oldestFirst)
			for i, l := range b.look(ctx, f, some, now) {
				if l.err != nil {
					yield(LetterSummary{}, l.err)
					return
				}
				if l.fits && !yield(some[i], nil) {
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

// looked is what came of looking at a letter.
type looked struct {
	fits bool
	err  error
}

// look says which of some letters f chooses. Where it has to read them from files,
// every processor does: to find one argument in 100,000 letters takes a second.
func (b *LetterBox) look(ctx context.Context, f Filter, some []LetterSummary, now time.Time) []looked {
	list := make([]looked, len(some))
	one := func(i int) {
		v := letterSeen{LetterSummary: &some[i], box: b, ctx: ctx}
		list[i].fits = f.matches(&v, now)
		list[i].err = v.err
	}
	workers := 1
	if v, err := b.rt.values(); err == nil && f.reads() && v.inFiles() { // a store of the user's may panic
		workers = runtime.GOMAXPROCS(0)
	}
	if workers == 1 {
		for i := range some {
			one(i)
		}
		return list
	}
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(some); i = int(next.Add(1)) - 1 {
				one(i)
			}
		})
	}
	group.Wait()
	return list
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
