package generator

import "go/types"

// respell replaces types of internal packages by aliases of them that pkg
// declares: an alias makes an internal type spellable.
func (p *goPackage) respell(m *types.Func, pkg *types.Package) *types.Func {
	r := respeller{p, pkg}
	sig := m.Signature()
	in, inChanged := r.tuple(sig.Params())
	out, outChanged := r.tuple(sig.Results())
	if !inChanged && !outChanged {
		return m
	}
	return types.NewFunc(m.Pos(), m.Pkg(), m.Name(), types.NewSignatureType(nil, nil, nil, in, out, sig.Variadic()))
}

type respeller struct {
	to      *goPackage
	aliases *types.Package
}

func (r respeller) tuple(t *types.Tuple) (*types.Tuple, bool) {
	changed := false
	var list []*types.Var
	for v := range t.Variables() {
		typ := r.typ(v.Type())
		changed = changed || typ != v.Type()
		list = append(list, types.NewParam(v.Pos(), v.Pkg(), v.Name(), typ))
	}
	return types.NewTuple(list...), changed
}

// typ returns t itself if nothing in it changes.
func (r respeller) typ(t types.Type) types.Type {
	switch t := t.(type) {
	case *types.Named:
		return r.named(t)
	case *types.Pointer:
		if e := r.typ(t.Elem()); e != t.Elem() {
			return types.NewPointer(e)
		}
	case *types.Slice:
		if e := r.typ(t.Elem()); e != t.Elem() {
			return types.NewSlice(e)
		}
	case *types.Array:
		if e := r.typ(t.Elem()); e != t.Elem() {
			return types.NewArray(e, t.Len())
		}
	case *types.Chan:
		if e := r.typ(t.Elem()); e != t.Elem() {
			return types.NewChan(t.Dir(), e)
		}
	case *types.Map:
		k, e := r.typ(t.Key()), r.typ(t.Elem())
		if k != t.Key() || e != t.Elem() {
			return types.NewMap(k, e)
		}
	case *types.Signature:
		in, a := r.tuple(t.Params())
		out, b := r.tuple(t.Results())
		if a || b {
			return types.NewSignatureType(nil, nil, nil, in, out, t.Variadic())
		}
	}
	return t
}

func (r respeller) named(t *types.Named) types.Type {
	pkg := t.Obj().Pkg()
	if pkg == nil || pkg.Path() == r.to.Path || canImport(r.to.Path, pkg.Path()) && t.Obj().Exported() {
		return t
	}
	for _, name := range r.aliases.Scope().Names() {
		obj, ok := r.aliases.Scope().Lookup(name).(*types.TypeName)
		if ok && obj.IsAlias() && obj.Exported() && types.TypeString(types.Unalias(obj.Type()), nil) == types.TypeString(t, nil) {
			return obj.Type()
		}
	}
	return t
}
