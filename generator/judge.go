package generator

import (
	"cmp"
	"fmt"
	"go/types"
	"maps"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// lint runs the checks on a method and its policy.
func (r *resolver) lint(i *policy.Interface, out *templates.Method, m *types.Func, e *policy.Effective) {
	for _, f := range lint.Run(r.pkg.toLint(i, m, e)) {
		if rule, _ := lint.Lookup(f.ID); rule.Severity < lint.Warning && !f.Error {
			r.warn(e, f.ID, i.Key+"."+out.Name, f.Msg)
			continue
		}
		r.judge(e, cmp.Or(f.Pos, e.Pos), f.ID, i.Key+"."+out.Name, f.Msg)
	}
}

// toLint is a method as the checks want it.
func (p *goPackage) toLint(i *policy.Interface, m *types.Func, e *policy.Effective) *lint.Method {
	sig := m.Signature()
	named := slices.ContainsFunc(i.LeaveOut, func(n policy.Name) bool { return n.Text == m.Name() })
	return &lint.Method{
		Policy: e, Sig: sig, Ctx: contextIndex(sig), Err: errorIndex(sig), LeaveOut: i.LeaveOutAll || named, Node: i.Section() != "interfaces",
		Uncarried: func() (string, string) { return p.uncarried(m, e) },
	}
}

// judge reports a finding with the weight of its check.
func (r *resolver) judge(e *policy.Effective, pos policy.Pos, id, key, msg string) {
	rule, _ := lint.Lookup(id)
	if _, ignored := e.Ignores(id); ignored && rule.Severity != lint.Fact {
		return
	}
	d := r.file.Error(pos, id, key, msg)
	d.Info = rule.Severity == lint.Info
	d.Warning = rule.Severity >= lint.Warning || rule.Severity == lint.Judgement && r.lenient
	r.errs = append(r.errs, d)
}

func (r *resolver) warn(e *policy.Effective, id, key, msg string) {
	d := r.file.Error(e.Pos, id, key, msg)
	d.Warning = true
	if _, ignored := e.Ignores(id); !ignored {
		r.errs = append(r.errs, d)
	}
}

// ignorable refuses lint keys for what is no check, or no matter of judgement.
func (r *resolver) ignorable() {
	for _, n := range r.file.Ignored() {
		rule, known := lint.Lookup(n.Text)
		switch {
		case !known:
			r.complain(n.Pos, "", "lint.ignore", "there is no check "+n.Text)
		case rule.Severity == lint.Fact && !rule.Milder:
			r.complain(n.Pos, "", "lint.ignore", n.Text+" ("+rule.Doc+") is no matter of judgement, and cannot be ignored: mend what it finds")
		}
	}
}

// idle warns of an inherited retry or hedge that was left out of every method,
// and proposes what to write.
func (r *resolver) idle(i *policy.Interface, w *templates.Wrapper, methods []*policy.Effective, part, id string) {
	if r.failed() {
		return // what is wrong may be why
	}
	var names []string
	var first *policy.Effective
	for n, e := range methods {
		if e.Has("retry") || e.Has("hedge") {
			return
		}
		if w.Methods[n].Err < 0 {
			continue
		}
		_, decided := e.Given("idempotent")
		if !decided && slices.ContainsFunc(e.Dropped(), func(d policy.Dropped) bool { return d.Part == part }) {
			names = append(names, e.Method)
			first = e
		}
	}
	if first == nil {
		return
	}
	if _, ignored := first.Ignores(id); ignored {
		return
	}
	d := r.file.Error(i.Pos, id, i.Section()+"."+i.Key, fmt.Sprintf("the inherited %s acts on no method, since none is marked idempotent: "+
		"add %s for what may run twice, or %s: none", part, proposal(names), part))
	d.Warning = true
	r.errs = append(r.errs, d)
}

// proposal marks the methods that sound as if they only read, or else the
// first one.
func proposal(names []string) string {
	var reading []string
	for _, name := range names {
		if lint.Reading(name) && len(reading) < 3 {
			reading = append(reading, name+": {idempotent: true}")
		}
	}
	if len(reading) == 0 {
		reading = []string{names[0] + ": {idempotent: true}"}
	}
	return "methods: {" + strings.Join(reading, ", ") + "}"
}

// together runs the checks on policies beside each other.
func together(found []*guarded) {
	var all []lint.Guarded
	by := map[*policy.Effective]*resolver{}
	for _, g := range found {
		for _, e := range g.methods {
			all = append(all, lint.Guarded{Key: g.iface.Key + "." + e.Method, Policy: e})
			by[e] = g.by
		}
	}
	for _, f := range lint.Together(all) {
		by[f.About.Policy].judge(f.About.Policy, cmp.Or(f.Pos, f.About.Policy.Pos), f.ID, f.About.Key, f.Msg)
	}
}

// renamed warns of generated types that are not called what they usually are,
// because the package has the name. What guards nodes is called by nobody.
func (r *resolver) renamed(i *policy.Interface, w *templates.Wrapper, name string, methods []*policy.Effective) {
	usual := map[string]string{name + "Fallback": w.Fallback, name + "Secondary": w.Secondary}
	if !w.Nodes {
		usual["Resilient"+name], usual["NewResilient"+name] = w.Type, w.New
	}
	if len(methods) > 0 {
		r.renamedAs(methods[0], i.Section()+"."+i.Key, usual)
	}
}

// renamedAs warns of names that are not the usual ones. e is a policy of what they
// are for.
func (r *resolver) renamedAs(e *policy.Effective, key string, usual map[string]string) {
	for _, want := range slices.Sorted(maps.Keys(usual)) {
		if got := usual[want]; got != "" && got != want && e != nil {
			r.warn(e, "RG09A", key, fmt.Sprintf("the name %s is taken, so what is generated is called %s", want, got))
		}
	}
}

// ignoresNothing warns of lint keys that silence nothing. Checks that did not
// run may still have found something.
func (r *resolver) ignoresNothing(deep bool) {
	for _, n := range r.file.IgnoresNothing() {
		if rule, _ := lint.Lookup(n.Text); rule.Command == "" || deep && rule.Command == "lint" {
			d := r.file.Error(n.Pos, "", "lint.ignore", n.Text+" finds nothing here: take the key away, so that it hides nothing later")
			d.Warning = true
			r.errs = append(r.errs, d)
		}
	}
}
