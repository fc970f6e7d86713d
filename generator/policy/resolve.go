package policy

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// Method is a method of the Go interface.
type Method struct {
	Name string
	// Closer says that the method has one of the signatures Close() error,
	// Shutdown(ctx) error, Stop() and Stop() error.
	Closer bool
}

// layer is an entry that speaks about a method, and how closely.
type layer struct {
	entry   *entry
	literal int
	pos     Pos
}

// Resolve returns the effective policy of each method, in the order given:
// defaults < preset < the chain of use < the interface < globs, those with a
// shorter literal part first < the entries that name the method.
func (i *Interface) Resolve(methods []Method) ([]*Effective, []*Error) {
	var errs Errors
	list := make([]*Effective, len(methods))
	base := sync.OnceValue(func() *merged { return i.base(&errs, nil) })
	for n, m := range methods {
		list[n] = i.effective(m, &errs, base)
	}
	i.unmatched(methods, &errs)
	return list, errs.Sorted()
}

// effective merges the layers of a method over base.
func (i *Interface) effective(method Method, errs *Errors, base func() *merged) *Effective {
	e := &Effective{Method: method.Name, Pos: i.Pos, file: i.file}
	layers := i.matching(method.Name)
	if n := len(layers); n > 0 && layers[n-1].literal == exactLiteral {
		e.Exact, e.Pos = true, layers[n-1].pos
	} else if method.Closer {
		e.Closer = true
		return e
	}
	if len(i.layers)+len(layers) == 0 {
		*errs = append(*errs, i.file.errorAt(i.Pos, "", "interfaces."+i.Key,
			"method %s has no policy: name it under methods, cover it with use: or with a glob, or write %s: none", method.Name, method.Name))
		return e
	}
	i.clashes(layers, errs)
	m := base().clone()
	for _, l := range layers {
		if l.entry.none.IsValid() || l.entry.base.Text != "" {
			m.clear()
			m.use(l.entry.base.Text)
		}
		m.apply(l.entry, l.literal == exactLiteral)
	}
	e.values, e.lint = m.values, m.lint
	e.check(errs)
	return e
}

// base merges what the interface says about all its methods.
func (i *Interface) base(errs, warns *Errors) *merged {
	m := &merged{file: i.file, errs: errs, warns: warns, nodes: i.Workflow != nil}
	m.clear()
	for _, l := range i.layers {
		m.use(l.base.Text)
	}
	for _, l := range i.layers {
		m.apply(l, false)
	}
	return m
}

// matching returns the entries that speak about a method, the closest last.
func (i *Interface) matching(method string) []layer {
	var list []layer
	for _, m := range i.methods {
		closest := -1
		for _, p := range m.patterns {
			if p.matches(method) {
				closest = max(closest, p.literal)
			}
		}
		if closest >= 0 {
			list = append(list, layer{entry: m.entry, literal: closest, pos: m.pos})
		}
	}
	slices.SortStableFunc(list, func(a, b layer) int { return cmp.Compare(a.literal, b.literal) })
	return list
}

// clashes reports globs of the same length that give the same key.
func (i *Interface) clashes(layers []layer, errs *Errors) {
	for n, a := range layers {
		for _, b := range layers[n+1:] {
			if a.literal != b.literal || a.literal == exactLiteral {
				continue
			}
			if len(*errs) > maxErrors {
				return
			}
			for _, c := range conflicts(b.entry, a.entry) {
				*errs = append(*errs, i.file.errorAt(c.a, "", c.key,
					"given at %s too, by a glob of the same length that matches the same method; nothing wins silently", c.b))
			}
		}
	}
}

// unmatched reports names and globs that no method has.
func (i *Interface) unmatched(methods []Method, errs *Errors) {
	names := make([]string, len(methods))
	for n, m := range methods {
		names[n] = m.Name
	}
	for _, m := range i.methods {
		for _, p := range m.patterns {
			if len(*errs) > maxErrors || i.synthetic() { // who knows the graph says more
				return
			}
			i.unmatchedPattern(m, p, methods, names, errs)
		}
	}
	for _, n := range i.LeaveOut {
		if !slices.Contains(names, n.Text) {
			*errs = append(*errs, i.file.errorAt(n.Pos, "RG091", "leaveOut", "%s has no method %s%s", i.Of, n.Text, hint(n.Text, names)))
		}
	}
}

func (i *Interface) unmatchedPattern(m *methods, p pattern, methods []Method, names []string, errs *Errors) {
	closers := 0
	for _, method := range methods {
		if p.matches(method.Name) {
			if p.exact() || !method.Closer {
				return
			}
			closers++
		}
	}
	key := "methods." + show(m.key)
	switch {
	case p.exact():
		*errs = append(*errs, i.file.errorAt(m.pos, "RG091", key, "%s has no method %s%s", i.Of, p.text, hint(p.text, names)))
	case closers > 0:
		*errs = append(*errs, i.file.errorAt(m.pos, "RG091", key, "the glob %s matches only methods that free a resource, which pass through unless they are named exactly", p.text))
	default:
		*errs = append(*errs, i.file.errorAt(m.pos, "RG091", key, "no method of %s matches %s%s", i.Of, p.text, hint(strings.Trim(p.text, "*?"), names)))
	}
}

func hint(text string, names []string) string {
	if near := Nearest(text, names); near != "" {
		return " (did you mean " + near + "?)"
	}
	return ""
}

// check reports values that mean nothing beside the others.
func (e *Effective) check(errs *Errors) {
	fail := func(v Value, format string, args ...any) {
		*errs = append(*errs, e.file.errorAt(v.Pos, "", v.Key.Path, format, args...))
	}
	for _, v := range e.GivenAll() {
		for _, n := range v.Key.needs {
			if !e.meets(n) {
				fail(v, "%s", e.unmet(n))
				break
			}
		}
	}
	if v, ok := e.values["timeout"]; ok && !v.None && !e.bounded() && !e.unset("timeout") {
		fail(v, "bounds nothing: write total, attempt or open")
	}
	for _, need := range []string{"ttl", "key"} {
		if _, ok := e.Given("cache." + need); !ok && e.Has("cache") {
			fail(e.values["cache"], "wants %s: %s", need, Lookup("cache."+need).Example)
		}
	}
	if _, ok := e.Given("checkpoint.key"); !ok && e.Has("checkpoint") {
		fail(e.values["checkpoint"], "wants %s, what names the work", Lookup("checkpoint.key").Example)
	}
	if v, ok := e.Given("retry.backoff.strategy"); ok && v.V == "sequence" && len(e.Durs("retry.backoff.delays")) == 0 {
		fail(v, "sequence wants delays: [100ms, 1s, …]")
	}
	if v, ok := e.Given("circuitBreaker.halfOpen.mode"); ok && v.V == "rate" && e.lone() {
		fail(v, "rate decides by a rate, and the breaker has only consecutiveFailures: add failureRateThreshold, or write mode: all")
	}
}

// unset reports whether a key of the part was taken back.
func (e *Effective) unset(part string) bool {
	for path, v := range e.values {
		if below(path, part) && v.None {
			return true
		}
	}
	return false
}

func (e *Effective) unmet(n need) string {
	name := lastName(n.path)
	if len(n.values) == 0 {
		return "acts only beside " + name
	}
	is := "unset"
	if v, ok := e.Get(n.path); ok {
		is = v.word()
	}
	return "acts only with " + name + ": " + strings.Join(n.values, " or ") + " (it is " + is + ")"
}
