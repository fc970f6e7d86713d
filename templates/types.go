package templates

import (
	"fmt"
	"go/types"

	"github.com/dave/jennifer/jen"
)

// typeOf spells t.
func typeOf(t types.Type) *jen.Statement {
	switch t := t.(type) {
	case *types.Named:
		return named(t.Obj(), t.TypeArgs())
	case *types.Alias:
		return named(t.Obj(), t.TypeArgs())
	case *types.TypeParam:
		return jen.Id(t.Obj().Name())
	case *types.Basic:
		if t.Kind() == types.UnsafePointer {
			return jen.Qual("unsafe", "Pointer")
		}
		return jen.Id(t.Name())
	case *types.Pointer:
		return jen.Op("*").Add(typeOf(t.Elem()))
	case *types.Slice:
		return jen.Index().Add(typeOf(t.Elem()))
	case *types.Array:
		return jen.Index(jen.Lit(int(t.Len()))).Add(typeOf(t.Elem()))
	case *types.Map:
		return jen.Map(typeOf(t.Key())).Add(typeOf(t.Elem()))
	case *types.Chan:
		return channel(t)
	case *types.Signature:
		return jen.Func().Add(signature(t))
	case *types.Struct:
		return structure(t)
	case *types.Interface:
		return iface(t)
	}
	panic(fmt.Sprintf("templates: a %T cannot be spelled", t)) // resolve refuses the rest
}

func named(obj *types.TypeName, args *types.TypeList) *jen.Statement {
	s := jen.Id(obj.Name())
	if obj.Pkg() != nil {
		s = jen.Qual(obj.Pkg().Path(), obj.Name())
	}
	if args.Len() == 0 {
		return s
	}
	list := make([]jen.Code, args.Len())
	for i := range list {
		list[i] = typeOf(args.At(i))
	}
	return s.Types(list...)
}

func channel(t *types.Chan) *jen.Statement {
	elem := typeOf(t.Elem())
	if inner, ok := t.Elem().(*types.Chan); ok && inner.Dir() == types.RecvOnly {
		elem = jen.Parens(elem) // chan (<-chan T) is not chan<- (chan T)
	}
	switch t.Dir() {
	case types.SendOnly:
		return jen.Chan().Op("<-").Add(elem)
	case types.RecvOnly:
		return jen.Op("<-").Chan().Add(elem)
	}
	return jen.Chan().Add(elem)
}

func signature(t *types.Signature) *jen.Statement {
	s := jen.Params(tuple(t.Params(), t.Variadic())...)
	switch t.Results().Len() {
	case 0:
		return s
	case 1:
		return s.Add(typeOf(t.Results().At(0).Type()))
	}
	return s.Params(tuple(t.Results(), false)...)
}

func tuple(t *types.Tuple, variadic bool) []jen.Code {
	list := make([]jen.Code, t.Len())
	for i := range list {
		if variadic && i == t.Len()-1 {
			list[i] = variadicOf(t.At(i).Type())
			continue
		}
		list[i] = typeOf(t.At(i).Type())
	}
	return list
}

func variadicOf(t types.Type) *jen.Statement {
	if s, ok := t.(*types.Slice); ok {
		return jen.Op("...").Add(typeOf(s.Elem()))
	}
	return jen.Op("...").Byte() // append([]byte, string...) is the only other one
}

func structure(t *types.Struct) *jen.Statement {
	fields := make([]jen.Code, t.NumFields())
	for i := range fields {
		f := jen.Add(typeOf(t.Field(i).Type()))
		if !t.Field(i).Embedded() {
			f = jen.Id(t.Field(i).Name()).Add(f)
		}
		if tag := t.Tag(i); tag != "" {
			f = f.Op(fmt.Sprintf("%q", tag))
		}
		fields[i] = f
	}
	return jen.Struct(fields...)
}

func iface(t *types.Interface) *jen.Statement {
	if t.NumMethods() == 0 && t.NumEmbeddeds() == 0 {
		return jen.Id("any")
	}
	var items []jen.Code
	for i := range t.NumEmbeddeds() {
		items = append(items, union(t.EmbeddedType(i)))
	}
	for i := range t.NumExplicitMethods() {
		m := t.ExplicitMethod(i)
		items = append(items, jen.Id(m.Name()).Add(signature(m.Signature())))
	}
	return jen.Interface(items...)
}

// union spells an element of a constraint.
func union(t types.Type) *jen.Statement {
	u, ok := t.(*types.Union)
	if !ok {
		return typeOf(t)
	}
	terms := make([]jen.Code, u.Len())
	for i := range terms {
		term := typeOf(u.Term(i).Type())
		if u.Term(i).Tilde() {
			term = jen.Op("~").Add(term)
		}
		terms[i] = term
	}
	return jen.Union(terms...)
}
