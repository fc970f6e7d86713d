package generator

import (
	"go/types"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

var errorType = types.Universe.Lookup("error").Type().Underlying().(*types.Interface)

// matcher resolves a list. kinds are the runtime's constants; m is nil if the
// list names nothing of the user's own.
func (r *resolver) matcher(key string, list policy.List) (kinds templates.Consts, m *templates.Matcher) {
	m = &templates.Matcher{Err: r.errorType()}
	for _, n := range list.Names {
		if r.full() {
			break
		}
		if kind := policy.Builtin[n.Text]; kind != "" && r.pkg.types.Scope().Lookup(n.Text) == nil {
			if n.Text == "Panic" && key != "circuitBreaker.ignoreOn" {
				r.complain(n.Pos, "RG092", key, "Panic may stand in circuitBreaker.ignoreOn only: nothing can be retried while a panic unwinds")
			}
			if n.Text == "GRPCUnavailable" && !r.pkg.usesGRPC() {
				r.complain(n.Pos, "RG092", key, "GRPCUnavailable: no file of the package imports google.golang.org/grpc, so no error can be one; import _ \"google.golang.org/grpc/status\" where another module's client hides it")
			}
			kinds = append(kinds, kind)
			continue
		}
		obj, why := r.pkg.lookup(n)
		if why == "" {
			why = add(m, obj)
		}
		if why != "" {
			r.complain(n.Pos, "RG092", key, n.Text+": "+why)
		}
	}
	if len(m.Is)+len(m.As)+len(m.Call) == 0 {
		m = nil
	}
	return kinds, m
}

// add puts obj into m as what it is: an error variable or constant, an error
// type, or a func(error) bool.
func add(m *templates.Matcher, obj types.Object) string {
	switch obj := obj.(type) {
	case *types.Var, *types.Const:
		if types.Implements(obj.Type(), errorType) {
			m.Is = append(m.Is, obj)
			return ""
		}
	case *types.TypeName:
		if t, ok := obj.Type().(interface{ TypeParams() *types.TypeParamList }); ok && t.TypeParams().Len() > 0 {
			return "is generic: declare an alias of the type that is meant, or a func(error) bool"
		}
		before := len(m.As)
		for _, t := range []types.Type{obj.Type(), types.NewPointer(obj.Type())} {
			if types.Implements(t, errorType) { // of an interface, the pointer does not
				m.As = append(m.As, t)
			}
		}
		if len(m.As) > before {
			return ""
		}
	case *types.Func:
		sig := obj.Signature()
		if sig.Params().Len() == 1 && sig.Results().Len() == 1 && !sig.Variadic() && sig.TypeParams().Len() == 0 &&
			types.Identical(sig.Params().At(0).Type(), types.Universe.Lookup("error").Type()) &&
			types.Identical(sig.Results().At(0).Type(), types.Typ[types.Bool]) {
			m.Call = append(m.Call, obj)
			return ""
		}
	}
	return "want an error variable, an error type or a func(error) bool; have " + types.ObjectString(obj, types.RelativeTo(obj.Pkg()))
}

// errorVariable resolves the name of an error variable, nil if it is none.
func (r *resolver) errorVariable(key string, name policy.Name) any {
	obj, why := r.pkg.lookup(name)
	if v, ok := obj.(*types.Var); why == "" && ok && types.Implements(v.Type(), errorType) {
		return r.use(obj)
	}
	if why == "" {
		why = "want an error variable; have " + types.ObjectString(obj, types.RelativeTo(obj.Pkg()))
	}
	r.complain(name.Pos, "RG092", key, name.Text+": "+why)
	return nil
}

// errorType returns the built-in error, spelled out where the package has a
// type of that name.
func (r *resolver) errorType() types.Type {
	universe := types.Universe.Lookup("error").Type()
	if r.pkg.types.Scope().Lookup("error") == nil {
		return universe
	}
	return universe.Underlying()
}
