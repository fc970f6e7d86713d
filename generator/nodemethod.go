package generator

import (
	"fmt"
	"go/types"
	"strings"

	"github.com/resilgen/resilgen/generator/policy"
)

// methodOf finds the method of a node, and what it takes and returns.
func (g *graph) methodOf(n *node) {
	for i, m := range g.face.methods {
		if m.Name() == n.Name.Text {
			n.method, n.out.Method = m, g.out.Wrapper.Methods[i]
		}
	}
	if n.method == nil {
		n.broken = true
		g.fail(n.Name.Pos, wiring, n.Name.Text, "%s has no method %s%s", g.r.handlers(g.face), n.Name.Text, hint(n.Name.Text, methodNames(g.face)))
		return
	}
	sig := n.method.Signature()
	if why := n.read(sig); why != "" {
		n.broken = true
		g.fail(n.Name.Pos, wiring, n.Name.Text, "the method%s %s: want %s; have %s", g.r.at(n.method), why, g.wanted(n), g.r.text(unnamedSignature(sig)))
	}
}

func methodNames(face *goInterface) []string {
	var list []string
	for _, m := range face.methods {
		list = append(list, m.Name())
	}
	return list
}

// read takes a signature apart, and says why it is not that of a node.
func (n *node) read(sig *types.Signature) string {
	in, out := sig.Params(), sig.Results()
	switch last := out.Len() - 1; {
	case in.Len() == 0 || contextIndex(types.NewSignatureType(nil, nil, nil, types.NewTuple(in.At(0)), nil, false)) != 0:
		return "takes no context first"
	case sig.Variadic():
		return "is variadic, and a node takes one value for each parameter"
	case last < 0 || errorIndex(sig) != last:
		return "returns no error last"
	case last > 0 && isRoute(out.At(last-1).Type()):
		n.routes, n.out.Route = true, last-1
		if last > 2 {
			return "returns more than one value beside its route"
		}
		n.valueOf(out, last-1)
	case last > 1:
		return "returns more than one value"
	default:
		n.valueOf(out, last)
	}
	if n.result != nil && isRoute(n.result) {
		return "returns its route before its value"
	}
	for i, name := range paramNames(sig) {
		if i > 0 {
			n.params = append(n.params, nodeParam{name, in.At(i).Type()})
		}
	}
	switch {
	case n.WaitFor != nil && len(n.params) != len(n.WaitFor):
		return fmt.Sprintf("takes %d values beside its context, and waits for %d, %s", len(n.params), len(n.WaitFor), nodeNames(n.WaitFor))
	case n.WaitFor == nil && len(n.params) > 1:
		return "takes more than one value, and only a join does: waitFor says of which nodes"
	}
	return ""
}

// valueOf notes the result, if there is one before the route and the error.
func (n *node) valueOf(out *types.Tuple, before int) {
	if before > 0 {
		n.result, n.out.Value = out.At(0).Type(), 0
	}
}

// isRoute reports whether t is the type by which a node picks its successors.
func isRoute(t types.Type) bool {
	named, ok := types.Unalias(t).(*types.Named)
	return ok && named.Obj().Name() == "Route" && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == workflowPath
}

// wanted is what the method of a node looks like.
func (g *graph) wanted(n *node) string {
	var params []string
	for _, w := range n.WaitFor {
		text := "T"
		if from := g.named[w.Text]; from != nil && from.result != nil {
			text = g.r.text(from.result)
		}
		if n.MayMiss() && !strings.HasPrefix(text, "*") {
			text = "*" + text
		}
		params = append(params, text)
	}
	if n.WaitFor == nil {
		params = []string{"T"}
	}
	return "func(context.Context, " + strings.Join(params, ", ") + ") (U, error), or (U, workflow.Route, error)"
}

// signal finds out what a node returns that waits for a signal.
func (g *graph) signal(n *node) {
	t := g.signalType(n)
	if n.broken = t == nil; n.broken {
		return
	}
	n.result = t
	if n.Dur("workflows.nodes.signal.timeout") > 0 {
		n.result = types.NewPointer(t)
	}
}

// signals refuses signals of one name and several types: who sends one does not
// know which node waits for it.
func (g *graph) signals() {
	first := map[string]*node{}
	for _, n := range g.nodes {
		if n.Signal.Text == "" || n.broken {
			continue
		}
		other := first[n.Signal.Text]
		switch {
		case other == nil:
			first[n.Signal.Text] = n
		case !same(elem(types.Unalias(other.result)), elem(types.Unalias(n.result))):
			g.fail(n.Signal.Pos, wiring, n.Name.Text, "signal: %s is of type %s here, and of type %s for %s, at %s", n.Signal.Text, g.article(n.result), g.article(other.result), other.Name.Text, other.Signal.Pos)
		}
	}
}

// signalType is the type of what is sent: what the policy says, or else what the
// first successor takes. It is nil if neither is known, which was said.
func (g *graph) signalType(n *node) types.Type {
	if n.Type.Text != "" {
		obj, why := g.r.pkg.lookup(n.Type)
		name, ok := obj.(*types.TypeName)
		switch {
		case why != "":
			g.fail(n.Type.Pos, "RG092", n.Name.Text, "signal.type: %s: %s", n.Type.Text, why)
			return nil
		case !ok || isGeneric(name):
			g.fail(n.Type.Pos, "RG092", n.Name.Text, "signal.type: %s%s is not a type", n.Type.Text, g.r.at(obj))
			return nil
		}
		return g.r.use(name).Type()
	}
	late := n.Dur("workflows.nodes.signal.timeout") > 0
	for _, to := range n.Next {
		target := g.named[to.Text]
		if target == nil || target.Signal.Text != "" {
			continue
		}
		if target.broken {
			return nil // and that was said
		}
		t := g.taken(n, target)
		if t == nil {
			continue
		}
		p, isPointer := types.Unalias(t).(*types.Pointer)
		switch {
		case !late:
			return t
		case isPointer:
			return p.Elem()
		}
		g.fail(to.Pos, wiring, n.Name.Text, "next: the signal may not come in time, so %s%s must take a pointer; it takes %s", to.Text, g.place(target), g.article(t))
		return nil
	}
	g.fail(n.Signal.Pos, wiring, n.Name.Text, "signal: nothing says what is sent: add type, the name of a Go type")
	return nil
}

func isGeneric(obj *types.TypeName) bool {
	t, ok := obj.Type().(interface{ TypeParams() *types.TypeParamList })
	return ok && t.TypeParams().Len() > 0
}

// taken is what a successor takes of a node, nil if it takes nothing. A join that
// may go on without it takes a pointer to it.
func (g *graph) taken(n, target *node) types.Type {
	if target.WaitFor == nil {
		if len(target.params) == 0 {
			return nil
		}
		return target.params[0].t
	}
	for i, w := range target.WaitFor {
		if w.Text != n.Name.Text || i >= len(target.params) {
			continue
		}
		t := target.params[i].t
		if p, ok := types.Unalias(t).(*types.Pointer); ok && target.MayMiss() && n.Dur("workflows.nodes.signal.timeout") == 0 {
			return p.Elem()
		}
		return t
	}
	return nil
}

// runnersParts are what the runner does for every node, and why a node cannot have
// it for itself.
var runnersParts = [][2]string{
	{"deadLetter", "a message whose node finally failed becomes a letter by itself, in the queue that deadLetters of the workflow names"},
	{"checkpoint", "the result of every node is durable by itself, and a run goes on where it stopped"},
	{"cache", "a result belongs to the message that it is for: cache what the node calls"},
}

// refuseParts refuses what the runner does for every node, and a pipeline for its
// stages.
func (r *resolver) refuseParts(i *policy.Interface, e *policy.Effective) {
	for _, p := range runnersParts {
		part, why := p[0], p[1]
		switch {
		case !e.Has(part) || i.Pipeline != nil && part != "deadLetter":
			continue
		case i.Pipeline != nil:
			why = "a stage alone cannot be replayed: keep the call of the pipeline, or have it be a node of a workflow"
		}
		v, _ := e.Given(part)
		pos := v.Pos
		if !e.Own(part) {
			pos = e.Pos
			why += "; write " + part + ": none, since it comes from " + v.Origin
		}
		r.complain(pos, wiring, i.Key+"."+e.Method+"."+part, why)
		e.Drop(part, why)
	}
	if v, ok := e.Given("idempotent.key"); ok && i.Workflow != nil && !e.Generated() {
		r.complain(v.Pos, wiring, i.Key+"."+e.Method+".idempotent.key", "a node has the key of its message, in every attempt and after every crash: resilience.IdempotencyKey(ctx) returns it; key: generate has it assigned by into")
	}
}
