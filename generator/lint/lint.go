// Package lint holds the checks that a policy must pass for the method it
// guards. Each check is one func in one table.
package lint

import (
	"fmt"
	"go/types"
	"slices"

	"github.com/resilgen/resilgen/generator/policy"
)

// Method is a method and its policy.
type Method struct {
	Policy   *policy.Effective
	Sig      *types.Signature
	Ctx, Err int  // index of the context parameter and of the error result, -1 if none
	LeaveOut bool // parts that cannot act are left out, not refused
	Node     bool // of a workflow, or a stage of a pipeline: what became of it is reported
	// Uncarried says which argument no letter can hold, and what to do; "" for none.
	// nil: nobody knows.
	Uncarried func() (what, do string)
}

// Finding is what a check says.
type Finding struct {
	ID    string
	Error bool
	Part  string
	Msg   string
	Pos   policy.Pos // zero: what names the method
}

// Check is an entry of the table.
type Check struct {
	ID string // of its Rule
	// Part is what the check is about; it runs only where that is on.
	Part string
	// Shape checks say that Part cannot act on the method's signature: it is
	// left out where the author allowed that.
	Shape bool
	// Instead is what else would do where Part cannot act; InsteadOf says it of a
	// method.
	Instead   string
	InsteadOf func(m *Method) string
	Error     bool
	// Find returns what is wrong, "" if nothing is.
	Find func(m *Method) string
	// At returns where the value is that Find complains of; nil: what names the
	// method.
	At func(m *Method) policy.Pos
}

// Checks returns the table, in the order in which it runs.
func Checks() []Check { return checks }

var checks = []Check{
	{ID: "RG080", Part: "retry", Shape: true, Error: true, Find: noError},
	{ID: "RG080", Part: "timeout", Shape: true, Error: true, Find: noError},
	{ID: "RG080", Part: "fallback", Shape: true, Error: true, Find: noError},
	{ID: "RG080", Part: "circuitBreaker", Shape: true, Error: true, Find: noError},
	{ID: "RG080", Part: "rateLimit", Shape: true, Error: true, Find: noError},
	{ID: "RG080", Part: "checkpoint", Shape: true, Error: true, Find: noError},
	{ID: "RG086", Part: "checkpoint", Shape: true, Error: true, Find: nothingToKeep},
	{ID: "RG080", Part: "cache", Shape: true, Error: true, Find: noError},
	{ID: "RG086", Part: "cache", Shape: true, Error: true, Find: nothingToKeep},
	{ID: "RG080", Part: "bulkhead", Shape: true, Error: true, Find: noError},
	{ID: "RG080", Part: "adaptive", Shape: true, Error: true, Find: noError},
	{ID: "RG080", Part: "chaos", Shape: true, Error: true, Find: noError},
	{ID: "RG080", Part: "hedge", Shape: true, Error: true, Find: noError},
	{ID: "RG080", Part: "deadLetter", Shape: true, Error: true, Find: noError},
	{ID: "RG071", Part: "deadLetter", Shape: true, Error: true, Find: nobodyTakes, At: letterPos},
	{ID: "RG072", Part: "deadLetter", Shape: true, Error: true, Find: notCarried, InsteadOf: carriedBy, At: letterPos},
	{ID: "RG005", Part: "timeout", Shape: true, Instead: "leave late calls behind with timeout.mode: abandon, ", Error: true, Find: noContext},
	{ID: "RG005", Part: "hedge", Shape: true, Error: true, Find: noContext},
	{ID: "RG081", Part: "timeout", Shape: true, Error: true, Find: endless},
	{ID: "RG081", Part: "timeout", Find: opensOnly("timeout")},
	{ID: "RG081", Part: "retry", Find: opensOnly("retry")},
	{ID: "RG081", Part: "hedge", Find: opensOnly("hedge")},
	{ID: "RG081", Part: "circuitBreaker", Find: opensOnly("circuitBreaker")},
	{ID: "RG082", Part: "retry", Shape: true, Error: true, Find: readOnce},
	{ID: "RG082", Part: "hedge", Shape: true, Error: true, Find: sharedByHedges},
	{ID: "RG085", Part: "retry", Shape: true, Error: true, Find: inTransaction},
	{ID: "RG085", Part: "hedge", Shape: true, Error: true, Find: inTransaction},
	{ID: "RG001", Part: "timeout", Error: true, Find: totalBelowAttempt},
	{ID: "RG002", Part: "retry", Error: true, Find: totalBelowDelay},
	{ID: "RG002", Part: "retry", Find: retryAfterTotal},
	{ID: "RG003", Part: "retry", Find: worstAboveTotal},
	{ID: "RG016", Part: "retry", Error: true, Find: maxBelowInitial},
	{ID: "RG018", Part: "retry", Error: true, Find: abortCoversRetry},
	{ID: "RG022", Part: "circuitBreaker", Error: true, Find: minimumAboveSize},
	{ID: "RG02A", Part: "circuitBreaker", Error: true, Find: thresholdAbovePermitted},
	{ID: "RG02B", Part: "circuitBreaker", Find: oneCallOpens},
	{ID: "RG043", Part: "circuitBreaker", Error: true, Find: ignoreCoversRecord},
	{ID: "RG004", Part: "retry", Find: retryWithoutTimeout},
	{ID: "RG004", Part: "bulkhead", Find: queueWithoutTimeout},
	{ID: "RG004", Part: "hedge", Find: hedgeWithoutTimeout},
	{ID: "RG006", Part: "retry", Find: maxDurationInert},
	{ID: "RG007", Part: "bulkhead", Find: abandonedKeepSlots},
	{ID: "RG013", Part: "retry", Find: manyAttempts},
	{ID: "RG013", Part: "retry", Find: budgetOff},
	{ID: "RG014", Part: "retry", Find: noPause},
	{ID: "RG015", Part: "retry", Find: noJitter},
	{ID: "RG017", Part: "retry", Error: true, Find: retryOnAbsent},
	{ID: "RG019", Part: "retry", Find: sleepsBelowOpen},
	{ID: "RG01A", Part: "retry", Find: outlastsLease},
	{ID: "RG021", Part: "circuitBreaker", Find: consecutiveInert},
	{ID: "RG023", Part: "circuitBreaker", Find: windowNeverFull},
	{ID: "RG024", Part: "circuitBreaker", Find: windowBelowAttempts},
	{ID: "RG025", Part: "circuitBreaker", Find: slowAboveAttempt},
	{ID: "RG026", Part: "circuitBreaker", Find: openBelowAttempt},
	{ID: "RG027", Part: "circuitBreaker", Find: probeMayHang},
	{ID: "RG028", Part: "circuitBreaker", Find: everyCallMustFail},
	{ID: "RG029", Part: "circuitBreaker", Find: recordsCanceled},
	{ID: "RG041", Part: "fallback", Error: true, Find: applyOnAbsent},
	{ID: "RG044", Part: "fallback", Find: silentLoss},
	{ID: "RG050", Part: "bulkhead", Find: waitAboveTotal},
	{ID: "RG051", Part: "bulkhead", Find: queueWithoutWait},
	{ID: "RG052", Part: "hedge", Find: hedgesReject},
	{ID: "RG053", Part: "rateLimit", Find: limitWaitAboveTotal},
	{ID: "RG054", Part: "rateLimit", Error: true, Find: noRate},
	{ID: "RG055", Part: "bulkhead", Find: neverFull},
	{ID: "RG056", Part: "adaptive", Error: true, Find: limitsDecrease, At: tooHigh},
	{ID: "RG062", Part: "hedge", Find: hedgeTooLate},
	{ID: "RG063", Part: "hedge", Error: true, Find: lastHedgeTooLate},
	{ID: "RG064", Part: "hedge", Find: hedgesWhenCold},
	{ID: "RG065", Part: "hedge", Find: hedgeWithoutBudget},
	{ID: "RG070", Part: "deadLetter", Find: keptAgain, At: letterPos},
	{ID: "RG073", Part: "deadLetter", Find: fullUnsaid, At: letterPos},
	{ID: "RG074", Part: "deadLetter", Find: replayAsks},
	{ID: "RG076", Part: "deadLetter", Error: true, Find: keptForNothing, At: letterPos},
	{ID: "RG077", Part: "deadLetter", Find: keptReading},
	{ID: "RG079", Part: "deadLetter", Find: answeredUnkept, At: letterPos},
	{ID: "RG083", Part: "timeout", Find: sharedWithAbandoned},
	{ID: "RG083", Part: "hedge", Find: sharedWithHedges},
	{ID: "RG083", Part: "checkpoint", Find: sharedWithOthers},
	{ID: "RG083", Part: "cache", Find: sharedWithOthers},
	{ID: "RG083", Part: "retry", Find: runsAgain},
	{ID: "RG084", Part: "retry", Find: droppedIsClosed},
	{ID: "RG084", Part: "hedge", Find: beatenIsClosed},
	{ID: "RG087", Part: "fallback", Find: zeroIsNil},
	{ID: "RG088", Part: "circuitBreaker", Find: panicCounts},
	{ID: "RG096", Part: "chaos", Error: true, Find: muchChaos},
	{ID: "RG097", Part: "circuitBreaker", Find: manyKeys},
	{ID: "RG097", Part: "rateLimit", Find: manyLimits},
}

// Run returns what is wrong with m. Parts that cannot act are dropped from its
// policy where that is allowed. A retry or a hedge that was inherited is dropped
// from a method that is not idempotent; one written for it is an error (RG011,
// RG061).
func Run(m *Method) []Finding {
	list := append(once(m, "RG011", "retry"), once(m, "RG061", "hedge")...)
	list = append(list, oneOfBoth(m)...)
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
			instead := c.Instead
			if c.InsteadOf != nil {
				instead = c.InsteadOf(m)
			}
			if c.Shape {
				msg = c.Part + " cannot act: " + msg + "; " + instead + "drop it here, or say leaveOut: all"
			}
			f := Finding{ID: c.ID, Error: c.Error, Part: c.Part, Msg: msg}
			if c.At != nil {
				f.Pos = c.At(m)
			}
			list = append(list, f)
		}
	}
	return append(list, misplaced(m)...) // by what was not left out
}

// once is about parts that execute a method more than once.
func once(m *Method, id, part string) []Finding {
	switch {
	case !m.Policy.Has(part) || m.Policy.Idempotent():
	case m.Policy.Own(part):
		return []Finding{{ID: id, Error: true, Part: part, Msg: part + " needs idempotent: true: the method may be executed twice"}}
	default:
		m.Policy.Drop(part, "not marked idempotent")
	}
	return nil
}

// oneOfBoth is about retry and hedge, of which one that is written for the
// method replaces one that was inherited.
func oneOfBoth(m *Method) []Finding {
	if !m.Policy.Has("retry") || !m.Policy.Has("hedge") {
		return nil
	}
	retry, hedge := m.Policy.Own("retry"), m.Policy.Own("hedge")
	switch {
	case hedge && !retry:
		m.Policy.Drop("retry", "the hedge takes its place")
	case retry && !hedge:
		m.Policy.Drop("hedge", "the retry takes its place")
	default:
		return []Finding{{ID: "RG060", Error: true, Part: "hedge", Msg: "retry and hedge exclude each other: each begins the next attempt after a failure; write retry: none or hedge: none"}}
	}
	return nil
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

// streams are types whose use goes on after the call, besides those that their
// methods give away.
var streams = []string{
	"database/sql.Rows", "database/sql.Row", "database/sql.Stmt", "database/sql.Tx", "database/sql.Conn",
	"database/sql/driver.Rows", "net/http.Response",
}

// buffers are readers that hold what is read.
var buffers = []string{"bytes.Buffer", "bytes.Reader", "strings.Reader"}

// outlivesCall reports whether t is read after the call, or is made of what is:
// the Body of an answer, depth levels down.
func outlivesCall(t types.Type, depth int) bool {
	t = element(t)
	switch {
	case isIterator(t), hasMethod(t, "Recv"), hasMethod(t, "RecvMsg"), hasMethod(t, "ResultChan"), // of a watch of Kubernetes
		hasMethod(t, "Next") && hasMethod(t, "Close"), hasMethod(t, "Commit") && hasMethod(t, "Rollback"):
		return true
	}
	reads := hasMethod(t, "Read")
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	name := types.TypeString(t, nil)
	if slices.Contains(streams, name) || reads && !slices.Contains(buffers, name) {
		return true
	}
	switch u := t.Underlying().(type) {
	case *types.Chan:
		return true
	case *types.Struct:
		for f := range u.Fields() {
			if depth > 0 && f.Exported() && name != "net/http.Request" && outlivesCall(f.Type(), depth-1) {
				return true
			}
		}
	}
	return false
}

// isIterator reports whether t is a func over a yield.
func isIterator(t types.Type) bool {
	f, ok := t.Underlying().(*types.Signature)
	if !ok || f.Params().Len() != 1 || f.Results().Len() != 0 {
		return false
	}
	yield, ok := f.Params().At(0).Type().Underlying().(*types.Signature)
	return ok && yield.Results().Len() == 1 && types.Identical(yield.Results().At(0).Type(), types.Typ[types.Bool])
}

// Telling are the methods that checks know types by, and the one whose name
// generated code gives to a field beside others.
var Telling = []string{"Close", "Commit", "Next", "Read", "Recv", "RecvMsg", "ResultChan", "Rollback", "Seek", "Write", "hold"}

// hasMethod reports whether the exported method is in the method set of t. It
// does not make the whole set, which is large for a struct that embeds much.
func hasMethod(t types.Type, name string) bool {
	obj, _, _ := types.LookupFieldOrMethod(t, false, nil, name)
	_, ok := obj.(*types.Func)
	return ok
}

// Rewindable reports whether a parameter of type t is an io.Seeker, which
// generated code rewinds before another attempt.
func Rewindable(t types.Type) bool {
	obj, _, _ := types.LookupFieldOrMethod(t, false, nil, "Seek")
	seek, ok := obj.(*types.Func)
	return ok && types.TypeString(bare(seek.Signature()), nil) == "func(int64, int) (int64, error)"
}

// Spent reports whether a parameter of type t is a reader that a call uses up:
// one that cannot be rewound.
func Spent(t types.Type) bool {
	obj, _, _ := types.LookupFieldOrMethod(t, false, nil, "Read")
	read, ok := obj.(*types.Func)
	return ok && !Rewindable(t) && types.TypeString(bare(read.Signature()), nil) == "func([]byte) (int, error)"
}

// bare is sig without a receiver and without names.
func bare(sig *types.Signature) *types.Signature {
	unnamed := func(t *types.Tuple) *types.Tuple {
		var list []*types.Var
		for v := range t.Variables() {
			list = append(list, types.NewParam(0, nil, "", types.Unalias(v.Type())))
		}
		return types.NewTuple(list...)
	}
	return types.NewSignatureType(nil, nil, nil, unnamed(sig.Params()), unnamed(sig.Results()), sig.Variadic())
}

// readOnce names a parameter that the first attempt uses up, two levels deep.
// One that can be rewound is not, unless an attempt that was left behind may
// still be reading it.
func readOnce(m *Method) string {
	for v := range m.Sig.Params().Variables() {
		seeks := Rewindable(v.Type())
		switch {
		case seeks && m.Policy.Has("timeout") && m.Policy.Str("timeout.mode") == "abandon":
			return fmt.Sprintf("the argument %s cannot be rewound while an attempt that was left behind may still use it", types.TypeString(v.Type(), short))
		case !seeks && usedUp(v.Type(), v.Pkg(), 2):
			return fmt.Sprintf("the argument %s can be read once; a retry would send it empty; take a func that opens it", types.TypeString(v.Type(), short))
		}
	}
	return ""
}

// usedUp reports whether t is read, or is made of what is. In there a reader
// that can seek counts: nothing winds it back. Of fields that are not exported
// only the readers of own, the package of the interface, count: a channel is how
// a type keeps house.
func usedUp(t types.Type, own *types.Package, depth int) bool {
	t = element(t)
	switch types.TypeString(t, nil) {
	case "*net/http.Request":
		return true
	case "context.Context":
		return false
	}
	if hasMethod(t, "Read") || isIterator(t) {
		return true
	}
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	switch u := t.Underlying().(type) {
	case *types.Chan:
		return true
	case *types.Struct:
		for f := range u.Fields() {
			if depth > 0 && usedField(f, own, depth-1) {
				return true
			}
		}
	}
	return false
}

// element returns what a slice, an array or a map holds, and any other type as
// it is. A type may hold itself.
func element(t types.Type) types.Type {
	for range 4 {
		switch u := t.Underlying().(type) {
		case *types.Slice:
			t = u.Elem()
		case *types.Array:
			t = u.Elem()
		case *types.Map:
			t = u.Elem()
		}
	}
	return types.Unalias(t)
}

func usedField(f *types.Var, own *types.Package, depth int) bool {
	if f.Exported() {
		return usedUp(f.Type(), own, depth)
	}
	return f.Pkg() == own && hasMethod(f.Type(), "Read") && !hasMethod(f.Type(), "Write") // no connection
}

// sharedByHedges names a parameter that attempts in flight at the same time
// cannot share.
func sharedByHedges(m *Method) string {
	for v := range m.Sig.Params().Variables() {
		if Rewindable(v.Type()) {
			return fmt.Sprintf("attempts would read the argument %s at the same time; take a func that opens it", types.TypeString(v.Type(), short))
		}
	}
	return readOnce(m)
}

func inTransaction(m *Method) string {
	for v := range m.Sig.Params().Variables() {
		t := types.Unalias(v.Type())
		if hasMethod(t, "Commit") && hasMethod(t, "Rollback") || types.TypeString(t, nil) == "*database/sql.Tx" {
			return fmt.Sprintf("the method works in a transaction, %s, which is aborted after a failure", types.TypeString(v.Type(), short))
		}
	}
	return ""
}

func short(p *types.Package) string { return p.Name() }

func totalBelowAttempt(m *Method) string {
	total := m.Policy.Dur("timeout.total")
	for _, key := range []string{"timeout.attempt", "timeout.open"} {
		if limit := m.Policy.Dur(key); total > 0 && limit > total {
			return fmt.Sprintf("timeout.total %v is shorter than %s %v, which can never act", total, key, limit)
		}
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

// retryAfterTotal is the milder half of RG002: the delay is there, but what
// comes before it may take all the time.
func retryAfterTotal(m *Method) string {
	total, attempt := m.Policy.Dur("timeout.total"), PerAttempt(m.Policy)
	_, high := Delay(m.Policy, 0, 0)
	if totalBelowDelay(m) != "" || total == 0 || attempt == 0 || attempt > total || unreachable(m.Policy) != 2 {
		return ""
	}
	return fmt.Sprintf("timeout.total %v may end before a retry (attempt %v + first back-off up to %v)", total, attempt, high)
}

func worstAboveTotal(m *Method) string {
	n := unreachable(m.Policy)
	if n < 3 { // RG002 speaks of the second
		return ""
	}
	return fmt.Sprintf("worst case %v exceeds timeout.total %v: attempt %d of %d may never run",
		WorstCase(m.Policy).Unbounded, m.Policy.Dur("timeout.total"), n, m.Policy.Int("retry.maxAttempts"))
}

// unreachable is the first attempt that timeout.total may keep from running
// when all before it take as long as they may, 0 if there is none.
func unreachable(e *policy.Effective) int {
	total, attempt := e.Dur("timeout.total"), PerAttempt(e)
	if total == 0 || attempt == 0 {
		return 0
	}
	spent, _ := waitsOutside(e)
	_, prev := Delay(e, 0, 0)
	for n := range e.Int("retry.maxAttempts") {
		if spent >= total {
			return n + 1
		}
		_, prev = Delay(e, n, prev)
		spent += attempt + waits(e, n) + prev
	}
	return 0
}

func maxBelowInitial(m *Method) string {
	limit := m.Policy.Dur("retry.backoff.maxDelay")
	_, maxGiven := m.Policy.Given("retry.backoff.maxDelay")
	_, initialGiven := m.Policy.Given("retry.backoff.initialDelay")
	how := ""
	if !maxGiven {
		how = ", its default,"
	}
	if m.Policy.Str("retry.backoff.strategy") == "sequence" {
		if longest := slices.Max(append(m.Policy.Durs("retry.backoff.delays"), 0)); longest > limit {
			return fmt.Sprintf("retry.backoff.maxDelay %v%s cuts the delay of %v short", limit, how, longest)
		}
		return ""
	}
	if initial := m.Policy.Dur("retry.backoff.initialDelay"); limit < initial && (maxGiven || initialGiven) {
		return fmt.Sprintf("retry.backoff.maxDelay %v%s is less than initialDelay %v", limit, how, initial)
	}
	return ""
}

func abortCoversRetry(m *Method) string {
	if m.Policy.Str("retry.retryOnResult") == "" && covers(m.Policy.List("retry.abortOn"), m.Policy.List("retry.retryOn")) {
		return "abortOn covers every entry of retryOn: nothing is ever retried"
	}
	return ""
}

func ignoreCoversRecord(m *Method) string {
	other := m.Policy.Str("circuitBreaker.recordOnResult") != "" || m.Policy.Dur("circuitBreaker.slowCallDuration") > 0
	if !other && covers(m.Policy.List("circuitBreaker.ignoreOn"), m.Policy.List("circuitBreaker.recordOn")) {
		return "ignoreOn covers every entry of recordOn: the breaker never counts a failure"
	}
	return ""
}

// contained are the classes that hold others whole.
var contained = map[string][]string{
	"Transient": {"Timeout", "ConnectionError", "HTTP429", "GRPCUnavailable", "SQLRetryable"}, // HTTP5xx has 501, which is not transient
}

// covers reports whether every entry of list is in by, too, or in a class there.
func covers(by, list policy.List) bool {
	if list.Any || len(list.Names) == 0 {
		return false
	}
	for _, n := range list.Names {
		if !slices.ContainsFunc(by.Names, func(b policy.Name) bool { return b.Text == n.Text || slices.Contains(contained[b.Text], n.Text) }) {
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
	what, attempts := "retry.maxAttempts", m.Policy.Int("retry.maxAttempts")
	switch {
	case ofCalls(m):
		return ""
	case m.Policy.Has("hedge"):
		what, attempts = "hedge.maxHedges + 1 =", executions(m.Policy)
	case !m.Policy.Has("retry"):
		return ""
	}
	needed := m.Policy.Int("circuitBreaker.minimumCalls")
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
		return fmt.Sprintf("%s %d reaches the %d failures that open the breaker: one call can open it for everybody", what, attempts, needed)
	}
	return ""
}
