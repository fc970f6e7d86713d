package workflow_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// hasChildren reports whether nodes of a plan are runs of others.
func (p *plan) hasChildren() bool {
	return slices.ContainsFunc(p.Nodes, func(n node) bool { return n.Child != nil })
}

// child is the workflow that a node is a run of.
func (w *world) child(rt *resilience.Runtime, p *process, n *node) (*workflow.Engine[*token, *token], error) {
	g, err := w.graph(rt, p, "Model"+n.Name, n.Child)
	if err != nil {
		return nil, err
	}
	return workflow.New[*token, *token](rt, g)
}

// withChildren makes some nodes of a plan runs of other plans. When a child answers is
// nobody's to say, so that nothing may depend on the order of what comes.
func (p plan) withChildren(r *rand.Rand) plan {
	for i := range p.Nodes {
		n := &p.Nodes[i]
		n.Any, n.Timeout, n.Counts = false, 0, false
		if n.Signal || n.WaitFor != nil || r.IntN(3) > 0 {
			continue
		}
		n.Routes, n.Fails, n.Falls, n.Child = nil, nil, false, randomChild(r, n.Name)
	}
	return p.settled()
}

// childConcurrency is how many nodes of a child may run at a time at most.
const childConcurrency = 2

// randomChild draws a plan that comes to one output: a line of nodes, some of which
// divide, so that the next one waits for both.
func randomChild(r *rand.Rand, name string) *plan {
	p := &plan{Concurrency: 1 + r.IntN(childConcurrency), Invocations: 30}
	add := func(waitFor []string) *node {
		n := node{Name: fmt.Sprint(name, "c", len(p.Nodes)), WaitFor: waitFor}
		for range r.IntN(3) {
			n.Fails = append(n.Fails, r.IntN(attempts+1))
		}
		n.Falls = true
		p.Nodes = append(p.Nodes, n)
		return &p.Nodes[len(p.Nodes)-1]
	}
	link := func(from int, to string) { p.Nodes[from].Next = append(p.Nodes[from].Next, to) }
	add(nil)
	for range r.IntN(3) {
		last := len(p.Nodes) - 1
		if r.IntN(2) == 0 {
			link(last, add(nil).Name)
			continue
		}
		a, b := add(nil).Name, add(nil).Name
		link(last, a)
		link(last, b)
		join := add([]string{a, b}).Name
		link(last+1, join)
		link(last+2, join)
	}
	link(len(p.Nodes)-1, "end")
	return p
}
