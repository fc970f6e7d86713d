package main

import (
	"context"
	"errors"
	"flag"
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
	"unicode"
	"unicode/utf8"

	"github.com/resilgen/resilgen/generator"
	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates/starter"
)

// directive makes go generate run the tool that go.mod names.
const directive = "//go:generate go tool resilgen generate ."

// initialize writes a starter for the interfaces of the current directory.
func initialize(_ context.Context, env *environment, args []string) error {
	flags, workflow := env.initFlags()
	args, err := parseBetween(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		env.help("init")
		return nil
	case err != nil:
		return usageError{clean(err.Error())}
	case *workflow && len(args) > 0:
		return usageError{"init --workflow takes no interfaces"}
	case *workflow:
		return initWorkflow(env)
	}
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
	if _, err := os.Lstat("resilience.yaml"); err == nil {
		return exists("resilience.yaml", addByHand)
	}
	names, err := wanted(args, found, pkg)
	if err != nil {
		return err
	}
	if names, err = uncovered(names, len(args) > 0, pkg); err != nil {
		return err
	}
	mod, err := goMod()
	if err != nil {
		return err
	}
	wrote, err := writeStarter(names, pkg)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "wrote %s\n\nnext:\n", wrote)
	for n, step := range next(names[0].Name, mod) {
		fmt.Fprintf(env.stdout, "  %d. %s\n", n+1, step)
	}
	return nil
}

// uncovered leaves out interfaces that other policies of the package are about.
// One that was named is an error.
func uncovered(list []starter.Interface, named bool, pkg string) ([]starter.Interface, error) {
	covered, err := generator.Covered(".")
	if err != nil {
		return nil, err
	}
	var left []starter.Interface
	for _, i := range list {
		if where := covered[i.Name]; where == "" {
			left = append(left, i)
		} else if named {
			return nil, fmt.Errorf("%s has policies already, in %s", i.Name, where)
		}
	}
	if len(left) == 0 {
		return nil, fmt.Errorf("every interface of package %s has policies already; %s has those of %s", pkg, covered[list[0].Name], list[0].Name)
	}
	return left, nil
}

// addByHand is what to do with a policy file that exists.
const addByHand = "add interfaces to it by hand"

// writeStarter writes both files or none, and says which, and for what.
func writeStarter(interfaces []starter.Interface, pkg string) (wrote string, err error) {
	if err := create("resilience.yaml", starter.YAML(interfaces), addByHand); err != nil {
		return "", err
	}
	wrote = "resilience.yaml"
	if !directed() {
		wrote += " and resilience.go"
		if err := create("resilience.go", "package "+pkg+"\n\n"+directive+"\n", "add the line "+directive); err != nil {
			return "", errors.Join(err, os.Remove("resilience.yaml"))
		}
	}
	var names []string
	for _, i := range interfaces {
		names = append(names, i.Name)
	}
	return wrote + " for " + strings.Join(names, ", "), nil
}

// next lists what is left to do in the module with the go.mod.
func next(name, mod string) []string {
	steps := []string{"read resilience.yaml and mark the methods that may run twice as idempotent"}
	if !strings.Contains(mod, toolPath) {
		steps = append(steps, "go get -tool "+toolPath)
	}
	return append(steps, "go generate, and go mod tidy", "use NewResilient"+exported(name)+"(nil, yours) where you used yours")
}

// toolPath is what go.mod names as a tool.
const toolPath = "github.com/resilgen/resilgen/cmd/resilgen"

// wanted returns the interfaces that args name, or all.
func wanted(args []string, found []starter.Interface, pkg string) ([]starter.Interface, error) {
	if len(args) == 0 {
		return found, nil
	}
	var known []string
	for _, i := range found {
		known = append(known, i.Name)
	}
	var list []starter.Interface
	for n, name := range args {
		at := slices.Index(known, name)
		switch {
		case slices.Contains(args[:n], name):
			return nil, usageError{name + " is named twice"}
		case at < 0:
			hint := "it has " + strings.Join(known, ", ")
			if near := policy.Nearest(name, known); near != "" {
				hint = "did you mean " + near + "?"
			}
			return nil, fmt.Errorf("no interface %s in package %s; %s", name, pkg, hint)
		}
		list = append(list, found[at])
	}
	return list, nil
}

// goMod returns the text of the go.mod that the current directory belongs to.
func goMod() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if !errors.Is(err, fs.ErrNotExist) {
			return string(text), err
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod here or above; run go mod init first")
		}
		dir = up
	}
	return "", err
}

// directed reports whether a Go file here has a go:generate line for resilgen.
func directed() bool {
	paths, _ := filepath.Glob("*.go")
	return slices.ContainsFunc(paths, func(path string) bool {
		text, _ := os.ReadFile(path)
		return slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool {
			return strings.HasPrefix(line, "//go:generate ") && strings.Contains(line, "resilgen generate")
		})
	})
}

// exported returns the name as it stands in generated names.
func exported(name string) string {
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(first)) + name[size:]
}

// create writes a file that must not exist yet; advice is for when it does.
func create(name, text, advice string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return exists(name, advice)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s cannot be written: make this directory writable and run again (%w)", name, err)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func exists(name, advice string) error {
	return fmt.Errorf("%s exists and stays as it is; %s", name, advice)
}

// declared returns the interfaces with methods that the package in dir
// declares. It parses only, so it works before anything builds.
func declared(dir string) (found []starter.Interface, pkg string, err error) {
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
				found = append(found, wrappable(d)...)
			}
		}
	}
	return found, pkg, nil
}

// wrappable returns the interfaces of the declaration that have methods and
// are no constraints.
func wrappable(d *ast.GenDecl) []starter.Interface {
	var found []starter.Interface
	for _, spec := range d.Specs {
		spec := spec.(*ast.TypeSpec)
		t, ok := spec.Type.(*ast.InterfaceType)
		if !ok || len(t.Methods.List) == 0 {
			continue
		}
		if !slices.ContainsFunc(t.Methods.List, constrains) {
			found = append(found, starter.Interface{Name: spec.Name.Name, Methods: methods(t)})
		}
	}
	return found
}

// methods returns the names of the methods that t itself declares.
func methods(t *ast.InterfaceType) []string {
	var names []string
	for _, f := range t.Methods.List {
		for _, name := range f.Names {
			names = append(names, name.Name)
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
