package workflow

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Stats are what a workflow has done in this process at one moment. What its nodes'
// guards did, resilience.Runtime.Stats tells.
type Stats struct {
	Workflow string           `json:"workflow"` // full name
	Running  int64            `json:"running"`  // runs that go on here now
	Ended    map[Status]int64 `json:"ended"`    // runs that ended here, or parked, by how
	Unread   int64            `json:"unread"`   // entries of inboxes that could not be read and were put aside
	Nodes    []NodeStats      `json:"nodes"`    // in the order of the graph
}

// NodeStats are the calls of one node, each with all its attempts.
type NodeStats struct {
	Node    string        `json:"node"`
	Calls   int64         `json:"calls"`   // that are over, those that were given up among them
	Running int           `json:"running"` // that are out now
	P50     time.Duration `json:"p50"`     // of the last 256, in nanoseconds
	P99     time.Duration `json:"p99"`
	Oldest  time.Duration `json:"oldest,omitempty"` // for how long the first of those that are out has been
}

// Stats returns what e has done.
func (e *Engine[In, Out]) Stats() Stats { return e.e.stats(time.Now()) }

func (e *engine) stats(now time.Time) Stats {
	s := Stats{Workflow: e.g.storeName(), Running: e.counts.running.Load(), Ended: e.counts.ended(), Unread: e.counts.unread.Load()}
	for i := range e.g.Nodes {
		n := e.nodes[e.g.Nodes[i].Name]
		s.Nodes = append(s.Nodes, n.gauge.stats(n.Name, now))
	}
	return s
}

func (g *gauge) stats(node string, now time.Time) NodeStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, _ := g.percentiles(0.5, 0.99)
	s := NodeStats{Node: node, Calls: g.calls, Running: len(g.out), P50: p[0], P99: p[1]}
	if inv := g.oldest(); inv != nil {
		s.Oldest = now.Sub(inv.begun)
	}
	return s
}

// runCounts counts the runs of an engine.
type runCounts struct {
	running atomic.Int64
	unread  atomic.Int64
	mu      sync.Mutex
	ends    map[Status]int64
}

// end counts an end.
func (c *runCounts) end(s Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends == nil {
		c.ends = map[Status]int64{}
	}
	c.ends[s]++
}

// ended returns the ends by status.
func (c *runCounts) ended() map[Status]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := map[Status]int64{}
	maps.Copy(list, c.ends)
	return list
}
