package generator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// Simulation is what a test binary is made of that simulates a method: files
// that need not be on disk, in the directory of the package.
type Simulation struct {
	Name  string // "payments.Gateway.Charge"
	Test  string // name of the test
	Files []File // the generated ones, and the test
	// Hidden are files of the package to leave out: its other tests.
	Hidden  []string
	Retries bool // the policy has a retry that acts
	// Notes say what differs from the policy as it is written.
	Notes []string
}

// SimulationTarget is what to simulate.
type SimulationTarget struct {
	Method string // "Gateway.Charge"
	// Failure names the error variable that attempts fail with, as policies would;
	// "" is the first one that retryOn names, if it names neither a class nor any.
	Failure  string
	ByStatus bool // attempts fail with what the command says instead
}

const simulationPath = "github.com/resilgen/resilgen/runtime/simulation"

// Simulate returns the simulation of a method under the policies in c.Dir, be
// their generated files there or not. Expressions over arguments, judges of
// results and fallbacks are not called: a simulation has no arguments and no
// results, and must not do anything.
func Simulate(ctx context.Context, c Config, target SimulationTarget) (*Simulation, error) {
	if _, err := Generate(ctx, c); err != nil {
		return nil, err
	}
	set, _, err := read(c.Dir)
	if err != nil {
		return nil, err
	}
	pkg, err := load(ctx, c.Dir, foreignPackages(set))
	if err != nil {
		return nil, err
	}
	pkg.dir = c.Dir
	all := resolve(c, set, pkg)
	s := &simulated{pkg: pkg, taken: all.resolvers[0].names}
	if err := s.find(c.Dir, all, target.Method); err != nil {
		return nil, err
	}
	if !target.ByStatus {
		if err := s.fails(cmp.Or(target.Failure, s.named)); err != nil {
			return nil, err
		}
	}
	return s.files(c.Dir, set, all)
}

// simulated is a method to simulate.
type simulated struct {
	pkg     *goPackage
	taken   *names
	file    *templates.File
	wrapper *templates.Wrapper
	method  *templates.Method
	failure types.Object
	args    []types.Type
	retries bool
	named   string // the first error variable of a retryOn that names nothing else
	notes   []string
}

// find looks the target up.
func (s *simulated) find(dir string, all *resolution, target string) error {
	var known []string
	for n, r := range all.resolvers {
		for _, g := range r.guarded {
			known = append(known, g.iface.Key)
			name, ok := targeted(g.iface, target)
			switch {
			case !ok:
			case name == "":
				return fmt.Errorf("%s is an interface: name one of its methods, %s", target, strings.Join(methodsOf(g.wrapper), ", "))
			default:
				s.file, s.wrapper = all.files[n], g.wrapper
				return s.choose(g, name)
			}
		}
	}
	return fmt.Errorf("no policies for %s in %s; there are some for %s", target, filepath.Clean(dir), strings.Join(known, ", "))
}

func methodsOf(w *templates.Wrapper) []string {
	var list []string
	for _, m := range w.Methods {
		list = append(list, w.Short+"."+m.Name)
	}
	return list
}

// choose takes the method, and type arguments if there are to be some.
func (s *simulated) choose(g *guarded, name string) error {
	var names []string
	for n, m := range g.wrapper.Methods {
		if names = append(names, m.Name); m.Name != name {
			continue
		}
		switch {
		case m.Err < 0:
			return fmt.Errorf("%s.%s returns no error, so no policy acts on it", g.iface.Name, name)
		case g.methods[n].None():
			s.notes = append(s.notes, "the method has no policy: this is a plain call")
		case g.methods[n].Preset() == "testing":
			s.notes = append(s.notes, "under preset testing this is a plain call")
		}
		s.method, s.retries = m, g.methods[n].Has("retry")
		s.named = s.first(g.methods[n].List("retry.retryOn"))
		s.simplify(g.methods[n])
		return s.instantiate(g)
	}
	return fmt.Errorf("%s has no method %s%s", g.iface.Of, name, hint(name, names))
}

// simplify takes from the method what a simulation has nothing for.
func (s *simulated) simplify(e *policy.Effective) {
	m := s.method
	drop := func(on bool, note string, fields ...string) {
		if !on {
			return
		}
		s.notes = append(s.notes, note)
		for _, path := range fields {
			at := strings.Split(path, ".")
			l := part(m.Policy, at[:len(at)-1])
			l.Fields = slices.DeleteFunc(l.Fields, func(f templates.Field) bool { return f.Name == at[len(at)-1] })
			if len(l.Fields) == 0 && l != m.Policy {
				l.Fields = []templates.Field{{Name: "On", Value: true}}
			}
		}
	}
	drop(m.Key != nil, "circuitBreaker.perKey: the calls of a simulation have no key, so one breaker has them all", "Breaker.PerKey", "Breaker.MaxKeys")
	drop(m.LimitKey != nil, "rateLimit.perKey: the calls of a simulation have no key, so one limiter has them all", "RateLimit.PerKey", "RateLimit.MaxKeys")
	drop(m.Cost != nil, "rateLimit.cost: each call costs one permit")
	drop(m.Cache != nil, "cache is left out: calls without arguments cannot be told apart", "Caching")
	drop(m.Checkpoint != nil, "checkpoint is left out: calls without arguments cannot be told apart")
	drop(m.Repeats != nil, "idempotent: every call may be repeated")
	drop(m.RetryResult != nil, "retry.retryOnResult is left out: there are no results to judge")
	drop(m.RecordResult != nil, "circuitBreaker.recordOnResult is left out: there are no results to judge")
	drop(e.Has("chaos"), "chaos does not act")
	drop(m.Letters != nil, "deadLetter keeps letters in memory, without arguments")
	if m.Fallback.Func != nil || m.Fallback.Zero {
		m.Fallback = templates.Answer{Func: s.answer()}
	}
	m.Checkpoint = nil
	m.Key, m.LimitKey, m.Cost, m.Cache, m.Repeats, m.Idempotency, m.RetryResult, m.RecordResult, m.Injects = nil, nil, nil, nil, nil, nil, nil, nil, nil
}

// answer returns a func of the test in the place of what answers otherwise.
func (s *simulated) answer() types.Object {
	var params []*types.TypeParam
	for _, p := range s.wrapper.TypeParams {
		params = append(params, types.NewTypeParam(types.NewTypeName(token.NoPos, s.pkg.types, p.Name, nil), p.Type))
	}
	sig := types.NewSignatureType(nil, nil, params, nil, nil, false) // only its type parameters are asked for
	return types.NewFunc(token.NoPos, s.pkg.types, s.taken.declare("simulatedAnswer"), sig)
}

// fails resolves what attempts fail with.
func (s *simulated) fails(name string) error {
	if name == "" {
		return nil
	}
	obj, why := s.pkg.lookup(policy.Name{Text: name})
	if v, ok := obj.(*types.Var); why == "" && (!ok || !types.Implements(v.Type(), errorType)) {
		why = "want an error variable; have " + types.ObjectString(obj, types.RelativeTo(obj.Pkg()))
	}
	if why != "" {
		return fmt.Errorf("error %s: %s", name, why)
	}
	if obj.Pkg().Path() != s.pkg.Path {
		s.taken.addImport(obj.Pkg().Path(), obj.Pkg().Name())
	}
	s.failure = obj
	if name == s.named {
		s.notes = append(s.notes, "attempts fail with "+name+", which retryOn names; -error takes something else")
	}
	return nil
}

// first returns the first error variable of a list, "" if a failed HTTP request
// may be on it, too.
func (s *simulated) first(list policy.List) string {
	found := ""
	for _, n := range list.Names {
		obj, _ := s.pkg.lookup(n)
		if obj == nil { // a class
			return ""
		}
		if v, ok := obj.(*types.Var); ok && found == "" && types.Implements(v.Type(), errorType) {
			found = n.Text
		}
	}
	if list.Any {
		return ""
	}
	return found
}

// instantiate chooses type arguments for a generic interface.
func (s *simulated) instantiate(g *guarded) error {
	for p := range g.face.params.TypeParams() {
		arg := argument(p)
		if arg == nil {
			return fmt.Errorf("%s is generic, and no type is known that is a %s: simulate an interface that is not", g.iface.Key, p.Constraint())
		}
		s.args = append(s.args, arg)
		s.notes = append(s.notes, fmt.Sprintf("the type parameter %s is %s", p.Obj().Name(), arg))
	}
	return nil
}

// argument returns a type that the constraint of p allows, nil if none is found.
func argument(p *types.TypeParam) types.Type {
	candidates := []types.Type{types.Typ[types.Int], types.Typ[types.String], types.NewSlice(types.Typ[types.Byte])}
	constraint, _ := p.Constraint().Underlying().(*types.Interface)
	for t := range constraint.EmbeddedTypes() {
		if u, ok := t.(*types.Union); ok {
			candidates = append(candidates, u.Term(0).Type())
		}
	}
	for _, t := range candidates {
		if types.Satisfies(t, constraint) {
			return t
		}
	}
	return nil
}

// files renders everything.
func (s *simulated) files(dir string, set *policy.Set, all *resolution) (*Simulation, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	between := "."
	if s.wrapper.Nodes { // as the runtime calls them
		between = "/"
	}
	out := &Simulation{Name: s.wrapper.Key + between + s.method.Name, Notes: s.notes, Retries: s.retries}
	if out.Hidden, err = filepath.Glob(filepath.Join(abs, "*_test.go")); err != nil {
		return nil, err
	}
	test := s.test()
	out.Test = test.Test
	if out.Files, err = render(abs, set, all.files); err != nil {
		return nil, err
	}
	src, err := templates.RenderSimulation(test)
	if err != nil {
		return nil, errors.Join(ErrInternal, fmt.Errorf("%w\n%s", err, src))
	}
	out.Files = append(out.Files, File{filepath.Join(abs, "resilgen_simulation_test.go"), src})
	return out, nil
}

// test names everything in the test file.
func (s *simulated) test() *templates.Simulation {
	for _, path := range []string{simulationPath, "testing", "testing/synctest", "io", "strings", "net/http"} {
		s.taken.addImport(path, path[strings.LastIndexByte(path, '/')+1:])
	}
	test := &templates.Simulation{
		File: s.file, Wrapper: s.wrapper, Method: s.method, Failure: s.failure, TypeArgs: s.args,
		Test: s.taken.declare("TestResilgenSimulation"), Call: s.taken.declare("simulatedCall"),
		Iface: s.taken.declare("simulatedIface"), Delegate: s.taken.declare("simulatedDelegate"),
		FallbackIface: s.taken.declare("simulatedFallbackIface"), Fallback: s.taken.declare("simulatedFallback"),
		Second: s.taken.declare("simulatedSecond"), Vars: map[string]string{},
	}
	if f := s.method.Fallback.Func; f != nil {
		test.Answer = f.Name()
	}
	free := maps.Clone(s.taken.taken)
	for _, name := range templates.SimulationVars(s.method) {
		test.Vars[name] = choose(name, free)
	}
	s.file.Imports = s.taken.list()
	return test
}
