package generator

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
)

// Explain returns, for the target "Gateway" or "Gateway.Charge", each method's
// effective values with their origin, the nesting, the worst case and the
// schedule of attempts, as text; of an interface also which others vanish behind
// its wrapper. An interface of another package may be named
// as the policies name it, "net/http.RoundTripper".
func Explain(ctx context.Context, c Config, target string) (string, error) {
	set, _, err := read(c.Dir)
	if err != nil {
		return "", err
	}
	pkg, err := load(ctx, c.Dir, append(foreignPackages(set), "io")) // whose interfaces types have unasked
	if err != nil {
		return "", err
	}
	var known []string
	for _, f := range set.Files {
		for _, i := range f.Interfaces {
			known = append(known, i.Key)
			if method, ok := targeted(i, target); ok {
				return explain(pkg, i, f, method)
			}
		}
	}
	return "", fmt.Errorf("no policies for %s in %s; there are some for %s", target, filepath.Clean(c.Dir),
		cmp.Or(strings.Join(known, ", "), "no interface"))
}

// targeted reports whether the target is the interface, or one of its methods.
func targeted(i *policy.Interface, target string) (method string, ok bool) {
	for _, name := range []string{i.Key, i.Name} {
		if target == name {
			return "", true
		}
		if method, ok := strings.CutPrefix(target, name+"."); ok && !strings.ContainsAny(method, "./") {
			return method, true
		}
	}
	return "", false
}

func explain(pkg *goPackage, i *policy.Interface, f *policy.File, only string) (string, error) {
	face, why := pkg.find(i.Of)
	if why != "" {
		return "", policy.Errors{f.Error(i.OfPos(), "RG091", i.Section(), why)}
	}
	effective, errs := i.Resolve(shapes(face))
	if len(errs) > 0 {
		return "", policy.Errors(errs)
	}
	var b strings.Builder
	var names []string
	explainGraph(&b, i, only)
	for n, m := range face.methods {
		names = append(names, m.Name())
		if only != "" && m.Name() != only {
			continue
		}
		lint.Run(pkg.toLint(i, m, effective[n]))
		explainMethod(&b, i.Called()+"."+m.Name(), f.Preset, effective[n])
	}
	if text := pkg.optional(face, f); only == "" && text != "" && i.Section() == "interfaces" {
		b.WriteString(i.Name + "\n" + text + "\n")
	}
	if b.Len() == 0 {
		return "", fmt.Errorf("%s has no method %s%s", i.Of, only, hint(only, names))
	}
	return b.String(), nil
}

func explainMethod(b *strings.Builder, name, preset string, e *policy.Effective) {
	fmt.Fprintf(b, "%s\n", name)
	if e.None() {
		b.WriteString("  no policy\n")
	} else if preset == "testing" {
		b.WriteString("  preset testing: calls pass straight through, unless another is chosen at run time\n")
	}
	for _, k := range policy.Keys() {
		v, ok := e.Get(k.Path)
		if !ok || v.V == "" || k.Type == policy.Section || k.Type == policy.Part && (k.Path != "fallback" || answers(e)) {
			continue
		}
		fmt.Fprintf(b, "  %-42s %-24s %s\n", k.Path, valueText(v), v.Origin)
	}
	for _, d := range e.Dropped() {
		fmt.Fprintf(b, "  without %s: %s\n", d.Part, d.Why)
	}
	if !e.None() {
		fmt.Fprintf(b, "  nesting     %s\n  at worst    %s\n", nesting(e), worst(lint.WorstCase(e)))
	}
	if e.Has("retry") {
		fmt.Fprintf(b, "  attempts    %s\n", schedule(e))
	}
	b.WriteByte('\n')
}

// answers reports whether a key says who answers; without one it is a method of
// the generated fallback interface.
func answers(e *policy.Effective) bool {
	return slices.ContainsFunc([]string{"fallback.func", "fallback.to", "fallback.value"}, func(path string) bool {
		v, ok := e.Given(path)
		return ok && !v.None
	})
}

func valueText(v policy.Value) string {
	if v.None {
		return "none"
	}
	switch value := v.V.(type) {
	case policy.List:
		var names []string
		if value.Any {
			names = append(names, "any")
		}
		for _, n := range value.Names {
			names = append(names, n.Text)
		}
		return strings.Join(names, ", ")
	case time.Duration:
		return nice(value)
	case int:
		if v.Key.Type == policy.Bytes {
			return policy.SizeText(value)
		}
	}
	return fmt.Sprint(v.V)
}

// nesting lists the parts that are on, outermost first.
func nesting(e *policy.Effective) string {
	return strings.Join(append(e.Nesting(), "delegate"), " > ")
}

// schedule says when each attempt begins, if those before fail at once.
func schedule(e *policy.Effective) string {
	times := []string{"0s"}
	var low, high time.Duration
	_, prev := lint.Delay(e, 0, 0)
	for n := range min(e.Int("retry.maxAttempts"), 20) - 1 {
		least, most := lint.Delay(e, n, prev)
		prev = most
		low, high = low+least, high+most
		if low == high {
			times = append(times, nice(low))
		} else {
			times = append(times, nice(low)+"–"+nice(high))
		}
	}
	if e.Int("retry.maxAttempts") > 20 {
		times = append(times, "…")
	}
	return "at " + strings.Join(times, ", ") + ", if each fails at once"
}

var ruleNumber = regexp.MustCompile(`^(?i)RG[0-9][0-9A-F]*$`)

// IsRule reports whether the target of an explanation is the number of a check,
// or of one that there is not.
func IsRule(target string) bool { return ruleNumber.MatchString(target) }

// ExplainRule returns what there is to say about the check with the number.
func ExplainRule(id string) (string, error) {
	rule, ok := lint.Lookup(strings.ToUpper(id))
	if !ok {
		return "", fmt.Errorf("there is no check %s; docs/checks.md lists them", id)
	}
	return rule.Explain(), nil
}

// Rules returns every check, sorted by number.
func Rules() []lint.Rule { return lint.Rules() }
