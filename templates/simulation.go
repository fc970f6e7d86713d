package templates

import (
	"fmt"
	"go/types"
	"slices"
	"strings"

	"github.com/dave/jennifer/jen"
)

const simulationPath = "github.com/resilgen/resilgen/runtime/simulation"

// Simulation is a test file that simulates one method of a wrapper. Its names
// are free in the package.
type Simulation struct {
	File    *File // where the wrapper is; Imports has those of this file, too
	Wrapper *Wrapper
	Method  *Method
	Failure types.Object // what the peer fails with; nil: what the command says
	// TypeArgs instantiate a generic interface.
	TypeArgs []types.Type

	Test, Call, Iface, Delegate string // declared
	// Those that answer with an error that the simulation knows: the generated
	// fallback interface and its implementation, a second implementation of the
	// interface, a func.
	FallbackIface, Fallback, Second, Answer string
	// Vars are names of variables that hide nothing, by what they are called where
	// they are free: see [SimulationVars].
	Vars map[string]string
}

// SimulationVars returns the variables of a simulation of m.
func SimulationVars(m *Method) []string {
	list := []string{"t", "rt", "g", "d", "err", "peer", "ctx"}
	for i := range m.Results {
		list = append(list, resultVar(i))
	}
	return list
}

func resultVar(i int) string { return fmt.Sprintf("r%d", i) }

func (s *Simulation) id(name string) *jen.Statement { return jen.Id(s.Vars[name]) }

// RenderSimulation returns the source of s, formatted.
func RenderSimulation(s *Simulation) ([]byte, error) {
	file := *s.File
	c := begin(&file, func(out *jen.File) {
		s.test(out)
		s.call(out)
		s.delegate(out)
		s.answers(out)
	}, make(chan struct{}, 1))
	<-c.done
	src := fmt.Sprintf("%sa policy; DO NOT EDIT.\n\npackage %s\n\n%s\n%s", Header, s.File.Package, importBlock(c.imports), c.src)
	return []byte(src), c.err
}

func sim(name string) *jen.Statement { return jen.Qual(simulationPath, name) }

// test is what the test binary runs.
func (s *Simulation) test(f *jen.File) {
	t := func() jen.Code { return s.id("t").Op("*").Qual("testing", "T") }
	failure := jen.Nil()
	if s.Failure != nil {
		failure = value(s.Failure)
	}
	call := jen.Id(s.Call)
	if len(s.TypeArgs) > 0 {
		list := make([]jen.Code, len(s.TypeArgs))
		for i, arg := range s.TypeArgs {
			list[i] = typeOf(arg)
		}
		call = call.Types(list...)
	}
	f.Func().Id(s.Test).Params(t()).Block(
		jen.Qual("testing/synctest", "Test").Call(s.id("t"), jen.Func().Params(t()).Block(
			jen.If(s.id("err").Op(":=").Add(sim("Main")).Call(failure, call), s.id("err").Op("!=").Nil()).Block(
				s.id("t").Dot("Fatal").Call(s.id("err"))),
		)))
	f.Line()
}

// call is the func that makes a wrapper, and returns one that calls it.
func (s *Simulation) call(f *jen.File) {
	w, m := s.Wrapper, s.Method
	args := []jen.Code{s.id("rt"), instance(w, s.Delegate).Values(s.id("peer").Op(":").Id(s.Vars["peer"]))}
	if w.Fallback != "" {
		args = append(args, instance(w, s.Fallback).Values())
	}
	if w.Secondary != "" {
		args = append(args, instance(w, w.Secondary).Values(instance(w, s.Second).Values()))
	}
	var results []jen.Code
	var after []jen.Code
	for i := range m.Results {
		name := s.Vars[resultVar(i)]
		used := used(m, i, name)
		if used == nil && i != m.Err {
			name = "_"
		}
		results = append(results, jen.Id(name))
		after = append(after, used...)
	}
	lines := append([]jen.Code{jen.List(results...).Op(":=").Id(s.Vars["g"]).Dot(m.Name).Call(s.arguments()...)}, after...)
	fn := f.Func().Id(s.Call)
	if len(w.TypeParams) > 0 {
		fn.Types(typeParams(w)...)
	}
	fn.Params(s.id("rt").Op("*").Add(rt("Runtime")), s.id("peer").Op("*").Add(sim("Peer"))).Params(sim("Call"), typeOf(w.Error)).Block(
		jen.List(s.id("g"), s.id("err")).Op(":=").Add(instance(w, w.New)).Call(args...),
		jen.Return(jen.Func().Params(s.id("ctx").Qual("context", "Context")).Add(typeOf(w.Error)).Block(
			append(lines, jen.Return(s.id(resultVar(m.Err))))...), s.id("err")),
	)
	f.Line()
}

// used does with a result what a caller has to: close it, or read it to its end.
func used(m *Method, i int, name string) []jen.Code {
	r := m.Results[i]
	closed := ""
	if i < len(m.Closers) {
		closed = m.Closers[i]
	}
	switch {
	case closed == ".Body":
		return []jen.Code{jen.If(jen.Id(name).Op("!=").Nil().Op("&&").Id(name).Dot("Body").Op("!=").Nil()).Block(
			jen.Id("_").Op("=").Id(name).Dot("Body").Dot("Close").Call())}
	case closed == ".":
		return []jen.Code{jen.If(jen.Id(name).Op("!=").Nil()).Block(jen.Id("_").Op("=").Id(name).Dot("Close").Call())}
	case iterator(r.Type):
		return []jen.Code{jen.If(jen.Id(name).Op("!=").Nil()).Block(jen.For(jen.Range().Id(name)).Block())}
	}
	return nil
}

// arguments of the simulated call are zero, or point to something that is.
func (s *Simulation) arguments() []jen.Code {
	var list []jen.Code
	for i, p := range s.Method.Params {
		switch {
		case i == s.Method.Ctx:
			list = append(list, s.id("ctx"))
		case s.Method.Variadic && i == len(s.Method.Params)-1:
		default:
			list = append(list, something(p.Type))
		}
	}
	return list
}

// delegate is the implementation that asks the peer. Its other methods are never
// called.
func (s *Simulation) delegate(f *jen.File) {
	w, m := s.Wrapper, s.Method
	embedded(f, w, s.Iface, s.Delegate, typeOf(w.Iface), s.id("peer").Op("*").Add(sim("Peer")))
	ctx := s.id("ctx")
	if m.Ctx < 0 {
		ctx = jen.Qual("context", "Background").Call()
	}
	params := variadic(m, unnamed(m))
	if m.Ctx >= 0 {
		params[m.Ctx] = jen.Add(ctx).Qual("context", "Context")
	}
	var zeros, values []jen.Code
	for i, r := range m.Results {
		if i == m.Err {
			zeros, values = append(zeros, s.id("err")), append(values, jen.Nil())
			continue
		}
		zeros, values = append(zeros, zero(r.Type)), append(values, something(r.Type))
	}
	f.Func().Params(s.id("d").Add(instance(w, s.Delegate))).Id(m.Name).Params(params...).Add(plainResults(m)).Block(
		jen.If(s.id("err").Op(":=").Id(s.Vars["d"]).Dot(s.Vars["peer"]).Dot("Serve").Call(ctx), s.id("err").Op("!=").Nil()).Block(jen.Return(zeros...)),
		jen.Return(values...))
	f.Line()
}

// answers declares who answers after the policies gave up.
func (s *Simulation) answers(f *jen.File) {
	w, m := s.Wrapper, s.Method
	results := func() *jen.Statement { return plainResults(m) }
	if w.Fallback != "" {
		embedded(f, w, s.FallbackIface, s.Fallback, instance(w, w.Fallback))
	}
	if w.Secondary != "" {
		declare(f, w, s.Second).Struct(instance(w, s.Iface))
		f.Line()
	}
	switch {
	case m.Fallback.Method:
		params := append(unnamed(m), jen.Id("_").Add(typeOf(w.Error)))
		f.Func().Params(instance(w, s.Fallback)).Id(m.Name + "Fallback").Params(params...).Add(results()).Block(s.answer())
	case m.Fallback.Secondary:
		f.Func().Params(instance(w, s.Second)).Id(m.Name).Params(variadic(m, unnamed(m))...).Add(results()).Block(s.answer())
	case m.Fallback.Func != nil:
		fn := f.Func().Id(s.Answer)
		if len(w.TypeParams) > 0 {
			fn.Types(typeParams(w)...)
		}
		fn.Params(variadic(m, unnamed(m))...).Add(results()).Block(s.answer())
	}
}

// unnamed are the parameters, where nobody looks at them.
func unnamed(m *Method) []jen.Code {
	var list []jen.Code
	for _, p := range m.Params {
		list = append(list, jen.Id("_").Add(typeOf(p.Type)))
	}
	return list
}

// variadic makes the last one what it is.
func variadic(m *Method, list []jen.Code) []jen.Code {
	if last := len(list) - 1; m.Variadic {
		list[last] = jen.Id("_").Add(variadicOf(m.Params[last].Type))
	}
	return list
}

func (s *Simulation) answer() jen.Code {
	var values []jen.Code
	for i, r := range s.Method.Results {
		if i == s.Method.Err {
			values = append(values, sim("ErrAnswered"))
			continue
		}
		values = append(values, zero(r.Type))
	}
	return jen.Return(values...)
}

// embedded declares a struct that has the methods of an interface. The embedded
// field is called like an alias, since a method may be called like the interface.
func embedded(f *jen.File, w *Wrapper, alias, name string, iface jen.Code, fields ...jen.Code) {
	declare(f, w, alias).Op("=").Add(iface)
	f.Line()
	declare(f, w, name).Struct(append([]jen.Code{instance(w, alias)}, fields...)...)
	f.Line()
}

func zero(t types.Type) jen.Code { return jen.Op("*").New(typeOf(t)) }

// something is a value of the type that can be used: a pointer that is not nil, a
// reader at its end, a sequence of nothing; else the zero value.
func something(t types.Type) jen.Code {
	switch u := t.Underlying().(type) {
	case *types.Pointer:
		if types.TypeString(types.Unalias(t), nil) == "*net/http.Response" {
			return jen.Op("&").Qual("net/http", "Response").Values(jen.Dict{jen.Id("StatusCode"): jen.Lit(200), jen.Id("Body"): jen.Qual("net/http", "NoBody")})
		}
		if _, named := types.Unalias(t).(*types.Pointer); named {
			return jen.New(typeOf(u.Elem()))
		}
	case *types.Interface:
		if _, param := types.Unalias(t).(*types.TypeParam); !param && readable(u) {
			return jen.Qual("io", "NopCloser").Call(jen.Qual("strings", "NewReader").Call(jen.Lit("")))
		}
	case *types.Signature:
		if iterator(t) {
			return jen.Func().Params(typeOf(u.Params().At(0).Type())).Block()
		}
	}
	return zero(t)
}

// readable reports whether a reader that needs no closing is one of the
// interface.
func readable(i *types.Interface) bool {
	reads := false
	for m := range i.Methods() {
		reads = reads || m.Name() == "Read"
		if !slices.Contains([]string{"Read", "Close"}, m.Name()) {
			return false
		}
	}
	return reads && strings.Contains(types.TypeString(i, nil), "byte")
}

// iterator reports whether values of the type can be ranged over.
func iterator(t types.Type) bool {
	sig, ok := t.Underlying().(*types.Signature)
	if !ok || sig.Params().Len() != 1 || sig.Results().Len() != 0 {
		return false
	}
	yield, ok := sig.Params().At(0).Type().Underlying().(*types.Signature)
	return ok && yield.Params().Len() <= 2 && yield.Results().Len() == 1 &&
		types.Identical(yield.Results().At(0).Type(), types.Typ[types.Bool])
}
