package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Every key that is built says where the runtime has it, and the runtime does.
func TestGoFieldsAndConstants(t *testing.T) {
	constants := runtimeConstants(t)
	for _, k := range Keys() {
		if k.GoField != "" && fieldOf(k.GoField) == nil {
			t.Errorf("%s: resilience.Policy has no field %s", k.Path, k.GoField)
		}
		for _, v := range k.Values {
			if v.GoConst != "" && !constants[v.GoConst] {
				t.Errorf("%s: package resilience has no constant %s", k.Path, v.GoConst)
			}
			if got := k.Constant(v.Name); got != v.GoConst {
				t.Errorf("Constant(%s) = %q, want %q", v.Name, got, v.GoConst)
			}
		}
	}
	for name, kind := range Builtin {
		if !constants[kind] {
			t.Errorf("%s: package resilience has no constant %s", name, kind)
		}
	}
	if got := Lookup("preset").Constant("prod"); got != "" {
		t.Errorf("Constant of an unknown value = %q", got)
	}
}

func fieldOf(path string) reflect.Type {
	at := reflect.TypeFor[resilience.Policy]()
	for name := range strings.SplitSeq(path, ".") {
		f, ok := at.FieldByName(name)
		if !ok {
			return nil
		}
		at = f.Type
	}
	return at
}

func runtimeConstants(t *testing.T) map[string]bool {
	t.Helper()
	sources, err := filepath.Glob("../../runtime/resilience/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	all := make(map[string]bool)
	for _, source := range sources {
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
				for _, s := range g.Specs {
					for _, n := range s.(*ast.ValueSpec).Names {
						all[n.Name] = true
					}
				}
			}
		}
	}
	return all
}

func TestTable(t *testing.T) {
	seen := make(map[string]bool)
	for _, k := range Keys() {
		parent, _ := splitPath(k.Path)
		switch {
		case seen[k.Path]:
			t.Errorf("%s is in the table twice", k.Path)
		case parent != "" && !seen[parent]:
			t.Errorf("%s comes before %s", k.Path, parent)
		case k.Doc == "" || k.Built && k.Example == "":
			t.Errorf("%s has no meaning or no example", k.Path)
		case k.Type == Enum && len(k.Values) == 0:
			t.Errorf("%s has no values", k.Path)
		case k.Type == structural && k.Built && k.written == "":
			t.Errorf("%s does not say what it looks like", k.Path)
		case k.Type == Matchers && (k.def == anyError) != (k.Unset == anyError):
			t.Errorf("%s cannot be taken back to its default", k.Path)
		}
		for _, n := range k.needs {
			if Lookup(n.path) == nil {
				t.Errorf("%s needs %s, which is no key", k.Path, n.path)
			}
		}
		seen[k.Path] = true
	}
	for path := range defaults() {
		if Lookup(path) == nil {
			t.Errorf("a default for %s", path)
		}
	}
}

// What asks for every part, and the reference, must know each.
func TestPartsAreTheOnesOfTheTable(t *testing.T) {
	for _, k := range Keys() {
		if k.Type != Part {
			continue
		}
		if !slices.Contains(Parts(), k.Path) {
			t.Errorf("Parts() lacks %s", k.Path)
		}
		if documentParts["{{"+k.Path+"}}"] == nil {
			t.Errorf("the reference has no place for %s", k.Path)
		}
	}
}

// Every example of the table is accepted, and reads back, where the key may be written.
func TestExamplesAreAccepted(t *testing.T) {
	for _, text := range seeds() {
		set, err := Read([]Input{{Path: "r.yaml", Data: []byte(text)}})
		if err != nil {
			if !strings.Contains(err.Error(), "not available yet") {
				t.Errorf("%s\n%v", text, err)
			}
			continue
		}
		roundTrip(t, set.Files[0])
	}
}

func TestForeignNamesPointAtKeys(t *testing.T) {
	for name, f := range foreignNames {
		if f.path != "" && Lookup(f.path) == nil {
			t.Errorf("%s points at %s, which is no key", name, f.path)
		}
		if fold(name) != name {
			t.Errorf("%s is not folded", name)
		}
	}
	for part, names := range foreignWithin {
		for name, f := range names {
			if home, _ := splitPath(f.path); home != part || Lookup(f.path) == nil || fold(name) != name {
				t.Errorf("%s.%s points at %s", part, name, f.path)
			}
		}
	}
}
