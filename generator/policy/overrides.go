package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"gopkg.in/yaml.v3"
)

// Override is what an overrides file says about one key of running policies.
type Override struct {
	// Name is an interface ("payments.Gateway", "payments.Gateway@eu",
	// "example.com/payments.Gateway"), a method or a glob over methods
	// ("payments.Gateway.Get*"), or "" for everything.
	Name string
	// Key is the path of a [Key] that may change at run time, a part, or "disable".
	Key string
	// Value is as in YAML; a list has commas between.
	Value string
	Pos   Pos
}

const disable = "disable"

// ReadOverrides reads an overrides file: the shape of a policy file, with
// interfaces by their qualified names, the keys that may change at run time, and
// disable at every level. A key that is compiled in is an error, and so is
// everything that is one in a policy file. The error is of type Errors; what could
// be read is returned beside it, so that it can be looked at, too.
func ReadOverrides(in Input) ([]Override, error) {
	o := &overridesReader{reader: &reader{newSource(in)}}
	o.overrides = true
	o.file()
	if len(o.errs) > 0 {
		return o.list, o.errs.Sorted()
	}
	return o.list, nil
}

type overridesReader struct {
	*reader
	list []Override
}

func (o *overridesReader) file() {
	root := o.parse()
	switch {
	case root == nil && len(o.errs) > 0:
		return
	case root == nil || isNull(root):
		o.add(o.pos(1, 1), "", "", "the file is empty: start with version: 1")
		return
	case root.Kind != yaml.MappingNode:
		o.errorf(root, "", "an overrides file is a mapping, like interfaces: {payments.Gateway: {retry: {maxAttempts: 2}}}, not %s", article(root))
		return
	}
	list := pairs(root)
	if !slices.ContainsFunc(list, func(p pair) bool { return p.name == "version" }) {
		o.errorf(root, "version", "is missing: write version: 1")
	}
	for _, p := range list {
		o.fileKey(p)
	}
}

func (o *overridesReader) fileKey(p pair) {
	f := &File{}
	switch k := Lookup(p.name); {
	case p.name == disable:
		o.disable("", p)
	case k == nil || k.Places&InFile == 0:
		o.unknown(p, "", InFile)
	case !k.Built:
		o.errorf(p.key, p.name, "not available yet")
	case isNull(p.value):
		o.errorf(p.key, p.name, "has no value%s", k.like())
	case k.Path == "version":
		o.fileValue(f, k, p.value)
	case k.Path == "preset":
		o.fileValue(f, k, p.value)
		o.list = append(o.list, Override{Key: k.Path, Value: f.Preset, Pos: o.at(p.value)})
	case k.Path == "interfaces":
		o.each(k, p.value, o.iface)
	default:
		o.add(o.at(p.key), "RG099", p.name, compiledIn)
	}
}

const compiledIn = "compiled in: change the policy file and generate again"

func (o *overridesReader) iface(p pair) {
	key := "interfaces." + show(p.name)
	switch {
	case strings.IndexFunc(p.name, func(c rune) bool { return !unicode.IsPrint(c) || strings.ContainsRune(" *?,", c) }) >= 0 || p.name == "":
		o.errorf(p.key, key, "wants a qualified name, like payments.Gateway")
	case p.value.Kind != yaml.MappingNode || len(p.value.Content) == 0:
		o.errorf(p.value, key, "wants a mapping, like {retry: {maxAttempts: 2}}, not %s", article(p.value))
	default:
		o.entryOf(p.name, p.value, InInterface)
	}
}

// entryOf reads what is said of a name.
func (o *overridesReader) entryOf(name string, n *yaml.Node, place Place) {
	e := &entry{}
	for _, p := range pairs(n) {
		switch {
		case p.name == disable:
			o.disable(name, p)
		case p.name == "methods" && place == InInterface && p.value.Kind == yaml.MappingNode:
			for _, m := range pairs(p.value) {
				o.methods(name, m)
			}
		case p.name == "lint":
			o.add(o.at(p.key), "RG099", p.name, compiledIn)
		default:
			o.entryKey(e, p, "", place, func(p pair) bool {
				o.add(o.at(p.key), "RG099", p.name, compiledIn)
				return true
			})
		}
	}
	for _, v := range e.values {
		o.value(name, v)
	}
}

func (o *overridesReader) methods(iface string, p pair) {
	key := "methods." + show(p.name)
	patterns, err := parsePatterns(p.name)
	switch {
	case err != nil:
		o.errorf(p.key, key, "%s", err)
	case p.value.Kind != yaml.MappingNode || len(p.value.Content) == 0:
		o.errorf(p.value, key, "wants a mapping, like {retry: {maxAttempts: 2}}, not %s", article(p.value))
	default:
		own, instance := iface, ""
		if i := strings.IndexAny(iface, "@#"); i >= 0 {
			own, instance = iface[:i], iface[i:]
		}
		for _, pattern := range patterns {
			o.entryOf(own+between(own)+pattern.text+instance, p.value, InMethod)
		}
	}
}

// between is what stands between the name of an interface and that of a method: the
// guards of nodes have a path, workflow/Research/Plan.
func between(name string) string {
	if strings.Contains(name, ".") || !strings.HasPrefix(name, "workflow/") && !strings.HasPrefix(name, "pipeline/") {
		return "."
	}
	return "/"
}

// disable reads a list of parts to take out.
func (o *overridesReader) disable(name string, p pair) {
	n := p.value
	if n.Kind != yaml.SequenceNode {
		o.errorf(n, disable, "wants a list of parts, like [retry], not %s", article(n))
		return
	}
	var parts []string
	for _, c := range n.Content {
		switch k := Lookup(c.Value); {
		case isString(c) && isDurable(c.Value):
			o.errorf(c, disable, "%s stays, so that nothing is lost or done twice: Runtime.SetDurable and RESILIENCE_DURABLE switch off what is durable", c.Value)
		case isString(c) && slices.Contains(Parts(), c.Value):
			parts = append(parts, c.Value)
		case isString(c) && k != nil && !k.Built:
			o.errorf(c, disable, "%s is not available yet", c.Value)
		default:
			o.errorf(c, disable, "there is no part %s%s", show(c.Value), hint(c.Value, Parts()))
		}
	}
	o.list = append(o.list, Override{Name: name, Key: disable, Value: strings.Join(parts, ","), Pos: o.at(n)})
}

// isDurable reports whether no switch but one of its own takes the part out.
func isDurable(part string) bool { return part == "deadLetter" || part == "checkpoint" }

// value adds what is said of one key.
func (o *overridesReader) value(name string, v Value) {
	k := v.Key
	say := func(path, value string) {
		o.list = append(o.list, Override{Name: name, Key: path, Value: value, Pos: v.Pos})
	}
	switch {
	case !k.RunTime:
		o.add(v.Pos, "RG099", k.Path, compiledIn)
	case k.Type == Part && v.None:
		say(k.Path, none)
	case k.Type == Part:
		say(k.Path, "true")
	case k.Type == Section && v.None:
		for _, child := range children(k.Path, inEntry) {
			say(child.Path, "")
		}
	case k.Type == Section:
	case v.None:
		say(k.Path, k.Unset)
	default:
		say(k.Path, v.runTimeText())
	}
}

// runTimeText returns the value as the runtime reads it.
func (v Value) runTimeText() string {
	switch x := v.V.(type) {
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case []time.Duration:
		words := make([]string, len(x))
		for i, d := range x {
			words[i] = d.String()
		}
		return strings.Join(words, ",")
	}
	return fmt.Sprint(v.V)
}
