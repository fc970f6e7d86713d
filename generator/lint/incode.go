package lint

import (
	"cmp"
	"fmt"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/policy"
)

// Wrapper is a generated wrapper, by the names in the code around it.
type Wrapper struct {
	Key          string // Gateway, as the policies name it
	Path, Name   string // of the interface
	In           string // the path of the package with the generated code
	Type, New    string // generated names
	FallbackType string // that of the fallback interface, "" if there is none
	Methods      []*policy.Effective

	iface    *types.Interface
	named    *types.TypeName // the interface
	self     *types.TypeName // the wrapper
	maker    *types.Func
	concrete []*types.Named // what is wrapped, as far as can be seen
}

// CodeFinding is a finding at a place in Go code.
type CodeFinding struct {
	ID     string
	Error  bool
	Pos    token.Pos
	Msg    string
	About  *Wrapper
	Policy *policy.Effective // of the method
}

// InCode returns what is wrong with the code around wrappers (RG012, RG031,
// RG045, RG046, RG089), in the order of the rules.
func InCode(c *Code, wrappers []*Wrapper) []CodeFinding {
	s := &search{Code: c, told: map[told]bool{}}
	for _, w := range wrappers {
		if s.identify(w) {
			s.wrappers = append(s.wrappers, w)
		}
	}
	for _, check := range []func(*Wrapper){s.multiplied, s.madePerRequest, s.callsBack, s.asksOthers, s.goesPast} {
		for _, w := range s.wrappers {
			check(w)
		}
	}
	slices.SortStableFunc(s.found, func(a, b CodeFinding) int { return cmp.Compare(a.ID, b.ID) })
	return s.found
}

type search struct {
	*Code
	wrappers []*Wrapper
	found    []CodeFinding
	told     map[told]bool
}

// told is a finding as a reader counts them.
type told struct {
	id string
	at token.Pos
	e  *policy.Effective
}

// identify finds what w names. It reports false where types that are generic,
// or are not there, leave nothing to look for.
func (s *search) identify(w *Wrapper) bool {
	w.named, _ = s.object(w.Path, w.Name).(*types.TypeName)
	if w.named == nil {
		return false
	}
	w.iface, _ = w.named.Type().Underlying().(*types.Interface)
	if n, ok := w.named.Type().(*types.Named); w.iface == nil || ok && n.TypeParams().Len() > 0 {
		return false
	}
	w.self, _ = s.object(w.In, w.Type).(*types.TypeName)
	w.maker, _ = s.object(w.In, w.New).(*types.Func)
	for _, m := range s.made {
		if w.maker == nil || m.callee != w.maker || len(m.args) < 2 {
			continue
		}
		if t := named(m.args[1]); t != nil && !slices.Contains(w.concrete, t) && t.TypeParams().Len() == 0 {
			w.concrete = append(w.concrete, t)
		}
	}
	if len(w.concrete) == 0 {
		w.concrete = s.implementing(w.iface, w.named.Pkg())
	}
	return true
}

func (w *Wrapper) policy(method string) *policy.Effective {
	for _, e := range w.Methods {
		if e.Method == method {
			return e
		}
	}
	return nil
}

func (s *search) report(id string, isError bool, at token.Pos, w *Wrapper, e *policy.Effective, format string, args ...any) {
	key := told{id, at, e}
	if !s.told[key] { // several types lead to one place
		s.told[key] = true
		s.found = append(s.found, CodeFinding{id, isError, at, fmt.Sprintf(format, args...), w, e})
	}
}

// wrapped returns the wrapper whose method u is, and whether it is the wrapper
// itself that is called, not a value that may be it.
func (s *search) wrapped(u use) (w *Wrapper, sure bool) {
	if u.recv == nil {
		return nil, false
	}
	for _, w := range s.wrappers {
		if n := named(u.recv); n != nil && w.self != nil && n.Obj() == w.self {
			return w, true
		}
		if declares(w.named, u.callee) || types.Unalias(u.recv) == w.named.Type() {
			return w, false
		}
	}
	return nil, false
}

// declares reports whether fn is a method that the interface itself spells out.
func declares(iface *types.TypeName, fn *types.Func) bool {
	recv := fn.Signature().Recv()
	n, ok := recv.Type().(*types.Named)
	return ok && n.Obj() == iface
}

// multiplied is RG012.
func (s *search) multiplied(w *Wrapper) {
	for _, e := range w.Methods {
		for _, t := range w.concrete {
			if n := s.methodOf(t, e.Method); n != nil && executions(e) > 1 {
				s.multiply(w, e, n)
			}
		}
	}
}

func (s *search) multiply(w *Wrapper, e *policy.Effective, n *node) {
	s.reach(n, func(_ *node, u use) bool {
		inner, _ := s.wrapped(u)
		if inner == nil {
			return true
		}
		below := inner.policy(u.callee.Name())
		if below == nil || below == e {
			return false
		}
		if a, b := executions(e), executions(below); b > 1 {
			s.report("RG012", false, u.pos, w, e, "%s.%s is wrapped and calls %s.%s, which is wrapped too: %d × %d = %d executions",
				w.Key, e.Method, inner.Key, below.Method, a, b, a*b)
		}
		return false
	})
}

// madePerRequest is RG031.
func (s *search) madePerRequest(w *Wrapper) {
	if w.maker == nil || len(w.Methods) == 0 {
		return
	}
	for _, n := range s.nodes {
		for _, u := range n.uses {
			if u.callee != w.maker {
				continue
			}
			if why := inRequest(n); why != "" {
				s.report("RG031", false, u.pos, w, w.Methods[0], "%s is called %s: each wrapper begins with closed breakers and empty windows; make one and keep it", w.New, why)
			}
		}
	}
}

// inRequest says why n runs for each request, "" if it does not, as far as can
// be seen: it serves HTTP, or is called by what does, or takes a context and
// does not sound like setting up.
func inRequest(n *node) string {
	for at := n; at != nil && !at.once; at = at.outer {
		if at.takes("context.Context") && at.fn != nil && !at.builds() {
			return "in " + at.name + ", which takes a context"
		}
	}
	seen := map[*node]bool{n: true}
	for todo := []*node{n}; len(todo) > 0; todo = todo[1:] {
		at := todo[0]
		if at.takes("*net/http.Request", "net/http.ResponseWriter") {
			return "in " + at.name + ", which serves a request"
		}
		if at.once {
			continue
		}
		for _, by := range at.callers {
			if !seen[by] {
				seen[by] = true
				todo = append(todo, by)
			}
		}
	}
	return ""
}

// answers returns the bodies that answer for a method.
func (s *search) answers(w *Wrapper, e *policy.Effective) []*node {
	if !e.Has("fallback") {
		return nil
	}
	if name := e.Str("fallback.func"); name != "" {
		fn, _ := s.object(w.In, name).(*types.Func)
		if n := s.decls[fn]; fn != nil && n != nil {
			return []*node{n}
		}
		return nil
	}
	obj := s.object(w.In, w.FallbackType)
	if w.FallbackType == "" || obj == nil {
		return nil
	}
	iface, ok := obj.Type().Underlying().(*types.Interface)
	if !ok {
		return nil
	}
	var list []*node
	for _, t := range s.implementing(iface, obj.Pkg()) {
		if n := s.methodOf(t, e.Method+"Fallback"); n != nil {
			list = append(list, n)
		}
	}
	return list
}

// link is a call of a wrapped method by a fallback.
type link struct {
	w    *Wrapper
	e    *policy.Effective
	pos  token.Pos
	sure bool
}

func (s *search) links(w *Wrapper, e *policy.Effective) []link {
	var list []link
	for _, n := range s.answers(w, e) {
		s.reach(n, func(_ *node, u use) bool {
			inner, sure := s.wrapped(u)
			if inner == nil {
				return true
			}
			if below := inner.policy(u.callee.Name()); below != nil {
				list = append(list, link{inner, below, u.pos, sure})
			}
			return false
		})
	}
	return list
}

// callsBack is RG045. A cycle is found from each of its methods, and reported
// there.
func (s *search) callsBack(w *Wrapper) {
	for _, e := range w.Methods {
		s.follow(w, e, link{w: w, e: e, sure: true}, nil)
	}
}

// follow looks for a way from the fallback of at back to e.
func (s *search) follow(w *Wrapper, e *policy.Effective, at link, path []link) {
	for _, l := range s.links(at.w, at.e) {
		l.sure = l.sure && at.sure
		way := append(slices.Clone(path), l)
		switch {
		case l.e == e:
			s.circle(w, e, way)
		case !slices.ContainsFunc(path, func(p link) bool { return p.e == l.e }):
			s.follow(w, e, l, way)
		}
	}
}

func (s *search) circle(w *Wrapper, e *policy.Effective, way []link) {
	last := way[len(way)-1]
	through := ""
	if len(way) > 1 {
		var names []string
		for _, l := range way[:len(way)-1] {
			names = append(names, l.w.Key+"."+l.e.Method)
		}
		through = ", through the fallback of " + strings.Join(names, ", ")
	}
	doubt := ""
	if !last.sure {
		doubt = ", if that value is the wrapper"
	}
	s.report("RG045", last.sure, way[0].pos, w, e, "the fallback of %s.%s calls it again%s%s", w.Key, e.Method, through, doubt)
}

// remote are calls that wait for a peer: methods and funcs by the package that
// declares them.
var remote = map[string][]string{
	"net":                    {"Dial", "DialTCP", "DialUDP", "DialUnix", "DialContext"},
	"net/http":               {"Do", "Get", "Head", "Post", "PostForm", "RoundTrip"},
	"net/rpc":                {"Call", "Dial", "DialHTTP"},
	"database/sql":           {"Query", "QueryContext", "QueryRow", "QueryRowContext", "Exec", "ExecContext", "Ping", "PingContext", "Begin", "BeginTx", "Prepare", "PrepareContext"},
	"google.golang.org/grpc": {"Invoke", "NewStream"},
}

// asksOthers is RG046.
func (s *search) asksOthers(w *Wrapper) {
	for _, e := range w.Methods {
		for _, n := range s.answers(w, e) {
			s.askOther(w, e, n)
		}
	}
}

func (s *search) askOther(w *Wrapper, e *policy.Effective, n *node) {
	var first use
	bounded := false
	s.reach(n, func(by *node, u use) bool {
		if inner, _ := s.wrapped(u); inner != nil {
			return false // its policy bounds it
		}
		if u.callee.Pkg() == nil {
			return true
		}
		path, name := u.callee.Pkg().Path(), u.callee.Name()
		switch {
		case path == "context" && (strings.HasPrefix(name, "WithTimeout") || strings.HasPrefix(name, "WithDeadline")):
			bounded = true
		case slices.Contains(remote[path], name) && first.callee == nil && !(path == "net/http" && s.clients[by.pkg]):
			first = u
		}
		return true
	})
	if first.callee != nil && !bounded {
		s.report("RG046", false, first.pos, w, e, "the fallback of %s.%s calls %s.%s without a timeout of its own: a slow peer makes a call without end",
			w.Key, e.Method, first.callee.Pkg().Name(), first.callee.Name())
	}
}

// goesPast is RG089.
func (s *search) goesPast(w *Wrapper) {
	for _, n := range s.nodes {
		for _, u := range n.uses {
			t := named(u.recv)
			if t == nil || t.Obj().Pkg() != n.pkg || !slices.Contains(w.concrete, t) {
				continue
			}
			if e := w.policy(u.callee.Name()); e != nil && !e.None() {
				s.report("RG089", false, u.pos, w, e, "%s.%s is called on the concrete type, past the wrapper and the policy of %s.%s", t.Obj().Name(), e.Method, w.Key, e.Method)
			}
		}
	}
}
