package policy

import "slices"

// Matcher is a built-in matcher of the policy language.
type Matcher struct {
	Name    string
	GoConst string // its resilience.Kind
	Doc     string
	Floor   bool // never retried unless named
}

var builtinMatchers = []Matcher{
	{Name: "Canceled", GoConst: "KindCanceled", Floor: true, Doc: "The caller's context was cancelled."},
	{Name: "CallerDeadline", GoConst: "KindCallerDeadline", Floor: true, Doc: "The caller's deadline has passed."},
	{Name: "CircuitOpen", GoConst: "KindCircuitOpen", Floor: true, Doc: "A circuit breaker rejected the call."},
	{Name: "BulkheadFull", GoConst: "KindBulkheadFull", Floor: true, Doc: "A bulkhead had no slot."},
	{Name: "RateLimited", GoConst: "KindRateLimited", Floor: true, Doc: "A rate limiter rejected the call."},
	{Name: "Permanent", GoConst: "KindPermanent", Floor: true, Doc: "`resilience.Permanent(err)`, an error with `Permanent() bool`, the file's `permanent`, HTTP 4xx but 408, 425 and 429, gRPC InvalidArgument, NotFound, AlreadyExists, PermissionDenied, Unauthenticated, FailedPrecondition, OutOfRange, Unimplemented, SQLSTATE classes 22, 23 and 42, `fs.ErrNotExist`, `io.EOF` itself, and `sql.ErrNoRows` where the package imports database/sql."},
	{Name: "Timeout", GoConst: "KindTimeout", Doc: "A timeout of the policy has passed."},
	{Name: "BudgetExhausted", GoConst: "KindBudgetExhausted", Doc: "A retry was due, and the budget had none left. For `applyOn` and `skipOn`, and for retries around a guard that has one."},
	{Name: "Panic", GoConst: "KindPanic", Doc: "The delegate panicked. In `circuitBreaker.ignoreOn` only: nothing can be retried while a panic unwinds."},
	{Name: "Transient", GoConst: "KindTransient", Doc: "Timeouts, connection errors (a wrapped `io.EOF` among them), HTTP 429 and 5xx but 501, gRPC Unavailable, SQLSTATE 40001, 40P01, 08xxx and `driver.ErrBadConn`, EMFILE, ENFILE, EBUSY, EAGAIN, EINTR, ETXTBSY."},
	{Name: "ConnectionError", GoConst: "KindConnectionError", Doc: "The connection could not be made or broke."},
	{Name: "HTTP429", GoConst: "KindHTTP429", Doc: "HTTP status 429."},
	{Name: "HTTP5xx", GoConst: "KindHTTP5xx", Doc: "HTTP status 500 to 599."},
	{Name: "GRPCUnavailable", GoConst: "KindGRPCUnavailable", Doc: "gRPC status Unavailable, where the package imports gRPC."},
	{Name: "SQLRetryable", GoConst: "KindSQLRetryable", Doc: "SQLSTATE 40001, 40P01, 08xxx and `driver.ErrBadConn`."},
}

// Builtin maps the built-in matchers to the runtime's constants.
var Builtin = func() map[string]string {
	all := make(map[string]string)
	for _, m := range builtinMatchers {
		all[m.Name] = m.GoConst
	}
	return all
}()

// BuiltinMatchers returns the built-in matchers in the order of the reference.
func BuiltinMatchers() []Matcher { return slices.Clone(builtinMatchers) }

// IsMatcher reports whether name is a built-in matcher.
func IsMatcher(name string) bool { return Builtin[name] != "" }
