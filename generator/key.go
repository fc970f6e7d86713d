package generator

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// expr resolves a key that is an expression over the parameters of a method,
// nil if it is not given.
func (r *resolver) expr(sig *types.Signature, e *policy.Effective, path string, want wanted) *templates.Expr {
	v, ok := e.Given(path)
	if !ok || v.None {
		return nil
	}
	text := v.V.(string)
	x, err := r.expression(text, sig, want)
	if err != "" {
		r.complain(v.Pos, "RG092", e.Method+"."+path, fmt.Sprintf("%q: %s", text, err))
		return nil
	}
	return x
}

// wanted is the type that an expression must have, or one whose underlying type
// is of the same kind: that is converted.
type wanted struct {
	kind types.BasicInfo
	name string // of the type
	say  string
}

var (
	wantString = wanted{types.IsString, "string", "a string"}
	wantInt    = wanted{types.IsInteger, "int", "an integer"}
)

// expression resolves a value of the wanted type.
func (r *resolver) expression(text string, sig *types.Signature, want wanted) (*templates.Expr, string) {
	x, info, err := r.checked(text, sig)
	if err != "" {
		return nil, err
	}
	is := info.Types[x.Node]
	if !is.IsValue() {
		return nil, "want " + want.say + "; this is no value"
	}
	basic, ok := is.Type.Underlying().(*types.Basic)
	if !ok || basic.Info()&want.kind == 0 {
		return nil, "want " + want.say + "; have " + r.text(is.Type)
	}
	if is.Value != nil && want == wantInt {
		if n, exact := constant.Int64Val(constant.ToInt(is.Value)); !exact || n < 1 || n > math.MaxInt32 {
			return nil, "want 1 to 2147483647 where it is a constant"
		}
	}
	if t, ok := is.Type.(*types.Basic); !ok || t.Name() != want.name && t.Info()&types.IsUntyped == 0 {
		x.Convert = want.name
	}
	r.imported(x)
	return x, ""
}

// checked parses text and checks it as the body of a method with sig would.
func (r *resolver) checked(text string, sig *types.Signature) (*templates.Expr, *types.Info, string) {
	node, err := parser.ParseExprFrom(token.NewFileSet(), "", text, parser.SkipObjectResolution)
	if err != nil {
		return nil, nil, "no Go expression: " + message(err)
	}
	if bad := templates.CanPrint(node); bad != nil {
		return nil, nil, fmt.Sprintf("%s is more than an expression should be: write a func of the package and call it", strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", bad), "*ast.")))
	}
	scope, params := r.pkg.scopeOf(sig)
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}
	if err := types.CheckExpr(token.NewFileSet(), scope, token.NoPos, node, info); err != nil {
		return nil, nil, r.undefined(message(err), sig)
	}
	x := &templates.Expr{Node: node, Text: text, Params: map[*ast.Ident]int{}, Uses: map[*ast.Ident]types.Object{}}
	for id, obj := range info.Uses {
		if i, ok := params[obj]; ok {
			x.Params[id] = i
		} else {
			x.Uses[id] = obj
		}
	}
	return x, info, ""
}

// imported names the packages that the expression refers to.
func (r *resolver) imported(x *templates.Expr) {
	byPlace := func(a, b *ast.Ident) int { return int(a.Pos() - b.Pos()) }
	for _, id := range slices.SortedFunc(maps.Keys(x.Uses), byPlace) {
		obj := x.Uses[id]
		if pkg, ok := obj.(*types.PkgName); ok {
			r.names.addImport(pkg.Imported().Path(), pkg.Imported().Name())
		} else if obj.Pkg() != nil && obj.Parent() == obj.Pkg().Scope() {
			r.use(obj)
		}
	}
}

// message is what a parser or a type checker says, without its position in a
// text that has none.
func message(err error) string {
	if typed, ok := err.(types.Error); ok {
		return typed.Msg
	}
	text := err.Error()
	if i := strings.Index(text, ": "); i >= 0 {
		text = text[i+2:]
	}
	return text
}

// undefined adds what may have been meant.
func (r *resolver) undefined(text string, sig *types.Signature) string {
	word, ok := strings.CutPrefix(text, "undefined: ")
	if !ok {
		return text
	}
	names := r.pkg.types.Scope().Names()
	for v := range sig.Params().Variables() {
		names = append(names, v.Name())
	}
	return text + hint(word, names)
}

// scopeOf returns a package whose scope is that of a method's body: the
// package's own declarations, what its files import, and the parameters.
func (p *goPackage) scopeOf(sig *types.Signature) (*types.Package, map[types.Object]int) {
	body := types.NewPackage(p.types.Path(), p.types.Name())
	params := map[types.Object]int{}
	for i := range sig.Params().Len() {
		v := sig.Params().At(i)
		if v.Name() == "" || v.Name() == "_" {
			continue
		}
		t := v.Type()
		named := types.NewVar(token.NoPos, body, v.Name(), t)
		params[named] = i
		body.Scope().Insert(named)
	}
	for _, name := range p.types.Scope().Names() {
		body.Scope().Insert(p.types.Scope().Lookup(name)) // not over a parameter
	}
	for _, imp := range p.types.Imports() {
		body.Scope().Insert(types.NewPkgName(token.NoPos, body, imp.Name(), imp))
		for name, paths := range p.renamedImports() {
			if slices.Contains(paths, imp.Path()) && token.IsIdentifier(name) {
				body.Scope().Insert(types.NewPkgName(token.NoPos, body, name, imp))
			}
		}
	}
	return body, params
}

// grpcPath is the package of what gRPC errors carry.
const grpcPath = "google.golang.org/grpc/status"

// grpcCode returns the func that finds the gRPC code of an error, nil where the
// package has nothing to do with gRPC: the runtime does not know its types.
func (r *resolver) grpcCode() *templates.Matcher {
	if !r.pkg.usesGRPC() {
		return nil
	}
	r.names.addImport(grpcPath, "status")
	m := &templates.Matcher{Err: r.errorType(), Func: r.names.declare("grpcCode")}
	m.Doc = m.Func + " returns the code of the gRPC status that err carries."
	taken := map[string]bool{r.names.imports[grpcPath]: true, r.names.imports["errors"]: true, m.Func: true}
	m.Param, m.Targets = choose("err", taken), []string{choose("target", taken)}
	return m
}

func (p *goPackage) usesGRPC() bool {
	for _, imp := range p.types.Imports() {
		if imp.Path() == "google.golang.org/grpc" || strings.HasPrefix(imp.Path(), "google.golang.org/grpc/") {
			return true
		}
	}
	return false
}
