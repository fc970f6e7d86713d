package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator"
	"github.com/resilgen/resilgen/generator/policy"
)

func generate(ctx context.Context, env *environment, args []string) error {
	flags := flag.NewFlagSet("generate", flag.ContinueOnError)
	flags.SetOutput(env.stderr)
	dry := flags.Bool("n", false, "print what would be written, write nothing")
	flags.BoolVar(&env.all, "all", false, "print every complaint, not the first ten")
	flags.BoolVar(&env.json, "json", false, "print complaints as JSON, one a line, on standard output")
	flags.BoolVar(&env.strict, "strict", false, "warnings fail the run")
	prune := flags.Bool("prune", false, "remove generated files whose policy file is gone")
	if err := parse(flags, args); err != nil {
		return err
	}
	changed, err := env.outdated(ctx, flags.Args())
	if err != nil {
		return err
	}
	if err := env.stale(flags.Args(), *prune && !*dry); err != nil {
		return err
	}
	for _, f := range changed {
		if *dry {
			fmt.Fprintln(env.stdout, f.Path)
			continue
		}
		if err := write(f); err != nil {
			return err
		}
	}
	return nil
}

func check(ctx context.Context, env *environment, args []string) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(env.stderr)
	if err := parse(flags, args); err != nil {
		return err
	}
	changed, err := env.outdated(ctx, flags.Args())
	if err != nil {
		return err
	}
	for _, f := range changed {
		old, _ := os.ReadFile(f.Path) // a missing file differs in every line
		fmt.Fprint(env.stdout, diff(f.Path, string(old), string(f.Content)))
	}
	if len(changed) > 0 {
		return errDiffers
	}
	return nil
}

func parse(flags *flag.FlagSet, args []string) error {
	err := flags.Parse(args)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return usageError{err.Error()}
	}
	return err
}

// outdated generates the packages that args name and returns the files whose
// bytes would change. Nothing is returned unless every package is right, so a
// failed run leaves every file as it was.
func (env *environment) outdated(ctx context.Context, args []string) ([]generator.File, error) {
	dirs, err := expand(args)
	if err != nil {
		return nil, err
	}
	var changed []generator.File
	var complaints policy.Errors
	for _, dir := range dirs {
		files, err := generator.Generate(ctx, generator.Config{Dir: dir, Warn: env.warn})
		if errors.As(err, new(policy.Errors)) {
			complaints = append(complaints, err.(policy.Errors)...)
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if old, err := os.ReadFile(f.Path); err != nil || !bytes.Equal(old, f.Content) {
				changed = append(changed, f)
			}
		}
	}
	if len(complaints) > 0 {
		return nil, complaints
	}
	if env.strict && env.warnings > 0 {
		return nil, fmt.Errorf("%d warnings, and -strict was given", env.warnings)
	}
	return changed, nil
}

// stale reports generated files whose policy file is gone, or removes them.
func (env *environment) stale(args []string, remove bool) error {
	dirs, err := expand(args)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		orphans, err := generator.Orphans(dir)
		if err != nil {
			return err
		}
		for _, path := range orphans {
			if !remove {
				fmt.Fprintf(env.stderr, "warning: %s: its policy file is gone; -prune removes it\n", path)
			} else if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// expand turns arguments into directories; ./... is every one below that has
// policies.
func expand(args []string) ([]string, error) {
	if len(args) == 0 {
		args = []string{"."}
	}
	var dirs []string
	for _, arg := range args {
		root, all := strings.CutSuffix(arg, "...")
		if !all {
			dirs = append(dirs, filepath.Clean(arg))
			continue
		}
		below, err := withPolicies(filepath.Clean(root))
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, below...)
	}
	return dirs, nil
}

func withPolicies(root string) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if path != root && skipped(path, d.Name()) {
			return filepath.SkipDir
		}
		sources, err := generator.Sources(path)
		if len(sources) > 0 {
			dirs = append(dirs, path)
		}
		return err
	})
	if err == nil && len(dirs) == 0 {
		err = fmt.Errorf("%s: no resilience.yaml here or below; resilgen init writes one", root)
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

// write replaces the file at once: a reader, or Ctrl-C, sees the old one or
// the new one.
func write(f generator.File) error {
	temp, err := os.CreateTemp(filepath.Dir(f.Path), ".resilgen-*")
	if err != nil {
		return fmt.Errorf("%s: the directory cannot be written to: %w", filepath.Dir(f.Path), err)
	}
	defer os.Remove(temp.Name()) // does nothing after the rename
	_, err = temp.Write(f.Content)
	err = errors.Join(err, temp.Chmod(0o644), temp.Close())
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	return os.Rename(temp.Name(), f.Path)
}

// diff prints the lines that differ between the common head and tail.
func diff(path, old, now string) string {
	a, b := strings.Split(old, "\n"), strings.Split(now, "\n")
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s (generated)\n@@ line %d @@\n", path, path, head+1)
	for _, part := range []struct {
		sign  string
		lines []string
	}{{"-", a[head : len(a)-tail]}, {"+", b[head : len(b)-tail]}} {
		for _, line := range slices.Clip(part.lines) {
			out.WriteString(part.sign + line + "\n")
		}
	}
	return out.String()
}
