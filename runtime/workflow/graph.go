package workflow

import (
	"context"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// end is the name in [Node].Next that ends a branch: what the node returned is an
// output of the run.
const end = "end"

// Graph is a workflow as the generator proved it. Generated constructors hold it
// as a literal.
type Graph struct {
	Name        string // Research
	Package     string // import path of its package
	Fingerprint string // 16 hexadecimal digits over nodes, edges and shapes
	Entry       string // the node that takes the input

	Limits      Limits
	Concurrency int // nodes of one run at a time; 0: 1, in the order of the queue
	Checkpoint  CheckpointPolicy
	Retention   Retention
	OutputAll   bool // every reach of the end counts: see Result.Outputs

	Roles  []Role
	Forbid []Edge // of roles: no node of From may send to one of To

	PerKey      func(in Value) string // nil: none
	PerKeyMax   int                   // runs of one key at a time; 0: 1
	Queue       string                // of its runs; "": its own
	DeadLetters string                // queue of its letters; "": workflow.<Name>
	Schedules   []Schedule

	Input, Output Codec
	Nodes         []Node
}

// Limits bound one run. A run that passes one ends as [LimitExceeded]; 0 is no
// limit.
type Limits struct {
	Invocations int           // of nodes, however they ended
	Duration    time.Duration // of the time in which a message could run
	Cost        float64       // see AddCost
}

// CheckpointPolicy says what is kept of a run while it lives.
type CheckpointPolicy struct {
	Keep     int           // checkpoints that can be listed and forked, the newest; 0: 10
	Autosave time.Duration // between records of what a node saves; 0: each Save is one
	NoResume bool          // a known id that has not ended is ErrRunExists, unless Options say otherwise
}

// Forever is a [Retention] that never ends.
const Forever time.Duration = -1

// Retention is how long ended runs are kept; 0 is the default.
type Retention struct {
	Completed time.Duration // default 7 days
	Failed    time.Duration // failed, cancelled and out of limits; default 30 days
	Parked    time.Duration // default for ever
}

// Role is a name for some nodes, see [Graph].Forbid.
type Role struct {
	Name  string
	Nodes []string
}

// Edge is a way from one name to another.
type Edge struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Node is a node of a [Graph].
type Node struct {
	Name   string
	Params []string // names of its parameters in JSON, without the context
	In     []Codec  // one for each of them
	Out    Codec    // zero: it has no result

	Next   []string // nodes, or "end"
	Routes bool     // it returns a Route: Next is the set that it may pick from

	WaitFor     []string      // a join: In[i] is what WaitFor[i] sent
	Any         bool          // the first of them is enough, the others are zero
	WaitTimeout time.Duration // after the first one came; then it goes on with what there is

	Delay         time.Duration // every message to it is due so much later
	Signal        string        // it waits for a signal of this name; it has no Call
	SignalTimeout time.Duration
	Child         *ChildOf // it is a run of another workflow; it has no Call
	Role          string

	DurableMemory bool              // its memory outlives the run
	Guard         *resilience.Guard // of its calls, for health and explanations; may be nil

	// For its letters.
	Redact      []resilience.Redaction
	Sig         string
	InspectOnly bool

	// Call invokes it. in has a value of the type of each of In, or the zero Value
	// where a join goes on without one.
	Call func(ctx context.Context, in Args) (Value, Route, error)
}

// isJoin reports whether n waits for several messages.
func (n *Node) isJoin() bool { return len(n.WaitFor) > 0 }

// concurrency is how many nodes of a run may run at a time.
func (g *Graph) concurrency() int { return max(g.Concurrency, 1) }

// storeName is the name of the workflow in keys of stores.
func (g *Graph) storeName() string { return g.Package + "." + g.Name }

// eventName is that of the workflow in events, health and switches.
func (g *Graph) eventName() string { return "workflow/" + g.Name }

// runKey is the key of the log of a run, which its owner alone writes.
func (g *Graph) runKey(id string) string { return resilience.StoreKey("run", g.storeName(), id) }

// inboxKey is the key of the log that everybody else writes to.
func (g *Graph) inboxKey(id string) string { return resilience.StoreKey("inbox", g.storeName(), id) }

// memoryKey is the key of the memory of a node that outlives runs.
func (g *Graph) memoryKey(node string) string {
	return resilience.StoreKey("memory", g.storeName(), node)
}

// GraphInfo is a graph as the records of a run hold it: enough to draw it, and to
// judge whether another one can go on with the run.
type GraphInfo struct {
	Workflow    string     `json:"workflow"` // package.Name
	Fingerprint string     `json:"fingerprint"`
	Entry       string     `json:"entry"`
	Input       string     `json:"input,omitempty"`  // shape
	Output      string     `json:"output,omitempty"` // shape
	OutputAll   bool       `json:"outputAll,omitempty"`
	Nodes       []NodeInfo `json:"nodes"`
}

// NodeInfo is a node of a [GraphInfo].
type NodeInfo struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind,omitempty"` // "", "signal", "child"
	In      []string `json:"in,omitempty"`   // shapes
	Out     string   `json:"out,omitempty"`
	Next    []string `json:"next,omitempty"`
	Routes  bool     `json:"routes,omitempty"`
	WaitFor []string `json:"waitFor,omitempty"`
	Any     bool     `json:"any,omitempty"`
	Signal  string   `json:"signal,omitempty"`
	Child   string   `json:"child,omitempty"`
	Role    string   `json:"role,omitempty"`
}

// describe returns g as records hold it.
func (g *Graph) describe() *GraphInfo {
	info := &GraphInfo{
		Workflow: g.storeName(), Fingerprint: g.Fingerprint, Entry: g.Entry,
		Input: g.Input.Shape, Output: g.Output.Shape, OutputAll: g.OutputAll,
	}
	for i := range g.Nodes {
		info.Nodes = append(info.Nodes, g.Nodes[i].describe())
	}
	return info
}

func (n *Node) describe() NodeInfo {
	info := NodeInfo{
		Name: n.Name, Out: n.Out.Shape, Next: n.Next, Routes: n.Routes,
		WaitFor: n.WaitFor, Any: n.Any, Signal: n.Signal, Role: n.Role,
	}
	for _, in := range n.In {
		info.In = append(info.In, in.Shape)
	}
	switch {
	case n.Signal != "":
		info.Kind = "signal"
	case n.Child != nil:
		info.Kind, info.Child = "child", n.Child.Workflow
	}
	return info
}

// node returns the one with a name, or nil.
func (g *GraphInfo) node(name string) *NodeInfo {
	for i := range g.Nodes {
		if g.Nodes[i].Name == name {
			return &g.Nodes[i]
		}
	}
	return nil
}
