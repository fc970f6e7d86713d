package generator

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
)

// Each rule complains of its first example, does not complain of the second,
// and both are recorded as cases: rgNNN.txtar and rgNNN-ok.txtar.
func TestEveryRuleFiresAndHolds(t *testing.T) {
	root := newModule(t)
	rules := lint.Rules()
	var dirs []string
	for _, r := range rules {
		name := strings.ToLower(r.ID)
		unpack(t, filepath.Join(root, name), example(r.Fires))
		unpack(t, filepath.Join(root, name+"-ok"), example(r.Holds))
		dirs = append(dirs, filepath.Join(root, name), filepath.Join(root, name+"-ok"))
	}
	found := lintAll(t, dirs, "fast")
	for _, r := range rules {
		name := strings.ToLower(r.ID)
		if r.Doc == "" || r.Why == "" || r.Fires.Policy == "" || r.Holds.Policy == "" {
			t.Errorf("%s: a rule has a doc, a reason and two examples", r.ID)
		}
		if said := found[filepath.Join(root, name)]; r.Command != "diff" && !strings.Contains(said, "("+r.ID+")\n") {
			t.Errorf("%s: silent about\n%s%s\nbut said\n%s", r.ID, r.Fires.YAML(), r.Fires.Source(), said)
		}
		if said := found[filepath.Join(root, name+"-ok")]; strings.Contains(said, "("+r.ID+")\n") || strings.Contains(said, "error: ") {
			t.Errorf("%s: about\n%s%s\nsaid\n%s", r.ID, r.Holds.YAML(), r.Holds.Source(), said)
		}
		if fires, holds := recorded(t, name, r.ID), recorded(t, name+"-ok", r.ID); !fires || holds {
			t.Errorf("%s: the case says it: %v, the other case: %v", r.ID, fires, holds)
		}
	}
}

func example(e lint.Example) *txtar.Archive {
	a := &txtar.Archive{Files: []txtar.File{{Name: "resilience.yaml", Data: []byte(e.YAML())}, {Name: "p.go", Data: []byte(e.Source())}}}
	if e.Overrides != "" {
		a.Files = append(a.Files, txtar.File{Name: "overrides.yaml", Data: []byte("version: 1\n" + strings.TrimSpace(e.Overrides) + "\n")})
	}
	return a
}

// lintAll generates in each of dirs, lints them together, and returns what is
// said about each, with its weight.
func lintAll(t *testing.T, dirs []string, loader string) map[string]string {
	t.Helper()
	for _, dir := range dirs {
		files, _ := Generate(context.Background(), Config{Dir: dir, Loader: loader}) // what is wrong, Lint says again
		for _, f := range files {
			if err := os.WriteFile(f.Path, f.Content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	list, err := Lint(context.Background(), Config{}, dirs)
	if err != nil {
		t.Fatal(err)
	}
	list = append(list, lintOverrides(t, dirs)...)
	found := map[string]string{}
	for _, e := range list {
		dir := filepath.Dir(e.Pos.File)
		found[dir] += weight(e) + ": " + strings.ReplaceAll(e.Error(), dir+string(filepath.Separator), "") + "\n"
	}
	return found
}

// lintOverrides returns what is said about the overrides files in dirs, each for
// the policies beside it.
func lintOverrides(t *testing.T, dirs []string) (list policy.Errors) {
	t.Helper()
	for _, dir := range dirs {
		path := filepath.Join(dir, "overrides.yaml")
		if _, err := os.Stat(path); err != nil {
			continue
		}
		said, err := Lint(context.Background(), Config{Overrides: []string{path}}, []string{dir})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range said {
			if e.Pos.File == path {
				list = append(list, e)
			}
		}
	}
	return list
}

func weight(e *policy.Error) string {
	switch {
	case e.Info:
		return "info"
	case e.Warning:
		return "warning"
	}
	return "error"
}

// recorded reports whether the messages of a case have the number.
func recorded(t *testing.T, name, id string) bool {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("../testdata", name+".txtar"))
	if err != nil {
		t.Error(err)
		return false
	}
	for _, f := range archive.Files {
		if isMessages(f.Name) && strings.Contains(string(f.Data), "("+id+")\n") {
			return true
		}
	}
	return false
}

// isMessages reports whether a file of a case is what was said about it.
func isMessages(name string) bool { return name == "stderr" || name == "lint" || name == "diff" }

// TestLintGolden lints the cases that have a file lint, which is what is said.
func TestLintGolden(t *testing.T) {
	paths, err := filepath.Glob("../testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	root := newModule(t)
	cases := map[string]*txtar.Archive{}
	var dirs []string
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if hasFile(archive, "lint") {
			dir := filepath.Join(root, strings.TrimSuffix(filepath.Base(path), ".txtar"))
			unpack(t, dir, archive)
			cases[dir], dirs = archive, append(dirs, dir)
		}
	}
	found := lintAll(t, dirs, "")
	for _, dir := range dirs {
		replaceMessages(t, filepath.Join("../testdata", filepath.Base(dir)+".txtar"), cases[dir], "lint", found[dir])
	}
}

func hasFile(archive *txtar.Archive, name string) bool {
	for _, f := range archive.Files {
		if f.Name == name {
			return true
		}
	}
	return false
}

// replaceMessages compares one file of a case, and records it with -update.
func replaceMessages(t *testing.T, path string, archive *txtar.Archive, name, got string) {
	t.Helper()
	for i, f := range archive.Files {
		if f.Name != name || string(f.Data) == got {
			continue
		}
		if !*update {
			t.Errorf("%s: %s: want\n%sgot\n%s", path, name, f.Data, got)
			continue
		}
		archive.Files[i].Data = []byte(got)
		if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
