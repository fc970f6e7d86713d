package generator

import (
	"go/types"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

const httpPath = "net/http"

// kept says how long the result of a method is in use, as the runtime calls it: ""
// where that makes no difference.
func kept(sig *types.Signature, e *policy.Effective) templates.Const {
	_, use := lint.Outliving(sig)
	context := limited(e) || e.Has("hedge")
	switch {
	case use.Held() && (context || e.Has("bulkhead") || e.Str("adaptive.mode") == "concurrency"):
		return "Held"
	case use != lint.Complete && context:
		return "ReadOn"
	}
	return ""
}

// limited reports whether a timeout gives attempts a context of their own.
func limited(e *policy.Effective) bool {
	return e.Dur("timeout.attempt") > 0 || e.Dur("timeout.total") > 0 || e.Dur("timeout.open") > 0
}

// held returns how a result is wrapped that holds what the call held, nil if
// none does.
func (r *resolver) held(w *templates.Wrapper, m *templates.Method, sig *types.Signature, e *policy.Effective) *templates.Held {
	if kept(sig, e) != "Held" {
		return nil
	}
	result, use := lint.Outliving(sig)
	h := &templates.Held{Result: result}
	switch use {
	case lint.Reader:
		h.Func = "HeldReader"
	case lint.Body:
		h.Func, h.Body = "HeldReader", true
	case lint.Pushed:
		h.Func = "HeldSeq"
	case lint.Pairs:
		h.Func = "HeldSeq2"
	default:
		name := lower(w.Base) + m.Name
		h.Type, h.Embedded = r.names.declare(name+"Held"), r.names.declare(name+"Result")
		h.Hold = "hold"
		if obj, _, _ := types.LookupFieldOrMethod(sig.Results().At(result).Type(), false, r.pkg.types, h.Hold); obj != nil {
			h.Hold = "holds"
		}
	}
	return h
}

// openingOnly says what is guarded of a result that outlives the call, and what of
// the call goes on.
func openingOnly(m *templates.Method, sig *types.Signature, e *policy.Effective) string {
	result, use := lint.Outliving(sig)
	if use == lint.Complete {
		return ""
	}
	var goesOn []string
	if e.Dur("timeout.open") == 0 && limited(e) {
		goesOn = append(goesOn, "the timeout goes on")
	}
	end := ""
	if m.Held != nil {
		end = " until " + m.Results[result].Name + ends[use]
		if e.Has("bulkhead") || e.Str("adaptive.mode") == "concurrency" {
			goesOn = append(goesOn, "its slot is taken")
		}
	}
	text := " Only the opening of " + m.Results[result].Name + " is guarded"
	if len(goesOn) > 0 {
		text += "; " + enumerate(goesOn) + end
	}
	return text + "."
}

// ends are what ends the use of a result.
var ends = map[lint.Use]string{
	lint.Reader: " is closed", lint.Body: ".Body is closed", lint.Closer: " is closed",
	lint.Pushed: " has been ranged over", lint.Pairs: " has been ranged over",
}
