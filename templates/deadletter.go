package templates

import (
	"go/types"
	"strconv"
	"strings"

	"github.com/dave/jennifer/jen"
)

// Letters is what a method needs to keep calls that finally failed.
type Letters struct {
	Field  string // of the letters
	Handle string // name of the method that returns them, "" if the method is not exported
	Queue  string // as the doc comment says it
	Policy *Literal
	Panics bool // a panic is kept, too
	// AfterFallback says that what a fallback answers is kept.
	AfterFallback bool

	Args   string // name of the struct of the arguments that are kept
	Fields []LetterField
	Sig    string
	Redact []Redaction
	// InspectOnly says that arguments are missing: nothing is replayed.
	InspectOnly, Idempotent bool
	Schema                  string // the name of the constant, ""  where there is none
	SchemaJSON              string
	Order                   *Expr // nil: none

	// Under is the name of the method that takes the context of a replay, Ctx that
	// of the parameter, where the method takes none itself; "" otherwise.
	Under, Ctx string
	// Value is the variable for what a delegate panicked with.
	Value string
	// ReplayCtx, ReplayArgs and ReplayErr are variables of the funcs that replay.
	ReplayCtx, ReplayArgs, ReplayErr string
}

// LetterField is a field of the arguments of a letter.
type LetterField struct {
	Param int    // its index
	Name  string // of the field
	JSON  string // its name in a letter
	Type  types.Type
	Said  string // the type, as a letter tells it
	Codec *Codec // nil: JSON carries the type
	// Store is the variable or type that keeps the value, of which a letter holds the
	// reference; nil: the letter holds the value.
	Store types.Object
}

// Codec turns a value that JSON does not carry into JSON and back.
type Codec struct {
	Type string       // of the field
	Func types.Object // variable or type with the methods Encode and Decode
}

// Redaction says what happens to a place in the arguments.
type Redaction struct {
	Pointer string
	Mode    string // constant of the runtime
}

// lettersType is the type of the letters of m, after a name: DeadLetters or
// LetterMethod.
func lettersType(w *Wrapper, m *Method, name string) *jen.Statement {
	return rt(name).Types(instance(w, m.Letters.Args))
}

// newLetters makes the letters of m in the constructor.
func newLetters(w *Wrapper, m *Method) jen.Code {
	return jen.Id(w.Vars.Self).Dot(m.Letters.Field).Op("=").Add(rt("NewDeadLetters")).Call(
		jen.Id(w.Vars.Wrap), jen.Lit(m.Name), literal(m.Letters.Policy), letterMethod(w, m))
}

// letterMethod tells the runtime how calls of m are kept and replayed.
func letterMethod(w *Wrapper, m *Method) *jen.Statement {
	l := m.Letters
	fields := []jen.Code{jen.Id("Sig").Op(":").Lit(l.Sig)}
	if len(l.Fields) > 0 {
		fields = append(fields, jen.Id("Fields").Op(":").Index().Add(rt("LetterField")).ValuesFunc(func(g *jen.Group) {
			for _, f := range l.Fields {
				g.Values(jen.Id("Name").Op(":").Lit(f.JSON), jen.Id("Type").Op(":").Lit(f.Said))
			}
		}))
	}
	if len(l.Redact) > 0 {
		fields = append(fields, jen.Id("Redact").Op(":").Add(redactions(l.Redact)))
	}
	if refs := references(w, l); len(refs) > 0 {
		fields = append(fields, jen.Id("Refs").Op(":").Index().Add(rt("LetterRef").Types(instance(w, l.Args))).
			Custom(jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}, refs...))
	}
	if l.Idempotent {
		fields = append(fields, jen.Id("Idempotent").Op(":").True())
	}
	if l.Schema != "" {
		fields = append(fields, jen.Id("Schema").Op(":").Id(l.Schema))
	}
	if l.Order != nil {
		fields = append(fields, jen.Id("OrderKey").Op(":").Func().Params(jen.Id(l.ReplayArgs).Op("*").Add(instance(w, l.Args))).String().
			Block(jen.Return(l.Order.code(m.kept()))))
	}
	if l.InspectOnly {
		fields = append(fields, jen.Id("InspectOnly").Op(":").True())
	} else {
		fields = append(fields,
			jen.Id("Replay").Op(":").Add(replay(w, m, jen.Id(w.Vars.Self), l.Under)),
			jen.Id("Direct").Op(":").Add(replay(w, m, jen.Id(w.Vars.Next), "")))
	}
	return lettersType(w, m, "LetterMethod").Custom(jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}, fields...)
}

// references says who keeps the arguments that letters refer to.
func references(w *Wrapper, l *Letters) []jen.Code {
	var list []jen.Code
	for _, f := range l.Fields {
		if f.Store != nil {
			at := jen.Func().Params(jen.Id(l.ReplayArgs).Op("*").Add(instance(w, l.Args))).Op("*").Add(f.referenced()).
				Block(jen.Return(jen.Op("&").Id(l.ReplayArgs).Dot(f.Name)))
			list = append(list, rt("NewLetterRef").Call(jen.Lit(f.JSON), instanceOf(f.Store), at))
		}
	}
	return list
}

// referenced is the type of a field that holds a reference.
func (f *LetterField) referenced() *jen.Statement { return rt("Referenced").Types(typeOf(f.Type)) }

// instanceOf is a variable, or a value of a struct type without fields.
func instanceOf(obj types.Object) *jen.Statement {
	if _, is := obj.(*types.TypeName); is {
		return value(obj).Values()
	}
	return value(obj)
}

// redactions prints one in a line, several below each other.
func redactions(list []Redaction) *jen.Statement {
	values := make([]jen.Code, len(list))
	for i, r := range list {
		values[i] = jen.Values(jen.Id("Pointer").Op(":").Lit(r.Pointer), jen.Id("Mode").Op(":").Add(rt(r.Mode)))
	}
	return jen.Index().Add(rt("Redaction")).Custom(jen.Options{Open: "{", Close: "}", Separator: ",", Multi: len(list) > 1}, values...)
}

// kept is m over the fields of its letter: expressions over the parameters mean
// those.
func (m *Method) kept() *Method {
	over := *m
	over.Params = make([]Var, len(m.Params))
	for _, f := range m.Letters.Fields {
		over.Params[f.Param].Name = m.Letters.field(f)
	}
	return &over
}

// field is the value of a field of the arguments.
func (l *Letters) field(f LetterField) string {
	if f.Codec != nil || f.Store != nil {
		return l.ReplayArgs + "." + f.Name + ".Value"
	}
	return l.ReplayArgs + "." + f.Name
}

// replay is the func that makes a call of m again, at on.
func replay(w *Wrapper, m *Method, on *jen.Statement, under string) *jen.Statement {
	l := m.Letters
	name, ctx := m.Name, jen.Id("_")
	list := args(m.kept(), nil)
	switch {
	case under != "":
		name, ctx = under, jen.Id(l.ReplayCtx)
		list = append([]jen.Code{jen.Id(l.ReplayCtx)}, list...)
	case m.Ctx >= 0:
		ctx = jen.Id(l.ReplayCtx)
		list[m.Ctx] = jen.Id(l.ReplayCtx)
	}
	call := on.Dot(name).Call(list...)
	body := []jen.Code{jen.Return(call)}
	if len(m.Results) > 1 {
		names := make([]jen.Code, len(m.Results))
		for i := range names {
			names[i] = jen.Id("_")
		}
		names[m.Err] = jen.Id(l.ReplayErr)
		body = []jen.Code{jen.List(names...).Op(":=").Add(call), jen.Return(jen.Id(l.ReplayErr))}
	}
	params := []jen.Code{ctx.Qual(contextPath, "Context"), jen.Id(l.ReplayArgs).Add(instance(w, l.Args))}
	if len(l.Fields) == 0 {
		params[1] = jen.Id("_").Add(instance(w, l.Args))
	}
	return jen.Func().Params(params...).Add(typeOf(w.Error)).Block(body...)
}

// arguments are those of a call that is kept.
func arguments(w *Wrapper, m *Method) *jen.Statement {
	list := make([]jen.Code, len(m.Letters.Fields))
	for i, f := range m.Letters.Fields {
		list[i] = jen.Id(m.Params[f.Param].Name)
		switch {
		case f.Codec != nil:
			list[i] = instance(w, f.Codec.Type).Values(list[i])
		case f.Store != nil:
			list[i] = f.referenced().Values(jen.Id("Value").Op(":").Add(list[i]))
		}
	}
	return instance(w, m.Letters.Args).Values(list...)
}

// letters is the field of m's letters in the receiver.
func (m *Method) letters(w *Wrapper) *jen.Statement {
	return jen.Id(w.Recv).Dot(m.Letters.Field)
}

// panics keeps a call whose delegate panicked, and lets the panic go on.
func panics(w *Wrapper, m *Method) []jen.Code {
	if m.Letters == nil || !m.Letters.Panics {
		return nil
	}
	value := func() *jen.Statement { return jen.Id(m.Letters.Value) }
	panicked := m.letters(w).Dot("Panicked").Call(jen.Op("&").Id(m.Call), arguments(w, m), value())
	if m.keeps() { // there is no call outside of it
		panicked = m.letters(w).Dot("PanickedUnder").Call(caller(m), arguments(w, m), value())
	}
	return []jen.Code{jen.Defer().Func().Params().Block(
		jen.If(value().Op(":=").Recover(), value().Op("!=").Nil()).Block(
			panicked,
			jen.Panic(value()),
		)).Call()}
}

// keep is what follows the attempts of a method whose failed calls are kept: the
// fallback is asked, and what it does not answer is kept.
func keep(w *Wrapper, m *Method) []jen.Code {
	err := func() *jen.Statement { return jen.Id(m.Results[m.Err].Name) }
	failure := jen.Id(m.Call).Dot("Err").Call()
	kept := jen.Add(err()).Op("=").Add(m.letters(w)).Dot("Keep").Call(jen.Op("&").Id(m.Call), arguments(w, m), err())
	if m.keeps() {
		kept = jen.Add(err()).Op("=").Add(m.letters(w)).Dot("KeepOutcome").Call(caller(m), jen.Id(m.Call), arguments(w, m), err())
	}
	known := m.Hedge || m.keeps() // err is that of the call already
	there := func() *jen.Statement {
		if known {
			return jen.If(err().Op("!=").Nil())
		}
		return jen.If(err().Op("=").Add(failure), err().Op("!=").Nil())
	}
	none, zero, after := m.Fallback == (Answer{}), m.Fallback.Zero, m.Letters.AfterFallback
	switch {
	case none:
		return []jen.Code{there().Block(kept)}
	case after:
		return []jen.Code{there().Block(kept), jen.If(wantsFallback(m)).Block(append(dropped(m), answer(w, m, err())...)...)}
	case zero: // it always answers
		return []jen.Code{jen.If(wantsFallback(m)).Block(append(dropped(m), answer(w, m, nil)...)...), there().Block(kept)}
	}
	answered := jen.List(resultNames(m)...).Op("=").Add(answerCall(w, m, jen.Id(m.Call).Dot("Err").Call()))
	asked := jen.If(wantsFallback(m)).Block(append(dropped(m), answered)...)
	if !known {
		asked.Else().Block(err().Op("=").Add(failure))
	}
	return []jen.Code{asked, jen.If(err().Op("!=").Nil()).Block(kept)}
}

// letterTypes declares what the letters of m are made of, and the method that
// returns them.
func letterTypes(f *jen.File, w *Wrapper, m *Method) {
	l := m.Letters
	if l == nil {
		return
	}
	comment(f, l.Args+" are the arguments of "+m.Name+" that a letter holds.")
	declare(f, w, l.Args).StructFunc(func(g *jen.Group) {
		for _, field := range l.Fields {
			t := typeOf(field.Type)
			switch {
			case field.Codec != nil:
				t = instance(w, field.Codec.Type)
			case field.Store != nil:
				t = field.referenced()
			}
			g.Id(field.Name).Add(t).Tag(map[string]string{"json": field.JSON})
		}
	})
	f.Line()
	for _, field := range l.Fields {
		if field.Codec != nil {
			codecType(f, w, field)
		}
	}
	if l.Handle == "" {
		return
	}
	text := l.Handle + " returns the calls of " + m.Name + " that are kept in the queue " + strconv.Quote(l.Queue) + "."
	if l.InspectOnly {
		text += " They are there to be read: what a replay would need is not kept."
	}
	comment(f, text)
	f.Func().Params(jen.Id(w.Recv).Add(pointer(w))).Id(l.Handle).Params().Op("*").Add(lettersType(w, m, "DeadLetters")).
		Block(jen.Return(m.letters(w)))
	f.Line()
}

// codecType declares the type of a field that has a codec.
func codecType(f *jen.File, w *Wrapper, field LetterField) {
	c := field.Codec
	codec := func() *jen.Statement { return instanceOf(c.Func) }
	inside := func() *jen.Statement { return jen.Id(w.Recv).Dot("Value") }
	comment(f, c.Type+" is written and read by "+c.Func.Name()+".")
	declare(f, w, c.Type).Struct(jen.Id("Value").Add(typeOf(field.Type)))
	f.Line()
	comment(f, "MarshalJSON returns what "+c.Func.Name()+" makes of the value.")
	f.Func().Params(jen.Id(w.Recv).Add(instance(w, c.Type))).Id("MarshalJSON").Params().Params(jen.Index().Byte(), typeOf(w.Error)).
		Block(jen.Return(codec().Dot("Encode").Call(inside())))
	f.Line()
	comment(f, "UnmarshalJSON sets the value to what "+c.Func.Name()+" makes of data.")
	data, err := "data", "err"
	f.Func().Params(jen.Id(w.Recv).Op("*").Add(instance(w, c.Type))).Id("UnmarshalJSON").Params(jen.Id(data).Index().Byte()).Params(jen.Id(err).Add(typeOf(w.Error))).
		Block(jen.List(inside(), jen.Id(err)).Op("=").Add(codec()).Dot("Decode").Call(jen.Id(data)), jen.Return(jen.Id(err)))
	f.Line()
}

// under reports whether m takes no context, and has its body in another method
// that does: a replay is known by its context.
func (m *Method) under() bool { return m.Letters != nil && m.Letters.Under != "" }

// underBackground calls that method for everybody else.
func underBackground(w *Wrapper, m *Method) *jen.Statement {
	return jen.Id(w.Recv).Dot(m.Letters.Under).Call(append([]jen.Code{jen.Qual(contextPath, "Background").Call()}, args(m, nil)...)...)
}

// under prints that method.
func under(f *jen.File, w *Wrapper, m *Method, results []jen.Code) {
	comment(f, m.Letters.Under+" is "+m.Name+" under a context, which is that of a replay.")
	list := append([]jen.Code{jen.Id(m.Letters.Ctx).Qual(contextPath, "Context")}, params(m)...)
	fn := f.Func().Params(jen.Id(w.Recv).Add(pointer(w))).Id(m.Letters.Under).Params(list...).Params(results...)
	inner, letters := *m, *m.Letters // behind what keeps results there is no caller's context
	letters.Under, inner.Letters = "", &letters
	switch {
	case m.Checkpoint != nil:
		fn.Block(recorded(w, m)...)
		f.Line()
		unrecorded(f, w, &inner)
	case m.Cache != nil:
		fn.Block(cached(w, m)...)
		f.Line()
		uncached(f, w, &inner)
	default:
		fn.Block(body(w, m)...)
		f.Line()
	}
}

// schemas declares the JSON Schemas of letters, behind everything else.
func schemas(f *jen.File, w *Wrapper) {
	for _, m := range w.Methods {
		if l := m.Letters; l != nil && l.Schema != "" {
			comment(f, l.Schema+" describes "+l.Args+" as a JSON Schema.")
			text := jen.Op("`" + l.SchemaJSON + "`")
			if strings.Contains(l.SchemaJSON, "`") {
				text = jen.Lit(l.SchemaJSON)
			}
			f.Const().Id(l.Schema).Op("=").Add(text)
			f.Line()
		}
	}
}
