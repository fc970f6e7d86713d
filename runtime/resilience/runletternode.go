package resilience

import (
	"context"
	"fmt"
	"strings"
)

// NodeNow is how a letter of a run stands to the nodes that its workflow has now.
type NodeNow struct {
	Node string // what its node is called
	// Carried: the run has, or makes when it goes on, what the node takes now of the
	// message itself, so that it needs no arguments of the letter.
	Carried bool
}

// methodOf is methodFor for a letter, whose node may be called otherwise by now. carried
// is as in [NodeNow].
func (b *LetterBox) methodOf(ctx context.Context, l *Letter) (m *letterMethod, carried bool, err error) {
	now := NodeNow{Node: l.Call.Method}
	if n := b.nodeMoved(l.Call.Sig, l.Call.Interface, now.Node); n != nil && l.Run != nil {
		if now, err = n.Now(ctx, *l.Run, now.Node); err != nil {
			return nil, false, fmt.Errorf("letter %s: the node that it is of now: %w", l.ID, err)
		}
	}
	m, err = b.methodFor(l.Call.Interface, now.Node, l.Call.Instance)
	return m, now.Carried, err
}

// methodOfListed is methodOf for a letter of which the list is known. A letter is read
// only where its node may be called otherwise.
func (b *LetterBox) methodOfListed(ctx context.Context, s *LetterSummary) (*letterMethod, error) {
	if b.nodeMoved(s.Sig, s.Interface, s.Method) == nil {
		return b.methodFor(s.Interface, s.Method, s.Instance)
	}
	l, err := b.Get(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	m, _, err := b.methodOf(ctx, &l)
	return m, err
}

// nodeMoved returns who knows what a node is called now, nil where it is called what it
// was.
func (b *LetterBox) nodeMoved(sig, workflow, node string) *NodeMethod {
	if !strings.HasPrefix(sig, runSig) {
		return nil
	}
	b.mu.Lock()
	n := b.workflows[workflow]
	b.mu.Unlock()
	if n == nil || n.Moved == nil || !n.Moved(node) {
		return nil
	}
	return n
}

// knowsWorkflow keeps what all nodes of a workflow have in common.
func (b *LetterBox) knowsWorkflow(n *NodeMethod) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.workflows == nil {
		b.workflows = map[string]*NodeMethod{}
	}
	b.workflows[n.Workflow] = n
}

// rouseRun has somebody go on with the run of a letter that was told of it, if this
// process knows how.
func (b *LetterBox) rouseRun(ctx context.Context, l *Letter) {
	if l.Run == nil {
		return
	}
	b.mu.Lock()
	n := b.workflows[l.Run.Workflow]
	b.mu.Unlock()
	if n != nil && n.Discarded != nil {
		n.Discarded(ctx, *l.Run, l.newsID())
	}
}
