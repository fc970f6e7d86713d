// Package generator turns policies and Go interfaces into Go source.
//
// [Generate] is four hand-offs: policies are read, the package is loaded, both
// are resolved into [templates.File] values, and those are rendered. It writes
// nothing, so checking and generating are the same work.
package generator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/generator/source"
	"github.com/resilgen/resilgen/templates"
)

// Config says what to generate. Dir is the directory of a Go package.
type Config struct {
	Dir     string
	Warn    func(*policy.Error) // called for each warning; may be nil
	Lenient bool                // errors of judgement are warnings
	// Overrides are overrides files that Lint holds against the policies.
	Overrides []string
	// Loader says who reads packages: "packages" is the go command, "fast" is
	// what does without it, and "" the fast one where it is sure.
	Loader string
}

// File is a generated file.
type File struct {
	Path    string // in Config.Dir
	Content []byte
}

// Generate returns the files that the policies in c.Dir call for. It writes
// nothing. Complaints about policies come as [policy.Errors], all at once.
func Generate(ctx context.Context, c Config) ([]File, error) {
	set, words, err := read(c.Dir)
	if err != nil {
		return nil, err
	}
	for _, f := range set.Files {
		if err := ours(filepath.Join(c.Dir, f.Out())); len(f.Interfaces) > 0 && err != nil {
			return nil, err
		}
	}
	resolved, err := resolveDir(ctx, c, set, words)
	if err != nil {
		return nil, err
	}
	files, err := resolved.result(c)
	if err != nil {
		return nil, err
	}
	return render(c.Dir, set, files)
}

// resolveDir loads the package and resolves the policies. What the fast loader
// finds wrong is not believed: the go command says it again, or knows better.
func resolveDir(ctx context.Context, c Config, set *policy.Set, words []string) (*resolution, error) {
	if c.Loader != "packages" && !set.NeedsWholeTypes() {
		if pkg := loadFast(c.Dir, set, words); pkg != nil {
			pkg.dir = c.Dir
			if resolved := resolve(c, set, pkg); !resolved.failed() {
				return resolved, nil
			}
		}
		if c.Loader == "fast" {
			return nil, fmt.Errorf("%s: %w; drop -loader=fast", c.Dir, source.ErrUnsure)
		}
		if err := rewind(c.Dir, &set); err != nil {
			return nil, err
		}
	}
	pkg, err := load(ctx, c.Dir, foreignPackages(set))
	if err != nil {
		return nil, err
	}
	pkg.dir = c.Dir
	return resolve(c, set, pkg), nil
}

// rewind reads the policies again: resolving marks what was used.
func rewind(dir string, set **policy.Set) (err error) {
	*set, _, err = read(dir)
	return err
}

// Sources returns the policy files of dir, sorted, and those that are meant to
// be some. Like the go command it leaves out names that begin with . or _.
func Sources(dir string) ([]string, error) {
	all, err := filepath.Glob(filepath.Join(dir, "*.y*ml"))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(path string) bool {
		base := filepath.Base(path)
		return base[0] == '.' || base[0] == '_' || !isSource(base)
	}), nil
}

// isSource reports whether base is resilience.yaml, or ends in .resilience.yaml,
// or was meant to.
func isSource(base string) bool {
	name, yaml := strings.CutSuffix(base, ".yaml")
	if !yaml {
		name, yaml = strings.CutSuffix(base, ".yml")
	}
	return yaml && (name == "resilience" || strings.HasSuffix(name, ".resilience"))
}

// readSource reads a policy file.
func readSource(path string) (policy.Input, error) {
	if name, ok := strings.CutSuffix(path, ".yml"); ok {
		return policy.Input{}, fmt.Errorf("%s: policy files end in .yaml; rename it to %s.yaml", path, filepath.Base(name))
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return policy.Input{}, fmt.Errorf("%s: is a directory, where policies belong; move it away", path)
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrPermission) {
		return policy.Input{}, fmt.Errorf("%s cannot be read: make it readable and run again (%w)", path, err)
	}
	if err != nil {
		return policy.Input{}, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	return policy.Input{Path: path, Data: data}, nil
}

// ErrNoPolicies says that a directory has neither a policy file nor an
// annotation.
var ErrNoPolicies = errors.New("no resilience.yaml and no " + directive + " here; resilgen init writes one")

// ErrInternal says that the generator itself is wrong.
var ErrInternal = errors.New("internal error, which is a bug: please report it with the policy and the interface")

// HasPolicies reports whether dir has policies, be they right or wrong.
func HasPolicies(dir string) (bool, error) {
	paths, err := Sources(dir)
	if err != nil || len(paths) > 0 {
		return len(paths) > 0, err
	}
	notes, wrong, err := annotations(dir)
	return len(notes)+len(wrong) > 0 || err != nil, nil // what cannot be read is reported by Generate
}

// read returns what the policy files and the annotations of dir say.
func read(dir string) (*policy.Set, []string, error) {
	paths, err := Sources(dir)
	if err != nil {
		return nil, nil, err
	}
	inputs, wrong, err := annotations(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, path := range paths {
		in, err := readSource(path)
		if err != nil {
			return nil, nil, err
		}
		inputs = append(inputs, in)
	}
	if len(inputs)+len(wrong) == 0 {
		return nil, nil, fmt.Errorf("%s: %w", dir, ErrNoPolicies)
	}
	set, err := policy.Read(inputs)
	if len(wrong) > 0 {
		list, _ := err.(policy.Errors)
		return nil, nil, append(wrong, list...).Sorted()
	}
	return set, wordsIn(inputs), err
}

// Covered returns the interfaces of the package in dir that policies are about,
// with the files that say so.
func Covered(dir string) (map[string]string, error) {
	set, _, err := read(dir)
	if errors.Is(err, ErrNoPolicies) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	in := map[string]string{}
	for _, f := range set.Files {
		for _, i := range f.Interfaces {
			in[i.Of] = enumerate(i.Sources)
		}
	}
	return in, nil
}

// wordsIn returns everything that may be a Go identifier, each once: "net",
// "net.OpError"; and the methods by which checks know a type.
func wordsIn(inputs []policy.Input) []string {
	seen := map[string]bool{}
	for _, name := range lint.Telling {
		seen[name] = true
	}
	for _, in := range inputs {
		for data := in.Data; len(data) > 0; {
			n := identifier(data)
			if n == 0 {
				_, size := utf8.DecodeRune(data)
				data = data[size:]
				continue
			}
			if n < len(data) && data[n] == '.' {
				if last := identifier(data[n+1:]); last > 0 {
					n += 1 + last
				}
			}
			seen[string(data[:n])] = true
			data = data[n:]
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// identifier is the length of the identifier at the beginning of text.
func identifier(text []byte) int {
	n := 0
	for n < len(text) {
		r, size := utf8.DecodeRune(text[n:])
		if r != '_' && !unicode.IsLetter(r) && (n == 0 || !unicode.IsNumber(r)) {
			break
		}
		n += size
	}
	return n
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
		if len(f.Wrappers) == 0 {
			continue // a file about no interface, of which a warning tells
		}
		path := filepath.Join(dir, set.Files[i].Out())
		src, err := templates.Render(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w\n%s", path, ErrInternal, err, src)
		}
		files = append(files, File{path, src})
	}
	return files, nil
}

// ours refuses to replace what resilgen did not write.
func ours(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s: is a directory, where the generated file belongs; move it away", path)
	}
	old, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: was not written by resilgen, as far as can be seen: %w", path, err)
	}
	if !bytes.HasPrefix(old, []byte(templates.Header)) {
		return fmt.Errorf("%s: was not written by resilgen, and stays as it is; move it away", path)
	}
	return nil
}

// Orphans returns the generated files in dir that are not among made, which
// [Generate] returned: their policies are gone, or about no interface any more.
func Orphans(dir string, made map[string]bool) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*resilience_gen.go"))
	if err != nil {
		return nil, err
	}
	var orphans []string
	for _, path := range found {
		if made[path] {
			continue
		}
		if data, err := os.ReadFile(path); err == nil && isOurs(data) {
			orphans = append(orphans, path)
		}
	}
	return orphans, nil
}
