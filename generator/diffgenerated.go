package generator

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"strconv"
)

// oldGraph is what a generated file says of a workflow, and policies do not: the
// types of its values.
type oldGraph struct {
	fingerprint string
	output      shaped
	nodes       map[string]oldNode
}

// oldNode is what a node took and returned.
type oldNode struct {
	in  []shaped
	out shaped
}

// shaped is a type of values as the records of runs know it, the zero value
// none.
type shaped struct{ typ, shape string }

// String names the type and its shape.
func (c shaped) String() string {
	if c.shape == "" {
		return "none"
	}
	return c.typ + " " + c.shape
}

// graphsIn returns the workflows of a generated file by their names. Of what is no
// Go it returns none: then the types are not known.
func graphsIn(src []byte) map[string]oldGraph {
	all := map[string]oldGraph{}
	file, err := parser.ParseFile(token.NewFileSet(), "", src, parser.SkipObjectResolution)
	if err != nil {
		return all
	}
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		typ, ok := lit.Type.(*ast.SelectorExpr)
		if !ok || typ.Sel.Name != "Graph" {
			return true
		}
		fields := fieldsOf(lit)
		g := oldGraph{fingerprint: literal(fields["Fingerprint"]), output: shapedBy(fields["Output"]), nodes: map[string]oldNode{}}
		for _, e := range elements(fields["Nodes"]) {
			node := fieldsOf(e)
			old := oldNode{out: shapedBy(node["Out"])}
			for _, in := range elements(node["In"]) {
				old.in = append(old.in, shapedBy(in))
			}
			g.nodes[literal(node["Name"])] = old
		}
		all[literal(fields["Name"])] = g
		return false
	})
	return all
}

// fieldsOf returns the fields of the literal of a struct by their names.
func fieldsOf(e ast.Expr) map[string]ast.Expr {
	fields := map[string]ast.Expr{}
	for _, e := range elements(e) {
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			if name, ok := pair.Key.(*ast.Ident); ok {
				fields[name.Name] = pair.Value
			}
		}
	}
	return fields
}

func elements(e ast.Expr) []ast.Expr {
	if lit, ok := e.(*ast.CompositeLit); ok {
		return lit.Elts
	}
	return nil
}

func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		return ""
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return text
}

// shapedBy reads workflow.JSON[Question]("1ca6cc09846f769d").
func shapedBy(e ast.Expr) shaped {
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return shaped{}
	}
	index, ok := call.Fun.(*ast.IndexExpr)
	if !ok {
		return shaped{}
	}
	return shaped{types.ExprString(index.Index), literal(call.Args[0])}
}
