package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/workflow"
)

// runTree is a run as a chart of what was done for which message: what a step sent
// stands under it.
func runTree(d *workflow.RunDetail, now time.Time) *chart {
	t := &runSteps{chart: &chart{}, detail: d, now: now, taker: map[string]int{}, joins: map[string]int{}}
	for i := range d.Steps {
		t.step(&d.Steps[i])
	}
	for _, p := range d.Pending {
		t.pending(p)
	}
	for i := range d.Steps {
		t.stages(i)
		t.sent(i)
	}
	return t.chart
}

// runSteps makes the chart of a run. The vertex of a step has the index of the
// step.
type runSteps struct {
	*chart
	detail *workflow.RunDetail
	now    time.Time
	taker  map[string]int // vertex that took a message, or is to take it
	joins  map[string]int // vertex of a join that waits
}

// step adds one. A message that was a letter has several.
func (t *runSteps) step(s *workflow.RunStep) {
	v := t.add(vertex{name: s.Node, mark: stepMark(s), notes: stepNotes(s)})
	took := s.Consumed
	if len(took) == 0 {
		took = []string{s.Message}
	} else if len(took) > 1 {
		t.vertices[v].join = fmt.Sprint(len(took))
	}
	for _, id := range took {
		if before, ok := t.taker[id]; ok {
			t.arrows = append(t.arrows, arrow{from: before, to: v})
		} else {
			t.taker[id] = v
		}
	}
}

func stepMark(s *workflow.RunStep) mark {
	if s.Outcome == workflow.OutcomeFailed {
		return markFailed
	}
	return markDone
}

// stepNotes are what is to say of a step, in words.
func stepNotes(s *workflow.RunStep) []string {
	outcome, attempts, cost := s.Outcome, "", ""
	if outcome == workflow.OutcomeDone || outcome == workflow.OutcomeFailed {
		outcome = "" // the mark says it
	}
	if s.Attempts > 1 {
		attempts = fmt.Sprintf("%d attempts", s.Attempts)
	}
	if s.Cost != 0 {
		cost = fmt.Sprintf("cost %.6g", s.Cost)
	}
	return full(outcome, attempts, took(s.Duration), cost, whenSet(s.Started), labelled("letter", s.Letter), s.Err)
}

// pending adds what is to be done. Messages to one join that waits are one.
func (t *runSteps) pending(p workflow.PendingMessage) {
	if v, ok := t.joins[p.To]; ok {
		t.taker[p.ID] = v
		return
	}
	v := t.add(vertex{name: p.To, mark: pendingMark(t.detail, p, t.now), notes: pendingNotes(t.detail, p, t.now)})
	if _, waits := waitingJoin(t.detail, p.To); waits {
		t.joins[p.To] = v
	}
	if before, ok := t.taker[p.ID]; ok { // it is replayed
		t.arrows = append(t.arrows, arrow{from: before, to: v})
		return
	}
	t.taker[p.ID] = v
}

// stages puts those of a pipeline under step i.
func (t *runSteps) stages(i int) {
	for _, s := range t.detail.Steps[i].Stages {
		v := t.add(vertex{name: s.Stage, mark: stageMark(s), notes: stageNotes(s)})
		t.arrows = append(t.arrows, arrow{from: i, to: v})
	}
}

func stageMark(s workflow.RunStage) mark {
	switch {
	case s.Skipped:
		return markNone
	case s.Err != "":
		return markFailed
	}
	return markDone
}

// stageNotes are what is to say of a stage, in words.
func stageNotes(s workflow.RunStage) []string {
	if s.Skipped {
		return []string{"stage", "skipped"}
	}
	attempts, fallback, optional, breaker := "", "", "", ""
	if s.Attempts != 1 {
		attempts = howMany(s.Attempts, "attempt")
	}
	if s.FallbackUsed {
		fallback = "fallback"
	}
	if s.Optional {
		optional = "optional"
	}
	if s.Breaker != "" && s.Breaker != "closed" {
		breaker = "breaker " + s.Breaker
	}
	return full("stage", optional, fallback, attempts, took(s.Duration), breaker, s.Err)
}

// sent connects step i with what took its messages.
func (t *runSteps) sent(i int) {
	for _, m := range t.detail.Steps[i].Sent {
		to, taken := t.taker[m.ID]
		switch {
		case m.To == "end":
			to = t.add(vertex{name: "end", kind: kindEnd})
		case !taken:
			to = t.add(vertex{name: m.To, mark: markNone, notes: []string{untaken(t.detail.Status)}})
		}
		t.arrows = append(t.arrows, arrow{from: i, to: to})
	}
}

// untaken says why nothing took a message, and nothing will.
func untaken(run workflow.Status) string {
	switch run {
	case workflow.Failed, workflow.Cancelled, workflow.LimitExceeded:
		return "not done: the run ended"
	}
	return "dropped: it came too late"
}

func waitingJoin(d *workflow.RunDetail, node string) (workflow.WaitingJoin, bool) {
	i := slices.IndexFunc(d.Joins, func(j workflow.WaitingJoin) bool { return j.Node == node })
	if i < 0 {
		return workflow.WaitingJoin{}, false
	}
	return d.Joins[i], true
}

// pendingMark says whether something can be done with a message now.
func pendingMark(d *workflow.RunDetail, p workflow.PendingMessage, now time.Time) mark {
	_, join := waitingJoin(d, p.To)
	if join || p.Waiting != "" || p.Due.After(now) || d.Status != workflow.Running {
		return markWaiting
	}
	return markRunning
}

// pendingNotes say what a message waits for.
func pendingNotes(d *workflow.RunDetail, p workflow.PendingMessage, now time.Time) []string {
	if j, ok := waitingJoin(d, p.To); ok {
		return joinNotes(j, now)
	}
	return full(labelled("for", p.Waiting), dueText(p.Due, now))
}

func joinNotes(j workflow.WaitingJoin, now time.Time) []string {
	parked := ""
	if j.Parked {
		parked = "parked by letters"
	}
	return full(labelled("for", strings.Join(j.Missing, ", ")), parked, dueText(j.Due, now))
}

// dueText says when something is due, and how far away that is.
func dueText(at, now time.Time) string {
	switch {
	case at.IsZero():
		return ""
	case at.After(now):
		return fmt.Sprintf("due %s, in %s", when(at), at.Sub(now).Round(time.Second))
	}
	return "due since " + when(at)
}

// runGraph is the graph of a run with what ran when.
func runGraph(d *workflow.RunDetail, now time.Time) *chart {
	c := &chart{title: fmt.Sprintf("%s %s: %s", shortInterface(d.Workflow), d.ID, d.Status), notes: slices.Compact(full(d.Waiting, d.Err))}
	for _, n := range entryFirst(d.Graph) {
		c.add(graphVertex(d, n, now))
	}
	taken := takenArrows(d)
	for i, n := range entryFirst(d.Graph) {
		for _, to := range n.Next {
			c.connect(i, to, n.Routes, taken[workflow.Edge{From: n.Name, To: to}])
		}
	}
	return c
}

// entryFirst returns the nodes with the entry in front.
func entryFirst(g workflow.RunGraph) []workflow.RunNode {
	list := slices.Clone(g.Nodes)
	if i := slices.IndexFunc(list, func(n workflow.RunNode) bool { return n.Name == g.Entry }); i > 0 {
		entry := list[i]
		list = slices.Insert(slices.Delete(list, i, i+1), 0, entry)
	}
	return list
}

// takenArrows are the edges along which messages went.
func takenArrows(d *workflow.RunDetail) map[workflow.Edge]bool {
	taken := map[workflow.Edge]bool{}
	for _, s := range d.Steps {
		for _, m := range s.Sent {
			taken[workflow.Edge{From: s.Node, To: m.To}] = true
		}
	}
	return taken
}

// graphVertex is a node with what a run has made of it.
func graphVertex(d *workflow.RunDetail, n workflow.RunNode, now time.Time) vertex {
	v := vertex{name: n.Name, kind: vertexKinds[n.Kind], choice: n.Routes, mark: markNotYet}
	if n.Of != "" {
		v.notes = append(v.notes, n.Kind+" "+n.Of)
	}
	if len(n.WaitFor) > 0 {
		v.join = map[bool]string{false: "all", true: "any"}[n.Any]
	}
	v.visited(d, n.Name)
	for _, p := range d.Pending {
		if p.To == n.Name {
			v.mark = pendingMark(d, p, now)
			v.notes = append(v.notes, pendingNotes(d, p, now)...)
			break
		}
	}
	return v
}

var vertexKinds = map[string]vertexKind{"signal": kindSignal, "workflow": kindWhole, "pipeline": kindWhole}

// visited notes how often the node ran, when and for how long.
func (v *vertex) visited(d *workflow.RunDetail, node string) {
	var first, last time.Time
	var busy time.Duration
	runs, attempts, failures := 0, 0, 0
	for _, s := range d.Steps {
		if s.Node != node {
			continue
		}
		if end := s.Started.Add(s.Duration); end.After(last) {
			last = end
		}
		if runs++; runs == 1 || s.Started.Before(first) {
			first = s.Started
		}
		attempts, busy, v.mark = attempts+s.Attempts, busy+s.Duration, stepMark(&s)
		if v.mark == markFailed {
			failures++
		}
		v.letter = v.letter || s.Letter != ""
	}
	if runs > 0 {
		v.notes = append(v.notes, visits(runs, attempts, failures), busy.Round(time.Microsecond).String(), clock(first)+" – "+clock(last))
	}
}

// visits counts what became of a node.
func visits(runs, attempts, failures int) string {
	text := "1 time"
	if runs > 1 {
		text = fmt.Sprintf("%d times", runs)
	}
	if attempts > runs {
		text += fmt.Sprintf(", %d attempts", attempts)
	}
	if failures > 0 {
		text += fmt.Sprintf(", %d failed", failures)
	}
	return text
}

// clock is the time of a day.
func clock(t time.Time) string { return t.UTC().Format("15:04:05") }
