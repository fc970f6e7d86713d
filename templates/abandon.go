package templates

import "github.com/dave/jennifer/jen"

// attempt is one execution of the delegate.
func attempt(w *Wrapper, m *Method) []jen.Code {
	delegate := jen.Id(w.Recv).Dot(w.next()).Dot(m.Name)
	if !m.Abandon {
		run := delegate.Call(args(m, jen.Id(m.Call).Dot("Context").Call())...)
		return []jen.Code{jen.List(resultNames(m)...).Op("=").Add(run)}
	}
	run := delegate.Call(args(m, nil)...)
	err := m.Results[m.Err]
	switch {
	case len(m.Results) == 1:
		body := jen.Return(jen.Struct().Values(), run)
		return []jen.Code{jen.List(jen.Id("_"), jen.Id(err.Name)).Op("=").Add(abandonable(m, jen.Params(jen.Struct(), typeOf(err.Type)), body))}
	case len(m.Results) == 2 && m.Err == 1:
		body := jen.Return(run)
		return []jen.Code{jen.List(resultNames(m)...).Op("=").Add(abandonable(m, jen.Params(typeOf(m.Results[0].Type), typeOf(err.Type)), body))}
	}
	return bundled(w, m, run)
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
		field := jen.Id(m.BundleVar).Dot(r.Name)
		inside, fields, outside = append(inside, field), append(fields, field), append(outside, jen.Id(r.Name))
	}
	f := abandonable(m, jen.Params(jen.Id(m.BundleVar).Add(bundle), jen.Id(err.Name).Add(typeOf(err.Type))),
		jen.List(inside...).Op("=").Add(run), jen.Return(jen.Id(m.BundleVar), jen.Id(err.Name)))
	return []jen.Code{
		jen.Var().Id(m.BundleVar).Add(bundle),
		jen.List(jen.Id(m.BundleVar), jen.Id(err.Name)).Op("=").Add(f),
		jen.List(outside...).Op("=").List(fields...),
	}
}

func abandonable(m *Method, results *jen.Statement, body ...jen.Code) *jen.Statement {
	param := jen.Add(jen.Qual(contextPath, "Context"))
	if m.Ctx >= 0 {
		param = jen.Id(m.Params[m.Ctx].Name).Add(param)
	}
	return rt("Abandonable").Call(jen.Op("&").Id(m.Call), jen.Func().Params(param).Add(results).Block(body...))
}

// bundle declares the struct that [bundled] fills.
func bundle(f *jen.File, w *Wrapper, m *Method) {
	fields := []jen.Code{}
	for i, r := range m.Results {
		if i != m.Err {
			fields = append(fields, jen.Id(r.Name).Add(typeOf(r.Type)))
		}
	}
	comment(f, m.Bundle+" carries the results of one "+m.Name+", which may come too late for its caller.")
	declare(f, w, m.Bundle).Struct(fields...)
	f.Line()
}
