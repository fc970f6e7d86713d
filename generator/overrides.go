package generator

import (
	"errors"
	"fmt"
	"go/token"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
)

// overridden returns what is wrong with the overrides files for the policies
// that were read (RG099): what a service would refuse, and what resets state.
func overridden(files []string, all []*resolution) (policy.Errors, error) {
	var found policy.Errors
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		list, err := policy.ReadOverrides(policy.Input{Path: name, Data: data})
		var wrong policy.Errors
		if err != nil && !errors.As(err, &wrong) {
			return nil, err
		}
		found = append(found, wrong...)
		f := overridesFile{lines: lines{}, told: map[string]bool{}}
		for _, one := range all {
			f.guarded = append(f.guarded, one.guarded()...)
		}
		for _, o := range list {
			f.override(o)
		}
		found = append(found, f.found...)
	}
	return found, nil
}

type overridesFile struct {
	guarded []*guarded
	lines   lines
	told    map[string]bool // names, and names with parts, that were complained of
	found   policy.Errors
}

// named are methods that an override means.
type named struct {
	name   string // payments.Gateway.Charge
	policy *policy.Effective
}

func (f *overridesFile) override(o policy.Override) {
	if o.Name == "" {
		return
	}
	means, known := f.means(o.Name)
	if len(means) == 0 {
		f.say(o, o.Name, o.Name, !f.interfaceRead(o.Name), "no policy that was read here has the name "+o.Name+hintAmong(o.Name, known)+": a service that does not have it refuses the whole file")
		return
	}
	means = slices.DeleteFunc(means, func(m named) bool { return !lint.Overridable(m.policy, o) })
	if len(means) == 0 {
		part, _, _ := strings.Cut(o.Key, ".")
		f.say(o, o.Name+" "+part, o.Name, false, part+": the generated policy has none, and what is not compiled in cannot be switched on")
		return
	}
	f.resets(o, means)
}

// resets warns of the state that is lost, once for all methods.
func (f *overridesFile) resets(o policy.Override, means []named) {
	first, msg, more := named{}, "", 0
	for _, m := range means {
		lost := lint.Reset(m.policy, o)
		if lost == "" {
			continue
		}
		if _, ignored := m.policy.Ignores("RG099"); ignored {
			continue
		}
		if msg == "" {
			first, msg = m, lost
			continue
		}
		more++
	}
	if msg == "" {
		return
	}
	if more > 0 {
		msg += fmt.Sprintf("; %d more methods lose theirs", more)
	}
	f.say(o, o.Name+" "+o.Key, first.name, true, o.Key+" "+msg)
}

// say reports a finding once.
func (f *overridesFile) say(o policy.Override, about, key string, warning bool, msg string) {
	if f.told[about] {
		return
	}
	f.told[about] = true
	line := f.lines.at(token.Position{Filename: o.Pos.File, Line: o.Pos.Line})
	f.found = append(f.found, &policy.Error{Pos: o.Pos, ID: "RG099", Key: key, Msg: msg, Line: line, Warning: warning})
}

// means returns the methods that a name means, and all names there are.
func (f *overridesFile) means(name string) (list []named, known []string) {
	for _, g := range f.guarded {
		iface, between := g.called()
		known = append(known, iface)
		for _, e := range g.methods {
			if e.None() {
				continue
			}
			method := iface + between + e.Method
			known = append(known, method)
			if meansMethod(name, g.by.pkg.Path, iface, method) {
				list = append(list, named{method, e})
			}
		}
	}
	return list, known
}

// called is what the runtime calls the interface, and what stands between that and
// the name of a method.
func (g *guarded) called() (name, between string) {
	if g.wrapper.Nodes {
		return g.wrapper.Key, "/"
	}
	return g.by.pkg.Name + "." + g.iface.Name, "."
}

// interfaceRead reports whether the interface of a name that means no method was
// read: then the name is wrong wherever the file goes.
func (f *overridesFile) interfaceRead(name string) bool {
	for _, g := range f.guarded {
		iface, between := g.called()
		for i := range name {
			if name[i:i+1] == between && meansMethod(name[:i], g.by.pkg.Path, iface, "") {
				return true
			}
		}
	}
	return false
}

// meansMethod reports whether a name in an overrides file means the method, as
// the runtime decides it: an instance is not known before there is one.
func meansMethod(name, pkg, iface, method string) bool {
	if i := strings.IndexAny(name, "@#"); i >= 0 {
		name = name[:i]
	}
	if dir, rest := path.Split(name); dir != "" && !strings.Contains(iface, "/") {
		base, tail, _ := strings.Cut(rest, ".")
		if dir+base != pkg {
			return false
		}
		own, _, _ := strings.Cut(iface, ".")
		name = own + "." + tail
	}
	matches, _ := path.Match(name, method)
	return name == iface || matches
}

func hintAmong(name string, known []string) string {
	if near := policy.Nearest(name, known); near != "" {
		return " (did you mean " + near + "?)"
	}
	return ""
}
