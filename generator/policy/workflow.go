package policy

import (
	"fmt"
	"go/token"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// End stands among the successors of a node that ends its branch.
const End = "end"

// Workflow is an entry of workflows.
type Workflow struct {
	Settings
	Name      string
	Pos       Pos
	Entry     Name
	Nodes     []*Node
	Roles     []Role
	Forbid    []Handoff
	Schedules []*Schedule
	// Interface is that of the handlers, with the policies of the nodes that are
	// methods.
	Interface *Interface
}

// Node is a node of a [Workflow]. One of Signal, Workflow and Pipeline may be set:
// then it is no method.
type Node struct {
	Settings
	Name     Name
	Next     []Name
	NextPos  Pos // of the key; zero if it is missing
	WaitFor  []Name
	WaitPos  Pos
	WaitAny  bool
	Signal   Name
	Type     Name // of the signal; zero if it was not said
	Workflow Name
	Pipeline Name
}

// IsMethod reports whether the node is a method of the handlers.
func (n *Node) IsMethod() bool { return n.Signal.Text+n.Workflow.Text+n.Pipeline.Text == "" }

// MayMiss reports whether the node, which is a join, may go on without one of the
// results that it waits for.
func (n *Node) MayMiss() bool { return n.WaitAny || n.Dur("workflows.nodes.waitFor.timeout") > 0 }

// Role is a set of nodes.
type Role struct {
	Name  Name
	Nodes []Name
}

// Handoff is an edge between roles.
type Handoff struct{ From, To Name }

// Schedule is an entry of schedules.
type Schedule struct {
	Settings
	Name Name
}

// Pipeline is an entry of pipelines.
type Pipeline struct {
	Name      string
	Pos       Pos
	Stages    []*Stage
	StagesPos Pos
	// Interface is that of the handlers, with the policies of the stages.
	Interface *Interface
}

// Stage is a stage of a [Pipeline].
type Stage struct {
	Settings
	Name Name
}

// HasGraphs reports whether the files hold workflows or pipelines.
func (s *Set) HasGraphs() bool {
	return slices.ContainsFunc(s.Files, func(f *File) bool { return len(f.Workflows)+len(f.Pipelines) > 0 })
}

// Settings are the values of keys that have one.
type Settings struct{ values []Value }

// Given returns what is said about the key.
func (s Settings) Given(path string) (Value, bool) {
	for _, v := range s.values {
		if v.Key.Path == path {
			return v, true
		}
	}
	return Value{}, false
}

func said[T any](s Settings, path string) T {
	v, _ := s.Given(path)
	is, _ := v.V.(T)
	return is
}

// Dur returns the duration, zero if none is given.
func (s Settings) Dur(path string) time.Duration { return said[time.Duration](s, path) }

// Int returns the number, zero if none is given.
func (s Settings) Int(path string) int { return said[int](s, path) }

// Float returns the number, zero if none is given.
func (s Settings) Float(path string) float64 { return said[float64](s, path) }

// Str returns the text, "" if none is given.
func (s Settings) Str(path string) string { return said[string](s, path) }

// maxNodes bounds a workflow and a pipeline: no person has drawn a larger graph,
// and no file can make its proof slow.
const maxNodes = 1000

func (r *reader) workflow(f *File, p pair) {
	key := "workflows." + show(p.name)
	w := &Workflow{Name: p.name, Pos: r.at(p.key)}
	i := r.synthetic(f, p, "Nodes")
	i.Workflow, w.Interface = w, i
	if !r.named(p, key, "Research", "handlers: ResearchNodes, entry: Plan, nodes: {Plan: {next: [end]}}") {
		return
	}
	e := &entry{pos: r.at(p.value)}
	for _, c := range pairs(p.value) {
		r.entryKey(e, c, "workflows", InWorkflow, func(c pair) bool {
			r.workflowKey(w, c)
			return true
		})
	}
	w.values = e.values
	r.wanted(p, key, "handlers", "entry", "nodes")
	if i.Of == "" {
		return
	}
	f.Workflows = append(f.Workflows, w)
	f.Interfaces = append(f.Interfaces, i)
}

// synthetic makes the interface that the policies of nodes and stages belong to.
func (r *reader) synthetic(f *File, p pair, suffix string) *Interface {
	i := &Interface{Key: p.name, Name: p.name + suffix, Pos: r.at(p.key), Sources: []string{base(r.in.Path)}, file: f}
	e := &entry{pos: r.at(p.value)}
	i.layers = []*entry{e}
	return i
}

// named reports whether an entry has a name that generated names begin with, and
// is a mapping.
func (r *reader) named(p pair, key, like, example string) bool {
	switch {
	case !token.IsIdentifier(p.name):
		r.errorf(p.key, key, "the name is the base of generated names: a Go identifier, like %s", like)
	case p.value.Kind != yaml.MappingNode || len(p.value.Content) == 0:
		r.errorf(p.value, key, "wants a mapping, like {%s}, not %s", example, article(p.value))
	default:
		return true
	}
	return false
}

// wanted reports keys that are missing.
func (r *reader) wanted(p pair, key string, names ...string) {
	section, _, _ := strings.Cut(key, ".")
	for _, name := range names {
		if !slices.ContainsFunc(pairs(p.value), func(c pair) bool { return c.name == name }) {
			r.errorf(p.key, key, "wants %s", Lookup(section+"."+name).Example)
		}
	}
}

// handlersKey reads a key that workflows and pipelines share, and reports whether it is
// one, or has no value.
func (r *reader) handlersKey(i *Interface, k *Key, p pair) bool {
	if isNull(p.value) {
		r.errorf(p.key, k.Path, "has no value%s", k.like())
		return true
	}
	switch p.name {
	case "handlers":
		r.handlers(i, k, p.value)
	case "use":
		i.layers[0].base = r.policyRef("use", p)
	case "lint":
		r.lint(i.layers[0], p.value)
	default:
		return false
	}
	return true
}

func (r *reader) workflowKey(w *Workflow, p pair) {
	k := Lookup("workflows." + p.name)
	if r.handlersKey(w.Interface, k, p) {
		return
	}
	switch p.name {
	case "entry":
		w.Entry = r.nodeName(k.Path, p.value)
	case "nodes":
		r.each(k, p.value, func(c pair) { r.node(w, c) })
		if p.value.Kind == yaml.MappingNode && len(p.value.Content) == 0 {
			r.errorf(p.value, k.Path, "is empty: write what it shall be, like %s", k.Example)
		}
	case "roles":
		r.each(k, p.value, func(c pair) { r.role(w, c) })
	case "forbid":
		r.forbid(w, k, p.value)
	case "schedules":
		r.each(k, p.value, func(c pair) { r.schedule(w, c) })
	}
}

func (r *reader) handlers(i *Interface, k *Key, n *yaml.Node) {
	if !isString(n) {
		r.errorf(n, k.Path, "wants an interface%s, not %s", k.like(), article(n))
		return
	}
	if err := interfaceName(n.Value); err != nil {
		r.errorf(n, k.Path, "%s", err)
		return
	}
	i.Of, i.of = n.Value, Name{Text: n.Value, Pos: r.at(n)}
}

// nodeName reads the name of a node.
func (r *reader) nodeName(key string, n *yaml.Node) Name {
	if !isString(n) || !token.IsIdentifier(n.Value) {
		r.errorf(n, key, "wants the name of a node, like Plan, not %s", article(n))
		return Name{}
	}
	return Name{Text: n.Value, Pos: r.at(n)}
}

// nodeList reads a list of nodes.
func (r *reader) nodeList(key, example string, n *yaml.Node) []Name {
	if n.Kind == yaml.ScalarNode && isString(n) && token.IsIdentifier(n.Value) {
		r.errorf(n, key, "wants a list: write [%s]", show(n.Value))
		return nil
	}
	list, ok := r.names(&Key{Path: key, Type: Texts, item: notNode, Example: example}, key, n)
	if ok && len(list) == 0 {
		r.errorf(n, key, "names no node")
	}
	return list
}

func notNode(text string) string {
	if !token.IsIdentifier(text) {
		return fmt.Sprintf("%q is not the name of a node", show(text))
	}
	return ""
}

// node reads an entry of nodes: keys of its own, and those of a method.
func (r *reader) node(w *Workflow, p pair) {
	key := "workflows.nodes." + show(p.name)
	n := &Node{Name: Name{p.name, r.at(p.key)}}
	switch {
	case p.name == End:
		r.errorf(p.key, key, "%s is where branches end: choose another name", End)
		return
	case !token.IsIdentifier(p.name):
		r.errorf(p.key, key, "a node is a method of the handlers, or has such a name: a letter, then letters and digits")
		return
	case len(w.Nodes) == maxNodes:
		r.errorf(p.key, key, "more than %d nodes", maxNodes)
		return
	case p.value.Kind != yaml.MappingNode || len(p.value.Content) == 0:
		r.errorf(p.value, key, "wants a mapping, like {next: [%s]}, not %s", End, article(p.value))
		return
	}
	own, policies := &entry{}, &entry{pos: r.at(p.value)}
	var said []pair
	for _, c := range pairs(p.value) {
		if k := Lookup("workflows.nodes." + c.name); k != nil {
			r.entryKey(own, c, "workflows.nodes", InNode, func(c pair) bool {
				r.nodeKey(n, own, c)
				return true
			})
			continue
		}
		said = append(said, c)
		r.policyKey(policies, c, InNode)
	}
	n.values = own.values
	r.kindOfNode(n, key, said)
	w.Nodes = append(w.Nodes, n)
	if n.IsMethod() {
		w.Interface.add(p.name, n.Name.Pos, policies)
	}
}

// policyKey reads a key of a method that stands among those of a node or a stage.
func (r *reader) policyKey(e *entry, p pair, place Place) {
	if k := Lookup(p.name); k == nil || k.Places&InMethod == 0 {
		r.unknown(p, "", InMethod|place)
		return
	}
	r.entryKey(e, p, "", InMethod, func(p pair) bool {
		if p.name == "use" {
			e.base = r.policyRef("use", p)
		}
		return true
	})
}

// add adds the policy of a method.
func (i *Interface) add(name string, pos Pos, e *entry) {
	exact := []pattern{{text: name, literal: exactLiteral}}
	i.methods = append(i.methods, &methods{key: name, pos: pos, patterns: exact, entry: e})
}

func (r *reader) nodeKey(n *Node, e *entry, p pair) {
	k := Lookup("workflows.nodes." + p.name)
	if isNull(p.value) {
		r.errorf(p.key, k.Path, "has no value%s", k.like())
		return
	}
	switch p.name {
	case "next":
		n.NextPos = r.at(p.key)
		n.Next = r.nodeList(k.Path, k.Example, p.value)
	case "waitFor":
		r.waitFor(n, e, k, p.value)
	case "signal":
		r.signal(n, e, k, p.value)
	case "workflow":
		n.Workflow = r.reference(k, p.value)
	case "pipeline":
		n.Pipeline = r.reference(k, p.value)
	}
}

// reference reads the name of a workflow or a pipeline.
func (r *reader) reference(k *Key, n *yaml.Node) Name {
	if !isString(n) || !token.IsIdentifier(n.Value) {
		r.errorf(n, k.Path, "wants a name%s, not %s", k.like(), article(n))
		return Name{}
	}
	return Name{Text: n.Value, Pos: r.at(n)}
}

// kindOfNode refuses a node of two kinds, and keys that its kind has no use for.
func (r *reader) kindOfNode(n *Node, key string, policies []pair) {
	kind := ""
	for _, is := range []struct {
		kind string
		name Name
	}{{"a signal", n.Signal}, {"another workflow", n.Workflow}, {"a pipeline", n.Pipeline}} {
		switch {
		case is.name.Text == "":
		case kind != "":
			r.add(is.name.Pos, "", key, "is %s already, and cannot be %s, too", kind, is.kind)
		default:
			kind = is.kind
		}
	}
	if kind == "" {
		return
	}
	for _, p := range policies {
		r.errorf(p.key, p.name, "%s is %s and no method: it has no policy", n.Name.Text, kind)
	}
	if v, ok := n.Given("workflows.nodes.memory"); ok {
		r.add(v.Pos, "", v.Key.Path, "%s is %s and no method: nothing of it remembers", n.Name.Text, kind)
	}
	if n.WaitPos.IsValid() && n.Signal.Text != "" {
		r.add(n.WaitPos, "", "workflows.nodes.waitFor", "a node that waits for a signal cannot be a join: let it follow one")
	}
}

func (r *reader) waitFor(n *Node, e *entry, k *Key, y *yaml.Node) {
	n.WaitPos = r.at(y)
	if y.Kind != yaml.MappingNode {
		n.WaitFor = r.nodeList(k.Path, k.Example, y)
		return
	}
	var timeout *yaml.Node
	for _, p := range pairs(y) {
		path := k.Path + "." + p.name
		switch p.name {
		case "any", "all":
			if n.WaitFor != nil {
				r.errorf(p.key, path, "give one of any and all")
				continue
			}
			n.WaitAny = p.name == "any"
			n.WaitFor = r.nodeList(path, Lookup(path).Example, p.value)
		case "timeout":
			timeout = p.key
			r.entryKey(e, p, k.Path, InNode, nil)
		default:
			r.unknown(p, k.Path, InNode)
		}
	}
	switch {
	case n.WaitFor == nil:
		r.errorf(y, k.Path, "wants any: […] or all: […]")
	case n.WaitAny && timeout != nil:
		r.errorf(timeout, k.Path+".timeout", "any goes on with the first result, and has nothing left to wait for: write all")
	case !n.WaitAny && timeout == nil:
		r.errorf(y, k.Path, "all without a timeout is a plain list: write the list")
	}
}

func (r *reader) signal(n *Node, e *entry, k *Key, y *yaml.Node) {
	name := Lookup(k.Path + ".name")
	if y.Kind != yaml.MappingNode {
		n.Signal = r.word(name, y)
		return
	}
	for _, p := range pairs(y) {
		switch {
		case Lookup(k.Path+"."+p.name) == nil:
			r.unknown(p, k.Path, InNode)
		case isNull(p.value):
			r.errorf(p.key, k.Path+"."+p.name, "has no value%s", Lookup(k.Path+"."+p.name).like())
		case p.name == "name":
			n.Signal = r.word(name, p.value)
		case p.name == "type":
			n.Type = r.goType(k.Path+".type", p.value)
		default:
			r.entryKey(e, p, k.Path, InNode, nil)
		}
	}
	if !slices.ContainsFunc(pairs(y), func(p pair) bool { return p.name == "name" }) {
		r.errorf(y, k.Path, "wants the name of the signal, like {name: approval, timeout: 48h}")
	}
}

// goType reads the name of a type of the package, or of one that it imports.
func (r *reader) goType(key string, n *yaml.Node) Name {
	if !isString(n) || !token.IsIdentifier(n.Value) && !isQualified(n.Value) {
		r.errorf(n, key, "%s is not the name of a Go type, like Approval or time.Time", kindOf(n))
		return Name{}
	}
	return Name{Text: n.Value, Pos: r.at(n)}
}

func (r *reader) role(w *Workflow, p pair) {
	key := "workflows.roles." + show(p.name)
	switch {
	case !isPolicyName(p.name):
		r.errorf(p.key, key, "a role has a name like planner: letters, digits, - and _")
	case isNull(p.value):
		r.errorf(p.key, key, "has no value, like planner: [Plan]")
	default:
		list := r.nodeList(key, Lookup("workflows.roles").Example, p.value)
		w.Roles = append(w.Roles, Role{Name{p.name, r.at(p.key)}, list})
	}
}

func (r *reader) forbid(w *Workflow, k *Key, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		r.errorf(n, k.Path, "wants a list of hand-offs%s, not %s", k.like(), article(n))
		return
	}
	seen := map[string]bool{}
	for _, c := range n.Content {
		from, to, ok := strings.Cut(c.Value, "->")
		from, to = strings.TrimSpace(from), strings.TrimSpace(to)
		switch {
		case !isString(c) || !ok || !isPolicyName(from) || !isPolicyName(to):
			r.errorf(c, k.Path, "wants two roles, like \"worker -> worker\", not %s", article(c))
		case seen[from+"->"+to]:
			r.errorf(c, k.Path, "%s -> %s is named twice", from, to)
		default:
			seen[from+"->"+to] = true
			w.Forbid = append(w.Forbid, Handoff{Name{from, r.at(c)}, Name{to, r.at(c)}})
		}
	}
}

func (r *reader) schedule(w *Workflow, p pair) {
	key := "workflows.schedules." + show(p.name)
	if !isPolicyName(p.name) {
		r.errorf(p.key, key, "a schedule has a name like nightly: letters, digits, - and _")
		return
	}
	if p.value.Kind != yaml.MappingNode || len(p.value.Content) == 0 {
		r.errorf(p.value, key, "wants a mapping, like {every: 1h, input: nightly}, not %s", article(p.value))
		return
	}
	e := &entry{}
	for _, c := range pairs(p.value) {
		r.entryKey(e, c, "workflows.schedules", InWorkflow, nil)
	}
	s := &Schedule{Name: Name{p.name, r.at(p.key)}, Settings: Settings{e.values}}
	names := map[string]pair{}
	for _, c := range pairs(p.value) {
		names[c.name] = c
	}
	every, hasEvery := names["every"]
	_, hasCron := names["cron"]
	_, hasInput := names["input"]
	zone, hasZone := names["timeZone"]
	switch {
	case hasEvery && hasCron:
		r.errorf(every.key, key, "give one of every and cron")
	case !hasEvery && !hasCron:
		r.errorf(p.key, key, "wants every: 1h, or cron: \"0 3 * * *\"")
	case hasEvery && hasZone:
		r.errorf(zone.key, "workflows.schedules.timeZone", "acts only beside cron")
	}
	if !hasInput {
		r.errorf(p.key, key, "wants input: a func that returns the input of the run")
	}
	w.Schedules = append(w.Schedules, s)
}

func (r *reader) pipeline(f *File, p pair) {
	key := "pipelines." + show(p.name)
	w := &Pipeline{Name: p.name, Pos: r.at(p.key)}
	i := r.synthetic(f, p, "Stages")
	i.Pipeline, w.Interface = w, i
	if !r.named(p, key, "Invocation", "handlers: InvocationStages, stages: [{Execute: {use: api}}]") {
		return
	}
	e := &entry{pos: r.at(p.value)}
	for _, c := range pairs(p.value) {
		r.entryKey(e, c, "pipelines", InPipeline, func(c pair) bool {
			r.pipelineKey(w, c)
			return true
		})
	}
	r.wanted(p, key, "handlers", "stages")
	if i.Of == "" {
		return
	}
	f.Pipelines = append(f.Pipelines, w)
	f.Interfaces = append(f.Interfaces, i)
}

func (r *reader) pipelineKey(w *Pipeline, p pair) {
	k := Lookup("pipelines." + p.name)
	if r.handlersKey(w.Interface, k, p) || p.name != "stages" {
		return
	}
	w.StagesPos = r.at(p.key)
	if p.value.Kind != yaml.SequenceNode || len(p.value.Content) == 0 {
		r.errorf(p.value, k.Path, "wants a list of stages%s, not %s", k.like(), article(p.value))
		return
	}
	for _, c := range p.value.Content {
		r.stage(w, c)
	}
}

// stage reads an entry of stages: {Execute: {use: api}}, or Execute alone.
func (r *reader) stage(w *Pipeline, n *yaml.Node) {
	key := "pipelines.stages"
	name, policy := n, (*yaml.Node)(nil)
	if n.Kind == yaml.MappingNode && len(pairs(n)) == 1 {
		name, policy = pairs(n)[0].key, pairs(n)[0].value
	}
	switch {
	case !isString(name) || !token.IsIdentifier(name.Value):
		r.errorf(n, key, "wants a stage, like {Execute: {use: api}}, or a list of them, each behind a dash, not %s", article(n))
		return
	case len(w.Stages) == maxNodes:
		r.errorf(n, key, "more than %d stages", maxNodes)
		return
	}
	key += "." + show(name.Value)
	at := r.at(name)
	for _, other := range w.Stages {
		if other.Name.Text == name.Value {
			r.errorf(name, key, "stands in the pipeline twice, first at %s", other.Name.Pos)
			return
		}
	}
	if policy != nil && (policy.Kind != yaml.MappingNode || len(policy.Content) == 0) {
		r.errorf(policy, key, "wants a mapping, like {use: api}, or the name alone")
		return
	}
	own, policies := &entry{}, &entry{pos: at}
	if policy != nil {
		policies.pos = r.at(policy)
		for _, c := range pairs(policy) {
			if c.name == "optional" {
				r.entryKey(own, c, "pipelines.stages", InStage, nil)
				continue
			}
			r.policyKey(policies, c, InStage)
		}
	}
	w.Stages = append(w.Stages, &Stage{Settings{own.values}, Name{name.Value, at}})
	w.Interface.add(name.Value, at, policies)
}
