package lint

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// readingVerbs begin the names of methods that change nothing.
var readingVerbs = []string{"Get", "List", "Find", "Read", "Fetch", "Lookup", "Search", "Query", "Count", "Has"}

// Reading reports whether the name sounds as if the method only read.
func Reading(name string) bool {
	return slices.ContainsFunc(readingVerbs, func(verb string) bool { return strings.HasPrefix(name, verb) })
}

func silentLoss(m *Method) string {
	if m.Node || m.Policy.Str("fallback.value") != "zero" || m.Policy.Bool("deadLetter.afterFallback") || Reading(m.Policy.Method) || m.Policy.Idempotent() && m.Sig.Results().Len() > 1 {
		return ""
	}
	return "fallback.value: zero reports success for what was not done, and nothing keeps it: deadLetter: {afterFallback: true} does, or let a fallback func keep or refuse it"
}

// zeroIsNil names a result whose zero value cannot be used.
func zeroIsNil(m *Method) string {
	if m.Policy.Str("fallback.value") != "zero" {
		return ""
	}
	for i := range m.Sig.Results().Len() {
		t := m.Sig.Results().At(i).Type()
		if i == m.Err {
			continue
		}
		switch t.Underlying().(type) {
		case *types.Pointer, *types.Signature, *types.Interface:
			return fmt.Sprintf("fallback.value: zero answers with a nil %s and no error, which callers will use", types.TypeString(t, short))
		}
	}
	return ""
}

// sharedWithAbandoned names an argument that an abandoned delegate still uses.
func sharedWithAbandoned(m *Method) string {
	if m.Policy.Str("timeout.mode") != "abandon" {
		return ""
	}
	return used(m, "mode: abandon leaves a delegate behind")
}

// sharedWithOthers names an argument of a caller that may leave what it shares.
func sharedWithOthers(m *Method) string {
	if m.Ctx < 0 && Request(m.Sig) < 0 {
		return ""
	}
	return used(m, "who leaves an execution that others wait for leaves one behind")
}

// Request returns the index of the parameter that brings the context of a call:
// the only *http.Request of a method that takes no context. It returns -1 if there
// is none.
func Request(sig *types.Signature) int {
	at := -1
	for i := range sig.Params().Len() {
		t := types.Unalias(sig.Params().At(i).Type())
		pointer, ok := t.(*types.Pointer)
		switch {
		case types.TypeString(t, nil) == "context.Context":
			return -1
		case !ok || types.TypeString(types.Unalias(pointer.Elem()), nil) != "net/http.Request":
		case at >= 0: // which of the two?
			return -1
		default:
			at = i
		}
	}
	return at
}

func used(m *Method, who string) string {
	for v := range m.Sig.Params().Variables() {
		switch t := types.Unalias(v.Type()).Underlying().(type) {
		case *types.Map, *types.Slice, *types.Pointer:
			return fmt.Sprintf("%s that still uses the argument %s: neither may change it any more", who, types.TypeString(v.Type(), short))
		case *types.Signature:
			return fmt.Sprintf("%s that still calls the argument %s", who, types.TypeString(t, short))
		}
	}
	return ""
}

// runsAgain names a func argument, which each attempt calls anew.
func runsAgain(m *Method) string {
	if m.Policy.Int("retry.maxAttempts") < 2 {
		return ""
	}
	for v := range m.Sig.Params().Variables() {
		if _, ok := types.Unalias(v.Type()).Underlying().(*types.Signature); ok && !isIterator(v.Type()) {
			return fmt.Sprintf("the argument %s is a func that runs again with each of up to %d attempts", types.TypeString(v.Type(), short), m.Policy.Int("retry.maxAttempts"))
		}
	}
	return ""
}

func droppedIsClosed(m *Method) string {
	if m.Policy.Str("retry.retryOnResult") == "" {
		return ""
	}
	for v := range m.Sig.Results().Variables() {
		if hasMethod(types.Unalias(v.Type()), "Close") {
			return fmt.Sprintf("a %s that retryOnResult rejects is closed before the next attempt: the func must neither close nor keep it", types.TypeString(v.Type(), short))
		}
	}
	return ""
}
