package workflow_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

// A history is a plan with the deaths of those who work on its run. It prints as
// JSON, and is read back by TestReplay.
type history struct {
	Plan   plan
	Deaths []death `json:",omitzero"`
	fault  string  // see TestFaultsAreFound
}

// calm is h without deaths.
func (h history) calm() history {
	h.Deaths = nil
	return h
}

func (h history) String() string {
	text, err := json.Marshal(h)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (h history) clone() (c history) {
	if err := json.Unmarshal([]byte(h.String()), &c); err != nil {
		panic(err)
	}
	return c
}

// shrink takes away what a history fails without, as long as it fails in the same
// way.
func shrink(t *testing.T, h history, why []string) (history, []string) {
	begun := time.Now()
	for progress := true; progress && time.Since(begun) < 20*time.Second; {
		progress = false
		for _, smaller := range h.smaller() {
			if now := fails(t, smaller); len(now) > 0 && way(now) == way(why) {
				h, why, progress = smaller, now, true
				break
			}
		}
	}
	return h, why
}

// size is what shrinking makes smaller.
func (h history) size() int { return 10*len(h.String()) + h.Plan.Concurrency }

// smaller are histories with a little less in them.
func (h history) smaller() (list []history) {
	with := func(change func(*history)) {
		c := h.clone()
		change(&c)
		c.Plan = c.Plan.connected().settled()
		if c.size() < h.size() {
			list = append(list, c)
		}
	}
	for i := range h.Plan.Nodes {
		if i > 0 {
			with(func(c *history) { c.Plan.without(c.Plan.Nodes[i].Name) })
		}
	}
	for i := range h.Deaths {
		with(func(c *history) { c.Deaths = slices.Delete(c.Deaths, i, i+1) })
	}
	for i := range h.Plan.Signals {
		with(func(c *history) { c.Plan.Signals = slices.Delete(c.Plan.Signals, i, i+1) })
	}
	for i, n := range h.Plan.Nodes {
		for _, next := range n.Next {
			with(func(c *history) { c.Plan.cut(&c.Plan.Nodes[i], next) })
		}
		for j, hops := range n.Routes {
			with(func(c *history) { c.Plan.Nodes[i].Routes = slices.Delete(c.Plan.Nodes[i].Routes, j, j+1) })
			for k := range hops {
				with(func(c *history) { c.Plan.Nodes[i].Routes[j][k].Send = "" })
				with(func(c *history) { c.Plan.Nodes[i].Routes[j][k].After = 0 })
			}
		}
		for _, simplify := range simpler {
			with(func(c *history) { simplify(&c.Plan.Nodes[i]) })
		}
	}
	with(func(c *history) { c.Plan.Discard = nil })
	with(func(c *history) { c.Plan.Concurrency = 1 })
	return list
}

// simpler are what may be taken from a node.
var simpler = []func(*node){
	func(n *node) { n.Fails = nil },
	func(n *node) { n.Falls = false },
	func(n *node) { n.Fails = n.Fails[:min(1, len(n.Fails))] },
	func(n *node) { n.Counts = false },
	func(n *node) { n.Delay = 0 },
	func(n *node) { n.Routes = nil },
	func(n *node) { n.Any = false },
	func(n *node) { n.Timeout = 0 },
	func(n *node) { n.WaitFor = nil },
	func(n *node) { n.Signal = false },
	func(n *node) { n.Expires = 0 },
	func(n *node) { n.Child = nil },
}

// without takes a node away.
func (p *plan) without(name string) {
	for i := range p.Nodes {
		p.cut(&p.Nodes[i], name)
	}
	p.Nodes = slices.DeleteFunc(p.Nodes, func(n node) bool { return n.Name == name })
}

// cut takes the edge from n to a node away.
func (p *plan) cut(n *node, to string) {
	n.Next = slices.DeleteFunc(n.Next, func(next string) bool { return next == to })
	for i, hops := range n.Routes {
		n.Routes[i] = slices.DeleteFunc(hops, func(h hop) bool { return h.To == to })
	}
	n.Routes = slices.DeleteFunc(n.Routes, func(hops []hop) bool { return len(hops) == 0 })
	for i := range p.Nodes {
		if p.Nodes[i].Name == to {
			p.Nodes[i].WaitFor = slices.DeleteFunc(p.Nodes[i].WaitFor, func(from string) bool { return from == n.Name })
		}
	}
}

// connected takes away what nothing leads to, and puts right what is left.
func (p plan) connected() plan {
	for again := true; again; {
		again = false
		reached := p.reached()
		for _, n := range p.Nodes {
			if !reached[n.Name] {
				p.without(n.Name)
				again = true
				break
			}
		}
	}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if len(n.Next) == 0 {
			n.Next = []string{"end"}
		}
		if len(n.Routes) == 0 || n.Signal {
			n.Routes = nil
		}
		if len(n.WaitFor) < 2 {
			n.WaitFor, n.Any, n.Timeout = nil, false, 0
		}
	}
	p.Signals = slices.DeleteFunc(p.Signals, func(s signal) bool {
		return !slices.ContainsFunc(p.Nodes, func(n node) bool { return n.Signal && n.Name == s.Name })
	})
	return p
}

// reached are the nodes that the entry leads to.
func (p *plan) reached() map[string]bool {
	reached := map[string]bool{}
	for todo := []string{p.Nodes[0].Name}; len(todo) > 0; todo = todo[1:] {
		for _, n := range p.Nodes {
			if n.Name == todo[0] && !reached[n.Name] {
				reached[n.Name] = true
				todo = append(todo, n.Next...)
			}
		}
	}
	return reached
}
