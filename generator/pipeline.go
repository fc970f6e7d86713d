package generator

import (
	"fmt"
	"go/types"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// pipeline is a pipeline that is being proved.
type pipeline struct {
	r    *resolver
	in   *policy.Pipeline
	out  *templates.Pipeline
	face *goInterface
}

// stage is a stage of a [pipeline].
type stage struct {
	*policy.Stage
	method *types.Func
	in     nodeParam
	out    types.Type
}

func (r *resolver) newPipeline(p *policy.Pipeline, face *goInterface, wrapper *templates.Wrapper) *pipeline {
	out := &templates.Pipeline{Name: p.Name, Source: enumerate(p.Interface.Sources), Wrapper: wrapper}
	return &pipeline{r: r, in: p, out: out, face: face}
}

func (p *pipeline) fail(pos policy.Pos, stage, format string, args ...any) {
	key := p.in.Name
	if stage != "" {
		key += "." + stage
	}
	p.r.complain(pos, wiring, key, fmt.Sprintf(format, args...))
}

// prove checks the stages, and that each takes what the one before it returns.
func (p *pipeline) prove() {
	known := map[string]bool{}
	var stages []*stage
	for _, in := range p.in.Stages {
		known[in.Name.Text] = true
		s := p.stage(in)
		if s == nil {
			continue
		}
		stages = append(stages, s)
	}
	for _, m := range p.face.methods {
		if !known[m.Name()] {
			p.fail(p.in.StagesPos, "", "the method %s of %s%s is no stage: add it to stages, or take it out of the interface", m.Name(), p.face.name, p.r.at(m))
		}
	}
	if len(stages) < len(p.in.Stages) || len(stages) == 0 {
		return // what is beside a stage without a shape cannot be judged
	}
	fits := true
	for i := 1; i < len(stages); i++ {
		fits = p.follows(stages[i-1], stages[i]) && fits
	}
	if fits {
		p.out.Input, p.out.Output = payloadOf(stages[0].in.t), payloadOf(stages[len(stages)-1].out)
	}
}

// follows checks that a stage takes what the one before it returns.
func (p *pipeline) follows(before, s *stage) bool {
	if assignable(before.out, s.in.t) {
		return true
	}
	p.fail(s.Name.Pos, s.Name.Text, "takes %s%s, and %s before it returns %s%s", p.r.text(s.in.t), p.r.at(s.method), before.Name.Text, p.r.text(before.out), p.r.at(before.method))
	return false
}

// stage finds the method of a stage, nil if it is none.
func (p *pipeline) stage(in *policy.Stage) *stage {
	s := &stage{Stage: in}
	var method *templates.Method
	for i, m := range p.face.methods {
		if m.Name() == in.Name.Text {
			s.method, method = m, p.out.Wrapper.Methods[i]
		}
	}
	if s.method == nil {
		p.fail(in.Name.Pos, in.Name.Text, "%s has no method %s%s", p.r.handlers(p.face), in.Name.Text, hint(in.Name.Text, methodNames(p.face)))
		return nil
	}
	sig := s.method.Signature()
	n := &node{Node: &policy.Node{Name: in.Name}, out: &templates.Node{}}
	why := n.read(sig)
	switch {
	case why != "":
	case n.routes:
		why = "returns a route, and the stages of a pipeline follow each other"
	case n.result == nil:
		why = "returns no value"
	case len(n.params) == 0:
		why = "takes no value"
	}
	if why != "" {
		p.fail(in.Name.Pos, in.Name.Text, "the method%s %s: want func(context.Context, T) (U, error); have %s", p.r.at(s.method), why, p.r.text(unnamedSignature(sig)))
		return nil
	}
	s.in, s.out = n.params[0], n.result
	v, _ := in.Given("pipelines.stages.optional")
	optional := v.V == true
	if optional && !same(s.in.t, s.out) {
		p.fail(v.Pos, in.Name.Text, "optional: where it fails, what it was given goes on, so it must return what it takes: it takes %s and returns %s%s", p.r.text(s.in.t), p.r.text(s.out), p.r.at(s.method))
	}
	p.out.Stages = append(p.out.Stages, &templates.Stage{Name: in.Name.Text, Method: method, Optional: optional})
	return s
}
