package generator

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// keyed is a method whose parameters invite expressions; some of their names
// are those that generated code likes.
const keyed = `package p

import (
	"context"
	"strconv"
	"strings"
)

type (
	Kind    string
	Request struct {
		Host string
		Tags []string
		Meta map[string]Kind
		Next *Request
		N    int
		f    func(...string) string
	}
)

func (r *Request) Key() string { return strings.ToLower(r.Host) + strconv.Itoa(r.N) }

func id[T any](t T) T { return t }

var sep = "-"

const zone Kind = "eu"

type Gateway interface {
	Get(ctx context.Context, req *Request, g string, n int, bs []byte, call func(int) string, err *int, kinds ...Kind) error
}
`

// FuzzExpressions writes any text as a key: it is refused with a position, or
// generated code type-checks and computes that very expression.
func FuzzExpressions(f *testing.F) {
	for _, text := range []string{
		"req.Host", "req.Key()", "g", "string(kinds[0])", "zone", `g + sep + "x"`, "req.Next.Next.Tags[n-1][1:]", "id(g)", "id[string](g)",
		"string(bs[:2:3])", "call(n)", "strconv.Itoa(- -n)", "call(*err / *err)", "call(n &^ -n)", "call(^n & ^ -n)", "req.f(req.Tags...)", `req.Meta[g]`,
		"(*req).Host", "call(+ +n)", "call(- (-n))", "call(*&n)", "string", "Kind", "id", "len", "nil", "panic(g)", "strings", "req.Hots", "gg", "req.Host)(",
		"func() string { return g }()", "Request{}.Host", "<-make(chan string)", "`raw`", "'x'", `"a" + "b" + string('c')`, "call(n-(-n))", "call((n+n)*n)",
		"*new(string)", "call(1<<n>>1)", "strings.Repeat(g, n-- 1)", "call(n) /* why */", "g // why", "any(g).(string)", "[]string{g}[0]", "string(kinds[len(kinds)-1])", "call(!n)",
		"req.Tags[0:]", "bs", "string(bs)", "err", "context.Canceled.Error()", "true", "1.5", "g == g", "call(n<n)", "min(g, sep)", "max(g,sep,g)", "((g))", "(string)(g)", "(Kind)(g)", "strings . ToUpper ( g )",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // YAML's escapes say other things of such bytes than Go's
		}
		yaml := fmt.Sprintf("version: 1\ninterfaces: {Gateway: {circuitBreaker: {perKey: %q}}}\n", text)
		set, err := policy.Read([]policy.Input{{Path: "resilience.yaml", Data: []byte(yaml)}})
		if err != nil {
			return // no text of YAML
		}
		pkg, _, err := checked(keyed)
		if err != nil {
			t.Fatal(err)
		}
		files, err := resolve(Config{}, set, pkg).result(Config{})
		if err != nil {
			if errs, ok := err.(policy.Errors); !ok || !errs[0].Pos.IsValid() {
				t.Fatalf("no position: %v", err)
			}
			return
		}
		out, err := templates.Render(files[0])
		if err != nil {
			t.Fatalf("%q: %v\n%s", text, err, out)
		}
		if _, _, err := checked(keyed, string(out)); err != nil {
			t.Fatalf("%q: %v\n%s", text, err, out)
		}
		want, err := parser.ParseExpr(strings.TrimSpace(text))
		if err != nil {
			t.Fatalf("%q was taken for an expression: %v", text, err)
		}
		got, renamed := generatedKey(t, string(out))
		if w, g := words(want, renamed), words(got, nil); !slices.Equal(w, g) && !slices.Equal(append([]string{"*ast.CallExpr", "string"}, w...), g) {
			t.Fatalf("%q:\ngot  %q\nwant %q\n%s", text, g, w, out)
		}
	})
}

// generatedKey returns the expression that the method computes, and how the
// parameters of keyed are called there.
func generatedKey(t *testing.T, code string) (key ast.Expr, renamed map[string]string) {
	file, err := parser.ParseFile(token.NewFileSet(), "", code, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	renamed = map[string]string{}
	names := []string{"ctx", "req", "g", "n", "bs", "call", "err", "kinds"}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "Get" {
				for i, field := range n.Type.Params.List {
					renamed[names[i]] = field.Names[0].Name
				}
			}
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "BeginKey" && key == nil {
				key = n.Args[1]
			}
		}
		return true
	})
	if key == nil || len(renamed) != len(names) {
		t.Fatalf("no key in\n%s", code)
	}
	return key, renamed
}

// words spells the tree of an expression: what its nodes are and hold, outside
// in. Fields and methods are not parameters, whatever they are called.
func words(e ast.Expr, renamed map[string]string) []string {
	var list []string
	selected := map[*ast.Ident]bool{}
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case nil, *ast.ParenExpr: // the tree says what they say
			return true
		case *ast.Ident:
			if to := renamed[n.Name]; to != "" && !selected[n] {
				list = append(list, to)
			} else {
				list = append(list, n.Name)
			}
			return true
		case *ast.SelectorExpr:
			selected[n.Sel] = true
		case *ast.BasicLit:
			list = append(list, n.Value)
		case *ast.UnaryExpr:
			list = append(list, n.Op.String())
		case *ast.BinaryExpr:
			list = append(list, n.Op.String())
		case *ast.SliceExpr:
			list = append(list, fmt.Sprint(n.Low != nil, n.High != nil, n.Slice3))
		case *ast.CallExpr:
			list = append(list, fmt.Sprintf("%T", n))
			if n.Ellipsis.IsValid() {
				list = append(list, "...")
			}
			return true
		}
		list = append(list, fmt.Sprintf("%T", n))
		return true
	})
	return list
}
