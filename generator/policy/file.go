package policy

import (
	"fmt"
	"go/token"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// File is what one YAML file says, with the annotations that belong to it.
type File struct {
	Path    string   // "" if annotations are all there is
	Sources []string // for the header of the generated file: resilience.yaml

	Preset       string
	Permanent    []Name // expanded: no name of errors is left
	StatusOf     Name
	RetryAfterOf Name
	// Interfaces are in the order of the file, then of the annotations. Among them
	// are those of the handlers of workflows and pipelines.
	Interfaces []*Interface
	Workflows  []*Workflow
	Pipelines  []*Pipeline

	pos       Pos
	presetPos Pos
	permanent []Name // as written
	errors    []*list
	policies  []*namedPolicy
	sources   []*source

	lint        []ignore     // for all of the file
	ignoresUsed map[Pos]bool // the lint keys that silenced something
}

// list is a named list of matchers.
type list struct {
	name  Name
	items []Name
}

// namedPolicy is a policy with a name.
type namedPolicy struct {
	name  Name
	entry *entry
}

// Interface is an interface to wrap.
type Interface struct {
	Key string
	Pos Pos
	// Of is the Go interface, Gateway or import/path.Name.
	Of string
	// Name is the base of generated names.
	Name        string
	LeaveOutAll bool
	LeaveOut    []Name
	// Workflow or Pipeline is set where these are the handlers of one.
	Workflow *Workflow
	Pipeline *Pipeline
	// Sources are the names of the files that speak about it.
	Sources []string

	file     *File
	layers   []*entry // what is said about all methods: the file's, then the annotation's
	of       Name
	leavePos Pos
	methods  []*methods
}

// Section is the key of the file under which the interface stands.
func (i *Interface) Section() string {
	switch {
	case i.Workflow != nil:
		return "workflows"
	case i.Pipeline != nil:
		return "pipelines"
	}
	return "interfaces"
}

// Called is what the interface is called where its methods are named: handlers
// have the name of their workflow or pipeline.
func (i *Interface) Called() string {
	if i.synthetic() {
		return i.Key
	}
	return i.Name
}

// OfPos is where the Go interface is named.
func (i *Interface) OfPos() Pos {
	if i.synthetic() {
		return i.of.Pos
	}
	return i.Pos
}

// synthetic reports whether the interface is that of handlers.
func (i *Interface) synthetic() bool { return i.Workflow != nil || i.Pipeline != nil }

// methods is an entry for the methods that one of the patterns matches.
type methods struct {
	key      string
	pos      Pos // of the key
	patterns []pattern
	entry    *entry
}

// Out returns the name of the generated file: resilience_gen.go for
// resilience.yaml, payments_resilience_gen.go for payments.resilience.yaml.
func (f *File) Out() string {
	base := base(f.Path)
	base = strings.TrimSuffix(strings.TrimSuffix(base, ".yaml"), ".yml")
	prefix := strings.TrimSuffix(strings.TrimSuffix(base, "resilience"), ".")
	if f.Path == "" || prefix == "" {
		return "resilience_gen.go"
	}
	return strings.ReplaceAll(prefix, ".", "_") + "_resilience_gen.go"
}

// base returns the last element of a path of any system.
func base(name string) string { return path.Base(strings.ReplaceAll(name, `\`, "/")) }

// policy returns the policy of the file with the name, or nil.
func (f *File) policy(name string) *namedPolicy {
	for _, p := range f.policies {
		if p.name.Text == name {
			return p
		}
	}
	return nil
}

// inUse notes that the lint key has silenced something.
func (f *File) inUse(i ignore) {
	if f.ignoresUsed == nil {
		f.ignoresUsed = make(map[Pos]bool)
	}
	f.ignoresUsed[i.pos] = true
}

// Ignored returns the checks that lint keys of the file leave out, each with
// the place: for all of it, in policies, interfaces, methods.
func (f *File) Ignored() []Name {
	all := slices.Clone(f.lint)
	for _, p := range f.policies {
		all = append(all, p.entry.lint...)
	}
	for _, i := range f.Interfaces {
		for _, l := range i.layers {
			all = append(all, l.lint...)
		}
		for _, m := range i.methods {
			all = append(all, m.entry.lint...)
		}
	}
	list := make([]Name, len(all))
	for n, i := range all {
		list[n] = Name{Text: i.id, Pos: i.pos}
	}
	return list
}

// IgnoresNothing returns those that, so far, have found nothing there.
func (f *File) IgnoresNothing() []Name {
	return slices.DeleteFunc(f.Ignored(), func(n Name) bool { return f.ignoresUsed[n.Pos] })
}

func (f *File) list(name string) *list {
	for _, l := range f.errors {
		if l.name.Text == name {
			return l
		}
	}
	return nil
}

// file reads a YAML file.
func (r *reader) file() *File {
	f := &File{Path: r.in.Path, Sources: []string{base(r.in.Path)}, pos: r.pos(1, 1), sources: []*source{r.source}}
	root := r.parse()
	switch {
	case root == nil && len(r.errs) > 0:
		return f
	case root == nil || isNull(root):
		r.add(r.pos(1, 1), "", "", "the file is empty: start with version: 1 and interfaces:")
		return f
	case root.Kind != yaml.MappingNode:
		r.errorf(root, "", "a policy file is a mapping, like interfaces: {Gateway: {use: api}}, not %s", article(root))
		return f
	}
	list := pairs(root)
	if !slices.ContainsFunc(list, func(p pair) bool { return p.name == "version" }) {
		r.errorf(root, "version", "is missing: write version: 1")
	}
	for _, p := range list {
		r.fileKey(f, p)
	}
	return f
}

func (r *reader) fileKey(f *File, p pair) {
	k := Lookup(p.name)
	switch {
	case k == nil || k.Places&InFile == 0:
		r.unknown(p, "", InFile)
	case !k.Built:
		r.errorf(p.key, p.name, "not available yet")
	case isNull(p.value):
		r.errorf(p.key, p.name, "has no value%s", k.like())
	default:
		r.fileValue(f, k, p.value)
	}
}

func (r *reader) fileValue(f *File, k *Key, n *yaml.Node) {
	switch k.Path {
	case "version":
		if n.Kind != yaml.ScalarNode || n.Value != "1" || isString(n) {
			r.errorf(n, k.Path, "wants 1, the only version of the language there is, not %s", kindOf(n))
		}
	case "preset":
		f.Preset = r.word(k, n).Text
		f.presetPos = r.at(n)
	case "statusOf":
		f.StatusOf = r.word(k, n)
	case "retryAfterOf":
		f.RetryAfterOf = r.word(k, n)
	case "permanent":
		f.permanent = r.ownErrors(k.Path, n)
	case "lint":
		e := &entry{}
		r.lint(e, n)
		f.lint = e.lint
	case "errors":
		r.each(k, n, func(p pair) { r.errorList(f, p) })
	case "policies":
		r.each(k, n, func(p pair) { r.policy(f, p) })
	case "interfaces":
		r.each(k, n, func(p pair) { r.iface(f, p) })
	case "workflows":
		r.each(k, n, func(p pair) { r.workflow(f, p) })
	case "pipelines":
		r.each(k, n, func(p pair) { r.pipeline(f, p) })
	}
}

func (r *reader) word(k *Key, n *yaml.Node) Name {
	v, c := k.scalar(n)
	if c.bad() {
		r.add(r.at(n), c.id, k.Path, "%s", c.msg)
		return Name{}
	}
	if name, ok := v.(Name); ok {
		return Name{Text: name.Text, Pos: r.at(n)}
	}
	return Name{Text: v.(string), Pos: r.at(n)}
}

func (r *reader) each(k *Key, n *yaml.Node, read func(pair)) {
	if n.Kind != yaml.MappingNode {
		r.errorf(n, k.Path, "wants a mapping, not %s, like %s", article(n), k.Example)
		return
	}
	for _, p := range pairs(n) {
		read(p)
	}
}

// ownErrors reads a list that may not name what the runtime decides.
func (r *reader) ownErrors(key string, n *yaml.Node) []Name {
	names, _ := r.names(matcherList, key, n)
	kept := names[:0]
	for _, name := range names {
		if IsMatcher(name.Text) {
			r.add(name.Pos, "", key, "%s is decided by the runtime: name errors of your own", name.Text)
			continue
		}
		kept = append(kept, name)
	}
	return kept
}

func (r *reader) errorList(f *File, p pair) {
	key := "errors." + show(p.name)
	switch {
	case IsMatcher(p.name):
		r.errorf(p.key, key, "%s is a matcher of the language: choose another name", p.name)
		return
	case !token.IsIdentifier(p.name):
		r.errorf(p.key, key, "a list has a name like transient: a letter, then letters and digits")
		return
	}
	names, ok := r.names(matcherList, key, p.value)
	if ok && len(names) == 0 {
		r.errorf(p.value, key, "names nothing")
	}
	for _, n := range names {
		if n.Text == "Panic" {
			r.add(n.Pos, "", key, "Panic may be named in circuitBreaker.ignoreOn only")
		}
	}
	f.errors = append(f.errors, &list{name: Name{p.name, r.at(p.key)}, items: names})
}

func (r *reader) policy(f *File, p pair) {
	key := "policies." + show(p.name)
	switch {
	case builtin(p.name) != nil:
		r.errorf(p.key, key, "%s is built in: choose another name and write extends: %s", p.name, p.name)
		return
	case p.name == none || !isPolicyName(p.name):
		r.errorf(p.key, key, "a policy has a name like payments-api: letters, digits, - and _")
		return
	case p.value.Kind != yaml.MappingNode:
		r.errorf(p.value, key, "wants a mapping, not %s, like {extends: api, timeout: {total: 20s}}", article(p.value))
		return
	}
	var base Name
	e := r.entry(p.value, InPolicy, func(c pair) bool {
		base = r.policyRef("extends", c)
		return true
	})
	e.base = base
	if len(p.value.Content) == 0 {
		r.errorf(p.value, key, "is empty")
	}
	f.policies = append(f.policies, &namedPolicy{name: Name{p.name, r.at(p.key)}, entry: e})
}

// policyRef reads the name of a policy.
func (r *reader) policyRef(key string, p pair) Name {
	n := p.value
	switch {
	case n.Kind == yaml.SequenceNode:
		r.errorf(n, key, "wants the name of one policy; a policy extends one other, in chains")
	case plain(n, none) && key == "use":
		return Name{Text: none, Pos: r.at(n)} // the empty policy
	case !isString(n) || !isPolicyName(n.Value):
		r.errorf(n, key, "wants the name of a policy, like api, not %s", article(n))
	default:
		return Name{Text: n.Value, Pos: r.at(n)}
	}
	return Name{}
}

// baseName returns the name of an interface without its import path.
func baseName(of string) string {
	if i := strings.LastIndexByte(of, '/'); i >= 0 {
		of = of[i+1:]
	}
	if i := strings.LastIndexByte(of, '.'); i >= 0 {
		of = of[i+1:]
	}
	return of
}

// interfaceName complains about what names no Go interface.
func interfaceName(text string) error {
	i := strings.LastIndexByte(text, '.')
	if i < 0 && token.IsIdentifier(text) {
		return nil
	}
	if i <= 0 || !token.IsIdentifier(text[i+1:]) || i > 500 || !importPath.MatchString(text[:i]) {
		return fmt.Errorf("%q is not an interface: write Gateway for one of the package, import/path.Name for another", show(text))
	}
	return nil
}
