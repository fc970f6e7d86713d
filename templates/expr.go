package templates

import (
	"fmt"
	"go/ast"
	"go/types"

	"github.com/dave/jennifer/jen"
)

// Expr is a Go expression over the parameters of a method.
type Expr struct {
	Node   ast.Expr
	Params map[*ast.Ident]int          // identifiers that are parameters
	Uses   map[*ast.Ident]types.Object // the other ones
	Text   string                      // as it was written
	// Convert is the type that the value is converted to, "" if it is of that type.
	Convert string
}

// CanPrint returns what of the expression cannot be generated, nil for all of
// it.
func CanPrint(e ast.Expr) (bad ast.Node) {
	ast.Inspect(e, func(n ast.Node) bool {
		switch n.(type) {
		case nil, *ast.Ident, *ast.BasicLit, *ast.ParenExpr, *ast.SelectorExpr, *ast.CallExpr,
			*ast.IndexExpr, *ast.SliceExpr, *ast.StarExpr, *ast.UnaryExpr, *ast.BinaryExpr:
		default:
			if bad == nil {
				bad = n
			}
		}
		return bad == nil
	})
	return bad
}

// code prints the expression, as the wanted type where it is of another one.
func (x *Expr) code(m *Method) *jen.Statement {
	s := x.print(m, x.Node)
	if x.Convert != "" {
		return jen.Id(x.Convert).Call(s)
	}
	return s
}

// root is the parameter whose field the expression is.
func (x *Expr) root() int {
	e := x.Node
	for isSelector(e) {
		e = e.(*ast.SelectorExpr).X
	}
	return x.Params[e.(*ast.Ident)]
}

// within prints the field of another value than the parameter.
func (x *Expr) within(m *Method, value *jen.Statement) *jen.Statement {
	e := x.Node.(*ast.SelectorExpr)
	inner := *x
	if inner.Node = e.X; isSelector(e.X) {
		value = inner.within(m, value)
	}
	return value.Dot(e.Sel.Name)
}

func isSelector(e ast.Expr) bool { _, ok := e.(*ast.SelectorExpr); return ok }

func (x *Expr) print(m *Method, e ast.Expr) *jen.Statement {
	switch e := e.(type) {
	case *ast.Ident:
		return x.identifier(m, e)
	case *ast.BasicLit:
		return jen.Op(e.Value)
	case *ast.ParenExpr:
		return jen.Parens(x.print(m, e.X))
	case *ast.SelectorExpr:
		if id, ok := e.X.(*ast.Ident); ok {
			if pkg, ok := x.Uses[id].(*types.PkgName); ok {
				return jen.Qual(pkg.Imported().Path(), e.Sel.Name)
			}
		}
		return x.print(m, e.X).Dot(e.Sel.Name)
	case *ast.CallExpr:
		return x.call(m, e)
	case *ast.IndexExpr:
		return x.print(m, e.X).Index(x.print(m, e.Index))
	case *ast.SliceExpr:
		return x.slice(m, e)
	case *ast.StarExpr:
		return jen.Op("*").Add(x.print(m, e.X))
	case *ast.UnaryExpr:
		return jen.Op(e.Op.String()).Add(x.print(m, e.X))
	case *ast.BinaryExpr:
		return x.print(m, e.X).Op(e.Op.String()).Add(x.print(m, e.Y))
	}
	panic(fmt.Sprintf("templates: a %T cannot be printed", e)) // CanPrint refuses the rest
}

func (x *Expr) identifier(m *Method, id *ast.Ident) *jen.Statement {
	if i, ok := x.Params[id]; ok {
		return jen.Id(m.Params[i].Name)
	}
	if obj := x.Uses[id]; obj != nil && obj.Pkg() != nil && obj.Parent() == obj.Pkg().Scope() {
		return jen.Qual(obj.Pkg().Path(), obj.Name())
	}
	return jen.Id(id.Name)
}

func (x *Expr) call(m *Method, e *ast.CallExpr) *jen.Statement {
	list := make([]jen.Code, len(e.Args))
	for i, arg := range e.Args {
		list[i] = x.print(m, arg)
	}
	if e.Ellipsis.IsValid() {
		list[len(list)-1] = jen.Add(list[len(list)-1]).Op("...")
	}
	return x.print(m, e.Fun).Call(list...)
}

func (x *Expr) slice(m *Method, e *ast.SliceExpr) *jen.Statement {
	bounds := []jen.Code{jen.Empty(), jen.Empty()}
	for i, b := range []ast.Expr{e.Low, e.High, e.Max} {
		if b == nil {
			continue
		}
		if i == 2 {
			bounds = append(bounds, x.print(m, b))
		} else {
			bounds[i] = x.print(m, b)
		}
	}
	return x.print(m, e.X).Index(bounds...)
}
