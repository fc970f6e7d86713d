package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Show returns all that is known of a run.
func (rs *Runs) Show(ctx context.Context, workflow, id string) (RunDetail, error) {
	l, _, err := rs.open(ctx, workflow, id)
	if errors.Is(err, ErrRunUnknown) {
		q, err := rs.inQueue(ctx, workflow, id, err)
		if err != nil {
			return RunDetail{}, err
		}
		return q.detail(), nil
	}
	if err != nil {
		return RunDetail{}, err
	}
	stores, err := rs.rt.Stores()
	if err != nil {
		return RunDetail{}, err
	}
	s, summary, err := (&onlooker{stores: stores, now: rs.rt.Now()}).read(ctx, l)
	if err != nil {
		return RunDetail{}, fmt.Errorf("run %s: %w", id, err)
	}
	d := s.detail(summary)
	return d, d.history(ctx, l)
}

// detail is what the state of a run tells.
func (s *state) detail(v RunSummary) RunDetail {
	d := RunDetail{
		RunSummary: v, Graph: s.Graph.view(), Input: s.Input.raw, Output: s.output(), Err: s.Err,
		Steps: []RunStep{}, Letters: s.letterIDs(), Unread: s.Unread, UnreadForgotten: s.UnreadForgotten, Version: uint64(s.version), Epoch: uint64(s.Epoch),
	}
	if !s.Status.Ended() {
		d.Pending, d.Joins = s.pendingView(), s.joinView()
	}
	if v.Status == Refused {
		d.Refused = s.Refused
	}
	return d
}

// history reads the steps of a run, and how often it was taken.
func (d *RunDetail) history(ctx context.Context, l *runLog) error {
	for rec, err := range l.log.Scan(ctx, l.key, 0) {
		if err != nil {
			return err
		}
		r, err := decodeRecord(rec.Body)
		if err != nil {
			return fmt.Errorf("run %s: version %d: %w", d.ID, rec.Version, err)
		}
		switch {
		case uint64(rec.Version) > d.Version: // after the state was read
			return nil
		case r.Kind == kindOwn && !r.Own.Released:
			d.Resumes++
		case r.Kind == kindStep:
			d.Steps = append(d.Steps, r.Step.view(uint64(rec.Version)))
		case r.Kind == kindSnapshot && len(d.Steps) == 0: // what was before is dropped
			for i := range r.Snapshot.Steps {
				d.Steps = append(d.Steps, (&stepRecord{Step: r.Snapshot.Steps[i]}).view(0))
			}
		}
	}
	return nil
}

// view is a step as tools see it.
func (r *stepRecord) view(version uint64) RunStep {
	v := RunStep{
		Node: r.Node, Message: r.Message, Consumed: r.Consumed, Attempts: r.Attempts, Started: r.Started, Duration: r.Duration,
		Outcome: r.Outcome, Cost: r.Cost, Err: r.Err, Letter: r.Letter, Stages: r.Stages, Version: version,
	}
	for _, m := range r.Sends {
		v.Sent = append(v.Sent, SentMessage{m.ID, m.To, m.Due})
	}
	return v
}

// waitsFor says in words what a run waits for, "" if one of its messages can be
// taken now.
func (s *state) waitsFor(now time.Time) string {
	var words []string
	var due time.Time
	for _, m := range s.sortedPending() {
		switch waits := s.Graph.waits(m.To); {
		case waits != "":
			words = append(words, waits)
		case m.arrives().After(now):
			if due.IsZero() || m.arrives().Before(due) {
				due = m.arrives()
			}
		case s.isComplete(m.To, now):
			return ""
		}
	}
	if !due.IsZero() {
		words = append([]string{"until " + due.UTC().Format(time.RFC3339)}, words...)
	}
	if len(words) == 0 && len(s.Pending) > 0 {
		for _, j := range s.joinView() {
			words = append(words, j.Node+" for "+strings.Join(j.Missing, ", "))
		}
	}
	return strings.Join(slices.Compact(words), "; ")
}

// isComplete reports whether a node can take its messages now.
func (s *state) isComplete(node string, now time.Time) bool {
	n := s.Graph.node(node)
	if n == nil || len(n.WaitFor) == 0 {
		return true
	}
	came := s.arrived(node, now)
	missing := n.missing(came)
	return len(missing) == 0 || n.Any && len(missing) < len(n.WaitFor)
}

// arrived counts the messages that wait at a join, by sender.
func (s *state) arrived(node string, now time.Time) map[string]int {
	came := map[string]int{}
	for _, m := range s.Pending {
		if m.To == node && !m.arrives().After(now) {
			came[m.From]++
		}
	}
	return came
}

// missing are the nodes of which a join has nothing.
func (n *NodeInfo) missing(came map[string]int) (list []string) {
	for _, from := range n.WaitFor {
		if came[from] == 0 {
			list = append(list, from)
		}
	}
	return list
}

// waits says what messages to a node wait for that is no call: "signal approval".
func (g *GraphInfo) waits(node string) string {
	n := g.node(node)
	switch {
	case n == nil:
		return ""
	case n.Signal != "":
		return "signal " + n.Signal
	case n.Child != "":
		return "workflow " + n.Child[strings.LastIndexByte(n.Child, '.')+1:]
	}
	return ""
}

// sortedPending are the pending messages in the order of their queue.
func (s *state) sortedPending() []*message {
	return slices.SortedFunc(maps.Values(s.Pending), byArrival)
}

func (s *state) pendingView() (list []PendingMessage) {
	for _, m := range s.sortedPending() {
		p := PendingMessage{ID: m.ID, From: m.From, To: m.To, Waiting: s.Graph.waits(m.To)}
		if m.Due.After(m.At) {
			p.Due = m.Due
		}
		list = append(list, p)
	}
	for _, id := range slices.Sorted(maps.Keys(s.Again)) {
		list = append(list, PendingMessage{ID: id, To: s.Again[id].Node})
	}
	slices.SortStableFunc(list, func(a, b PendingMessage) int { return a.Due.Compare(b.Due) })
	return list
}

// joinView are the joins that have something and wait for more.
func (s *state) joinView() (list []WaitingJoin) {
	for i := range s.Graph.Nodes {
		n := &s.Graph.Nodes[i]
		if len(n.WaitFor) == 0 {
			continue
		}
		came := s.arrived(n.Name, s.Updated)
		if missing := n.missing(came); len(came) > 0 && len(missing) > 0 && !n.Any {
			list = append(list, WaitingJoin{Node: n.Name, Arrived: came, Missing: missing, Parked: s.Status == Parked})
		}
	}
	return list
}

// output is what the run came to as JSON: the last output, or a list of all where
// the graph has several.
func (s *state) output() json.RawMessage {
	if len(s.Outputs) == 0 {
		return nil
	}
	list := slices.SortedFunc(slices.Values(s.Outputs), byLine)
	if !s.Graph.OutputAll {
		return list[len(list)-1].Value.raw
	}
	values := make([]json.RawMessage, len(list))
	for i, m := range list {
		values[i] = m.Value.raw
		if values[i] == nil {
			values[i] = json.RawMessage("null")
		}
	}
	text, err := json.Marshal(values)
	if err != nil { // they were read as JSON
		return nil
	}
	return text
}

// view is a graph as tools see it.
func (g *GraphInfo) view() RunGraph {
	v := RunGraph{Name: g.Workflow[strings.LastIndexByte(g.Workflow, '.')+1:], Fingerprint: g.Fingerprint, Entry: g.Entry, Nodes: []RunNode{}}
	for i := range g.Nodes {
		v.Nodes = append(v.Nodes, g.Nodes[i].view())
	}
	return v
}

func (n *NodeInfo) view() RunNode {
	v := RunNode{Name: n.Name, Next: n.Next, Routes: n.Routes, WaitFor: n.WaitFor, Any: n.Any, Role: n.Role}
	switch {
	case n.Signal != "":
		v.Kind, v.Of = "signal", n.Signal
	case n.Child != "":
		v.Kind, v.Of = "workflow", n.Child
	}
	return v
}
