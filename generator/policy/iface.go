package policy

import (
	"go/token"
	"regexp"
	"slices"
	"sync"

	"gopkg.in/yaml.v3"
)

var (
	// Compiled when there is one, since letters of all languages take their time.
	policyName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\p{L}_][\p{L}\p{Nd}_-]*$`) })
	importPath = regexp.MustCompile(`^[A-Za-z0-9_~][A-Za-z0-9_.~/+-]*$`)
)

// isPolicyName bounds the length apart: a regular expression that counts is
// compiled into as many copies.
func isPolicyName(name string) bool { return len(name) <= 100 && policyName().MatchString(name) }

// iface reads an entry of interfaces.
func (r *reader) iface(f *File, p pair) {
	i := &Interface{Key: p.name, Of: p.name, Name: baseName(p.name), Pos: r.at(p.key), Sources: []string{base(r.in.Path)}, file: f}
	key := "interfaces." + show(p.name)
	switch {
	case isNull(p.value):
		// Annotations may say the rest.
	case p.value.Kind == yaml.MappingNode:
		r.interfaceKeys(i, p.value)
	case plain(p.value, none):
		i.layers = append(i.layers, &entry{pos: r.at(p.value), none: r.at(p.value)})
	case p.value.Kind == yaml.ScalarNode:
		r.errorf(p.value, key, "wants a mapping, not %s: write {use: %s}", article(p.value), show(p.value.Value))
	default:
		r.errorf(p.value, key, "wants a mapping, not %s", article(p.value))
	}
	if err := interfaceName(p.name); err != nil {
		r.errorf(p.key, key, "%s", err)
		return
	}
	if i.of.Text != "" && !token.IsIdentifier(p.name) {
		r.errorf(p.key, key, "beside of:, the name is the base of the generated names: a Go identifier, like Backup")
		return
	}
	if other := f.generated(i.Name); other != nil {
		r.add(r.at(p.key), "RG09A", key, "generates the names of %s, at %s: give one of them a name of its own with of:", other.Key, other.Pos)
		return
	}
	f.Interfaces = append(f.Interfaces, i)
}

// generated returns the interface of the file that name is generated for.
func (f *File) generated(name string) *Interface {
	for _, i := range f.Interfaces {
		if i.Name == name {
			return i
		}
	}
	return nil
}

func (r *reader) interfaceKeys(i *Interface, n *yaml.Node) {
	var base Name
	e := r.entry(n, InInterface, func(p pair) bool {
		if isNull(p.value) {
			r.errorf(p.key, p.name, "has no value%s", Lookup(p.name).like())
			return true
		}
		switch p.name {
		case "use":
			base = r.policyRef("use", p)
		case "of":
			r.of(i, p.value)
		case "leaveOut":
			r.leaveOut(i, p.value)
		case "methods":
			r.each(Lookup("methods"), p.value, func(p pair) { r.method(i, p) })
		}
		return true
	})
	e.base = base
	if e.base.Text != "" || len(e.values)+len(e.lint) > 0 {
		i.layers = append(i.layers, e)
	}
}

func (r *reader) of(i *Interface, n *yaml.Node) {
	if !isString(n) {
		r.errorf(n, "of", "wants an interface, like Gateway, not %s", article(n))
		return
	}
	if err := interfaceName(n.Value); err != nil {
		r.errorf(n, "of", "%s", err)
		return
	}
	i.of = Name{Text: n.Value, Pos: r.at(n)}
	i.Of = n.Value
	i.Name = i.Key
}

func (r *reader) leaveOut(i *Interface, n *yaml.Node) {
	i.leavePos = r.at(n)
	if plain(n, "all") {
		i.LeaveOutAll = true
		return
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		r.errorf(n, "leaveOut", "wants all or a list of methods, not %s", article(n))
		return
	}
	for _, c := range n.Content {
		name := Name{Text: c.Value, Pos: r.at(c)}
		switch {
		case !isString(c) || !token.IsIdentifier(c.Value):
			r.errorf(c, "leaveOut", "wants the name of a method, not %s", article(c))
		case slices.ContainsFunc(i.LeaveOut, func(n Name) bool { return n.Text == name.Text }):
			r.errorf(c, "leaveOut", "%s is named twice", c.Value)
		default:
			i.LeaveOut = append(i.LeaveOut, name)
		}
	}
}

// method reads an entry of methods.
func (r *reader) method(i *Interface, p pair) {
	key := "methods." + show(p.name)
	patterns, err := parsePatterns(p.name)
	if err != nil {
		r.errorf(p.key, key, "%s", err)
		return
	}
	if e := r.methodEntry(p.key, p.value, key); e != nil {
		i.methods = append(i.methods, &methods{key: p.name, pos: r.at(p.key), patterns: patterns, entry: e})
	}
}

// methodEntry reads what is said about a method.
func (r *reader) methodEntry(at, n *yaml.Node, key string) *entry {
	switch {
	case plain(n, none):
		return &entry{pos: r.at(n), none: r.at(n)}
	case isNull(n), n.Kind == yaml.MappingNode && len(n.Content) == 0:
		r.errorf(at, key, "is empty: write none to pass the method through, or leave it to the interface's use")
		return nil
	case n.Kind == yaml.ScalarNode:
		r.errorf(n, key, "wants a mapping or none, not %s: write {use: %s}", article(n), show(n.Value))
		return nil
	case n.Kind != yaml.MappingNode:
		r.errorf(n, key, "wants a mapping or none, not %s", article(n))
		return nil
	}
	var base Name
	e := r.entry(n, InMethod, func(p pair) bool {
		if p.name == "use" {
			base = r.policyRef("use", p)
		}
		return true
	})
	e.base = base
	return e
}

// annotation reads a directive on an interface or one of its methods.
func (r *reader) annotation() *Interface {
	i := &Interface{Key: r.in.Interface, Of: r.in.Interface, Name: r.in.Interface, Pos: r.pos(1, 1)}
	root := r.parse()
	if root == nil {
		if len(r.errs) > 0 || r.in.Method == "" {
			return i
		}
		root = &yaml.Node{Kind: yaml.MappingNode, Line: 1, Column: 1}
	}
	if r.in.Method != "" {
		if e := r.methodEntry(root, root, r.in.Method); e != nil {
			exact := []pattern{{text: r.in.Method, literal: exactLiteral}}
			i.methods = append(i.methods, &methods{key: r.in.Method, pos: r.pos(1, 1), patterns: exact, entry: e})
		}
		return i
	}
	if plain(root, none) {
		i.layers = append(i.layers, &entry{pos: r.at(root), none: r.at(root)})
		return i
	}
	if root.Kind != yaml.MappingNode {
		r.errorf(root, r.in.Interface, "wants a mapping, like {use: api}, not %s", article(root))
		return i
	}
	r.interfaceKeys(i, root)
	if i.of.Text != "" {
		r.add(i.of.Pos, "", "of", "an annotation stands on the interface it is about; a second wrapper needs a policy file")
		i.of, i.Of, i.Name = Name{}, r.in.Interface, r.in.Interface
	}
	return i
}
