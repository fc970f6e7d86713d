package generator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// fatal returns errors that leave nothing to work with. dir is what the user
// calls the directory, abs its path.
func fatal(dir, abs string, pkg *packages.Package) error {
	for _, e := range pkg.Errors {
		switch {
		case clashes(e):
			if names, _ := clauses(abs, pkg.GoFiles); len(names) > 1 {
				return fmt.Errorf("%s: has files of %s: a directory holds one package, so move the others away", dir, listed(names))
			}
		case e.Kind == packages.ParseError:
			return fmt.Errorf("%s: %s; resilgen needs files that parse", relative(dir, abs, e.Pos), e.Msg)
		case e.Msg == "no Go files in "+abs:
			return noPackage(dir)
		case e.Kind == packages.ListError && len(pkg.GoFiles) == 0:
			return fmt.Errorf("%s: %s", dir, strings.TrimSuffix(e.Msg, " in "+abs))
		}
	}
	return nil
}

func noPackage(dir string) error {
	return fmt.Errorf("%s: no Go package here; run resilgen in a directory with Go files", dir)
}

// relative returns a position as the user would write the path of its file.
func relative(dir, abs, pos string) string {
	if rest, in := strings.CutPrefix(pos, abs+string(filepath.Separator)); in {
		return filepath.Join(dir, rest)
	}
	return pos
}

// clashes reports whether the go command found two packages in the directory.
func clashes(e packages.Error) bool {
	return e.Kind == packages.ListError && strings.HasPrefix(e.Msg, "found packages ")
}

// clauses returns the packages that the files in dir are of, each with the
// first of its files, and our own output apart.
func clauses(dir string, paths []string) (names map[string]string, ours []string) {
	names = map[string]string{}
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil || filepath.Dir(path) != dir {
			continue
		}
		if isOurs(src) {
			ours = append(ours, path)
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, src, parser.PackageClauseOnly)
		if err == nil && names[file.Name.Name] == "" {
			names[file.Name.Name] = filepath.Base(path)
		}
	}
	return names, ours
}

// listed lists packages with their files.
func listed(names map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		words = append(words, fmt.Sprintf("package %s (%s)", name, names[name]))
	}
	return enumerate(words)
}

// renewed returns what our own output of a package under its former name is to
// be read as, nil if there is none: what is stale must not stop its renewal.
func renewed(dir string, pkgs []*packages.Package) map[string][]byte {
	for _, pkg := range pkgs {
		if !slices.ContainsFunc(pkg.Errors, clashes) {
			continue
		}
		names, ours := clauses(dir, pkg.GoFiles)
		if len(names) != 1 || len(ours) == 0 {
			continue
		}
		overlay := map[string][]byte{}
		for name := range names {
			for _, path := range ours {
				overlay[path] = []byte("package " + name + "\n")
			}
		}
		return overlay
	}
	return nil
}

// refusal asks the go command why it tells of no package in dir, which go list
// keeps to itself when it is asked to go on after errors.
func refusal(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "list", ".")
	cmd.Dir = dir
	_, err := cmd.Output()
	var failed *exec.ExitError
	if !errors.As(err, &failed) {
		return ctx.Err()
	}
	words := strings.TrimPrefix(strings.Join(strings.Fields(string(failed.Stderr)), " "), "go: ")
	return fmt.Errorf("%s: the go command cannot read this package: %s", dir, cmp.Or(words, err.Error()))
}

// homes are the import paths of packages that policies name and that are not
// called as their paths are.
var homes = map[string]string{
	"codes": "google.golang.org/grpc/codes", "driver": "database/sql/driver", "exec": "os/exec", "fs": "io/fs", "http": "net/http",
	"json": "encoding/json", "sql": "database/sql", "status": "google.golang.org/grpc/status", "tls": "crypto/tls",
	"url": "net/url", "x509": "crypto/x509", "xml": "encoding/xml",
}

// notImported says what to do about a name whose package nothing imports.
func notImported(name string) string {
	path := cmp.Or(homes[name], name)
	if !slices.Contains([]string{"context", "errors", "io", "net", "os", "strconv", "syscall"}, path) && homes[name] == "" {
		path = "path/of/" + name
	}
	return fmt.Sprintf("no file of the package imports %s: add the line import _ %q to one", name, path)
}
