package workflow_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// A world is what outlives the processes that work on a run: the stores, and what
// the nodes did.
type world struct {
	plan
	fault  string // see TestFaultsAreFound
	stores resilience.Stores
	begun  time.Time
	over   chan struct{} // closed at the end
	deaths int

	mu      sync.Mutex
	did     []effect
	mended  bool // nodes do not fail any more
	process *process
	durable map[string]bool // invocations of which somebody was told that they are done
	again   []string        // invocations that ran after that
}

// effect is what a node did outside, with the idempotency key it had.
type effect struct {
	key, text string
	process   *process
}

// A death is where a process ends, or does not hear an answer: at its n-th append
// or at its n-th invocation of a node.
type death struct {
	At  int
	How string
}

// How a process may die.
const (
	beforeAppend = "before append"
	afterAppend  = "after append"
	beforeEffect = "in node before its effect"
	afterEffect  = "in node after its effect"
	answerLost   = "append done, answer lost" // and lives on
	appendLost   = "append lost, no answer"   // and lives on
)

// A process works on the run until it dies. What it does then reaches nobody.
type process struct {
	death
	engine *workflow.Engine[*token, *token]
	ctx    context.Context
	kill   context.CancelFunc

	mu          sync.Mutex
	dead        bool
	doomed      bool              // dies at its next append
	memory      map[string]string // of a fault
	appends     int
	invocations int
}

func newProcess(d death) *process {
	p := &process{death: d, memory: map[string]string{}}
	p.ctx, p.kill = context.WithCancel(context.Background())
	return p
}

func (p *process) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// die ends the process. p.mu is held.
func (p *process) die() {
	p.dead = true
	p.kill()
}

// mortalLog is the log of a process, through which nothing goes once it is dead.
type mortalLog struct {
	resilience.Log
	process *process
	loses   bool // what it acknowledged, at its death
}

// Append dies where it must.
func (l *mortalLog) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	p := l.process
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return 0, resilience.ErrClosed
	}
	p.appends++
	here := p.appends == p.At
	if p.doomed {
		p.die()
		return 0, resilience.ErrClosed
	}
	if here && l.loses {
		p.doomed = true
		return after + 1000, nil
	}
	if here && p.How == beforeAppend {
		p.die()
		return 0, resilience.ErrClosed
	}
	if here && p.How == appendLost {
		return 0, fmt.Errorf("append to %s: %w", key, resilience.ErrUnavailable)
	}
	v, err := l.Log.Append(ctx, key, after, body)
	switch {
	case here && p.How == afterAppend:
		p.die()
		return 0, resilience.ErrClosed
	case here && p.How == answerLost:
		return 0, fmt.Errorf("append to %s: %w", key, resilience.ErrUnavailable)
	}
	return v, err
}

// Drop does nothing for the dead.
func (l *mortalLog) Drop(ctx context.Context, key string, through resilience.Version) error {
	if l.process.isDead() {
		return resilience.ErrClosed
	}
	return l.Log.Drop(ctx, key, through)
}

// Exclusive reports that no other process has the log at the same time.
func (l *mortalLog) Exclusive() bool { return true }

// act is what a node does outside: it is noted unless the process is dead. It
// returns an error once it is.
func (w *world) act(ctx context.Context, p *process, key, text string) error {
	p.mu.Lock()
	p.invocations++
	here := p.invocations == p.At
	if here && p.How == beforeEffect {
		p.die()
	}
	dead := p.dead
	if !dead {
		w.mu.Lock()
		w.did = append(w.did, effect{key, text, p})
		w.mu.Unlock()
	}
	if here && p.How == afterEffect {
		p.die()
		dead = true
	}
	p.mu.Unlock()
	if dead {
		<-p.ctx.Done()
		return context.Canceled
	}
	return ctx.Err()
}
