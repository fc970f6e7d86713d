package resilience

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Sentinels that errors of a guarded call match with errors.Is.
var (
	ErrTimeout        error = &sentinel{"timeout"}
	ErrUnwantedResult error = &sentinel{"unwanted result"}
	ErrCircuitOpen    error = &sentinel{"circuit open"}
	ErrBulkheadFull   error = &sentinel{"bulkhead full"}
	ErrRateLimited    error = &sentinel{"rate limited"}
	// ErrBudgetExhausted says that a retry was due and the budget had none left.
	ErrBudgetExhausted error = &sentinel{"retry budget exhausted"}
)

// sentinel is a type of its own, so that telling a delegate's errors.New from
// our sentinels costs a comparison of types.
type sentinel struct{ text string }

func (s *sentinel) Error() string { return s.text }

// Error is what a call returns when a policy did something and it failed all
// the same. A policy that did nothing leaves the delegate's error alone. Calls
// that fail alike may return the same Error, which must not be changed.
type Error struct {
	Method   string        // "payments.Gateway.Charge"
	Attempts int           // executions of the delegate
	Elapsed  time.Duration // since the first clock reading of the call; 0 if none was needed
	Policy   string        // key of the policy that ended the call: "retry", "timeout"

	reason error // a sentinel, or nil when the attempts were used up
	last   error // the delegate's, or nil if it returned none
}

// Error tells who gave up, after how much, and why.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Method)
	switch e.Attempts {
	case 0:
		b.WriteString(": not attempted")
	case 1:
		b.WriteString(": gave up after 1 attempt")
	default:
		fmt.Fprintf(&b, ": gave up after %d attempts", e.Attempts)
	}
	if e.Elapsed > 0 {
		fmt.Fprintf(&b, " in %v", rounded(e.Elapsed))
	}
	for _, err := range e.Unwrap() {
		b.WriteString(": ")
		b.WriteString(err.Error())
	}
	return b.String()
}

// Unwrap returns the reason, if a policy gave one, and the last error of the
// delegate, if there was one.
func (e *Error) Unwrap() []error {
	errs := make([]error, 0, 2)
	if e.reason != nil && !(e.last != nil && errors.Is(e.last, e.reason)) {
		errs = append(errs, e.reason)
	}
	if e.last != nil {
		errs = append(errs, e.last)
	}
	return errs
}

// RetryAfter returns how long an open breaker still rejects, when a limiter has
// permits again, or the wait that the peer asked for.
func (e *Error) RetryAfter() (time.Duration, bool) {
	for _, err := range e.Unwrap() {
		var asked interface {
			RetryAfter() (time.Duration, bool)
		}
		if errors.As(err, &asked) {
			return asked.RetryAfter()
		}
	}
	return 0, false
}

// rounded keeps about three digits: nobody who is paged reads microseconds.
func rounded(d time.Duration) time.Duration {
	for unit := time.Duration(1); unit < time.Minute; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
	return d.Round(time.Second)
}

// timeoutError is a late error of the delegate, or of its context.
type timeoutError struct {
	limit string // "timeout.total", "timeout.attempt"
	after time.Duration
	err   error
}

func (e *timeoutError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("%s of %v passed", e.limit, e.after)
	}
	return fmt.Sprintf("%s of %v passed: %v", e.limit, e.after, e.err)
}

func (e *timeoutError) Timeout() bool { return true }

func (e *timeoutError) Unwrap() []error {
	if e.err == nil {
		return []error{ErrTimeout}
	}
	return []error{ErrTimeout, e.err}
}

// longWait is a wait that the peer asks for and the policy does not grant.
type longWait struct{ asked time.Duration }

func (w *longWait) Error() string { return "the peer asks to wait " + rounded(w.asked).String() }

// RetryAfter returns what the peer asked for, counted from its answer.
func (w *longWait) RetryAfter() (time.Duration, bool) { return w.asked, true }

// permanentError marks an error that no repetition mends.
type permanentError struct{ err error }

func (e *permanentError) Error() string   { return e.err.Error() }
func (e *permanentError) Unwrap() error   { return e.err }
func (e *permanentError) Permanent() bool { return true }

// Permanent marks err: it is never retried and no fallback answers for it.
// The text and what errors.Is finds stay as they are. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}
