package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator"
)

// expand turns arguments into directories; ./... is every one below that takes
// says yes to.
func expand(args []string, takes func(dir string) (bool, error)) ([]string, error) {
	if len(args) == 0 {
		args = []string{"."}
	}
	var dirs []string
	for _, arg := range args {
		root, all := strings.CutSuffix(arg, "...")
		root = filepath.Clean(root)
		if err := directory(root); err != nil {
			return nil, err
		}
		below := []string{root}
		if all {
			var err error
			if below, err = walk(root, takes); err != nil {
				return nil, err
			}
		}
		dirs = append(dirs, slices.DeleteFunc(below, func(dir string) bool { return slices.Contains(dirs, dir) })...)
	}
	return dirs, nil
}

// directory complains about what is none.
func directory(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: no such directory", path)
	case err != nil:
		return err
	case !info.IsDir():
		return usageError{fmt.Sprintf("%s is a file: name the directory of its package, %s", path, filepath.Dir(path))}
	}
	return nil
}

func walk(root string, takes func(dir string) (bool, error)) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if path != root && skipped(path, d.Name()) {
			return filepath.SkipDir
		}
		ok, err := takes(path)
		if ok {
			dirs = append(dirs, path)
		}
		return err
	})
	if err == nil && len(dirs) == 0 {
		err = fmt.Errorf("%s: %w", root, generator.ErrNoPolicies)
	}
	return dirs, err
}

// skipped follows the go command: other modules are not part of ./...
func skipped(path, name string) bool {
	if name[0] == '.' || name[0] == '_' || name == "testdata" || name == "vendor" {
		return true
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil
}
