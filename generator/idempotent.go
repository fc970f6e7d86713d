package generator

import (
	"fmt"
	"go/ast"
	"go/types"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// condition resolves a condition of idempotent: nil if there is none, or
// nothing that asks for it.
func (r *resolver) condition(sig *types.Signature, e *policy.Effective) *templates.Expr {
	v, ok := e.Given("idempotent")
	text, is := v.V.(string)
	if !ok || !is || text == "" {
		return nil
	}
	x, info, err := r.checked(text, sig)
	if err == "" {
		basic, ok := info.Types[x.Node].Type.(*types.Basic)
		if !ok || basic.Info()&types.IsBoolean == 0 || !info.Types[x.Node].IsValue() {
			err = "want a bool; have " + r.text(info.Types[x.Node].Type)
		}
	}
	if err != "" {
		r.complain(v.Pos, "RG092", e.Method+".idempotent", fmt.Sprintf("%q: %s", text, err))
		return nil
	}
	if !e.Has("retry") && !e.Has("hedge") && e.Str("fallback.to") == "" {
		return nil
	}
	r.imported(x)
	return x
}

// idempotency resolves the key of a method, nil if it has none.
func (r *resolver) idempotency(m *templates.Method, sig *types.Signature, e *policy.Effective) *templates.Idempotency {
	v, ok := e.Given("idempotent.key")
	if !ok {
		return nil
	}
	out := &templates.Idempotency{}
	var err string
	if !e.Generated() {
		if out.Key, err = r.expression(v.V.(string), sig, wantString); err != "" {
			r.complain(v.Pos, "RG092", e.Method+".idempotent.key", fmt.Sprintf("%q: %s", v.V, err))
			return nil
		}
	}
	into, assigned := e.Given("idempotent.into")
	if !assigned {
		if m.Ctx < 0 {
			r.complain(v.Pos, "RG092", e.Method+".idempotent.key", "the method takes no context.Context that could carry the key: say where it goes with into")
			return nil
		}
		return out
	}
	var t types.Type
	if out.Into, t, err = r.place(into.V.(string), sig, out); err != "" {
		r.complain(into.Pos, "RG092", e.Method+".idempotent.into", fmt.Sprintf("%q: %s", into.V, err))
		return nil
	}
	if _, whole := out.Into.Node.(*ast.Ident); whole && out.Key != nil {
		r.complain(into.Pos, "RG092", e.Method+".idempotent.into", fmt.Sprintf("%q: the key would replace the whole argument, whatever the caller gave: take it from there with key: %s, or name a field", into.V, into.V))
		return nil
	}
	r.convert(out, t)
	return out
}

// convert says how the key becomes the type of its place: it is of a string
// type, and so is the place.
func (r *resolver) convert(x *templates.Idempotency, place types.Type) {
	_, basic := place.(*types.Basic)
	if !basic {
		x.Into.Convert = wantString.name
	}
	if x.Key != nil && (x.Key.Convert != "" || !basic) {
		x.As = place
		visit(place, func(obj *types.TypeName, _ bool) {
			if obj != nil && obj.Pkg() != nil {
				r.use(obj)
			}
		})
	}
}

// place resolves what the key is assigned to: a parameter, or a field of one.
func (r *resolver) place(text string, sig *types.Signature, out *templates.Idempotency) (*templates.Expr, types.Type, string) {
	x, info, err := r.checked(text, sig)
	if err != "" {
		return nil, nil, err
	}
	t := info.Types[x.Node].Type
	if basic, ok := t.Underlying().(*types.Basic); !ok || basic.Kind() != types.String {
		return nil, nil, "want a field of a string type; have " + r.text(t)
	}
	root, err := owner(x, info)
	if err != "" {
		return nil, nil, err
	}
	if p, ok := root.Type().Underlying().(*types.Pointer); ok {
		if lock := locked(p.Elem(), 0); lock != "" {
			return nil, nil, "the argument must not be copied, since it holds " + lock + ", and its caller's must not be changed: take the key from the context, resilience.IdempotencyKey(ctx)"
		}
		out.Copy = root.Name() + "Copy"
	}
	return x, t, ""
}

// owner returns the parameter that x is, or is a field of. The way to the field
// leads through no pointer but the parameter: others are the caller's.
func owner(x *templates.Expr, info *types.Info) (types.Object, string) {
	e := x.Node
	for {
		s, ok := e.(*ast.SelectorExpr)
		if !ok {
			break
		}
		_, first := s.X.(*ast.Ident)
		if sel := info.Selections[s]; sel == nil || sel.Kind() != types.FieldVal || pointers(sel, first) {
			return nil, "it must be a field in the argument itself: what the argument points to is its caller's"
		}
		e = s.X
	}
	id, ok := e.(*ast.Ident)
	if ok {
		_, ok = x.Params[id]
	}
	if !ok {
		return nil, "want a parameter, or a field of one, like req.Key"
	}
	return info.Uses[id], ""
}

// pointers reports whether the selection leads through a pointer, beside the
// one that it begins with where that is allowed.
func pointers(sel *types.Selection, first bool) bool {
	t := sel.Recv()
	for i, index := range sel.Index() {
		if p, ok := t.Underlying().(*types.Pointer); ok {
			if !first || i > 0 {
				return true
			}
			t = p.Elem()
		}
		s, ok := t.Underlying().(*types.Struct)
		if !ok {
			return true // the core type of a type parameter
		}
		t = s.Field(index).Type()
	}
	return false
}

// locked names what in a struct must not be copied, as go vet sees it: what has
// a Lock and an Unlock by pointer.
func locked(t types.Type, depth int) string {
	if t = types.Unalias(t); depth > 10 {
		return ""
	}
	if n, ok := t.(*types.Named); ok {
		set := types.NewMethodSet(types.NewPointer(n))
		if set.Lookup(n.Obj().Pkg(), "Lock") != nil && set.Lookup(n.Obj().Pkg(), "Unlock") != nil {
			if types.NewMethodSet(n).Lookup(n.Obj().Pkg(), "Lock") == nil {
				return "a " + types.TypeString(n, func(p *types.Package) string { return p.Name() })
			}
		}
	}
	switch u := t.Underlying().(type) {
	case *types.Array:
		return locked(u.Elem(), depth+1)
	case *types.Struct:
		for f := range u.Fields() {
			if lock := locked(f.Type(), depth+1); lock != "" {
				return lock
			}
		}
	}
	return ""
}
