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
	stops  int
	taken  int // how often a process took a run that another one had

	mu      sync.Mutex
	all     []*process
	owners  map[string]ownership // of runs, by their keys
	wrong   []string
	did     []effect
	mended  bool // nodes do not fail any more
	process *process
	durable map[string]bool // invocations of which somebody was told that they are done
	again   []string        // invocations that ran after that
}

func newWorld(h history) *world {
	return &world{
		plan: h.Plan, fault: h.fault, stores: resilience.MemoryStores(), begun: time.Now(), over: make(chan struct{}),
		durable: map[string]bool{}, owners: map[string]ownership{},
	}
}

// effect is what a node did outside, with the idempotency key it had.
type effect struct {
	key, text string
	process   *process
}

// A death is where a process ends, or does not hear an answer: at its n-th append
// or at its n-th invocation of a node.
type death struct {
	At    int
	How   string
	Until int `json:",omitzero"` // how many appends of others to a run it stands still for, 0: to the end
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
	done   chan struct{} // closed when it works on the run no more
	ended  bool          // it has seen the end of the run
	out    outcome
	pause

	mu          sync.Mutex
	dead        bool
	doomed      bool              // dies at its next append
	memory      map[string]string // of a fault
	appends     int
	invocations int
}

func newProcess(d death) *process {
	p := &process{death: d, memory: map[string]string{}, done: make(chan struct{}), pause: newPause()}
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
	world   *world
	process *process
	loses   bool // what it acknowledged, at its death
}

// Append dies where it must.
func (l *mortalLog) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	p := l.process
	n := p.nextAppend()
	p.stopAt(stopsBeforeAppend, n, isRun(key))
	v, err := l.mortally(ctx, n, key, after, body)
	p.stopAt(stopsAfterAppend, n, isRun(key))
	return v, err
}

// mortally appends unless the process is dead, or dies of it.
func (l *mortalLog) mortally(ctx context.Context, n int, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	p := l.process
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return 0, resilience.ErrClosed
	}
	here := n == p.At
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
	v, err := l.world.append(ctx, l.Log, p, key, after, body)
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
	l.process.pass()
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
	n := p.nextInvocation()
	p.stopAt(stopsBeforeEffect, n, true)
	dead := w.effect(ctx, p, n, effect{key, text, p})
	p.stopAt(stopsAfterEffect, n, true)
	if dead {
		<-p.ctx.Done()
		return context.Canceled
	}
	return ctx.Err()
}

// effect notes one, and reports whether the process is dead then.
func (w *world) effect(ctx context.Context, p *process, n int, e effect) (dead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	here := n == p.At
	if here && p.How == beforeEffect {
		p.die()
	}
	if p.dead {
		return true
	}
	w.mu.Lock()
	w.did = append(w.did, e)
	w.checkEpoch(workflow.Info(ctx), p)
	w.mu.Unlock()
	if here && p.How == afterEffect {
		p.die()
	}
	return p.dead
}
