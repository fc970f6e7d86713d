package generator

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/tools/go/packages"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
)

// Lint returns everything there is to say about the policies in dirs, errors,
// warnings and notes, sorted by position. It looks at the Go code of the modules
// around them, too, which takes more time than generating. The error is about
// what could not be read; of c Lenient, Loader and Overrides count.
func Lint(ctx context.Context, c Config, dirs []string) (policy.Errors, error) {
	var list policy.Errors
	var all []*resolution
	for _, dir := range dirs {
		c.Dir = dir
		one, err := lintDir(ctx, c)
		var errs policy.Errors
		switch {
		case errors.As(err, &errs):
			list = append(list, errs...)
		case err != nil:
			return nil, err
		default:
			all = append(all, one)
		}
	}
	if err := inCode(ctx, all); err != nil {
		return nil, err
	}
	found, err := overridden(c.Overrides, all)
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		found = append(found, one.complaints(true)...)
	}
	return append(list, found...).Sorted(), nil
}

func lintDir(ctx context.Context, c Config) (*resolution, error) {
	set, words, err := read(c.Dir)
	if err != nil {
		return nil, err
	}
	return resolveDir(ctx, c, set, words)
}

// inCode runs the checks on the code of the modules around the policies.
func inCode(ctx context.Context, all []*resolution) error {
	modules := map[string][]*resolution{}
	for _, one := range all {
		root, err := moduleRoot(one.pkg.dir)
		if err != nil {
			return err
		}
		modules[root] = append(modules[root], one)
	}
	for _, root := range slices.Sorted(maps.Keys(modules)) {
		if err := inModuleCode(ctx, root, modules[root]); err != nil {
			return err
		}
	}
	return nil
}

func inModuleCode(ctx context.Context, root string, all []*resolution) error {
	var wrappers []*lint.Wrapper
	by := map[*lint.Wrapper]*guarded{}
	for _, one := range all {
		for _, g := range one.guarded() {
			w := &lint.Wrapper{Key: g.iface.Key, Path: g.face.pkg.Path(), Name: g.face.name, In: one.pkg.Path,
				Type: g.wrapper.Type, New: g.wrapper.New, FallbackType: g.wrapper.Fallback, Methods: g.methods}
			wrappers = append(wrappers, w)
			by[w] = g
		}
	}
	fset := token.NewFileSet()
	code, err := loadCode(ctx, root, fset)
	if err != nil || len(wrappers) == 0 {
		return err
	}
	read := lines{}
	for _, f := range lint.InCode(code, wrappers) {
		g, at := by[f.About], fset.Position(f.Pos)
		g.by.inCode(g, f, at, read.at(at))
	}
	return nil
}

// inCode reports a finding at a place in Go code.
func (r *resolver) inCode(g *guarded, f lint.CodeFinding, at token.Position, line string) {
	rule, _ := lint.Lookup(f.ID)
	if _, ignored := f.Policy.Ignores(f.ID); ignored && !f.Error {
		return
	}
	r.errs = append(r.errs, &policy.Error{
		Pos: place(at, line), ID: f.ID, Key: g.iface.Key + "." + f.Policy.Method, Msg: f.Msg, Line: line,
		Warning: !f.Error || rule.Severity >= lint.Warning,
	})
}

// lines are Go files by their names, each read once.
type lines map[string][]string

// at returns the line, "" if there is none any more.
func (l lines) at(pos token.Position) string {
	text, known := l[pos.Filename]
	if !known {
		data, _ := os.ReadFile(pos.Filename) // without it there is no caret
		text = strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
		l[pos.Filename] = text
	}
	if pos.Line > len(text) {
		return ""
	}
	return text[pos.Line-1]
}

// place counts columns in characters, and names the file from here if it can.
func place(at token.Position, line string) policy.Pos {
	pos := policy.Pos{File: at.Filename, Line: at.Line, Col: at.Column}
	if at.Column-1 <= len(line) {
		pos.Col = utf8.RuneCountInString(line[:at.Column-1]) + 1
	}
	if here, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(here, at.Filename); err == nil && !strings.HasPrefix(rel, "..") {
			pos.File = rel
		}
	}
	return pos
}

// loadCode reads every package of the module. Those that do not build yet are
// taken for what can be understood of them.
func loadCode(ctx context.Context, root string, fset *token.FileSet) (*lint.Code, error) {
	conf := &packages.Config{
		Context: ctx, Dir: root, Fset: fset,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo,
	}
	pkgs, err := packages.Load(conf, "./...")
	if err != nil {
		return nil, fmt.Errorf("%s: the go command failed: %w", root, err)
	}
	var list []lint.CodePackage
	for _, p := range pkgs {
		if p.Types == nil || p.TypesInfo == nil {
			continue
		}
		files := slices.DeleteFunc(p.Syntax, ast.IsGenerated)
		list = append(list, lint.CodePackage{Types: p.Types, Info: p.TypesInfo, Files: files})
	}
	return lint.NewCode(list), nil
}
