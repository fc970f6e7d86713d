package generator

import (
	"go/format"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/resilgen/resilgen/generator/policy"
)

// FuzzAnnotations reads any Go file: complaints are about places in it, and
// what is found without a complaint is found again after gofmt.
func FuzzAnnotations(f *testing.F) {
	paths, err := filepath.Glob("../testdata/annotations-*.txtar")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".go") && !strings.HasPrefix(file.Name, "want/") {
				f.Add(string(file.Data))
			}
		}
	}
	f.Add("package p\r\n\r\n//resilience:policy {use: api}\r\ntype (\r\n\tä interface{ M() error } //resilience:policy none\r\n)\r\n")
	f.Add("package p\n\n//line x.go:1\n//resilience:policy\ntype I interface {\n\t//resilience:policy\ta: b\n//resilience:policy c: d\n\tM(); N()}\n")
	f.Add("package p\n\ntype I interface{M() //resilience: \n}")
	f.Add("package p\n\ntype I interface{\n//resilience:policy \v\nM()}")
	f.Fuzz(func(t *testing.T, src string) {
		c, err := collect("p.go", []byte(src))
		if err != nil {
			return // no Go
		}
		lines := strings.Split(src, "\n")
		for _, e := range c.errs {
			if e.Pos.Line < 1 || e.Pos.Line > len(lines) || e.Pos.Col < 1 || e.Pos.Col > len([]rune(lines[e.Pos.Line-1]))+1 {
				t.Fatalf("%v is no place in the file", e)
			}
		}
		for _, in := range c.inputs {
			lead := []rune(lines[in.Line-1])
			if end := min(in.Col-1, len(lead)); !strings.HasSuffix(strings.TrimRight(string(lead[:end]), " \t\r"), directive) {
				t.Fatalf("the annotation of %s.%s does not begin at %d:%d", in.Interface, in.Method, in.Line, in.Col)
			}
		}
		if _, err := policy.Read(c.inputs); err != nil && len(err.(policy.Errors)) == 0 {
			t.Fatalf("refused without a complaint")
		}
		formatted, err := format.Source([]byte(src))
		if err != nil || len(c.errs) > 0 {
			return
		}
		again, err := collect("p.go", formatted)
		if err != nil || len(again.errs) > 0 {
			t.Fatalf("gofmt made it wrong: %v %v\n%s", err, again.errs, formatted)
		}
		if diff := cmp.Diff(said(c.inputs), said(again.inputs)); diff != "" {
			t.Fatalf("gofmt changed what was said (-before +after)\n%s\n%s", diff, formatted)
		}
	})
}

// said is what annotations say, without places.
func said(inputs []policy.Input) []string {
	var list []string
	for _, in := range inputs {
		list = append(list, in.Interface+"."+in.Method, strings.Join(strings.FieldsFunc(string(in.Data), func(c rune) bool { return c == '\n' }), "\n"))
	}
	return list
}

func TestAnnotationsHonourTagsOfTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	src := "//go:build special\n\npackage p\n\n//resilience:policy none\ntype I interface{ M() }\n"
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
	for flags, want := range map[string]int{"": 0, "-tags=special": 1, "--tags=other,special -mod=mod": 1, "-tags=other": 0} {
		t.Setenv("GOFLAGS", flags)
		inputs, errs, err := annotations(dir)
		if len(inputs) != want || len(errs) > 0 || err != nil {
			t.Errorf("GOFLAGS=%q: %d annotations, %v, %v, want %d", flags, len(inputs), errs, err, want)
		}
	}
}
