package lint

import (
	"fmt"
	"go/types"
	"time"
)

// Use is how a result is used after the call.
type Use int

// Uses of results.
const (
	Complete Use = iota // not at all: it is complete when the method returns
	ReadOn              // nobody sees the end: rows, a channel, what holds a stream
	Reader              // an io.ReadCloser, until it is closed
	Body                // an *http.Response, until its body is closed
	Closer              // another interface with Close() error, until it is closed
	Pushed              // an iterator of one value, until it has been ranged over
	Pairs               // an iterator of two values
)

// Held reports whether the end of the use can be seen.
func (u Use) Held() bool { return u > ReadOn }

// Outliving returns the result that is used after the call, and how. Of several
// ones it returns the first: that of which the end is seen says nothing about the
// others.
func Outliving(sig *types.Signature) (result int, use Use) {
	for i := range sig.Results().Len() {
		switch found := useOf(sig.Results().At(i).Type()); {
		case found == Complete:
		case use != Complete:
			return result, ReadOn
		default:
			result, use = i, found
		}
	}
	return result, use
}

func useOf(t types.Type) Use {
	t = types.Unalias(t)
	if _, param := t.(*types.TypeParam); param {
		if outlivesCall(t, 1) {
			return ReadOn
		}
		return Complete
	}
	switch name := types.TypeString(t, nil); {
	case name == "io.ReadCloser":
		return Reader
	case name == "*net/http.Response":
		return Body
	case types.IsInterface(t) && closes(t):
		return Closer
	case isIterator(t):
		return iteratorUse(t)
	case outlivesCall(t, 1):
		return ReadOn
	}
	return Complete
}

// closes reports whether t has a method Close() error.
func closes(t types.Type) bool {
	obj, _, _ := types.LookupFieldOrMethod(t, false, nil, "Close")
	method, ok := obj.(*types.Func)
	return ok && types.TypeString(bare(method.Signature()), nil) == "func() error"
}

// iteratorUse tells iterators apart by what they yield. One whose yield has a
// type of its own is like no func of the runtime.
func iteratorUse(t types.Type) Use {
	yield, plain := types.Unalias(t.Underlying().(*types.Signature).Params().At(0).Type()).(*types.Signature)
	switch {
	case plain && yield.Params().Len() == 1:
		return Pushed
	case plain && yield.Params().Len() == 2:
		return Pairs
	}
	return ReadOn
}

// endless says why a timeout is better left out, where the author allowed that:
// nobody sees when the result is no longer used.
func endless(m *Method) string {
	result, use := Outliving(m.Sig)
	if !m.LeaveOut || use != ReadOn || limited(m) == 0 {
		return ""
	}
	return fmt.Sprintf("the result %s outlives the call, and a timeout would cut it off", resultType(m, result))
}

func resultType(m *Method, i int) string {
	return types.TypeString(m.Sig.Results().At(i).Type(), short)
}

// limited is the limit that goes on after the method has returned, 0 if none
// does.
func limited(m *Method) time.Duration {
	attempt, total := m.Policy.Dur("timeout.attempt"), m.Policy.Dur("timeout.total")
	switch {
	case m.Policy.Dur("timeout.open") > 0:
		return 0
	case attempt == 0 || total > 0 && total < attempt:
		return total
	}
	return attempt
}

// opensOnly warns of the first of the parts that judge a call whose result
// outlives it, unless the policy says itself that it is about the opening.
func opensOnly(part string) func(m *Method) string {
	return func(m *Method) string {
		result, use := Outliving(m.Sig)
		if use == Complete || m.Policy.Dur("timeout.open") > 0 || part != firstJudge(m) {
			return ""
		}
		text := fmt.Sprintf("only the opening of the result %s is guarded: what fails while it is used is neither retried nor counted", resultType(m, result))
		if limit := limited(m); limit > 0 {
			text += fmt.Sprintf("; the timeout of %v goes on, which timeout.open would not", limit)
		}
		return text
	}
}

// firstJudge is the first part that makes something of a failure.
func firstJudge(m *Method) string {
	for _, part := range []string{"timeout", "retry", "hedge", "circuitBreaker"} {
		if m.Policy.Has(part) {
			return part
		}
	}
	return ""
}
