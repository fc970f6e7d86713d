package lint

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// Code is the Go code around policies.
type Code struct {
	Packages []CodePackage
	nodes    []*node // in the order of the source
	decls    map[*types.Func]*node
	bodies   map[ast.Node]*node
	made     []making
	clients  map[*types.Package]bool // packages with an http.Client that has a timeout
	types    []*types.Named          // those with methods
	behind   map[*types.Func][]*node // what may run behind a method of an interface
}

// CodePackage is a package of the user's, with what the type checker knows.
type CodePackage struct {
	Types *types.Package
	Info  *types.Info
	Files []*ast.File // without those that are generated
}

// node is a func with a body.
type node struct {
	name    string
	fn      *types.Func // nil for a literal
	sig     *types.Signature
	pkg     *types.Package
	outer   *node // of a literal
	once    bool  // a literal that runs once
	uses    []use
	callers []*node
}

// use is a func that a node calls, or takes as a value, which is as good.
type use struct {
	pos    token.Pos
	callee *types.Func
	recv   types.Type // what a method is selected of, nil for a func
	lit    *node
}

// making is a call of a func with the types of its arguments.
type making struct {
	callee *types.Func
	args   []types.Type
}

// NewCode builds the graph of calls: what each func mentions. A call through
// an interface of the user's leads to every type of the user's that implements
// it; what is called through a variable is where it was mentioned.
func NewCode(packages []CodePackage) *Code {
	c := &Code{Packages: packages, decls: map[*types.Func]*node{}, bodies: map[ast.Node]*node{}, clients: map[*types.Package]bool{}, behind: map[*types.Func][]*node{}}
	for i := range packages {
		for _, file := range packages[i].Files {
			for _, decl := range file.Decls {
				c.decl(&packages[i], decl)
			}
		}
	}
	seen := map[*types.Named]bool{}
	for _, n := range c.nodes {
		if t := receiver(n.fn); t != nil && !seen[t] && t.TypeParams().Len() == 0 {
			seen[t] = true
			c.types = append(c.types, t)
		}
	}
	for _, n := range c.nodes {
		for _, u := range n.uses {
			for _, next := range c.bodiesOf(u) {
				next.callers = append(next.callers, n)
			}
		}
	}
	return c
}

func (c *Code) decl(p *CodePackage, decl ast.Decl) {
	n := &node{pkg: p.Types}
	if d, ok := decl.(*ast.FuncDecl); ok {
		n.fn, _ = p.Info.Defs[d.Name].(*types.Func)
		if n.fn == nil || d.Body == nil {
			return
		}
		n.name, n.sig = d.Name.Name, n.fn.Signature()
		c.decls[n.fn] = n
		c.nodes = append(c.nodes, n)
		c.walk(p, n, d.Body)
		return
	}
	c.nodes = append(c.nodes, n) // initial values of variables
	c.walk(p, n, decl)
}

// walk notes what is used below at, as a use by n.
func (c *Code) walk(p *CodePackage, n *node, at ast.Node) {
	ast.Inspect(at, func(x ast.Node) bool {
		switch x := x.(type) {
		case *ast.FuncLit:
			c.literal(p, n, x)
			return false
		case *ast.CallExpr:
			c.call(p, x)
		case *ast.CompositeLit:
			c.composite(p, x)
		case *ast.SelectorExpr:
			if s := p.Info.Selections[x]; s != nil {
				if fn, ok := s.Obj().(*types.Func); ok {
					n.uses = append(n.uses, use{pos: x.Sel.Pos(), callee: fn.Origin(), recv: s.Recv()})
				}
				c.walk(p, n, x.X)
				return false
			}
		case *ast.Ident:
			if fn, ok := p.Info.Uses[x].(*types.Func); ok {
				n.uses = append(n.uses, use{pos: x.Pos(), callee: fn.Origin()})
			}
		}
		return true
	})
}

func (c *Code) literal(p *CodePackage, n *node, lit *ast.FuncLit) {
	inner := c.bodies[lit]
	if inner == nil {
		inner = &node{name: "a func in " + n.name, pkg: p.Types, outer: n}
		c.bodies[lit] = inner
	}
	inner.sig, _ = p.Info.TypeOf(lit).(*types.Signature)
	c.nodes = append(c.nodes, inner)
	n.uses = append(n.uses, use{pos: lit.Pos(), lit: inner})
	c.walk(p, inner, lit.Body)
}

// call notes the types of the arguments, and literals that run once.
func (c *Code) call(p *CodePackage, call *ast.CallExpr) {
	name := call.Fun
	if x, ok := name.(*ast.IndexExpr); ok {
		name = x.X
	}
	var id *ast.Ident
	switch x := name.(type) {
	case *ast.Ident:
		id = x
	case *ast.SelectorExpr:
		id = x.Sel
	}
	fn, ok := p.Info.Uses[id].(*types.Func)
	if id == nil || !ok {
		return
	}
	m := making{callee: fn.Origin()}
	for _, arg := range call.Args {
		m.args = append(m.args, p.Info.TypeOf(arg))
		if lit, ok := arg.(*ast.FuncLit); ok && fn.Pkg() != nil && fn.Pkg().Path() == "sync" {
			c.bodies[lit] = &node{name: "a func that runs once", pkg: p.Types, once: true}
		}
	}
	c.made = append(c.made, m)
}

// composite notes packages that make an http.Client with a timeout.
func (c *Code) composite(p *CodePackage, lit *ast.CompositeLit) {
	if t := p.Info.TypeOf(lit); t == nil || types.TypeString(t, nil) != "net/http.Client" {
		return
	}
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if id, ok := kv.Key.(*ast.Ident); ok && id.Name == "Timeout" {
				c.clients[p.Types] = true
			}
		}
	}
}

// bodiesOf returns what may run where u is.
func (c *Code) bodiesOf(u use) []*node {
	if u.lit != nil {
		return []*node{u.lit}
	}
	if n := c.decls[u.callee]; n != nil {
		return []*node{n}
	}
	iface := receiverInterface(u.callee)
	if iface == nil || !c.own(u.callee.Pkg()) {
		return nil
	}
	list, known := c.behind[u.callee]
	if !known {
		for _, t := range c.implementing(iface, u.callee.Pkg()) {
			if n := c.methodOf(t, u.callee.Name()); n != nil {
				list = append(list, n)
			}
		}
		c.behind[u.callee] = list
	}
	return list
}

// receiverInterface returns the interface that declares the method, or nil.
func receiverInterface(fn *types.Func) *types.Interface {
	recv := fn.Signature().Recv()
	if recv == nil {
		return nil
	}
	iface, _ := recv.Type().Underlying().(*types.Interface)
	return iface
}

func (c *Code) own(pkg *types.Package) bool {
	return slices.ContainsFunc(c.Packages, func(p CodePackage) bool { return p.Types == pkg })
}

// implementing returns the types of the user's, none of them generated, that
// implement iface, or whose pointers do. Types of packages that do not know
// that of the interface implement it by chance.
func (c *Code) implementing(iface *types.Interface, of *types.Package) []*types.Named {
	var list []*types.Named
	for _, t := range c.types {
		pkg := t.Obj().Pkg()
		if (pkg == of || slices.Contains(pkg.Imports(), of)) && types.Implements(types.NewPointer(t), iface) {
			list = append(list, t)
		}
	}
	return list
}

// receiver returns the type that fn is a method of, nil if it is none.
func receiver(fn *types.Func) *types.Named {
	if fn == nil || fn.Signature().Recv() == nil {
		return nil
	}
	return named(fn.Signature().Recv().Type())
}

// named returns the type with a name that t is, or points to.
func named(t types.Type) *types.Named {
	if t == nil {
		return nil
	}
	t = types.Unalias(t)
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	n, _ := t.(*types.Named)
	if n == nil || types.IsInterface(n) {
		return nil
	}
	return n.Origin()
}

// methodOf returns the body of a method of t, promoted ones included.
func (c *Code) methodOf(t *types.Named, name string) *node {
	obj, _, _ := types.LookupFieldOrMethod(types.NewPointer(t), true, t.Obj().Pkg(), name)
	fn, ok := obj.(*types.Func)
	if !ok {
		return nil
	}
	return c.decls[fn.Origin()]
}

// reach calls do for every use in n and in what n leads to, once each, until
// do says that it leads no further.
func (c *Code) reach(n *node, do func(by *node, u use) (goOn bool)) {
	seen := map[*node]bool{n: true}
	for todo := []*node{n}; len(todo) > 0; todo = todo[1:] {
		for _, u := range todo[0].uses {
			if u.lit == nil && !do(todo[0], u) {
				continue
			}
			for _, next := range c.bodiesOf(u) {
				if !seen[next] {
					seen[next] = true
					todo = append(todo, next)
				}
			}
		}
	}
}

// object returns what the package at path declares, looked for among the
// user's and what they import.
func (c *Code) object(path, name string) types.Object {
	for _, p := range c.Packages {
		if p.Types.Path() == path {
			return p.Types.Scope().Lookup(name)
		}
	}
	for _, p := range c.Packages {
		for _, imp := range p.Types.Imports() {
			if imp.Path() == path {
				return imp.Scope().Lookup(name)
			}
		}
	}
	return nil
}

// takes reports whether a parameter of the func has one of the types.
func (n *node) takes(names ...string) bool {
	if n.sig == nil {
		return false
	}
	for v := range n.sig.Params().Variables() {
		for _, name := range names {
			if types.TypeString(types.Unalias(v.Type()), nil) == name {
				return true
			}
		}
	}
	return false
}

// builds reports whether the func sounds as if it set a service up.
func (n *node) builds() bool {
	for _, verb := range []string{"new", "open", "connect", "dial", "start", "setup", "init", "run", "main", "build", "wire", "provide", "make", "create", "register", "serve", "test", "benchmark", "example"} {
		if strings.HasPrefix(strings.ToLower(n.name), verb) {
			return true
		}
	}
	return false
}
