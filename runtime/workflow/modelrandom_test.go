package workflow_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// randomPlan draws a plan that the generator's proofs would let pass, but for
// outputs that they cannot count.
func randomPlan(r *rand.Rand) plan {
	p := plan{Concurrency: 1 + r.IntN(4), Invocations: 30 + r.IntN(30), All: r.IntN(2) == 0}
	if r.IntN(10) == 0 {
		p.Invocations = 1 + r.IntN(8)
	}
	for i := range 1 + r.IntN(10) {
		p.Nodes = append(p.Nodes, node{Name: fmt.Sprintf("N%d", i)})
		p.join(r, i)
	}
	p.goBack(r)
	for i := range p.Nodes {
		p.Nodes[i].behave(r)
	}
	for _, n := range p.Nodes {
		if n.Signal {
			p.signals(r, n.Name)
		}
	}
	slices.SortFunc(p.Signals, func(a, b signal) int { return int(a.At - b.At) })
	for range r.IntN(3) {
		p.Discard = append(p.Discard, r.IntN(2) == 0)
	}
	return p.settled()
}

// join makes node i follow one of those before it, or several.
func (p *plan) join(r *rand.Rand, i int) {
	if i == 0 {
		return
	}
	n := &p.Nodes[i]
	var before []string
	for range 1 + r.IntN(3)*r.IntN(2) {
		from := &p.Nodes[max(0, i-1-r.IntN(4))]
		if !slices.Contains(before, from.Name) {
			before = append(before, from.Name)
			from.Next = append(from.Next, n.Name)
		}
	}
	switch chance := r.IntN(20); {
	case len(before) == 1 && chance < 3:
		n.Signal = true
		if chance == 0 {
			n.Expires = moment(r)
		}
	case len(before) > 1 && chance < 10:
		n.WaitFor = before
	case len(before) > 1 && chance < 13:
		n.WaitFor, n.Any = before, true
	case len(before) > 1 && chance < 15:
		n.WaitFor, n.Timeout = before, moment(r)
	}
	if r.IntN(10) == 0 {
		n.Delay = moment(r)
	}
}

// goBack lets a node go on with one before it, or itself, if it so chooses.
func (p *plan) goBack(r *rand.Rand) {
	from, to := r.IntN(len(p.Nodes)), r.IntN(len(p.Nodes))
	f, t := &p.Nodes[max(from, to)], &p.Nodes[min(from, to)]
	if r.IntN(4) > 0 || f.Signal || t.Signal || t.WaitFor != nil {
		return
	}
	on := slices.Clone(f.Next)
	if len(on) == 0 {
		on = []string{"end"}
	}
	f.Next = append(on, t.Name)
	f.Routes = [][]hop{{{To: on[0]}}, {{To: t.Name}, {To: on[0]}}, {{To: t.Name}}}[:2+r.IntN(2)]
}

// behave draws what a node does.
func (n *node) behave(r *rand.Rand) {
	if len(n.Next) == 0 || r.IntN(10) == 0 && !slices.Contains(n.Next, "end") {
		n.Next = append(n.Next, "end")
	}
	if n.Signal {
		return
	}
	if n.Routes == nil && r.IntN(4) == 0 {
		for range 1 + r.IntN(3) {
			n.Routes = append(n.Routes, n.route(r))
		}
	}
	if r.IntN(3) == 0 {
		for range 1 + r.IntN(3) {
			n.Fails = append(n.Fails, []int{0, 0, 1, 2, attempts}[r.IntN(5)])
		}
		n.Falls = r.IntN(3) == 0
	}
	n.Counts = r.IntN(8) == 0
}

// route draws some of what may follow a node.
func (n *node) route(r *rand.Rand) (hops []hop) {
	for _, i := range r.Perm(len(n.Next))[:1+r.IntN(len(n.Next))] {
		h := hop{To: n.Next[i]}
		switch chance := r.IntN(6); {
		case chance == 0 && h.To != "end":
			h.Send = fmt.Sprint("s", i)
		case chance == 1 && h.To != "end":
			h.After = moment(r)
		}
		hops = append(hops, h)
	}
	return hops
}

// signals draws what is sent to a node that waits, some of it twice.
func (p *plan) signals(r *rand.Rand, name string) {
	for i := range r.IntN(4) {
		s := signal{moment(r), name, fmt.Sprint(name, "-", i), fmt.Sprint("signal ", name, i)}
		p.Signals = append(p.Signals, s)
		if r.IntN(2) == 0 {
			s.At = moment(r)
			p.Signals = append(p.Signals, s)
		}
	}
}

// settled changes what the proofs, or the order of what runs at once, do not allow.
func (p plan) settled() plan {
	m := interpret(p)
	inOrder := slices.ContainsFunc(p.Nodes, func(n node) bool { return n.Counts || n.Any || n.Timeout > 0 })
	if m.ordered || inOrder || m.Status == "limit_exceeded" {
		p.Concurrency = 1
	}
	p.All = p.All || len(m.Outputs) > 1
	if p.hasChildren() && (m.ordered || inOrder || m.Status == "limit_exceeded") {
		p.Nodes = slices.Clone(p.Nodes)
		for i := range p.Nodes {
			p.Nodes[i].Child = nil // when it answers would decide
		}
		return p.settled()
	}
	return p
}

// moment is never the same as another, nor so near to one that the pause before
// an append that is tried again could change their order.
func moment(r *rand.Rand) time.Duration { return 1 + time.Duration(r.Int64N(int64(2*time.Minute))) }
