package generator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// graphOfNodes makes a graph whose nodes have no types. next lists the successors
// of each node, all of which it sends to, or one if routes says so; a node in joins
// waits for all that lead to it, or any of them.
func graphOfNodes(next map[string][]string, routes map[string]bool, joins, mayMiss map[string]bool) *graph {
	g := &graph{r: &resolver{file: &policy.File{}}, in: &policy.Workflow{Name: "R", Entry: policy.Name{Text: "n0"}}, out: &templates.Workflow{}, named: map[string]*node{}}
	for i := range len(next) {
		name := fmt.Sprintf("n%d", i)
		n := &node{Node: &policy.Node{Name: policy.Name{Text: name}}, out: &templates.Node{}, routes: routes[name]}
		for _, to := range next[name] {
			n.Next = append(n.Next, policy.Name{Text: to})
		}
		g.nodes, g.named[name] = append(g.nodes, n), n
	}
	for _, n := range g.nodes {
		for _, to := range n.Next {
			if joins[to.Text] {
				g.named[to.Text].WaitFor = append(g.named[to.Text].WaitFor, n.Name)
				g.named[to.Text].WaitAny = mayMiss[to.Text]
			}
		}
	}
	return g
}

// TestFlowsAgainstATokenGame compares the proof on random graphs without cycles with
// a game in which every message is a token on an edge.
func TestFlowsAgainstATokenGame(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	starved, several := 0, 0
	for range 3000 {
		next, routes, joins, mayMiss := randomGraph(r)
		g := graphOfNodes(next, routes, joins, mayMiss)
		g.flows()
		wantStarved, wantSeveral := play(next, routes, joins, mayMiss)
		var said []string
		saidSeveral := false
		for _, e := range g.r.errs {
			if e.ID == "RG0A4" {
				saidSeveral = true
			} else {
				said = append(said, strings.TrimPrefix(e.Key, "R."))
			}
		}
		slices.Sort(said)
		if !slices.Equal(said, wantStarved) || saidSeveral != wantSeveral {
			t.Fatalf("%v\nroutes %v, joins %v, may miss %v\nproof: starved %v, several %v\ngame:  starved %v, several %v", next, routes, joins, mayMiss, said, saidSeveral, wantStarved, wantSeveral)
		}
		starved, several = starved+len(said), several+len(wantStarved)
	}
	if starved < 100 || several < 100 {
		t.Errorf("%d starved joins and %d graphs with several outputs are no test", starved, several)
	}
}

func randomGraph(r *rand.Rand) (next map[string][]string, routes, joins, mayMiss map[string]bool) {
	next, routes, joins, mayMiss = map[string][]string{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	nodes := 2 + r.IntN(6)
	for i := range nodes {
		name := fmt.Sprintf("n%d", i)
		for j := i + 1; j < nodes; j++ {
			if r.IntN(3) == 0 {
				next[name] = append(next[name], fmt.Sprintf("n%d", j))
			}
		}
		if len(next[name]) == 0 || r.IntN(4) == 0 {
			next[name] = append(next[name], policy.End)
		}
		routes[name], joins[name], mayMiss[name] = r.IntN(3) == 0, i > 0 && r.IntN(2) == 0, r.IntN(3) == 0
	}
	return next, routes, joins, mayMiss
}

// play plays every choice that routes have, and returns the joins at which tokens
// were left, and whether more than one reached the end.
func play(next map[string][]string, routes, joins, mayMiss map[string]bool) (starved []string, several bool) {
	left := map[string]bool{}
	picks := map[string]int{}
	for more := true; more; more = nextPick(next, routes, picks) {
		type edge struct{ from, to string }
		tokens := map[edge]int{}
		ends := 0
		// Nodes are numbered so that every edge leads upwards.
		for i := range len(next) {
			name := fmt.Sprintf("n%d", i)
			var in []int
			sum := 0
			for j := range i {
				from := fmt.Sprintf("n%d", j)
				if slices.Contains(next[from], name) {
					in = append(in, tokens[edge{from, name}])
					sum += tokens[edge{from, name}]
				}
			}
			fires := sum
			switch {
			case i == 0:
				fires = 1
			case joins[name] && len(in) == 0:
				fires = 0
			case joins[name] && mayMiss[name]:
				fires = slices.Max(in)
			case joins[name]:
				fires = slices.Min(in)
				left[name] = left[name] || slices.Max(in) > fires
			}
			for at, to := range next[name] {
				if routes[name] && at != picks[name] {
					continue
				}
				if to == policy.End {
					ends += fires
				}
				tokens[edge{name, to}] += fires
			}
		}
		several = several || ends > 1
	}
	for name, is := range left {
		if is {
			starved = append(starved, name)
		}
	}
	slices.Sort(starved)
	return starved, several
}

func nextPick(next map[string][]string, routes map[string]bool, picks map[string]int) bool {
	for i := range len(next) {
		name := fmt.Sprintf("n%d", i)
		if !routes[name] {
			continue
		}
		if picks[name]++; picks[name] < len(next[name]) {
			return true
		}
		picks[name] = 0
	}
	return false
}

// A graph that no person draws is proved in the time that one waits for.
func TestHugeGraphsAreProved(t *testing.T) {
	next, routes, joins := map[string][]string{}, map[string]bool{}, map[string]bool{}
	for i := range 1000 {
		name := fmt.Sprintf("n%d", i)
		for j := range 30 {
			next[name] = append(next[name], fmt.Sprintf("n%d", (i*7+j*31+1)%1000))
		}
		next[name] = append(next[name], policy.End)
		routes[name], joins[name] = i%2 == 0, i%3 == 1
	}
	g := graphOfNodes(next, routes, joins, nil)
	start := time.Now()
	g.reachable()
	g.cycles()
	g.flows()
	if took := time.Since(start); took > 5*time.Second { // the goal is 1s, on a machine that does nothing else
		t.Errorf("took %v", took)
	}
	if !slices.ContainsFunc(g.r.errs, func(e *policy.Error) bool { return e.ID == "RG0A3" }) {
		t.Error("no word of the cycle")
	}
}
