package main

import "slices"

// chart is a graph to draw: a workflow, a pipeline, or one of them with what a
// run has made of it. Names and notes may be any text.
type chart struct {
	title    string
	notes    []string // under the title
	vertices []vertex // the first is the entry
	arrows   []arrow
	letters  string // the queue in which what finally failed is kept
}

// vertex is a node of a chart.
type vertex struct {
	name     string
	kind     vertexKind
	join     string   // "all" or "any": it waits for those whose arrows end here
	choice   bool     // it picks which of its arrows are taken
	fallback bool     // another answers when it finally failed
	letter   bool     // what finally failed is kept
	notes    []string // lines under the name
	mark     mark
}

// vertexKind is what a vertex does.
type vertexKind int

const (
	kindMethod vertexKind = iota
	kindSignal            // waits for a signal
	kindWhole             // a workflow or a pipeline
	kindEnd               // a branch ends
)

// mark is where a run stands with a vertex.
type mark string

// Marks.
const (
	markNone    mark = ""
	markDone    mark = "done"
	markFailed  mark = "failed"
	markRunning mark = "running"
	markWaiting mark = "waiting"
	markNotYet  mark = "not yet"
)

// arrow leads from a vertex to another, by their indexes.
type arrow struct {
	from, to int
	choice   bool // it may be taken, or not
	taken    bool // by the run
}

// add adds a vertex and returns its index.
func (c *chart) add(v vertex) int {
	c.vertices = append(c.vertices, v)
	return len(c.vertices) - 1
}

// index returns where the vertex with a name is, -1 where there is none.
func (c *chart) index(name string) int {
	return slices.IndexFunc(c.vertices, func(v vertex) bool { return v.kind != kindEnd && v.name == name })
}

// connect draws an arrow to the vertex with a name, or to an end of its own where
// the name is "end". What is not there is left out: a graph that is read from a
// store may say anything.
func (c *chart) connect(from int, name string, choice, taken bool) {
	to := c.index(name)
	if name == "end" {
		to = c.add(vertex{name: "end", kind: kindEnd})
	}
	if to >= 0 {
		c.arrows = append(c.arrows, arrow{from, to, choice, taken})
	}
}

// out returns the arrows that leave a vertex, in their order.
func (c *chart) out(v int) []arrow {
	var list []arrow
	for _, a := range c.arrows {
		if a.from == v {
			list = append(list, a)
		}
	}
	return list
}

// back reports for each arrow whether it closes a cycle: a walk from the entry
// that takes arrows in their order meets a vertex that it has come through.
func (c *chart) back() []bool {
	w := descent{chart: c, state: make([]int8, len(c.vertices)), leaving: make([][]int, len(c.vertices)), back: make([]bool, len(c.arrows))}
	for i, a := range c.arrows {
		w.leaving[a.from] = append(w.leaving[a.from], i)
	}
	for v := range c.vertices {
		w.from(v)
	}
	return w.back
}

// descent goes along the arrows of a chart, depth first.
type descent struct {
	*chart
	state   []int8 // 0: not seen; 1: on the way; 2: left
	leaving [][]int
	back    []bool
}

// from walks from v. It keeps its own stack: a chart may be one long chain.
func (w *descent) from(v int) {
	if w.state[v] != 0 {
		return
	}
	type stop struct{ v, next int }
	stack := []stop{{v, 0}}
	w.state[v] = 1
	for len(stack) > 0 {
		at := &stack[len(stack)-1]
		if at.next == len(w.leaving[at.v]) {
			w.state[at.v] = 2
			stack = stack[:len(stack)-1]
			continue
		}
		i := w.leaving[at.v][at.next]
		at.next++
		switch to := w.arrows[i].to; w.state[to] {
		case 0:
			w.state[to] = 1
			stack = append(stack, stop{to, 0})
		case 1:
			w.back[i] = true
		}
	}
}
