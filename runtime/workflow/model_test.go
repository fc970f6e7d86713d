package workflow_test

import (
	"slices"
	"strings"
	"time"
)

// machine interprets a plan: what docs/workflows.md says, slowly and plainly.
type machine struct {
	plan
	ending
	now      time.Duration
	queue    []message
	places   map[string]*place // by node
	heard    map[string]bool   // signals by id
	letters  []message
	mended   bool
	invoked  int
	ordered  bool // who came first decided what happened
	finished bool
}

// place is what a node keeps.
type place struct {
	node
	memory  int
	waiting []message  // for a signal
	early   []string   // signals that nobody waited for
	arrived []int      // at a join, by edge
	held    [][]string // by edge, not yet consumed
	came    [][]time.Duration
	fired   int           // invocations of the join, messages to a signal
	expires time.Duration // when it goes on with what there is, 0: never
}

// interpret plays a plan to its end.
func interpret(p plan) *machine { return interpretOf(p, "in", false) }

// interpretOf plays a plan with an input.
func interpretOf(p plan, in string, mended bool) *machine {
	m := &machine{plan: p, mended: mended, ending: ending{Failures: map[string]int{}}, places: map[string]*place{}, heard: map[string]bool{}}
	for _, n := range p.Nodes {
		m.places[n.Name] = &place{node: n, arrived: make([]int, len(n.WaitFor)), held: make([][]string, len(n.WaitFor)), came: make([][]time.Duration, len(n.WaitFor))}
	}
	m.send(message{to: p.Nodes[0].Name, in: []string{in}}, 0)
	for m.drain(); m.Status == "parked"; m.drain() {
		for len(m.Signals) > 0 {
			m.hear()
		}
		m.mended = true
		slices.SortFunc(m.letters, func(a, b message) int { return strings.Compare(a.text(), b.text()) })
		if !m.discards(m.letters[0].text()) {
			m.queue = append(m.queue, m.letters[0])
		}
		m.letters = m.letters[1:]
	}
	return m
}

// drain goes on until nothing is left that could run, and names what the run is then.
func (m *machine) drain() {
	for !m.finished {
		at, do := m.next()
		i := slices.IndexFunc(m.queue, func(g message) bool { return g.due <= m.now })
		if i >= 0 && at > m.now {
			g := m.queue[i]
			m.queue = slices.Delete(m.queue, i, i+1)
			m.take(m.places[g.to], g)
		} else if do != nil {
			m.now = max(m.now, at)
			do()
		} else {
			break
		}
	}
	switch out, lost := len(m.Outputs) > 0, len(m.letters) > 0; {
	case m.finished:
		m.Status = "limit_exceeded"
	case slices.ContainsFunc(m.Nodes, func(n node) bool { return len(m.places[n.Name].waiting) > 0 }):
		m.Status = "cancelled" // by the test: it would wait for ever
	case out && lost:
		m.Status = "completed_with_dead_letters"
	case out:
		m.Status = "completed"
	case lost:
		m.Status = "parked"
	default:
		m.Status = "failed"
	}
}

// next is what comes next besides messages that are there.
func (m *machine) next() (at time.Duration, do func()) {
	at = 1 << 62
	sooner := func(when time.Duration, what func()) {
		if when < at {
			at, do = when, what
		}
	}
	for _, g := range m.queue {
		if g.due > m.now {
			sooner(g.due, func() {})
		}
	}
	for _, n := range m.Nodes {
		p := m.places[n.Name]
		if p.expires > 0 {
			sooner(p.expires, func() { m.fire(p) })
		}
		if p.Expires > 0 && len(p.waiting) > 0 {
			sooner(p.waiting[0].due+p.Expires, func() { m.meet(p, "", "skipped") })
		}
	}
	if len(m.Signals) > 0 {
		sooner(m.Signals[0].At, m.hear)
	}
	return at, do
}

// take does a message: what a join or a signal keeps waits, the rest is invoked.
func (m *machine) take(p *place, g message) {
	switch {
	case p.Signal:
		g.due = m.now
		p.waiting = append(p.waiting, g)
		p.fired++
		m.ordered = m.ordered || p.fired > 1
		m.match(p)
	case p.Child != nil:
		m.rear(p, g)
	case len(p.WaitFor) > 0 && g.from != "":
		m.arrive(p, slices.Index(p.WaitFor, g.from), g.in[0])
	default:
		m.invoke(p, g)
	}
}

func (m *machine) arrive(p *place, edge int, value string) {
	p.arrived[edge]++
	m.ordered = m.ordered || p.arrived[edge] > 1
	if p.arrived[edge] <= p.fired {
		return // late
	}
	p.held[edge], p.came[edge] = append(p.held[edge], value), append(p.came[edge], m.now)
	if p.Any || !slices.ContainsFunc(p.held, func(h []string) bool { return len(h) == 0 }) {
		m.fire(p)
	} else {
		p.await()
	}
}

// fire invokes a join with the n-th of each edge, as far as they are there.
func (m *machine) fire(p *place) {
	p.fired++
	in := make([]string, len(p.WaitFor))
	for edge, held := range p.held {
		if len(held) > 0 && p.arrived[edge]-len(held) < p.fired {
			in[edge], p.held[edge], p.came[edge] = held[0], held[1:], p.came[edge][1:]
		}
	}
	p.await()
	m.invoke(p, message{to: p.Name, in: in})
}

// await sets when a join goes on without what is missing.
func (p *place) await() {
	p.expires = 0
	for _, came := range p.came {
		if p.Timeout > 0 && len(came) > 0 && (p.expires == 0 || came[0]+p.Timeout < p.expires) {
			p.expires = came[0] + p.Timeout
		}
	}
}

// invoke runs a node for a message and does with it what it comes to.
func (m *machine) invoke(p *place, g message) {
	if !m.mayGoOn() {
		return
	}
	if !g.again { // then it has the same key as before
		m.Effects = append(m.Effects, g.text())
	}
	switch fails := p.fails(g, m.mended); {
	case fails < attempts:
		p.memory++
		m.step(p, g, p.value(g, p.memory), p.outcome(), fails+1)
	case p.Falls:
		m.step(p, g, p.fallback(g), "fallback", attempts)
	default:
		m.Steps = append(m.Steps, stepText(p.Name, "failed", attempts))
		m.Failures[p.Name]++
		m.letters = append(m.letters, message{to: p.Name, in: g.in, again: true})
	}
}

// rear has a child do a message. What it did outside counts.
func (m *machine) rear(p *place, g message) {
	child := interpretOf(*p.Child, g.in[0], m.mended)
	m.Effects = append(m.Effects, child.Effects...)
	if !child.isOne() {
		panic("a child that does not come to one output")
	}
	if m.mayGoOn() {
		m.step(p, g, child.Outputs[0], "done", 0)
	}
}

// isOne reports whether a run has its output, and one alone.
func (m *machine) isOne() bool { return m.Status == "completed" && len(m.Outputs) == 1 }

// mayGoOn counts a step, unless there have been as many as there may be.
func (m *machine) mayGoOn() bool {
	m.finished = m.invoked >= m.Invocations
	m.invoked++
	return !m.finished
}

// step ends a message that was done, and sends on what it came to.
func (m *machine) step(p *place, g message, value, outcome string, tries int) {
	m.Steps = append(m.Steps, stepText(p.Name, outcome, tries))
	for _, h := range p.hops(g) {
		if h.To == "end" {
			m.Outputs = append(m.Outputs, h.value(value))
		} else {
			m.send(message{to: h.To, from: p.Name, in: []string{h.value(value)}}, h.After)
		}
	}
}

func (m *machine) send(g message, after time.Duration) {
	g.due = m.now + after + m.places[g.to].Delay
	m.queue = append(m.queue, g)
}

// hear takes the next signal in, which is kept until somebody waits for it.
func (m *machine) hear() {
	s := m.Signals[0]
	m.Signals = m.Signals[1:]
	if p := m.places[s.Name]; !m.heard[s.ID] {
		m.heard[s.ID] = true
		p.early = append(p.early, s.Value)
		m.match(p)
	}
}

// match gives the first signal to the message that waited first.
func (m *machine) match(p *place) {
	if len(p.waiting) > 0 && len(p.early) > 0 {
		m.meet(p, p.early[0], "done")
		p.early = p.early[1:]
	}
}

// meet ends the wait of the message that waited first.
func (m *machine) meet(p *place, value, outcome string) {
	g := p.waiting[0]
	p.waiting = p.waiting[1:]
	if !m.mayGoOn() {
		return
	}
	m.step(p, g, value, outcome, 0)
}
