package main

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
	names := found
	if len(args) > 0 {
		names = args
	}
	for _, name := range names {
		if !slices.Contains(found, name) {
			return fmt.Errorf("no interface %s in package %s; it has %s", name, pkg, strings.Join(found, ", "))
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("package %s declares no interface with methods; declare one around what may fail", pkg)
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
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, "", err
		}
		pkg = file.Name.Name
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				_, isFunc := n.(*ast.FuncDecl)
				return !isFunc
			}
			if t, ok := spec.Type.(*ast.InterfaceType); ok && len(t.Methods.List) > 0 && spec.TypeParams == nil {
				names = append(names, spec.Name.Name)
			}
			return false
		})
	}
	return names, pkg, nil
}
