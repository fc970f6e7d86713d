package policy

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Input is one source of policies: a YAML file, or an annotation.
type Input struct {
	Path string // as it shall stand in messages
	Data []byte
}

// Set is everything that a package declares.
type Set struct{ Files []*File }

// File is one policy file.
type File struct {
	Path   string
	Preset string
	// Permanent are errors of the package that are never retried, never held
	// against the peer and get no fallback.
	Permanent []Name
	// StatusOf and RetryAfterOf are funcs, for errors without methods for it.
	StatusOf, RetryAfterOf Name
	Interfaces             []*Interface

	preset   Pos
	policies map[string]*named
	order    []string
	errors   map[string][]Name
	src      *source
}

// named is an entry of policies.
type named struct {
	name    string
	pos     Pos
	extends Name
	body    body
	used    bool
}

// Interface is an entry of interfaces.
type Interface struct {
	Key string
	Pos Pos
	Of  string // the Go interface: "Gateway" or "import/path.Name"
	// Name is the base of generated names.
	Name        string
	LeaveOutAll bool
	LeaveOut    []Name

	file    *File
	entry   entry
	methods []entry
}

// entry is what an interface or a method is given.
type entry struct {
	key  string
	pos  Pos
	none bool
	use  Name
	body body
}

// Read reads every input. Its error is [Errors], all at once.
func Read(inputs []Input) (*Set, error) {
	set := &Set{}
	var errs Errors
	owner := map[string]*Interface{}
	for _, in := range inputs {
		s := &source{path: in.Path}
		f := s.readFile(in)
		for _, i := range f.Interfaces {
			if first := owner[i.Name]; first != nil {
				s.complain(i.Pos, "", i.Key, "Resilient"+i.Name+" is already declared at "+first.Pos.String()+"; give one another name with of:")
				continue
			}
			owner[i.Name] = i
		}
		errs = append(errs, s.errs...)
		set.Files = append(set.Files, f)
	}
	if len(errs) > 0 {
		return nil, errs.Sorted()
	}
	return set, nil
}

var rootKeys = []string{"version", "preset", "errors", "policies", "permanent", "statusOf", "retryAfterOf", "interfaces"}
var laterKeys = []string{"workflows", "pipelines", "lint", "health"}

func (s *source) readFile(in Input) *File {
	f := &File{Path: in.Path, src: s, policies: map[string]*named{}, errors: map[string][]Name{}}
	root := s.parse(in.Data)
	if root == nil {
		return f
	}
	version := false
	for i := 0; i+1 < len(root.Content); i += 2 {
		k, v := root.Content[i], root.Content[i+1]
		switch k.Value {
		case "version":
			version = true
			if v.Value != "1" {
				s.errorf(v, "", "version", "want 1, not %s", quoted(v.Value))
			}
		case "preset":
			f.readPreset(v)
		case "errors":
			s.each("errors", v, func(name, item *yaml.Node) {
				f.errors[name.Value], _ = s.readNames("errors."+name.Value, item)
			})
		case "permanent":
			f.Permanent, _ = s.readNames("permanent", v)
		case "statusOf":
			f.StatusOf = s.readName("statusOf", v)
		case "retryAfterOf":
			f.RetryAfterOf = s.readName("retryAfterOf", v)
		case "policies":
			s.each("policies", v, f.readPolicy)
		case "interfaces":
			s.each("interfaces", v, f.readInterface)
		default:
			if slices.Contains(laterKeys, k.Value) {
				s.errorf(k, "", k.Value, "not available yet")
				continue
			}
			s.unknown(k, k.Value, rootKeys)
		}
	}
	if !version {
		s.errorf(root, "", "version", "is missing; write version: 1")
	}
	f.Permanent = f.names(f.Permanent)
	f.checkChains()
	return f
}

// readName reads one Go identifier.
func (s *source) readName(key string, n *yaml.Node) Name {
	if n.Kind != yaml.ScalarNode {
		s.errorf(n, "RG092", key, "want the name of a func")
		return Name{}
	}
	names, ok := s.readNames(key, n)
	if !ok {
		return Name{}
	}
	return names[0]
}

// each calls do for every entry of the mapping n.
func (s *source) each(key string, n *yaml.Node, do func(name, v *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		s.errorf(n, "", key, "want a mapping of names")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		do(n.Content[i], n.Content[i+1])
	}
}

func (f *File) readPreset(n *yaml.Node) {
	if !slices.Contains([]string{"production", "development", "testing"}, n.Value) {
		f.src.errorf(n, "", "preset", "want production, development or testing, not %s", quoted(n.Value))
		return
	}
	f.Preset, f.preset = n.Value, f.src.pos(n)
}

func (f *File) readPolicy(name, v *yaml.Node) {
	key := "policies." + name.Value
	p := &named{name: name.Value, pos: f.src.pos(name), body: body{}}
	switch {
	case v.Kind != yaml.MappingNode:
		f.src.errorf(v, "", key, "want a mapping of policies such as {retry: {maxAttempts: 4}}")
		return
	case builtin[name.Value] != nil || name.Value == "none":
		f.src.errorf(name, "", key, "the name %s is built in; choose another and say extends: %s", name.Value, name.Value)
		return
	}
	rest := &yaml.Node{Kind: yaml.MappingNode, Line: v.Line, Column: v.Column}
	for i := 0; i+1 < len(v.Content); i += 2 {
		if v.Content[i].Value == "extends" {
			p.extends = Name{v.Content[i+1].Value, f.src.pos(v.Content[i+1])}
			continue
		}
		rest.Content = append(rest.Content, v.Content[i], v.Content[i+1])
	}
	f.src.readBody(p.body, "", rest)
	f.policies[p.name] = p
	f.order = append(f.order, p.name)
}

func (f *File) readInterface(name, v *yaml.Node) {
	i := &Interface{Key: name.Value, Pos: f.src.pos(name), Of: name.Value, file: f}
	if v.Kind == yaml.ScalarNode && v.Value == "none" {
		i.entry = entry{key: name.Value, pos: i.Pos, none: true}
	} else if v.Kind != yaml.MappingNode {
		f.src.errorf(v, "", "interfaces."+name.Value, "want a mapping such as {use: api}, or none")
		return
	} else {
		i.entry = f.src.readEntry(name, f.interfaceKeys(i, v))
	}
	i.Name = i.Key[strings.LastIndexByte(i.Key, '.')+1:]
	if !isName(i.Name) {
		f.src.errorf(name, "", "interfaces", "want an interface of the package, \"import/path.Name\", or a Go identifier with of:, not %s", quoted(i.Key))
		return
	}
	f.Interfaces = append(f.Interfaces, i)
}

// interfaceKeys reads the keys that only interfaces have and returns the rest.
func (f *File) interfaceKeys(i *Interface, v *yaml.Node) *yaml.Node {
	rest := &yaml.Node{Kind: yaml.MappingNode, Line: v.Line, Column: v.Column}
	for j := 0; j+1 < len(v.Content); j += 2 {
		k, item := v.Content[j], v.Content[j+1]
		switch k.Value {
		case "of":
			i.Of = item.Value
		case "leaveOut":
			if item.Value == "all" {
				i.LeaveOutAll = true
				continue
			}
			i.LeaveOut, _ = f.src.readNames("leaveOut", item)
		case "methods":
			f.src.each("methods", item, func(name, v *yaml.Node) { i.methods = append(i.methods, f.readMethod(name, v)) })
		default:
			rest.Content = append(rest.Content, k, item)
		}
	}
	return rest
}

func (f *File) readMethod(name, v *yaml.Node) entry {
	switch {
	case v.Kind == yaml.ScalarNode && v.Value == "none":
		return entry{key: name.Value, pos: f.src.pos(name), none: true}
	case v.Kind != yaml.MappingNode:
		f.src.errorf(v, "", name.Value, "want a mapping such as {use: api, idempotent: true}, or none")
		return entry{key: name.Value, pos: f.src.pos(name)}
	}
	return f.src.readEntry(name, v)
}

// readEntry reads use and the policies of an interface or a method.
func (s *source) readEntry(name, v *yaml.Node) entry {
	e := entry{key: name.Value, pos: s.pos(name), body: body{}}
	rest := &yaml.Node{Kind: yaml.MappingNode, Line: v.Line, Column: v.Column}
	for i := 0; i+1 < len(v.Content); i += 2 {
		if v.Content[i].Value == "use" {
			e.use = Name{v.Content[i+1].Value, s.pos(v.Content[i+1])}
			continue
		}
		rest.Content = append(rest.Content, v.Content[i], v.Content[i+1])
	}
	s.readBody(e.body, "", rest)
	return e
}

// Out returns the name of the generated file: resilience.yaml makes
// resilience_gen.go, payments.resilience.yaml payments_resilience_gen.go.
func (f *File) Out() string {
	base := f.Path[strings.LastIndexByte(f.Path, '/')+1:]
	base = strings.TrimSuffix(strings.TrimSuffix(base, ".yaml"), ".yml")
	return strings.ReplaceAll(base, ".", "_") + "_gen.go"
}

// Error returns a complaint about a place of the file.
func (f *File) Error(pos Pos, id, key, msg string) *Error {
	return &Error{Pos: pos, ID: id, Key: key, Msg: msg, Line: f.src.line(pos.Line)}
}
