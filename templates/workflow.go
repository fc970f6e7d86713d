package templates

import (
	"go/types"
	"slices"
	"time"

	"github.com/dave/jennifer/jen"
)

const (
	workflowPath = "github.com/resilgen/resilgen/runtime/workflow"
	iterPath     = "iter"
)

func wf(name string) *jen.Statement { return jen.Qual(workflowPath, name) }

// several prints fields on lines of their own.
var several = jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}

// workflow prints the type, its constructor and what routes are made of.
func workflow(f *jen.File, path string, w *Workflow) {
	comment(f, w.Doc)
	f.Type().Id(w.Type).Struct(jen.Id(w.Vars.Engine).Op("*").Add(engineType(w, "Engine")))
	f.Line()
	comment(f, w.Result+" is how a run of ["+w.Type+"] ended.")
	f.Type().Id(w.Result).Op("=").Add(wf("Result").Types(typeOf(w.Output.Type)))
	f.Line()
	handle(f, w)
	routeTargets(f, w)
	workflowConstructor(f, path, w)
}

// routeTargets declares the constants by which nodes pick their successors.
func routeTargets(f *jen.File, w *Workflow) {
	nodes := slices.DeleteFunc(slices.Clone(w.Nodes), func(n *Node) bool { return n.Const == "" })
	if len(nodes) == 0 {
		return
	}
	comment(f, "What a node of ["+w.Type+"] may pick: each is named after its node, and has the type of what that takes.")
	f.Const().DefsFunc(func(g *jen.Group) {
		for _, n := range nodes {
			takes := jen.Id(w.Vars.Any)
			if len(n.Params) == 1 {
				takes = typeOf(n.Params[0].Type)
			}
			g.Id(n.Const).Add(wf("Target").Types(takes)).Op("=").Lit(n.Name)
		}
	})
	f.Line()
}

// engineType is a type of the runtime over what goes into w and comes out.
func engineType(w *Workflow, name string) *jen.Statement {
	return wf(name).Types(typeOf(w.Input.Type), typeOf(w.Output.Type))
}

// handle declares the type of a run that somebody executes, with a method for each
// signal.
func handle(f *jen.File, w *Workflow) {
	runtimes := wf("Handle").Types(typeOf(w.Output.Type))
	comment(f, w.Handle+" is a run of ["+w.Type+"], wherever it is executed.")
	if !w.signals() {
		f.Type().Id(w.Handle).Op("=").Add(runtimes)
		f.Line()
		return
	}
	f.Type().Id(w.Handle).Struct(runtimes)
	f.Line()
	for _, n := range w.Nodes {
		if n.SignalMethod == "" {
			continue
		}
		comment(f, n.SignalDoc)
		f.Func().Params(jen.Id(w.Vars.Handle).Id(w.Handle)).Id(n.SignalMethod).
			Params(jen.Id(w.Vars.Ctx).Qual(contextPath, "Context"), jen.Id(n.SignalVar).Add(typeOf(n.SignalType)), jen.Id(w.Vars.Options).Add(wf("SignalOptions"))).
			Add(typeOf(w.Error)).Block(jen.Return(
			jen.Id(w.Vars.Handle).Dot("Handle").Dot("Signal").Call(jen.Id(w.Vars.Ctx), jen.Lit(n.Signal), wf("Of").Call(jen.Id(n.SignalVar)), jen.Id(w.Vars.Options))))
		f.Line()
	}
}

func (w *Workflow) signals() bool {
	return slices.ContainsFunc(w.Nodes, func(n *Node) bool { return n.SignalMethod != "" })
}

// workflowConstructor prints the func that makes the graph.
func workflowConstructor(f *jen.File, path string, w *Workflow) {
	v := w.Vars
	var lines []jen.Code
	handlers, call := handlers(w.Wrapper, v.Runtime, v.Nodes, v.Fallback, v.Secondary)
	params := append([]jen.Code{jen.Id(v.Runtime).Op("*").Add(rt("Runtime"))}, handlers...)
	for _, c := range w.Children {
		params = append(params, jen.Id(c.Var).Op("*").Id(c.Type))
		lines = append(lines, jen.If(jen.Id(c.Var).Op("==").Nil()).Block(
			jen.Return(jen.Nil(), jen.Qual(errorsPath, "New").Call(jen.Lit("workflow "+w.Name+": the argument "+c.Var+" of its constructor is nil")))))
	}
	failed := jen.If(jen.Id(v.Err).Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Id(v.Err)))
	lines = append(lines,
		jen.List(jen.Id(v.Guarded), jen.Id(v.Err)).Op(":=").Add(call),
		failed,
		jen.List(jen.Id(v.Made), jen.Id(v.Err)).Op(":=").Add(engineType(w, "New")).Call(jen.Id(v.Runtime), graph(path, w)),
		failed,
		jen.Return(jen.Op("&").Id(w.Type).Values(jen.Id(v.Made)), jen.Nil()))
	comment(f, w.NewDoc)
	f.Func().Id(w.New).Params(params...).Params(jen.Op("*").Id(w.Type), typeOf(w.Error)).Block(lines...)
	f.Line()
}

// handlers are the parameters by which a constructor gets handlers, and the call
// that puts them under their policies.
func handlers(w *Wrapper, rt, nodes, fallback, second string) (params []jen.Code, call *jen.Statement) {
	params = []jen.Code{jen.Id(nodes).Add(typeOf(w.Iface))}
	args := []jen.Code{jen.Id(rt), jen.Id(nodes)}
	if w.Fallback != "" {
		params, args = append(params, jen.Id(fallback).Id(w.Fallback)), append(args, jen.Id(fallback))
	}
	if w.Secondary != "" {
		params, args = append(params, jen.Id(second).Id(w.Secondary)), append(args, jen.Id(second))
	}
	return params, jen.Id(w.New).Call(args...)
}

// entries are fields of a literal, those that are given.
type entries []jen.Code

func (e *entries) add(name string, value jen.Code) {
	*e = append(*e, jen.Id(name).Op(":").Add(value))
}

func (e *entries) lit(name string, value any) {
	switch value {
	case "", 0, 0.0, false:
		return
	}
	*e = append(*e, jen.Id(name).Op(":").Add(literalOf(value)))
}

// literalOf is a number, text or bool as a person writes it.
func literalOf(v any) *jen.Statement {
	if f, ok := v.(float64); ok {
		return value(f)
	}
	return jen.Lit(v)
}

func (e *entries) duration(name string, d time.Duration) {
	switch {
	case d < 0:
		e.add(name, wf("Forever"))
	case d > 0:
		e.add(name, duration(d))
	}
}

func (e *entries) texts(name string, list []string) {
	if len(list) > 0 {
		e.add(name, value(list))
	}
}

// graph is the literal of the graph.
func graph(path string, w *Workflow) *jen.Statement {
	var e, limits, checkpoint, retention entries
	e.lit("Name", w.Name)
	e.lit("Package", path)
	e.lit("Fingerprint", w.Fingerprint)
	e.lit("Entry", w.Entry)
	limits.lit("Invocations", w.Limits.Invocations)
	limits.duration("Duration", w.Limits.Duration)
	limits.lit("Cost", w.Limits.Cost)
	e.part("Limits", limits)
	e.lit("Concurrency", w.Concurrency)
	checkpoint.lit("Keep", w.Checkpoint.Keep)
	checkpoint.duration("Autosave", w.Checkpoint.Autosave)
	checkpoint.lit("NoResume", w.Checkpoint.NoResume)
	e.part("Checkpoint", checkpoint, "CheckpointPolicy")
	retention.duration("Completed", w.Retention.Completed)
	retention.duration("Failed", w.Retention.Failed)
	retention.duration("Parked", w.Retention.Parked)
	e.part("Retention", retention)
	e.lit("OutputAll", w.OutputAll)
	sharing(&e, w)
	e.add("Input", codec(w.Input.Type, w.Input.Shape))
	e.add("Output", codec(w.Output.Type, w.Output.Shape))
	nodes := make([]jen.Code, len(w.Nodes))
	for i, n := range w.Nodes {
		nodes[i] = node(w, n)
	}
	e.add("Nodes", jen.Index().Add(wf("Node")).Custom(several, nodes...))
	return wf("Graph").Custom(several, e...)
}

// part adds a struct that has fields, of the type of its name where there is no
// other.
func (e *entries) part(name string, fields entries, typ ...string) {
	if len(fields) > 0 {
		e.add(name, wf(append(typ, name)[0]).Values(fields...))
	}
}

// sharing adds who may send to whom, and what runs have in common.
func sharing(e *entries, w *Workflow) {
	if len(w.Roles) > 0 {
		list := make([]jen.Code, len(w.Roles))
		for i, r := range w.Roles {
			list[i] = jen.Values(jen.Id("Name").Op(":").Lit(r.Name), jen.Id("Nodes").Op(":").Add(value(r.Nodes)))
		}
		e.add("Roles", jen.Index().Add(wf("Role")).Custom(several, list...))
	}
	if len(w.Forbid) > 0 {
		list := make([]jen.Code, len(w.Forbid))
		for i, h := range w.Forbid {
			list[i] = jen.Values(jen.Id("From").Op(":").Lit(h.From), jen.Id("To").Op(":").Lit(h.To))
		}
		e.add("Forbid", jen.Index().Add(wf("Edge")).Values(list...))
	}
	if x := w.Runs.PerKey; x != nil {
		in := &Method{Params: []Var{{Name: w.Vars.Input, Type: w.Input.Type}}}
		e.add("PerKey", jen.Func().Params(jen.Id(w.Vars.In).Add(wf("Value"))).String().Block(
			jen.Id(w.Vars.Input).Op(":=").Add(wf("Get")).Types(typeOf(w.Input.Type)).Call(jen.Id(w.Vars.In)),
			jen.Return(x.code(in))))
		e.lit("PerKeyMax", w.Runs.Max)
	}
	e.lit("Queue", w.Runs.Queue)
	e.lit("DeadLetters", w.DeadLetters)
	if len(w.Schedules) > 0 {
		list := make([]jen.Code, len(w.Schedules))
		for i, s := range w.Schedules {
			list[i] = schedule(w, s)
		}
		e.add("Schedules", jen.Index().Add(wf("Schedule")).Custom(several, list...))
	}
}

func schedule(w *Workflow, s Schedule) jen.Code {
	var e entries
	e.lit("Name", s.Name)
	e.duration("Every", s.Every)
	e.lit("Cron", s.Cron)
	e.lit("TimeZone", s.TimeZone)
	if s.CatchUp != "" {
		e.add("CatchUp", wf("CatchUp"+capital(s.CatchUp)))
	}
	if s.Overlap != "" {
		e.add("Overlap", wf("Overlap"+capital(s.Overlap)))
	}
	made := jen.Add(value(s.Input)).Call()
	body := []jen.Code{jen.Return(wf("Of").Call(made), jen.Nil())}
	if s.Fails {
		body = []jen.Code{
			jen.List(jen.Id(w.Vars.Input), jen.Id(w.Vars.Err)).Op(":=").Add(made),
			jen.Return(wf("Of").Call(jen.Id(w.Vars.Input)), jen.Id(w.Vars.Err)),
		}
	}
	e.add("Input", jen.Func().Params().Params(wf("Value"), typeOf(w.Error)).Block(body...))
	return jen.Custom(several, e...)
}

// capital makes an ASCII word begin with a capital letter.
func capital(word string) string { return string(word[0]-'a'+'A') + word[1:] }

// codec is what makes JSON of a value and back.
func codec(t types.Type, shape string) *jen.Statement {
	return wf("JSON").Types(typeOf(t)).Call(jen.Lit(shape))
}

// node is an element of the nodes of a graph.
func node(w *Workflow, n *Node) jen.Code {
	var e entries
	e.lit("Name", n.Name)
	params, in := make([]string, len(n.Params)), make([]jen.Code, len(n.Params))
	for i, p := range n.Params {
		params[i], in[i] = p.Name, codec(p.Type, p.Payload.Shape)
	}
	e.texts("Params", params)
	if len(in) > 0 {
		e.add("In", jen.Index().Add(wf("Codec")).Custom(jen.Options{Open: "{", Close: "}", Separator: ",", Multi: len(in) > 1}, in...))
	}
	if n.Out != nil {
		e.add("Out", codec(n.Out.Type, n.Out.Shape))
	}
	e.texts("WaitFor", n.WaitFor)
	e.lit("Any", n.Any)
	e.duration("WaitTimeout", n.WaitTimeout)
	e.texts("Next", n.Next)
	e.lit("Routes", n.Route >= 0)
	e.duration("Delay", n.Delay)
	e.lit("Signal", n.Signal)
	e.duration("SignalTimeout", n.SignalTimeout)
	e.lit("Role", n.Role)
	e.lit("DurableMemory", n.DurableMemory)
	if n.Method != nil && n.Method.Policy != nil {
		e.add("Guard", jen.Id(w.Vars.Guarded).Dot(n.Method.Field))
	}
	if len(n.Redact) > 0 {
		e.add("Redact", redactions(n.Redact))
	}
	e.lit("Sig", n.Sig)
	switch {
	case n.Child != nil:
		e.add("Child", wf("Child").Call(jen.Id(n.ChildVar).Dot(n.Child.Vars.Engine)))
	case n.Signal == "":
		e.add("Call", invocation(w, n))
	}
	return jen.Custom(several, e...)
}

// invocation is the func that calls a node.
func invocation(w *Workflow, n *Node) *jen.Statement {
	v := w.Vars
	return jen.Func().Params(jen.Id(v.Ctx).Qual(contextPath, "Context"), jen.Id(v.In).Add(wf("Args"))).
		Params(wf("Value"), wf("Route"), typeOf(w.Error)).Block(invoked(w, n)...)
}

func invoked(w *Workflow, n *Node) []jen.Code {
	v := w.Vars
	value, route := wf("Value").Values(), wf("Route").Values()
	if n.Pipeline != nil {
		return []jen.Code{
			jen.List(jen.Id(n.ValueVar), jen.Id(v.Report), jen.Id(v.Err)).Op(":=").Id(n.ChildVar).Dot("Run").Call(jen.Id(v.Ctx), argument(w, n, 0)),
			jen.Id(v.Report).Dot("Tell").Call(jen.Id(v.Ctx)),
			jen.Return(wf("Of").Call(jen.Id(n.ValueVar)), route, jen.Id(v.Err)),
		}
	}
	call := jen.Id(v.Guarded).Dot(n.Method.Name).Call(nodeArgs(w, n)...)
	if len(n.Method.Results) == 1 {
		return []jen.Code{jen.Return(value, route, call)}
	}
	results := make([]jen.Code, len(n.Method.Results))
	for i := range results {
		switch i {
		case n.Value:
			results[i], value = jen.Id(n.ValueVar), wf("Of").Call(jen.Id(n.ValueVar))
		case n.Route:
			results[i], route = jen.Id(v.Route), jen.Id(v.Route)
		default:
			results[i] = jen.Id(v.Err)
		}
	}
	return []jen.Code{jen.List(results...).Op(":=").Add(call), jen.Return(value, route, jen.Id(v.Err))}
}

// argument is what the runner invokes a node with.
func argument(w *Workflow, n *Node, i int) *jen.Statement {
	return wf("Arg").Types(typeOf(n.Params[i].Type)).Call(jen.Id(w.Vars.In), jen.Lit(i))
}

// nodeArgs are the arguments of a handler.
func nodeArgs(w *Workflow, n *Node) []jen.Code {
	var list []jen.Code
	at := 0
	for i := range n.Method.Params {
		if i == n.Method.Ctx {
			list = append(list, jen.Id(w.Vars.Ctx))
			continue
		}
		arg := argument(w, n, at)
		if n.Method.Variadic && i == len(n.Method.Params)-1 {
			arg.Op("...")
		}
		list, at = append(list, arg), at+1
	}
	return list
}

// workflowMethods prints what a workflow does.
func workflowMethods(f *jen.File, w *Workflow) {
	v := w.Vars
	ctx := func() *jen.Statement { return jen.Id(v.Ctx).Qual(contextPath, "Context") }
	input, id := jen.Id(v.Input).Add(typeOf(w.Input.Type)), jen.Id(v.ID).String()
	options := jen.Id(v.Options).Add(wf("Options"))
	engine := func(name string, args ...string) *jen.Statement {
		list := make([]jen.Code, len(args))
		for i, arg := range args {
			list[i] = jen.Id(arg)
		}
		return jen.Id(v.Recv).Dot(v.Engine).Dot(name).Call(list...)
	}
	result, err := jen.Id(w.Result), typeOf(w.Error)
	for _, m := range []struct {
		name, doc string
		params    []jen.Code
		results   []jen.Code
		body      []jen.Code
	}{
		{"Run", w.RunDoc, []jen.Code{ctx(), input, options}, []jen.Code{result, err}, []jen.Code{jen.Return(engine("Run", v.Ctx, v.Input, v.Options))}},
		{"Start", "Start has a run for " + v.Input + " executed by any worker, see [" + w.Type + ".Worker]. It is durable once Start returns.",
			[]jen.Code{ctx(), input, options}, []jen.Code{jen.Id(w.Handle), err}, handled(w, engine("Start", v.Ctx, v.Input, v.Options), true)},
		{"Get", "Get returns the run " + v.ID + ", whoever executes it. It looks at nothing: a run that is not known is an error of what is asked of it.",
			[]jen.Code{id}, []jen.Code{jen.Id(w.Handle)}, handled(w, engine("Get", v.ID), false)},
		{"Resume", "Resume goes on here with a run that stopped, and returns how it ended; of one that has ended, the result.",
			[]jen.Code{ctx(), id}, []jen.Code{result, err}, []jen.Code{jen.Return(engine("Resume", v.Ctx, v.ID))}},
		{"Recover", "Recover resumes every run that stopped, so many at a time, and yields the id of each as it ends, with its error.",
			[]jen.Code{ctx(), jen.Id(v.Concurrency).Int()}, []jen.Code{jen.Qual(iterPath, "Seq2").Types(jen.String(), err)}, []jen.Code{jen.Return(engine("Recover", v.Ctx, v.Concurrency))}},
		{"Checkpoint", "Checkpoint returns what is recorded of the run " + v.ID + ".",
			[]jen.Code{id}, []jen.Code{wf("Checkpoint")}, []jen.Code{jen.Return(engine("Checkpoint", v.ID))}},
		{"Worker", "Worker returns what executes the runs that were started.",
			[]jen.Code{jen.Id(v.Options).Add(wf("WorkerOptions"))}, []jen.Code{jen.Op("*").Add(wf("Worker"))}, []jen.Code{jen.Return(engine("Worker", v.Options))}},
	} {
		comment(f, m.doc)
		fn := f.Func().Params(jen.Id(v.Recv).Op("*").Id(w.Type)).Id(m.name).Params(m.params...)
		if len(m.results) == 1 {
			fn.Add(m.results[0])
		} else {
			fn.Params(m.results...)
		}
		fn.Block(m.body...)
		f.Line()
	}
}

// handled returns a handle of the runtime's as one of w's.
func handled(w *Workflow, call *jen.Statement, fails bool) []jen.Code {
	v := w.Vars
	switch {
	case !w.signals():
		return []jen.Code{jen.Return(call)}
	case !fails:
		return []jen.Code{jen.Return(jen.Id(w.Handle).Values(call))}
	}
	return []jen.Code{
		jen.List(jen.Id(v.Run), jen.Id(v.Err)).Op(":=").Add(call),
		jen.Return(jen.Id(w.Handle).Values(jen.Id(v.Run)), jen.Id(v.Err)),
	}
}
