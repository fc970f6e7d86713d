package main

import (
	"bytes"
	"fmt"
	"time"

	"github.com/resilgen/resilgen/runtime/workflow"
)

// run prints d: what it is, where it stands, and what was done as a tree.
func (o *output) run(d *workflow.RunDetail, now time.Time) error {
	var b bytes.Buffer
	s := &sheet{&b, o.env.colorOut}
	s.runFacts(d)
	s.stand(d, now)
	if len(d.Steps) > 0 || len(d.Pending) > 0 {
		s.heading("steps")
		c := runTree(d, now)
		b.Write(branches(c))
	}
	_, err := o.env.stdout.Write(b.Bytes())
	return err
}

func (s *sheet) runFacts(d *workflow.RunDetail) {
	s.fact("run", d.ID, string(d.Status))
	s.fact("workflow", d.Workflow, labelled("graph", d.Graph.Fingerprint))
	ended := ""
	if !d.Ended.IsZero() {
		ended = took(d.Ended.Sub(d.Started))
	}
	s.fact("started", when(d.Started), labelled("updated", whenSet(d.Updated)), labelled("ended", whenSet(d.Ended)), labelled("after", ended))
	counted, failures, cost := howMany(d.RunSummary.Steps, "step"), "", ""
	if d.Failures > 0 {
		failures = fmt.Sprintf("%d failed", d.Failures)
	}
	if d.Cost != 0 {
		cost = fmt.Sprintf("cost %.6g", d.Cost)
	}
	s.fact("done", counted, failures, cost)
	s.fact("owner", d.Owner, labelled("resumed", resumed(d.Resumes)), labelled("version", fmt.Sprint(d.Version)))
	s.fact("input", clip(clean(string(d.Input)), maxPayload))
	s.fact("output", clip(clean(string(d.Output)), maxPayload))
	s.fact("error", d.Err)
}

// maxPayload is how many columns of a value are shown; --json has all of it.
const maxPayload = 400

func resumed(n int) string {
	if n == 0 {
		return ""
	}
	return howMany(n, "time")
}

// stand says what a run that has not ended waits for.
func (s *sheet) stand(d *workflow.RunDetail, now time.Time) {
	if d.UnreadForgotten > 0 {
		s.fact("unread", fmt.Sprintf("%d more, forgotten", d.UnreadForgotten))
	}
	for _, u := range d.Unread {
		s.fact("unread", clip(clean(string(u.Body)), maxPayload), u.Why)
	}
	if d.Status.Ended() {
		s.fact("letters", d.Letters...)
		return
	}
	if d.Refused != nil {
		s.refusal(d)
	} else if d.Waiting != d.Err {
		s.fact("waits for", d.Waiting)
	}
	for _, j := range d.Joins {
		s.fact("join", append([]string{j.Node}, joinNotes(j, now)...)...)
	}
	for _, p := range d.Pending {
		if p.Waiting != "" || p.Due.After(now) {
			s.fact("pending", append([]string{p.To}, pendingNotes(d, p, now)...)...)
		}
	}
	if len(d.Letters) > 0 {
		s.fact("letters", append(d.Letters[:len(d.Letters):len(d.Letters)], "resilgen dlq show says why")...)
	}
}

// refusal says why a run does not go on in the present graph, and what helps.
func (s *sheet) refusal(d *workflow.RunDetail) {
	s.fact("refused", "in graph "+d.Refused.Fingerprint, labelled("tried", when(d.Refused.At)))
	for _, why := range d.Refused.Against {
		s.fact("against it", why)
	}
	for _, change := range d.Refused.Changes {
		s.fact("changed", change)
	}
	s.fact("what helps", fmt.Sprintf("workflow.Migrate(rt, %q, %q, …), or the graph as it was", d.Workflow, d.Graph.Fingerprint))
}
