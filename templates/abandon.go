package templates

import (
	"slices"

	"github.com/dave/jennifer/jen"
)

// attempt is one execution of the delegate.
func attempt(w *Wrapper, m *Method) []jen.Code {
	delegate := jen.Id(w.Recv).Dot(w.next()).Dot(m.Name)
	if !m.Abandon && !m.Hedge {
		run := delegate.Call(args(m, jen.Id(m.Call).Dot("Context").Call())...)
		return injectable(w, m, jen.List(resultNames(m)...).Op("=").Add(run))
	}
	run := delegate.Call(args(m, nil)...)
	err := m.Results[m.Err]
	switch {
	case len(m.Results) == 1:
		body := jen.Return(jen.Struct().Values(), run)
		return []jen.Code{jen.List(jen.Id("_"), jen.Id(err.Name)).Op("=").Add(executed(w, m, jen.Params(jen.Struct(), typeOf(err.Type)), body))}
	case m.Bundle == "":
		body := jen.Return(run)
		return []jen.Code{jen.List(targets(m)...).Op("=").Add(executed(w, m, jen.Params(typeOf(m.Results[0].Type), typeOf(err.Type)), body))}
	}
	return bundled(w, m, run)
}

// injectable is run, or what chaos has stand for it.
func injectable(w *Wrapper, m *Method, run jen.Code) []jen.Code {
	if m.Injects == nil {
		return []jen.Code{run}
	}
	return []jen.Code{jen.If(jen.Id(m.Call).Dot("Injected").Call()).Block(
		jen.List(slices.Delete(resultNames(m), m.Err, m.Err+1)...).Op("=").Add(function(w, m.Injects)).Call(),
		jen.Id(m.Results[m.Err].Name).Op("=").Nil(),
	).Else().Block(run)}
}

// targets are what the results of the runtime are assigned to. The error of a
// hedged call is in its outcome, where a cache wants that.
func targets(m *Method) []jen.Code {
	list := resultNames(m)
	if m.Hedge && m.keeps() {
		list[m.Err] = jen.Id("_")
	}
	return list
}

// bundled carries several results through a struct.
func bundled(w *Wrapper, m *Method, run *jen.Statement) []jen.Code {
	bundle := instance(w, m.Bundle)
	err := m.Results[m.Err]
	var inside, outside, fields []jen.Code
	for i, r := range m.Results {
		if i == m.Err {
			inside = append(inside, jen.Id(err.Name))
			continue
		}
		field := jen.Id(m.BundleVar).Dot(m.BundleNames[i])
		inside, fields, outside = append(inside, field), append(fields, field), append(outside, jen.Id(r.Name))
	}
	f := executed(w, m, jen.Params(jen.Id(m.BundleVar).Add(bundle), jen.Id(err.Name).Add(typeOf(err.Type))),
		jen.List(inside...).Op("=").Add(run), jen.Return(jen.Id(m.BundleVar), jen.Id(err.Name)))
	return []jen.Code{
		jen.Var().Id(m.BundleVar).Add(bundle),
		jen.List(jen.Id(m.BundleVar), targets(m)[m.Err]).Op("=").Add(f),
		jen.List(outside...).Op("=").List(fields...),
	}
}

// executed has the runtime call the delegate: where it is hedged, or else where
// it may be left behind. A hedged one is left behind by the runtime itself.
func executed(w *Wrapper, m *Method, results *jen.Statement, body ...jen.Code) *jen.Statement {
	param := jen.Add(jen.Qual(contextPath, "Context"))
	if m.Ctx >= 0 {
		param = jen.Id(m.Params[m.Ctx].Name).Add(param)
	}
	args := []jen.Code{jen.Op("&").Id(m.Call), jen.Func().Params(param).Add(results).Block(body...)}
	switch {
	case !m.Hedge:
		return rt("Abandonable").Call(args...)
	case m.RecordResult == nil:
		return rt("Hedged").Call(args...)
	}
	return rt("HedgedResult").Call(append(args, hedgeJudge(w, m))...)
}

// hedgeJudge is the func that says which results a breaker counts as failures.
func hedgeJudge(w *Wrapper, m *Method) *jen.Statement {
	if m.Bundle == "" {
		return function(w, m.RecordResult)
	}
	var fields []jen.Code
	for i := range m.Results {
		if i != m.Err {
			fields = append(fields, jen.Id(m.BundleVar).Dot(m.BundleNames[i]))
		}
	}
	return jen.Func().Params(jen.Id(m.BundleVar).Add(instance(w, m.Bundle))).Bool().Block(jen.Return(function(w, m.RecordResult).Call(fields...)))
}

// bundle declares the struct that [bundled] fills.
func bundle(f *jen.File, w *Wrapper, m *Method) {
	fields := []jen.Code{}
	for i, r := range m.Results {
		if i != m.Err {
			field := jen.Id(m.BundleNames[i]).Add(typeOf(r.Type))
			if m.Checkpoint != nil {
				field.Tag(map[string]string{"json": m.BundleJSON[i]})
			}
			fields = append(fields, field)
		}
	}
	fate := "may come too late for its caller"
	switch {
	case m.Checkpoint != nil:
		fate = "are recorded"
	case m.Cache != nil:
		fate = "its cache keeps"
	case m.Hedge:
		fate = "may come after those of another attempt"
	}
	comment(f, m.Bundle+" carries the results of one "+m.Name+", which "+fate+".")
	declare(f, w, m.Bundle).Struct(fields...)
	f.Line()
	closing(f, w, m)
}

// closed closes the results that can be; where, if there is one, says when.
func closed(m *Method, where func() *jen.Statement, result func(name string) *jen.Statement) []jen.Code {
	var lines []jen.Code
	for i, r := range m.Results {
		if m.Closers[i] == "" {
			continue
		}
		target, there := result(r.Name), result(r.Name).Op("!=").Nil()
		if where != nil {
			there = where().Op("&&").Add(there)
		}
		if m.Closers[i] == ".Body" {
			target.Dot("Body")
			there.Op("&&").Add(target).Op("!=").Nil()
		}
		lines = append(lines, jen.If(there).Block(jen.Id("_").Op("=").Add(target).Dot("Close").Call()))
	}
	return lines
}

// closing lets the runtime close a bundle that nobody takes.
func closing(f *jen.File, w *Wrapper, m *Method) {
	lines := closed(m, nil, func(name string) *jen.Statement { return jen.Id(m.BundleVar).Dot(name) })
	if lines == nil {
		return
	}
	comment(f, "Close closes results that nobody takes.")
	f.Func().Params(jen.Id(m.BundleVar).Add(instance(w, m.Bundle))).Id("Close").Params().Add(typeOf(w.Error)).Block(append(lines, jen.Return(jen.Nil()))...)
	f.Line()
}
