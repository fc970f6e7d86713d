package generator

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/generator/source"
	"github.com/resilgen/resilgen/templates"
)

// goPackage is the Go package that policies stand beside.
type goPackage struct {
	Name, Path string
	types      *types.Package
	syntax     []*ast.File
	foreign    map[string]*types.Package // loaded for interfaces of other packages
	order      func(token.Pos) (file string, offset int)
	position   func(token.Pos) token.Position // nil where the package was read fast
	fast       bool                           // read without the go command, see package source
	dir        string
	tests      map[string]string   // types of test files → the file
	renamed    map[string][]string // names that files give to imports → their paths
}

// goInterface is an interface to wrap.
type goInterface struct {
	typ      types.Type
	pkg      *types.Package
	name     string
	params   *types.TypeParamList
	methods  []*types.Func
	promoted []string // methods that the package cannot name
}

// loadFast reads the package without the go command, nil if it is not sure.
func loadFast(dir string, set *policy.Set, words []string) *goPackage {
	req := source.Request{Dir: dir, Words: words, Expressions: set.HasExpressions(), Skip: isOurs}
	for _, f := range set.Files {
		for _, i := range f.Interfaces {
			req.Interfaces = append(req.Interfaces, i.Of)
		}
	}
	pkg, err := source.Load(req)
	if err != nil {
		return nil
	}
	return &goPackage{
		Name: pkg.Types.Name(), Path: pkg.Types.Path(), types: pkg.Types, foreign: pkg.Foreign, order: pkg.Order, fast: true,
	}
}

func isOurs(src []byte) bool { return bytes.HasPrefix(src, []byte(templates.Header)) }

// load reads the package in dir and those of foreign interfaces. The package
// may be ill-typed, since code that uses the generated names is so before the
// first run.
func load(ctx context.Context, dir string, foreign []string) (*goPackage, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if _, err := moduleRoot(dir); err != nil {
		return nil, err
	}
	conf := &packages.Config{
		Context: ctx, Dir: dir, Fset: token.NewFileSet(), ParseFile: parseUnlessOurs,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedModule,
	}
	patterns := append([]string{"."}, foreign...)
	pkgs, err := packages.Load(conf, patterns...)
	if conf.Overlay = renewed(abs, pkgs); conf.Overlay != nil {
		pkgs, err = packages.Load(conf, patterns...)
	}
	if err != nil {
		if _, missing := exec.LookPath("go"); missing != nil {
			return nil, fmt.Errorf("%s: there is no go command in PATH, and resilgen asks it about packages; is Go installed?", dir)
		}
		return nil, fmt.Errorf("%s: the go command failed: %w", dir, err)
	}
	p := &goPackage{foreign: map[string]*types.Package{}, position: conf.Fset.Position}
	p.order = func(pos token.Pos) (string, int) {
		at := conf.Fset.Position(pos)
		return at.Filename, at.Offset
	}
	for _, pkg := range pkgs {
		if slices.Contains(foreign, pkg.PkgPath) {
			p.foreign[pkg.PkgPath] = pkg.Types
		}
		if p.types == nil && (len(pkg.GoFiles) > 0 && filepath.Dir(pkg.GoFiles[0]) == abs || !slices.Contains(foreign, pkg.PkgPath)) {
			p.Name, p.Path, p.types, p.syntax = pkg.Name, pkg.PkgPath, pkg.Types, pkg.Syntax
			if err := fatal(dir, abs, pkg); err != nil {
				return nil, err
			}
		}
	}
	if p.types == nil {
		if err := refusal(ctx, dir); err != nil {
			return nil, err
		}
	}
	if p.types == nil || p.Name == "" {
		return nil, noPackage(dir)
	}
	return p, nil
}

// place says where something is declared: as file:line:col, the file as the user
// would write it in the package itself; "" where that is not known.
func (p *goPackage) place(pos token.Pos) string {
	if p.position == nil || !pos.IsValid() {
		return ""
	}
	at := p.position(pos)
	if abs, err := filepath.Abs(p.dir); err == nil && filepath.Dir(at.Filename) == abs {
		at.Filename = filepath.Join(p.dir, filepath.Base(at.Filename))
	} else {
		at.Filename = filepath.Base(filepath.Dir(at.Filename)) + "/" + filepath.Base(at.Filename)
	}
	return at.String()
}

// moduleRoot returns the directory of the go.mod of dir.
func moduleRoot(dir string) (string, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at, nil
		}
		if filepath.Dir(at) == at {
			return "", fmt.Errorf("%s: no go.mod here or above; run go mod init first", dir)
		}
		at = filepath.Dir(at)
	}
}

// parseUnlessOurs parses only the package clause of our own output: what is
// stale must not stop its renewal.
func parseUnlessOurs(fset *token.FileSet, name string, src []byte) (*ast.File, error) {
	mode := parser.ParseComments | parser.SkipObjectResolution
	if isOurs(src) {
		mode = parser.PackageClauseOnly
	}
	return parser.ParseFile(fset, name, src, mode)
}

// find returns the interface that of names.
func (p *goPackage) find(of string) (*goInterface, string) {
	pkg, name := p.types, of
	if i := strings.LastIndexByte(of, '.'); i >= 0 {
		pkg, name = p.foreign[of[:i]], of[i+1:]
		if pkg == nil || len(pkg.Scope().Names()) == 0 {
			return nil, fmt.Sprintf("no package %q; is it in go.mod?", of[:i])
		}
	}
	obj, ok := pkg.Scope().Lookup(name).(*types.TypeName)
	if !ok && pkg == p.types && p.inTest(name) != "" {
		return nil, fmt.Sprintf("%s is declared in %s, and what is generated is no test file: move it to another file", name, p.inTest(name))
	}
	if !ok {
		return nil, fmt.Sprintf("no interface %s in package %s%s", name, pkg.Path(), hint(name, interfaces(pkg)))
	}
	return p.check(obj, pkg)
}

func (p *goPackage) check(obj *types.TypeName, pkg *types.Package) (*goInterface, string) {
	if pkg != p.types && !obj.Exported() {
		return nil, fmt.Sprintf("%s is not exported by package %s", obj.Name(), pkg.Path())
	}
	typ, params := instantiated(obj)
	iface, ok := typ.Underlying().(*types.Interface)
	if !ok {
		return nil, fmt.Sprintf("%s is no interface but %s", obj.Name(), types.TypeString(obj.Type().Underlying(), types.RelativeTo(p.types)))
	}
	switch {
	case !iface.IsMethodSet():
		return nil, obj.Name() + " is a constraint: no value can be wrapped"
	case iface.NumMethods() == 0:
		return nil, obj.Name() + " has no methods"
	}
	i := &goInterface{typ: typ, pkg: pkg, name: obj.Name(), params: params}
	for j := range iface.NumMethods() {
		m := iface.Method(j)
		if !m.Exported() && m.Pkg() != p.types {
			i.promoted = append(i.promoted, m.Name())
			continue
		}
		m = p.respell(m, pkg)
		why, broken := p.spellable(m.Signature())
		if broken {
			return nil, fmt.Sprintf("%s.%s: %s", obj.Name(), m.Name(), why)
		}
		if why != "" {
			i.promoted = append(i.promoted, m.Name())
			continue
		}
		i.methods = append(i.methods, m)
	}
	if len(i.promoted) > 0 && p.fast {
		return nil, "not sure what " + i.promoted[0] + " can be called" // and then the go command is asked
	}
	if len(i.promoted) > 0 && params.Len() > 0 {
		return nil, fmt.Sprintf("%s has type parameters and the method %s, which this package cannot name", obj.Name(), i.promoted[0])
	}
	slices.SortStableFunc(i.methods, func(a, b *types.Func) int { // as declared; embedded ones of others last
		if (a.Pkg() == pkg) != (b.Pkg() == pkg) {
			if a.Pkg() == pkg {
				return -1
			}
			return 1
		}
		if a.Pkg() == p.types {
			fileA, at := p.order(a.Pos())
			fileB, bt := p.order(b.Pos())
			return cmp.Or(strings.Compare(fileA, fileB), at-bt)
		}
		return strings.Compare(a.Name(), b.Name())
	})
	return i, ""
}

// instantiated returns the type of obj; a generic one with its own type
// parameters as arguments.
func instantiated(obj *types.TypeName) (types.Type, *types.TypeParamList) {
	generic, ok := obj.Type().(interface{ TypeParams() *types.TypeParamList })
	if !ok || generic.TypeParams().Len() == 0 {
		return obj.Type(), nil
	}
	params := generic.TypeParams()
	args := make([]types.Type, params.Len())
	for i := range args {
		args[i] = params.At(i)
	}
	t, err := types.Instantiate(nil, obj.Type(), args, false)
	if err != nil {
		return obj.Type(), nil
	}
	return t, params
}

// spellable says which type of sig cannot be written in the package; broken
// that one is not known at all.
func (p *goPackage) spellable(sig *types.Signature) (why string, broken bool) {
	for _, t := range []*types.Tuple{sig.Params(), sig.Results()} {
		for i := range t.Len() {
			visit(t.At(i).Type(), func(obj *types.TypeName, invalid bool) {
				switch {
				case invalid:
					broken = true
					why = "a type of its signature is unknown; does the package build?"
				case obj.Pkg() != nil && obj.Pkg() != p.types && obj.Pkg().Path() != p.Path && !obj.Exported():
					why = fmt.Sprintf("its signature names %s.%s, which is not exported", obj.Pkg().Name(), obj.Name())
				case obj.Pkg() != nil && !canImport(p.Path, obj.Pkg().Path()):
					why = fmt.Sprintf("its signature names %s of the internal package %s", obj.Name(), obj.Pkg().Path())
				}
			})
			if obj := hiddenMember(t.At(i).Type()); obj != nil && obj.Pkg() != nil && obj.Pkg().Path() != p.Path {
				why = fmt.Sprintf("its signature spells out a type with %s of package %s, which is not exported", obj.Name(), obj.Pkg().Name())
			}
		}
	}
	return why, broken
}

// canImport applies the rule of internal packages.
func canImport(from, path string) bool {
	i := strings.LastIndex("/"+path+"/", "/internal/")
	if i < 0 {
		return true
	}
	root := strings.TrimSuffix(path[:max(i-1, 0)], "/")
	return root != "" && (from == root || strings.HasPrefix(from, root+"/"))
}

// visit calls do for every type within t that has a name, predeclared ones
// included, and for invalid ones.
func visit(t types.Type, do func(obj *types.TypeName, invalid bool)) {
	switch t := t.(type) {
	case *types.Named:
		do(t.Obj(), false)
	case *types.Alias:
		do(t.Obj(), false)
	case *types.Basic:
		obj, _ := basicObject(t)
		do(obj, t.Kind() == types.Invalid)
	case *types.Interface:
		if t.Empty() && t.NumEmbeddeds() == 0 {
			do(types.Universe.Lookup("any").(*types.TypeName), false) // as it is printed
		}
	}
	for _, part := range parts(t) {
		visit(part, do)
	}
}

// basicObject returns what declares t.
func basicObject(t *types.Basic) (*types.TypeName, bool) {
	if t.Kind() == types.UnsafePointer {
		return types.Unsafe.Scope().Lookup("Pointer").(*types.TypeName), true
	}
	obj, ok := types.Universe.Lookup(t.Name()).(*types.TypeName)
	return obj, ok
}

// parts returns the types that t is spelled with.
func parts(t types.Type) []types.Type {
	switch t := t.(type) {
	case *types.Named:
		return slices.Collect(t.TypeArgs().Types())
	case *types.Alias:
		return slices.Collect(t.TypeArgs().Types())
	case *types.Map:
		return []types.Type{t.Key(), t.Elem()}
	case interface{ Elem() types.Type }: // pointer, slice, array, channel
		return []types.Type{t.Elem()}
	case *types.Signature:
		return append(typesOf(t.Params().Variables()), typesOf(t.Results().Variables())...)
	case *types.Struct:
		return typesOf(t.Fields())
	case *types.Union:
		var list []types.Type
		for term := range t.Terms() {
			list = append(list, term.Type())
		}
		return list
	case *types.Interface:
		list := slices.Collect(t.EmbeddedTypes())
		for m := range t.ExplicitMethods() {
			list = append(list, m.Type())
		}
		return list
	}
	return nil
}

func typesOf(vars iter.Seq[*types.Var]) []types.Type {
	var list []types.Type
	for v := range vars {
		list = append(list, v.Type())
	}
	return list
}

// hiddenMember returns a field or a method of a type without a name that no
// other package than its own can write, nil if there is none.
func hiddenMember(t types.Type) types.Object {
	switch t := t.(type) {
	case *types.Struct:
		for f := range t.Fields() {
			if !f.Exported() {
				return f
			}
		}
	case *types.Interface:
		for m := range t.ExplicitMethods() {
			if !m.Exported() {
				return m
			}
		}
	}
	for _, part := range parts(t) {
		if obj := hiddenMember(part); obj != nil {
			return obj
		}
	}
	return nil
}

// lookup resolves a matcher's identifier as the package's files would.
func (p *goPackage) lookup(n policy.Name) (types.Object, string) {
	first, last, qualified := strings.Cut(n.Text, ".")
	if !qualified {
		if obj := p.types.Scope().Lookup(first); obj != nil {
			return obj, ""
		}
		return nil, "does not resolve to a Go identifier" + hint(first, append(p.types.Scope().Names(), builtinNames()...))
	}
	why := notImported(first)
	for _, imp := range p.types.Imports() {
		if imp.Name() != first && !slices.Contains(p.renamedImports()[first], imp.Path()) {
			continue
		}
		if obj := imp.Scope().Lookup(last); obj != nil && obj.Exported() {
			return obj, ""
		}
		why = fmt.Sprintf("package %s has no %s%s", imp.Path(), last, hint(last, imp.Scope().Names()))
	}
	return nil, why
}

// renamedImports returns the import paths by the names that files give them.
func (p *goPackage) renamedImports() map[string][]string {
	if p.renamed == nil {
		p.renamed = map[string][]string{}
		p.eachFile(parser.ImportsOnly, func(path string, file *ast.File) {
			for _, spec := range file.Imports {
				if to, err := strconv.Unquote(spec.Path.Value); err == nil && spec.Name != nil && !strings.HasSuffix(path, "_test.go") {
					p.renamed[spec.Name.Name] = append(p.renamed[spec.Name.Name], to)
				}
			}
		})
	}
	return p.renamed
}

// eachFile parses the Go files of the package's directory.
func (p *goPackage) eachFile(mode parser.Mode, do func(path string, file *ast.File)) {
	paths, _ := filepath.Glob(filepath.Join(p.dir, "*.go"))
	for _, path := range paths {
		if file, _ := parser.ParseFile(token.NewFileSet(), path, nil, mode|parser.SkipObjectResolution); file != nil {
			do(path, file)
		}
	}
}

// inTest returns the test file that declares the type, "" if none does.
func (p *goPackage) inTest(name string) (base string) {
	if p.tests == nil {
		p.tests = map[string]string{}
		p.eachFile(0, func(path string, file *ast.File) {
			if strings.HasSuffix(path, "_test.go") {
				for name := range typesIn(file) {
					p.tests[name] = filepath.Base(path)
				}
			}
		})
	}
	return p.tests[name]
}

// typesIn yields the names of the types that the file declares.
func typesIn(file *ast.File) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, decl := range file.Decls {
			group, _ := decl.(*ast.GenDecl)
			for i := 0; group != nil && i < len(group.Specs); i++ {
				if t, ok := group.Specs[i].(*ast.TypeSpec); ok && !yield(t.Name.Name) {
					return
				}
			}
		}
	}
}

func builtinNames() []string {
	var names []string
	for name := range policy.Builtin {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func interfaces(pkg *types.Package) []string {
	var names []string
	for _, name := range pkg.Scope().Names() {
		if obj, ok := pkg.Scope().Lookup(name).(*types.TypeName); ok && types.IsInterface(obj.Type()) {
			names = append(names, name)
		}
	}
	return names
}

func hint(word string, candidates []string) string {
	if near := policy.Nearest(word, candidates); near != "" {
		return " (did you mean " + near + "?)"
	}
	return ""
}
