package templates

import (
	"go/types"
	"slices"
	"strconv"

	"github.com/dave/jennifer/jen"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// method prints m and the matchers that stand beside it.
func method(f *jen.File, w *Wrapper, m *Method) {
	comment(f, m.Doc)
	fn := f.Func().Params(jen.Id(w.Recv).Add(pointer(w))).Id(m.Name).Params(params(m)...)
	if m.Policy == nil {
		fn.Add(plainResults(m)).Block(append(idempotency(w, m), pass(w, m))...)
		f.Line()
		return
	}
	results := make([]jen.Code, len(m.Results))
	for i, r := range m.Results {
		results[i] = jen.Id(r.Name).Add(typeOf(r.Type))
	}
	switch {
	case m.under():
		fn.Add(plainResults(m)).Block(jen.Return(underBackground(w, m)))
		f.Line()
		under(f, w, m, results)
	case m.Checkpoint != nil:
		fn.Params(results...).Block(recorded(w, m)...)
		f.Line()
		unrecorded(f, w, m)
	case m.Cache != nil:
		fn.Params(results...).Block(cached(w, m)...)
		f.Line()
		uncached(f, w, m)
	default:
		fn.Params(results...).Block(body(w, m)...)
		f.Line()
	}
	letterTypes(f, w, m)
	if m.Bundle != "" {
		bundle(f, w, m)
	}
	heldType(f, w, m)
	for _, x := range m.Matchers {
		matcher(f, x)
	}
}

func params(m *Method) []jen.Code {
	list := make([]jen.Code, len(m.Params))
	for i, p := range m.Params {
		t := typeOf(p.Type)
		if m.Variadic && i == len(m.Params)-1 {
			t = variadicOf(p.Type)
		}
		list[i] = jen.Id(p.Name).Add(t)
	}
	return list
}

func plainResults(m *Method) *jen.Statement {
	list := make([]jen.Code, len(m.Results))
	for i, r := range m.Results {
		list[i] = typeOf(r.Type)
	}
	switch len(list) {
	case 0:
		return jen.Null()
	case 1:
		return jen.Add(list[0])
	}
	return jen.Params(list...)
}

// pass is the whole body of a method without a policy.
func pass(w *Wrapper, m *Method) jen.Code {
	call := jen.Id(w.Recv).Dot(w.next()).Dot(m.Name).Call(args(m, nil)...)
	if len(m.Results) == 0 {
		return call
	}
	return jen.Return(call)
}

// args are the arguments of a call of the delegate; ctx replaces the context.
func args(m *Method, ctx *jen.Statement) []jen.Code {
	list := make([]jen.Code, len(m.Params))
	for i, p := range m.Params {
		switch {
		case i == m.Ctx && ctx != nil:
			list[i] = ctx
		case m.Variadic && i == len(m.Params)-1:
			list[i] = jen.Id(p.Name).Op("...")
		default:
			list[i] = jen.Id(p.Name)
		}
	}
	return list
}

// keeps reports whether results are kept, by who wants to know how a call ended.
func (m *Method) keeps() bool { return m.Cache != nil || m.Checkpoint != nil }

func body(w *Wrapper, m *Method) []jen.Code {
	begin := caller(m)
	loop := jen.If
	if m.Loop {
		loop = jen.For
	}
	open := jen.Dot("Begin").Call(begin)
	if m.Key != nil {
		open = jen.Dot("BeginKey").Call(begin, m.Key.code(m))
	}
	lines := append(append(requested(m), idempotency(w, m)...),
		jen.Id(m.Call).Op(":=").Id(w.Recv).Dot(m.Field).Add(open))
	if !m.keeps() {
		lines = append(lines, panics(w, m)...)
	}
	if m.Tells && !m.keeps() {
		lines = append(lines, jen.Defer().Add(wf("Tell")).Call(jen.Id(m.Params[m.Ctx].Name), jen.Op("&").Id(m.Call)))
	}
	lines = append(lines, jen.Defer().Id(m.Call).Dot("End").Call())
	for _, i := range m.Rewound {
		lines = append(lines, rewind(m, m.Params[i]))
	}
	if m.LimitKey != nil {
		lines = append(lines, jen.Id(m.Call).Dot("LimitKey").Call(m.LimitKey.code(m)))
	}
	if m.Cost != nil {
		lines = append(lines, jen.Id(m.Call).Dot("Cost").Call(m.Cost.code(m)))
	}
	if m.Repeats != nil {
		lines = append(lines, jen.Id(m.Call).Dot("Idempotent").Call(m.Repeats.code(m)))
	}
	if m.Hedge {
		lines = append(lines, attempt(w, m)...)
	} else {
		lines = append(lines, loop(jen.Id(m.Call).Dot("Next").Call()).Block(slices.Concat(dropped(m), attempt(w, m), []jen.Code{record(w, m)})...))
	}
	last := resultNames(m)
	switch {
	case m.keeps(): // the fallback is outside
		last[m.Err] = jen.Id(m.Call).Dot("Outcome").Call()
		return append(lines, jen.Return(last...))
	case m.Letters != nil:
		return append(append(append(lines, failed(m)...), keep(w, m)...), jen.Return(last...))
	case m.Fallback != (Answer{}):
		lines = append(lines, jen.If(wantsFallback(m)).Block(append(dropped(m), answer(w, m, nil)...)...))
	}
	lines = append(append(lines, failed(m)...), hold(w, m, last)...)
	if !m.Hedge {
		last[m.Err] = jen.Id(m.Call).Dot("Err").Call()
	}
	return append(lines, jen.Return(last...))
}

// caller is the context of who calls m. It is a variable of [requested] where a
// request brings it.
func caller(m *Method) *jen.Statement {
	switch {
	case m.Ctx >= 0:
		return jen.Id(m.Params[m.Ctx].Name)
	case m.under():
		return jen.Id(m.Letters.Ctx)
	case m.Request != "":
		return jen.Id(m.Context)
	}
	return jen.Qual(contextPath, "Background").Call()
}

// requested declares the context that a request brings. One that is nil is for
// the delegate to complain of.
func requested(m *Method) []jen.Code {
	if m.Request == "" {
		return nil
	}
	return []jen.Code{
		jen.Id(m.Context).Op(":=").Qual(contextPath, "Background").Call(),
		jen.If(jen.Id(m.Request).Op("!=").Nil()).Block(jen.Id(m.Context).Op("=").Id(m.Request).Dot("Context").Call()),
	}
}

// wantsFallback asks the call whether the fallback is to answer.
func wantsFallback(m *Method) *jen.Statement {
	wants := jen.Id(m.Call).Dot("WantsFallback").Call()
	if m.Fallback.Secondary && m.Repeats != nil {
		wants.Op("&&").Id(m.Call).Dot("MayRepeat").Call()
	}
	return wants
}

// rewind has the call wind a parameter back. A pointer that is nil is no nil
// io.Seeker.
func rewind(m *Method, p Var) *jen.Statement {
	call := jen.Id(m.Call).Dot("Rewind").Call(jen.Id(p.Name))
	if _, is := types.Unalias(p.Type).(*types.Pointer); is {
		return jen.If(jen.Id(p.Name).Op("!=").Nil()).Block(call)
	}
	return call
}

// dropped closes what the attempt before returned and nobody wanted: another
// attempt follows, or the fallback.
func dropped(m *Method) []jen.Code {
	if !m.Loop || m.RetryResult == nil {
		return nil
	}
	return closed(m, nil, func(name string) *jen.Statement { return jen.Id(name) })
}

// record tells the call how the attempt ended.
func record(w *Wrapper, m *Method) jen.Code {
	err := jen.Id(m.Results[m.Err].Name)
	if m.RetryResult == nil && m.RecordResult == nil {
		return jen.Id(m.Call).Dot("Record").Call(err)
	}
	judge := func(f types.Object) *jen.Statement {
		if f == nil {
			return jen.False()
		}
		var list []jen.Code
		for i, r := range m.Results {
			if i != m.Err {
				list = append(list, jen.Id(r.Name))
			}
		}
		return jen.Add(err).Op("==").Nil().Op("&&").Add(function(w, f)).Call(list...)
	}
	return jen.Id(m.Call).Dot("RecordResult").Call(err, judge(m.RetryResult), judge(m.RecordResult))
}

// answer is what stands where the policies gave up, because of cause; nil: of the
// error of the call.
func answer(w *Wrapper, m *Method, cause *jen.Statement) []jen.Code {
	if m.Fallback.Zero {
		return zeroAnswer(m)
	}
	if cause == nil {
		cause = jen.Id(m.Call).Dot("Err").Call()
	}
	return []jen.Code{jen.Return(answerCall(w, m, cause))}
}

// answerCall is the call of who answers.
func answerCall(w *Wrapper, m *Method, cause *jen.Statement) *jen.Statement {
	if m.Fallback.Secondary {
		return secondary(w, m).Dot(m.Name).Call(args(m, nil)...)
	}
	list := args(m, nil)
	if (m.Fallback.Method || m.Fallback.Cause) && m.Variadic { // a slice there
		list[len(list)-1] = jen.Id(m.Params[len(m.Params)-1].Name)
	}
	if m.Fallback.Method {
		return jen.Id(w.Recv).Dot(w.Fields.Fallback).Dot(m.Name + "Fallback").Call(append(list, cause)...)
	}
	if m.Fallback.Cause {
		list = append(list, cause)
	}
	return function(w, m.Fallback.Func).Call(list...)
}

// secondary is the second implementation: promotion finds its methods, except
// the one that has the name of the embedded interface.
func secondary(w *Wrapper, m *Method) *jen.Statement {
	s := jen.Id(w.Recv).Dot(w.Fields.Secondary)
	if m.Name == shortName(w.Iface) {
		return s.Dot(m.Name)
	}
	return s
}

// zeroAnswer returns the zero value of every result.
func zeroAnswer(m *Method) []jen.Code {
	var lines, list []jen.Code
	for i, r := range m.Results {
		if i == m.Err {
			list = append(list, jen.Nil())
			continue
		}
		lines = append(lines, jen.Var().Id(m.Zeros[i]).Add(typeOf(r.Type)))
		list = append(list, jen.Id(m.Zeros[i]))
	}
	return append(lines, jen.Return(list...))
}

func resultNames(m *Method) []jen.Code {
	list := make([]jen.Code, len(m.Results))
	for i, r := range m.Results {
		list[i] = jen.Id(r.Name)
	}
	return list
}

// matcher prints a func of errors.Is, errors.As and calls.
func matcher(f *jen.File, m *Matcher) {
	comment(f, m.Doc)
	var terms []jen.Code
	var before []jen.Code
	for _, obj := range m.Is {
		terms = append(terms, jen.Qual(errorsPath, "Is").Call(jen.Id(m.Param), jen.Qual(obj.Pkg().Path(), obj.Name())))
	}
	for i, t := range m.As {
		before = append(before, jen.Var().Id(m.Targets[i]).Add(typeOf(t)))
		terms = append(terms, jen.Qual(errorsPath, "As").Call(jen.Id(m.Param), jen.Op("&").Id(m.Targets[i])))
	}
	for _, obj := range m.Call {
		terms = append(terms, jen.Qual(obj.Pkg().Path(), obj.Name()).Call(jen.Id(m.Param)))
	}
	or := jen.Add(terms[0])
	for _, t := range terms[1:] {
		or = or.Op("||").Add(t)
	}
	f.Func().Id(m.Func).Params(jen.Id(m.Param).Add(typeOf(m.Err))).Bool().Block(append(before, jen.Return(or))...)
	f.Line()
}

// grpcCode prints the func that finds the code of a gRPC error.
func grpcCode(f *jen.File, m *Matcher) {
	comment(f, m.Doc)
	target := m.Targets[0]
	f.Func().Id(m.Func).Params(jen.Id(m.Param).Add(typeOf(m.Err))).Params(jen.Uint32(), jen.Bool()).Block(
		jen.Var().Id(target).Interface(jen.Id("GRPCStatus").Params().Op("*").Qual(grpcStatusPath, "Status")),
		jen.If(jen.Op("!").Qual(errorsPath, "As").Call(jen.Id(m.Param), jen.Op("&").Id(target))).Block(jen.Return(jen.Lit(0), jen.False())),
		jen.Return(jen.Uint32().Call(jen.Id(target).Dot("GRPCStatus").Call().Dot("Code").Call()), jen.True()),
	)
	f.Line()
}
