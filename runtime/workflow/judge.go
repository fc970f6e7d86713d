package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// judgement is what becomes of a run whose graph has changed.
type judgement struct {
	e       *engine
	s       *state
	old     *GraphInfo
	against []string // what stands against going on
	changes []string // what is different, for people
	replace []*message
	drop    []string
	moves   *Moves
}

// judge decides whether the run that was loaded can go on in the graph of the engine,
// and returns the record that says how, nil if nothing has changed.
func (r *run) judge() (*migrateRecord, error) {
	if r.s.Graph.Fingerprint == r.e.g.Fingerprint {
		return nil, nil
	}
	j := &judgement{e: r.e, s: r.s, old: r.s.Graph, moves: movesOf(r.e.rt, r.e.g.storeName(), r.s.Graph.Fingerprint)}
	j.compare()
	for _, m := range slices.SortedFunc(maps.Values(r.s.Pending), byArrival) {
		j.message(m, true)
	}
	for _, id := range slices.Sorted(maps.Keys(r.s.Again)) {
		j.held(r.s.Again[id], true)
	}
	for _, list := range []map[string]*held{r.s.Letters, r.s.Discarded} {
		for _, id := range slices.Sorted(maps.Keys(list)) {
			j.held(list[id], false)
		}
	}
	j.joins()
	j.outputs()
	if len(j.against) > 0 {
		return nil, &GraphError{Workflow: r.e.g.Name, Run: r.id, Against: j.against, Changes: j.changes}
	}
	return &migrateRecord{Graph: r.e.shape, Replace: j.replace, Drop: j.drop, Rename: j.moves.Rename, Changes: j.changes}, nil
}

func (j *judgement) refuse(format string, args ...any) {
	if why := fmt.Sprintf(format, args...); !slices.Contains(j.against, why) {
		j.against = append(j.against, why)
	}
}

// compare lists what is different between the graphs.
func (j *judgement) compare() {
	say := func(format string, args ...any) { j.changes = append(j.changes, fmt.Sprintf(format, args...)) }
	for i := range j.old.Nodes {
		old := &j.old.Nodes[i]
		now := j.e.shape.node(old.Name)
		if now == nil {
			say("node %s is gone", old.Name)
			continue
		}
		for _, c := range []struct{ what, old, now string }{
			{"it takes", strings.Join(old.In, " "), strings.Join(now.In, " ")},
			{"it returns", old.Out, now.Out},
			{"its next are", strings.Join(old.Next, " "), strings.Join(now.Next, " ")},
			{"it waits for", strings.Join(old.WaitFor, " "), strings.Join(now.WaitFor, " ")},
		} {
			if c.old != c.now {
				say("node %s: %s %q, and before %q", old.Name, c.what, c.now, c.old)
			}
		}
	}
	for i := range j.e.shape.Nodes {
		if name := j.e.shape.Nodes[i].Name; j.old.node(name) == nil {
			say("node %s is new", name)
		}
	}
}

// held judges an invocation that failed once. Where it is to run again it has to fit.
func (j *judgement) held(h *held, must bool) {
	for _, m := range h.Messages {
		j.message(m, must)
	}
}

// message judges one that waits for its node: the node is there, and takes what the
// message carries, or what is made of it.
func (j *judgement) message(m *message, must bool) {
	name, moved := m.To, false
	if j.moves.drops(m.To) && must {
		j.drop = append(j.drop, m.ID)
		return
	}
	if to := j.moves.Rename[m.To]; to != "" {
		name, moved = to, true
	}
	now, old := j.e.nodes[name], j.old.node(m.To)
	if now == nil || old == nil {
		if must {
			j.refuse("message %s from %s waits for node %s, which is gone", m.ID, orInput(m.From), m.To)
		}
		return
	}
	from := m.From
	if to := j.moves.Rename[from]; to != "" {
		from, moved = to, true
	}
	if must && !j.sameJoin(old, now, m) {
		return
	}
	value, changed := j.value(m, old, now, from, must)
	if !moved && !changed {
		return
	}
	next := *m
	next.To, next.From, next.Value = name, from, value
	j.replace = append(j.replace, &next)
}

func orInput(from string) string {
	if from == "" {
		return "the input"
	}
	return from
}

// sameJoin reports whether a node with arrivals waits as it did.
func (j *judgement) sameJoin(old *NodeInfo, now *node, m *message) bool {
	if slices.Equal(j.renamed(old.WaitFor), now.WaitFor) && old.Any == now.Any {
		return true
	}
	j.refuse("message %s has come to node %s, which waited for %q and now waits for %q", m.ID, m.To, old.WaitFor, now.WaitFor)
	return false
}

// renamed returns the present names of nodes.
func (j *judgement) renamed(names []string) []string {
	list := slices.Clone(names)
	for i, name := range list {
		if to := j.moves.Rename[name]; to != "" {
			list[i] = to
		}
	}
	return list
}

// waited reports whether a join waited for the same nodes before.
func (j *judgement) waited(n *NodeInfo) bool {
	return slices.ContainsFunc(j.old.Nodes, func(old NodeInfo) bool {
		return j.renamed([]string{old.Name})[0] == n.Name && slices.Equal(j.renamed(old.WaitFor), n.WaitFor)
	})
}

// value returns what a message is to carry, and whether that is something else.
func (j *judgement) value(m *message, old *NodeInfo, now *node, from string, must bool) (Value, bool) {
	codec := now.takes(from)
	was := old.takes(m.From)
	if codec == nil {
		return m.Value, false
	}
	convert := j.moves.Convert[m.To]
	if convert == nil && was != codec.Shape {
		convert = j.e.rt.Upcaster(was)
	}
	if convert == nil {
		if was != codec.Shape && must {
			j.refuse("message %s carries %s for node %s, which now takes %s (%s): resilience.Upcast makes one of the other", m.ID, was, m.To, codec.Shape, codec.typed)
		}
		return m.Value, false
	}
	raw, err := convert(json.RawMessage(m.Value.raw))
	if err == nil {
		_, err = codec.take(Value{raw: raw})
	}
	if err != nil {
		if must {
			j.refuse("message %s for node %s: %v", m.ID, m.To, err)
		}
		return m.Value, false
	}
	return Value{raw: raw}, true
}

// takes returns the shape of what n takes from a sender.
func (n *NodeInfo) takes(from string) string {
	slot := max(slices.Index(n.WaitFor, from), 0)
	if slot >= len(n.In) {
		return ""
	}
	return n.In[slot]
}

// joins judges the joins that are new: of those that get something, each has to get
// all that it waits for.
func (j *judgement) joins() {
	reached := j.reached()
	for i := range j.e.shape.Nodes {
		n := &j.e.shape.Nodes[i]
		if len(n.WaitFor) == 0 || n.Any || j.e.nodes[n.Name].WaitTimeout > 0 || j.waited(n) {
			continue
		}
		var missing []string
		for _, from := range n.WaitFor {
			if !reached[from] {
				missing = append(missing, from)
			}
		}
		if len(missing) > 0 && len(missing) < len(n.WaitFor) {
			j.refuse("node %s now waits for %s, which is done already and will send it nothing", n.Name, strings.Join(missing, " and "))
		}
	}
}

// reached returns the nodes that may still run.
func (j *judgement) reached() map[string]bool {
	seen := map[string]bool{}
	var todo []string
	visit := func(name string) {
		if to := j.moves.Rename[name]; to != "" {
			name = to
		}
		if !seen[name] && !j.moves.drops(name) {
			seen[name] = true
			todo = append(todo, name)
		}
	}
	for _, m := range j.s.Pending {
		visit(m.To)
	}
	for _, list := range []map[string]*held{j.s.Again, j.s.Letters} {
		for _, h := range list {
			visit(h.Node)
		}
	}
	for len(todo) > 0 {
		n := j.e.nodes[todo[0]]
		todo = todo[1:]
		if n == nil {
			continue
		}
		for _, next := range n.Next {
			visit(next)
		}
	}
	return seen
}

// outputs judges what has come to the end already.
func (j *judgement) outputs() {
	if len(j.s.Outputs) == 0 || j.old.Output == j.e.g.Output.Shape {
		return
	}
	up := j.e.rt.Upcaster(j.old.Output)
	if up == nil {
		j.refuse("it has an output of shape %s, and the workflow now comes to %s (%s)", j.old.Output, j.e.g.Output.Shape, j.e.g.Output.typed)
		return
	}
	for _, m := range j.s.Outputs {
		raw, err := up(m.Value.raw)
		if err == nil {
			_, err = j.e.g.Output.take(Value{raw: raw})
		}
		if err != nil {
			j.refuse("its output %s: %v", m.ID, err)
			return
		}
		next := *m
		next.Value = Value{raw: raw}
		j.replace = append(j.replace, &next)
	}
}
