package resilience

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// letterMoves says where a letter may go. A claimed one is left to who claimed it.
var letterMoves = map[LetterState][]LetterState{
	LetterDead:        {LetterClaimed, LetterReplayed, LetterDiscarded, LetterQuarantined},
	LetterClaimed:     {LetterDead, LetterReplayed, LetterQuarantined},
	LetterInDoubt:     {LetterClaimed, LetterDead, LetterReplayed, LetterDiscarded, LetterQuarantined},
	LetterQuarantined: {LetterDead, LetterReplayed, LetterDiscarded},
	LetterDiscarded:   {LetterDead},
}

// Outcomes of replays.
const (
	ReplaySucceeded   = "succeeded"
	ReplayFailed      = "failed"
	ReplayUnknown     = "unknown"     // who replayed ended before it could say
	ReplayInterrupted = "interrupted" // the process was shut down; it counts for nothing
)

// Errors of what is done with letters. ErrLetterChanged and ErrPlanApplied match
// [ErrConflict], too, as do a [*LetterStateError] and that of a job whose state does
// not allow what was asked for.
var (
	// ErrLetterChanged says that a letter is not what it was when it was looked at.
	ErrLetterChanged error = &clash{"the letter has changed since it was looked at"}
	// ErrPlanApplied says that a job was made of a plan before.
	ErrPlanApplied error = &clash{"the plan was applied"}
	// ErrNotPermitted says that something is done only for who says that they know what
	// it does, or has a key.
	ErrNotPermitted error = &sentinel{"not permitted"}
	// ErrInvalid says that what was asked for makes no sense.
	ErrInvalid error = &sentinel{"invalid"}
)

// clash is an error that matches [ErrConflict].
type clash struct{ text string }

func (c *clash) Error() string        { return c.text }
func (c *clash) Is(target error) bool { return target == ErrConflict }

// LetterStateError says that a letter cannot go from the state it is in to another.
type LetterStateError struct {
	ID       string
	From, To LetterState
}

func (e *LetterStateError) Error() string {
	switch e.From {
	case LetterClaimed:
		return fmt.Sprintf("letter %.40s is being replayed", e.ID)
	case LetterReplayed:
		return fmt.Sprintf("letter %.40s was replayed", e.ID)
	}
	return fmt.Sprintf("letter %.40s is %s: it cannot become %s", e.ID, e.From, e.To)
}

// Is matches [ErrConflict].
func (e *LetterStateError) Is(target error) bool { return target == ErrConflict }

// presentState is the state of a letter now: one that is claimed is in doubt as
// soon as who claimed it is gone. That is not written anywhere, so that those who
// only read see it, too.
func (b *LetterBox) presentState(s LetterState, c LetterClaim) LetterState {
	if s == LetterClaimed && b.gone(c) {
		return LetterInDoubt
	}
	return s
}

// gone reports whether nobody can end the replay of c any more. In a store that one
// process owns, that one is this one.
func (b *LetterBox) gone(c LetterClaim) bool {
	if c.Owner == b.instance {
		return !b.board.runs(c.Attempt)
	}
	return b.exclusive() || time.Now().After(c.Until)
}

// exclusive reports whether nobody but this process writes to the store.
func (b *LetterBox) exclusive() bool {
	owned, ok := b.rt.stores.Log.(interface{ Exclusive() bool })
	return ok && owned.Exclusive()
}

// move appends a transition to a letter.
func (b *LetterBox) move(ctx context.Context, l Letter, t LetterTransition) (Letter, error) {
	if !slices.Contains(letterMoves[l.State], t.To) {
		return l, &LetterStateError{l.ID, l.State, t.To}
	}
	t.At = time.Now().Round(0).UTC()
	if l.State == LetterInDoubt && t.Replay == nil { // the one that nobody can end any more
		t.Replay = &LetterReplay{At: l.Claim.At, By: l.Claim.Owner, JobID: l.Claim.JobID, EditRev: len(l.Edits), Outcome: ReplayUnknown}
	}
	moved, err := b.change(ctx, l, letterRecord{Transition: &t})
	if errors.Is(err, ErrConflict) {
		err = fmt.Errorf("letter %s: %w", l.ID, ErrLetterChanged)
	}
	return moved, err
}

// at returns a letter, which must be as it was when it had revision rev; 0 is any.
func (b *LetterBox) at(ctx context.Context, id string, rev Version) (Letter, error) {
	l, err := b.Get(ctx, id)
	if err == nil && rev != 0 && l.Rev != rev {
		err = fmt.Errorf("letter %s: %w", id, ErrLetterChanged)
	}
	return l, err
}

// Discard says that a letter is not to be replayed. It stays until retention takes
// it, and [LetterBox.Resolve] takes the decision back. rev is the [Letter].Rev that
// was looked at, 0 for any: [ErrLetterChanged] says that it is another one by now.
func (b *LetterBox) Discard(ctx context.Context, id string, rev Version, by, why string) (Letter, error) {
	l, err := b.at(ctx, id, rev)
	if err != nil {
		return l, err
	}
	return b.settleFor(ctx, l, LetterTransition{To: LetterDiscarded, By: by, Why: why})
}

// Resolve says what has become of a letter: [LetterReplayed] where somebody knows
// that the work is done, [LetterDead] where it is not and the letter shall wait for
// a replay, also one that was discarded, is in doubt or in quarantine; the latter
// returns there with the next failure. rev is as for [LetterBox.Discard].
func (b *LetterBox) Resolve(ctx context.Context, id string, rev Version, as LetterState, by, why string) (Letter, error) {
	if as != LetterReplayed && as != LetterDead {
		return Letter{}, fmt.Errorf("resolve letter %.40q as %.40q: want %s or %s: %w", id, as, LetterReplayed, LetterDead, ErrInvalid)
	}
	l, err := b.at(ctx, id, rev)
	if err == nil && (l.State == as || l.State == LetterClaimed) {
		err = &LetterStateError{l.ID, l.State, as}
	}
	if err != nil {
		return l, err
	}
	return b.settleFor(ctx, l, LetterTransition{To: as, By: by, Why: why})
}

// settleFor is move for what somebody has decided. A run that waits for the letter
// hears of it first.
func (b *LetterBox) settleFor(ctx context.Context, l Letter, t LetterTransition) (Letter, error) {
	if t.To == LetterDead || !slices.Contains(letterMoves[l.State], t.To) {
		return b.move(ctx, l, t)
	}
	if err := b.tellRun(ctx, &l, t.By, t.Why); err != nil {
		return l, err
	}
	moved, err := b.move(ctx, l, t)
	if err == nil {
		b.rouseRun(ctx, &l)
	}
	return moved, err
}

// claim makes it durable that a replay of a letter begins, before the call: else one
// whose process dies would look as if it had never been replayed. It can be asked
// again where the store gave no answer.
func (b *LetterBox) claim(ctx context.Context, id string, rev Version, c LetterClaim) (Letter, error) {
	l, err := b.Get(ctx, id)
	switch {
	case err != nil:
		return l, err
	case l.State == LetterClaimed && l.Claim.Attempt == c.Attempt:
		b.recalled(ctx, l)
		return l, nil
	case l.Rev != rev:
		return l, fmt.Errorf("letter %s: %w", id, ErrLetterChanged)
	}
	return b.move(ctx, l, LetterTransition{To: LetterClaimed, JobID: c.JobID, Claim: c})
}

// settle ends the claim c with t. It can be asked again where the store gave no
// answer.
func (b *LetterBox) settle(ctx context.Context, id string, c LetterClaim, t LetterTransition) (Letter, error) {
	l, err := b.Get(ctx, id)
	switch {
	case err != nil:
		return l, err
	case l.State != LetterClaimed && l.settled(c, t.Replay):
		b.recalled(ctx, l)
		return l, nil
	case l.State != LetterClaimed || l.Claim.Attempt != c.Attempt:
		return l, fmt.Errorf("letter %s: %w", id, ErrLetterChanged)
	}
	t.JobID, t.Claim = c.JobID, LetterClaim{JobID: c.JobID}
	return b.move(ctx, l, t)
}

// settled reports whether the end of a claim was written: with a replay, or as
// released without one.
func (l *Letter) settled(c LetterClaim, r *LetterReplay) bool {
	if r == nil {
		return l.Claim.JobID == c.JobID
	}
	return slices.ContainsFunc(l.Replays, func(have LetterReplay) bool {
		return have.JobID == r.JobID && have.At.Equal(r.At) && have.Outcome == r.Outcome
	})
}

// spent reports whether a letter whose replay fails once more has failed as often as
// it may. Replays of which nobody knows the end count: they may have ended the
// process.
func (m *letterMethod) spent(l *Letter) bool {
	n := 1
	for _, r := range l.Replays {
		if r.Outcome == ReplayFailed || r.Outcome == ReplayUnknown {
			n++
		}
	}
	return m.conf.MaxReplays > 0 && n >= m.conf.MaxReplays
}
