package generator

import "github.com/resilgen/resilgen/templates"

// nameWorkflow names what is generated for a workflow.
func (r *resolver) nameWorkflow(w *templates.Workflow) {
	name := upper(w.Name)
	w.Type, w.New = r.names.declare(name+"Workflow"), r.names.declare("New"+name+"Workflow")
	w.Result, w.Handle = r.names.declare(name+"Result"), r.names.declare(name+"Handle")
	w.Recv = "w"
	w.Runs.PerKeyVar = "in"
}

// namePipeline names what is generated for a pipeline.
func (r *resolver) namePipeline(p *templates.Pipeline) {
	name := upper(p.Name)
	p.Type, p.New, p.Recv = r.names.declare(name+"Pipeline"), r.names.declare("New"+name+"Pipeline"), "p"
}
