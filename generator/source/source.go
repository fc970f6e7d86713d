// Package source reads Go packages without the go command, and no more of them
// than is asked for: the declarations that were named, and those that they
// need, down to a depth at which types are only names any more. Where it cannot
// be sure to see what the go command would, it says so, with [ErrUnsure].
package source

import (
	"errors"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
)

// ErrUnsure says that only the go command knows.
var ErrUnsure = errors.New("not sure what the go command would see")

// Request says what is to be read.
type Request struct {
	Dir string // of the package
	// Interfaces are names of the package, or qualified by an import path.
	Interfaces []string
	// Words are the identifiers that the policies mention, "net.OpError".
	Words []string
	// Expressions says that the policies hold Go expressions, which may go
	// anywhere.
	Expressions bool
	// Skip reports whether a file of the package declares nothing that counts.
	Skip func(src []byte) bool
}

// Package is what was read. Declarations that nobody asked for are in the scope
// of Types, so that their names are known to be taken, but have no types.
type Package struct {
	Types   *types.Package
	Foreign map[string]*types.Package // of interfaces of other packages
	Order   func(token.Pos) (file string, offset int)
}

// Load reads a package. Its errors wrap ErrUnsure.
func Load(r Request) (p *Package, err error) {
	defer func() {
		if v := recover(); v != nil { // go/types, on what no parser would give it
			p, err = nil, unsure("panic: %v", v)
		}
	}()
	return load(r)
}

func load(r Request) (*Package, error) {
	dir, err := filepath.Abs(r.Dir)
	if err != nil {
		return nil, unsure("%v", err)
	}
	mods, err := newModules(dir)
	if err != nil {
		return nil, err
	}
	defer mods.close()
	rel, err := filepath.Rel(mods.root, dir)
	if err != nil {
		return nil, unsure("%v", err)
	}
	path := mods.path
	if rel != "." {
		path += "/" + filepath.ToSlash(rel)
	}
	l := &loader{mods: mods, fset: token.NewFileSet(), pkgs: map[string]*pkg{}, origin: map[*token.File]*decl{}, left: budget, words: map[string]bool{}, ahead: map[string]func() ([]*file, error){}}
	defer l.fetching.Wait()
	l.nowhere = token.Pos(l.fset.AddFile("", -1, 1).Base())
	l.expressions = r.Expressions
	for _, w := range r.Words {
		for _, part := range strings.Split(w, ".") {
			l.words[part] = true
		}
	}
	own, err := l.open(path, dir, path, r.Skip)
	if err != nil {
		return nil, err
	}
	if err := l.ask(own, r); err != nil {
		return nil, err
	}
	return l.result(own, r)
}

// ask puts what the request names on the list, and works it off.
func (l *loader) ask(own *pkg, r Request) error {
	imports, err := own.allImports()
	if err != nil {
		return err
	}
	if slices.Contains(imports, "C") {
		return unsure("%s uses cgo", own.path)
	}
	for _, of := range r.Interfaces {
		p, name := own, of
		if at := strings.LastIndexByte(of, '.'); at >= 0 {
			if p, err = l.importFrom(own, of[:at]); err != nil {
				return err
			}
			name = of[at+1:]
		}
		l.want(p, name, 0)
	}
	for _, w := range r.Words {
		if err := l.word(own, imports, w); err != nil {
			return err
		}
	}
	if slices.Contains(imports, "database/sql") {
		if err := l.word(own, []string{"database/sql"}, "sql.ErrNoRows"); err != nil {
			return err
		}
	}
	return l.work()
}

// word wants what an identifier of the policies may mean.
func (l *loader) word(own *pkg, imports []string, word string) error {
	first, last, qualified := strings.Cut(word, ".")
	if own.has(first) {
		l.want(own, first, 0)
		return nil
	}
	if !qualified {
		return nil
	}
	for _, path := range imports {
		if guess(path) != first {
			continue
		}
		p, err := l.importFrom(own, path)
		if err != nil {
			return err
		}
		if p.has(last) {
			l.want(p, last, 0)
		}
	}
	return nil
}

// result checks the types of what was asked for.
func (l *loader) result(own *pkg, r Request) (*Package, error) {
	t, err := own.check()
	if err != nil {
		return nil, err
	}
	out := &Package{Types: t, Foreign: map[string]*types.Package{}, Order: l.order}
	for _, of := range r.Interfaces {
		if at := strings.LastIndexByte(of, '.'); at >= 0 {
			if out.Foreign[of[:at]], err = l.pkgs[of[:at]].check(); err != nil {
				return nil, err
			}
		}
	}
	if err := own.openGroups(""); err != nil {
		return nil, err
	}
	for name := range own.index {
		if t.Scope().Lookup(name) == nil {
			t.Scope().Insert(types.NewVar(token.NoPos, t, name, types.Typ[types.Invalid]))
		}
	}
	return out, l.setImports(own, t)
}

// setImports tells which packages the whole of own imports.
func (l *loader) setImports(own *pkg, t *types.Package) error {
	paths, err := own.allImports()
	if err != nil {
		return err
	}
	var list []*types.Package
	for _, path := range paths {
		p := l.pkgs[path]
		if p == nil || p.stub {
			list = append(list, types.NewPackage(path, guess(path)))
			continue
		}
		checked, err := p.check()
		if err != nil {
			return err
		}
		list = append(list, checked)
	}
	t.SetImports(list)
	return nil
}

// order returns where a declaration of the package stands.
func (l *loader) order(pos token.Pos) (string, int) {
	f := l.fset.File(pos)
	if f == nil || l.origin[f] == nil {
		return "", int(pos)
	}
	d := l.origin[f]
	return d.file.path, d.start + f.Offset(pos) - len(prefix)
}

// guess is the name that a package with the path probably has.
func guess(path string) string {
	elems := strings.Split(path, "/")
	last := elems[len(elems)-1]
	if len(elems) > 1 && len(last) > 1 && last[0] == 'v' && strings.Trim(last[1:], "0123456789") == "" {
		last = elems[len(elems)-2]
	}
	if at := strings.Index(last, ".v"); at > 0 {
		last = last[:at]
	}
	return last
}

// blank is what a snippet of several names may have.
func isBlank(id *ast.Ident) bool { return id == nil || id.Name == "_" }
