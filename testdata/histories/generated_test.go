package histories

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/resilgen/resilgen/generator"
	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/runtime/resilience"
)

// workshop is a package with a Service, for which policies are generated.
type workshop struct{ dir string }

func newWorkshop(t testing.TB) *workshop {
	t.Helper()
	w := &workshop{dir: t.TempDir()}
	service, err := os.ReadFile("service.go")
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "service.go", string(service))
	w.write(t, "go.mod", "module histories\n\ngo 1.25.0\n")
	return w
}

func (w *workshop) write(t testing.TB, name, text string) {
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// generate returns what the generator makes of a policy file.
func (w *workshop) generate(t testing.TB, yaml string) (*generated, error) {
	w.write(t, "resilience.yaml", yaml)
	files, err := generator.Generate(context.Background(), generator.Config{Dir: w.dir, Lenient: true})
	if err != nil {
		return nil, err
	}
	return parse(string(files[0].Content)), nil
}

// refused are the lines of a policy file that the generator refuses.
func refused(err error) (lines []int) {
	var errs policy.Errors
	if !errors.As(err, &errs) {
		return nil
	}
	for _, e := range errs {
		lines = append(lines, e.Pos.Line)
	}
	return lines
}

// generated is a generated file, to be interpreted: its policies are literals,
// and of its methods there are compiled ones, see shapes.
type generated struct {
	text  string
	files *token.FileSet
	funcs map[string]*ast.FuncDecl // by name; methods as Type.Name
}

func parse(text string) *generated {
	g := &generated{text: text, files: token.NewFileSet(), funcs: map[string]*ast.FuncDecl{}}
	file, err := parser.ParseFile(g.files, "", text, parser.SkipObjectResolution)
	if err != nil {
		panic(err)
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			name := f.Name.Name
			if f.Recv != nil {
				name = f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name + "." + name
			}
			g.funcs[name] = f
		}
	}
	return g
}

// body is the code of the methods of an entry: all that makes its form.
func (g *generated) body(entry string) string {
	var b strings.Builder
	for _, name := range []string{".Do", ".doUncached"} {
		if f := g.funcs["Resilient"+entry+name]; f != nil {
			b.WriteString(g.text[g.files.Position(f.Type.Params.Pos()).Offset:g.files.Position(f.End()).Offset])
		}
	}
	return b.String()
}

// policy evaluates the literal in the constructor of an entry.
func (g *generated) policy(entry string) (p resilience.Policy) {
	ast.Inspect(g.funcs["NewResilient"+entry].Body, func(n ast.Node) bool {
		if l, ok := n.(*ast.CompositeLit); ok && types(l.Type) == "Policy" {
			g.eval(l, reflect.ValueOf(&p).Elem())
			return false
		}
		return true
	})
	return p
}

// types is the name of a type of the runtime, "" of any other.
func types(x ast.Expr) string {
	if s, ok := x.(*ast.SelectorExpr); ok {
		return s.Sel.Name
	}
	return ""
}

// eval evaluates an expression of a literal into a variable.
func (g *generated) eval(x ast.Expr, into reflect.Value) {
	switch x := x.(type) {
	case *ast.CompositeLit:
		for i, e := range x.Elts {
			if field, ok := e.(*ast.KeyValueExpr); ok {
				g.eval(field.Value, into.FieldByName(field.Key.(*ast.Ident).Name))
				continue
			}
			into.Set(reflect.Append(into, reflect.Zero(into.Type().Elem())))
			g.eval(e, into.Index(i))
		}
	case *ast.Ident:
		if x.Name == "true" {
			into.SetBool(true)
		} else {
			into.Set(reflect.ValueOf(g.matcher(x.Name)))
		}
	case *ast.BasicLit:
		if s, err := strconv.Unquote(x.Value); err == nil {
			into.SetString(s)
			return
		}
		f, err := strconv.ParseFloat(x.Value, 64)
		if err != nil {
			panic(err)
		}
		into.Set(reflect.ValueOf(f).Convert(into.Type()))
	default:
		into.Set(reflect.ValueOf(number(x)).Convert(into.Type()))
	}
}

// number evaluates constants, products and unions of them.
func number(x ast.Expr) int64 {
	switch x := x.(type) {
	case *ast.BinaryExpr:
		if x.Op == token.OR {
			return number(x.X) | number(x.Y)
		}
		return number(x.X) * number(x.Y)
	case *ast.BasicLit:
		n, err := strconv.ParseInt(x.Value, 10, 64)
		if err != nil {
			panic(err)
		}
		return n
	case *ast.SelectorExpr:
		if v := reflect.ValueOf(constants[x.Sel.Name]); v.CanInt() {
			return v.Int()
		} else if v.CanUint() {
			return int64(v.Uint())
		}
	}
	panic(fmt.Sprintf("no constant: %#v", x))
}

// constants are those that literals may refer to.
var constants = map[string]any{
	"Nanosecond": time.Nanosecond, "Microsecond": time.Microsecond, "Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute, "Hour": time.Hour,
	"None": resilience.None, "Production": resilience.Production, "Development": resilience.Development,
	"Cooperative": resilience.Cooperative, "Abandon": resilience.Abandon,
	"NoBackoff": resilience.NoBackoff, "Constant": resilience.Constant, "Linear": resilience.Linear, "Exponential": resilience.Exponential,
	"Fibonacci": resilience.Fibonacci, "Sequence": resilience.Sequence,
	"NoJitter": resilience.NoJitter, "FullJitter": resilience.FullJitter, "EqualJitter": resilience.EqualJitter, "RatioJitter": resilience.RatioJitter,
	"DecorrelatedJitter": resilience.DecorrelatedJitter, "DecorrelatedJitterV2": resilience.DecorrelatedJitterV2,
	"CountWindow": resilience.CountWindow, "TimeWindow": resilience.TimeWindow, "AllMode": resilience.AllMode, "RateMode": resilience.RateMode,
	"StateClosed": resilience.StateClosed, "StateOpen": resilience.StateOpen,
	"Enforce": resilience.Enforce, "Shadow": resilience.Shadow, "Disabled": resilience.Disabled, "ForcedOpen": resilience.ForcedOpen,
	"TokenLimit": resilience.TokenLimit, "SmoothLimit": resilience.SmoothLimit, "FixedLimit": resilience.FixedLimit, "RollingLimit": resilience.RollingLimit,
	"PerAttempt": resilience.PerAttempt, "PerCall": resilience.PerCall,
	"KindCanceled": resilience.KindCanceled, "KindCallerDeadline": resilience.KindCallerDeadline, "KindCircuitOpen": resilience.KindCircuitOpen,
	"KindBulkheadFull": resilience.KindBulkheadFull, "KindRateLimited": resilience.KindRateLimited, "KindPermanent": resilience.KindPermanent,
	"KindTimeout": resilience.KindTimeout, "KindBudgetExhausted": resilience.KindBudgetExhausted, "KindPanic": resilience.KindPanic, "KindTransient": resilience.KindTransient,
}

// matcher is the generated func of that name, interpreted: a disjunction of
// errors.Is.
func (g *generated) matcher(name string) func(error) bool {
	var wanted []error
	ast.Inspect(g.funcs[name].Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			wanted = append(wanted, map[string]error{"ErrA": ErrA, "ErrB": ErrB}[call.Args[1].(*ast.Ident).Name])
		}
		return true
	})
	return func(err error) bool {
		return slices.ContainsFunc(wanted, func(w error) bool { return errors.Is(err, w) })
	}
}

// shapes are the constructors of resilience_gen.go, by the bodies of the methods
// that they make.
type shapes map[string]reflect.Type

func newShapes(t testing.TB) shapes {
	t.Helper()
	text, err := os.ReadFile("resilience_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	g, s := parse(string(text)), shapes{}
	for _, w := range wrappers {
		typ := reflect.TypeOf(w).Elem()
		s[g.body(strings.TrimPrefix(typ.Name(), "Resilient"))] = typ
	}
	if len(s) != len(wrappers) {
		t.Fatalf("%d wrappers have %d forms", len(wrappers), len(s))
	}
	return s
}

// wrap makes a wrapper of the compiled form that an entry has, under its
// policy. It does what the constructor would do.
func (s shapes) wrap(rt *resilience.Runtime, next Service, g *generated, entry string, p resilience.Policy) (Service, error) {
	typ := s[g.body(entry)]
	if typ == nil {
		return nil, fmt.Errorf("%s has a form that resilience.yaml has not:\n%s", entry, g.body(entry))
	}
	w := rt.Wrap("histories."+entry, next)
	guard := w.Guard("Do", p)
	wrapper := reflect.New(typ)
	set(wrapper, "next", &next)
	set(wrapper, "do", &guard)
	if _, ok := typ.FieldByName("doCache"); ok {
		cache := resilience.NewCache[string, int](guard)
		set(wrapper, "doCache", &cache)
	}
	return wrapper.Interface().(Service), w.Err()
}

// set sets a field that only this package's own code may set.
func set[T any](wrapper reflect.Value, field string, value *T) {
	f := wrapper.Elem().FieldByName(field)
	*(*T)(unsafe.Pointer(f.UnsafeAddr())) = *value
}

// wrappers are all that resilience_gen.go declares.
var wrappers = []any{
	(*ResilientOnce)(nil),
	(*ResilientOnceCached)(nil),
	(*ResilientOnceAnswered)(nil),
	(*ResilientOnceAnsweredCached)(nil),
	(*ResilientOnceLeft)(nil),
	(*ResilientOnceLeftCached)(nil),
	(*ResilientOnceLeftAnswered)(nil),
	(*ResilientOnceLeftAnsweredCached)(nil),
	(*ResilientOnceRecorded)(nil),
	(*ResilientOnceRecordedCached)(nil),
	(*ResilientOnceRecordedAnswered)(nil),
	(*ResilientOnceRecordedAnsweredCached)(nil),
	(*ResilientOnceRecordedLeft)(nil),
	(*ResilientOnceRecordedLeftCached)(nil),
	(*ResilientOnceRecordedLeftAnswered)(nil),
	(*ResilientOnceRecordedLeftAnsweredCached)(nil),
	(*ResilientLoop)(nil),
	(*ResilientLoopCached)(nil),
	(*ResilientLoopAnswered)(nil),
	(*ResilientLoopAnsweredCached)(nil),
	(*ResilientLoopLeft)(nil),
	(*ResilientLoopLeftCached)(nil),
	(*ResilientLoopLeftAnswered)(nil),
	(*ResilientLoopLeftAnsweredCached)(nil),
	(*ResilientLoopRecorded)(nil),
	(*ResilientLoopRecordedCached)(nil),
	(*ResilientLoopRecordedAnswered)(nil),
	(*ResilientLoopRecordedAnsweredCached)(nil),
	(*ResilientLoopRecordedLeft)(nil),
	(*ResilientLoopRecordedLeftCached)(nil),
	(*ResilientLoopRecordedLeftAnswered)(nil),
	(*ResilientLoopRecordedLeftAnsweredCached)(nil),
	(*ResilientLoopJudged)(nil),
	(*ResilientLoopJudgedCached)(nil),
	(*ResilientLoopJudgedAnswered)(nil),
	(*ResilientLoopJudgedAnsweredCached)(nil),
	(*ResilientLoopJudgedLeft)(nil),
	(*ResilientLoopJudgedLeftCached)(nil),
	(*ResilientLoopJudgedLeftAnswered)(nil),
	(*ResilientLoopJudgedLeftAnsweredCached)(nil),
	(*ResilientLoopJudgedRecorded)(nil),
	(*ResilientLoopJudgedRecordedCached)(nil),
	(*ResilientLoopJudgedRecordedAnswered)(nil),
	(*ResilientLoopJudgedRecordedAnsweredCached)(nil),
	(*ResilientLoopJudgedRecordedLeft)(nil),
	(*ResilientLoopJudgedRecordedLeftCached)(nil),
	(*ResilientLoopJudgedRecordedLeftAnswered)(nil),
	(*ResilientLoopJudgedRecordedLeftAnsweredCached)(nil),
	(*ResilientHedged)(nil),
	(*ResilientHedgedCached)(nil),
	(*ResilientHedgedAnswered)(nil),
	(*ResilientHedgedAnsweredCached)(nil),
	(*ResilientHedgedRecorded)(nil),
	(*ResilientHedgedRecordedCached)(nil),
	(*ResilientHedgedRecordedAnswered)(nil),
	(*ResilientHedgedRecordedAnsweredCached)(nil),
	(*ResilientAtLoop)(nil),
	(*ResilientAtLoopAnswered)(nil),
	(*ResilientAtLoopJudged)(nil),
	(*ResilientAtLoopJudgedAnswered)(nil),
	(*ResilientAtHedged)(nil),
	(*ResilientAtHedgedAnswered)(nil),
	(*ResilientCostlyOnce)(nil),
	(*ResilientCostlyOnceAnswered)(nil),
	(*ResilientCostlyLoop)(nil),
	(*ResilientCostlyLoopAnswered)(nil),
	(*ResilientCostlyHedged)(nil),
	(*ResilientCostlyHedgedAnswered)(nil),
	(*ResilientKeyedOnce)(nil),
	(*ResilientKeyedOnceAnswered)(nil),
	(*ResilientKeyedLoop)(nil),
	(*ResilientKeyedLoopAnswered)(nil),
	(*ResilientKeyedHedged)(nil),
	(*ResilientKeyedHedgedAnswered)(nil),
}

// TestUpToDate fails if the policies and the generated wrappers have drifted
// apart.
func TestUpToDate(t *testing.T) {
	files, err := generator.Generate(t.Context(), generator.Config{Dir: ".", Lenient: true})
	if err != nil {
		t.Fatal(err)
	}
	if old, err := os.ReadFile("resilience_gen.go"); err != nil || string(old) != string(files[0].Content) {
		t.Errorf("resilience_gen.go is not up to date (%v): go generate", err)
	}
	if made := strings.Count(string(files[0].Content), "\nfunc NewResilient"); made != len(wrappers) {
		t.Errorf("%d wrappers, %d are listed", made, len(wrappers))
	}
}
