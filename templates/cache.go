package templates

import (
	"go/ast"
	"go/types"

	"github.com/dave/jennifer/jen"
)

// Cache is what a method needs to keep its results.
type Cache struct {
	Key      *Expr
	Type     types.Type // of the key
	Field    string     // of the cache
	Uncached string     // name of the method behind it
	// Kept, OK and Var are variables: the value, whether it was there, and the key
	// where it is computed.
	Kept, OK, Var string
}

// cacheType is the type of the cache of m, after a name: Cache or NewCache.
func cacheType(w *Wrapper, m *Method, name string) *jen.Statement {
	return rt(name).Types(typeOf(m.Cache.Type), keptType(w, m))
}

// keptType is the type of what is kept.
func keptType(w *Wrapper, m *Method) *jen.Statement {
	if m.Bundle != "" {
		return instance(w, m.Bundle)
	}
	return typeOf(m.Results[1-m.Err].Type)
}

// cached is the body of a method with a cache. Behind a checkpoint it returns how
// the call ended.
func cached(w *Wrapper, m *Method) []jen.Code {
	x := m.Cache
	lines := requested(m)
	key := x.Key.code(m)
	if !plainPath(x.Key.Node) {
		lines = append(lines, jen.Id(x.Var).Op(":=").Add(key))
		key = jen.Id(x.Var)
	}
	cache := jen.Id(w.Recv).Dot(x.Field)
	found := jen.Nil()
	if m.Checkpoint != nil {
		found = rt("Outcome").Values()
	}
	lines = append(lines, jen.If(jen.List(jen.Id(x.Kept), jen.Id(x.OK)).Op(":=").Add(cache).Dot("Get").Call(key), jen.Id(x.OK)).Block(jen.Return(kept(m, x.Kept, found)...)))
	if m.Checkpoint == nil {
		lines = append(lines, panics(w, m)...)
	}
	lines = append(lines,
		jen.List(jen.Id(x.Kept), jen.Id(m.Call)).Op(":=").Add(cache).Dot("Fill").Call(caller(m), key, execution(w, m, x.Uncached)))
	if m.Checkpoint != nil {
		return append(lines, jen.Return(kept(m, x.Kept, jen.Id(m.Call))...))
	}
	return append(lines, ended(w, m, x.Kept)...)
}

// ended is the end of a method whose results are kept: the fallback is asked, or
// what was kept is returned.
func ended(w *Wrapper, m *Method, value string) []jen.Code {
	var lines []jen.Code
	if m.Tells {
		lines = append(lines, wf("TellOutcome").Call(caller(m), jen.Id(m.Call)))
	}
	if m.Letters != nil {
		last := resultNames(m)
		lines = append(lines, jen.List(last...).Op("=").List(kept(m, value, jen.Id(m.Call).Dot("Err").Call())...))
		return append(append(lines, keep(w, m)...), jen.Return(last...))
	}
	if m.Fallback != (Answer{}) {
		lines = append(lines, jen.If(wantsFallback(m)).Block(answer(w, m, nil)...))
	}
	return append(lines, jen.Return(kept(m, value, jen.Id(m.Call).Dot("Err").Call())...))
}

// plainPath reports whether the expression costs nothing to be written twice.
func plainPath(e ast.Expr) bool {
	for isSelector(e) {
		e = e.(*ast.SelectorExpr).X
	}
	_, ok := e.(*ast.Ident)
	return ok
}

// kept are the results from what was kept, in a variable, with err in its place.
func kept(m *Method, value string, err *jen.Statement) []jen.Code {
	var list []jen.Code
	for i := range m.Results {
		switch {
		case i == m.Err:
			list = append(list, err)
		case m.Bundle != "":
			list = append(list, jen.Id(value).Dot(m.BundleNames[i]))
		default:
			list = append(list, jen.Id(value))
		}
	}
	return list
}

// execution is the func that a miss executes: a method.
func execution(w *Wrapper, m *Method, method string) *jen.Statement {
	param := jen.Add(jen.Qual(contextPath, "Context"))
	if m.Ctx >= 0 {
		param = jen.Id(m.Params[m.Ctx].Name).Add(param)
	}
	run := jen.Id(w.Recv).Dot(method).Call(args(m, nil)...)
	body := []jen.Code{jen.Return(run)}
	if m.Bundle != "" || m.Err == 0 {
		names, fields := resultNames(m), []jen.Code{}
		names[m.Err] = jen.Id(m.Call)
		for i, r := range m.Results {
			if i != m.Err {
				fields = append(fields, jen.Id(r.Name))
			}
		}
		value := jen.Add(fields[0])
		if m.Bundle != "" {
			value = instance(w, m.Bundle).Values(fields...)
		}
		body = []jen.Code{jen.List(names...).Op(":=").Add(run), jen.Return(value, jen.Id(m.Call))}
	}
	return jen.Func().Params(param).Params(keptType(w, m), rt("Outcome")).Block(body...)
}

// uncached prints the method behind the cache.
func uncached(f *jen.File, w *Wrapper, m *Method) {
	comment(f, m.Cache.Uncached+" is "+m.Name+" behind its cache.")
	behind(f, w, m, m.Cache.Uncached, execute(w, m))
}

// execute is the body of a method behind what keeps its results.
func execute(w *Wrapper, m *Method) []jen.Code {
	lines := body(w, m)
	if !m.Hedge {
		err := m.Results[m.Err]
		lines = append([]jen.Code{jen.Var().Id(err.Name).Add(typeOf(err.Type))}, lines...)
	}
	return lines
}

// behind prints a method that returns how the call ended in the place of the error.
func behind(f *jen.File, w *Wrapper, m *Method, name string, lines []jen.Code) {
	results := make([]jen.Code, len(m.Results))
	for i, r := range m.Results {
		results[i] = jen.Id(r.Name).Add(typeOf(r.Type))
		if i == m.Err {
			results[i] = jen.Id("_").Add(rt("Outcome"))
		}
	}
	f.Func().Params(jen.Id(w.Recv).Add(pointer(w))).Id(name).Params(params(m)...).Params(results...).Block(lines...)
	f.Line()
}
