package generator

import (
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/policy"
)

// reachable reports nodes that no message reaches, and those from which no way
// leads to the end.
func (g *graph) reachable() {
	if g.named[g.in.Entry.Text] == nil {
		return
	}
	before := map[string][]string{}
	for _, n := range g.nodes {
		for _, to := range n.Next {
			before[to.Text] = append(before[to.Text], n.Name.Text)
		}
	}
	from := spread(g.in.Entry.Text, func(name string) []string {
		if n := g.named[name]; n != nil {
			return texts(n.Next)
		}
		return nil
	})
	back := spread(policy.End, func(name string) []string { return before[name] })
	for _, n := range g.nodes {
		switch {
		case g.r.full():
			return
		case !from[n.Name.Text]:
			g.fail(n.Name.Pos, wiring, n.Name.Text, "nothing leads here from the entry %s: add it to the next of a node, or take it out", g.in.Entry.Text)
		case !back[n.Name.Text] && n.NextPos.IsValid() && g.allKnown(n.Next):
			g.fail(n.NextPos, wiring, n.Name.Text, "no way leads from here to %s", policy.End)
		}
	}
}

func (g *graph) allKnown(list []policy.Name) bool {
	return !slices.ContainsFunc(list, func(to policy.Name) bool { return to.Text != policy.End && g.named[to.Text] == nil })
}

func texts(list []policy.Name) []string {
	var all []string
	for _, n := range list {
		all = append(all, n.Text)
	}
	return all
}

// spread returns what can be reached from start.
func spread(start string, next func(string) []string) map[string]bool {
	seen := map[string]bool{start: true}
	for todo := []string{start}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, to := range next(at) {
			if !seen[to] {
				seen[to] = true
				todo = append(todo, to)
			}
		}
	}
	return seen
}

// cycles refuses a graph that may go round for ever.
func (g *graph) cycles() {
	if _, limited := g.in.Given("workflows.limits.invocations"); limited {
		return
	}
	if circle, at := g.circle(); circle != nil {
		g.fail(at, endless, "", "the cycle %s may go on for ever: add limits: {invocations: 50}", strings.Join(circle, " → "))
	}
}

// circle returns the nodes of a cycle, the first again at the end, and the place of
// the edge that closes it; nil if there is none.
func (g *graph) circle() ([]string, policy.Pos) {
	const visiting, done = 1, 2
	state := map[*node]int{}
	var way []string
	var found []string
	var at policy.Pos
	var visit func(n *node)
	visit = func(n *node) {
		state[n] = visiting
		way = append(way, n.Name.Text)
		for _, to := range n.Next {
			next := g.named[to.Text]
			switch {
			case next == nil || found != nil:
			case state[next] == visiting:
				found, at = append(slices.Clone(way[slices.Index(way, to.Text):]), to.Text), to.Pos
			case state[next] == 0:
				visit(next)
			}
		}
		way = way[:len(way)-1]
		state[n] = done
	}
	for _, n := range g.nodes {
		if state[n] == 0 && found == nil {
			visit(n)
		}
	}
	return found, at
}

// flowBudget bounds how many steps the ways of a graph are followed. A graph has as
// many of them as its choices multiply to.
const flowBudget = 2_000_000

// course is one way in which the messages of a run may go: every node that picks its
// successors picks one of them.
type course struct {
	g      *graph
	picks  map[*node]int // index of Next
	counts map[*node]int // invocations: 0, 1, or 2 for several
}

// flows follows the ways through the graph, and reports joins that wait for what
// does not come, and ends of several branches.
func (g *graph) flows() {
	if g.named[g.in.Entry.Text] == nil {
		return
	}
	var choices []*node
	edges := 0
	for _, n := range g.nodes {
		edges += 1 + len(n.Next) + len(n.WaitFor)
		if n.routes && len(n.Next) > 1 {
			choices = append(choices, n)
		}
	}
	f := &course{g: g, picks: map[*node]int{}}
	joins, ends := map[*node]bool{}, false
	for left := flowBudget; left > 0; left -= edges {
		f.run()
		g.starved(f, joins)
		ends = ends || g.twoEnds(f)
		if !f.advance(choices) {
			return
		}
	}
}

// advance makes the next choices, and reports false when all were made.
func (f *course) advance(choices []*node) bool {
	for _, n := range choices {
		if f.picks[n]++; f.picks[n] < len(n.Next) {
			return true
		}
		f.picks[n] = 0
	}
	return false
}

// sends reports whether a message goes from a node to another one, or to the end,
// when the node was called.
func (f *course) sends(from *node, to string) bool {
	if from.routes && len(from.Next) > 0 {
		return from.Next[f.picks[from]].Text == to
	}
	return from.goesTo(to)
}

// run counts how often each node is called.
func (f *course) run() {
	f.counts = map[*node]int{}
	todo := []*node{f.g.named[f.g.in.Entry.Text]}
	sources := f.g.sources()
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		calls := f.calls(n, sources)
		if calls == f.counts[n] {
			continue
		}
		f.counts[n] = calls
		for _, to := range n.Next {
			if next := f.g.named[to.Text]; next != nil {
				todo = append(todo, next)
			}
		}
	}
}

// sources are the nodes from which each gets messages.
func (g *graph) sources() map[string][]*node {
	if g.from == nil {
		g.from = map[string][]*node{}
		for _, n := range g.nodes {
			for _, to := range n.Next {
				g.from[to.Text] = append(g.from[to.Text], n)
			}
		}
	}
	return g.from
}

// calls is how often a node is called: for each message, or for each set of those
// that it waits for.
func (f *course) calls(n *node, sources map[string][]*node) int {
	if n.WaitFor == nil {
		sum := 0
		if n.Name.Text == f.g.in.Entry.Text {
			sum = 1
		}
		for _, from := range sources[n.Name.Text] {
			if f.sends(from, n.Name.Text) {
				sum += f.counts[from]
			}
		}
		return min(sum, 2)
	}
	least, most := f.arrivals(n)
	if n.MayMiss() {
		return most
	}
	return least
}

// arrivals are the fewest and the most messages that come from one of the nodes
// that a join waits for.
func (f *course) arrivals(n *node) (least, most int) {
	least = 2
	for _, w := range n.WaitFor {
		count := 0
		if from := f.g.named[w.Text]; from != nil && f.sends(from, n.Name.Text) {
			count = f.counts[from]
		}
		least, most = min(least, count), max(most, count)
	}
	return least, most
}

// starved reports joins that get something, and not from everyone.
func (g *graph) starved(f *course, said map[*node]bool) {
	for _, n := range g.nodes {
		if n.WaitFor == nil || n.MayMiss() || said[n] || g.r.full() || !g.sound(n) {
			continue
		}
		least, most := f.arrivals(n)
		if least == most {
			continue
		}
		said[n] = true
		some, none := f.split(n, least)
		switch {
		case least == 0:
			g.fail(n.WaitPos, waiting, n.Name.Text, "waitFor: a run may bring %s and not %s%s, and would wait for ever: write waitFor: {any: […]}, or {all: […], timeout: 1h}", enumerate(some), enumerate(none), f.because())
		default:
			g.fail(n.WaitPos, waiting, n.Name.Text, "waitFor: a run may bring %s more often than %s%s, and the rest would wait for ever: let %[1]s come once for each, or write waitFor: {any: […]}", enumerate(some), enumerate(none), f.because())
		}
	}
}

// sound reports whether what a join waits for is followed by it at all; if not,
// that was said.
func (g *graph) sound(n *node) bool {
	return !slices.ContainsFunc(n.WaitFor, func(w policy.Name) bool {
		from := g.named[w.Text]
		return from == nil || !from.goesTo(n.Name.Text)
	})
}

// split parts what a join waits for into what comes more often and what does not.
func (f *course) split(n *node, least int) (more, rest []string) {
	for _, w := range n.WaitFor {
		from := f.g.named[w.Text]
		if f.sends(from, n.Name.Text) && f.counts[from] > least {
			more = append(more, w.Text)
		} else {
			rest = append(rest, w.Text)
		}
	}
	return more, rest
}

// because says which routes lead to what is the matter.
func (f *course) because() string {
	var list []string
	for _, n := range f.g.nodes {
		if n.routes && len(n.Next) > 1 && f.counts[n] > 0 {
			list = append(list, n.Name.Text+" picks "+n.Next[f.picks[n]].Text)
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
func (g *graph) twoEnds(f *course) bool {
	if g.out.OutputAll {
		return false
	}
	var list []*node
	sum := 0
	for _, n := range g.nodes {
		if f.sends(n, policy.End) && f.counts[n] > 0 {
			list, sum = append(list, n), sum+f.counts[n]
		}
	}
	if sum < 2 {
		return false
	}
	last := list[len(list)-1]
	var ends []string
	for _, n := range list {
		ends = append(ends, n.Name.Text)
	}
	what := "the branches of " + enumerate(ends) + " all end"
	if len(list) == 1 {
		what = last.Name.Text + " may end the run more than once"
	}
	g.fail(last.NextPos, several, last.Name.Text, "next: %s%s, and a run has one output: join them, or write output: all", what, f.because())
	return true
}
