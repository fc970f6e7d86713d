package generator

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"strings"
	"sync"
	"testing"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// awkward are identifiers that generated code uses itself, declares, imports,
// or takes for predeclared, and some that letters make hard.
var awkward = strings.Fields(`Gateway gateway GATEWAY T t E Charge charge Get get Unwrap unwrap Err err error
	ctx context Context cause call Call g w rt next fallback secondary result results n s ok v m ch fn f p data
	resilience time errors Second ResilientGateway NewResilientGateway GatewayFallback GatewaySecondary
	resilientGateway GatewayPromoted retryGatewayCharge permanentError nil true false any string int bool byte
	len append make new panic recover func1 iota Fallback Secondary ß ǅ ı İ 世界 Ω _x x1 x2 err2 ctx2 call2
	Begin End Next Record Context Version1 Policy Is As Duration init main`)

// chooser turns fuzzed bytes into identifiers, different ones in one scope.
type chooser struct {
	picks []byte
	own   string
	used  map[string]bool
	named []string // what the generated code must refer to
}

func (c *chooser) next() int {
	if len(c.picks) == 0 {
		return 0
	}
	n := int(c.picks[0])
	c.picks = c.picks[1:]
	return n
}

// name returns an identifier that the scope has not.
func (c *chooser) name(scope string) string {
	for at := c.next(); ; at++ {
		name := c.own
		if at%(len(awkward)+1) > 0 {
			name = awkward[at%(len(awkward)+1)-1]
		}
		if key := scope + "." + name; !c.used[key] {
			c.used[key] = true
			return name
		}
	}
}

// source returns a package with awkward names and policies for it.
func (c *chooser) source() (code, yaml string) {
	top := func() string { return c.name("") }
	iface, typ, sentinel, fn, status, judge, answer := top(), top(), top(), top(), top(), top(), top()
	one, two, three := c.name("m"), c.name("m"), c.name("m")
	params := []string{c.name("p"), c.name("p"), c.name("p")}
	results := []string{c.name("p"), c.name("p")}
	if c.next()%3 == 0 { // unnamed
		params, results = []string{"", "", ""}, []string{"", ""}
	}
	fails := "error"
	if c.used[".error"] {
		fails = "interface{ Error() string }"
	}
	code = fmt.Sprintf("package p\n\nimport \"context\"\n\ntype %s struct{}\n\nvar %s = context.Canceled\n\n"+
		"func %s(%s) (_ int, _ bool) { panic(0) }\n\nfunc %s(%s) (_ bool) { panic(0) }\n\nfunc %s(%s) (_ bool) { panic(0) }\n\n"+
		"func %s(context.Context, %s, ...*%s) (_ %s, _ %s) { panic(0) }\n\n"+
		"type %s interface {\n\t%s(%s context.Context, %s %s, %s ...*%s) (%s %s, %s %s)\n\t%s(%s) %s\n\t%s(context.Context) ([]%s, %s)\n}\n",
		typ, sentinel, status, fails, fn, fails, judge, typ, answer, typ, typ, typ, fails,
		iface, one, params[0], params[1], typ, params[2], typ, results[0], typ, results[1], fails, two, typ, fails, three, typ, fails)
	fallback := []string{"true", "{to: secondary}", "{value: zero}", "none", fmt.Sprintf("{func: %q}", answer)}[c.next()%5]
	mode := []string{"cooperative", "abandon"}[c.next()%2]
	yaml = fmt.Sprintf("version: 1\npermanent: [%q]\nstatusOf: %q\ninterfaces:\n  %q:\n    idempotent: true\n    retry: {retryOn: [%q, Transient]}\n"+
		"    circuitBreaker: {recordOn: [%q, %q]}\n    bulkhead: true\n    methods:\n"+
		"      %q: {timeout: {attempt: 1s, mode: %s}, fallback: %s, retry: {retryOnResult: %q}}\n      %q: {timeout: {attempt: 1s, mode: abandon}}\n",
		sentinel, status, iface, sentinel, sentinel, fn, one, mode, fallback, judge, three)
	c.named = []string{sentinel, fn, status, judge}
	if strings.Contains(fallback, "func") {
		c.named = append(c.named, answer)
	}
	return code, yaml
}

// universe imports packages from their source, each once.
var universe = sync.OnceValue(func() types.Importer { return importer.ForCompiler(token.NewFileSet(), "source", nil) })

// checked type-checks a package. uses are what the last file refers to.
func checked(code ...string) (p *goPackage, uses map[string]types.Object, err error) {
	fset := token.NewFileSet()
	p = &goPackage{Name: "p", Path: "example.com/p", order: func(pos token.Pos) (string, int) {
		return fset.Position(pos).Filename, fset.Position(pos).Offset
	}}
	for i, text := range code {
		file, err := parser.ParseFile(fset, fmt.Sprintf("p%d.go", i), text, parser.SkipObjectResolution)
		if err != nil {
			return nil, nil, err
		}
		p.syntax = append(p.syntax, file)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: universe()}
	p.types, err = conf.Check(p.Path, fset, p.syntax, info)
	uses = map[string]types.Object{}
	for id, obj := range info.Uses {
		if id.Pos() >= p.syntax[len(p.syntax)-1].FileStart && obj.Parent() == p.types.Scope() {
			uses[id.Name] = obj
		}
	}
	return p, uses, err
}

// FuzzNames gives a package awkward names: what is generated for it must
// type-check and refer to what the policy names, or the policy be refused.
func FuzzNames(f *testing.F) {
	for i := range 150 {
		picks := make([]byte, 24)
		for j := range picks {
			picks[j] = byte(i*j + i*7 + j*31)
		}
		f.Add(picks, "Ärger")
	}
	f.Fuzz(func(t *testing.T, picks []byte, own string) {
		if !token.IsIdentifier(own) || len(own) > 50 {
			return
		}
		c := &chooser{picks: picks, own: own, used: map[string]bool{"._": true, "m._": true}}
		code, yaml := c.source()
		pkg, _, err := checked(code)
		if err != nil {
			return // not a package that builds
		}
		set, err := policy.Read([]policy.Input{{Path: "resilience.yaml", Data: []byte(yaml)}})
		if err != nil {
			return // a name that the language has taken
		}
		files, err := resolve(Config{}, set, pkg).result(Config{})
		if err != nil {
			if !c.used[".error"] && !c.used[".int"] && !c.used[".bool"] && !strings.Contains(err.Error(), "generated code needs Go's") {
				t.Fatalf("%v\n%s\n%s", err, code, yaml)
			}
			return
		}
		out, err := templates.Render(files[0])
		if err != nil {
			t.Fatalf("%v\n%s\n%s\n%s", err, code, yaml, out)
		}
		_, uses, err := checked(code, string(out))
		if err != nil {
			t.Fatalf("%v\n%s\n%s\n%s", err, code, yaml, out)
		}
		for _, name := range c.named {
			if uses[name] == nil {
				t.Fatalf("the generated code hides %s\n%s\n%s\n%s", name, code, yaml, out)
			}
		}
	})
}
