package generator

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
)

// Kinds of changes. Weaker is what protects the caller or the peer less.
const (
	Weaker   = lint.Weaker
	Stronger = lint.Stronger
	Other    = lint.Other
)

// Change is a difference between the policies of a package and others.
type Change struct {
	lint.Change
	Interface string
	Method    string // "" where the whole interface came or went
	// Ignored is the reason that a lint key gives for RG09B.
	Ignored string
	// Why says more: of a refusal which runs, of a fingerprint what becomes of runs
	// under way.
	Why  string
	line string
}

// Finding returns the change as a message. What got weaker is RG09B.
func (c Change) Finding() *policy.Error {
	key := c.Interface
	if c.Method != "" {
		key += "." + c.Method
	}
	e := &policy.Error{Pos: c.Pos, Key: key, Line: c.line, Warning: true, Info: c.Kind != lint.Weaker || c.Ignored != ""}
	switch {
	case c.Kind == Refused:
		e.Msg = c.Kind
	case c.Old == "":
		e.Msg = fmt.Sprintf("%s: %s is new", c.Kind, c.Key)
	case c.New == "":
		e.Msg = fmt.Sprintf("%s: %s is gone", c.Kind, c.Key)
	default:
		e.Msg = fmt.Sprintf("%s: %s %s → %s", c.Kind, c.Key, c.Old, c.New)
	}
	if c.Why != "" {
		e.Msg += ": " + c.Why
	}
	if c.Ignored != "" {
		e.Msg += ", ignored: " + c.Ignored
	}
	if c.Kind == lint.Weaker {
		e.ID = "RG09B"
	}
	return e
}

// Diff returns what changed from the policies in old to those in c.Dir, sorted
// by position. Old are policy files and Go files with annotations by their
// names; both are held against the interfaces as they are now. What was generated
// of workflows says which types their values had; without it they count as they
// are now.
func Diff(ctx context.Context, c Config, old map[string][]byte) ([]Change, error) {
	now, _, err := read(c.Dir)
	if err != nil {
		return nil, err
	}
	before, err := readOld(c.Dir, old)
	if err != nil {
		return nil, err
	}
	pkg, err := load(ctx, c.Dir, append(foreignPackages(now), foreignPackages(before)...))
	if err != nil {
		return nil, err
	}
	pkg.dir = c.Dir
	was, is := policiesOf(pkg, before), policiesOf(pkg, now)
	if err := is.errs; len(err) > 0 {
		return nil, err.Sorted()
	}
	list := is.changesSince(was)
	if before.HasGraphs() && now.HasGraphs() {
		graphs, err := graphsSince(c, pkg, before, old)
		if err != nil {
			return nil, err
		}
		list = append(list, graphs...)
	}
	slices.SortStableFunc(list, func(a, b Change) int { return a.Pos.Compare(b.Pos) })
	return list, nil
}

// graphsSince returns what changed in workflows and pipelines.
func graphsSince(c Config, pkg *goPackage, before *policy.Set, old map[string][]byte) ([]Change, error) {
	now, _, err := read(c.Dir) // again: resolving marks what was used
	if err != nil {
		return nil, err
	}
	c.Lenient = true
	all := resolve(c, now, pkg)
	if _, err := all.result(Config{}); err != nil {
		return nil, err
	}
	made := map[string]oldGraph{}
	for _, data := range old {
		if isOurs(data) {
			maps.Copy(made, graphsIn(data))
		}
	}
	return all.graphChanges(before, made), nil
}

// readOld reads policies that are not on disk. They may name what no longer
// exists, but have to be policies.
func readOld(dir string, old map[string][]byte) (*policy.Set, error) {
	var inputs []policy.Input
	for name, data := range old {
		if isOurs(data) {
			continue
		}
		path := filepath.Join(dir, name)
		if !strings.HasSuffix(name, ".go") {
			inputs = append(inputs, policy.Input{Path: path, Data: data})
			continue
		}
		c, err := collect(path, data)
		if err != nil {
			return nil, fmt.Errorf("what it was: %w", err)
		}
		inputs = append(inputs, c.inputs...)
	}
	set, err := policy.Read(inputs)
	if err != nil {
		return nil, fmt.Errorf("what it was is no policy any more: %w", asText(err))
	}
	return set, nil
}

// asText keeps complaints about old files from being taken for complaints
// about those on disk.
func asText(err error) error { return fmt.Errorf("%s", err.Error()) }

// inForce are the policies of each method of a package.
type inForce struct {
	keys    []string
	methods map[string][]*policy.Effective
	at      map[string]*policy.Interface
	file    map[string]*policy.File
	errs    policy.Errors
}

func policiesOf(pkg *goPackage, set *policy.Set) *inForce {
	all := &inForce{methods: map[string][]*policy.Effective{}, at: map[string]*policy.Interface{}, file: map[string]*policy.File{}}
	for _, f := range set.Files {
		for _, i := range f.Interfaces {
			all.keys = append(all.keys, i.Key)
			all.at[i.Key], all.file[i.Key] = i, f
			face, why := pkg.find(i.Of)
			if why != "" {
				all.errs = append(all.errs, f.Error(i.Pos, "RG091", "interfaces", why))
				continue
			}
			methods, errs := i.Resolve(shapes(face))
			all.errs = append(all.errs, errs...)
			for n, e := range methods {
				lint.Run(pkg.toLint(i, face.methods[n], e))
			}
			all.methods[i.Key] = methods
		}
	}
	return all
}

func (all *inForce) changesSince(was *inForce) []Change {
	var list []Change
	for _, key := range all.keys {
		i, f := all.at[key], all.file[key]
		if was.at[key] == nil {
			list = append(list, Change{Change: lint.Change{Kind: lint.Stronger, Key: "the entry", New: "on", Pos: i.Pos}, Interface: key})
			continue
		}
		for _, e := range all.methods[key] {
			n := slices.IndexFunc(was.methods[key], func(o *policy.Effective) bool { return o.Method == e.Method })
			if n < 0 {
				continue // the interface was another one, of the same name
			}
			for _, c := range lint.Compare(was.methods[key][n], e) {
				change := Change{Change: c, Interface: key, Method: e.Method, line: f.Error(c.Pos, "", "", "").Line}
				if reason, ok := e.Ignores("RG09B"); ok && c.Kind == lint.Weaker {
					change.Ignored = reason
				}
				list = append(list, change)
			}
		}
	}
	for _, key := range was.keys {
		if all.at[key] == nil {
			path := cmp.Or(was.file[key].Path, was.at[key].Pos.File)
			list = append(list, Change{Change: lint.Change{Kind: lint.Weaker, Key: "the entry", Old: "on", Pos: policy.Pos{File: path}}, Interface: key})
		}
	}
	return list
}

// IsSource reports whether a file of the name may hold policies.
func IsSource(name string) bool {
	return isSource(name) || strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
}

// HasAnnotation reports whether Go source may hold policies.
func HasAnnotation(src []byte) bool { return traced(src) }

// IsGenerated reports whether Go source was generated by resilgen.
func IsGenerated(src []byte) bool { return isOurs(src) }
