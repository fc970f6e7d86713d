package templates

import (
	"strings"

	"github.com/dave/jennifer/jen"
)

// wrapper prints the type, its constructor and its methods.
func wrapper(f *jen.File, w *Wrapper) {
	structType(f, w)
	f.Var().Id("_").Add(typeOf(w.Iface)).Op("=").Parens(jen.Op("*").Id(w.Type)).Parens(jen.Nil())
	f.Line()
	if w.Fallback != "" {
		fallbackType(f, w)
	}
	constructor(f, w)
	for _, m := range w.Methods {
		method(f, w, m)
	}
	if w.Unwrap {
		comment(f, "Unwrap returns the wrapped "+w.Short+".")
		f.Func().Params(jen.Id("g").Op("*").Id(w.Type)).Id("Unwrap").Params().Add(typeOf(w.Iface)).
			Block(jen.Return(jen.Id("g").Dot("next")))
		f.Line()
	}
}

func structType(f *jen.File, w *Wrapper) {
	comment(f, w.Type+" is a ["+w.Link+"] that calls another one under the policies of "+w.Source+":\n\n\t"+
		strings.Join(w.Summary, "\n\t")+"\n\nIt is safe for concurrent use if the "+w.Short+" it calls is.")
	f.Type().Id(w.Type).StructFunc(func(g *jen.Group) {
		g.Id("next").Add(typeOf(w.Iface))
		if w.Fallback != "" {
			g.Id("fallback").Id(w.Fallback)
		}
		guards := guarded(w)
		if len(guards) > 0 {
			g.Line()
		}
		for _, m := range guards {
			g.Id(m.Field).Op("*").Add(rt("Guard"))
		}
	})
	f.Line()
}

func guarded(w *Wrapper) []*Method {
	var list []*Method
	for _, m := range w.Methods {
		if m.Policy != nil {
			list = append(list, m)
		}
	}
	return list
}

func fallbackType(f *jen.File, w *Wrapper) {
	comment(f, w.Fallback+" answers for a ["+w.Link+"] after the policies of a ["+w.Type+"] gave up.")
	f.Type().Id(w.Fallback).InterfaceFunc(func(g *jen.Group) {
		for _, m := range w.Methods {
			if !m.Fallback {
				continue
			}
			g.Comment("// " + m.Name + "Fallback answers a call of " + m.Name + " that failed because of " + m.Cause + ".")
			list := make([]jen.Code, 0, len(m.Params)+1)
			for _, p := range m.Params {
				list = append(list, jen.Id(p.Name).Add(typeOf(p.Type)))
			}
			list = append(list, jen.Id(m.Cause).Error())
			g.Id(m.Name + "Fallback").Params(list...).Add(plainResults(m))
		}
	})
	f.Line()
}

func constructor(f *jen.File, w *Wrapper) {
	params := []jen.Code{jen.Id("rt").Op("*").Add(rt("Runtime")), jen.Id("next").Add(typeOf(w.Iface))}
	wrap := []jen.Code{jen.Lit(w.Key), jen.Id("next")}
	fields := []jen.Code{jen.Id("next").Op(":").Id("next")}
	if w.Fallback != "" {
		params = append(params, jen.Id("fallback").Id(w.Fallback))
		wrap = append(wrap, jen.Id("fallback"))
		fields = append(fields, jen.Id("fallback").Op(":").Id("fallback"))
	}
	lines := []jen.Code{
		jen.Id("w").Op(":=").Id("rt").Dot("Wrap").Call(wrap...),
		jen.Id("g").Op(":=").Op("&").Id(w.Type).Values(fields...),
	}
	for _, m := range guarded(w) {
		lines = append(lines, jen.Id("g").Dot(m.Field).Op("=").Id("w").Dot("Guard").Call(jen.Lit(m.Name), literal(m.Policy)))
	}
	lines = append(lines, jen.Return(jen.Id("g"), jen.Id("w").Dot("Err").Call()))
	comment(f, w.New+" puts next under the policies of "+w.Source+".")
	f.Func().Id(w.New).Params(params...).Params(jen.Op("*").Id(w.Type), jen.Error()).Block(lines...)
	f.Line()
}
