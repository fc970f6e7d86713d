package source

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"
	"sync"
)

// loader holds the packages of one request.
type loader struct {
	mods    *modules
	fset    *token.FileSet
	pkgs    map[string]*pkg       // by import path as written in the main module
	origin  map[*token.File]*decl // of snippets
	nowhere token.Pos             // of what is in no file
	queue   [known + 1][]wish     // by depth
	left    int                   // declarations that may still be read
	words   map[string]bool       // that the policies mention

	expressions bool // the policies hold some
	// ahead has the files of directories that are read while others are parsed.
	ahead    map[string]func() ([]*file, error)
	fetching sync.WaitGroup
}

// budget bounds what one request reads: beyond it the go command is faster.
const budget = 5000

// Depths of declarations: 0 is an interface to wrap, 1 what its signatures
// name, and so on along fields and signatures. What is deeper than known is a
// name only. Checks look no further than into the structs in structs of a
// parameter.
const known = 3

// pkg is a package, of which some declarations are read.
type pkg struct {
	loader *loader
	path   string // as types know it
	name   string
	own    bool
	stub   bool // its files were not looked at
	std    bool
	files  []*file
	index  map[string]*decl
	twice  map[string]bool
	groups []*decl
	missed map[string]bool // names that are not declared
	// methods are by the receiver's type.
	methods map[string][]*decl

	wanted  map[string]bool
	opaque  map[string]int // names that are no more, with their numbers of type parameters
	picked  []*decl
	types   *types.Package
	pending bool // is being checked
}

// wish is a declaration that is needed.
type wish struct {
	pkg   *pkg
	name  string
	depth int
}

func (l *loader) open(path, dir, typesPath string, skip func([]byte) bool) (*pkg, error) {
	p := l.stub(path, "")
	if !p.stub {
		return p, nil
	}
	p.stub, p.name, p.path, p.std = false, "", typesPath, strings.HasPrefix(dir, l.mods.goroot)
	p.own = skip != nil
	get := l.ahead[dir]
	if get == nil || p.own {
		get = func() ([]*file, error) { return l.files(dir, skip) }
	}
	delete(l.ahead, dir) // what is parsed belongs to one package
	files, err := get()
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if p.name != "" && f.pkg != p.name {
			return nil, unsure("%s has the packages %s and %s", dir, p.name, f.pkg)
		}
		p.name = f.pkg
		if !f.skip {
			p.files = append(p.files, f)
			p.addFile(f)
		}
	}
	if p.name == "" {
		return nil, unsure("no Go files in %s", dir)
	}
	return p, nil
}

// files reads the files of a directory and indexes them. Of the package itself
// every method is noted; of others those that are asked for.
func (l *loader) files(dir string, skip func([]byte) bool) ([]*file, error) {
	return l.mods.files(dir, func(f *file) {
		if f.skip = skip != nil && skip(f.src); !f.skip {
			f.index(func(method []byte) bool { return skip != nil || l.asks(string(method)) })
		}
	})
}

// fetch begins to read the packages that an interface to wrap names, all of
// which are needed.
func (w *walker) fetch(node ast.Decl) {
	specs, err := w.file.importsOf()
	if err != nil || w.pkg.std {
		return
	}
	used := selected(node)
	for _, spec := range specs {
		path := pathOf(spec)
		if !used[nameOf(spec, nil)] || w.loader.pkgs[path] != nil {
			continue
		}
		dir, _, err := w.loader.mods.dir(path)
		if err != nil || w.loader.ahead[dir] != nil {
			continue
		}
		get := sync.OnceValues(func() ([]*file, error) { return w.loader.files(dir, nil) })
		w.loader.ahead[dir] = get
		w.loader.fetching.Go(func() { _, _ = get() })
	}
}

// stub returns the package, of which as yet nothing is known but a name.
func (l *loader) stub(path, name string) *pkg {
	p := l.pkgs[path]
	if p == nil {
		p = &pkg{
			loader: l, path: path, name: name, stub: true, index: map[string]*decl{}, twice: map[string]bool{}, missed: map[string]bool{},
			methods: map[string][]*decl{}, wanted: map[string]bool{}, opaque: map[string]int{},
		}
		l.pkgs[path] = p
	}
	return p
}

// importFrom opens a package that from imports.
func (l *loader) importFrom(from *pkg, path string) (*pkg, error) {
	if p := l.pkgs[path]; p != nil && !p.stub {
		return p, nil
	}
	if path == "C" {
		return nil, unsure("%s uses cgo", from.path)
	}
	find := l.mods.dir
	if from.std {
		find = l.mods.stdDir
	}
	dir, typesPath, err := find(path)
	if err != nil {
		return nil, err
	}
	return l.open(path, dir, typesPath, nil)
}

// has reports whether the package declares name.
func (p *pkg) has(name string) bool {
	if p.index[name] == nil && !p.missed[name] {
		if p.openGroups(name) != nil {
			return false
		}
		p.missed[name] = p.index[name] == nil
	}
	return p.index[name] != nil
}

// asks reports whether a check or a policy may ask for a method or a field.
func (l *loader) asks(name string) bool { return l.words[name] || telling[name] }

func (l *loader) want(p *pkg, name string, depth int) {
	if !p.wanted[name] {
		l.queue[depth] = append(l.queue[depth], wish{p, name, depth})
	}
}

// work reads everything on the list, in the order of depths, so that the first
// one to want a declaration has the least depth.
func (l *loader) work() error {
	for depth := 0; depth <= known; depth++ {
		for len(l.queue[depth]) > 0 {
			w := l.queue[depth][0]
			l.queue[depth] = l.queue[depth][1:]
			if w.pkg.wanted[w.name] {
				continue
			}
			w.pkg.wanted[w.name] = true
			if err := l.read(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// read parses a declaration and wants what it needs.
func (l *loader) read(w wish) error {
	p := w.pkg
	if !p.has(w.name) {
		return unsure("%s has no %s", p.path, w.name)
	}
	if p.twice[w.name] {
		return unsure("%s has two of %s", p.path, w.name)
	}
	if l.left--; l.left < 0 {
		return unsure("%s needs too much", p.path)
	}
	d := p.index[w.name]
	if w.depth == known && d.isFlatStruct() {
		p.opaque[w.name] = 0
	} else {
		if err := p.parse(d); err != nil {
			return err
		}
		d = narrowed(d)
		p.picked = append(p.picked, d)
		walk := &walker{loader: l, pkg: p, file: d.file, depth: w.depth}
		if w.depth == 0 && d.tok == token.TYPE {
			walk.fetch(d.node)
		}
		if err := walk.decl(d.node); err != nil {
			return err
		}
	}
	if d.tok != token.TYPE {
		return nil
	}
	for _, m := range p.methods[w.name] {
		if w.depth > 0 && !l.asks(m.method) {
			continue
		}
		if err := p.parse(m); err != nil {
			return err
		}
		p.picked = append(p.picked, m)
		if err := (&walker{loader: l, pkg: p, file: m.file, depth: w.depth}).decl(m.node); err != nil {
			return err
		}
	}
	return nil
}

// telling are the methods that checks ask for.
var telling = map[string]bool{
	"Read": true, "Seek": true, "Close": true, "Next": true, "Error": true, "Recv": true, "Scan": true,
	"Write": true, "Unwrap": true, "Is": true, "As": true, "Timeout": true, "Temporary": true,
}

// narrowed takes the one that is meant out of a group. Constants stay together:
// they count.
func narrowed(d *decl) *decl {
	if d.spec == nil || d.tok == token.CONST {
		return d
	}
	node := *d.node.(*ast.GenDecl)
	node.Lparen, node.Specs = token.NoPos, []ast.Spec{d.spec}
	copied := *d
	copied.node = &node
	return &copied
}

// allImports returns the import paths of the package, each once.
func (p *pkg) allImports() ([]string, error) {
	var list []string
	seen := map[string]bool{}
	for _, f := range p.files {
		specs, err := f.importsOf()
		if err != nil {
			return nil, err
		}
		for _, spec := range specs {
			if path := pathOf(spec); !seen[path] {
				seen[path] = true
				list = append(list, path)
			}
		}
	}
	return list, nil
}

// check type-checks what was picked.
func (p *pkg) check() (*types.Package, error) {
	if p.types != nil {
		return p.types, nil
	}
	if p.pending {
		return nil, unsure("%s imports itself", p.path)
	}
	p.pending = true
	files, err := p.snippets()
	if err != nil {
		return nil, err
	}
	conf := types.Config{
		IgnoreFuncBodies: true, Importer: importer{p}, Error: func(error) {}, // a package may be ill-typed: code that uses what is generated is
	}
	p.types = types.NewPackage(p.path, p.name)
	// What is wrong with it leaves invalid types, which resolving complains of.
	_ = types.NewChecker(&conf, p.loader.fset, p.types, nil).Files(files)
	return p.types, nil
}

// snippets makes a file of every declaration, with the imports of its own.
func (p *pkg) snippets() ([]*ast.File, error) {
	var files []*ast.File
	done := map[ast.Decl]bool{}
	for _, d := range p.picked {
		if done[d.node] {
			continue
		}
		done[d.node] = true
		decls, err := p.importDecls(d)
		if err != nil {
			return nil, err
		}
		name := &ast.Ident{Name: p.name, NamePos: d.node.Pos()}
		files = append(files, &ast.File{Package: d.node.Pos(), Name: name, Decls: append(decls, d.node)})
	}
	for name, params := range p.opaque {
		if d := p.index[name]; !p.wanted[name] || d.isFlatStruct() && d.node == nil {
			files = append(files, &ast.File{Package: p.loader.nowhere, Name: ast.NewIdent(p.name), Decls: []ast.Decl{opaque(name, params, p.loader.nowhere)}})
		}
	}
	return files, nil
}

// importDecls are the imports of the file that the declaration uses.
func (p *pkg) importDecls(d *decl) ([]ast.Decl, error) {
	specs, err := d.file.importsOf()
	if err != nil {
		return nil, err
	}
	used := selected(d.node)
	var decls []ast.Decl
	for _, spec := range specs {
		path := pathOf(spec)
		to := p.loader.pkgs[path]
		if spec.Name != nil && spec.Name.Name == "." {
			if to == nil {
				continue
			}
		} else if to == nil && path != "unsafe" || !used[nameOf(spec, to)] {
			continue
		}
		decls = append(decls, &ast.GenDecl{TokPos: d.node.Pos(), Tok: token.IMPORT, Specs: []ast.Spec{
			&ast.ImportSpec{Name: spec.Name, Path: &ast.BasicLit{ValuePos: d.node.Pos(), Kind: token.STRING, Value: spec.Path.Value}},
		}})
	}
	return decls, nil
}

// selected returns the names of which something is selected: x of x.Sel.
func selected(node ast.Node) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(node, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok {
				names[id.Name] = true
			}
		}
		return true
	})
	return names
}

// nameOf is what the file calls the package.
func nameOf(spec *ast.ImportSpec, p *pkg) string {
	switch {
	case spec.Name != nil:
		return spec.Name.Name
	case p != nil:
		return p.name
	}
	return guess(pathOf(spec))
}

// opaque declares a type of which nothing is known but its name. pos is a valid
// one: go/types asks for the file of a receiver's type.
func opaque(name string, params int, pos token.Pos) ast.Decl {
	spec := &ast.TypeSpec{
		Name: &ast.Ident{Name: name, NamePos: pos},
		Type: &ast.StructType{Struct: pos, Fields: &ast.FieldList{Opening: pos, Closing: pos}},
	}
	if params > 0 {
		field := &ast.Field{Type: ast.NewIdent("any")}
		for i := range params {
			field.Names = append(field.Names, ast.NewIdent("P"+string(rune('A'+i))))
		}
		spec.TypeParams = &ast.FieldList{List: []*ast.Field{field}}
	}
	return &ast.GenDecl{TokPos: pos, Tok: token.TYPE, Specs: []ast.Spec{spec}}
}

// importer gives the type checker the packages that were read.
type importer struct{ from *pkg }

func (i importer) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	p := i.from.loader.pkgs[path]
	if p == nil {
		return nil, unsure("%s was not read", path)
	}
	return p.check()
}
