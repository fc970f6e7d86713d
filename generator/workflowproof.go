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
			g.fail(n.Name.Pos, wiring, n.Name.Text, "nothing leads from the entry %s to %s: add it to the next of a node, or take it out", g.in.Entry.Text, g.called(n))
		case !back[n.Name.Text] && n.NextPos.IsValid() && g.allKnown(n.Next):
			g.fail(n.NextPos, wiring, n.Name.Text, "no way leads from %s to %s", g.called(n), policy.End)
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
		last := g.named[circle[len(circle)-2]]
		g.fail(at, endless, last.Name.Text, "next: the cycle %s, which %s closes, may go on for ever: add limits: {invocations: 50}", strings.Join(circle, " → "), g.called(last))
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
