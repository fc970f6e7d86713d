package generator

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// sentence says what a method does under its policy.
func sentence(w *templates.Wrapper, m *templates.Method, e *policy.Effective) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s calls the wrapped %s", m.Name, w.Short)
	attempt, total := e.Dur("timeout.attempt"), e.Dur("timeout.total")
	retries := e.Int("retry.maxAttempts") > 1
	switch {
	case e.Has("hedge"):
		b.WriteString(hedged(e))
	case retries:
		fmt.Fprintf(&b, ", up to %d times", e.Int("retry.maxAttempts"))
	case e.Has("retry"):
		b.WriteString(", once")
	}
	if attempt > 0 {
		if retries {
			fmt.Fprintf(&b, " and for %s each time", nice(attempt))
		} else {
			fmt.Fprintf(&b, ", for at most %s", nice(attempt))
		}
		if e.Has("hedge") {
			b.WriteString(" each time")
		}
	}
	if total > 0 {
		fmt.Fprintf(&b, ", within %s in all", nice(total))
	}
	if open := e.Dur("timeout.open"); open > 0 {
		fmt.Fprintf(&b, ", which must return within %s", nice(open))
	}
	b.WriteString(guardedBy(m, e))
	if e.Has("rateLimit") {
		b.WriteString(", no more than " + rateWords(m, e))
	}
	if e.Has("bulkhead") {
		fmt.Fprintf(&b, ", no more than %d at a time", e.Int("bulkhead.maxConcurrent"))
	}
	switch e.Str("adaptive.mode") {
	case "throttle":
		b.WriteString(", less often while the peer refuses")
	case "concurrency":
		b.WriteString(", as many at a time as its latency allows")
	}
	b.WriteString(".")
	if e.Str("circuitBreaker.mode") == "forcedOpen" {
		b.WriteString(" Its breaker is forced open, and rejects every call.")
	}
	switch {
	case m.Injects != nil:
		b.WriteString(" Builds with the tag resilience_chaos have " + m.Injects.Name() + " answer some attempts in its place.")
	case e.Has("chaos"):
		b.WriteString(" Builds with the tag resilience_chaos disturb some attempts.")
	}
	b.WriteString(counted(e))
	switch {
	case m.Abandon && lint.WorstCase(e).Bounded:
		b.WriteString(" One that is late is not waited for.")
	case m.Abandon:
		b.WriteString(" It is not waited for when the caller has left.")
	}
	if m.Repeats != nil && (m.Loop || m.Hedge) {
		fmt.Fprintf(&b, " Unless %s, it calls it once.", m.Repeats.Text)
	}
	return b.String() + brought(m) + winds(m, e) + budgeted(e) + carried(m) + keeps(e) + records(m, e) + answered(m, e) + letterSentence(m, e) + ordered(e)
}

// brought says where the context of a call is.
func brought(m *templates.Method) string {
	if m.Request == "" {
		return ""
	}
	return " The caller's context is that of " + m.Request + "."
}

// ordered says how the parts nest, where there are two.
func ordered(e *policy.Effective) string {
	parts := e.Nesting()
	if len(parts) < 2 {
		return ""
	}
	return " Nesting, outermost first: " + strings.Join(parts, ", ") + "."
}

// keeps says what is kept of results.
func keeps(e *policy.Effective) string {
	if !e.Has("cache") {
		return ""
	}
	text := " Results are kept for " + nice(e.Dur("cache.ttl")) + " by " + e.Str("cache.key")
	if stale := e.Dur("cache.staleOnError"); stale > 0 {
		text += ", " + nice(stale) + " more where none can be had"
	}
	if negative := e.Dur("cache.negativeTTL"); negative > 0 {
		text += ", errors for " + nice(negative)
	}
	return text + "."
}

// records says what is kept of results durably.
func records(m *templates.Method, e *policy.Effective) string {
	if !e.Has("checkpoint") {
		return ""
	}
	text := " What succeeded is recorded " + span(e) + "by " + e.Str("checkpoint.key") + ", and answers later calls"
	if x := m.Checkpoint; x != nil && len(x.Unseen) > 0 {
		return text + ", whatever their " + enumerate(x.Unseen) + "."
	}
	return text + "."
}

// span says how long a checkpoint answers.
func span(e *policy.Effective) string {
	if e.Dur("checkpoint.ttl") == 0 {
		return ""
	}
	return "for " + nice(e.Dur("checkpoint.ttl")) + " "
}

// winds says which arguments are wound back.
func winds(m *templates.Method, e *policy.Effective) string {
	var names []string
	for _, i := range m.Rewound {
		names = append(names, m.Params[i].Name)
	}
	switch {
	case len(names) == 0 || e.Int("retry.maxAttempts") < 2:
		return ""
	case len(names) == 1:
		return " Each further attempt finds " + names[0] + " where it stood."
	}
	return " Each further attempt finds " + enumerate(names) + " where they stood."
}

// counted says what the breaker is to the health of the service.
func counted(e *policy.Effective) string {
	switch {
	case !e.Bool("health.register"):
		return ""
	case failsHealth(e):
		return " The service is not ready while its breaker is open."
	}
	return " Its breaker shows in the health of the service."
}

// failsHealth reports whether an open breaker makes the service unready. One
// that rejects nothing is no reason to.
func failsHealth(e *policy.Effective) bool {
	mode := e.Str("circuitBreaker.mode")
	return e.Str("health.failOn") == "open" && (mode == "enforce" || mode == "forcedOpen")
}

// carried says what key the attempts of a call carry.
func carried(m *templates.Method) string {
	switch x := m.Idempotency; {
	case x == nil:
		return ""
	case x.Key == nil:
		return " A call carries an idempotency key."
	default:
		return " A call carries the idempotency key " + x.Key.Text + "."
	}
}

// budgeted says how many calls may be repeated.
func budgeted(e *policy.Effective) string {
	if !e.Budgeted() {
		return ""
	}
	return fmt.Sprintf(" No more than %s of the calls in flight are repeated, or %d if that is more.", share(e), e.Int("retry.budget.minConcurrency"))
}

// share is the ratio of the budget in percent.
func share(e *policy.Effective) string {
	return strconv.FormatFloat(100*e.Float("retry.budget.ratio"), 'g', 4, 64) + "%"
}

// hedged says when other attempts begin.
func hedged(e *policy.Effective) string {
	n, when := e.Int("hedge.maxHedges"), patience(e)
	switch {
	case when == "":
		return fmt.Sprintf(", %d times at once", n+1)
	case n == 1:
		return ", and once more if it fails or has not answered " + when
	}
	return fmt.Sprintf(", and up to %d more times, whenever one fails or has not answered %s", n, when)
}

// patience is when the next hedge begins, "" if at once.
func patience(e *policy.Effective) string {
	delay, ok := e.Get("hedge.delay")
	switch {
	case !ok || delay.None:
		return "after as long as " + strconv.FormatFloat(e.Float("hedge.percentile"), 'g', 4, 64) + "% take"
	case e.Dur("hedge.delay") == 0:
		return ""
	}
	return "after " + nice(e.Dur("hedge.delay"))
}

// hedgeWords is patience in a few words.
func hedgeWords(e *policy.Effective) string {
	n, when := e.Int("hedge.maxHedges"), "after "+nice(e.Dur("hedge.delay"))
	if delay, ok := e.Get("hedge.delay"); !ok || delay.None {
		when = "at p" + strconv.FormatFloat(e.Float("hedge.percentile"), 'g', 4, 64)
	}
	switch {
	case patience(e) == "":
		return fmt.Sprintf("%d attempts at once", n+1)
	case n == 1:
		return "hedged " + when
	}
	return fmt.Sprintf("%d hedges, each %s", n, when)
}

// guardedBy says what a breaker does to calls.
func guardedBy(m *templates.Method, e *policy.Effective) string {
	if !e.Has("circuitBreaker") {
		return ""
	}
	breaker := "breaker"
	if m.Key != nil {
		breaker += " of " + m.Key.Text
	}
	switch e.Str("circuitBreaker.mode") {
	case "enforce":
		return ", while the " + breaker + " lets it"
	case "shadow":
		return ", watched by the " + breaker + ", which rejects nothing"
	}
	return ""
}

// answered says who answers for what.
func answered(m *templates.Method, e *policy.Effective) string {
	fails := " If that fails"
	if on := e.List("fallback.applyOn"); !on.Any && len(on.Names) > 0 {
		fails += " with " + either(on.Names)
	}
	if skip := e.List("fallback.skipOn"); len(skip.Names) > 0 {
		fails += ", and not with " + either(skip.Names)
	}
	switch {
	case m.Fallback.Method:
		return fails + ", fallback answers."
	case m.Fallback.Func != nil:
		return fails + ", " + m.Fallback.Func.Name() + " answers."
	case m.Fallback.Secondary && m.Repeats != nil:
		return fails + ", secondary answers; for what may have been done, only if " + m.Repeats.Text + "."
	case m.Fallback.Secondary:
		return fails + ", secondary answers."
	case m.Fallback.Zero:
		return fails + ", it returns zero values and no error."
	}
	return ""
}

// either lists names as alternatives.
func either(names []policy.Name) string {
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = n.Text
	}
	if n := len(words) - 1; n > 0 {
		return strings.Join(words[:n], ", ") + " or " + words[n]
	}
	return words[0]
}

// nice prints 1m0s as 1m.
func nice(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// summary has one line for each method: its policies and the worst case.
func summary(w *templates.Wrapper, effective []*policy.Effective, promoted []string) []string {
	width := 0
	for _, m := range w.Methods {
		width = max(width, len([]rune(m.Name)))
	}
	for _, name := range promoted {
		width = max(width, len([]rune(name)))
	}
	var lines []string
	for i, m := range w.Methods {
		text := describe(m, effective[i])
		for _, d := range effective[i].Dropped() {
			text += "; without " + d.Part + ": " + d.Why
		}
		lines = append(lines, fmt.Sprintf("%-*s  %s", width, m.Name, text))
	}
	for _, name := range promoted {
		lines = append(lines, fmt.Sprintf("%-*s  promoted, no policy", width, name))
	}
	return lines
}

func describe(m *templates.Method, e *policy.Effective) string {
	switch {
	case e.Closer:
		return "no policy: it frees a resource"
	case m.Policy == nil && m.Idempotency != nil:
		return keyWords(m) + ", no other policy"
	case m.Policy == nil:
		return "no policy"
	}
	var parts []string
	attempt, total := e.Dur("timeout.attempt"), e.Dur("timeout.total")
	switch {
	case e.Has("retry") && attempt > 0:
		parts = append(parts, attempts(e)+" of "+nice(attempt)+each(e))
	case e.Has("retry"):
		parts = append(parts, attempts(e))
	case e.Has("hedge") && attempt > 0:
		parts = append(parts, hedgeWords(e), "timeout "+nice(attempt)+" each")
	case e.Has("hedge"):
		parts = append(parts, hedgeWords(e))
	case attempt > 0:
		parts = append(parts, "timeout "+nice(attempt))
	}
	if m.Repeats != nil && (m.Loop || m.Hedge) {
		parts[0] += " if " + m.Repeats.Text
	}
	if m.Idempotency != nil {
		parts = append(parts, keyWords(m))
	}
	if total > 0 {
		parts = append(parts, nice(total)+" in all")
	}
	if open := e.Dur("timeout.open"); open > 0 {
		parts = append(parts, "opened in "+nice(open))
	}
	if e.Budgeted() {
		parts = append(parts, "budget "+share(e))
	}
	if m.Abandon {
		parts = append(parts, "left behind when late")
	}
	if e.Has("circuitBreaker") {
		parts = append(parts, breakerWords(m, e))
	}
	if e.Has("rateLimit") {
		parts = append(parts, rateWords(m, e))
	}
	if e.Has("bulkhead") {
		parts = append(parts, fmt.Sprintf("%d at a time", e.Int("bulkhead.maxConcurrent")))
	}
	if m.Opens && e.Dur("timeout.open") == 0 {
		parts = append(parts, "guards the opening")
	}
	if e.Has("chaos") {
		parts = append(parts, "chaos in builds with the tag resilience_chaos")
	}
	if mode := e.Str("adaptive.mode"); mode != "" {
		parts = append(parts, "adaptive "+mode)
	}
	if e.Has("cache") {
		parts = append(parts, "kept "+nice(e.Dur("cache.ttl"))+" by "+e.Str("cache.key"))
	}
	if e.Has("checkpoint") {
		parts = append(parts, "recorded "+span(e)+"by "+e.Str("checkpoint.key"))
	}
	if e.Has("fallback") {
		parts = append(parts, "fallback")
	}
	if m.Letters != nil {
		parts = append(parts, letterWords(m))
	}
	switch {
	case !e.Bool("health.register"):
	case failsHealth(e):
		parts = append(parts, "not ready while it is open")
	default:
		parts = append(parts, "in health")
	}
	return strings.Join(parts, ", ") + "; at worst " + worst(lint.WorstCase(e))
}

func keyWords(m *templates.Method) string {
	if m.Idempotency.Key == nil {
		return "an idempotency key"
	}
	return "idempotency key " + m.Idempotency.Key.Text
}

func attempts(e *policy.Effective) string {
	if n := e.Int("retry.maxAttempts"); n > 1 {
		return fmt.Sprintf("%d attempts", n)
	}
	return "1 attempt"
}

func each(e *policy.Effective) string {
	if e.Int("retry.maxAttempts") > 1 {
		return " each"
	}
	return ""
}

func breakerWords(m *templates.Method, e *policy.Effective) string {
	text := "breaker"
	if m.Key != nil {
		text = "a breaker for each " + m.Key.Text
	}
	switch e.Str("circuitBreaker.mode") {
	case "shadow":
		return text + " in shadow"
	case "disabled":
		return text + ", disabled"
	case "forcedOpen":
		return text + ", forced open"
	}
	return text
}

func worst(w lint.Worst) string {
	switch {
	case !w.Bounded:
		return "unbounded: no timeout"
	case w.RetryAfter > 0:
		return nice(w.Limit) + ", with Retry-After " + nice(w.RetryAfter)
	}
	return nice(w.Limit)
}

// rateWords says how many may pass in what time.
func rateWords(m *templates.Method, e *policy.Effective) string {
	text := fmt.Sprintf("%d in %s", e.Int("rateLimit.limit"), nice(e.Dur("rateLimit.period")))
	if m.LimitKey != nil {
		text += " for each " + m.LimitKey.Text
	}
	if m.Cost != nil {
		text += " at a cost of " + m.Cost.Text
	}
	if e.Has("retry") && e.Str("rateLimit.scope") == "call" {
		text += " without retries"
	}
	return text
}
