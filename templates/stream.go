package templates

import (
	"go/types"

	"github.com/dave/jennifer/jen"
)

// Held is the result of a method that is in use until it is closed or ranged
// over, and holds what the call held until then.
type Held struct {
	Result int // its index
	// Func is the func of the runtime that wraps it; "" if a generated type does.
	Func string
	// Body says that it is a response, whose body is wrapped.
	Body bool
	// Type is the generated type, Embedded that of its field: the interface, under
	// a name that no method of it has. Hold is the name of the field beside it.
	Type, Embedded, Hold string
}

// hold hands over what the call holds to the result that needs it. last are the
// results that are returned.
func hold(w *Wrapper, m *Method, last []jen.Code) []jen.Code {
	if m.Held == nil {
		return nil
	}
	result := func() *jen.Statement { return jen.Id(m.Results[m.Held.Result].Name) }
	call := jen.Op("&").Id(m.Call)
	switch {
	case m.Held.Body:
		body := func() *jen.Statement { return result().Dot("Body") }
		return []jen.Code{jen.If(result().Op("!=").Nil().Op("&&").Add(body()).Op("!=").Qual(httpPath, "NoBody")).Block(
			body().Op("=").Add(rt(m.Held.Func)).Call(call, body()))}
	case m.Held.Func != "":
		last[m.Held.Result] = rt(m.Held.Func).Call(call, result())
		return nil
	}
	value := jen.Op("&").Add(instance(w, m.Held.Type)).Values(result(), jen.Id(m.Call).Dot("Hold").Call())
	return []jen.Code{jen.If(result().Op("!=").Nil().Op("&&").Id(m.Call).Dot("Holds").Call()).Block(result().Op("=").Add(value))}
}

// heldType declares the type of a result that is held.
func heldType(f *jen.File, w *Wrapper, m *Method) {
	if m.Held == nil || m.Held.Type == "" {
		return
	}
	h := m.Held
	t := m.Results[h.Result].Type
	comment(f, h.Type+" is what "+m.Name+" returns: it holds what the call held, until it is closed.")
	declare(f, w, h.Type).Struct(
		jen.Add(instance(w, h.Embedded)),
		jen.Id(h.Hold).Op("*").Add(rt("Hold")),
	)
	f.Line()
	comment(f, h.Embedded+" is embedded under a name that none of its methods has.")
	embedded := declare(f, w, h.Embedded)
	if _, literal := t.(*types.Interface); literal {
		embedded.Add(typeOf(t))
	} else {
		embedded.Interface(typeOf(t))
	}
	f.Line()
	comment(f, "Close closes the result, and ends what is held for it.")
	f.Func().Params(jen.Id(w.Recv).Op("*").Add(instance(w, h.Type))).Id("Close").Params().Add(typeOf(w.Error)).Block(
		jen.Defer().Id(w.Recv).Dot(h.Hold).Dot("End").Call(),
		jen.Return(jen.Id(w.Recv).Dot(h.Embedded).Dot("Close").Call()),
	)
	f.Line()
}

// failed closes a result that the attempt was content with and a func judged bad,
// where the call fails for that: its caller looks at the error alone.
func failed(m *Method) []jen.Code {
	if !m.Loop || m.RetryResult == nil {
		return nil
	}
	fails := func() *jen.Statement {
		return jen.Id(m.Results[m.Err].Name).Op("==").Nil().Op("&&").Id(m.Call).Dot("Err").Call().Op("!=").Nil()
	}
	return closed(m, fails, func(name string) *jen.Statement { return jen.Id(name) })
}
