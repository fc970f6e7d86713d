package resilience

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"
)

type statusCode int

func (statusCode) Error() string     { return "status" }
func (s statusCode) StatusCode() int { return int(s) }

type httpStatusCode int

func (httpStatusCode) Error() string         { return "status" }
func (s httpStatusCode) HTTPStatusCode() int { return int(s) }

type httpStatus int

func (httpStatus) Error() string     { return "status" }
func (s httpStatus) HTTPStatus() int { return int(s) }

type sqlError string

func (sqlError) Error() string      { return "sql" }
func (s sqlError) SQLState() string { return string(s) }

func TestKinds(t *testing.T) {
	_, refused := net.Dial("tcp", "127.0.0.1:1")
	_, missing := os.Open("/nonexistent")
	for _, c := range []struct {
		err  error
		want Kind
	}{
		{errPeer, 0},
		{context.Canceled, KindCanceled},
		{context.DeadlineExceeded, KindTransient},
		{os.ErrDeadlineExceeded, KindTransient},
		{&timeoutError{"timeout.total", 1, nil}, KindTimeout | KindTransient},
		{ErrCircuitOpen, KindCircuitOpen},
		{ErrBulkheadFull, KindBulkheadFull},
		{Permanent(errPeer), KindPermanent},
		{missing, KindPermanent},
		{fs.ErrNotExist, KindPermanent},
		{io.EOF, KindPermanent},
		{fmt.Errorf("read: %w", io.EOF), KindConnectionError | KindTransient},
		{io.ErrUnexpectedEOF, KindConnectionError | KindTransient},
		{refused, KindConnectionError | KindTransient},
		{syscall.ECONNRESET, KindConnectionError | KindTransient},
		{syscall.EMFILE, KindTransient},
		{syscall.EINTR, KindTransient},
		{syscall.EACCES, 0},
		{statusCode(200), 0}, {statusCode(404), KindPermanent}, {statusCode(408), 0},
		{statusCode(429), KindHTTP429 | KindTransient},
		{httpStatusCode(503), KindHTTP5xx | KindTransient}, {httpStatus(501), KindHTTP5xx},
		{sqlError("40001"), KindSQLRetryable | KindTransient},
		{sqlError("08006"), KindSQLRetryable | KindTransient | KindConnectionError},
		{sqlError("23505"), KindPermanent}, {sqlError("55000"), 0},
		{driver.ErrBadConn, KindSQLRetryable | KindTransient | KindConnectionError},
	} {
		e := &Errors{}
		if got, _ := e.kindsOf(c.err); got != c.want {
			t.Errorf("kinds of %v (%T) = %b, want %b", c.err, c.err, got, c.want)
		}
		if c.err == io.EOF {
			continue // means something else when wrapped
		}
		if got, _ := e.kindsOf(fmt.Errorf("call: %w", c.err)); got != c.want {
			t.Errorf("kinds of wrapped %v (%T) = %b, want %b", c.err, c.err, got, c.want)
		}
	}
}

func TestErrorsOfThePackage(t *testing.T) {
	e := &Errors{
		Permanent: func(err error) bool { return errors.Is(err, errIgnored) },
		StatusOf:  func(err error) (int, bool) { return 503, errors.Is(err, errPeer) },
	}
	if k, _ := e.kindsOf(errIgnored); k != KindPermanent {
		t.Errorf("permanent: %b", k)
	}
	if k, _ := e.kindsOf(errPeer); k != KindHTTP5xx|KindTransient {
		t.Errorf("statusOf: %b", k)
	}
}

func TestBuiltinGuards(t *testing.T) {
	rt := &Runtime{}
	for _, of := range []func(string) *Guard{rt.API, rt.Database, rt.FileSystem, rt.WorkflowNode} {
		name := fmt.Sprintf("%p", of)
		g := of(name)
		if of(name) != g {
			t.Error("the same name is another guard")
		}
		if v, err := Do(t.Context(), g, func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
			t.Errorf("Do = %v, %v", v, err)
		}
	}
}

func TestFallbackIsWanted(t *testing.T) {
	for _, c := range []struct {
		name string
		f    Fallback
		err  error
		want bool
	}{
		{"success", Fallback{On: true}, nil, false},
		{"failure", Fallback{On: true}, errPeer, true},
		{"permanent", Fallback{On: true}, Permanent(errPeer), false},
		{"canceled", Fallback{On: true}, context.Canceled, false},
		{"named", Fallback{ApplyOn: Matcher{Kinds: KindPermanent}}, Permanent(errPeer), true},
		{"not listed", Fallback{ApplyOn: Matcher{Kinds: KindTimeout}}, errPeer, false},
		{"skipped", Fallback{On: true, SkipOn: Matcher{Match: func(error) bool { return true }}}, errPeer, false},
		{"off", Fallback{}, errPeer, false},
	} {
		call := mustGuard(t, Policy{Fallback: c.f}).Begin(context.Background())
		for call.Next() {
			call.Record(c.err)
		}
		if got := call.WantsFallback(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		call.End()
	}
}

func TestUnwantedResults(t *testing.T) {
	for _, fail := range []bool{false, true} {
		g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 3, FailOnExhaustedResult: fail, Backoff: Backoff{Strategy: NoBackoff}}})
		call := g.Begin(context.Background())
		n := 0
		for call.Next() {
			n++
			call.RecordResult(nil, true, false)
		}
		if err := call.Err(); n != 3 || errors.Is(err, ErrUnwantedResult) != fail || (err != nil) != fail {
			t.Errorf("failOnExhaustedResult %v: %v after %d", fail, err, n)
		}
		call.End()
	}
}
