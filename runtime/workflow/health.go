package workflow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// A call of a node is stuck when it has been out for stuckTimes as long as 99 % of the
// latest calls of the node took, at least for stuckLeast. Of nodes with fewer calls
// than stuckSamples nobody can tell.
const (
	stuckTimes   = 10
	stuckLeast   = 30 * time.Second
	stuckSamples = 20
)

// claimPatience is for how long queues may give no answer before the health tells.
const claimPatience = 30 * time.Second

// component is what the health of the Runtime knows of the workflow. It is a warning
// and no more: other work of the service may go on. What each node does, its guard
// tells.
func (e *engine) component() resilience.Component {
	return resilience.Component{
		Name: e.name, Title: "workflow " + e.g.Name, Kind: "workflow", InProcess: true, Criticality: resilience.Degradable,
		FailAfter: 1, RecoverAfter: 1, Check: func(context.Context) error { return e.unwell(time.Now()) },
	}
}

// unwell says what is wrong, nil if nothing is.
func (e *engine) unwell(now time.Time) error {
	errs := []error{e.claims.trouble(now)}
	for i := range e.g.Nodes {
		n := e.nodes[e.g.Nodes[i].Name]
		errs = append(errs, n.gauge.stuck(n.Name, now))
	}
	return errors.Join(errs...)
}

// stuck names the call that has been out for too long.
func (g *gauge) stuck(node string, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	inv := g.oldest()
	if inv == nil || inv.r.o.NoHealth || now.Sub(inv.begun) < stuckLeast {
		return nil
	}
	p, n := g.percentiles(0.99)
	if n < stuckSamples || now.Sub(inv.begun) < stuckTimes*p[0] {
		return nil
	}
	return fmt.Errorf("no progress: %s of run %s has run for %v, and 99 %% of the last %d took %v at most",
		node, inv.r.id, now.Sub(inv.begun).Round(time.Second), n, p[0])
}

// claiming is how the queues of a workflow answer its workers in this process.
type claiming struct {
	mu    sync.Mutex
	since time.Time // of the first error after the last answer; zero: they answer
	err   error
}

// note takes in an answer, or an error.
func (c *claiming) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.since, c.err = time.Time{}, nil
	case c.since.IsZero():
		c.since, c.err = time.Now(), err
	default:
		c.err = err
	}
}

func (c *claiming) trouble(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since.IsZero() || now.Sub(c.since) < claimPatience {
		return nil
	}
	return fmt.Errorf("no run can be taken for %v: %w", now.Sub(c.since).Round(time.Second), c.err)
}

// claimed implements source.
func (e *engine) claimed(err error) { e.claims.note(err) }
