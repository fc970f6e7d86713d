package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ReplayInfo says which letter a call replays.
type ReplayInfo struct {
	Letter, Queue string
	Replay        int         // 1 for the first one
	Trace         LetterTrace // of the first call, for a link from the trace of this one
}

// ReplayOf returns the replay that ctx belongs to. It reports false if the call is
// no replay.
func ReplayOf(ctx context.Context) (ReplayInfo, bool) {
	if ctx == nil {
		return ReplayInfo{}, false
	}
	r, _ := ctx.Value(replayKey{}).(*replaying)
	if r == nil {
		return ReplayInfo{}, false
	}
	return ReplayInfo{r.id, r.queue, r.nth, r.trace}, true
}

// hold returns how long a letter has to wait before it may be replayed.
func (r *jobRun) hold(w *replayed) time.Duration {
	if wait := time.Until(r.next); wait > 0 {
		return wait
	}
	s, ok := r.box.summaryOf(w.ID)
	if !ok {
		return 0
	}
	m, err := r.box.methodOfListed(r.ctx, &s)
	if errors.Is(err, errNoMethod) {
		r.wait(fmt.Sprintf("for %s.%s%s: %v", s.Interface, s.Method, s.Instance, err))
		return resumeDelay
	}
	if m == nil { // the replay says why
		return 0
	}
	if what := r.breakerHolds(m.guard); what != "" {
		r.wait(what)
		return breakerLook
	}
	r.wait("")
	return 0
}

// breakerHolds says what the breaker of a guard makes the job wait for. Live calls
// have the right of way to probe one that is half-open; where there are none for a
// while, a letter does it.
func (r *jobRun) breakerHolds(g *Guard) string {
	state, name := g.breakerNow()
	if state == StateHalfOpen && r.halfOpen[g].IsZero() {
		if r.halfOpen == nil {
			r.halfOpen = map[*Guard]time.Time{}
		}
		r.halfOpen[g] = time.Now()
	}
	switch {
	case state == StateClosed || state == StateOpen:
		delete(r.halfOpen, g)
	case time.Since(r.halfOpen[g]) >= probeGrace:
		return ""
	}
	if state == StateClosed {
		return ""
	}
	return fmt.Sprintf("for breaker %s, which is %s", name, state)
}

// breakerNow returns the state of the breaker of g. One that is kept for each key
// is not known before the call; that rejects it, then.
func (g *Guard) breakerNow() (State, string) {
	p := g.plan.Load()
	if p == nil || p.breaker == nil {
		return StateClosed, ""
	}
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mode == Disabled || b.mode == Shadow {
		return StateClosed, b.name
	}
	return b.present(sinceEpoch()), b.name
}

// replay replays a letter, if it is still what was planned.
func (r *jobRun) replay(w *replayed) {
	w.failed, w.same, w.again, w.after, w.result = false, false, false, 0, JobResult{}
	var l Letter
	err := r.try(func() (err error) { l, err = r.box.Get(r.ctx, w.ID); return err })
	if err == nil {
		err = r.admits(w, &l)
	}
	if w.result.Outcome != "" || w.again {
		return
	}
	var f fitted
	if err == nil {
		f, err = r.fits(w, &l)
	}
	if err != nil {
		w.refuse(r.ctx, err)
		return
	}
	r.claimed(w, l, f.object)
}

// refuse skips a letter because of err, or leaves it to the next process.
func (w *replayed) refuse(ctx context.Context, err error) {
	if w.again = ctx.Err() != nil; !w.again {
		w.result = JobResult{Outcome: JobSkipped, Why: cutText(err.Error(), maxSummary)}
	}
}

// try does what must be done with the store, until it is.
func (r *jobRun) try(do func() error) (err error) {
	if !r.surely(func() error { err = do(); return err }) && err == nil {
		err = ErrClosed
	}
	return err
}

// admits looks whether a letter is what was planned, or what this job has made of
// it before.
func (r *jobRun) admits(w *replayed, l *Letter) (err error) {
	ours := l.Claim.JobID == r.id
	if ours && w.recall(l, r.id) {
		return nil
	}
	if w.m, w.carried, err = r.box.methodOf(r.ctx, l); err != nil {
		return err
	}
	switch {
	case l.Rev != w.Rev && !ours:
		return ErrLetterChanged
	case l.State == LetterDead || l.State == LetterInDoubt && w.m.idempotent && !w.m.spent(l):
		return nil
	case l.State == LetterClaimed && ours: // by another process, which had the job before
		w.again, w.after = true, jobLook
	case l.State == LetterInDoubt && w.m.idempotent:
		_, err = r.box.move(r.ctx, *l, LetterTransition{To: LetterQuarantined, JobID: r.id, Why: "whoever replays it does not come back"})
		w.result.Outcome, w.result.Why = JobQuarantined, "whoever replays it does not come back"
	case l.State == LetterInDoubt:
		w.result.Outcome, w.result.Why = JobInDoubt, "the process ended during its replay: find out whether that succeeded, then resolve it"
	default:
		err = fmt.Errorf("it is %s", l.State)
	}
	return err
}

// recall finds how a replay by a job ended that could write that of the letter, and
// not that of itself.
func (w *replayed) recall(l *Letter, job string) bool {
	i := len(l.Replays) - 1
	if i < 0 || l.Replays[i].JobID != job || l.State == LetterClaimed || l.State == LetterInDoubt {
		return false
	}
	switch l.Replays[i].Outcome {
	case ReplaySucceeded:
		w.result.Outcome = ReplaySucceeded
	case ReplayFailed:
		w.result.Outcome, w.failed, w.same = ReplayFailed, true, l.Group == w.group
		if l.State == LetterQuarantined {
			w.result.Outcome = JobQuarantined
		}
	default:
		return false
	}
	w.result.Why = l.Err()
	return true
}

// fits makes of the arguments of a letter what its method takes.
func (r *jobRun) fits(w *replayed, l *Letter) (fitted, error) {
	f, err := r.box.fitArgs(r.ctx, w.m, l, w.carried)
	if err == nil && f.fit == fitLossy && !slices.Contains(r.job.Apply.AllowLossy, w.group) {
		err = errors.New("its types have changed, and something would be lost or new: allow it for its group")
	}
	return f, err
}

// claimed replays a letter under a claim.
func (r *jobRun) claimed(w *replayed, l Letter, object json.RawMessage) {
	release, err := r.alone(w.ID)
	if errors.Is(err, ErrHeld) && l.Claim.JobID == r.id {
		w.again, w.after = true, jobLook
		return
	}
	if err != nil {
		w.refuse(r.ctx, err)
		return
	}
	defer release()
	now, o := time.Now().Round(0).UTC(), &r.job.Options
	c := LetterClaim{Owner: r.box.instance, JobID: r.id, Attempt: newLetterID(now), At: now, Until: now.Add(o.Timeout + claimGrace)}
	r.box.board.begin(c.Attempt)
	defer r.box.board.end(c.Attempt)
	rev := l.Rev
	if err := r.try(func() (err error) { l, err = r.box.claim(r.ctx, w.ID, rev, c); return err }); err != nil {
		w.refuse(r.ctx, err)
		return
	}
	run := &replaying{id: l.ID, queue: l.Queue, guard: w.m.guard, attempts: int32(min(o.Attempts, 1<<30)), nth: len(l.Replays) + 1, trace: l.Trace}
	err = r.call(w.m, &l, object, run)
	t := r.outcome(w, &l, run, err, object)
	if t.Replay != nil {
		t.Replay.At, t.Replay.JobID, t.Replay.By, t.Replay.EditRev, t.Replay.Dur = c.At, r.id, r.job.Apply.By, len(l.Edits), time.Since(now)
		if t.Replay.Mode = "policy"; o.Direct {
			t.Replay.Mode = "direct"
		}
	}
	err = r.try(func() (err error) { // also when the Runtime is closed: it waits for that
		ctx, cancel := durably(r.ctx)
		defer cancel()
		l, err = r.box.settle(ctx, w.ID, c, t)
		return err
	})
	switch {
	case err == nil:
		w.Rev = l.Rev
	case r.ctx.Err() != nil: // the next process finds it in doubt
		w.again = true
	default:
		w.result.Why += fmt.Sprintf(" (and its letter could not be told: %v)", err)
	}
}

// outcome sorts how a replay ended.
func (r *jobRun) outcome(w *replayed, l *Letter, run *replaying, err error, object json.RawMessage) LetterTransition {
	f := run.failure()
	if err == nil {
		err = run.fellBack() // a fallback's answer is no success
	}
	if errors.Is(err, ErrHandedOver) {
		w.result.Outcome, w.result.Why = ReplaySucceeded, err.Error()
		return LetterTransition{To: LetterReplayed, Why: err.Error(), Replay: &LetterReplay{Outcome: replayHandedOver}}
	}
	switch {
	case err == nil:
		w.result.Outcome = ReplaySucceeded
		return LetterTransition{To: LetterReplayed, Replay: &LetterReplay{Outcome: ReplaySucceeded}}
	case f != nil && f.Count == 0 && (f.Reason == ReasonRejected || f.Reason == ReasonBreakerOpen): // nothing was called
		w.again, w.after = true, max(time.Second, retryAfterOf(err))
		return LetterTransition{To: LetterDead, Why: "not admitted: " + string(f.Reason)}
	case f == nil && r.ctx.Err() != nil:
		w.again = true
		return LetterTransition{To: LetterDead, Why: "the process was shut down", Replay: &LetterReplay{Outcome: ReplayInterrupted}}
	case f == nil:
		f = r.box.failed(r.ctx, w.m, object, err)
	}
	w.failed, w.same = true, f.Group == l.Group
	w.result.Outcome, w.result.Why = ReplayFailed, f.text()
	t := LetterTransition{To: LetterDead, Failure: f, Replay: &LetterReplay{Outcome: ReplayFailed, ErrFP: f.Group}}
	if w.m.spent(l) {
		w.result.Outcome, t.To, t.Why = JobQuarantined, LetterQuarantined, fmt.Sprintf("%d replays failed", w.m.conf.MaxReplays)
	}
	return t
}

// failed is the failure of a call that no layer of dead letters has seen: a direct
// one, or one of a method that is switched off.
func (b *LetterBox) failed(ctx context.Context, m *letterMethod, object json.RawMessage, err error) *LetterFailure {
	c := Call{caller: ctx, attempts: 1}
	reason, _ := m.reasonOf(&c, err)
	if _, ok := err.(*panicked); ok {
		reason = ReasonPanic
	}
	l, _ := b.letterOf(m, &c, object, reason, err) // without arguments, if they do not fit
	return l.failureOf()
}

// text is what the failure says first.
func (f *LetterFailure) text() string {
	if len(f.Errors) == 0 {
		return string(f.Reason)
	}
	return cutText(f.Errors[0].Msg, maxSummary)
}

func retryAfterOf(err error) time.Duration {
	var says interface{ RetryAfter() (time.Duration, bool) }
	if errors.As(err, &says) {
		if d, ok := says.RetryAfter(); ok {
			return min(d, storeRest)
		}
	}
	return 0
}

// call makes the call of a letter: in a goroutine of its own, since a delegate may
// panic or end it.
func (r *jobRun) call(m *letterMethod, l *Letter, object json.RawMessage, run *replaying) error {
	ctx, cancel := context.WithTimeout(withReplay(r.ctx, run), r.job.Options.Timeout)
	defer cancel()
	if l.Call.IdemKey != "" {
		ctx = WithIdempotencyKey(ctx, l.Call.IdemKey)
	}
	done := make(chan error, 1)
	go func() {
		err := errGoexit
		defer func() {
			if v := recover(); v != nil {
				err = &panicked{v, panicStack(v)}
			}
			done <- err
		}()
		err = m.replay(ctx, object, r.job.Options.Direct)
	}()
	return <-done
}

// errGoexit says that a delegate ended its goroutine.
var errGoexit = errors.New("the call ended its goroutine")
