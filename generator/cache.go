package generator

import (
	"fmt"
	"go/types"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// cache resolves the key of a cache, nil if there is none.
func (r *resolver) cache(sig *types.Signature, e *policy.Effective) *templates.Cache {
	v, ok := e.Given("cache.key")
	if !ok || !e.Has("cache") {
		return nil
	}
	text := v.V.(string)
	x, info, err := r.checked(text, sig)
	if err != "" {
		r.complain(v.Pos, "RG092", e.Method+".cache.key", fmt.Sprintf("%q: %s", text, err))
		return nil
	}
	if !info.Types[x.Node].IsValue() {
		r.complain(v.Pos, "RG092", e.Method+".cache.key", fmt.Sprintf("%q: want a value; this is none", text))
		return nil
	}
	t := types.Default(info.Types[x.Node].Type)
	why := lint.Incomparable(t)
	visit(t, func(obj *types.TypeName, _ bool) {
		switch {
		case obj == nil || obj.Pkg() == nil:
		case obj.Pkg().Path() != r.pkg.Path && !obj.Exported():
			why = "its type cannot be named here"
		case why == "":
			r.use(obj)
		}
	})
	if why != "" {
		r.judge(e, v.Pos, "RG086", e.Method+".cache.key", fmt.Sprintf("%q is a %s: %s", text, r.text(t), why))
		return nil
	}
	r.imported(x)
	return &templates.Cache{Key: x, Type: t}
}
