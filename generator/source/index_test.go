package source

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestIndexAgreesWithParser: in the standard library, where everything occurs,
// the index has every declaration, from its first byte to its last.
func TestIndexAgreesWithParser(t *testing.T) {
	for _, path := range []string{"bytes", "context", "go/types", "io", "net/http", "reflect", "syscall", "time", "unicode"} {
		l := &loader{fset: token.NewFileSet(), pkgs: map[string]*pkg{}, origin: map[*token.File]*decl{}}
		dir := filepath.Join(build.Default.GOROOT, "src", path)
		l.mods = &modules{context: build.Default}
		p, err := l.open(path, dir, path, func([]byte) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range p.files {
			parsed, err := parser.ParseFile(token.NewFileSet(), f.path, f.src, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if f.pkg != parsed.Name.Name {
				t.Errorf("%s: package %s, want %s", f.path, f.pkg, parsed.Name.Name)
			}
			for _, d := range parsed.Decls {
				compareDecl(t, p, d, int(parsed.FileStart))
			}
		}
	}
}

func compareDecl(t *testing.T, p *pkg, want ast.Decl, base int) {
	switch d := want.(type) {
	case *ast.FuncDecl:
		end := d.End()
		if d.Body != nil {
			end = d.Body.Pos()
		}
		if d.Recv == nil && d.Name.Name != "init" && d.Name.Name != "_" {
			compareExtent(t, p, d.Name.Name, p.index[d.Name.Name], int(d.Type.Func)-base, int(end)-base)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			var names []*ast.Ident
			switch s := spec.(type) {
			case *ast.TypeSpec:
				names = []*ast.Ident{s.Name}
			case *ast.ValueSpec:
				names = s.Names
			}
			for _, id := range names {
				if id.Name != "_" && p.has(id.Name) {
					compareExtent(t, p, id.Name, p.index[id.Name], int(d.TokPos)-base, int(d.End())-base)
				} else if id.Name != "_" {
					t.Errorf("%s.%s was not found", p.path, id.Name)
				}
			}
		}
	}
}

// compareExtent allows for spaces between the result of a func and its body.
func compareExtent(t *testing.T, p *pkg, name string, got *decl, start, end int) {
	t.Helper()
	if got == nil {
		t.Errorf("%s.%s was not found", p.path, name)
		return
	}
	if err := p.parse(got); err != nil {
		t.Error(err)
		return
	}
	last := got.node.End()
	if f, ok := got.node.(*ast.FuncDecl); ok && f.Body != nil {
		last = f.Body.Pos()
	}
	size := int(last - got.node.Pos())
	if got.start != start || size > end-start || size < end-start-1 {
		t.Errorf("%s.%s: %d bytes at %d, want %d at %d", p.path, name, size, got.start, end-start, start)
	}
}

func TestClause(t *testing.T) {
	for src, want := range map[string]string{
		"package p\n":            "p",
		"package p":              "p",
		"package p; var x int\n": "p",
		"package p // why\n":     "p",
		"\ufeffpackage p\n":      "p",
		"// a\n\n/* b\npackage c\n*/\npackage d\r\n":     "d",
		"/* a */ package b\n":                            "b",
		"/* package a */ /* b */\n\tpackage\tc\n":        "c",
		"//go:build linux\n// +build linux\n\npackage é": "é",
		"":             "",
		"/* package p": "",
		"func":         "",
	} {
		f := &file{path: "p.go", src: []byte(src)}
		at, err := f.clause()
		if f.pkg != want || (err == nil) != (want != "") {
			t.Errorf("clause of %q: %q at %d, %v, want %q", src, f.pkg, at, err, want)
		}
	}
}

func TestMentions(t *testing.T) {
	for text, want := range map[string]bool{
		"const (\n\ta = 1\n)":             true,
		"const (\n\tb, a = 1, 2\n)":       true,
		"const (b = 1; a = 2)":            true,
		"const (\n/* b */ a = 1\n)":       true,
		"type (\n\ta struct{}\n)":         true,
		"const (\n\tb a = 1\n)":           false,
		"const (\n\tab = 1\n)":            false,
		"const (\n\tba = 1\n)":            false,
		"const (\n\tb = 1 // a, or so\n)": false,
		"":                                false,
	} {
		if got := mentions([]byte(text), "a"); got != want {
			t.Errorf("mentions(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestNotBuiltNeedNotParse(t *testing.T) {
	dir := t.TempDir()
	for name, src := range map[string]string{"a.go": "package a\n", "b.go": "//go:build ignore\n\nfunc", "c_plan9.go": "package"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := &modules{context: build.Default}
	files, err := m.files(dir, func(*file) {})
	if err != nil || len(files) != 1 || files[0].pkg != "a" {
		t.Errorf("%v, %v", files, err)
	}
}

// TestRead: a file is the same, mapped or copied.
func TestRead(t *testing.T) {
	m := &modules{}
	defer m.close()
	for _, size := range []int{0, 1, 200 << 10} {
		path := filepath.Join(t.TempDir(), "a.go")
		want := strings.Repeat("x", size)
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, still := range []bool{true, false} {
			if got, err := m.read(path, still); string(got) != want || err != nil {
				t.Errorf("%d bytes, still %v: %d bytes, %v", size, still, len(got), err)
			}
		}
	}
	if _, err := m.read(filepath.Join(t.TempDir(), "none.go"), true); !os.IsNotExist(err) {
		t.Errorf("a missing file: %v", err)
	}
}
