package generator

import (
	"slices"

	"github.com/resilgen/resilgen/generator/policy"
)

// flowBudget bounds how many edges are looked at while the ways of a graph are
// followed. A graph has as many ways as its choices multiply to.
const flowBudget = 5_000_000

// many stands for it and for every greater number of invocations: in a cycle there
// is no end of them.
const many = 8

// course is what is known of a node on one way through the graph, on which every
// node that picks its successors picks one of them.
type course struct {
	in     []inflow // for a join one for each node that it waits for
	pick   int      // index of Next
	calls  int      // invocations, up to many
	queued bool
}

// inflow is an edge to a node. It has no from if it is missing.
type inflow struct {
	from *node
	at   int // index of from.Next
}

// brings is how many messages come.
func (e inflow) brings() int {
	if e.from == nil || e.from.routes && e.from.way.pick != e.at {
		return 0
	}
	return e.from.way.calls
}

// flows follows the ways through the graph, and reports joins that wait for what
// does not come, and ends of several branches.
func (g *graph) flows() {
	if g.named[g.in.Entry.Text] == nil {
		return
	}
	g.connect()
	joins, ends := map[*node]bool{}, false
	for left := flowBudget; left > 0; {
		left -= g.follow()
		g.starved(joins)
		ends = ends || g.twoEnds()
		if !g.advance() {
			return
		}
	}
}

// connect finds the edges to each node.
func (g *graph) connect() {
	for _, n := range g.nodes {
		n.way = course{in: make([]inflow, len(n.WaitFor))}
	}
	for _, n := range g.nodes {
		for at, to := range n.Next {
			target := g.named[to.Text]
			switch {
			case target == nil:
			case target.WaitFor == nil:
				target.way.in = append(target.way.in, inflow{n, at})
			default:
				if i := slices.IndexFunc(target.WaitFor, func(w policy.Name) bool { return w.Text == n.Name.Text }); i >= 0 {
					target.way.in[i] = inflow{n, at}
				}
			}
		}
	}
}

// advance makes the next choices, and reports false when all were made.
func (g *graph) advance() bool {
	for _, n := range g.nodes {
		if !n.routes {
			continue
		}
		if n.way.pick++; n.way.pick < len(n.Next) {
			return true
		}
		n.way.pick = 0
	}
	return false
}

// follow counts how often each node is called, and returns how many edges it looked
// at.
func (g *graph) follow() (work int) {
	for _, n := range g.nodes {
		n.way.calls = 0
	}
	entry := g.named[g.in.Entry.Text]
	todo := []*node{entry}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		n.way.queued = false
		work += 1 + len(n.way.in) + len(n.Next)
		calls := n.invocations(n == entry)
		if calls == n.way.calls {
			continue
		}
		n.way.calls = calls
		for _, to := range n.Next {
			if next := g.named[to.Text]; next != nil && !next.way.queued {
				next.way.queued = true
				todo = append(todo, next)
			}
		}
	}
	return work + len(g.nodes)
}

// invocations is how often a node is called: for each message, or for each set of
// those that it waits for.
func (n *node) invocations(entry bool) int {
	if n.WaitFor != nil {
		least, most := n.arrivals()
		if n.MayMiss() {
			return most
		}
		return least
	}
	sum := 0
	if entry {
		sum = 1
	}
	for _, e := range n.way.in {
		sum += e.brings()
	}
	return min(sum, many)
}

// arrivals are the fewest and the most messages that come from one of the nodes
// that a join waits for.
func (n *node) arrivals() (least, most int) {
	least = many
	for _, e := range n.way.in {
		least, most = min(least, e.brings()), max(most, e.brings())
	}
	return least, most
}

// starved reports joins that get something, and not from everyone.
func (g *graph) starved(said map[*node]bool) {
	for _, n := range g.nodes {
		if n.WaitFor == nil || n.MayMiss() || said[n] || !n.connected() {
			continue
		}
		least, most := n.arrivals()
		if least == most || g.r.full() {
			continue
		}
		said[n] = true
		more, rest := n.split(least)
		if least == 0 {
			g.fail(n.WaitPos, waiting, n.Name.Text, "waitFor: %s may get %s and not %s%s, and would wait for ever: write waitFor: {any: […]}, or {all: […], timeout: 1h}", g.called(n), enumerate(more), enumerate(rest), g.because())
			continue
		}
		g.fail(n.WaitPos, waiting, n.Name.Text, "waitFor: %s may get %s more often than %s%s, and the rest would wait for ever: let %[2]s come once for each, or write waitFor: {any: […]}", g.called(n), enumerate(more), enumerate(rest), g.because())
	}
}

// connected reports whether what a join waits for is followed by it at all; if not,
// that was said.
func (n *node) connected() bool {
	return !slices.ContainsFunc(n.way.in, func(e inflow) bool { return e.from == nil })
}

// split parts what a join waits for into what comes more often and what does not.
func (n *node) split(least int) (more, rest []string) {
	for i, w := range n.WaitFor {
		if n.way.in[i].brings() > least {
			more = append(more, w.Text)
		} else {
			rest = append(rest, w.Text)
		}
	}
	return more, rest
}

// because says which routes lead to what is the matter.
func (g *graph) because() string {
	var list []string
	for _, n := range g.nodes {
		if n.routes && len(n.Next) > 1 && n.way.calls > 0 {
			list = append(list, n.Name.Text+" picks "+n.Next[n.way.pick].Text)
		}
	}
	switch {
	case len(list) == 0:
		return ""
	case len(list) > 4:
		list = append(list[:4], "others as may be")
	}
	return ", where " + enumerate(list)
}

// twoEnds reports that a run has several outputs.
func (g *graph) twoEnds() bool {
	if g.out.OutputAll {
		return false
	}
	var ends []string
	var last *node
	sum := 0
	for _, n := range g.nodes {
		if n.way.calls > 0 && n.goesTo(policy.End) && (!n.routes || n.Next[n.way.pick].Text == policy.End) {
			ends, last, sum = append(ends, g.called(n)), n, sum+n.way.calls
		}
	}
	if sum < 2 {
		return false
	}
	what := "the branches of " + enumerate(ends) + " all end"
	if len(ends) == 1 {
		what = g.called(last) + " may end the run more than once"
	}
	g.fail(last.NextPos, several, last.Name.Text, "next: %s%s, and a run has one output: join them, or write output: all", what, g.because())
	return true
}
