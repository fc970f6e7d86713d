package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// merged is what the layers applied so far say together.
type merged struct {
	file   *File
	values map[string]Value
	lint   []ignore
	errs   *Errors
	warns  *Errors // nil unless somebody wants RG093
	nodes  bool    // of a workflow
}

// clear forgets the layers so far: none, or a use of its own.
func (m *merged) clear() {
	m.values, m.lint = make(map[string]Value), slices.Clone(m.file.lint)
	if m.nodes {
		m.values["idempotent"] = Value{Key: Lookup("idempotent"), V: true, Origin: "every node of a workflow"}
	}
}

// clone returns a copy to merge more over.
func (m *merged) clone() *merged {
	over := *m
	over.values, over.lint = maps.Clone(m.values), slices.Clone(m.lint)
	return &over
}

// apply merges an entry over what is there. own says that it was written for
// the method itself.
func (m *merged) apply(e *entry, own bool) {
	m.lint = append(m.lint, e.lint...)
	layer := make(map[string]bool, len(e.values))
	for _, v := range e.values {
		v.own = own
		layer[v.Key.Path] = true
		m.set(v)
	}
	m.dropInert(layer)
}

func (m *merged) set(v Value) {
	path := v.Key.Path
	switch {
	case v.Key.group() && v.None:
		m.dropBelow(path)
	case v.Key.Type == Condition:
		m.dropBelow(path)
	case path == "fallback" && v.V == true:
		m.dropAnswers("")
		v.V = true
	case v.Key.group():
		v.V = true
	case path == "fallback.func" || path == "fallback.to" || path == "fallback.value":
		m.dropAnswers(path)
	case byPercentile(path):
		delete(m.values, "hedge.delay")
	case path == "hedge.delay" && !v.None:
		delete(m.values, "hedge.percentile")
		delete(m.values, "hedge.warmup")
	case v.Key.extends() && !v.None:
		v.V = m.list(v)
	}
	m.values[path] = v
}

func (m *merged) dropBelow(group string) {
	maps.DeleteFunc(m.values, func(path string, _ Value) bool { return below(path, group) })
}

// dropAnswers forgets who answers in a fallback: a new answer replaces it.
func (m *merged) dropAnswers(but string) {
	for _, path := range []string{"fallback.func", "fallback.to", "fallback.value"} {
		if path != but {
			delete(m.values, path)
		}
	}
}

// dropInert forgets inherited values that the layer's own values have made
// meaningless: the size of a window that is one of time now.
func (m *merged) dropInert(layer map[string]bool) {
	e := &Effective{file: m.file, values: m.values}
	maps.DeleteFunc(m.values, func(path string, v Value) bool {
		if layer[path] || v.None {
			return false
		}
		for _, n := range v.Key.needs {
			if layer[n.path] && !e.meets(n) {
				return true
			}
		}
		return false
	})
}

// list merges what a layer says about a list over the inherited one.
func (m *merged) list(v Value) List {
	said := v.V.(edit)
	before, given := m.values[v.Key.Path]
	given = given && !before.None
	inherited := List{Any: v.Key.def == anyError, Names: v.Key.usual()}
	if given {
		inherited = before.V.(List)
	}
	if said.replace && !given && v.Key.Type == Words {
		return List{Names: slices.Clone(said.names)}
	}
	if said.replace {
		m.warnReplaced(v, said, inherited, before.Origin)
		return List{Names: slices.Clone(said.names)}
	}
	list := List{Any: inherited.Any, Names: slices.Clone(inherited.Names)}
	for _, name := range said.remove {
		i := slices.IndexFunc(list.Names, func(n Name) bool { return n.Text == name.Text })
		if i < 0 {
			m.fail(name.Pos, v.Key.Path+".remove", "%s is not in the inherited list (%s)", name.Text, inherited)
			continue
		}
		list.Names = slices.Delete(list.Names, i, i+1)
	}
	for _, name := range said.add {
		if !list.Has(name.Text) {
			list.Names = append(list.Names, name)
		}
	}
	if !list.Any && len(list.Names) == 0 && (v.Key.def == anyError || v.Key.Type == Words) {
		m.fail(v.Pos, v.Key.Path, "nothing is left of the inherited list")
	}
	return list
}

// String returns the list as the language says it.
func (l List) String() string {
	words := make([]string, 0, len(l.Names)+1)
	if l.Any {
		words = append(words, "any error")
	}
	for _, n := range l.Names {
		words = append(words, n.Text)
	}
	if len(words) == 0 {
		return "empty"
	}
	return strings.Join(words, ", ")
}

func (m *merged) fail(p Pos, key, format string, args ...any) {
	*m.errs = append(*m.errs, m.file.errorAt(p, "", key, format, args...))
}

// warnReplaced says that a list replaces one with names that it lacks.
func (m *merged) warnReplaced(v Value, said edit, inherited List, origin string) {
	if m.warns == nil {
		return
	}
	lost := 0
	for _, n := range inherited.Names {
		if !(List{Names: said.names}).Has(n.Text) {
			lost++
		}
	}
	if lost == 0 || m.ignores("RG093") {
		return
	}
	w := m.file.errorAt(v.Pos, "RG093", v.Key.Path, "the list replaces the one inherited from %s (%s); {add: […]} extends it", origin, inherited)
	w.Warning = true
	*m.warns = append(*m.warns, w)
}

// ignores reports whether a lint key silences what was found.
func (m *merged) ignores(id string) bool {
	found := false
	for _, i := range m.lint {
		if i.id == id {
			found = true
			m.file.inUse(i)
		}
	}
	return found
}

// use applies the policy with the name and what it extends, outermost first.
// Unknown names and cycles have been reported by Read.
func (m *merged) use(name string) {
	for _, e := range m.file.chain(name) {
		m.apply(e, false)
	}
}

// chain returns the entries of a policy, what it extends first.
func (f *File) chain(name string) []*entry {
	var list []*entry
	seen := make(map[string]bool)
	for name != "" && !seen[name] {
		seen[name] = true
		if e := builtin(name); e != nil {
			list = append(list, e)
			break
		}
		p := f.policy(name)
		if p == nil {
			break
		}
		list = append(list, p.entry)
		name = p.entry.base.Text
	}
	slices.Reverse(list)
	return list
}

// Error returns a complaint about a place in one of the file's sources.
func (f *File) Error(pos Pos, id, key, msg string) *Error {
	return f.errorAt(pos, id, key, "%s", msg)
}

// errorAt returns a complaint about a place in one of the file's sources.
func (f *File) errorAt(p Pos, id, key, format string, args ...any) *Error {
	e := &Error{Pos: p, ID: id, Key: key, Msg: fmt.Sprintf(format, args...)}
	for _, s := range f.sources {
		if s.in.Path == p.File && e.Line == "" {
			e.Line = s.line(p)
		}
	}
	return e
}

// checkPolicies reports unknown policies and cycles.
func (f *File) checkPolicies() Errors {
	var errs Errors
	known := Builtins()
	for _, p := range f.policies {
		known = append(known, p.name.Text)
	}
	set := make(map[string]bool, len(known))
	for _, name := range known {
		set[name] = true
	}
	near := hinter{names: known, left: maxHints}
	ref := func(key string, n Name) {
		if n.Text == "" || n.Text == none && key == "use" || set[n.Text] || len(errs) >= maxErrors {
			return
		}
		errs = append(errs, f.errorAt(n.Pos, "RG094", key, "there is no policy %s%s", show(n.Text), near.hint(n.Text)))
	}
	for _, p := range f.policies {
		ref("extends", p.entry.base)
	}
	for _, i := range f.Interfaces {
		for _, l := range i.layers {
			ref("use", l.base)
		}
		for _, m := range i.methods {
			ref("use", m.entry.base)
		}
	}
	return append(errs, f.cycles()...)
}

// cycles reports each cycle of extends once, at its first policy.
func (f *File) cycles() Errors {
	var errs Errors
	done := make(map[string]bool)
	for _, p := range f.policies {
		var path []string
		for q := p; q != nil && !done[q.name.Text]; q = f.policy(q.entry.base.Text) {
			if i := slices.Index(path, q.name.Text); i >= 0 {
				circle := append(slices.Clone(path[i:]), q.name.Text)
				errs = append(errs, f.errorAt(q.entry.base.Pos, "RG094", "extends", "a cycle: %s", show(strings.Join(circle, " extends "))))
				break
			}
			path = append(path, q.name.Text)
			if len(path) > maxChain {
				errs = append(errs, f.errorAt(p.name.Pos, "RG094", "extends", "more than %d levels", maxChain))
				break
			}
		}
		for _, name := range path {
			done[name] = true
		}
	}
	return errs
}

// checkLists reports named lists that name themselves.
func (f *File) checkLists() Errors {
	var errs Errors
	state := make(map[*list]int) // 1 being visited, 2 done
	byName := make(map[string]*list, len(f.errors))
	for _, l := range f.errors {
		byName[l.name.Text] = l
	}
	var visit func(l *list)
	visit = func(l *list) {
		state[l] = 1
		for _, n := range l.items {
			next := byName[n.Text]
			switch {
			case next == nil || state[next] == 2:
			case state[next] == 1:
				errs = append(errs, f.errorAt(n.Pos, "RG094", "errors."+l.name.Text, "a cycle: %s names itself", n.Text))
			default:
				visit(next)
			}
		}
		state[l] = 2
	}
	for _, l := range f.errors {
		if state[l] == 0 {
			visit(l)
		}
	}
	return errs
}

// expand replaces the names of errors by what they list.
func (f *File) expand(names []Name) []Name {
	var out []Name
	seen := make(map[string]bool)
	var add func(names []Name)
	add = func(names []Name) {
		for _, n := range names {
			if seen[n.Text] {
				continue
			}
			seen[n.Text] = true
			if l := f.list(n.Text); l != nil {
				add(l.items)
				continue
			}
			out = append(out, n)
		}
	}
	add(names)
	return out
}
