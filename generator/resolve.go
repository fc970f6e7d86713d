package generator

import (
	"go/types"
	"maps"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// resolver brings one policy file and the package together.
type resolver struct {
	pkg   *goPackage
	file  *policy.File
	names *names
	errs  policy.Errors
	// lenient makes warnings of errors of judgement.
	lenient bool
	// guarded are the interfaces with the policies of their methods.
	guarded []*guarded
	// classes is what every policy of the file says about errors; nil: nothing.
	classes *templates.Literal
	// kept is what the letters of the file's methods hold.
	kept []LetterReport
	// typeParams are those of the interface that is resolved.
	typeParams *types.TypeParamList
	// graphs and pipelines are proved when all that they may refer to is known.
	graphs    []*graph
	pipelines []*pipeline
}

// guarded is an interface with the policy of each of its methods.
type guarded struct {
	by      *resolver
	iface   *policy.Interface
	face    *goInterface
	wrapper *templates.Wrapper
	methods []*policy.Effective // of face.methods
}

// resolution is what the policies of a package come to.
type resolution struct {
	files     []*templates.File
	resolvers []*resolver
	pkg       *goPackage
}

// resolve brings every policy file and the package together.
func resolve(c Config, set *policy.Set, pkg *goPackage) *resolution {
	all := &resolution{pkg: pkg}
	names := newNames(pkg.types, importNames(pkg.dir))
	for _, f := range set.Files {
		r := &resolver{pkg: pkg, file: f, names: names, lenient: c.Lenient}
		all.files = append(all.files, r.run())
		all.resolvers = append(all.resolvers, r)
	}
	all.graphs()
	together(all.guarded())
	return all
}

func (all *resolution) guarded() []*guarded {
	var list []*guarded
	for _, r := range all.resolvers {
		list = append(list, r.guarded...)
	}
	return list
}

func (all *resolution) failed() bool {
	return slices.ContainsFunc(all.resolvers, (*resolver).failed)
}

// complaints returns all that was found, warnings among it. deep says that the
// checks that only resilgen lint runs have run.
func (all *resolution) complaints(deep bool) policy.Errors {
	var list policy.Errors
	for _, r := range all.resolvers {
		if !r.failed() { // else what failed may be what used the policy
			r.errs = append(r.errs, r.file.Warnings()...)
			r.ignoresNothing(deep)
		}
		list = append(list, r.errs...)
	}
	return list.Sorted()
}

// result reports warnings, and returns a file for each policy file or every
// error.
func (all *resolution) result(c Config) ([]*templates.File, error) {
	var errs policy.Errors
	for _, e := range all.complaints(false) {
		switch {
		case !e.Warning:
			errs = append(errs, e)
		case !e.Info && c.Warn != nil:
			c.Warn(e)
		}
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return all.files, nil
}

func (r *resolver) failed() bool {
	return slices.ContainsFunc(r.errs, func(e *policy.Error) bool { return !e.Warning })
}

// full reports that there are more complaints than anybody reads. A hostile
// file must not have each of its names compared with what it may have meant.
func (r *resolver) full() bool { return len(r.errs) >= 500 }

func (r *resolver) complain(pos policy.Pos, id, key, msg string) {
	r.errs = append(r.errs, r.file.Error(pos, id, key, msg))
}

func (r *resolver) run() *templates.File {
	out := &templates.File{Package: r.pkg.Name, Path: r.pkg.Path, Sources: strings.Join(r.file.Sources, ", ")}
	r.predeclared()
	r.ignorable()
	var found []*goInterface
	for _, i := range r.file.Interfaces {
		if r.full() {
			return out
		}
		face, why := r.pkg.find(i.Of)
		found = append(found, face)
		if why != "" {
			r.complain(i.OfPos(), "RG091", i.Section(), why)
			continue
		}
		r.hidden(i, face)
	}
	r.names.addImport(runtimePath, "resilience")
	r.names.addImport("time", "time")
	r.names.addImport(contextPath, "context")
	r.names.addImport("errors", "errors")
	if len(r.file.Workflows)+len(r.file.Pipelines) > 0 {
		r.names.addImport(workflowPath, "workflow")
		r.names.addImport("iter", "iter")
	}
	for _, face := range found {
		if face != nil {
			r.importsOf(face)
		}
	}
	r.classify(out)
	for n, i := range r.file.Interfaces {
		if found[n] == nil {
			continue
		}
		w := r.wrapper(i, found[n])
		out.Wrappers = append(out.Wrappers, w)
		r.graphOf(out, i, found[n], w)
	}
	out.Imports = r.names.list()
	return out
}

// predeclared refuses a package that declares what generated code takes for
// predeclared. For the type error there is another spelling.
func (r *resolver) predeclared() {
	names := []string{"bool", "false", "nil", "true"}
	if len(r.file.Workflows) > 0 {
		names = append(names, "string", "int")
	}
	for _, name := range names {
		if obj := r.pkg.types.Scope().Lookup(name); obj != nil && len(r.file.Interfaces) > 0 {
			r.complain(r.file.Interfaces[0].Pos, "", "interfaces", "the package declares a "+name+" of its own, and generated code needs Go's: rename it")
		}
	}
}

// hidden refuses signatures that mean something else where they are generated:
// a predeclared type that the package has redeclared and only the signature of
// another package means, or one that a type parameter hides. It takes the names
// of type parameters, which would hide imports.
func (r *resolver) hidden(i *policy.Interface, face *goInterface) {
	params := map[string]bool{}
	for p := range face.params.TypeParams() {
		params[p.Obj().Name()], r.names.taken[p.Obj().Name()] = true, true
		if name := p.Obj().Name(); name == "nil" || name == "false" || name == "bool" {
			r.complain(i.Pos, "", "interfaces", "the type parameter "+name+" of "+face.name+" hides Go's, which generated code needs: rename it")
		}
	}
	face.visit(func(obj *types.TypeName, _ bool) {
		switch {
		case obj == nil:
		case params[obj.Name()] && (obj.Pkg() == nil || obj.Pkg().Path() == r.pkg.Path):
			r.complain(i.Pos, "", "interfaces", "the type parameter "+obj.Name()+" of "+face.name+" hides the type "+obj.Name()+" that a method means: rename one of them")
		case obj.Pkg() == nil && r.pkg.types.Scope().Lookup(obj.Name()) != nil:
			r.complain(i.Pos, "", "interfaces", "the package declares its own "+obj.Name()+", and a method of "+face.name+" means Go's: rename it")
		}
	})
}

// visit calls do for what the interface and its methods are spelled with.
func (i *goInterface) visit(do func(obj *types.TypeName, invalid bool)) {
	visit(i.typ, do)
	for p := range i.params.TypeParams() {
		visit(p.Constraint(), do)
	}
	for _, m := range i.methods {
		visit(m.Type(), do)
	}
}

// importsOf names the packages of every signature before a line is emitted.
func (r *resolver) importsOf(face *goInterface) {
	var pkgs []*types.Package
	face.visit(func(obj *types.TypeName, _ bool) {
		if obj != nil && obj.Pkg() != nil && obj.Pkg().Path() != r.pkg.Path && !slices.Contains(pkgs, obj.Pkg()) {
			pkgs = append(pkgs, obj.Pkg())
		}
	})
	for _, pkg := range pkgs {
		r.names.addImport(pkg.Path(), pkg.Name())
	}
}

// wrapper resolves one interface.
func (r *resolver) wrapper(i *policy.Interface, face *goInterface) *templates.Wrapper {
	effective, errs := i.Resolve(shapes(face))
	r.errs = append(r.errs, errs...)
	r.typeParams = face.params
	name := upper(i.Name)
	w := &templates.Wrapper{
		Key: r.pkg.Name + "." + i.Name, Iface: face.typ, Short: face.name, Link: face.name, Base: name,
		Source: enumerate(i.Sources), Unwrap: true, Error: r.errorType(),
	}
	if face.pkg != r.pkg.types {
		w.Link = face.pkg.Path() + "." + face.name
		w.Key = face.pkg.Name() + "." + i.Name
	}
	r.nameWrapper(i, w)
	for n := range face.params.Len() {
		p := face.params.At(n)
		w.TypeParams = append(w.TypeParams, templates.Var{Name: p.Obj().Name(), Type: p.Constraint()})
	}
	if len(face.promoted) > 0 {
		w.Hidden = r.names.declare(lower(name) + "Promoted")
	}
	fields := map[string]bool{}
	for _, m := range face.methods {
		fields[m.Name()] = true // a field and a method of one name do not compile
		w.Unwrap = w.Unwrap && m.Name() != "Unwrap"
	}
	w.Unwrap = w.Unwrap && !types.Implements(face.typ, errorType) // an Unwrap of an error is Go's
	w.Fields = holding(fields)
	if w.Nodes {
		w.Unwrap = false
		for _, e := range effective {
			r.refuseParts(i, e)
		}
	}
	declared := map[string]bool{} // in the methods
	for n, m := range face.methods {
		method := r.method(i, w, m, effective[n], declared)
		method.Field = choose(lower(m.Name()), fields)
		if method.Cache != nil {
			method.Cache.Field = choose(method.Field+"Cache", fields)
			method.Cache.Uncached = choose(method.Field+"Uncached", fields)
		}
		letterNames(method, fields)
		if method.Checkpoint != nil {
			method.Checkpoint.Field = choose(method.Field+"Checkpoints", fields)
			method.Checkpoint.Unrecorded = choose(method.Field+"Unrecorded", fields)
		}
		w.Methods = append(w.Methods, method)
		if method.Fallback.Method && w.Fallback == "" {
			w.Fallback = r.names.declare(name + "Fallback")
		}
		if method.Fallback.Secondary && w.Secondary == "" {
			w.Secondary = r.names.declare(name + "Secondary")
		}
	}
	w.Vars = holding(maps.Clone(r.names.taken))
	r.replayVars(w)
	w.Recv = choose("g", declared)
	r.idle(i, w, effective, "retry", "RG011")
	r.idle(i, w, effective, "hedge", "RG061")
	r.renamed(i, w, name, effective)
	r.guarded = append(r.guarded, &guarded{r, i, face, w, effective})
	w.Summary = summary(w, effective, face.promoted)
	return w
}

// nameWrapper names a wrapper and what makes it. That of handlers nobody but the
// generated code knows.
func (r *resolver) nameWrapper(i *policy.Interface, w *templates.Wrapper) {
	switch i.Section() {
	case "workflows":
		w.Key = "workflow/" + i.Key
	case "pipelines":
		w.Key = "pipeline/" + i.Key
	default:
		w.Type, w.New = r.names.declare("Resilient"+w.Base), r.names.declare("NewResilient"+w.Base)
		w.Base = strings.TrimPrefix(w.Type, "Resilient")
		return
	}
	w.Nodes = true
	w.Type, w.New = r.names.declare(lower(w.Base)), r.names.declare("new"+w.Base)
}

// graphOf remembers the workflow or the pipeline that an interface has the
// handlers of.
func (r *resolver) graphOf(out *templates.File, i *policy.Interface, face *goInterface, w *templates.Wrapper) {
	switch {
	case i.Section() == "interfaces":
	case face.params.Len() > 0:
		r.complain(i.Pos, wiring, i.Section()+"."+i.Key, face.name+" has type parameters, and messages have types that are known: name an interface without")
	case len(face.promoted) > 0:
		r.complain(i.Pos, wiring, i.Section()+"."+i.Key, face.name+" has the method "+face.promoted[0]+", which this package cannot name")
	case i.Workflow != nil:
		g := r.newGraph(i.Workflow, face, w)
		r.graphs, out.Workflows = append(r.graphs, g), append(out.Workflows, g.out)
	default:
		p := r.newPipeline(i.Pipeline, face, w)
		r.pipelines, out.Pipelines = append(r.pipelines, p), append(out.Pipelines, p.out)
	}
}

// enumerate joins words as prose does.
func enumerate(words []string) string {
	if n := len(words) - 1; n > 0 {
		return strings.Join(words[:n], ", ") + " and " + words[n]
	}
	return strings.Join(words, "")
}

// shapes tells the policy what it needs to know of the methods.
func shapes(face *goInterface) []policy.Method {
	var list []policy.Method
	for _, m := range face.methods {
		list = append(list, policy.Method{Name: m.Name(), Closer: isCloser(m)})
	}
	return list
}

// isCloser reports whether m frees a resource.
func isCloser(m *types.Func) bool {
	sig := m.Signature()
	in, out := sig.Params().Len(), sig.Results().Len()
	fails := out == 1 && errorIndex(sig) == 0
	switch m.Name() {
	case "Close":
		return in == 0 && fails
	case "Shutdown":
		return in == 1 && contextIndex(sig) == 0 && fails
	case "Stop":
		return in == 0 && (out == 0 || fails)
	}
	return false
}

func errorIndex(sig *types.Signature) int {
	for i := sig.Results().Len() - 1; i >= 0; i-- {
		if types.Identical(sig.Results().At(i).Type(), types.Universe.Lookup("error").Type()) {
			return i
		}
	}
	return -1
}

func contextIndex(sig *types.Signature) int {
	for i := range sig.Params().Len() {
		n, ok := types.Unalias(sig.Params().At(i).Type()).(*types.Named)
		if ok && n.Obj().Name() == "Context" && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == "context" {
			return i
		}
	}
	return -1
}

// method resolves one method under its policy.
// It adds to declared what the receiver may not be called.
func (r *resolver) method(i *policy.Interface, w *templates.Wrapper, m *types.Func, e *policy.Effective, declared map[string]bool) *templates.Method {
	sig := m.Signature()
	out := &templates.Method{Name: m.Name(), Variadic: sig.Variadic(), Ctx: contextIndex(sig), Err: errorIndex(sig)}
	r.lint(i, out, m, e)
	passes := e.None() || out.Err < 0
	if !passes {
		out.Loop, out.Fallback = e.Has("retry"), r.answer(m, e)
		out.Rewound = rewound(out.Loop, sig)
		out.RetryResult = r.resultFunc(sig, out.Err, e, "retry.retryOnResult")
		out.RecordResult = r.resultFunc(sig, out.Err, e, "circuitBreaker.recordOnResult")
		out.Key = r.expr(sig, e, "circuitBreaker.perKey", wantString)
		out.LimitKey = r.expr(sig, e, "rateLimit.perKey", wantString)
		out.Cost = r.expr(sig, e, "rateLimit.cost", wantInt)
		out.Hedge = e.Has("hedge")
		out.Abandon = e.Has("timeout") && e.Str("timeout.mode") == "abandon"
		out.Injects = r.injected(out, sig, e)
		out.Cache = r.cache(sig, e)
		out.Checkpoint = r.checkpoint(w, out, sig, e)
		out.Held = r.held(w, out, sig, e)
		out.Letters = r.letters(i, w, m, out, e)
	}
	out.Repeats, out.Idempotency = r.condition(sig, e), r.idempotency(out, sig, e)
	out.Tells = w.Nodes && out.Ctx >= 0 && !passes
	maps.Copy(declared, r.variables(out, sig))
	r.hiddenFuncs(w, out, e)
	if passes {
		out.Doc = m.Name() + " calls the wrapped " + w.Short + "." + carried(out)
		if e.Closer {
			out.Doc += " It frees a resource, and an open breaker must not keep it from that, so it takes no policy but one written for it by name."
		}
		return out
	}
	closes := closers(out)
	if several := len(out.Results) > 2 || len(out.Results) == 2 && (out.Err == 0 || closes); (out.Abandon || out.Hedge) && several || (out.Cache != nil || out.Checkpoint != nil) && len(out.Results) > 2 {
		out.Bundle = r.names.declare(lower(w.Base) + m.Name() + "Results")
	}
	bundleNames(out, sig)
	_, use := lint.Outliving(sig)
	out.Kept, out.Opens = kept(sig, e), use != lint.Complete
	out.Policy = r.literal(w, out, e)
	out.Doc = sentence(w, out, e) + openingOnly(out, sig, e)
	return out
}

// rewound returns the indices of the parameters that a loop must wind back.
func rewound(loop bool, sig *types.Signature) []int {
	var list []int
	for i := 0; loop && i < sig.Params().Len(); i++ {
		if lint.Rewindable(sig.Params().At(i).Type()) {
			list = append(list, i)
		}
	}
	return list
}

// closers notes the results that are closed when nobody takes them, and reports
// whether there is one that no method closes: the body of an answer.
func closers(m *templates.Method) (body bool) {
	m.Closers = make([]string, len(m.Results))
	for i, v := range m.Results {
		switch method, _, _ := types.LookupFieldOrMethod(v.Type, false, nil, "Close"); {
		case i == m.Err:
		case types.TypeString(types.Unalias(v.Type), nil) == "*net/http.Response":
			m.Closers[i], body = ".Body", true
		case method != nil && nilable(v.Type) && types.TypeString(method.Type(), nil) == "func() error":
			m.Closers[i] = "."
		}
	}
	return body
}

func nilable(t types.Type) bool {
	switch t.Underlying().(type) {
	case *types.Pointer, *types.Interface:
		_, param := t.(*types.TypeParam)
		return !param
	}
	return false
}

// hiddenFuncs refuses what a type parameter hides from the method's body.
func (r *resolver) hiddenFuncs(w *templates.Wrapper, m *templates.Method, e *policy.Effective) {
	used := []types.Object{m.Fallback.Func, m.RetryResult, m.RecordResult, m.Injects}
	converted := map[string]bool{}
	for _, x := range m.Exprs() {
		used = slices.AppendSeq(used, maps.Values(x.Uses))
		converted[x.Convert] = true
	}
	for p := range r.typeParams.TypeParams() {
		name := p.Obj().Name()
		if converted[name] || slices.ContainsFunc(used, func(obj types.Object) bool { return obj != nil && r.spelled(obj) == name }) {
			r.complain(e.Pos, "", w.Short+"."+m.Name, "the type parameter "+name+" hides the "+name+" that the policy means: rename one of them")
		}
	}
}

// literal builds the policy literal from what the policy was given. The table
// of keys says which field of the runtime a key is.
func (r *resolver) literal(w *templates.Wrapper, m *templates.Method, e *policy.Effective) *templates.Literal {
	root := &templates.Literal{Type: "Policy"}
	if r.file.Preset != "" {
		root.Fields = append(root.Fields, templates.Field{Name: "Preset", Value: templates.Const(upper(r.file.Preset))})
	}
	for _, k := range policy.Keys() {
		v, given := e.Given(k.Path)
		if !given || k.GoField == "" {
			continue
		}
		path := strings.Split(k.GoField, ".")
		if k.Type == policy.Part || k.Type == policy.Section {
			continue
		}
		if value := r.fieldValue(w, m, k, v); value != nil {
			part(root, path[:len(path)-1]).Fields = append(part(root, path[:len(path)-1]).Fields,
				templates.Field{Name: path[len(path)-1], Value: value})
		}
	}
	for _, k := range policy.Keys() {
		field, on := strings.CutSuffix(k.GoField, ".On")
		if on && e.Has(k.Path) && (k.Path == "fallback" || len(part(root, []string{field}).Fields) == 0) {
			p := part(root, []string{field})
			p.Fields = slices.Insert(p.Fields, 0, templates.Field{Name: "On", Value: true})
		}
	}
	if m.Kept != "" {
		root.Fields = append(root.Fields, templates.Field{Name: "Result", Value: m.Kept})
	}
	if order := layerLiteral(e); order != nil {
		root.Fields = append(root.Fields, templates.Field{Name: "Order", Value: order})
	}
	if r.classes != nil {
		root.Fields = append(root.Fields, templates.Field{Name: "Errors", Value: r.classes})
	}
	return root
}

// part returns the literal at path, made if it is missing.
func part(l *templates.Literal, path []string) *templates.Literal {
	for _, name := range path {
		i := slices.IndexFunc(l.Fields, func(f templates.Field) bool { return f.Name == name })
		if i < 0 {
			l.Fields = append(l.Fields, templates.Field{Name: name, Value: &templates.Literal{Type: name}})
			i = len(l.Fields) - 1
		}
		l = l.Fields[i].Value.(*templates.Literal)
	}
	return l
}

func (r *resolver) fieldValue(w *templates.Wrapper, m *templates.Method, k *policy.Key, v policy.Value) any {
	switch {
	case v.None && k.Type == policy.Matchers:
		return nil
	case v.None:
		return templates.Const("None")
	}
	switch value := v.V.(type) {
	case policy.Name:
		if k.Path == "chaos.result" {
			return true // the func itself is in the method
		}
		return r.errorVariable(k.Path, value)
	case policy.List:
		return r.matcherLiteral(w, m, k, value)
	case policy.Order:
		return nil // see nested
	case string:
		switch k.Type {
		case policy.Enum:
			return templates.Const(k.Constant(value))
		case policy.Expression:
			return true // the expression itself is in the method
		}
		return value
	case bool:
		if k.Path == "retry.retryAfter.honor" {
			value = !value // the field is Ignore
		}
		if !value {
			return nil
		}
		return true
	case int, float64:
		if value == 0 || value == 0.0 {
			return templates.Const("None")
		}
		return value
	default:
		return value
	}
}

func (r *resolver) matcherLiteral(w *templates.Wrapper, m *templates.Method, k *policy.Key, list policy.List) any {
	kinds, own := r.matcher(k.Path, list)
	l := &templates.Literal{Type: "Matcher"}
	if list.Any {
		l.Fields = append(l.Fields, templates.Field{Name: "Any", Value: true})
	}
	if len(kinds) > 0 {
		l.Fields = append(l.Fields, templates.Field{Name: "Kinds", Value: kinds})
	}
	if own != nil {
		verb := k.Path[strings.LastIndexByte(k.Path, '.')+1:]
		own.Func = r.names.declare(strings.TrimSuffix(verb, "On") + w.Base + m.Name)
		own.Doc = own.Func + " " + matcherDoc[verb] + "."
		r.importMatcher(own)
		m.Matchers = append(m.Matchers, own)
		l.Fields = append(l.Fields, templates.Field{Name: "Match", Value: templates.Func(own.Func)})
	}
	return l
}

var matcherDoc = map[string]string{
	"retryOn":  "reports whether another attempt may mend err",
	"recordOn": "reports whether the breaker counts err as a failure",
	"ignoreOn": "reports whether the breaker takes no notice of err",
	"abortOn":  "reports whether err ends the call",
	"applyOn":  "reports whether the fallback answers for err",
	"skipOn":   "reports whether the fallback stays out of err",
}

func (r *resolver) importMatcher(m *templates.Matcher) {
	for _, obj := range append(slices.Clone(m.Is), m.Call...) {
		if obj.Pkg().Path() != r.pkg.Path {
			r.names.addImport(obj.Pkg().Path(), obj.Pkg().Name())
		}
	}
	for _, t := range m.As {
		visit(t, func(obj *types.TypeName, _ bool) {
			if obj.Pkg() != nil && obj.Pkg().Path() != r.pkg.Path {
				r.names.addImport(obj.Pkg().Path(), obj.Pkg().Name())
			}
		})
	}
	taken := maps.Clone(r.names.taken)
	m.Param = choose("err", taken)
	for range m.As {
		m.Targets = append(m.Targets, choose("target", taken))
	}
}
