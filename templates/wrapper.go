package templates

import (
	"go/types"
	"strings"

	"github.com/dave/jennifer/jen"
)

// wrapper prints the type and its constructor.
func wrapper(f *jen.File, w *Wrapper) {
	structType(f, w)
	assertion(f, w)
	if w.Fallback != "" {
		fallbackType(f, w)
	}
	if w.Secondary != "" {
		comment(f, w.Secondary+" is the ["+w.Link+"] that answers when the first one cannot. It has a type of its own so that the two cannot be swapped unseen.")
		declare(f, w, w.Secondary).Struct(typeOf(w.Iface))
		f.Line()
	}
	constructor(f, w)
}

// unwrap prints the method that returns the wrapped one.
func unwrap(f *jen.File, w *Wrapper) {
	comment(f, "Unwrap returns the wrapped "+w.Short+".")
	f.Func().Params(jen.Id(w.Recv).Add(pointer(w))).Id("Unwrap").Params().Add(typeOf(w.Iface)).
		Block(jen.Return(jen.Id(w.Recv).Dot(w.next())))
	f.Line()
}

// next is the field of the delegate.
func (w *Wrapper) next() string {
	if w.Hidden != "" {
		return w.Hidden
	}
	return w.Fields.Next
}

// declare begins the declaration of a type with the type parameters of w.
func declare(f *jen.File, w *Wrapper, name string) *jen.Statement {
	s := f.Type().Id(name)
	if len(w.TypeParams) > 0 {
		s.Types(typeParams(w)...)
	}
	return s
}

func typeParams(w *Wrapper) []jen.Code {
	list := make([]jen.Code, len(w.TypeParams))
	for i, p := range w.TypeParams {
		list[i] = jen.Id(p.Name).Add(typeOf(p.Type))
	}
	return list
}

// instance is a generated type with the type parameters of w as arguments.
func instance(w *Wrapper, name string) *jen.Statement { return instantiate(w, jen.Id(name)) }

// function refers to a func of the user's. One that is generic, as the
// interface is, gets its type arguments: Go does not infer them from results.
func function(w *Wrapper, obj types.Object) *jen.Statement {
	if f, ok := obj.(*types.Func); ok && f.Signature().TypeParams().Len() > 0 {
		return instantiate(w, value(obj))
	}
	return value(obj)
}

func instantiate(w *Wrapper, s *jen.Statement) *jen.Statement {
	if len(w.TypeParams) == 0 {
		return s
	}
	list := make([]jen.Code, len(w.TypeParams))
	for i, p := range w.TypeParams {
		list[i] = jen.Id(p.Name)
	}
	return s.Types(list...)
}

func pointer(w *Wrapper) *jen.Statement { return jen.Op("*").Add(instance(w, w.Type)) }

// assertion fails to compile when the interface has changed.
func assertion(f *jen.File, w *Wrapper) {
	value := jen.Parens(pointer(w)).Parens(jen.Nil())
	if len(w.TypeParams) == 0 {
		f.Var().Id("_").Add(typeOf(w.Iface)).Op("=").Add(value)
	} else {
		f.Func().Id("_").Types(typeParams(w)...).Params().Block(
			jen.Var().Id("_").Add(typeOf(w.Iface)).Op("=").Add(value))
	}
	f.Line()
}

func structType(f *jen.File, w *Wrapper) {
	text := w.Type + " is a [" + w.Link + "] that calls another one under the policies of " + w.Source + ":\n\n\t" +
		strings.Join(w.Summary, "\n\t") + "\n\nIt is safe for concurrent use if the " + w.Short + " it calls is."
	if w.Hidden != "" { // a field's name is its type's
		comment(f, w.Hidden+" is embedded for the methods that this package cannot name.")
		f.Type().Id(w.Hidden).Op("=").Add(typeOf(w.Iface))
		f.Line()
	}
	comment(f, text)
	declare(f, w, w.Type).StructFunc(func(g *jen.Group) {
		if w.Hidden != "" {
			g.Id(w.Hidden)
		} else {
			g.Id(w.Fields.Next).Add(typeOf(w.Iface))
		}
		if w.Fallback != "" {
			g.Id(w.Fields.Fallback).Add(instance(w, w.Fallback))
		}
		if w.Secondary != "" {
			g.Id(w.Fields.Secondary).Add(instance(w, w.Secondary))
		}
		guards := guarded(w)
		if len(guards) > 0 {
			g.Line()
		}
		for _, m := range guards {
			g.Id(m.Field).Op("*").Add(rt("Guard"))
			if m.Cache != nil {
				g.Id(m.Cache.Field).Op("*").Add(cacheType(w, m, "Cache"))
			}
			if m.Letters != nil {
				g.Id(m.Letters.Field).Op("*").Add(lettersType(w, m, "DeadLetters"))
			}
			if m.Checkpoint != nil {
				g.Id(m.Checkpoint.Field).Op("*").Add(checkpointType(w, m, "Checkpoints"))
			}
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
	declare(f, w, w.Fallback).InterfaceFunc(func(g *jen.Group) {
		for _, m := range w.Methods {
			if !m.Fallback.Method {
				continue
			}
			g.Comment("// " + m.Name + "Fallback answers a call of " + m.Name + " that failed because of " + m.Cause + ".")
			list := make([]jen.Code, 0, len(m.Params)+1)
			for _, p := range m.Params {
				list = append(list, jen.Id(p.Name).Add(typeOf(p.Type)))
			}
			list = append(list, jen.Id(m.Cause).Add(typeOf(w.Error)))
			g.Id(m.Name + "Fallback").Params(list...).Add(plainResults(m))
		}
	})
	f.Line()
}

func constructor(f *jen.File, w *Wrapper) {
	v := w.Vars
	params := []jen.Code{jen.Id(v.Runtime).Op("*").Add(rt("Runtime")), jen.Id(v.Next).Add(typeOf(w.Iface))}
	wrap := []jen.Code{jen.Lit(w.Key), jen.Id(v.Next)}
	fields := []jen.Code{jen.Id(w.next()).Op(":").Id(v.Next)}
	add := func(field, name, typ string, arg *jen.Statement) {
		if typ != "" {
			params = append(params, jen.Id(name).Add(instance(w, typ)))
			wrap = append(wrap, arg)
			fields = append(fields, jen.Id(field).Op(":").Id(name))
		}
	}
	add(w.Fields.Fallback, v.Fallback, w.Fallback, jen.Id(v.Fallback))
	add(w.Fields.Secondary, v.Secondary, w.Secondary, jen.Id(v.Secondary).Dot(shortName(w.Iface)))
	lines := []jen.Code{
		jen.Id(v.Wrap).Op(":=").Id(v.Runtime).Dot("Wrap").Call(wrap...),
		jen.Id(v.Self).Op(":=").Op("&").Add(instance(w, w.Type)).Values(fields...),
	}
	for _, m := range guarded(w) {
		lines = append(lines, jen.Id(v.Self).Dot(m.Field).Op("=").Id(v.Wrap).Dot("Guard").Call(jen.Lit(m.Name), literal(m.Policy)))
		if m.Cache != nil {
			lines = append(lines, jen.Id(v.Self).Dot(m.Cache.Field).Op("=").Add(cacheType(w, m, "NewCache")).Call(jen.Id(v.Self).Dot(m.Field)))
		}
		if m.Letters != nil {
			lines = append(lines, newLetters(w, m))
		}
		if m.Checkpoint != nil {
			lines = append(lines, newCheckpoints(w, m))
		}
	}
	lines = append(lines, jen.Return(jen.Id(v.Self), jen.Id(v.Wrap).Dot("Err").Call()))
	comment(f, w.New+" puts "+v.Next+" under the policies of "+w.Source+".")
	fn := f.Func().Id(w.New)
	if len(w.TypeParams) > 0 {
		fn.Types(typeParams(w)...)
	}
	fn.Params(params...).Params(pointer(w), typeOf(w.Error)).Block(lines...)
	f.Line()
}

// shortName is the name of the field that embedding t makes.
func shortName(t types.Type) string {
	if t, ok := t.(interface{ Obj() *types.TypeName }); ok {
		return t.Obj().Name()
	}
	return "next"
}
