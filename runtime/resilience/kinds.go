package resilience

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"
)

// floor is what is never retried unless RetryOn names it.
const floor = KindCanceled | KindCallerDeadline | KindCircuitOpen | KindBulkheadFull | KindRateLimited | KindPermanent

// matches reports whether m lists err, by name or as any.
func (m *Matcher) matches(err error, kinds Kind) bool { return m.Any || m.names(err, kinds) }

// names reports whether an entry of m names err, which lifts the floor.
func (m *Matcher) names(err error, kinds Kind) bool {
	return m.Kinds&kinds != 0 || m.Match != nil && m.Match(err)
}

func (m *Matcher) given() bool { return m.Any || m.Kinds != 0 || m.Match != nil }

// isLeaf reports whether err wraps nothing and claims to be nothing else. Most
// errors are leaves, and for them package errors need not be asked.
func isLeaf(err error) bool {
	switch err.(type) {
	case interface{ Unwrap() error }, interface{ Unwrap() []error }, interface{ Is(error) bool }, interface{ As(any) bool }:
		return false
	}
	return true
}

// isPlain reports whether err is a leaf without any method that we know. It is
// one switch because that asks for the type once.
func isPlain(err error) bool {
	switch err.(type) {
	case *sentinel:
		return false
	case interface{ Unwrap() error }, interface{ Unwrap() []error }, interface{ Is(error) bool }, interface{ As(any) bool },
		interface{ Permanent() bool }, interface{ Timeout() bool }, interface{ Temporary() bool }, interface{ SQLState() string },
		interface{ StatusCode() int }, interface{ HTTPStatusCode() int }, interface{ HTTPStatus() int },
		interface {
			RetryAfter() (time.Duration, bool)
		}:
		return false
	}
	return true
}

// is is errors.Is, cheap for leaves.
func is(err, target error, leaf bool) bool {
	return err == target || !leaf && errors.Is(err, target)
}

// find is errors.As, cheap for leaves.
func find[T any](err error, leaf bool) (t T, ok bool) {
	if t, ok = err.(T); ok || leaf {
		return t, ok
	}
	return findDeep[T](err)
}

// findDeep is apart because its result is allocated, as errors.As needs it.
//
//go:noinline
func findDeep[T any](err error) (t T, ok bool) {
	ok = errors.As(err, &t)
	return t, ok
}

// kindsOf returns every kind of err but CallerDeadline, which only the call
// can tell, and whether err is plain.
func (e *Errors) kindsOf(err error) (k Kind, plain bool) {
	if isPlain(err) {
		return e.kindsOfPlain(err), true
	}
	return e.kindsOfOther(err), false
}

func (e *Errors) kindsOfPlain(err error) Kind {
	var k Kind
	switch err {
	case context.Canceled:
		k = KindCanceled
	case io.EOF, fs.ErrNotExist:
		return KindPermanent
	case io.ErrUnexpectedEOF:
		k = KindConnectionError | KindTransient
	case driver.ErrBadConn:
		k = sqlKinds(badConn)
	}
	return k | e.taught(err)
}

// given reports whether there are funcs of the user's.
func (e *Errors) given() bool {
	return e.Permanent != nil || e.StatusOf != nil || e.GRPCCodeOf != nil || e.RetryAfterOf != nil
}

// taught returns what the user's funcs say.
func (e *Errors) taught(err error) Kind {
	if e.Permanent != nil && e.Permanent(err) {
		return KindPermanent
	}
	var k Kind
	if e.StatusOf != nil {
		if status, ok := e.StatusOf(err); ok {
			k |= statusKinds(status)
		}
	}
	if e.GRPCCodeOf != nil {
		if code, ok := e.GRPCCodeOf(err); ok {
			k |= grpcKinds(code)
		}
	}
	return k
}

func (e *Errors) kindsOfOther(err error) Kind {
	leaf := isLeaf(err)
	k := ownKinds(err, leaf)
	if e.permanent(err, leaf) {
		return k | KindPermanent
	}
	if status, ok := e.status(err, leaf); ok {
		k |= statusKinds(status)
	}
	if e.GRPCCodeOf != nil {
		if code, ok := e.GRPCCodeOf(err); ok {
			k |= grpcKinds(code)
		}
	}
	if state, ok := sqlState(err, leaf); ok {
		k |= sqlKinds(state)
	}
	return k | netKinds(err, leaf)
}

func ownKinds(err error, leaf bool) Kind {
	var k Kind
	if is(err, context.Canceled, leaf) {
		k |= KindCanceled
	}
	if is(err, ErrTimeout, leaf) {
		k |= KindTimeout | KindTransient
	}
	if is(err, ErrCircuitOpen, leaf) {
		k |= KindCircuitOpen
	}
	if is(err, ErrBulkheadFull, leaf) {
		k |= KindBulkheadFull
	}
	if is(err, ErrBudgetExhausted, leaf) {
		k |= KindBudgetExhausted
	}
	if is(err, ErrRateLimited, leaf) {
		k |= KindRateLimited
	}
	return k
}

func (e *Errors) permanent(err error, leaf bool) bool {
	p, ok := find[interface{ Permanent() bool }](err, leaf)
	if ok && p.Permanent() || e.Permanent != nil && e.Permanent(err) {
		return true
	}
	// io.EOF itself is an answer; a wrapped one is a connection that broke.
	return err == io.EOF || is(err, fs.ErrNotExist, leaf)
}

// status finds an HTTP status in the chain of err.
func (e *Errors) status(err error, leaf bool) (int, bool) {
	if s, ok := find[interface{ StatusCode() int }](err, leaf); ok {
		return s.StatusCode(), true
	}
	if s, ok := find[interface{ HTTPStatusCode() int }](err, leaf); ok {
		return s.HTTPStatusCode(), true
	}
	if s, ok := find[interface{ HTTPStatus() int }](err, leaf); ok {
		return s.HTTPStatus(), true
	}
	if e.StatusOf != nil {
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

// grpcKinds sorts the codes of gRPC by their numbers (google.golang.org/grpc/codes).
func grpcKinds(code uint32) Kind {
	switch code {
	case 4: // DeadlineExceeded
		return KindTransient
	case 14: // Unavailable
		return KindGRPCUnavailable | KindTransient
	case 3, 5, 6, 7, 9, 11, 12, 16: // InvalidArgument, NotFound, AlreadyExists, PermissionDenied,
		// FailedPrecondition, OutOfRange, Unimplemented, Unauthenticated
		return KindPermanent
	}
	return 0
}

func sqlState(err error, leaf bool) (string, bool) {
	if s, ok := find[interface{ SQLState() string }](err, leaf); ok {
		return s.SQLState(), true
	}
	if is(err, driver.ErrBadConn, leaf) {
		return badConn, true
	}
	return "", false
}

// badConn is the SQLSTATE connection_failure, which driver.ErrBadConn means.
const badConn = "08006"

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
	syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETRESET, syscall.ENOTCONN, syscall.ETIMEDOUT,
}

func netKinds(err error, leaf bool) Kind {
	var k Kind
	if !leaf { // an Errno is none: it has a method Is
		k = errnoKinds(err)
	}
	// io.EOF itself was sorted out as permanent.
	if is(err, io.EOF, leaf) || is(err, io.ErrUnexpectedEOF, leaf) {
		k |= KindConnectionError | KindTransient
	}
	if t, ok := find[interface{ Timeout() bool }](err, leaf); ok && t.Timeout() {
		k |= KindTransient
	}
	if t, ok := find[interface{ Temporary() bool }](err, leaf); ok && t.Temporary() { // of package net: a look-up of a name
		k |= KindTransient
	}
	return k
}

func errnoKinds(err error) Kind {
	var no syscall.Errno
	switch {
	case !errors.As(err, &no):
		return 0
	case slices.Contains(broken, no):
		return KindConnectionError | KindTransient
	case slices.Contains(passing, no):
		return KindTransient
	}
	return 0
}
