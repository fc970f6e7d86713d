package workflow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// How a process may lose a run to another one without being dead: it stands still, or is
// only thought to be dead, and believes to have the run when it goes on.
const (
	stopsBeforeAppend = "stops before append"
	stopsAfterAppend  = "stops after append"
	stopsBeforeEffect = "stops in node before its effect"
	stopsAfterEffect  = "stops in node after its effect"
	thoughtDead       = "lives on at an append, and is thought to be dead"
)

// pause is the time in which a process stands still. The mutex of the process guards
// when it begins, that of the world when it ends.
type pause struct {
	stopped  chan struct{} // closed when it begins
	thawed   chan struct{} // closed when it is over
	begun    bool
	over     bool
	still    int  // how many appends of others it lasts yet
	tireless bool // it stops no more: it releases letters
}

func newPause() pause { return pause{stopped: make(chan struct{}), thawed: make(chan struct{})} }

// isStopped reports whether another process goes on in the place of p.
func (p *process) isStopped() bool {
	select {
	case <-p.stopped:
		return true
	default:
		return false
	}
}

// isGone likewise, or whether it is dead.
func (p *process) isGone() bool { return p.isStopped() || p.isDead() }

// pass waits while the process stands still.
func (p *process) pass() {
	if p.isStopped() {
		<-p.thawed
	}
}

// nextAppend returns the number of one that the process begins.
func (p *process) nextAppend() int {
	p.pass()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.appends++
	return p.appends
}

// nextInvocation likewise.
func (p *process) nextInvocation() int {
	p.pass()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.invocations++
	return p.invocations
}

// stopAt has the process stop where it is to, at its n-th append or invocation. It
// returns when it goes on.
func (p *process) stopAt(how string, n int, may bool) {
	p.mu.Lock()
	here := may && !p.begun && !p.tireless && n >= p.At && p.At > 0 && (p.How == how || p.How == thoughtDead && how == stopsBeforeAppend)
	if here {
		p.begun, p.still = true, p.Until
		if p.How == thoughtDead {
			p.over = true
			close(p.thawed)
		}
		close(p.stopped)
	}
	p.mu.Unlock()
	p.pass()
}

// ownership is which process had a run last, and since which version of its log.
type ownership struct {
	process *process
	epoch   resilience.Version
}

// isRun reports whether a key is that of the log of a run.
func isRun(key string) bool { return strings.HasPrefix(key, "run/") }

// append appends for a process, and notes who has which run.
func (w *world) append(ctx context.Context, log resilience.Log, p *process, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, err := log.Append(ctx, key, after, body)
	if errors.Is(err, resilience.ErrConflict) && isRun(key) && w.fault == faultNoFence {
		v, err = w.appendAnyway(ctx, log, key, body)
	}
	if !isRun(key) {
		return v, err
	}
	for _, other := range w.all {
		if other != p {
			other.thawAfter(1)
		}
	}
	takes := bytes.Contains(body, []byte(`"k":"start"`)) || bytes.Contains(body, []byte(`"k":"own"`)) && !bytes.Contains(body, []byte(`"released":true`))
	if err == nil && takes {
		id := key[strings.LastIndexByte(key, '/')+1:]
		if before := w.owners[id].process; before != nil && before != p {
			w.taken++
		}
		w.owners[id] = ownership{p, v}
	}
	return v, err
}

// appendAnyway is the log of a fault, which lets everybody append.
func (w *world) appendAnyway(ctx context.Context, log resilience.Log, key string, body []byte) (resilience.Version, error) {
	var last resilience.Version
	for r := range log.Scan(ctx, key, 0) {
		last = r.Version
	}
	return log.Append(ctx, key, last, body)
}

// thawAfter lets a process that stands still go on, if so many appends of others were
// the last ones. The mutex of the world is held.
func (p *process) thawAfter(appends int) {
	if !p.isStopped() {
		return
	}
	if p.still -= appends; p.still == 0 && !p.over {
		p.over = true
		close(p.thawed)
	}
}

// checkEpoch holds what a node is told of who has its run against who has it: the epoch
// is that of the owner in his nodes alone. The mutex of the world is held.
func (w *world) checkEpoch(info workflow.RunInfo, p *process) {
	owner, epoch := w.owners[info.Run], resilience.Version(info.Epoch)
	switch {
	case epoch > owner.epoch, epoch == owner.epoch && owner.process != p:
		w.wrong = append(w.wrong, fmt.Sprintf("Epoch: %s has %d in a process, and another one has the run since %d", info.Node, epoch, owner.epoch))
	case epoch < owner.epoch && owner.process == p:
		w.wrong = append(w.wrong, fmt.Sprintf("Epoch: %s has %d, and the process has the run since %d", info.Node, epoch, owner.epoch))
	}
}

// leave lets all processes but one that stand still go on, and waits until they are done:
// until they have done all that they can do now, and then they die.
func (w *world) leave(but *process) {
	w.mu.Lock()
	others := append([]*process(nil), w.all...)
	for _, p := range others {
		if !p.over && p != but && p.isStopped() {
			p.over = true
			close(p.thawed)
		}
	}
	w.mu.Unlock()
	for _, p := range others {
		if p == but {
			continue
		}
		select {
		case <-p.done:
		case <-time.After(time.Millisecond):
			p.kill()
			<-p.done
		}
	}
	if but != nil {
		but.mu.Lock()
		but.tireless = true
		but.mu.Unlock()
	}
}

// Scan waits while the process stands still.
func (l *mortalLog) Scan(ctx context.Context, key string, after resilience.Version) iter.Seq2[resilience.Record, error] {
	l.process.pass()
	return l.Log.Scan(ctx, key, after)
}

// Heads waits while the process stands still.
func (l *mortalLog) Heads(ctx context.Context, prefix, from string) iter.Seq2[resilience.Record, error] {
	l.process.pass()
	return l.Log.Heads(ctx, prefix, from)
}
