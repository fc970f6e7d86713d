package generator

import (
	"go/types"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// declareWorkflows names what is declared for the workflows and pipelines of a
// file.
func (r *resolver) declareWorkflows(out *templates.File) {
	for _, w := range out.Workflows {
		name := upper(w.Name)
		w.Type, w.New = r.names.declare(name+"Workflow"), r.names.declare("New"+name+"Workflow")
		w.Result, w.Handle = r.names.declare(name+"Result"), r.names.declare(name+"Handle")
		usual := map[string]string{name + "Workflow": w.Type, "New" + name + "Workflow": w.New, name + "Result": w.Result, name + "Handle": w.Handle}
		picked := pickedNodes(w)
		for _, n := range w.Nodes {
			if picked[n.Name] {
				n.Const = r.names.declare(name + upper(n.Name))
				usual[name+upper(n.Name)] = n.Const
			}
		}
		r.renamedAs(r.policyOf(w.Wrapper), "workflows."+w.Name, usual)
	}
	for _, p := range out.Pipelines {
		name := upper(p.Name)
		p.Type, p.New = r.names.declare(name+"Pipeline"), r.names.declare("New"+name+"Pipeline")
		r.renamedAs(r.policyOf(p.Wrapper), "pipelines."+p.Name, map[string]string{name + "Pipeline": p.Type, "New" + name + "Pipeline": p.New})
	}
}

// policyOf is the policy of a method of a wrapper, nil if it has none.
func (r *resolver) policyOf(w *templates.Wrapper) *policy.Effective {
	for _, g := range r.guarded {
		if g.wrapper == w && len(g.methods) > 0 {
			return g.methods[0]
		}
	}
	return nil
}

// nameWorkflows names the variables of what is generated for the workflows and
// pipelines of a file, and says what they are. All else of them is resolved, and all
// that the files of the package declare for workflows is named.
func (r *resolver) nameWorkflows(out *templates.File) {
	for _, p := range out.Pipelines {
		r.namePipeline(p)
	}
	for _, w := range out.Workflows {
		r.nameWorkflow(w)
	}
}

// pickedNodes are those that a node which picks its successors may name.
func pickedNodes(w *templates.Workflow) map[string]bool {
	picked := map[string]bool{}
	for _, n := range w.Nodes {
		for _, next := range n.Next {
			picked[next] = picked[next] || n.Route >= 0
		}
	}
	return picked
}

// inner are names that nothing inside a func of the file may have: they stand for
// what is declared outside.
func (r *resolver) inner() map[string]bool {
	taken := maps.Clone(r.names.taken)
	for _, name := range []string{"nil", "string", "int", "any", "error"} {
		taken[name] = true
	}
	return taken
}

// nameWorkflow names the variables of a workflow.
func (r *resolver) nameWorkflow(w *templates.Workflow) {
	taken := r.inner()
	v := &w.Vars
	w.Error = r.errorType()
	v.Any = "any"
	if r.pkg.types.Scope().Lookup("any") != nil {
		v.Any = "interface{}"
	}
	v.Engine, v.Handle = "engine", choose("h", maps.Clone(taken))
	v.Ctx, v.Err = choose("ctx", taken), choose("err", taken)
	inMethods := maps.Clone(taken)
	v.Recv, v.Input = choose("w", inMethods), choose(r.inputName(w), inMethods)
	v.Options, v.ID, v.Concurrency, v.Run = choose("o", inMethods), choose("id", inMethods), choose("concurrency", inMethods), choose("run", inMethods)
	v.Runtime, v.Nodes, v.Fallback, v.Secondary = choose("rt", taken), choose("nodes", taken), choose("fallback", taken), choose("secondary", taken)
	v.Guarded, v.Made = choose("n", taken), choose("engine", taken)
	beside := maps.Clone(taken)
	beside[v.Input] = true
	v.In = choose("in", beside)
	taken[v.In] = true
	r.nameChildren(w, taken)
	v.Route, v.Report = choose("route", maps.Clone(taken)), choose("report", maps.Clone(taken))
	for _, n := range w.Nodes {
		if n.Out == nil {
			continue
		}
		beside := maps.Clone(taken)
		beside[v.Route], beside[v.Report] = n.Route >= 0, n.Pipeline != nil
		n.ValueVar = choose(nameOf(n.Out.Type), beside)
	}
	r.nameSignals(w)
	r.describeWorkflow(w)
}

// inputName is what the handler of the entry calls its parameter.
func (r *resolver) inputName(w *templates.Workflow) string {
	i := slices.IndexFunc(w.Nodes, func(n *templates.Node) bool { return n.Name == w.Entry })
	if i >= 0 && w.Nodes[i].Method != nil {
		m := w.Nodes[i].Method
		for at, p := range m.Params {
			if at != m.Ctx {
				return p.Name
			}
		}
	}
	return "input"
}

// nameChildren names the parameters for the workflows and pipelines that nodes are:
// one for each, however many nodes it is.
func (r *resolver) nameChildren(w *templates.Workflow, taken map[string]bool) {
	vars := map[string]string{} // by type
	for _, n := range w.Nodes {
		name, typ := "", ""
		switch {
		case n.Child != nil:
			name, typ = n.Child.Name, n.Child.Type
		case n.Pipeline != nil:
			name, typ = n.Pipeline.Name, n.Pipeline.Type
		default:
			continue
		}
		if vars[typ] == "" {
			vars[typ] = choose(lower(name), taken)
			w.Children = append(w.Children, templates.Child{Var: vars[typ], Type: typ})
		}
		n.ChildVar = vars[typ]
	}
}

// nameSignals names the methods by which signals are given.
func (r *resolver) nameSignals(w *templates.Workflow) {
	methods := map[string]bool{"Signal": true}
	seen := map[string]bool{}
	for _, n := range w.Nodes {
		if n.Signal == "" || seen[n.Signal] {
			continue
		}
		seen[n.Signal] = true
		n.SignalMethod = choose("Signal"+camel(n.Signal), methods)
		n.SignalType = n.Out.Type
		if p, ok := n.SignalType.(*types.Pointer); ok && n.SignalTimeout > 0 {
			n.SignalType = p.Elem()
		}
		taken := r.inner()
		for _, name := range []string{w.Vars.Handle, w.Vars.Ctx, w.Vars.Options} {
			taken[name] = true
		}
		n.SignalVar = choose(nameOf(n.SignalType), taken)
	}
}

// camel makes an exported part of an identifier of words: payment-received is
// PaymentReceived.
func camel(text string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(text, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsNumber(c) }) {
		b.WriteString(upper(word))
	}
	return b.String()
}

// namePipeline names the variables of a pipeline.
func (r *resolver) namePipeline(p *templates.Pipeline) {
	taken := r.inner()
	v := &p.Vars
	p.Error = r.errorType()
	v.Stages, v.Pipeline = "stages", "pipeline"
	v.Ctx, v.Err = choose("ctx", taken), choose("err", taken)
	inMethods := maps.Clone(taken)
	v.Recv, v.Report, v.Pass = choose("p", inMethods), choose("report", inMethods), choose("pass", inMethods)
	v.Input = choose(r.stageInput(p), inMethods)
	r.nameStages(p, inMethods)
	v.Made = choose("made", inMethods)
	v.Runtime, v.Handlers, v.Fallback, v.Secondary = choose("rt", taken), choose("stages", taken), choose("fallback", taken), choose("secondary", taken)
	v.Guarded = choose("s", taken)
	r.describePipeline(p)
}

// stageInput is what the first stage calls its parameter.
func (r *resolver) stageInput(p *templates.Pipeline) string {
	for at, param := range p.Stages[0].Method.Params {
		if at != p.Stages[0].Method.Ctx {
			return param.Name
		}
	}
	return "input"
}

// nameStages names what goes from stage to stage. The result of an optional stage is
// assigned to the variable of what it was given, which stays as it is where the stage
// fails. The last variable is the result of the pipeline.
func (r *resolver) nameStages(p *templates.Pipeline, taken map[string]bool) {
	in := p.Vars.Input
	made := 0 // the last stage with a variable of its own
	for i, s := range p.Stages {
		s.In, s.Out = in, in
		if s.Optional && in != p.Vars.Input {
			continue
		}
		if s.Optional {
			s.Begin = in
		}
		s.Type = valueOf(s.Method)
		s.Out, s.Declare, made = choose(nameOf(s.Type), taken), true, i
		in = s.Out
	}
	p.Vars.Output = in
	p.Stages[made].Declare = false // it is the result
}

// valueOf is the type of the result of a stage beside the error.
func valueOf(m *templates.Method) types.Type {
	for i, v := range m.Results {
		if i != m.Err {
			return v.Type
		}
	}
	return nil
}
