package generator

import (
	"go/types"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// answer resolves who answers after the policies of m gave up.
func (r *resolver) answer(m *types.Func, e *policy.Effective) templates.Answer {
	if !e.Has("fallback") {
		return templates.Answer{}
	}
	var a templates.Answer
	given := 0
	if v, ok := e.Given("fallback.func"); ok && !v.None {
		given++
		a.Func, a.Cause = r.fallbackFunc(m, v)
	}
	if v, ok := e.Given("fallback.to"); ok && !v.None {
		given++
		a.Secondary = true
		r.checkSecondary(e, v)
	}
	if v, ok := e.Given("fallback.value"); ok && !v.None {
		given++
		a.Zero = true
	}
	if given > 1 {
		r.complain(e.Pos, "", m.Name()+".fallback", "give one of func, to and value")
	}
	a.Method = given == 0
	return a
}

// rejections are the outcomes in which the delegate was not called.
var rejections = []string{"CircuitOpen", "BulkheadFull", "RateLimited"}

// checkSecondary refuses to do twice what may have been done once.
func (r *resolver) checkSecondary(e *policy.Effective, v policy.Value) {
	on := e.List("fallback.applyOn")
	safe := len(on.Names) > 0 && !on.Any && !slices.ContainsFunc(on.Names, func(n policy.Name) bool {
		return !slices.Contains(rejections, n.Text) || r.pkg.types.Scope().Lookup(n.Text) != nil
	})
	if !safe && !e.Idempotent() {
		r.judge(e, v.Pos, "RG047", e.Method+".fallback.to", "the first call may have done the work, and secondary would do it again: "+
			"mark the method idempotent: true, or apply it to rejections only, applyOn: [CircuitOpen, BulkheadFull]")
	}
}

// fallbackFunc resolves a func and checks that it can answer for m.
func (r *resolver) fallbackFunc(m *types.Func, v policy.Value) (types.Object, bool) {
	sig, name := m.Signature(), v.V.(policy.Name)
	obj, why := r.pkg.lookup(name)
	if why != "" {
		r.complain(name.Pos, "RG092", "fallback.func", name.Text+": "+why)
		return nil, false
	}
	plain := types.NewSignatureType(nil, nil, nil, sig.Params(), sig.Results(), sig.Variadic())
	cause := types.NewParam(0, nil, "cause", types.Universe.Lookup("error").Type())
	params := append(slices.Collect(sig.Params().Variables()), cause) // a variadic one is a slice there
	withCause := types.NewSignatureType(nil, nil, nil, types.NewTuple(params...), sig.Results(), false)
	switch {
	case r.same(obj, withCause):
		return r.use(obj), true
	case r.same(obj, plain):
		return r.use(obj), false
	}
	r.complain(name.Pos, "RG040", m.Name()+".fallback.func", name.Text+": want "+r.text(plain)+", or "+r.text(withCause)+"; have "+r.text(obj.Type()))
	return nil, false
}

// resultFunc resolves a func(T…) bool over the results of sig beside the error.
func (r *resolver) resultFunc(sig *types.Signature, errAt int, e *policy.Effective, key string) types.Object {
	v, ok := e.Given(key)
	if !ok || v.None || errAt < 0 {
		return nil
	}
	var in []*types.Var
	for i := range sig.Results().Len() {
		if i != errAt {
			in = append(in, sig.Results().At(i))
		}
	}
	return r.funcOf(key, v.V.(policy.Name), types.NewTuple(in...), types.Typ[types.Bool])
}

// injected resolves the func whose results chaos has stand for those of m, and
// refuses it where nothing would call it.
func (r *resolver) injected(m *templates.Method, sig *types.Signature, e *policy.Effective) types.Object {
	v, ok := e.Given("chaos.result")
	if !ok {
		return nil
	}
	name := v.V.(policy.Name)
	refuse := func(why string) types.Object {
		r.complain(name.Pos, "RG092", e.Method+".chaos.result", why)
		return nil
	}
	_, fault := e.Given("chaos.fault")
	switch {
	case sig.Results().Len() == 1:
		return refuse("the method returns an error and no result that could be injected: inject a fault, or give it chaos: {result: none}")
	case fault || e.Bool("chaos.panic"):
		return refuse("a result stands in the place of fault and panic, and not beside one: give fault: none, panic: false, or result: none")
	case m.Hedge:
		return refuse("no result is injected into the attempts of a hedged call: inject a fault or a latency, or take the hedge out")
	case m.Abandon:
		return refuse("no result is injected into an attempt that may be left behind: inject a fault or a latency, or take out timeout.mode: abandon")
	}
	var out []types.Type
	for i := range sig.Results().Len() {
		if i != m.Err {
			out = append(out, sig.Results().At(i).Type())
		}
	}
	return r.funcOf("chaos.result", name, nil, out...)
}

// funcOf resolves a func with the parameters and results.
func (r *resolver) funcOf(key string, name policy.Name, in *types.Tuple, out ...types.Type) types.Object {
	obj, why := r.pkg.lookup(name)
	if why != "" {
		r.complain(name.Pos, "RG092", key, name.Text+": "+why)
		return nil
	}
	var results []*types.Var
	for _, t := range out {
		results = append(results, types.NewParam(0, nil, "", t))
	}
	want := types.NewSignatureType(nil, nil, nil, in, types.NewTuple(results...), false)
	if !r.same(obj, want) {
		r.complain(name.Pos, "RG092", key, name.Text+": want "+r.text(want)+"; have "+r.text(obj.Type()))
		return nil
	}
	return r.use(obj)
}

// same compares by printed type: what two packages were loaded from may differ,
// the types they mean do not. A generic func has the interface's own type
// parameters, which is how it is instantiated.
func (r *resolver) same(obj types.Object, want *types.Signature) bool {
	f, ok := obj.(*types.Func)
	if !ok || shape(f.Signature()) != shape(want) {
		return false
	}
	have := f.Signature().TypeParams()
	return have.Len() == 0 || parameters(have) == parameters(r.typeParams)
}

// parameters prints type parameters with their constraints.
func parameters(list *types.TypeParamList) string {
	var b strings.Builder
	for p := range list.TypeParams() {
		b.WriteString(p.Obj().Name() + " " + types.TypeString(types.Unalias(p.Constraint()), nil) + ",")
	}
	return b.String()
}

// shape prints sig without the names of parameters.
func shape(sig *types.Signature) string {
	bare := func(t *types.Tuple) *types.Tuple {
		var list []*types.Var
		for v := range t.Variables() {
			list = append(list, types.NewParam(0, nil, "", types.Unalias(v.Type())))
		}
		return types.NewTuple(list...)
	}
	return types.TypeString(types.NewSignatureType(nil, nil, nil, bare(sig.Params()), bare(sig.Results()), sig.Variadic()), nil)
}

// use makes sure that the file imports the package of obj.
func (r *resolver) use(obj types.Object) types.Object {
	if obj.Pkg().Path() != r.pkg.Path {
		r.names.addImport(obj.Pkg().Path(), obj.Pkg().Name())
	}
	return obj
}

func (r *resolver) text(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string {
		if p.Path() == r.pkg.Path {
			return ""
		}
		return p.Name()
	})
}

// classify resolves what the file says about errors for all its policies.
func (r *resolver) classify(out *templates.File) {
	l := &templates.Literal{Type: "Errors"}
	add := func(name string, v any) { l.Fields = append(l.Fields, templates.Field{Name: name, Value: v}) }
	_, permanent := r.matcher("permanent", policy.List{Names: r.file.Permanent})
	for _, imp := range r.pkg.types.Imports() {
		if noRows := imp.Scope().Lookup("ErrNoRows"); imp.Path() == "database/sql" && noRows != nil {
			if permanent == nil {
				permanent = &templates.Matcher{Err: r.errorType()}
			}
			permanent.Is = append(permanent.Is, noRows)
		}
	}
	if permanent != nil {
		permanent.Func = r.names.declare("permanentError")
		permanent.Doc = permanent.Func + " reports whether nothing mends err, and the peer is not to blame."
		r.importMatcher(permanent)
		out.Permanent = permanent
		add("Permanent", templates.Func(permanent.Func))
	}
	if out.GRPCCode = r.grpcCode(); out.GRPCCode != nil {
		add("GRPCCodeOf", templates.Func(out.GRPCCode.Func))
	}
	errorParam := types.NewTuple(types.NewParam(0, nil, "", types.Universe.Lookup("error").Type()))
	if n := r.file.StatusOf; n.Text != "" {
		if f := r.funcOf("statusOf", n, errorParam, types.Typ[types.Int], types.Typ[types.Bool]); f != nil {
			add("StatusOf", f)
		}
	}
	if n := r.file.RetryAfterOf; n.Text != "" {
		if f := r.funcOf("retryAfterOf", n, errorParam, durationType, types.Typ[types.Bool]); f != nil {
			add("RetryAfterOf", f)
		}
	}
	if len(l.Fields) > 0 {
		r.classes = l
	}
}

// durationType prints like time.Duration.
var durationType = types.NewNamed(types.NewTypeName(0, types.NewPackage("time", "time"), "Duration", nil), types.Typ[types.Int64], nil)
