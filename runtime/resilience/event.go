package resilience

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
)

// Event is something that a guard, a breaker, a component of the health or who
// changes policies did. Fields that do not belong to its kind are zero.
type Event struct {
	Kind EventKind
	Time time.Time
	// Name is that of the method, "payments.Gateway.Charge"; of a breaker's event
	// the breaker's, of a change of the health the component's, of an override what
	// it is about: an interface, a method, a glob, or "" for everything.
	Name string

	Attempt int           // executions of the delegate so far
	Elapsed time.Duration // since the call began; 0 if no clock was read then
	Delay   time.Duration // before the next attempt
	By      string        // key of the part that did it: "retry", "timeout", "circuitBreaker"; of an override where it comes from
	Reason  string        // in words of a closed set, see [EventKind]; those of HealthChanged are for people
	Err     error         // what failed, or why

	From, To State  // of a breaker
	Counts   Counts // of the state that the breaker left
	Shadow   bool   // the breaker only reports: it rejects nothing

	LimitFrom, LimitTo int // of the attempts in flight

	HealthFrom, HealthTo HealthState
	Flapping, Quiet      bool // as in a [HealthChange]

	Key, Value string // of an override, as in an [Override]; of a store a file, and how many bytes; of a letter or a pattern its id and the queue; of a run its id and a message
}

// Counts are what a breaker had counted: of a closed one the calls in its
// window and the failures in a row, of a half-open one the probes.
type Counts struct{ Calls, Failures, Slow, Consecutive int }

// EventKind is the kind of an [Event].
type EventKind uint8

// Kinds of events. Those of one call come in turn; those of one breaker in the
// order in which they happened, whoever caused them.
const (
	_ EventKind = iota
	// AttemptFailed: the delegate failed with Err, or its result was unwanted (Err
	// is nil), or Reason is "panic or Goexit" (also of GaveUp). By is "timeout" where a limit of the
	// policy ended it.
	AttemptFailed
	// RetryScheduled: another attempt follows after Delay.
	RetryScheduled
	// Rejected: By did not admit an attempt, because of Err.
	Rejected
	// GaveUp: the call failed, once for each that does. Err ended it: what By gave
	// as a reason, else the last error of the delegate. A fallback may follow.
	GaveUp
	// HedgeStarted: another attempt began beside those in flight.
	HedgeStarted
	// HedgeWon: one of those came first.
	HedgeWon
	// FallbackUsed: the fallback answers, instead of Err.
	FallbackUsed
	// BreakerTransition: a breaker went From one state To another with Counts.
	// Reason is "failure rate", "consecutive failures", "slow calls", "probe failed",
	// "probes passed", "openDuration passed", "maxWait passed",
	// "operator", or "new numbers" where an override or a preset decided.
	// The context is that of the call that caused it.
	BreakerTransition
	// BreakerReset: an operator reset a breaker, with the Counts that are gone.
	BreakerReset
	// AbandonedEnded: a delegate that timeout.mode abandon left behind returned, and
	// what it returned was dropped: Err, or a *[PanicError]. Reason is "Goexit" where
	// it ended its goroutine. Likewise an execution of a [Cache] when all who shared
	// it have left, under Attempt 0: it may have made several.
	AbandonedEnded
	// LimitChanged: the limit of an adaptive part in mode concurrency moved
	// LimitFrom one number LimitTo another; or one in mode throttle began, or ceased,
	// to reject attempts, with the Counts of its window: Calls are all attempts,
	// Failures those that the peer did not accept. Reason is "latency", "failures",
	// "new numbers", "rejects some" or "rejects none".
	LimitChanged
	// OverrideApplied: Key of running policies has another Value, because of By: a
	// place in an overrides file, a variable of the environment, "Runtime.Update",
	// "Runtime.Disable", "Runtime.Apply" (Key is preset) or "Runtime.SetEnabled" (Key
	// is enabled). Reason is "taken back" where there is no override any more.
	OverrideApplied
	// OverrideRefused: everything stays as it was, because of Err, which names the
	// file:line:col of what a file says. With a Name of a guard that is new, the
	// overrides are left out for it.
	OverrideRefused
	// HealthChanged: a component went from HealthFrom to HealthTo, or began to flap,
	// because of Reason. By is the component at the root, if another one is. It is
	// told when the change is seen: by [HealthRegistry.Snapshot], or within a second
	// of it after [HealthRegistry.Start].
	HealthChanged
	// CheckpointUsed: a result that was kept answered a call. The delegate was not
	// called.
	CheckpointUsed
	// CheckpointKept: the result of Attempt executions was recorded.
	CheckpointKept
	// CheckpointNotKept: it could not be recorded, because of Err, and was returned.
	CheckpointNotKept
	// CheckpointRefused: what is kept cannot answer, or nothing could be kept, because
	// of Err, a [*CheckpointError]; the call failed. Where Reason is "recomputed" the
	// delegate is called instead.
	CheckpointRefused
	// StoreChanged: something happened to the store in the directory Name, because of
	// Err. Reason is "cut off what was not whole" (at the end, by a crash: nobody was
	// told that it was kept), "damaged" (Err is a *[CorruptError]), "failed" (a write or
	// a flush: nothing can be written until it "works again", which is tried by itself),
	// "full", "room again", "clock jumped", "index ignored" or "smaller segment". Key is
	// the file, Value how many bytes, where that says something.
	StoreChanged
	// LetterKept: the call failed and was kept as the letter Key in the queue Value.
	// Reason is a [Reason].
	LetterKept
	// LetterLost: likewise, but for Err it could not be kept.
	LetterLost
	// LetterDropped: the letter Key of the queue Value is gone. Reason is "maxAge",
	// "keepReplayed", "maxCount", "maxBytes" or "erased".
	LetterDropped
	// PatternChanged: the pattern Key of letters, of which one has come to the queue
	// Value, is "new", has "regressed", or there is a "spike".
	PatternChanged
	// RunStarted: the run Key of the workflow Name began. Reason is "forked" where it
	// goes on from a checkpoint of another one.
	RunStarted
	// RunResumed: the run Key goes on from what its records say. Reason is "graph
	// changed" where the workflow is another one than before.
	RunResumed
	// RunPaused: the run Key does not go on for now. Reason is "waits" (for a time or a
	// signal), "parked" (letters stand between it and its output), "stopped" (its
	// context ended), "fenced" (somebody else runs it), "refused" (the graph does not
	// fit) or "failed" (the store), with Err.
	RunPaused
	// RunEnded: the run Key is over. Reason is its status: "completed",
	// "completed_with_dead_letters", "failed", "cancelled" or "limit_exceeded".
	RunEnded
	// StepDone: the node Name has done the message Value of the run Key, in Attempt
	// executions. Reason is "fallback", "skipped" or "routed" where that is so.
	StepDone
	// StepFailed: likewise it has failed, with Err. Reason is "letter" where the
	// message was kept.
	StepFailed
	// MessageNoted: something happened to the message Value of the run Key on its way
	// to the node Name. Reason is "scheduled" (for Delay from now), "dropped",
	// "abandoned" or "not saved"; of what came by the run's inbox, for the workflow Name,
	// it is "signal", "cancel", "replay", "discard" or "child", and "unread", with Err, of
	// what could not be read and was put aside.
	// Of a schedule, Name is the workflow, Key the schedule and Value how many ticks
	// started no run: those that were "missed", or "overlaps" with the run of one before;
	// or one could not be started yet ("failed", with Err). "not dropped": runs that
	// ended long ago could not be.
	MessageNoted
)

// eventNames has a name for each kind. Who adds a kind adds its name here, its
// place in Event.words, and a case to TestEveryKind.
var eventNames = [...]string{
	AttemptFailed:     "attempt failed",
	RetryScheduled:    "retry scheduled",
	Rejected:          "rejected",
	GaveUp:            "gave up",
	HedgeStarted:      "hedge started",
	HedgeWon:          "hedge won",
	FallbackUsed:      "fallback used",
	BreakerTransition: "breaker transition",
	BreakerReset:      "breaker reset",
	AbandonedEnded:    "abandoned call ended",
	LimitChanged:      "limit changed",
	OverrideApplied:   "override applied",
	OverrideRefused:   "override refused",
	HealthChanged:     "health changed",
	CheckpointUsed:    "checkpoint used",
	CheckpointKept:    "checkpoint kept",
	CheckpointNotKept: "checkpoint not kept",
	CheckpointRefused: "checkpoint refused",
	StoreChanged:      "store changed",
	LetterKept:        "letter kept",
	LetterLost:        "letter lost",
	LetterDropped:     "letter dropped",
	PatternChanged:    "pattern changed",
	RunStarted:        "run started",
	RunResumed:        "run resumed",
	RunPaused:         "run paused",
	RunEnded:          "run ended",
	StepDone:          "step done",
	StepFailed:        "step failed",
	MessageNoted:      "message noted",
}

// String returns the kind in words: "attempt failed".
func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// String returns the event in one line, without its time.
func (e Event) String() string {
	var b strings.Builder
	b.WriteString(cmp.Or(e.Name, "everything") + ": " + e.Kind.String())
	e.words(func(format string, args ...any) { fmt.Fprintf(&b, format, args...) })
	return b.String()
}

// words says what String puts behind the kind.
func (e *Event) words(say func(format string, args ...any)) {
	switch e.Kind {
	case AttemptFailed, GaveUp, HedgeStarted, HedgeWon:
		say(", attempt %d", e.Attempt)
	case AbandonedEnded, CheckpointKept, CheckpointNotKept:
		if e.Attempt > 0 {
			say(", attempt %d", e.Attempt)
		}
	case RetryScheduled:
		say(", attempt %d in %v", e.Attempt+1, rounded(e.Delay))
	case BreakerTransition:
		say(", %v to %v", e.From, e.To)
	case HealthChanged:
		say(", %v to %v", e.HealthFrom, e.HealthTo)
	case OverrideApplied:
		say(", %s", e.Key)
		if e.Value != "" {
			say(" = %s", e.Value)
		}
	}
	if e.Kind == StoreChanged {
		for _, word := range []string{e.Key, e.Value} {
			if word != "" {
				say(", %s", word)
			}
		}
	}
	if e.Kind >= LetterKept && e.Kind <= PatternChanged {
		say(", %s of %s", e.Key, e.Value)
	}
	if e.Kind >= RunStarted && e.Kind <= MessageNoted {
		e.wordsOfRun(say)
	}
	if e.LimitTo != 0 {
		say(", %d to %d", e.LimitFrom, e.LimitTo)
	}
	if e.Shadow {
		say(", shadow")
	}
	if e.By != "" {
		say(", by %s", e.By)
	}
	if e.Reason != "" {
		say(", %s", e.Reason)
	}
	if (e.Counts != Counts{}) {
		say(" (calls %d, failures %d, slow %d, in a row %d)", e.Counts.Calls, e.Counts.Failures, e.Counts.Slow, e.Counts.Consecutive)
	}
	if e.Err != nil {
		text, _, _ := strings.Cut(e.Err.Error(), "\n") // a *PanicError has its stack behind it
		say(": %s", text)
	}
}

// wordsOfRun is words for what happens in runs of workflows.
func (e *Event) wordsOfRun(say func(format string, args ...any)) {
	if e.Key != "" { // else it is of a pipeline
		say(", %s", e.Key)
	}
	if e.Value != "" {
		say(", message %s", e.Value)
	}
	if e.Attempt > 1 {
		say(", attempt %d", e.Attempt)
	}
	if e.Delay > 0 {
		say(", in %v", rounded(e.Delay))
	}
}

var breakerStates = [...]string{
	StateClosed: "closed", StateOpen: "open", StateHalfOpen: "half_open", StateForcedOpen: "forced_open", StateDisabled: "disabled",
}

// String returns the state as metrics name it: "half_open".
func (s State) String() string {
	if int(s) < len(breakerStates) && breakerStates[s] != "" {
		return breakerStates[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// tell tells the observer of an event of the call. Its caller has made sure
// that somebody listens, so that nothing is computed for nobody.
func (c *Call) tell(e Event) {
	e.Time, e.Name, e.Attempt = time.Now(), c.plan.name, c.number()
	if c.start != 0 {
		e.Elapsed = sinceEpoch() - c.start
	}
	c.plan.rt.observer.tell(c.caller, e)
}

// number is that of the attempt among those of its call, also of a hedge, which
// is a Call of its own.
func (c *Call) number() int {
	if own, ok := c.caller.(*lazyContext); ok && c.races {
		if a, ok := own.parent.(*attemptContext); ok {
			return int(a.number)
		}
	}
	return int(c.attempts)
}

// listened reports whether somebody listens to the events of the call.
func (c *Call) listened() bool { return c.plan != nil && c.plan.rt.observer != nil }

// tellFailure tells of an attempt that failed.
func (c *Call) tellFailure(ended *cause) {
	e := Event{Kind: AttemptFailed, Err: c.last}
	if ended != nil {
		e.By = partNames[timeoutPart]
	}
	c.tell(e)
}

// tellRetry tells that another attempt follows.
func (c *Call) tellRetry(d time.Duration) {
	if c.listened() {
		c.tell(Event{Kind: RetryScheduled, Delay: d})
	}
}

// finish ends a call that did not simply succeed, and tells if it failed.
func (c *Call) finish() {
	if c.plan.nest != nil {
		c.handBack() // first: who is told may end the goroutine, and the call with it
	}
	c.live = false
	if s := c.plan.stats; s != nil {
		s.ended(c, false)
	}
	err := c.why()
	if err == nil || !c.listened() {
		return
	}
	by := c.ended
	if by == noPart && c.attempts > 1 {
		by = retryPart
	}
	c.tell(Event{Kind: GaveUp, By: partNames[by], Err: err})
}

// why is what ended a call that failed.
func (c *Call) why() error {
	if c.reason != nil {
		return c.reason
	}
	return c.last
}

// vanished ends a call whose delegate, or a func of the policy, never returned.
func (c *Call) vanished() {
	c.live = false
	if s := c.plan.stats; s != nil {
		s.ended(c, true)
	}
	out := c.phase == running
	c.phase = over
	if !c.listened() {
		return
	}
	if out {
		c.tell(Event{Kind: AttemptFailed, Reason: neverReturned})
	}
	c.tell(Event{Kind: GaveUp, Reason: neverReturned})
}

const neverReturned = "panic or Goexit"

// ended tells that a delegate came back that nobody waits for.
func (a *abandonable[T]) ended() {
	a.plan.rt.tellAbandoned(a.caller, a.plan.name, a.attempt, a.err, a.panicked, a.exited)
}

// tellAbandoned tells what the attempt of a call of name under ctx came to that
// nobody waited for.
func (rt *Runtime) tellAbandoned(ctx context.Context, name string, attempt int, err error, panicked *PanicError, exited bool) {
	o := rt.observer
	if o == nil {
		return
	}
	e := Event{Kind: AbandonedEnded, Time: time.Now(), Name: name, Attempt: attempt, Err: err}
	switch {
	case panicked != nil:
		e.Err = panicked
	case exited:
		e.Reason = "Goexit"
	}
	o.tell(ctx, e)
}
