package templates

import "github.com/dave/jennifer/jen"

// Checkpoint is what a method needs to keep its results durably.
type Checkpoint struct {
	Key        *Expr
	Field      string // of the checkpoints
	Unrecorded string // name of the method behind them
	Kept       string // variable: the value
	Policy     *Literal
	// Seen are the indices of the parameters that tell the work of a key apart, Args
	// is the struct that holds several, with their names as a field and in JSON.
	Seen              []int
	Args              string
	ArgNames, ArgJSON []string
	// Unseen are the names of the others.
	Unseen []string
	// Plain says that == compares the arguments, A and B are two of them.
	Plain bool
	A, B  string
}

// checkpointType is the type of the checkpoints of m, after a name: Checkpoints or
// NewCheckpoints.
func checkpointType(w *Wrapper, m *Method, name string) *jen.Statement {
	return rt(name).Types(keptType(w, m), argsType(w, m))
}

// argsType is the type of the arguments that are compared.
func argsType(w *Wrapper, m *Method) *jen.Statement {
	switch x := m.Checkpoint; {
	case x.Args != "":
		return instance(w, x.Args)
	case len(x.Seen) == 0:
		return jen.Struct()
	default:
		return typeOf(m.Params[x.Seen[0]].Type)
	}
}

// newCheckpoints makes the checkpoints of m in the constructor.
func newCheckpoints(w *Wrapper, m *Method) jen.Code {
	x, same := m.Checkpoint, jen.Nil()
	if x.Plain {
		same = jen.Func().Params(jen.List(jen.Id(x.A), jen.Id(x.B)).Add(argsType(w, m))).Bool().Block(jen.Return(jen.Id(x.A).Op("==").Id(x.B)))
	}
	return jen.Id(w.Vars.Self).Dot(x.Field).Op("=").Add(checkpointType(w, m, "NewCheckpoints")).Call(
		jen.Id(w.Vars.Wrap), jen.Lit(m.Name), literal(x.Policy), same)
}

// recorded is the body of a method with checkpoints.
func recorded(w *Wrapper, m *Method) []jen.Code {
	x := m.Checkpoint
	var args jen.Code
	switch {
	case x.Args != "":
		fields := make([]jen.Code, len(x.Seen))
		for n, i := range x.Seen {
			fields[n] = jen.Id(m.Params[i].Name)
		}
		args = instance(w, x.Args).Values(fields...)
	case len(x.Seen) == 0:
		args = jen.Struct().Values()
	default:
		args = jen.Id(m.Params[x.Seen[0]].Name)
	}
	do := jen.Id(w.Recv).Dot(x.Field).Dot("Do").Call(caller(m), x.Key.code(m), args, execution(w, m, x.Unrecorded))
	lines := append(append(requested(m), panics(w, m)...), jen.List(jen.Id(x.Kept), jen.Id(m.Call)).Op(":=").Add(do))
	return append(lines, ended(w, m, x.Kept)...)
}

// unrecorded prints the method behind the checkpoints, and what their arguments are
// made of.
func unrecorded(f *jen.File, w *Wrapper, m *Method) {
	x := m.Checkpoint
	comment(f, x.Unrecorded+" is "+m.Name+" behind its checkpoints.")
	if m.Cache != nil {
		behind(f, w, m, x.Unrecorded, cached(w, m))
		uncached(f, w, m)
	} else {
		behind(f, w, m, x.Unrecorded, execute(w, m))
	}
	if x.Args == "" {
		return
	}
	fields := make([]jen.Code, len(x.Seen))
	for n, i := range x.Seen {
		fields[n] = jen.Id(x.ArgNames[n]).Add(typeOf(m.Params[i].Type)).Tag(map[string]string{"json": x.ArgJSON[n]})
	}
	comment(f, x.Args+" are the arguments of "+m.Name+" that its checkpoints compare.")
	declare(f, w, x.Args).Struct(fields...)
	f.Line()
}
