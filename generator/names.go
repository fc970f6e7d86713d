package generator

import (
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/templates"
)

const (
	runtimePath = "github.com/resilgen/resilgen/runtime/resilience"
	contextPath = "context"

	workflowPath = "github.com/resilgen/resilgen/runtime/workflow"
)

// names hands out the identifiers of the files that are generated for a
// package. Nothing else does. The files share it: what one declares, no other
// may declare or import.
type names struct {
	taken   map[string]bool   // at package level, imports included
	imports map[string]string // path → name
	inFiles map[string]bool   // what the package's files call their imports
}

func newNames(pkg *types.Package, inFiles map[string]bool) *names {
	n := &names{taken: map[string]bool{}, imports: map[string]string{}, inFiles: inFiles}
	for _, name := range pkg.Scope().Names() {
		n.taken[name] = true
	}
	return n
}

// choose returns the first free one of base, base2, base3 … and takes it.
func choose(base string, taken map[string]bool) string {
	name := base
	for i := 2; taken[name] || token.IsKeyword(name); i++ {
		name = base + strconv.Itoa(i)
	}
	taken[name] = true
	return name
}

// declare returns the first free one of base, base2 … for a declaration at
// package level, and takes it. An import of any file of the package is in its
// way, where another import is not.
func (n *names) declare(base string) string {
	name := base
	for i := 2; n.taken[name] || n.inFiles[name]; i++ {
		name = base + strconv.Itoa(i)
	}
	n.taken[name] = true
	return name
}

// addImport gives the package its name in the file.
func (n *names) addImport(path, name string) {
	if _, ok := n.imports[path]; !ok {
		n.imports[path] = choose(name, n.taken)
	}
}

// list returns the imports, sorted by path.
func (n *names) list() []templates.Import {
	var list []templates.Import
	for path, name := range n.imports {
		list = append(list, templates.Import{Name: name, Path: path})
	}
	slices.SortFunc(list, func(a, b templates.Import) int { return strings.Compare(a.Path, b.Path) })
	return list
}

// lower makes an identifier unexported: HTTPGateway is httpGateway.
func lower(name string) string {
	runes := []rune(name)
	for i := range runes {
		if i > 0 && i+1 < len(runes) && unicode.IsLower(runes[i+1]) {
			break
		}
		runes[i] = unicode.ToLower(runes[i])
	}
	return string(runes)
}

func upper(name string) string {
	r, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(r)) + name[size:]
}

// holding names what a wrapper holds and what makes it.
func holding(taken map[string]bool) templates.Names {
	return templates.Names{
		Next: choose("next", taken), Fallback: choose("fallback", taken), Secondary: choose("secondary", taken),
		Runtime: choose("rt", taken), Wrap: choose("w", taken), Self: choose("g", taken),
	}
}

// variables names what is declared in the method: nothing that the body refers
// to may be hidden. It returns both.
func (r *resolver) variables(out *templates.Method, sig *types.Signature) (taken map[string]bool) {
	taken = map[string]bool{r.names.imports[contextPath]: true, "nil": true, "false": true}
	for p := range r.typeParams.TypeParams() {
		taken[p.Obj().Name()] = true
	}
	for _, obj := range []types.Object{out.Fallback.Func, out.RetryResult, out.RecordResult, out.Injects} {
		if obj != nil {
			taken[r.spelled(obj)] = true
		}
	}
	for _, x := range out.Exprs() {
		if x.Convert != "" {
			taken[x.Convert] = true
		}
		for _, obj := range x.Uses {
			if pkg, ok := obj.(*types.PkgName); ok {
				taken[r.names.imports[pkg.Imported().Path()]] = true
			} else {
				taken[r.spelled(obj)] = true
			}
		}
	}
	if out.Tells {
		taken[r.names.imports[workflowPath]] = true
	}
	if out.Idempotency != nil {
		taken[r.names.imports[runtimePath]] = true
		if as := out.Idempotency.As; as != nil {
			visit(as, func(obj *types.TypeName, _ bool) { taken[r.spelled(obj)] = true })
		}
	}
	if out.Abandon || out.Hedge || out.Fallback.Zero || out.Cache != nil || out.Checkpoint != nil {
		taken[r.names.imports[runtimePath]] = true
		for v := range sig.Results().Variables() {
			visit(v.Type(), func(obj *types.TypeName, _ bool) { taken[r.spelled(obj)] = true })
		}
	}
	if out.Letters != nil {
		r.hiding(out.Letters, taken)
	}
	if x := out.Checkpoint; x != nil {
		taken[x.Args] = true
	}
	if h := out.Held; h != nil {
		taken[r.names.imports[runtimePath]], taken[h.Type] = true, true
		if h.Body {
			taken[r.names.imports[httpPath]] = true
		}
	}
	out.Params = vars(sig.Params(), taken)
	out.Cause = choose("cause", maps.Clone(taken))
	out.Results = vars(sig.Results(), taken)
	out.Call = choose("call", taken)
	if out.Idempotency != nil && out.Idempotency.Copy != "" {
		out.Idempotency.Copy = choose(out.Idempotency.Copy, taken)
	}
	if i := lint.Request(sig); i >= 0 {
		out.Request, out.Context = out.Params[i].Name, choose("ctx", taken)
	}
	if l := out.Letters; l != nil {
		l.Value = choose("value", taken)
		if l.Under != "" {
			l.Ctx = choose("ctx", taken)
		}
	}
	if x := out.Cache; x != nil {
		x.Kept, x.OK, x.Var = choose("kept", taken), choose("ok", taken), choose("key", taken)
	}
	if x := out.Checkpoint; x != nil {
		if x.Kept = choose("kept", maps.Clone(taken)); out.Cache == nil {
			taken[x.Kept] = true
		}
		x.A, x.B = choose("a", maps.Clone(taken)), choose("b", maps.Clone(taken))
	}
	for _, v := range out.Results {
		out.Zeros = append(out.Zeros, choose(v.Name+"Zero", taken))
	}
	switch {
	case out.Hedge:
		out.BundleVar = choose("results", taken)
	case out.Abandon:
		out.BundleVar = choose("late", taken)
	}
	return taken
}

// spelled returns the first identifier of what the file writes for obj.
func (r *resolver) spelled(obj types.Object) string {
	if obj == nil || obj.Pkg() == nil || obj.Pkg().Path() == r.pkg.Path {
		if obj == nil {
			return ""
		}
		return obj.Name()
	}
	return r.names.imports[obj.Pkg().Path()]
}

// vars names parameters or results. What the body refers to must not be
// shadowed, so taken begins with the imports that it uses.
func vars(t *types.Tuple, taken map[string]bool) []templates.Var {
	list := make([]templates.Var, t.Len())
	for i := range list {
		v := t.At(i)
		base := v.Name()
		if base == "" || base == "_" {
			base = nameOf(v.Type())
		}
		list[i] = templates.Var{Name: choose(base, taken), Type: v.Type()}
	}
	return list
}

// nameOf names a value after its type.
func nameOf(t types.Type) string {
	switch t := t.(type) {
	case *types.Named:
		switch t.Obj().Name() {
		case "error":
			return "err"
		case "Context":
			return "ctx"
		}
		return local(t.Obj().Name())
	case *types.Alias:
		return local(t.Obj().Name())
	case *types.Pointer:
		return nameOf(t.Elem())
	case *types.Slice:
		if b, ok := t.Elem().(*types.Basic); ok && b.Kind() == types.Byte {
			return "data"
		}
		return plural(nameOf(t.Elem()))
	case *types.Array:
		return plural(nameOf(t.Elem()))
	case *types.Basic:
		return basicName(t)
	case *types.Map:
		return "m"
	case *types.Chan:
		return "ch"
	case *types.Signature:
		return "fn"
	}
	return "v"
}

func local(name string) string {
	if l := lower(name); l != name {
		return l
	}
	return "v"
}

func plural(name string) string {
	if strings.HasSuffix(name, "s") {
		return name
	}
	return name + "s"
}

func basicName(t *types.Basic) string {
	switch {
	case t.Info()&types.IsString != 0:
		return "s"
	case t.Info()&types.IsBoolean != 0:
		return "ok"
	case t.Info()&types.IsInteger != 0:
		return "n"
	case t.Info()&types.IsNumeric != 0:
		return "f"
	}
	return "p"
}
