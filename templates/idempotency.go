package templates

import (
	"go/types"

	"github.com/dave/jennifer/jen"
)

// Idempotency is the key that all attempts of a call carry.
type Idempotency struct {
	Key  *Expr // nil: made up for each call
	Into *Expr // where it is assigned, too; nil: nowhere
	// As is the type that Key is converted to for Into, nil if it needs none.
	As types.Type
	// Copy is the variable for a copy of the argument, which is a pointer; "" if
	// it is none.
	Copy string
}

// idempotency puts the key into the context, and the argument. One that is made up
// within a node of a workflow is the same whenever the node runs again.
func idempotency(w *Wrapper, m *Method) []jen.Code {
	if m.Idempotency == nil || m.Idempotency.Key != nil || m.Ctx < 0 {
		return given(m)
	}
	args := make([]jen.Code, 0, len(m.Params))
	for i, p := range m.Params {
		if i != m.Ctx {
			args = append(args, jen.Id(p.Name))
		}
	}
	ctx := jen.Id(m.Params[m.Ctx].Name)
	made := jen.Func().Params().Add(rt("CallArgs")).Block(jen.Return(rt("CallArgs").Values(args...)))
	return append([]jen.Code{jen.Add(ctx).Op("=").Add(rt("KeyOfCall")).Call(ctx, jen.Lit(w.Key+"."+m.Name), made)}, given(m)...)
}

// given puts the key that there is, or a new one, into the context, and the argument.
func given(m *Method) []jen.Code {
	x := m.Idempotency
	switch {
	case x == nil:
		return nil
	case x.Into == nil && x.Key == nil:
		return []jen.Code{jen.Id(m.Params[m.Ctx].Name).Op("=").Add(rt("EnsureIdempotencyKey")).Call(jen.Id(m.Params[m.Ctx].Name))}
	case x.Into == nil:
		return []jen.Code{carry(m, x.Key.code(m))}
	case x.Copy == "":
		return assign(m, x.Into.print(m, x.Into.Node))
	}
	param := jen.Id(m.Params[x.Into.root()].Name)
	lines := []jen.Code{jen.Id(x.Copy).Op(":=").Op("*").Add(param).Comment("the caller's stays as it is")}
	lines = append(lines, assign(m, x.Into.within(m, jen.Id(x.Copy)))...)
	return []jen.Code{jen.If(jen.Add(param).Op("!=").Nil()).Block(append(lines, jen.Add(param).Op("=").Op("&").Id(x.Copy))...)}
}

// assign gives the key to a place, and the context the one that is there.
func assign(m *Method, place *jen.Statement) []jen.Code {
	x := m.Idempotency
	if x.Key == nil {
		ctx, blank := jen.Qual(contextPath, "Background").Call(), jen.Id("_")
		if m.Ctx >= 0 {
			ctx = jen.Id(m.Params[m.Ctx].Name)
			blank = ctx
		}
		return []jen.Code{jen.List(blank, place).Op("=").Add(rt("AssignIdempotencyKey")).Call(ctx, place)}
	}
	key := x.Key.print(m, x.Key.Node)
	if x.As != nil {
		key = typeOf(x.As).Call(key)
	}
	lines := []jen.Code{jen.Add(place).Op("=").Add(key)}
	if m.Ctx >= 0 {
		if x.Into.Convert != "" {
			place = jen.Id(x.Into.Convert).Call(place)
		}
		lines = append(lines, carry(m, place))
	}
	return lines
}

// carry puts the key into the context.
func carry(m *Method, key *jen.Statement) jen.Code {
	ctx := jen.Id(m.Params[m.Ctx].Name)
	return jen.Add(ctx).Op("=").Add(rt("WithIdempotencyKey")).Call(ctx, key)
}
