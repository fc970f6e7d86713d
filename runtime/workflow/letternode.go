package workflow

import (
	"cmp"
	"context"
	"fmt"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// A letter says what its node was called when the message failed. What the node is
// called now the run knows, which may have gone through several graphs since; so it is
// asked, and the letter stays what it is.

// nodeMoved is the Moved of the letters of the nodes.
func (e *engine) nodeMoved(node string) bool {
	return e.nodes[node] == nil || e.rt.Attached(renamedKey(e.g.storeName(), node)) != nil
}

// nodeNow is the Now of the letters of the nodes: it judges the message as the run will
// when it goes on.
func (e *engine) nodeNow(ctx context.Context, lr resilience.LetterRun, _ string) (now resilience.NodeNow, err error) {
	stores, err := e.rt.Stores()
	if err != nil {
		return now, err
	}
	s, err := newRunLog(stores.Log, e.g.runKey(lr.ID)).read(ctx)
	if err != nil {
		return now, fmt.Errorf("run %s: %w", lr.ID, err)
	}
	moves := &Moves{}
	if s.Graph.Fingerprint != e.g.Fingerprint {
		moves = movesOf(e.rt, e.g.storeName(), s.Graph.Fingerprint)
	}
	h := cmp.Or(s.Letters[lr.Message], s.Again[lr.Message], s.Discarded[lr.Message])
	if h == nil { // it was done meanwhile: any node hands it to the run, which says so
		return resilience.NodeNow{Node: e.g.Entry, Carried: true}, nil
	}
	now.Node = cmp.Or(moves.Rename[h.Node], h.Node)
	j := &judgement{e: e, s: s, old: s.Graph, moves: moves}
	now.Carried = j.carries(h, now.Node)
	return now, nil
}

// carries reports whether the messages of an invocation that failed are, or become, what
// a node takes.
func (j *judgement) carries(h *held, name string) bool {
	n := j.e.nodes[name]
	if n == nil {
		return false
	}
	j.held(h, false)
	became := map[string]*message{}
	for _, m := range j.replace {
		became[m.ID] = m
	}
	for _, m := range h.Messages {
		m = cmp.Or(became[m.ID], m)
		codec := n.takes(m.From)
		if codec == nil {
			continue
		}
		if _, err := codec.take(m.Value); err != nil {
			return false
		}
	}
	return true
}
