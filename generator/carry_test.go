package generator

import (
	"encoding/json"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// checkedSource checks the types of a file, or of text where there is one.
func checkedSource(t *testing.T, name string, text any) *types.Package {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", nil)}
	pkg, err := conf.Check("example.com/p", fset, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

// typeIn returns the type that a package declares under a name.
func typeIn(t *testing.T, pkg *types.Package, name string) types.Type {
	t.Helper()
	obj := pkg.Scope().Lookup(name)
	if obj == nil {
		t.Fatalf("no type %s", name)
	}
	return obj.Type()
}

// TestCarry holds what is said of a type against what encoding/json makes of a
// value of it.
func TestCarry(t *testing.T) {
	pkg := checkedSource(t, "carry_types_test.go", nil)
	for _, c := range carryCases() {
		t.Run(c.name, func(t *testing.T) {
			path, reason, ok := carry(typeIn(t, pkg, c.name), "v", nil)
			if ok != (c.why == "") || !ok && (path != c.path || !strings.Contains(reason, c.why)) {
				t.Errorf("got %v, %q: %s; want %q: …%s…", ok, path, reason, c.path, c.why)
			}
			back := reflect.New(reflect.TypeOf(c.value).Elem())
			text, err := json.Marshal(c.value)
			if err == nil {
				err = json.Unmarshal(text, back.Interface())
			}
			if same := err == nil && reflect.DeepEqual(c.value, back.Interface()); same != ok {
				t.Errorf("carried: %v, but encoding/json makes %s of it, and %+v of that (%v)", ok, text, back.Elem(), err)
			}
		})
	}
}

func TestCarryLeavesOut(t *testing.T) {
	pkg := checkedSource(t, "p.go", `package p
type T struct {
	Card string `+"`json:\"-\" resilience:\"omit\"`"+`
	Body interface{ Read() } `+"`resilience:\"omit\"`"+`
	N    int
}`)
	omitted := func(_ *types.Var, tag string) bool { return reflect.StructTag(tag).Get("resilience") == "omit" }
	if path, reason, ok := carry(typeIn(t, pkg, "T"), "v", omitted); !ok {
		t.Errorf("%s: %s; want what is left out to be no loss", path, reason)
	}
	if path, _, ok := carry(typeIn(t, pkg, "T"), "v", nil); ok || path != "v.Card" {
		t.Errorf("got %v, %q; want v.Card refused", ok, path)
	}
}

// TestCarryTwins is no case of TestCarry, since go vet refuses the type.
func TestCarryTwins(t *testing.T) {
	pkg := checkedSource(t, "p.go", "package p\ntype T struct {\n\tA string `json:\"x\"`\n\tB string `json:\"x\"`\n}")
	if path, reason, ok := carry(typeIn(t, pkg, "T"), "v", nil); ok || path != "v.B" || reason != `v.A has the JSON name "x" too` {
		t.Errorf("got %v, %q: %s", ok, path, reason)
	}
}

func TestCarryTypeParameters(t *testing.T) {
	pkg := checkedSource(t, "p.go", `package p
type Listed[T ~string | int64] struct { V T }
type Open[T any] struct { V T }
type Bad[T int | chan int] struct { V T }`)
	for name, want := range map[string]string{"Listed": "", "Open": "v.V", "Bad": "v.V"} {
		if path, reason, ok := carry(typeIn(t, pkg, name), "v", nil); ok != (want == "") || !ok && path != want {
			t.Errorf("%s: got %v, %q: %s; want %q", name, ok, path, reason, want)
		}
	}
}

// shapes of one type that was changed in ways that JSON does not see, and of it in
// ways that it does.
func TestShapeOf(t *testing.T) {
	base := shapeOf(typeIn(t, checkedSource(t, "p.go", shapeText), "Quote"))
	if len(base) != 16 {
		t.Fatalf("shape %q: want 16 digits", base)
	}
	for _, c := range []struct {
		name, old, new string
		same           bool
	}{
		{"a comment", "Amount Money", "// what it costs\n\tAmount Money", true},
		{"the order of imports", "\"time\"\n\t\"math/big\"", "\"math/big\"\n\t\"time\"", true},
		{"the order of fields", "\tAmount Money\n\tAt time.Time", "\tAt time.Time\n\tAmount Money", true},
		{"the name of a type", "Money", "Cents", true},
		{"another tag", "`json:\"id\"`", "`json:\"id\" yaml:\"id\"`", true},
		{"what is not in the JSON", "Amount Money", "Amount Money\n\tnote string", true},
		{"the name of a field", "Amount Money", "Total Money", false},
		{"a tag", "`json:\"id\"`", "`json:\"id,omitempty\"`", false},
		{"a kind", "Money int64", "Money float64", false},
		{"a pointer", "Amount Money", "Amount *Money", false},
		{"a leaf of a leaf", "Street string", "Street []string", false},
		{"what encodes itself", "Big *big.Int", "Big *big.Float", false},
		{"a field more", "Amount Money", "Amount Money\n\tTax Money", false},
		{"the depth of a cycle", "Next *Quote", "Next **Quote", false},
		{"the key of a map", "map[string]Address", "map[int]Address", false},
	} {
		text := strings.ReplaceAll(shapeText, c.old, c.new)
		if text == shapeText {
			t.Fatalf("%s: nothing changed", c.name)
		}
		typ := typeIn(t, checkedSource(t, "p.go", text), "Quote")
		if got := shapeOf(typ); (got == base) != c.same {
			t.Errorf("%s: shape %s, before %s; want the same: %v\n%s", c.name, got, base, c.same, expansion(typ))
		}
	}
}

const shapeText = `package p

import (
	"time"
	"math/big"
)

type Money int64

type Quote struct {
	ID string ` + "`json:\"id\"`" + `
	Amount Money
	At time.Time
	To map[string]Address
	From Address
	Next *Quote
	Big *big.Int
}

type Address struct {
	Street string
	_ int
}
`

func TestExpansion(t *testing.T) {
	const want = `{Amount int64; At time.Time; Big *math/big.Int; From {Street string}; ID string "id"; Next *#1; To map[string]#2}`
	if got := expansion(typeIn(t, checkedSource(t, "p.go", shapeText), "Quote")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestExpansionOfMany holds that a graph of types is spelled once, not once for
// every way through it.
func TestExpansionOfMany(t *testing.T) {
	var text strings.Builder
	text.WriteString("package p\ntype T0 struct { N int }\n")
	for i := range 60 {
		text.WriteString(strings.NewReplacer("$", strconv.Itoa(i), "%", strconv.Itoa(i+1)).Replace("type T% struct { A, B *T$ }\n"))
	}
	typ := typeIn(t, checkedSource(t, "p.go", text.String()), "T60")
	if got := len(expansion(typ)); got > 2000 {
		t.Errorf("%d bytes", got)
	}
	if _, _, ok := carry(typ, "v", nil); !ok {
		t.Error("not carried")
	}
}
