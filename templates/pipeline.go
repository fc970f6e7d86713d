package templates

import "github.com/dave/jennifer/jen"

// pipeline prints the type, its constructor and its methods.
func pipeline(f *jen.File, p *Pipeline) {
	v := p.Vars
	comment(f, p.Doc)
	f.Type().Id(p.Type).Struct(jen.Id(v.Stages).Op("*").Id(p.Wrapper.Type), jen.Id(v.Pipeline).Op("*").Add(wf("Pipeline")))
	f.Line()
	pipelineConstructor(f, p)
	comment(f, p.RunDoc)
	f.Func().Params(jen.Id(v.Recv).Op("*").Id(p.Type)).Id("Run").
		Params(jen.Id(v.Ctx).Qual(contextPath, "Context"), jen.Id(v.Input).Add(typeOf(p.Input.Type))).
		Params(jen.Id(v.Output).Add(typeOf(p.Output.Type)), jen.Id(v.Report).Add(wf("Report")), jen.Id(v.Err).Add(typeOf(p.Error))).
		Block(stages(p)...)
	f.Line()
	comment(f, "Breakers returns the breakers of the stages, in their order. Stages without one, or with one for each key, are left out.")
	f.Func().Params(jen.Id(v.Recv).Op("*").Id(p.Type)).Id("Breakers").Params().Index().Add(rt("BreakerSnapshot")).
		Block(jen.Return(jen.Id(v.Recv).Dot(v.Pipeline).Dot("Breakers").Call()))
	f.Line()
}

func pipelineConstructor(f *jen.File, p *Pipeline) {
	v := p.Vars
	params, call := handlers(p.Wrapper, v.Runtime, v.Handlers, v.Fallback, v.Secondary)
	var list []jen.Code
	for _, s := range p.Stages {
		fields := entries{jen.Id("Name").Op(":").Lit(s.Name)}
		if s.Method.Policy != nil {
			fields.add("Guard", jen.Id(v.Guarded).Dot(s.Method.Field))
		}
		fields.lit("Optional", s.Optional)
		list = append(list, jen.Values(fields...))
	}
	comment(f, p.New+" puts "+v.Handlers+" under the policies of "+p.Source+".")
	f.Func().Id(p.New).Params(append([]jen.Code{jen.Id(v.Runtime).Op("*").Add(rt("Runtime"))}, params...)...).
		Params(jen.Op("*").Id(p.Type), typeOf(p.Error)).Block(
		jen.List(jen.Id(v.Guarded), jen.Id(v.Err)).Op(":=").Add(call),
		jen.If(jen.Id(v.Err).Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Id(v.Err))),
		jen.Return(jen.Op("&").Id(p.Type).Values(jen.Id(v.Guarded), jen.Add(wf("NewPipeline")).Call(jen.Id(v.Runtime), jen.Lit(p.Name),
			jen.Index().Add(wf("Stage")).Custom(several, list...))), jen.Nil()))
	f.Line()
}

// stages is the body of Run: the stages, one after the other.
func stages(p *Pipeline) []jen.Code {
	v := p.Vars
	lines := []jen.Code{
		jen.Id(v.Pass).Op(":=").Id(v.Recv).Dot(v.Pipeline).Dot("Begin").Call(jen.Id(v.Ctx)),
		jen.Defer().Id(v.Pass).Dot("End").Call(),
	}
	for _, s := range p.Stages {
		switch {
		case s.Begin != "" && s.Declare:
			lines = append(lines, jen.Id(s.Out).Op(":=").Id(s.Begin))
		case s.Begin != "":
			lines = append(lines, jen.Id(s.Out).Op("=").Id(s.Begin))
		case s.Declare:
			lines = append(lines, jen.Var().Id(s.Out).Add(typeOf(s.Type)))
		}
		lines = append(lines, jen.If(jen.Id(v.Pass).Dot("Next").Call()).Block(stage(p, s)...))
	}
	return append(lines, jen.Return(jen.Id(v.Output), jen.Id(v.Pass).Dot("Report").Call(), jen.Id(v.Pass).Dot("Err").Call()))
}

// stage calls a stage, and says how it ended.
func stage(p *Pipeline, s *Stage) []jen.Code {
	v := p.Vars
	args := make([]jen.Code, len(s.Method.Params))
	for i := range args {
		args[i] = jen.Id(s.In)
		if i == s.Method.Ctx {
			args[i] = jen.Id(v.Pass)
		}
	}
	call := jen.Id(v.Recv).Dot(v.Stages).Dot(s.Method.Name).Call(args...)
	record := func() *jen.Statement { return jen.Id(v.Pass).Dot("Record") }
	results := func(name string) []jen.Code {
		list := []jen.Code{jen.Id(name), jen.Id(name)}
		list[s.Method.Err] = jen.Id(v.Err)
		return list
	}
	if s.Optional {
		return []jen.Code{jen.If(jen.List(results(v.Made)...).Op(":=").Add(call), record().Call(jen.Id(v.Err))).Block(
			jen.Id(s.Out).Op("=").Id(v.Made))}
	}
	return []jen.Code{jen.List(results(s.Out)...).Op("=").Add(call), record().Call(jen.Id(v.Err))}
}
