package workflow_test

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// attempts is how often the policy of every node lets it try.
const attempts = 3

// A plan is a graph, what its nodes do, and what comes from outside.
type plan struct {
	Nodes       []node   `json:",omitzero"` // the first is the entry
	Concurrency int      `json:",omitzero"`
	Invocations int      `json:",omitzero"` // limit
	All         bool     `json:",omitzero"` // output: all
	Signals     []signal `json:",omitzero"` // by time
	Discard     []bool   `json:",omitzero"` // which letters are discarded, not mended and replayed
}

// A node does what the hash of its inputs picks from Fails and Routes.
type node struct {
	Name    string        `json:",omitzero"`
	Next    []string      `json:",omitzero"`
	WaitFor []string      `json:",omitzero"`
	Any     bool          `json:",omitzero"`
	Timeout time.Duration `json:",omitzero"` // of a join
	Delay   time.Duration `json:",omitzero"`
	Signal  bool          `json:",omitzero"` // waits for a signal of its name
	Expires time.Duration `json:",omitzero"` // that wait
	Routes  [][]hop       `json:",omitzero"` // nil: all of Next
	Fails   []int         `json:",omitzero"` // attempts that fail before one that does not
	Falls   bool          `json:",omitzero"` // has a fallback
	Counts  bool          `json:",omitzero"` // says how many steps its memory knows
	Child   *plan         `json:",omitzero"` // it is a run of that
}

type hop struct {
	To    string        `json:",omitzero"` // "end" too
	Send  string        `json:",omitzero"` // instead of the node's own value
	After time.Duration `json:",omitzero"`
}

type signal struct {
	At              time.Duration
	Name, ID, Value string
}

// message is one on its way to a node.
type message struct {
	to, from string
	in       []string // what a join consumed, "" for what is missing
	due      time.Duration
	again    bool // it was a letter
}

// ending is what a run comes to.
type ending struct {
	Status   string
	Outputs  []string       // sorted
	Effects  []string       // a node with its inputs for each invocation, sorted
	Steps    []string       // node, outcome and attempts, sorted
	Failures map[string]int // letters by node
}

// discards says what becomes of the letter of a message.
func (p *plan) discards(text string) bool {
	return len(p.Discard) > 0 && p.Discard[pick(text, len(p.Discard))]
}

// waits reports whether a node waits for a signal or a child.
func (p *plan) waits(name string) bool {
	return slices.ContainsFunc(p.Nodes, func(n node) bool { return n.Name == name && (n.Signal || n.Child != nil) })
}

// text says what a message asks of a node.
func (g message) text() string { return short(g.to + "(" + strings.Join(g.in, ",") + ")") }

// fails is how many attempts fail.
func (n *node) fails(g message, mended bool) int {
	if len(n.Fails) == 0 || mended {
		return 0
	}
	return n.Fails[pick(g.text(), len(n.Fails))]
}

// hops are where a node sends to.
func (n *node) hops(g message) (hops []hop) {
	if len(n.Routes) > 0 {
		return n.Routes[pick("route "+g.text(), len(n.Routes))]
	}
	for _, next := range n.Next {
		hops = append(hops, hop{To: next})
	}
	return hops
}

// value is what a node makes of a message.
func (n *node) value(g message, memory int) string {
	if n.Counts {
		return short(fmt.Sprint(g.text(), "#", memory))
	}
	return g.text()
}

// outcome is that of a step that succeeds.
func (n *node) outcome() string {
	if n.Routes != nil {
		return "routed"
	}
	return "done"
}

func (n *node) fallback(g message) string { return short("!" + g.text()) }

// value is what goes along a hop of what a node made.
func (h hop) value(made string) string {
	if h.Send == "" {
		return made
	}
	return short(h.Send + made)
}

func stepText(node, outcome string, tries int) string {
	return fmt.Sprint(node, " ", outcome, " ", tries)
}

// short keeps a text below 60 bytes.
func short(text string) string {
	if len(text) < 60 {
		return text
	}
	return fmt.Sprintf("%.20s~%016x", text, hash(text))
}

func pick(text string, n int) int { return int(hash(text) % uint64(n)) }

func hash(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}
