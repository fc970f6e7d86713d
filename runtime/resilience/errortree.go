package resilience

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/resilgen/resilgen/runtime/internal/typename"
)

// How much of a tree of errors a letter keeps.
const (
	maxErrNodes = 32
	maxErrDepth = 16
	maxErrText  = 2 << 10
	maxFrames   = 32
)

// eachError calls f with err and what it wraps, in pre-order, no more than
// maxErrNodes of them and none below maxErrDepth.
func eachError(err error, f func(err error, depth int)) {
	left := maxErrNodes
	var walk func(err error, depth int)
	walk = func(err error, depth int) {
		if err == nil || depth >= maxErrDepth || left == 0 {
			return
		}
		left--
		f(err, depth)
		switch w := err.(type) {
		case interface{ Unwrap() error }:
			walk(w.Unwrap(), depth+1)
		case interface{ Unwrap() []error }:
			for _, e := range w.Unwrap() {
				walk(e, depth+1)
			}
		}
	}
	walk(err, 0)
}

// errorTree returns err and what it wraps in pre-order.
func errorTree(err error, teach *Errors, s *scrubber) []ErrNode {
	var nodes []ErrNode
	eachError(err, func(err error, depth int) {
		kinds, _ := teach.kindsOf(err)
		nodes = append(nodes, ErrNode{
			Type: errorType(err), Msg: s.text(message(err)), Code: errorCode(err, teach), Class: kinds.String(), Depth: depth,
			Temporary: says(err, func(e interface{ Temporary() bool }) bool { return e.Temporary() }),
			Retryable: says(err, func(e interface{ Retryable() bool }) bool { return e.Retryable() }),
		})
	})
	return nodes
}

// says asks an error about itself. One that panics says no.
func says[T any](err error, ask func(T) bool) (yes bool) {
	e, ok := err.(T)
	if !ok {
		return false
	}
	defer func() { _ = recover() }()
	return ask(e)
}

// message is the text of err, also of one whose Error panics.
func message(err error) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprintf("(its Error panicked: %v)", v)
		}
	}()
	return err.Error()
}

// errorType is the type of an error, or of what a delegate panicked with.
func errorType(err error) string {
	if p, ok := err.(*panicked); ok {
		return "panic(" + typename.Of(p.value) + ")"
	}
	return typename.Of(err)
}

// errorCode is the code that an error itself has, "" if there is none: the number
// of the system, the state of a database, the status of HTTP or gRPC.
func errorCode(err error, teach *Errors) (code string) {
	defer func() { _ = recover() }() // a nil pointer in an interface has methods, too
	switch e := err.(type) {
	case syscall.Errno:
		return "errno=" + strconv.Itoa(int(e))
	case interface{ SQLState() string }:
		return "sqlstate=" + cutText(e.SQLState(), 16)
	case interface{ StatusCode() int }:
		return "http=" + strconv.Itoa(e.StatusCode())
	case interface{ HTTPStatusCode() int }:
		return "http=" + strconv.Itoa(e.HTTPStatusCode())
	case interface{ Code() string }:
		return "code=" + cutText(e.Code(), 64)
	case interface{ Code() int }:
		return "code=" + strconv.Itoa(e.Code())
	case interface{ ErrorCode() string }:
		return "code=" + cutText(e.ErrorCode(), 64)
	}
	return taughtCode(err, teach)
}

// taughtCode is the code that the funcs of a policy find. They look through what
// an error wraps, so that only a leaf is asked.
func taughtCode(err error, teach *Errors) string {
	switch err.(type) {
	case interface{ Unwrap() error }, interface{ Unwrap() []error }:
		return ""
	}
	if teach.GRPCCodeOf != nil {
		if code, ok := teach.GRPCCodeOf(err); ok {
			return "grpc=" + strconv.Itoa(int(code))
		}
	}
	if teach.StatusOf != nil {
		if status, ok := teach.StatusOf(err); ok {
			return "http=" + strconv.Itoa(status)
		}
	}
	return ""
}

// kindWords are the names of kinds in the policy language.
var kindWords = []string{
	"Canceled", "CallerDeadline", "CircuitOpen", "BulkheadFull", "RateLimited", "Permanent", "Timeout", "BudgetExhausted", "Panic",
	"Transient", "ConnectionError", "HTTP429", "HTTP5xx", "GRPCUnavailable", "SQLRetryable",
}

// String returns the names of the kinds in the policy language: "Timeout|Transient".
func (k Kind) String() string {
	var names []string
	for i, name := range kindWords {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// saysNothing are types that wrap others and tell nothing by themselves, and those
// that have nothing but a text.
var (
	sayNothing = []string{"*fmt.wrapError", "*fmt.wrapErrors", "*errors.joinError"}
	onlyText   = []string{"*errors.errorString", "*github.com/resilgen/resilgen/runtime/resilience.sentinel"}
)

// errorChain is what tells errors of one kind from others: the types and codes of
// a tree, and the templated texts of those that have nothing else. What this
// package adds to an error, and what differs from call to call, is not in it.
func errorChain(err error, teach *Errors) string {
	var chain []string
	eachError(err, func(err error, _ int) {
		name := errorType(err)
		switch err.(type) {
		case *Error, *permanentError, *KeptError, *WriteError:
			return
		}
		if slices.Contains(sayNothing, name) {
			return
		}
		if code := errorCode(err, teach); code != "" {
			name += "=" + code
		}
		if slices.Contains(onlyText, name) {
			name += ":" + templated(message(err))
		}
		chain = append(chain, name)
	})
	return strings.Join(chain, ">")
}

// errFP is a fingerprint of an error, the same for those of one kind.
func errFP(err error) string {
	if err == nil {
		return ""
	}
	return shortHash(errorChain(err, &Errors{}))
}

// shortHash is the begin of a SHA-256 in 12 hexadecimal digits.
func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

// panicStack returns the stack of a panic that a deferred func has recovered: from
// the func that panicked on. It is called by that func, skip frames below it.
func panicStack(value any) []Frame {
	if p, ok := value.(*PanicError); ok {
		return parseStack(p.Stack)
	}
	var pcs [128]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	var list []Frame
	panicking := false
	for more := true; more && len(list) < maxFrames; {
		var f runtime.Frame
		f, more = frames.Next()
		switch {
		case strings.HasPrefix(f.Function, "runtime."):
			panicking = panicking || f.Function == "runtime.gopanic"
		case panicking:
			list = append(list, Frame{f.Function, f.File, f.Line})
		}
	}
	return list
}

// parseStack reads what runtime/debug.Stack wrote.
func parseStack(stack []byte) []Frame {
	lines := strings.Split(string(stack), "\n")
	var list []Frame
	panicking := false
	for i := 1; i+1 < len(lines) && len(list) < maxFrames; i += 2 {
		name, _, _ := cutLast(strings.TrimPrefix(lines[i], "created by "), '(')
		file, line, _ := cutLast(strings.TrimSpace(strings.Split(lines[i+1], " +0x")[0]), ':')
		number, _ := strconv.Atoi(line)
		switch {
		case name == "panic" || strings.HasPrefix(name, "runtime."):
			panicking = true
		case panicking:
			list = append(list, Frame{name, file, number})
		}
	}
	return list
}
