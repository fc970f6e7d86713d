package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// sheet prints facts under headings. What it is given may come from anywhere.
type sheet struct {
	w     io.Writer
	color bool
}

// fact prints a line of parts that are not empty.
func (s *sheet) fact(name string, parts ...string) {
	var said []string
	for _, p := range parts {
		if p != "" {
			said = append(said, clean(p))
		}
	}
	if len(said) > 0 {
		fmt.Fprintf(s.w, "%s%s\n", pad(name, 11), strings.Join(said, "  "))
	}
}

func (s *sheet) heading(text string) { fmt.Fprintln(s.w, paint(s.color, bold, text)) }

func (s *sheet) line(indent int, format string, args ...any) {
	fmt.Fprintf(s.w, "%s%s\n", strings.Repeat("  ", indent), clean(fmt.Sprintf(format, args...)))
}

// letter prints l whole.
func (o *output) letter(l resilience.Letter, another bool) error {
	var b bytes.Buffer
	s := &sheet{&b, o.env.colorOut}
	if another {
		fmt.Fprintln(&b)
	}
	s.facts(l)
	s.arguments(l)
	s.failure(l)
	s.history(l)
	_, err := o.env.stdout.Write(b.Bytes())
	return err
}

func (s *sheet) facts(l resilience.Letter) {
	s.fact("letter", l.ID, string(l.State))
	s.fact("method", l.Call.Interface+"."+l.Call.Method+l.Call.Instance)
	if l.Run != nil {
		s.fact("run", l.Run.Workflow, l.Run.ID, labelled("message", l.Run.Message))
	}
	s.fact("queue", l.Queue)
	s.fact("reason", string(l.Reason), howMany(l.AttemptCount, "attempt"))
	s.fact("died", when(l.DeadAt), labelled("began", when(l.First)), labelled("expires", whenSet(l.ExpiresAt)))
	s.fact("pattern", l.Group)
	s.fact("policy", l.Policy.Name, l.Policy.File, labelled("hash", l.Policy.Hash))
	s.fact("signature", l.Call.Sig)
	s.fact("keys", labelled("idempotency", l.Call.IdemKey), labelled("order", l.Call.OrderKey), labelled("arguments", l.Call.ArgsHash))
	s.fact("trace", l.Trace.Parent, l.Trace.State)
	s.fact("origin", l.Origin.Service, l.Origin.Version, l.Origin.VCSRev, l.Origin.Host, labelled("pid", zeroless(l.Origin.PID)), l.Origin.Instance)
	for _, name := range slices.Sorted(maps.Keys(l.Ctx)) {
		s.fact("context", name+"="+l.Ctx[name])
	}
	s.fact("tags", l.Tags...)
	if l.Claim.Owner != "" {
		s.fact("claimed", "by "+l.Claim.Owner, labelled("job", l.Claim.JobID), labelled("at", whenSet(l.Claim.At)), labelled("until", whenSet(l.Claim.Until)))
	}
	s.fact("revision", fmt.Sprint(l.Rev))
}

// arguments prints those that a replay would use, as the last edit left them.
func (s *sheet) arguments(l resilience.Letter) {
	args, heading := l.Call.Args, "arguments"
	if n := len(l.Edits); n > 0 {
		args, heading = l.Edits[n-1].Args, fmt.Sprintf("arguments, after edit %d", l.Edits[n-1].Rev)
	}
	if len(args) > 0 {
		s.heading(heading)
	}
	for _, a := range args {
		s.line(1, "%s", strings.TrimSpace(a.Name+" "+a.Type))
		var text bytes.Buffer
		if json.Indent(&text, a.JSON, "    ", "  ") != nil {
			text.Reset()
			text.Write(a.JSON)
		}
		if text.Len() > 0 {
			fmt.Fprintf(s.w, "    %s\n", cleanLines(string(cleanJSON(text.Bytes()))))
		}
		if a.Sealed != nil {
			s.line(2, "sealed whole, %d bytes, key %s", len(a.Sealed), a.KeyID)
		}
		for _, r := range a.Redacted {
			s.line(2, "redacted %s (%s)", r.Pointer, r.Mode)
		}
	}
}

func (s *sheet) failure(l resilience.Letter) {
	if len(l.Errors) > 0 {
		s.heading("error")
	}
	for _, e := range l.Errors {
		s.line(1+min(e.Depth, 16), "%s", strings.Join(full(e.Type, labelled("code", e.Code), labelled("class", e.Class), e.Msg), "  "))
	}
	if len(l.Stack) > 0 {
		s.heading("stack")
	}
	for _, f := range l.Stack {
		s.line(1, "%s", strings.Join(full(f.Func, frameAt(f)), "  "))
	}
	if len(l.Attempts) > 0 {
		s.heading("attempts")
	}
	for _, a := range l.Attempts {
		s.line(1, "%s", strings.Join(full(fmt.Sprint(a.N), when(a.At), took(a.Dur), labelled("after", took(a.Delay)), labelled("rejected by", a.Rejected), labelled("breaker", a.Breaker), a.ErrFP), "  "))
	}
	for _, e := range l.Elided {
		s.line(1, "and %d more from %s to %s  %s", e.Count, when(e.First), when(e.Last), e.ErrFP)
	}
}

func (s *sheet) history(l resilience.Letter) {
	if len(l.Replays) > 0 {
		s.heading("replays")
	}
	for _, r := range l.Replays {
		s.line(1, "%s", strings.Join(full(when(r.At), r.Outcome, took(r.Dur), r.Mode, labelled("by", r.By), labelled("job", r.JobID), labelled("edit", zeroless(r.EditRev)), r.ErrFP), "  "))
	}
	if len(l.Edits) > 0 {
		s.heading("edits")
	}
	for _, e := range l.Edits {
		s.line(1, "%s", strings.Join(full(fmt.Sprint(e.Rev), when(e.At), labelled("by", e.By), e.Reason, string(e.Patch)), "  "))
	}
	if len(l.Notes) > 0 {
		s.heading("notes")
	}
	for _, n := range l.Notes {
		s.line(1, "%s", strings.Join(full(when(n.At), labelled("by", n.By), n.Text, labelled("tags", strings.Join(n.Tags, " "))), "  "))
	}
}

// full returns the parts that are not empty.
func full(parts ...string) []string {
	var list []string
	for _, p := range parts {
		if p != "" {
			list = append(list, p)
		}
	}
	return list
}

func labelled(label, text string) string {
	if text == "" {
		return ""
	}
	return label + " " + text
}

func whenSet(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return when(t)
}

func zeroless(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func took(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.Round(time.Microsecond).String()
}

func frameAt(f resilience.Frame) string {
	if f.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", f.File, f.Line)
}
