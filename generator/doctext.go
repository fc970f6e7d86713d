package generator

import (
	"fmt"
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
	if e.Has("retry") {
		fmt.Fprintf(&b, ", up to %s", times(e.Int("retry.maxAttempts")))
	}
	if attempt > 0 {
		if e.Has("retry") {
			fmt.Fprintf(&b, " and for %s each time", nice(attempt))
		} else {
			fmt.Fprintf(&b, ", for at most %s", nice(attempt))
		}
	}
	if total > 0 {
		fmt.Fprintf(&b, ", within %s in all", nice(total))
	}
	if open := e.Dur("timeout.open"); open > 0 {
		fmt.Fprintf(&b, ", which must return within %s", nice(open))
	}
	switch {
	case m.Key != nil:
		fmt.Fprintf(&b, ", while the breaker of %s lets it", m.Key.Text)
	case e.Has("circuitBreaker"):
		b.WriteString(", while the breaker lets it")
	}
	if e.Has("bulkhead") {
		fmt.Fprintf(&b, ", no more than %d at a time", e.Int("bulkhead.maxConcurrent"))
	}
	b.WriteString(".")
	if m.Abandon {
		b.WriteString(" One that is late is not waited for.")
	}
	switch {
	case m.Fallback.Method:
		b.WriteString(" If that fails, fallback answers.")
	case m.Fallback.Func != nil:
		b.WriteString(" If that fails, " + m.Fallback.Func.Name() + " answers.")
	case m.Fallback.Secondary:
		b.WriteString(" If that fails, secondary answers.")
	case m.Fallback.Zero:
		b.WriteString(" If that fails, it returns zero values and no error.")
	}
	return b.String()
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
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
	if m.Policy == nil {
		return "no policy"
	}
	var parts []string
	attempt, total := e.Dur("timeout.attempt"), e.Dur("timeout.total")
	switch {
	case e.Has("retry") && attempt > 0:
		parts = append(parts, fmt.Sprintf("%d attempts of %s each", e.Int("retry.maxAttempts"), nice(attempt)))
	case e.Has("retry"):
		parts = append(parts, fmt.Sprintf("%d attempts", e.Int("retry.maxAttempts")))
	case attempt > 0:
		parts = append(parts, "timeout "+nice(attempt))
	}
	if total > 0 {
		parts = append(parts, nice(total)+" in all")
	}
	if open := e.Dur("timeout.open"); open > 0 {
		parts = append(parts, "opened in "+nice(open))
	}
	switch {
	case m.Key != nil:
		parts = append(parts, "a breaker for each "+m.Key.Text)
	case e.Has("circuitBreaker"):
		parts = append(parts, "breaker")
	}
	if e.Has("bulkhead") {
		parts = append(parts, fmt.Sprintf("%d at a time", e.Int("bulkhead.maxConcurrent")))
	}
	if e.Has("fallback") {
		parts = append(parts, "fallback")
	}
	return strings.Join(parts, ", ") + "; at worst " + worst(lint.WorstCase(e))
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
