// Package generator turns policies and Go interfaces into Go source.
//
// [Generate] is four hand-offs: policies are read, the package is loaded, both
// are resolved into [templates.File] values, and those are rendered. It writes
// nothing, so checking and generating are the same work.
package generator

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// Config says what to generate. Dir is the directory of a Go package.
type Config struct {
	Dir  string
	Warn func(*policy.Error) // called for each warning; may be nil
}

// File is a generated file.
type File struct {
	Path    string // in Config.Dir
	Content []byte
}

// Generate returns the files that the policies in c.Dir call for. It writes
// nothing. Complaints about policies come as [policy.Errors], all at once.
func Generate(ctx context.Context, c Config) ([]File, error) {
	set, err := read(c.Dir)
	if err != nil {
		return nil, err
	}
	pkg, err := load(ctx, c.Dir, foreignPackages(set))
	if err != nil {
		return nil, err
	}
	resolved, err := resolve(c, set, pkg)
	if err != nil {
		return nil, err
	}
	return render(c.Dir, set, resolved)
}

// Sources returns the policy files of dir, sorted.
func Sources(dir string) ([]string, error) {
	all, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(path string) bool {
		base := filepath.Base(path)
		return base != "resilience.yaml" && !strings.HasSuffix(base, ".resilience.yaml")
	}), nil
}

func read(dir string) (*policy.Set, error) {
	paths, err := Sources(dir)
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s: no resilience.yaml here; resilgen init writes one", dir)
	}
	var inputs []policy.Input
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, policy.Input{Path: path, Data: data})
	}
	return policy.Read(inputs)
}

func foreignPackages(set *policy.Set) []string {
	var list []string
	for _, f := range set.Files {
		for _, i := range f.Interfaces {
			if at := strings.LastIndexByte(i.Of, '.'); at >= 0 && !slices.Contains(list, i.Of[:at]) {
				list = append(list, i.Of[:at])
			}
		}
	}
	return list
}

func render(dir string, set *policy.Set, resolved []*templates.File) ([]File, error) {
	var files []File
	for i, f := range resolved {
		path := filepath.Join(dir, set.Files[i].Out())
		if err := ours(path); err != nil {
			return nil, err
		}
		src, err := templates.Render(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", path, err, src)
		}
		files = append(files, File{path, src})
	}
	return files, nil
}

// ours refuses to replace what resilgen did not write.
func ours(path string) error {
	old, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(old, []byte(templates.Header)) {
		return fmt.Errorf("%s: was not written by resilgen, and stays as it is; move it away", path)
	}
	return nil
}

// Orphans returns the generated files in dir whose policy file is gone.
func Orphans(dir string) ([]string, error) {
	sources, err := Sources(dir)
	if err != nil {
		return nil, err
	}
	var made []string
	for _, path := range sources {
		made = append(made, filepath.Join(dir, (&policy.File{Path: path}).Out()))
	}
	found, err := filepath.Glob(filepath.Join(dir, "*resilience_gen.go"))
	if err != nil {
		return nil, err
	}
	var orphans []string
	for _, path := range found {
		if data, err := os.ReadFile(path); err == nil && !slices.Contains(made, path) && bytes.HasPrefix(data, []byte(templates.Header)) {
			orphans = append(orphans, path)
		}
	}
	return orphans, nil
}
