package generator

import (
	"cmp"
	"fmt"
	"go/types"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/policy"
)

// optional says which interfaces the package's own implementations of face have
// beside it, "" if none: they are not found behind a wrapper. The interfaces
// that f is about are no such ones.
func (p *goPackage) optional(face *goInterface, f *policy.File) string {
	target, ok := face.typ.Underlying().(*types.Interface)
	if !ok || face.params.Len() > 0 {
		return ""
	}
	candidates := p.candidates(target, f)
	var found []string
	for _, name := range p.types.Scope().Names() {
		obj, ok := p.types.Scope().Lookup(name).(*types.TypeName)
		if !ok || obj.IsAlias() || types.IsInterface(obj.Type()) || generic(obj) {
			continue
		}
		impl := types.NewPointer(obj.Type())
		if !types.Implements(impl, target) {
			continue
		}
		if list := beside(impl, target, candidates); len(list) > 0 {
			found = append(found, fmt.Sprintf("%s (%s)", enumerate(list), name))
		}
	}
	if len(found) == 0 {
		return ""
	}
	text := "  optional    " + strings.Join(found, ", ") + ":\n              not found behind the wrapper by a type assertion"
	if obj, _, _ := types.LookupFieldOrMethod(face.typ, false, nil, "Unwrap"); obj == nil {
		text += ", but on what its Unwrap returns"
	}
	return text + "\n"
}

// candidate is an interface that a type may have.
type candidate struct {
	name string
	typ  *types.Interface
}

// candidates returns the interfaces of the package, of those it imports and of
// io that ask for more than target, those with the fewest methods first.
func (p *goPackage) candidates(target *types.Interface, f *policy.File) []candidate {
	pkgs := p.types.Imports()
	if std := p.foreign["io"]; std != nil && !slices.ContainsFunc(pkgs, func(pkg *types.Package) bool { return pkg.Path() == "io" }) {
		pkgs = append(slices.Clone(pkgs), std)
	}
	slices.SortFunc(pkgs, func(a, b *types.Package) int { return strings.Compare(a.Path(), b.Path()) })
	var list []candidate
	for _, pkg := range append(slices.Clone(pkgs), p.types) { // a name of the standard library says more
		for _, name := range pkg.Scope().Names() {
			obj, ok := pkg.Scope().Lookup(name).(*types.TypeName)
			if !ok || pkg != p.types && !obj.Exported() {
				continue
			}
			typ, ok := obj.Type().Underlying().(*types.Interface)
			if !ok || !typ.IsMethodSet() || generic(obj) || types.Implements(target, typ) || about(f, pkg, p.types, name) {
				continue
			}
			if pkg != p.types {
				name = pkg.Name() + "." + name
			}
			list = append(list, candidate{name, typ})
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(a.typ.NumMethods(), b.typ.NumMethods()) })
	return list
}

func generic(obj *types.TypeName) bool {
	named, ok := obj.Type().(*types.Named)
	return ok && named.TypeParams().Len() > 0
}

// about reports whether the file has policies for the interface.
func about(f *policy.File, pkg, own *types.Package, name string) bool {
	if pkg != own {
		name = pkg.Path() + "." + name
	}
	return slices.ContainsFunc(f.Interfaces, func(i *policy.Interface) bool { return i.Of == name })
}

// beside names the candidates that impl has, without those whose methods are in
// smaller ones: of an io.ReadWriter only io.Reader and io.Writer are said.
func beside(impl types.Type, target *types.Interface, candidates []candidate) []string {
	known := map[string]bool{}
	for m := range target.Methods() {
		known[m.Id()] = true
	}
	var names []string
	for _, c := range candidates {
		if !types.Implements(impl, c.typ) {
			continue
		}
		more := false
		for m := range c.typ.Methods() {
			more = more || !known[m.Id()]
			known[m.Id()] = true
		}
		if more {
			names = append(names, c.name)
		}
	}
	return names
}
