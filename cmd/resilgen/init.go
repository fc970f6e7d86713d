package main

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates/starter"
)

// directive makes go generate run the tool that go.mod names.
const directive = "//go:generate go tool resilgen generate ."

// initialize writes a starter for the interfaces of the current directory.
func initialize(_ context.Context, env *environment, args []string) error {
	found, pkg, err := declared(".")
	if err != nil {
		return err
	}
	if pkg == "" {
		return errors.New("no Go package here; run resilgen init in a directory with Go files")
	}
	if len(found) == 0 {
		return fmt.Errorf("package %s declares no interface with methods; declare one around what may fail", pkg)
	}
	names := found
	if len(args) > 0 {
		names = args
	}
	for n, name := range names {
		switch {
		case slices.Contains(names[:n], name):
			return usageError{name + " is named twice"}
		case !slices.Contains(found, name):
			hint := "it has " + strings.Join(found, ", ")
			if near := policy.Nearest(name, found); near != "" {
				hint = "did you mean " + near + "?"
			}
			return fmt.Errorf("no interface %s in package %s; %s", name, pkg, hint)
		}
	}
	if err := create("resilience.yaml", starter.YAML(names)); err != nil {
		return err
	}
	if err := create("resilience.go", "package "+pkg+"\n\n"+directive+"\n"); err != nil {
		return errors.Join(err, os.Remove("resilience.yaml"))
	}
	fmt.Fprintf(env.stdout, "wrote resilience.yaml and resilience.go for %s\n\nnext:\n"+
		"  1. read resilience.yaml and mark the methods that may run twice as idempotent\n"+
		"  2. go get -tool github.com/resilgen/resilgen/cmd/resilgen\n"+
		"  3. go generate\n"+
		"  4. use NewResilient%s(nil, yours) where you used yours\n", strings.Join(names, ", "), names[0])
	return nil
}

// create writes a file that must not exist yet.
func create(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists and stays as it is", name)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// declared returns the interfaces with methods that the package in dir
// declares. It parses only, so it works before anything builds.
func declared(dir string) (names []string, pkg string, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, "", err
	}
	for _, path := range paths {
		in, err := build.Default.MatchFile(dir, filepath.Base(path))
		if err != nil || !in || strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return nil, "", fmt.Errorf("%w; resilgen needs files that parse", err)
		}
		pkg = file.Name.Name
		if ast.IsGenerated(file) {
			continue
		}
		for _, decl := range file.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.TYPE {
				names = append(names, wrappable(d)...)
			}
		}
	}
	return names, pkg, nil
}

// wrappable returns the interfaces of the declaration that have methods and
// are no constraints.
func wrappable(d *ast.GenDecl) []string {
	var names []string
	for _, spec := range d.Specs {
		spec := spec.(*ast.TypeSpec)
		t, ok := spec.Type.(*ast.InterfaceType)
		if !ok || len(t.Methods.List) == 0 {
			continue
		}
		if !slices.ContainsFunc(t.Methods.List, constrains) {
			names = append(names, spec.Name.Name)
		}
	}
	return names
}

// constrains reports whether the element of an interface is one of types.
func constrains(f *ast.Field) bool {
	switch t := f.Type.(type) {
	case *ast.BinaryExpr, *ast.UnaryExpr:
		return true
	case *ast.Ident:
		return t.Name == "comparable" || t.Name == "any"
	}
	return false
}
