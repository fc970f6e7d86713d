// Package lint holds the checks that a policy must pass for the method it
// guards. Each check is one func in one table.
package lint

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/generator/policy"
)

// Method is a method and its policy.
type Method struct {
	Policy   *policy.Effective
	Sig      *types.Signature
	Ctx, Err int  // index of the context parameter and of the error result, -1 if none
	LeaveOut bool // parts that cannot act are left out, not refused
}

// Finding is what a check says.
type Finding struct {
	ID    string
	Error bool
	Part  string
	Msg   string
}

// Check is an entry of the table.
type Check struct {
	ID  string
	Doc string
	// Part is what the check is about; it runs only where that is on.
	Part string
	// Shape checks say that Part cannot act on the method's signature: it is
	// left out where the author allowed that.
	Shape bool
	// Instead is what else would do where Part cannot act.
	Instead string
	Error   bool
	// Find returns what is wrong, "" if nothing is.
	Find func(m *Method) string
}

// Checks returns the table, in the order in which it runs.
func Checks() []Check { return checks }

var checks = []Check{
	{ID: "RG080", Doc: "a policy needs an error result", Part: "retry", Shape: true, Error: true, Find: noError},
	{ID: "RG080", Doc: "a policy needs an error result", Part: "timeout", Shape: true, Error: true, Find: noError},
	{ID: "RG080", Doc: "a policy needs an error result", Part: "fallback", Shape: true, Error: true, Find: noError},
	{ID: "RG080", Doc: "a policy needs an error result", Part: "circuitBreaker", Shape: true, Error: true, Find: noError},
	{ID: "RG080", Doc: "a policy needs an error result", Part: "bulkhead", Shape: true, Error: true, Find: noError},
	{ID: "RG005", Doc: "a timeout needs a context", Part: "timeout", Shape: true, Instead: "leave late calls behind with timeout.mode: abandon, ", Error: true, Find: noContext},
	{ID: "RG081", Doc: "a timeout would end what outlives the call", Part: "timeout", Shape: true, Instead: "bound the opening alone with timeout.open, ", Error: true, Find: outlives},
	{ID: "RG082", Doc: "an argument that is read once cannot be sent again", Part: "retry", Shape: true, Error: true, Find: readOnce},
	{ID: "RG085", Doc: "no retry inside a transaction", Part: "retry", Shape: true, Error: true, Find: inTransaction},
	{ID: "RG001", Doc: "the attempt limit can act", Part: "timeout", Error: true, Find: totalBelowAttempt},
	{ID: "RG002", Doc: "a retry can begin", Part: "retry", Error: true, Find: totalBelowDelay},
	{ID: "RG003", Doc: "every attempt can run", Part: "retry", Find: worstAboveTotal},
	{ID: "RG016", Doc: "back-off numbers are sane", Part: "retry", Error: true, Find: maxBelowInitial},
	{ID: "RG018", Doc: "abortOn leaves something to retry", Part: "retry", Error: true, Find: abortCoversRetry},
	{ID: "RG022", Doc: "the minimum can be reached", Part: "circuitBreaker", Error: true, Find: minimumAboveSize},
	{ID: "RG02A", Doc: "a half-open breaker can close", Part: "circuitBreaker", Error: true, Find: thresholdAbovePermitted},
	{ID: "RG02B", Doc: "one call cannot open the circuit", Part: "circuitBreaker", Find: oneCallOpens},
	{ID: "RG043", Doc: "ignoreOn leaves something to record", Part: "circuitBreaker", Error: true, Find: ignoreCoversRecord},
}

// Run returns what is wrong with m. Parts that cannot act are dropped from its
// policy where that is allowed. A retry that was inherited is dropped from a
// method that is not idempotent; one written for it is an error (RG011).
func Run(m *Method) []Finding {
	var list []Finding
	if m.Policy.Has("retry") && !m.Policy.Idempotent() {
		if m.Policy.Own("retry") {
			list = append(list, Finding{"RG011", true, "retry", "retry needs idempotent: true: the method may be executed twice"})
		} else {
			m.Policy.Drop("retry", "not marked idempotent")
		}
	}
	for _, c := range checks {
		if !m.Policy.Has(c.Part) {
			continue
		}
		msg := c.Find(m)
		switch {
		case msg == "":
		case c.Shape && m.LeaveOut:
			m.Policy.Drop(c.Part, msg)
		default:
			if c.Shape {
				msg = c.Part + " cannot act: " + msg + "; " + c.Instead + "drop it here, or say leaveOut: all"
			}
			list = append(list, Finding{c.ID, c.Error, c.Part, msg})
		}
	}
	return list
}

func noError(m *Method) string {
	if m.Err < 0 {
		return "the method has no error result, so a failure cannot be seen"
	}
	return ""
}

func noContext(m *Method) string {
	if m.Ctx < 0 && m.Policy.Str("timeout.mode") != "abandon" {
		return "the method takes no context.Context, so it cannot be cancelled"
	}
	return ""
}

// outlives names a result that lives longer than the call, whose context a
// timeout would end.
func outlives(m *Method) string {
	if m.Policy.Dur("timeout.open") > 0 {
		return ""
	}
	for i := range m.Sig.Results().Len() {
		t := m.Sig.Results().At(i).Type()
		if isStream(t) {
			return fmt.Sprintf("the result %s outlives the call, and a timeout would cut it off", types.TypeString(t, short))
		}
	}
	return ""
}

func isStream(t types.Type) bool {
	switch u := t.Underlying().(type) {
	case *types.Chan:
		return true
	case *types.Signature: // iterators yield later
		return u.Params().Len() > 0
	}
	switch strings.TrimPrefix(types.TypeString(t, nil), "*") {
	case "database/sql.Rows", "database/sql.Row", "database/sql.Stmt", "database/sql.Tx", "database/sql.Conn", "net/http.Response":
		return true
	}
	set := types.NewMethodSet(t)
	for _, name := range []string{"Recv", "Read", "RecvMsg"} {
		if set.Lookup(nil, name) != nil {
			return true
		}
	}
	return false
}

// readOnce names a parameter that the first attempt uses up, two levels deep.
func readOnce(m *Method) string {
	for i := range m.Sig.Params().Len() {
		t := m.Sig.Params().At(i).Type()
		if usedUp(t, 2) {
			return fmt.Sprintf("the argument %s can be read once; a retry would send it empty", types.TypeString(t, short))
		}
	}
	return ""
}

func usedUp(t types.Type, depth int) bool {
	switch types.TypeString(t, nil) {
	case "*net/http.Request":
		return true
	case "context.Context":
		return false
	}
	set := types.NewMethodSet(t)
	if set.Lookup(nil, "Read") != nil && set.Lookup(nil, "Seek") == nil {
		return true
	}
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	switch u := t.Underlying().(type) {
	case *types.Chan:
		return true
	case *types.Struct:
		for i := range u.NumFields() {
			if depth > 0 && u.Field(i).Exported() && usedUp(u.Field(i).Type(), depth-1) {
				return true
			}
		}
	}
	return false
}

func inTransaction(m *Method) string {
	for i := range m.Sig.Params().Len() {
		if types.TypeString(m.Sig.Params().At(i).Type(), nil) == "*database/sql.Tx" {
			return "the method works in a *sql.Tx, which is aborted after a failure"
		}
	}
	return ""
}

func short(p *types.Package) string { return p.Name() }

func totalBelowAttempt(m *Method) string {
	total, attempt := m.Policy.Dur("timeout.total"), m.Policy.Dur("timeout.attempt")
	if total > 0 && attempt > total {
		return fmt.Sprintf("timeout.total %v is shorter than timeout.attempt %v, which can never act", total, attempt)
	}
	return ""
}

func totalBelowDelay(m *Method) string {
	total := m.Policy.Dur("timeout.total")
	low, _ := Delay(m.Policy, 0, 0)
	if total > 0 && m.Policy.Int("retry.maxAttempts") > 1 && total <= low {
		return fmt.Sprintf("timeout.total %v ends before the first delay of at least %v", total, low)
	}
	return ""
}

func worstAboveTotal(m *Method) string {
	total, attempt := m.Policy.Dur("timeout.total"), m.Policy.Dur("timeout.attempt")
	if total == 0 || attempt == 0 {
		return ""
	}
	spent := time.Duration(0)
	_, prev := Delay(m.Policy, 0, 0)
	for n := range m.Policy.Int("retry.maxAttempts") {
		if spent >= total {
			w := WorstCase(m.Policy)
			return fmt.Sprintf("worst case %v exceeds timeout.total %v: attempt %d of %d may never run",
				w.Unbounded, total, n+1, m.Policy.Int("retry.maxAttempts"))
		}
		_, prev = Delay(m.Policy, n, prev)
		spent += attempt + prev
	}
	return ""
}

func maxBelowInitial(m *Method) string {
	initial, limit := m.Policy.Dur("retry.backoff.initialDelay"), m.Policy.Dur("retry.backoff.maxDelay")
	_, given := m.Policy.Given("retry.backoff.maxDelay")
	if given && limit < initial {
		return fmt.Sprintf("retry.backoff.maxDelay %v is less than initialDelay %v", limit, initial)
	}
	return ""
}

func abortCoversRetry(m *Method) string {
	if covers(m.Policy.List("retry.abortOn"), m.Policy.List("retry.retryOn")) {
		return "abortOn covers every entry of retryOn: nothing is ever retried"
	}
	return ""
}

func ignoreCoversRecord(m *Method) string {
	if covers(m.Policy.List("circuitBreaker.ignoreOn"), m.Policy.List("circuitBreaker.recordOn")) {
		return "ignoreOn covers every entry of recordOn: the breaker never counts a failure"
	}
	return ""
}

// covers reports whether every entry of list is in by, too.
func covers(by, list policy.List) bool {
	if list.Any || len(list.Names) == 0 {
		return false
	}
	for _, n := range list.Names {
		if !slices.ContainsFunc(by.Names, func(b policy.Name) bool { return b.Text == n.Text }) {
			return false
		}
	}
	return true
}

func minimumAboveSize(m *Method) string {
	_, given := m.Policy.Given("circuitBreaker.minimumCalls")
	minimum, size := m.Policy.Int("circuitBreaker.minimumCalls"), m.Policy.Int("circuitBreaker.window.size")
	if given && m.Policy.Str("circuitBreaker.window.type") == "count" && minimum > size {
		return fmt.Sprintf("circuitBreaker.minimumCalls %d is greater than window.size %d and can never be reached", minimum, size)
	}
	return ""
}

func thresholdAbovePermitted(m *Method) string {
	_, given := m.Policy.Given("circuitBreaker.halfOpen.successThreshold")
	if given && m.Policy.Str("circuitBreaker.halfOpen.mode") == "rate" {
		threshold, permitted := m.Policy.Int("circuitBreaker.halfOpen.successThreshold"), 10
		if _, ok := m.Policy.Given("circuitBreaker.halfOpen.permittedCalls"); ok {
			permitted = m.Policy.Int("circuitBreaker.halfOpen.permittedCalls")
		}
		if threshold > permitted {
			return fmt.Sprintf("halfOpen.successThreshold %d is greater than permittedCalls %d: the breaker can never close", threshold, permitted)
		}
	}
	return ""
}

func oneCallOpens(m *Method) string {
	if !m.Policy.Has("retry") {
		return ""
	}
	attempts, needed := m.Policy.Int("retry.maxAttempts"), m.Policy.Int("circuitBreaker.minimumCalls")
	if c := m.Policy.Int("circuitBreaker.consecutiveFailures"); c > 0 {
		if needed == 0 { // no rate decides
			needed = c
		}
		needed = min(needed, c)
	}
	if size := m.Policy.Int("circuitBreaker.window.size"); size > 0 {
		needed = min(needed, size)
	}
	if attempts >= needed {
		return fmt.Sprintf("retry.maxAttempts %d reaches the %d failures that open the breaker: one call can open it for everybody", attempts, needed)
	}
	return ""
}
