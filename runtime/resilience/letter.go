package resilience

import (
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// letterFormat is the version of the records of letters.
const letterFormat = 1

// Letter is a call that finally failed, kept with its arguments so that it can be
// looked at, mended and made again. What a Letter says is scrubbed and redacted
// before it is written; nothing in it may be changed but by the methods of a
// [LetterBox].
type Letter struct {
	V      int         `json:"v"`  // of the record: 1
	ID     string      `json:"id"` // 26 characters that sort by the time of the death
	Queue  string      `json:"queue"`
	State  LetterState `json:"state"`
	Reason Reason      `json:"reason"`

	Call   LetterCall   `json:"call"`
	Run    *LetterRun   `json:"run,omitempty"` // that it is a message of
	Policy LetterPolicy `json:"policy"`

	Errors   []ErrNode       `json:"errors,omitempty"` // of the last error, outermost first, each before what it wraps
	Stack    []Frame         `json:"stack,omitempty"`  // of a panic, innermost first
	Attempts []LetterAttempt `json:"attempts,omitempty"`
	Elided   []ElidedRun     `json:"elided,omitempty"` // attempts between the first and the last ones
	// AttemptCount is how often the delegate was executed, in the first call and in
	// replays.
	AttemptCount int `json:"attemptCount"`

	First     time.Time `json:"first"` // when the call began; never changes
	Last      time.Time `json:"last"`  // when its last attempt ended
	DeadAt    time.Time `json:"deadAt"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"` // zero: never
	MovedAt   time.Time `json:"movedAt,omitzero"`   // into its state, if that is not the first one

	Trace  LetterTrace       `json:"trace,omitzero"`
	Ctx    map[string]string `json:"ctx,omitempty"` // what LetterOptions.Context returned
	Origin Origin            `json:"origin,omitzero"`
	Group  string            `json:"group"` // id of its pattern

	Replays []LetterReplay `json:"replays,omitempty"`
	Edits   []LetterEdit   `json:"edits,omitempty"`
	Notes   []LetterNote   `json:"notes,omitempty"`
	Tags    []string       `json:"tags,omitempty"`

	// Claim is who replays the letter, while it is claimed or in doubt; later, its JobID
	// is the job that changed the letter last.
	Claim LetterClaim `json:"claim,omitzero"`
	// Rev is the version of its last record: who changes a letter names the one that
	// was looked at.
	Rev  Version `json:"rev,omitempty"`
	Size int     `json:"size,omitempty"` // of its first record, in bytes
}

// LetterState is what has become of a letter.
type LetterState string

// States of letters.
const (
	LetterDead        LetterState = "dead"        // waits for somebody
	LetterClaimed     LetterState = "claimed"     // is replayed now
	LetterInDoubt     LetterState = "in_doubt"    // was being replayed when who did ended
	LetterReplayed    LetterState = "replayed"    // a replay succeeded
	LetterDiscarded   LetterState = "discarded"   // somebody decided that it is not to be replayed
	LetterExpired     LetterState = "expired"     // retention took it; seen in events only
	LetterQuarantined LetterState = "quarantined" // failed too often, or cannot be read
)

// Reason is why a call became a letter.
type Reason string

// Reasons. They are written in a policy's when as here, but for the last three,
// which nobody lists.
const (
	ReasonExhausted   Reason = "exhausted"   // every attempt that the policy makes failed
	ReasonPermanent   Reason = "permanent"   // an error that no repetition mends
	ReasonDeadline    Reason = "deadline"    // a timeout of the policy, or the caller's deadline
	ReasonPanic       Reason = "panic"       // of the delegate
	ReasonRejected    Reason = "rejected"    // by a bulkhead, a rate limit or the adaptive part
	ReasonBreakerOpen Reason = "breakerOpen" // by an open breaker
	ReasonBudget      Reason = "budget"      // the retry budget had none left; kept with exhausted
	ReasonDecode      Reason = "decode"      // its record cannot be read
	ReasonInDoubt     Reason = "in_doubt"    // whether it was replayed is not known
)

// Reasons are the reasons for which calls are kept. None is the default:
// exhausted, permanent, deadline and panic.
type Reasons []Reason

var defaultReasons = Reasons{ReasonExhausted, ReasonPermanent, ReasonDeadline, ReasonPanic}

// has reports whether a call that failed for r is kept.
func (list Reasons) has(r Reason) bool {
	if len(list) == 0 {
		list = defaultReasons
	}
	if r == ReasonBudget {
		r = ReasonExhausted
	}
	return slices.Contains(list, r)
}

// LetterCall is what was called.
type LetterCall struct {
	Interface string      `json:"interface"`          // "example.com/pay.Gateway"
	Method    string      `json:"method"`             // "Charge"
	Instance  string      `json:"instance,omitempty"` // "@eu" of a Runtime with a name
	Sig       string      `json:"sig"`                // fingerprint of the types of its arguments and results
	Args      []LetterArg `json:"args"`
	// ArgsHash is the same for arguments that are: keyed where there is a key, so that
	// nobody can find them by trying.
	ArgsHash string `json:"argsHash"`
	IdemKey  string `json:"idemKey,omitempty"` // of every attempt and every replay
	OrderKey string `json:"orderKey,omitempty"`
}

// LetterArg is an argument of a letter.
type LetterArg struct {
	Name string `json:"name"`
	Type string `json:"type,omitempty"`
	// JSON is the argument without what was redacted; null where nothing is left.
	JSON json.RawMessage `json:"json"`
	// Sealed is the whole argument, encrypted under KeyID, where some of it is secret.
	Sealed []byte `json:"sealed,omitempty"`
	KeyID  string `json:"keyID,omitempty"`
	// Redacted names what JSON does not show.
	Redacted []RedactedField `json:"redacted,omitempty"`
}

// RedactedField is a place in an argument, as JSON pointer from the argument's
// name on, and what was done to it.
type RedactedField struct {
	Pointer string     `json:"pointer"`
	Mode    RedactMode `json:"mode"`
}

// LetterPolicy is the policy that gave up.
type LetterPolicy struct {
	Name string `json:"name,omitempty"` // in the policy file
	File string `json:"file,omitempty"`
	Gen  string `json:"gen,omitempty"` // generation of the code: "1" for [Version1]
	Hash string `json:"hash,omitempty"`
}

// ErrNode is an error of a tree in pre-order.
type ErrNode struct {
	Type  string `json:"type"`
	Msg   string `json:"msg,omitempty"` // scrubbed, at most 2 KiB
	Code  string `json:"code,omitempty"`
	Class string `json:"class,omitempty"` // kinds of the policy language, as "Timeout|Transient"
	// Temporary and Retryable are what the error says of itself.
	Temporary bool `json:"temporary,omitempty"`
	Retryable bool `json:"retryable,omitempty"`
	Depth     int  `json:"depth"`
}

// Frame is a line of a stack.
type Frame struct {
	Func string `json:"func"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// LetterAttempt is an attempt of a call: the first eight and the last eight are
// kept.
type LetterAttempt struct {
	N        int           `json:"n"` // from 1; 0 for one that was not admitted
	At       time.Time     `json:"at"`
	Dur      time.Duration `json:"dur,omitempty"`      // in nanoseconds, as Delay; 0 where no clock was read
	ErrFP    string        `json:"errFP,omitempty"`    // fingerprint of its error
	Delay    time.Duration `json:"delay,omitempty"`    // before it
	Breaker  string        `json:"breaker,omitempty"`  // its state when the attempt failed
	Rejected string        `json:"rejected,omitempty"` // part that did not admit it
}

// ElidedRun is a row of attempts that are not kept one by one.
type ElidedRun struct {
	ErrFP string    `json:"errFP"`
	Count int       `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// LetterTrace is a trace context of W3C.
type LetterTrace struct {
	Parent string `json:"parent,omitempty"`
	State  string `json:"state,omitempty"`
}

// Origin is the process that wrote a letter.
type Origin struct {
	Service  string `json:"service,omitempty"`
	Version  string `json:"version,omitempty"`
	VCSRev   string `json:"vcsRev,omitempty"`
	Host     string `json:"host,omitempty"`
	PID      int    `json:"pid,omitempty"`
	Instance string `json:"instance,omitempty"`
}

// LetterReplay is a replay that has ended, or whose end is not known.
type LetterReplay struct {
	At      time.Time     `json:"at"`
	By      string        `json:"by,omitempty"`
	JobID   string        `json:"jobID,omitempty"`
	Mode    string        `json:"mode,omitempty"`    // policy or direct
	EditRev int           `json:"editRev,omitempty"` // of the arguments; 0 are those of the call
	Outcome string        `json:"outcome"`
	ErrFP   string        `json:"errFP,omitempty"`
	Dur     time.Duration `json:"dur,omitempty"`
}

// LetterEdit is a change of the arguments.
type LetterEdit struct {
	Rev    int             `json:"rev"` // from 1; 0 are the arguments of the call
	At     time.Time       `json:"at"`
	By     string          `json:"by,omitempty"`
	Patch  json.RawMessage `json:"patch"` // RFC 6902, over an object with a member for each argument
	Reason string          `json:"reason,omitempty"`
	// Args are the arguments after the patch, as in [LetterCall].
	Args     []LetterArg `json:"args"`
	ArgsHash string      `json:"argsHash"`
	IdemKey  string      `json:"idemKey,omitempty"` // the new one; empty: it stays
	Sig      string      `json:"sig,omitempty"`     // that Args fit; empty: it stays
}

// LetterNote is what somebody wrote to a letter.
type LetterNote struct {
	At   time.Time `json:"at"`
	By   string    `json:"by,omitempty"`
	Text string    `json:"text,omitempty"`
	Tags []string  `json:"tags,omitempty"` // that the letter has from now on; a "-" in front takes one away
}

// LetterClaim is who replays a letter.
type LetterClaim struct {
	Owner   string    `json:"owner,omitempty"` // instance of a process
	JobID   string    `json:"jobID,omitempty"`
	Attempt string    `json:"attempt,omitempty"` // id of the replay
	At      time.Time `json:"at,omitzero"`
	Until   time.Time `json:"until,omitzero"`
}

// LetterTransition is a change of state, with what caused it.
type LetterTransition struct {
	At    time.Time   `json:"at"`
	To    LetterState `json:"to"`
	By    string      `json:"by,omitempty"`
	JobID string      `json:"jobID,omitempty"`
	Why   string      `json:"why,omitempty"`
	// Claim is the new one of [LetterClaimed].
	Claim LetterClaim `json:"claim,omitzero"`
	// Replay has ended with this transition.
	Replay *LetterReplay `json:"replay,omitempty"`
	// Failure is what the replay failed with; it takes the place of the letter's.
	Failure *LetterFailure `json:"failure,omitempty"`
}

// LetterFailure is the part of a letter that each failure writes anew.
type LetterFailure struct {
	Reason   Reason          `json:"reason"`
	Errors   []ErrNode       `json:"errors,omitempty"`
	Stack    []Frame         `json:"stack,omitempty"`
	Attempts []LetterAttempt `json:"attempts,omitempty"`
	Elided   []ElidedRun     `json:"elided,omitempty"`
	Count    int             `json:"count"` // executions of the delegate
	Last     time.Time       `json:"last"`
	Group    string          `json:"group"`
}

// ErrNeedsEdit says that the arguments of a letter were redacted, and are not
// there to be replayed.
var ErrNeedsEdit = errors.New("arguments were redacted: the letter needs an edit before it is replayed")

// NeedsEdit reports whether something of the arguments is gone for good.
func (l *Letter) NeedsEdit() bool {
	for _, a := range l.Call.Args {
		if slices.ContainsFunc(a.Redacted, func(f RedactedField) bool { return f.Mode != Seal }) {
			return true
		}
	}
	return false
}

// Err returns the text of the outermost error of l, "" if there is none.
func (l *Letter) Err() string {
	if len(l.Errors) == 0 {
		return ""
	}
	return l.Errors[0].Msg
}
