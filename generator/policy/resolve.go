package policy

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Method is what Resolve needs to know of a Go method.
type Method struct {
	Name   string
	Closer bool // Close() error, Shutdown(ctx) error, Stop(), Stop() error
}

// Effective is the policy of one method after inheritance.
type Effective struct {
	Method string
	Pos    Pos // of the entry that it comes from

	values  body
	own     body // of the method's exact entry
	dropped []Dropped
	preset  string
}

// Dropped is a part that cannot act on the method.
type Dropped struct{ Part, Why string }

// checkChains complains about unknown policies and cycles.
func (f *File) checkChains() {
	for _, name := range f.order {
		seen := []string{name}
		for p := f.policies[name]; p.extends.Text != ""; {
			next := p.extends
			if slices.Contains(seen, next.Text) {
				f.src.complain(next.Pos, "RG094", "extends", "cycle: "+strings.Join(append(seen, next.Text), " → "))
				p.extends = Name{} // reported once, and the walk below ends
				break
			}
			seen = append(seen, next.Text)
			p = f.policies[next.Text]
			if p == nil {
				break
			}
		}
		if p := f.policies[name]; p.extends.Text != "" {
			f.known(p.extends, "extends")
		}
	}
	for _, i := range f.Interfaces {
		for _, e := range append([]entry{i.entry}, i.methods...) {
			if e.use.Text != "" {
				f.known(e.use, "use")
			}
		}
	}
}

func (f *File) known(n Name, key string) {
	if f.policies[n.Text] != nil || builtin[n.Text] != nil || n.Text == "none" && key == "use" {
		return
	}
	names := append(slices.Sorted(maps.Keys(f.policies)), slices.Sorted(maps.Keys(builtin))...)
	hint := ""
	if near := Nearest(n.Text, names); near != "" {
		hint = " (did you mean " + near + "?)"
	}
	f.src.complain(n.Pos, "RG094", key, "no policy "+quoted(n.Text)+hint)
}

// policy returns the merged chain of a named policy.
func (f *File) policy(name string) body {
	p := f.policies[name]
	if p == nil {
		return builtin[name]
	}
	p.used = true
	if p.extends.Text == "" {
		return merge(nil, p.body)
	}
	return merge(f.policy(p.extends.Text), p.body)
}

// merge lays over on base.
func merge(base, over body) body {
	out := maps.Clone(base)
	if out == nil {
		out = body{}
	}
	for _, key := range slices.Sorted(maps.Keys(over)) { // a part before its keys
		v := over[key]
		if v.None && v.Key.Type != Enum {
			maps.DeleteFunc(out, func(k string, _ Value) bool { return strings.HasPrefix(k, key+".") })
		}
		if list, ok := v.V.(List); ok && list.Changes {
			below, _ := out[key].V.(List)
			below.Any = below.Any || out[key].V == nil
			v.V = below.change(list)
		}
		out[key] = v
	}
	return out
}

func (l List) change(by List) List {
	has := func(list []Name, n Name) bool {
		return slices.ContainsFunc(list, func(m Name) bool { return m.Text == n.Text })
	}
	out := List{Any: l.Any}
	for _, n := range append(slices.Clone(l.Names), by.Add...) {
		if !has(by.Remove, n) && !has(out.Names, n) {
			out.Names = append(out.Names, n)
		}
	}
	return out
}

// Resolve returns the policy of each method, in the order of methods.
func (i *Interface) Resolve(methods []Method) ([]*Effective, []*Error) {
	before := len(i.file.src.errs)
	i.checkMethods(methods)
	list := make([]*Effective, len(methods))
	for j, m := range methods {
		list[j] = i.resolve(m)
	}
	errs := slices.Clone(i.file.src.errs[before:])
	i.file.src.errs = i.file.src.errs[:before]
	return list, errs
}

// checkMethods complains about entries that match no method.
func (i *Interface) checkMethods(methods []Method) {
	var names []string
	for _, m := range methods {
		names = append(names, m.Name)
	}
	for _, e := range i.methods {
		for _, pattern := range e.patterns() {
			if slices.ContainsFunc(names, func(n string) bool { return matches(pattern, n) }) {
				continue
			}
			hint := ""
			if near := Nearest(pattern, names); near != "" {
				hint = " (did you mean " + near + "?)"
			}
			i.file.src.complain(e.pos, "RG091", i.Key+"."+pattern, "no method of "+i.Of+" matches"+hint)
		}
	}
}

func (e *entry) patterns() []string {
	list := strings.Split(e.key, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// literal is the length of what a pattern fixes; an exact name beats any.
func literal(pattern string) int {
	if !strings.ContainsAny(pattern, "*?[") {
		return 1 << 20
	}
	return len(strings.ReplaceAll(pattern, "*", ""))
}

// resolve merges the entries for one method, the least specific first.
func (i *Interface) resolve(m Method) *Effective {
	e := &Effective{Method: m.Name, Pos: i.Pos, preset: i.file.Preset, own: body{}}
	type match struct {
		*entry
		rank int
	}
	var found []match
	for j := range i.methods {
		for _, pattern := range i.methods[j].patterns() {
			if matches(pattern, m.Name) {
				found = append(found, match{&i.methods[j], literal(pattern)})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return a.rank - b.rank })
	exact := len(found) > 0 && found[len(found)-1].rank == 1<<20
	base := i.base()
	if m.Closer && !exact {
		base = body{} // an open breaker must not keep a resource from being freed
	} else if base == nil && len(found) == 0 {
		i.file.src.complain(i.Pos, "RG091", i.Key+"."+m.Name, "has no policy: give it an entry, or the interface a use; none passes it through")
	}
	for _, f := range found {
		e.Pos = f.pos
		base = i.file.apply(base, f.entry)
		if f.rank == 1<<20 {
			e.own = f.body
		}
	}
	e.values = i.file.expand(base)
	return e
}

// base is what the interface itself says; nil if it says nothing.
func (i *Interface) base() body {
	if i.entry.use.Text == "" && len(i.entry.body) == 0 && !i.entry.none {
		return nil
	}
	return i.file.apply(nil, &i.entry)
}

func (f *File) apply(base body, e *entry) body {
	if e.none || e.use.Text == "none" {
		return body{}
	}
	if e.use.Text != "" {
		base = f.policy(e.use.Text)
	}
	return merge(base, e.body)
}

// expand replaces the names of errors: by what they stand for.
func (f *File) expand(b body) body {
	out := maps.Clone(b)
	for key, v := range out {
		list, ok := v.V.(List)
		if !ok {
			continue
		}
		list.Names = f.names(list.Names)
		v.V = list
		out[key] = v
	}
	return out
}

// names replaces the names of errors: by what they stand for.
func (f *File) names(list []Name) []Name {
	var out []Name
	for _, n := range list {
		if group, ok := f.errors[n.Text]; ok {
			out = append(out, group...)
			continue
		}
		out = append(out, n)
	}
	return out
}

// Has reports whether a part is on.
func (e *Effective) Has(part string) bool {
	v, ok := e.values[part]
	return ok && !v.None
}

// None reports whether nothing is on.
func (e *Effective) None() bool {
	return !e.Has("retry") && !e.Has("timeout") && !e.Has("circuitBreaker") && !e.Has("bulkhead") && !e.Has("fallback")
}

// Own reports whether a part was written for the method itself.
func (e *Effective) Own(part string) bool {
	_, ok := e.own[part]
	return ok
}

// Drop takes a part out and remembers why.
func (e *Effective) Drop(part, why string) {
	if e.Has(part) {
		e.dropped = append(e.dropped, Dropped{part, why})
	}
	e.values = merge(e.values, body{part: {Key: byPath[part], None: true}})
}

// Dropped returns the parts that were taken out.
func (e *Effective) Dropped() []Dropped { return e.dropped }

// Idempotent reports whether the method may be executed twice.
func (e *Effective) Idempotent() bool { v, _ := e.values["idempotent"].V.(bool); return v }

// Given returns what a policy said, without presets and defaults.
func (e *Effective) Given(key string) (Value, bool) {
	v, ok := e.values[key]
	return v, ok
}

// Get returns the value in force: given, of the preset, or the default.
func (e *Effective) Get(key string) (Value, bool) {
	if v, ok := e.values[key]; ok {
		return v, !v.None
	}
	k := byPath[key]
	part, _, _ := strings.Cut(key, ".")
	if k == nil || !k.Built || !e.Has(part) {
		return Value{}, false
	}
	if text, ok := presets[e.preset][key]; ok {
		return Value{Key: k, V: k.must(text), Origin: "preset " + e.preset}, true
	}
	if k.Default == "" {
		return Value{}, false
	}
	return Value{Key: k, V: k.must(k.Default), Origin: "default"}, true
}

// Dur, Int, Float, Bool, Str and List return the value in force, zero if unset.
func (e *Effective) Dur(key string) time.Duration { return get[time.Duration](e, key) }

// Int is like [Effective.Dur].
func (e *Effective) Int(key string) int { return get[int](e, key) }

// Float is like [Effective.Dur].
func (e *Effective) Float(key string) float64 { return get[float64](e, key) }

// Bool is like [Effective.Dur].
func (e *Effective) Bool(key string) bool { return get[bool](e, key) }

// Str is like [Effective.Dur].
func (e *Effective) Str(key string) string { return get[string](e, key) }

// List is like [Effective.Dur].
func (e *Effective) List(key string) List { return get[List](e, key) }

func get[T any](e *Effective, key string) T {
	v, _ := e.Get(key)
	t, _ := v.V.(T)
	return t
}

// Warnings complains about policies that nobody uses. It is complete after
// every interface was resolved.
func (f *File) Warnings() []*Error {
	var list []*Error
	for _, name := range f.order {
		if p := f.policies[name]; !p.used {
			list = append(list, &Error{Pos: p.pos, ID: "RG098", Key: "policies." + name, Warning: true,
				Msg: fmt.Sprintf("policy %s is used nowhere", quoted(name)), Line: f.src.line(p.pos.Line)})
		}
	}
	return list
}
