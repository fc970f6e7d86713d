package source

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// walker wants what a declaration needs.
//
// Of what is in a parameter, a check (RG082) asks one question: is there a field
// that is a channel, or has a method Read. It looks through pointers and
// structs, at what is exported and no deeper than known; of a result one asks for
// methods (RG081), and for those of its elements and fields. So everything else,
// and that is most of a large package, is a name or is cut out.
type walker struct {
	loader *loader
	pkg    *pkg
	file   *file
	depth  int
	prints bool            // the type is printed: its packages need their true names
	result bool            // what it is made of counts as it does
	params map[string]bool // type parameters, which are no declarations
}

func (w *walker) decl(node ast.Decl) error {
	switch d := node.(type) {
	case *ast.FuncDecl:
		return w.fn(d)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if err := w.spec(spec, d.Tok == token.CONST); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *walker) fn(d *ast.FuncDecl) error {
	if d.Recv != nil && len(d.Recv.List) == 1 {
		w.receiver(d.Recv.List[0].Type)
	}
	if err := w.typeParams(d.Type.TypeParams); err != nil {
		return err
	}
	if w.depth > 0 {
		return w.inside().fields(d.Type.Params, d.Type.Results)
	}
	return w.fields(d.Type.Params, d.Type.Results)
}

// receiver notes the type parameters that a method names anew.
func (w *walker) receiver(e ast.Expr) {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	note := func(e ast.Expr) {
		if id, ok := e.(*ast.Ident); ok {
			w.note(id.Name)
		}
	}
	switch x := e.(type) {
	case *ast.IndexExpr:
		note(x.Index)
	case *ast.IndexListExpr:
		for _, i := range x.Indices {
			note(i)
		}
	}
}

func (w *walker) note(name string) {
	if w.params == nil {
		w.params = map[string]bool{}
	}
	w.params[name] = true
}

// typeParams notes the names first: a constraint may refer to any of them.
func (w *walker) typeParams(list *ast.FieldList) error {
	if list == nil {
		return nil
	}
	for _, f := range list.List {
		for _, name := range f.Names {
			w.note(name.Name)
		}
	}
	for _, f := range list.List {
		if err := w.same(f.Type); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) fields(lists ...*ast.FieldList) error {
	for _, list := range lists {
		if list == nil {
			continue
		}
		for _, f := range list.List {
			if err := w.expr(f.Type); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *walker) spec(spec ast.Spec, constant bool) error {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if err := w.typeParams(s.TypeParams); err != nil {
			return err
		}
		if !s.Assign.IsValid() { // an alias may be compared by what it is
			w.cut(s.Type)
		}
		return w.same(s.Type) // an alias, or what a type is made of, is as deep as its name
	case *ast.ValueSpec:
		if s.Type != nil && !constant {
			s.Values = nil // what it is set to does not matter
		}
		if err := w.expr(s.Type); err != nil {
			return err
		}
		for _, v := range s.Values {
			if err := w.value(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// same wants what must be known as well as the declaration itself: what it is
// another name of, what an interface or a struct embeds, a constraint.
func (w *walker) same(e ast.Expr) error {
	switch x := e.(type) {
	case *ast.Ident:
		return w.ident(x, w.depth, 0)
	case *ast.SelectorExpr:
		return w.selector(x, w.depth, 0)
	case *ast.ParenExpr:
		return w.same(x.X)
	case *ast.StarExpr:
		return w.same(x.X)
	case *ast.UnaryExpr: // ~T
		return w.same(x.X)
	case *ast.BinaryExpr: // A | B
		if err := w.same(x.X); err != nil {
			return err
		}
		return w.same(x.Y)
	case *ast.IndexExpr:
		return w.instance(x.X, []ast.Expr{x.Index}, w.depth)
	case *ast.IndexListExpr:
		return w.instance(x.X, x.Indices, w.depth)
	case *ast.InterfaceType:
		return w.members(x.Methods)
	case *ast.StructType:
		return w.members(x.Fields)
	}
	return w.expr(e)
}

// cut takes the members out of a declared type that nobody asks for.
func (w *walker) cut(e ast.Expr) {
	switch t := e.(type) {
	case *ast.StructType:
		t.Fields.List = slices.DeleteFunc(t.Fields.List, func(f *ast.Field) bool {
			return len(f.Names) > 0 && !slices.ContainsFunc(f.Names, w.asksField)
		})
	case *ast.InterfaceType:
		t.Methods.List = slices.DeleteFunc(t.Methods.List, func(f *ast.Field) bool {
			return w.depth > 0 && len(f.Names) == 1 && !w.loader.asks(f.Names[0].Name)
		})
	}
}

func (w *walker) asksField(name *ast.Ident) bool {
	if w.depth == known && !w.loader.words[name.Name] {
		return false
	}
	return w.pkg.own || name.IsExported()
}

// members wants embedded ones as well as the type, the other ones one deeper.
func (w *walker) members(list *ast.FieldList) error {
	for _, f := range list.List {
		visit := w.expr
		if len(f.Names) == 0 {
			visit = w.same
		} else if _, ok := f.Type.(*ast.FuncType); ok {
			visit = w.method
		}
		if err := visit(f.Type); err != nil {
			return err
		}
	}
	return nil
}

// inside returns the walker for what a type has in it, beside what it points to:
// elements, and what a func takes and returns. They are names only; those of a
// method to wrap are known by their methods, which makes sure of the packages
// they are from. An expression of the policies may go anywhere.
func (w *walker) inside() *walker {
	if w.loader.expressions || w.result {
		return w
	}
	in := *w
	in.depth = known
	if w.depth == 0 {
		in.depth, in.prints = known-1, true
	}
	return &in
}

// method is a method of an interface.
func (w *walker) method(e ast.Expr) error {
	x := e.(*ast.FuncType)
	if w.depth > 0 {
		return w.inside().fields(x.Params, x.Results)
	}
	if err := w.fields(x.Params); err != nil {
		return err
	}
	if w.loader.expressions {
		return w.fields(x.Results)
	}
	in := *w
	in.depth, in.prints, in.result = known-2, true, true
	return in.fields(x.Results)
}

// expr wants the names in a type, one deeper.
func (w *walker) expr(e ast.Expr) error {
	switch x := e.(type) {
	case nil:
		return nil
	case *ast.Ident:
		return w.ident(x, w.depth+1, 0)
	case *ast.SelectorExpr:
		return w.selector(x, w.depth+1, 0)
	case *ast.ParenExpr:
		return w.expr(x.X)
	case *ast.StarExpr:
		return w.expr(x.X)
	case *ast.Ellipsis:
		return w.inside().expr(x.Elt)
	case *ast.ChanType:
		return w.inside().expr(x.Value)
	case *ast.MapType:
		if err := w.inside().expr(x.Key); err != nil {
			return err
		}
		return w.inside().expr(x.Value)
	case *ast.ArrayType:
		if x.Len != nil {
			if err := w.value(x.Len); err != nil {
				return err
			}
		}
		return w.inside().expr(x.Elt)
	case *ast.FuncType:
		return w.inside().fields(x.Params, x.Results)
	case *ast.StructType:
		return w.members(x.Fields)
	case *ast.InterfaceType:
		return w.members(x.Methods)
	case *ast.IndexExpr:
		return w.instance(x.X, []ast.Expr{x.Index}, w.depth+1)
	case *ast.IndexListExpr:
		return w.instance(x.X, x.Indices, w.depth+1)
	}
	return w.same(e)
}

func (w *walker) instance(generic ast.Expr, args []ast.Expr, depth int) error {
	var err error
	switch x := generic.(type) {
	case *ast.Ident:
		err = w.ident(x, depth, len(args))
	case *ast.SelectorExpr:
		err = w.selector(x, depth, len(args))
	}
	for _, arg := range args {
		if err == nil {
			err = w.expr(arg)
		}
	}
	return err
}

// value wants whatever is named in the value of a variable or a constant.
func (w *walker) value(e ast.Expr) (err error) {
	ast.Inspect(e, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.FuncLit:
			if err == nil {
				err = w.expr(x.Type)
			}
			return false
		case *ast.SelectorExpr:
			if id, ok := x.X.(*ast.Ident); ok && err == nil && !w.pkg.has(id.Name) {
				err = w.selector(x, w.depth, 0)
				return false
			}
		case *ast.Ident:
			if err == nil && w.pkg.has(x.Name) {
				err = w.ident(x, w.depth, 0)
			}
		}
		return err == nil
	})
	return err
}

func (w *walker) ident(id *ast.Ident, depth, params int) error {
	if isBlank(id) || w.params[id.Name] {
		return nil
	}
	if !w.pkg.has(id.Name) {
		if types.Universe.Lookup(id.Name) != nil {
			return nil
		}
		return w.dotImported(id)
	}
	w.wantOrName(w.pkg, id.Name, depth, params)
	return nil
}

// dotImported finds a name that a dot import brings, and is unsure otherwise.
func (w *walker) dotImported(id *ast.Ident) error {
	specs, err := w.file.importsOf()
	if err != nil {
		return err
	}
	for _, spec := range specs {
		if spec.Name != nil && spec.Name.Name == "." {
			return unsure("a dot import in %s", w.file.path)
		}
	}
	return unsure("%s declares no %s", w.pkg.path, id.Name)
}

func (w *walker) selector(sel *ast.SelectorExpr, depth, params int) error {
	id, ok := sel.X.(*ast.Ident)
	if !ok {
		return nil // of a value
	}
	if w.isTime(id.Name, sel.Sel.Name) {
		w.loader.stub("time", "time").opaque[sel.Sel.Name] = 0
		return nil
	}
	find := w.imported
	if depth > known && !w.prints {
		find = w.named
	}
	p, err := find(id.Name)
	if err != nil || p == nil {
		return err
	}
	w.wantOrName(p, sel.Sel.Name, depth, params)
	return nil
}

// isTime reports whether pkg.name is one of the types of package time that have
// neither fields nor methods to ask for. Almost everything has a time in it, and
// the package is no small one.
func (w *walker) isTime(pkg, name string) bool {
	if name != "Time" && name != "Duration" || w.loader.expressions {
		return false
	}
	if p := w.loader.pkgs["time"]; p != nil && !p.stub || w.loader.mods.path == "time" {
		return false
	}
	specs, err := w.file.importsOf()
	return err == nil && slices.ContainsFunc(specs, func(spec *ast.ImportSpec) bool {
		return pathOf(spec) == "time" && nameOf(spec, nil) == pkg
	})
}

// wantOrName wants a declaration; one that is too deep is a name only.
func (w *walker) wantOrName(p *pkg, name string, depth, params int) {
	if depth <= known {
		w.loader.want(p, name, depth)
		return
	}
	p.opaque[name] = max(params, p.opaque[name])
}

// named is imported for a package of which only names are needed.
func (w *walker) named(name string) (*pkg, error) {
	specs, err := w.file.importsOf()
	if err != nil {
		return nil, err
	}
	for _, spec := range specs {
		path := pathOf(spec)
		if spec.Name != nil && spec.Name.Name == name || spec.Name == nil && guess(path) == name {
			if path == "unsafe" {
				return nil, nil
			}
			return w.loader.stub(path, guess(path)), nil
		}
	}
	return nil, nil // a field that has no type: nobody looks so deep
}

// imported returns the package that the file calls name, nil for unsafe.
func (w *walker) imported(name string) (*pkg, error) {
	specs, err := w.file.importsOf()
	if err != nil {
		return nil, err
	}
	var maybe []*ast.ImportSpec
	for _, spec := range specs {
		switch {
		case spec.Name != nil && spec.Name.Name != name:
		case spec.Name == nil && guess(pathOf(spec)) != name:
			maybe = append(maybe, spec)
		case pathOf(spec) == "unsafe":
			return nil, nil
		default:
			p, err := w.loader.importFrom(w.pkg, pathOf(spec))
			if err != nil || spec.Name != nil || p.name == name {
				return p, err
			}
		}
	}
	for _, spec := range maybe { // a name that its path does not tell
		if p, err := w.loader.importFrom(w.pkg, pathOf(spec)); err == nil && p.name == name {
			return p, nil
		}
	}
	return nil, unsure("%s imports no %s", w.file.path, name)
}
