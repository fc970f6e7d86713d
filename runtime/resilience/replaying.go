package resilience

import (
	"context"
	"math"
	"sync"
)

// replaying is a replay of a letter that runs. It goes with the context of the
// call, so that a Keep adds to the letter instead of making another one.
type replaying struct {
	id, queue string
	guard     *Guard // of the method
	attempts  int32  // of the policy that it may make
	nth       int    // of the letter, from 1
	trace     LetterTrace

	mu     sync.Mutex
	failed *LetterFailure
	fell   error
}

type replayKey struct{}

// withReplay returns a context for the call that r makes.
func withReplay(ctx context.Context, r *replaying) context.Context {
	return context.WithValue(ctx, replayKey{}, r)
}

// replayOf returns the replay that a call of m under ctx is, nil if it is none: a
// replayed method may call others whose calls are kept.
func (m *letterMethod) replayOf(ctx context.Context) *replaying {
	r, _ := ctx.Value(replayKey{}).(*replaying)
	if r == nil || r.guard != m.guard {
		return nil
	}
	return r
}

// failure returns what the call was kept for, nil if it was not: it succeeded, was
// cancelled, or its error never came to the layer of dead letters.
func (r *replaying) failure() *LetterFailure {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// fellBack returns the error that a fallback was asked to answer for, which makes
// its answer no success; nil if none was.
func (r *replaying) fellBack() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fell
}

func (r *replaying) fail(f *LetterFailure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = f
}

// replays reports whether a call under ctx is the replay of a letter: what is
// remembered of a failure does not answer it.
func (p *plan) replays(ctx context.Context) bool {
	if !p.letters {
		return false
	}
	r, _ := ctx.Value(replayKey{}).(*replaying)
	return r != nil && r.guard.name == p.name
}

// notesFallback notes that a fallback is about to answer, for the replay that the
// call may be.
func (p *plan) notesFallback(ctx context.Context, cause error) {
	r, _ := ctx.Value(replayKey{}).(*replaying)
	if r == nil || r.guard.name != p.name {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fell = cause
}

// replayTries returns how many attempts a call of a guard may make that may be a
// replay.
func replayTries(ctx context.Context, guard string) int32 {
	r, _ := ctx.Value(replayKey{}).(*replaying)
	if r == nil || r.guard.name != guard {
		return math.MaxInt32
	}
	return r.attempts
}
