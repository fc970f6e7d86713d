package resilience

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"strings"
	"syscall"
)

// floor is what is never retried unless RetryOn names it.
const floor = KindCanceled | KindCallerDeadline | KindCircuitOpen | KindBulkheadFull | KindRateLimited | KindPermanent

// matches reports whether m lists err. Kinds of the floor are listed only by
// name; whether they apply is the caller's business, which knows the context.
func (m *Matcher) matches(err error, kinds Kind) bool {
	return m.Any || m.Kinds&kinds != 0 || m.Match != nil && m.Match(err)
}

func (m *Matcher) given() bool { return m.Any || m.Kinds != 0 || m.Match != nil }

// kindsOf returns every kind of err but CallerDeadline, which only the call
// can tell.
func (e *Errors) kindsOf(err error) Kind {
	k := ownKinds(err)
	if e.permanent(err) {
		return k | KindPermanent
	}
	if status, ok := e.status(err); ok {
		k |= statusKinds(status)
	}
	if state, ok := sqlState(err); ok {
		k |= sqlKinds(state)
	}
	return k | netKinds(err)
}

func ownKinds(err error) Kind {
	var k Kind
	if errors.Is(err, context.Canceled) {
		k |= KindCanceled
	}
	if errors.Is(err, ErrTimeout) {
		k |= KindTimeout | KindTransient
	}
	if errors.Is(err, ErrCircuitOpen) {
		k |= KindCircuitOpen
	}
	if errors.Is(err, ErrBulkheadFull) {
		k |= KindBulkheadFull
	}
	return k
}

func (e *Errors) permanent(err error) bool {
	var p interface{ Permanent() bool }
	if errors.As(err, &p) && p.Permanent() || e.Permanent != nil && e.Permanent(err) {
		return true
	}
	// io.EOF itself is an answer; a wrapped one is a connection that broke.
	return err == io.EOF || errors.Is(err, fs.ErrNotExist)
}

// status finds an HTTP status in the chain of err.
func (e *Errors) status(err error) (int, bool) {
	var a interface{ StatusCode() int }
	var b interface{ HTTPStatusCode() int }
	var c interface{ HTTPStatus() int }
	switch {
	case errors.As(err, &a):
		return a.StatusCode(), true
	case errors.As(err, &b):
		return b.HTTPStatusCode(), true
	case errors.As(err, &c):
		return c.HTTPStatus(), true
	case e.StatusOf != nil:
		return e.StatusOf(err)
	}
	return 0, false
}

func statusKinds(status int) Kind {
	switch {
	case status == 429:
		return KindHTTP429 | KindTransient
	case status == 408 || status == 425:
		return 0
	case status >= 400 && status < 500:
		return KindPermanent
	case status == 501:
		return KindHTTP5xx
	case status >= 500 && status < 600:
		return KindHTTP5xx | KindTransient
	}
	return 0
}

func sqlState(err error) (string, bool) {
	var s interface{ SQLState() string }
	if errors.As(err, &s) {
		return s.SQLState(), true
	}
	if errors.Is(err, driver.ErrBadConn) {
		return "08006", true // connection_failure
	}
	return "", false
}

func sqlKinds(state string) Kind {
	switch {
	case state == "40001" || state == "40P01":
		return KindSQLRetryable | KindTransient
	case strings.HasPrefix(state, "08"):
		return KindSQLRetryable | KindTransient | KindConnectionError
	case strings.HasPrefix(state, "22") || strings.HasPrefix(state, "23") || strings.HasPrefix(state, "42"):
		return KindPermanent
	}
	return 0
}

// passing are the system's errors that a repetition may mend.
var passing = []syscall.Errno{
	syscall.EMFILE, syscall.ENFILE, syscall.EBUSY, syscall.EAGAIN, syscall.EINTR, syscall.ETXTBSY,
}

var broken = []syscall.Errno{
	syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
	syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETRESET, syscall.ENOTCONN,
}

func netKinds(err error) Kind {
	var k Kind
	for _, no := range broken {
		if errors.Is(err, no) {
			k |= KindConnectionError | KindTransient
		}
	}
	for _, no := range passing {
		if errors.Is(err, no) {
			k |= KindTransient
		}
	}
	// io.EOF itself was sorted out as permanent.
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		k |= KindConnectionError | KindTransient
	}
	var t interface{ Timeout() bool }
	if errors.As(err, &t) && t.Timeout() {
		k |= KindTransient
	}
	return k
}
