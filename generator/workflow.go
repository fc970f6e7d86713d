package generator

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
	"time"

	"golang.org/x/tools/go/types/typeutil"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// graph is a workflow that is being proved.
type graph struct {
	all   *resolution
	r     *resolver
	in    *policy.Workflow
	out   *templates.Workflow
	face  *goInterface
	nodes []*node
	named map[string]*node
	// bare are the types about which JSON has been asked.
	bare typeutil.Map
	// done says that nodes have their shapes.
	done bool
}

// node is a node of a [graph].
type node struct {
	*policy.Node
	out    *templates.Node
	method *types.Func // nil if the node is none, or there is none
	params []nodeParam
	result types.Type // nil: none
	routes bool
	// broken says that its shape is not what a node has: that was said, and nothing
	// that follows from it is.
	broken bool
	child  *graph
	pipe   *pipeline
	way    course
}

// nodeParam is what a node takes, at a place in the source.
type nodeParam struct {
	name string
	t    types.Type
}

// graphs resolves the workflows and pipelines of all files.
func (all *resolution) graphs() {
	for _, r := range all.resolvers {
		for _, p := range r.pipelines {
			p.prove()
		}
	}
	var list []*graph
	for _, r := range all.resolvers {
		list = append(list, r.graphs...)
	}
	for _, g := range list {
		g.all = all
		g.children(list)
	}
	for _, g := range list {
		g.cyclic()
	}
	for _, g := range list {
		g.shape()
	}
	for _, g := range list {
		g.prove()
	}
	if all.failed() {
		return // nothing of it is generated
	}
	for i, r := range all.resolvers {
		r.declareWorkflows(all.files[i])
	}
	for i, r := range all.resolvers {
		r.nameWorkflows(all.files[i])
		all.files[i].Imports = r.names.list()
	}
}

// newGraph begins with a workflow. Its handlers are wrapped.
func (r *resolver) newGraph(w *policy.Workflow, face *goInterface, wrapper *templates.Wrapper) *graph {
	g := &graph{r: r, in: w, face: face, named: map[string]*node{}}
	g.out = &templates.Workflow{Name: w.Name, Source: enumerate(w.Interface.Sources), Wrapper: wrapper, Entry: w.Entry.Text}
	for _, n := range w.Nodes {
		node := &node{Node: n, out: &templates.Node{Name: n.Name.Text, Value: -1, Route: -1}}
		g.nodes = append(g.nodes, node)
		g.named[n.Name.Text] = node
		g.out.Nodes = append(g.out.Nodes, node.out)
	}
	return g
}

// fail complains of the graph. node is the name of the node that it is about, ""
// for none.
func (g *graph) fail(pos policy.Pos, id, node, format string, args ...any) {
	key := g.in.Name
	if node != "" {
		key += "." + node
	}
	g.r.complain(pos, id, key, fmt.Sprintf(format, args...))
}

// Numbers of what is found in graphs.
const (
	wiring   = "RG0A0"
	payload  = "RG0A1"
	waiting  = "RG0A2"
	endless  = "RG0A3"
	several  = "RG0A4"
	onlySent = "RG0A5"
)

// at says where a method or an interface is declared, " (p.go:7:2)", as far as that is known.
func (r *resolver) at(obj types.Object) string {
	if obj == nil {
		return ""
	}
	if place := r.pkg.place(obj.Pos()); place != "" {
		return " (" + place + ")"
	}
	return ""
}

// handlers is the interface of the handlers as messages name it.
func (r *resolver) handlers(face *goInterface) string {
	named, ok := types.Unalias(face.typ).(interface{ Obj() *types.TypeName })
	if !ok {
		return face.name
	}
	return face.name + r.at(named.Obj())
}

// names are those of the nodes.
func (g *graph) names() []string {
	var list []string
	for _, n := range g.nodes {
		list = append(list, n.Name.Text)
	}
	return list
}

// suggest says what was meant by the name of no node. A graph of hundreds of
// nodes, each of which names many, is written by nobody.
func (g *graph) suggest(name string, others ...string) string {
	if len(g.nodes) > 100 {
		return ""
	}
	return hint(name, append(g.names(), others...))
}

// children finds what the nodes that are no methods stand for.
func (g *graph) children(list []*graph) {
	var names []string
	for _, other := range list {
		names = append(names, other.in.Name)
	}
	for _, n := range g.nodes {
		switch {
		case n.Workflow.Text != "":
			i := slices.Index(names, n.Workflow.Text)
			if i < 0 {
				g.fail(n.Workflow.Pos, wiring, n.Name.Text, "there is no workflow %s%s", n.Workflow.Text, hint(n.Workflow.Text, names))
				n.broken = true
				continue
			}
			n.child, n.out.Child = list[i], list[i].out
		case n.Pipeline.Text != "":
			g.pipelineOf(n)
		}
	}
}

func (g *graph) pipelineOf(n *node) {
	var names []string
	for _, r := range g.all.resolvers {
		for _, p := range r.pipelines {
			if names = append(names, p.in.Name); p.in.Name == n.Pipeline.Text {
				n.pipe, n.out.Pipeline = p, p.out
				n.broken = p.out.Input.Type == nil || p.out.Output.Type == nil
				return
			}
		}
	}
	g.fail(n.Pipeline.Pos, wiring, n.Name.Text, "there is no pipeline %s%s", n.Pipeline.Text, hint(n.Pipeline.Text, names))
	n.broken = true
}

// cyclic refuses children that have the workflow for a child, and leaves them out.
func (g *graph) cyclic() {
	for _, n := range g.nodes {
		if n.child == nil {
			continue
		}
		if way := g.wayTo(n.child, map[*graph]bool{}); way != nil {
			g.fail(n.Workflow.Pos, wiring, n.Name.Text, "a run would be its own child, without an end: %s", strings.Join(append([]string{g.in.Name}, way...), " → "))
			n.child, n.broken = nil, true
		}
	}
}

// wayTo returns the names of workflows from one to g by way of children, nil if
// there is no way.
func (g *graph) wayTo(from *graph, seen map[*graph]bool) []string {
	if from == g {
		return []string{g.in.Name}
	}
	seen[from] = true
	for _, n := range from.nodes {
		if n.child == nil || seen[n.child] {
			continue
		}
		if way := g.wayTo(n.child, seen); way != nil {
			return append([]string{from.in.Name}, way...)
		}
	}
	return nil
}

// shape finds out what each node takes and returns, those of children first.
func (g *graph) shape() {
	if g.done {
		return
	}
	g.done = true
	g.unhandled()
	for _, n := range g.nodes {
		switch {
		case n.child != nil:
			n.child.shape()
			n.inherit(n.child)
		case n.pipe != nil && !n.broken:
			n.params = []nodeParam{{"input", n.pipe.out.Input.Type}}
			n.result = n.pipe.out.Output.Type
		case n.IsMethod():
			g.methodOf(n)
		}
	}
	for _, n := range g.nodes {
		if n.Signal.Text != "" {
			g.signal(n)
		}
	}
	g.ends()
}

// inherit takes over the input and the output of a child.
func (n *node) inherit(child *graph) {
	in, out := child.out.Input.Type, child.out.Output.Type
	if n.broken = in == nil || out == nil; n.broken {
		return
	}
	if child.out.OutputAll {
		out = types.NewSlice(out)
	}
	n.params, n.result = []nodeParam{{"input", in}}, out
}

// unhandled reports methods of the handlers that are no nodes.
func (g *graph) unhandled() {
	for _, m := range g.face.methods {
		if n := g.named[m.Name()]; n == nil {
			g.fail(g.in.Pos, wiring, "", "the method %s of %s%s is no node: add it to nodes, or take it out of the interface", m.Name(), g.face.name, g.r.at(m))
		} else if !n.IsMethod() {
			g.fail(n.Name.Pos, wiring, m.Name(), "is no method, and %s has one%s: take it out of the interface, or give the node another name", g.face.name, g.r.at(m))
		}
	}
}

// ends finds the input and the output.
func (g *graph) ends() {
	if entry := g.named[g.in.Entry.Text]; entry != nil && !entry.broken && len(entry.params) == 1 && entry.WaitFor == nil {
		g.out.Input = payloadOf(entry.params[0].t)
	}
	g.out.OutputAll = g.in.Str("workflows.output") == "all"
	var first *node
	for _, n := range g.nodes {
		if !n.goesTo(policy.End) || n.broken {
			continue
		}
		if first == nil {
			first, g.out.Output = n, payloadOf(resultOf(n))
			continue
		}
		if !same(resultOf(first), resultOf(n)) {
			g.fail(n.NextPos, wiring, n.Name.Text, "the results of all nodes that go to %s are the output, of one type: %s returns %s%s, and %s returns %s%s", policy.End,
				first.Name.Text, g.article(first.result), g.place(first), n.Name.Text, g.article(n.result), g.place(n))
		}
	}
}

// resultOf is what a node gives to the end: struct{} if it has no result.
func resultOf(n *node) types.Type {
	if n.result == nil {
		return types.NewStruct(nil, nil)
	}
	return n.result
}

// same reports whether two types are one: what two packages were loaded from may
// differ, the types they mean do not.
func same(a, b types.Type) bool {
	return types.Identical(a, b) || types.TypeString(types.Unalias(a), nil) == types.TypeString(types.Unalias(b), nil)
}

func payloadOf(t types.Type) templates.Payload { return templates.Payload{Type: t, Shape: shapeOf(t)} }

// place says where the method of a node is declared.
func (g *graph) place(n *node) string {
	if n.method == nil {
		return ""
	}
	return g.r.at(n.method)
}

// called is a node as messages name it, with the place of its method.
func (g *graph) called(n *node) string { return n.Name.Text + g.place(n) }

// article names a type in a sentence.
func (g *graph) article(t types.Type) string {
	if t == nil {
		return "nothing"
	}
	return g.r.text(t)
}

// stands is what a node is that is no method.
func (n *node) stands() string {
	if n.Workflow.Text != "" {
		return "the workflow " + n.Workflow.Text
	}
	return "the pipeline " + n.Pipeline.Text
}

func (n *node) goesTo(name string) bool {
	return slices.ContainsFunc(n.Next, func(to policy.Name) bool { return to.Text == name })
}

// prove checks everything, and fills in what is generated.
func (g *graph) prove() {
	g.entry()
	for _, n := range g.nodes {
		g.successors(n)
		g.join(n)
		g.carried(n)
	}
	if g.out.Output.Type != nil && g.out.Input.Type != nil {
		g.json(g.in.Entry.Pos, "", "the input", g.out.Input.Type, "input")
	}
	g.reachable()
	if !g.r.full() {
		g.cycles()
		g.flows()
	}
	g.signals()
	g.roles()
	g.schedules()
	g.perKey()
	g.fill()
}

func (g *graph) entry() {
	entry := g.named[g.in.Entry.Text]
	switch {
	case g.in.Entry.Text == "":
	case entry == nil:
		g.fail(g.in.Entry.Pos, wiring, "", "the entry %s is no node%s", g.in.Entry.Text, hint(g.in.Entry.Text, g.names()))
	case entry.broken:
	case entry.WaitFor != nil:
		g.fail(g.in.Entry.Pos, wiring, "", "the entry %s waits for %s, and gets the input of the run: let it be a node that waits for nothing", g.called(entry), nodeNames(entry.WaitFor))
	case entry.Signal.Text != "":
		g.fail(g.in.Entry.Pos, wiring, "", "the entry %s waits for a signal, and gets the input of the run: let it be a node that takes one", entry.Name.Text)
	case len(entry.params) == 0:
		g.fail(g.in.Entry.Pos, wiring, "", "the entry %s%s takes nothing: its parameter is the input of a run; take a struct{} if there is none", entry.Name.Text, g.place(entry))
	}
}

func nodeNames(list []policy.Name) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = n.Text
	}
	return enumerate(words)
}

// successors checks next, and that what follows takes the result.
func (g *graph) successors(n *node) {
	if !n.NextPos.IsValid() {
		g.fail(n.Name.Pos, wiring, n.Name.Text, "%s has no next: write next: [%s] if the branch ends here", g.called(n), policy.End)
		return
	}
	for _, to := range n.Next {
		target := g.named[to.Text]
		switch {
		case g.r.full():
			return
		case to.Text == policy.End:
		case target == nil:
			g.fail(to.Pos, wiring, n.Name.Text, "next of %s: there is no node %s%s", g.called(n), to.Text, g.suggest(to.Text, policy.End))
		case target.WaitFor != nil:
			if !slices.ContainsFunc(target.WaitFor, func(w policy.Name) bool { return w.Text == n.Name.Text }) {
				g.fail(to.Pos, wiring, n.Name.Text, "next: %s waits for %s, at %s, and not for %s: add it there, or take %s out of next", g.called(target), nodeNames(target.WaitFor), target.WaitPos, g.called(n), to.Text)
			}
		case n.broken || target.broken || target.Signal.Text != "" || len(target.params) == 0:
		case n.result == nil && n.routes:
			n.out.SendOnly = append(n.out.SendOnly, to.Text)
		case n.result == nil:
			g.fail(to.Pos, wiring, n.Name.Text, "next: %s takes %s%s, and %s returns nothing%s", to.Text, g.article(target.params[0].t), g.place(target), n.Name.Text, g.place(n))
		case assignable(n.result, target.params[0].t):
		case n.routes:
			n.out.SendOnly = append(n.out.SendOnly, to.Text)
			g.onlySent(n, to, target, target.params[0].t)
		default:
			g.fail(to.Pos, wiring, n.Name.Text, "next: %s takes %s%s, and %s returns %s%s", to.Text, g.article(target.params[0].t), g.place(target), n.Name.Text, g.article(n.result), g.place(n))
		}
	}
}

// onlySent warns of a successor that a route cannot simply name: it takes another
// type.
func (g *graph) onlySent(n *node, at policy.Name, target *node, takes types.Type) {
	for _, of := range g.r.guarded {
		if of.iface != g.in.Interface {
			continue
		}
		for _, e := range of.methods {
			if e.Method == n.Name.Text {
				g.r.judge(e, at.Pos, onlySent, g.in.Name+"."+n.Name.Text, fmt.Sprintf("next: %s takes %s%s, and %s returns %s%s: only workflow.Send reaches it", target.Name.Text, g.article(takes), g.place(target), n.Name.Text, g.article(n.result), g.place(n)))
			}
		}
	}
}

// assignable reports whether a value of type t can be given where want is wanted.
func assignable(t, want types.Type) bool { return types.AssignableTo(t, want) || same(t, want) }

// join checks that what a node waits for comes, and that it takes it.
func (g *graph) join(n *node) {
	if n.WaitFor == nil {
		return
	}
	fits := !n.broken && len(n.params) == len(n.WaitFor)
	if !fits && !n.broken {
		g.fail(n.WaitPos, wiring, n.Name.Text, "waitFor: %s takes one value, %s, and waits for %s: let it follow a node that makes one of them", n.stands(), g.article(n.params[0].t), nodeNames(n.WaitFor))
	}
	for i, w := range n.WaitFor {
		from := g.named[w.Text]
		switch {
		case g.r.full():
			return
		case from == nil:
			g.fail(w.Pos, wiring, n.Name.Text, "waitFor of %s: there is no node %s%s", g.called(n), w.Text, g.suggest(w.Text))
			continue
		case !from.goesTo(n.Name.Text):
			g.fail(w.Pos, waiting, n.Name.Text, "waitFor: %s never comes, since it is not followed by %s: add it to its next, at %s", g.called(from), g.called(n), first(from.NextPos, from.Name.Pos))
		}
		switch {
		case !fits || from.broken:
		case from.result == nil && from.routes && n.MayMiss() && !isPointer(types.Unalias(n.params[i].t)):
			g.fail(w.Pos, wiring, n.Name.Text, "waitFor: it may go on without %s, so parameter %d of %s%s must be a pointer; have %s", w.Text, i+1, n.Name.Text, g.place(n), g.article(n.params[i].t))
		case from.result == nil && from.routes:
			from.out.SendOnly = append(from.out.SendOnly, n.Name.Text)
		case from.result == nil:
			g.fail(w.Pos, wiring, n.Name.Text, "waitFor: %s returns nothing%s, and %s has a parameter for it%s: return something, or let %[1]s stand before a node that does", w.Text, g.place(from), n.Name.Text, g.place(n))
		default:
			g.joined(n, i, from)
		}
	}
}

func first(a, b policy.Pos) policy.Pos {
	if a.IsValid() {
		return a
	}
	return b
}

// joined checks the parameter for one of the results that a join waits for.
func (g *graph) joined(n *node, i int, from *node) {
	p, w := n.params[i], n.WaitFor[i]
	pointer := isPointer(types.Unalias(p.t))
	switch fits := assignable(from.result, p.t) || n.MayMiss() && pointer && assignable(from.result, elem(types.Unalias(p.t))); {
	case fits && (pointer || !n.MayMiss()):
		return
	case from.routes && (pointer || !n.MayMiss()):
		from.out.SendOnly = append(from.out.SendOnly, n.Name.Text)
		g.onlySent(from, w, n, p.t)
		return
	case !n.MayMiss():
		g.fail(w.Pos, wiring, n.Name.Text, "waitFor: parameter %d of %s%s is %s, and %s returns %s%s", i+1, n.Name.Text, g.place(n), g.article(p.t), w.Text, g.article(from.result), g.place(from))
		return
	}
	want := from.result
	if !isPointer(types.Unalias(want)) {
		want = types.NewPointer(want)
	}
	g.fail(w.Pos, wiring, n.Name.Text, "waitFor: it may go on without %s, so parameter %d of %s%s must be %s; have %s", w.Text, i+1, n.Name.Text, g.place(n), g.article(want), g.article(p.t))
}

// carried checks that JSON brings back what the node takes and returns.
func (g *graph) carried(n *node) {
	if n.broken {
		return
	}
	for _, p := range n.params {
		g.json(n.Name.Pos, n.Name.Text, "the argument "+p.name+g.place(n), p.t, p.name)
	}
	if n.result != nil {
		g.json(n.Name.Pos, n.Name.Text, "the result"+g.place(n), n.result, rootOf(n.result, ""))
	}
}

// json refuses a type that JSON does not bring back, once.
func (g *graph) json(pos policy.Pos, node, what string, t types.Type, at string) {
	if g.bare.Set(t, true) != nil {
		return
	}
	if path, reason, ok := carry(t, at, leftOut); !ok {
		g.fail(pos, payload, node, "%s would not come back from the record of a step as it was: %s: %s", what, path, reason)
	}
}

// roles checks roles and what they must not hand over.
func (g *graph) roles() {
	of := map[string]policy.Name{} // node → its role
	known := map[string]bool{}
	for _, role := range g.in.Roles {
		known[role.Name.Text] = true
		for _, n := range role.Nodes {
			if g.r.full() {
				return
			}
			other, twice := of[n.Text]
			switch {
			case g.named[n.Text] == nil:
				g.fail(n.Pos, wiring, "", "roles.%s: there is no node %s%s", role.Name.Text, n.Text, g.suggest(n.Text))
			case twice:
				g.fail(n.Pos, wiring, n.Text, "roles.%s: %s is %s already, at %s: a node has one role", role.Name.Text, g.called(g.named[n.Text]), other.Text, other.Pos)
			default:
				of[n.Text] = role.Name
				g.named[n.Text].out.Role = role.Name.Text
			}
		}
	}
	for _, f := range g.in.Forbid {
		for _, role := range []policy.Name{f.From, f.To} {
			if !known[role.Text] {
				g.fail(role.Pos, wiring, "", "forbid: there is no role %s%s", role.Text, hint(role.Text, g.roleNames()))
			}
		}
		g.forbidden(f, of)
	}
}

func (g *graph) roleNames() []string {
	var list []string
	for _, role := range g.in.Roles {
		list = append(list, role.Name.Text)
	}
	return list
}

// forbidden reports edges that must not be.
func (g *graph) forbidden(f policy.Handoff, of map[string]policy.Name) {
	for _, n := range g.nodes {
		for _, to := range n.Next {
			if from := of[n.Name.Text].Text; from != "" && from == f.From.Text && of[to.Text].Text == f.To.Text && !g.r.full() {
				g.fail(to.Pos, wiring, n.Name.Text, "next: %s hands over to %s, which %s -> %s forbids, at %s", g.called(n), g.called(g.named[to.Text]), f.From.Text, f.To.Text, f.From.Pos)
			}
		}
	}
}

func (g *graph) schedules() {
	for _, s := range g.in.Schedules {
		key := "schedules." + s.Name.Text
		out := templates.Schedule{
			Name: s.Name.Text, Every: s.Dur("workflows.schedules.every"), Cron: s.Str("workflows.schedules.cron"), TimeZone: s.Str("workflows.schedules.timeZone"),
			CatchUp: s.Str("workflows.schedules.catchUp"), Overlap: s.Str("workflows.schedules.overlap"),
		}
		if v, ok := s.Given("workflows.schedules.timeZone"); ok {
			if _, err := time.LoadLocation(out.TimeZone); err != nil || out.TimeZone == "Local" {
				g.fail(v.Pos, wiring, "", "%s.timeZone: there is no time zone %s: want a name of the IANA database, like Europe/Berlin", key, out.TimeZone)
			}
		}
		if v, ok := s.Given("workflows.schedules.input"); ok && g.out.Input.Type != nil {
			out.Input, out.Fails = g.inputFunc(key, v.V.(policy.Name))
		}
		g.out.Schedules = append(g.out.Schedules, out)
	}
}

// inputFunc resolves the func that makes the input of a scheduled run.
func (g *graph) inputFunc(key string, name policy.Name) (types.Object, bool) {
	obj, why := g.r.pkg.lookup(name)
	if why != "" {
		g.fail(name.Pos, wiring, "", "%s.input: %s: %s", key, name.Text, why)
		return nil, false
	}
	result := types.NewParam(0, nil, "", g.out.Input.Type)
	plain := types.NewSignatureType(nil, nil, nil, nil, types.NewTuple(result), false)
	fails := types.NewSignatureType(nil, nil, nil, nil, types.NewTuple(result, types.NewParam(0, nil, "", types.Universe.Lookup("error").Type())), false)
	switch {
	case g.r.same(obj, plain):
		return g.r.use(obj), false
	case g.r.same(obj, fails):
		return g.r.use(obj), true
	}
	g.fail(name.Pos, wiring, "", "%s.input: %s: want %s, the input of %s%s; have %s%s", key, name.Text, g.r.text(plain), g.in.Entry.Text, g.place(g.named[g.in.Entry.Text]), g.r.text(obj.Type()), g.r.at(obj))
	return nil, false
}

// perKey resolves the expression over the input.
func (g *graph) perKey() {
	v, ok := g.in.Given("workflows.runs.perKey")
	if !ok {
		if limit, alone := g.in.Given("workflows.runs.max"); alone {
			g.fail(limit.Pos, wiring, "", "runs.max: acts only beside perKey")
		}
		return
	}
	if g.out.Input.Type == nil {
		return
	}
	sig := types.NewSignatureType(nil, nil, nil, types.NewTuple(types.NewParam(0, nil, "input", g.out.Input.Type)), nil, false)
	x, why := g.r.expression(v.V.(string), sig, wantString)
	if why != "" {
		g.fail(v.Pos, "RG092", "", "runs.perKey: %q: %s", v.V, why)
		return
	}
	g.out.Runs.PerKey = x
}
