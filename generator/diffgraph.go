package generator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
)

// graphDiff is what changes from one graph of a workflow to another.
type graphDiff struct {
	g     *graph
	was   *policy.Workflow
	made  oldGraph // zero: types and fingerprint are not known
	known bool
	old   []*wired
	now   []*wired
	// renamed has the present names of nodes that look renamed by the old ones.
	renamed map[string]string
	moved   bool // the runtime has been told so by workflow.Migrate
	list    []Change
}

// wired is a node of a workflow in one of two graphs.
type wired struct {
	*policy.Node
	next, waits []string
	in          []shaped
	out         shaped
}

// graphChanges returns what changed in the workflows and pipelines that both sets
// have. made are the workflows as they were generated before.
func (all *resolution) graphChanges(before *policy.Set, made map[string]oldGraph) []Change {
	workflows, pipelines := map[string]*policy.Workflow{}, map[string]*policy.Pipeline{}
	for _, f := range before.Files {
		for _, w := range f.Workflows {
			workflows[w.Name] = w
		}
		for _, p := range f.Pipelines {
			pipelines[p.Name] = p
		}
	}
	var list []Change
	for _, r := range all.resolvers {
		for _, g := range r.graphs {
			if was := workflows[g.in.Name]; was != nil {
				d := &graphDiff{g: g, was: was}
				d.made, d.known = made[g.in.Name]
				list = append(list, d.changes()...)
			}
		}
		for _, p := range r.pipelines {
			if was := pipelines[p.in.Name]; was != nil {
				list = append(list, p.changesSince(was)...)
			}
		}
		for i := range list {
			if list[i].line == "" {
				list[i].line = r.file.Error(list[i].Pos, "", "", "").Line
			}
		}
	}
	return list
}

func (d *graphDiff) changes() []Change {
	d.wire()
	d.renames()
	d.values("", "", "workflows.", policy.InWorkflow, d.was.Settings, d.g.in.Settings, d.g.in.Pos)
	d.word("", "entry", d.was.Entry.Text, d.g.in.Entry.Text, d.g.in.Entry.Pos)
	d.sharing()
	d.schedules()
	for _, n := range d.now {
		old := d.before(n)
		switch {
		case old == nil:
			d.add(Change{Change: lint.Change{Kind: Other, Key: "the node", New: "on", Pos: n.Name.Pos}, Method: n.Name.Text})
		default:
			d.node(old, n)
		}
	}
	for _, old := range d.old {
		if d.after(old) == nil {
			d.add(Change{Change: lint.Change{Kind: Other, Key: "the node", Old: "on", Pos: d.g.in.Pos}, Method: old.Name.Text})
		}
	}
	d.judge()
	return d.list
}

// add adds a change of the workflow.
func (d *graphDiff) add(c Change) {
	c.Interface = d.g.in.Name
	if c.Kind == Weaker {
		c.Ignored = d.g.r.excuse(d.g.in.Interface, c.Method)
	}
	d.list = append(d.list, c)
}

// excuse returns the reason for which a method may get weaker; for no method, that
// of all of them.
func (r *resolver) excuse(i *policy.Interface, method string) string {
	var last string
	for _, g := range r.guarded {
		for _, e := range g.methods {
			if g.iface != i || method != "" && e.Method != method {
				continue
			}
			reason, ok := e.Ignores("RG09B")
			if !ok {
				return ""
			}
			last = reason
		}
	}
	return last
}

// word adds a change of a key of one word or list.
func (d *graphDiff) word(node, key, old, now string, pos policy.Pos) {
	if old == now {
		return
	}
	if !pos.IsValid() {
		pos = d.g.in.Pos
	}
	d.add(Change{Change: lint.Change{Kind: Other, Key: key, Old: cmp.Or(old, "none"), New: cmp.Or(now, "none"), Pos: pos}, Method: node})
}

// values adds changes of keys below a path that have a value.
func (d *graphDiff) values(node, as, below string, place policy.Place, old, now policy.Settings, pos policy.Pos) {
	for _, k := range policy.Keys() {
		rest, ok := strings.CutPrefix(k.Path, below)
		if !ok || k.Places&place == 0 || k.Type == policy.Section || below == "workflows." && strings.HasPrefix(rest, "schedules.") {
			continue
		}
		c, changed := lint.CompareSettings(k, old, now)
		if !changed {
			continue
		}
		c.Key = as + rest
		if !c.Pos.IsValid() {
			c.Pos = pos
		}
		d.add(Change{Change: c, Method: node})
	}
}

// sharing adds changes of roles and of what they must not hand over.
func (d *graphDiff) sharing() {
	old, now := map[string]string{}, map[string]string{}
	pos := map[string]policy.Pos{}
	for _, r := range d.was.Roles {
		old[r.Name.Text] = bracketed(texts(r.Nodes))
	}
	for _, r := range d.g.in.Roles {
		now[r.Name.Text], pos[r.Name.Text] = bracketed(texts(r.Nodes)), r.Name.Pos
	}
	for _, name := range slices.Sorted(maps.Keys(union(old, now))) {
		d.word("", "roles."+name, old[name], now[name], pos[name])
	}
	forbidden := func(w *policy.Workflow) map[string]policy.Pos {
		all := map[string]policy.Pos{}
		for _, f := range w.Forbid {
			all["forbid "+f.From.Text+" -> "+f.To.Text] = f.From.Pos
		}
		return all
	}
	was, is := forbidden(d.was), forbidden(d.g.in)
	for _, key := range slices.Sorted(maps.Keys(union(was, is))) {
		_, had := was[key]
		at, has := is[key]
		switch {
		case has && !had:
			d.add(Change{Change: lint.Change{Kind: Stronger, Key: key, New: "on", Pos: at}})
		case had && !has:
			d.add(Change{Change: lint.Change{Kind: Weaker, Key: key, Old: "on", Pos: d.g.in.Pos}})
		}
	}
}

// union has the keys of both.
func union[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func (d *graphDiff) schedules() {
	old := map[string]*policy.Schedule{}
	for _, s := range d.was.Schedules {
		old[s.Name.Text] = s
	}
	for _, s := range d.g.in.Schedules {
		key, was := "schedules."+s.Name.Text, old[s.Name.Text]
		delete(old, s.Name.Text)
		if was == nil {
			d.add(Change{Change: lint.Change{Kind: Other, Key: key, New: "on", Pos: s.Name.Pos}})
			continue
		}
		d.values("", key+".", "workflows.schedules.", policy.InWorkflow, was.Settings, s.Settings, s.Name.Pos)
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		d.add(Change{Change: lint.Change{Kind: Other, Key: "schedules." + name, Old: "on", Pos: d.g.in.Pos}})
	}
}

// node adds the changes of a node that both graphs have.
func (d *graphDiff) node(old, now *wired) {
	name, at := now.Name.Text, now.Name.Pos
	if old.Name.Text != name {
		d.add(Change{Change: lint.Change{Kind: Other, Key: "the name", Old: old.Name.Text, New: name, Pos: at}, Method: name, Why: "it looks renamed"})
	}
	next, waits := now.NextPos, now.WaitPos
	if !waits.IsValid() {
		waits = at
	}
	d.word(name, "next", bracketed(d.present(old.next)), bracketed(now.next), next)
	d.word(name, "waitFor", joined(old.WaitAny, d.present(old.waits)), joined(now.WaitAny, now.waits), waits)
	for _, k := range []struct {
		key      string
		old, now policy.Name
	}{
		{"signal.name", old.Signal, now.Signal}, {"signal.type", old.Type, now.Type},
		{"workflow", old.Workflow, now.Workflow}, {"pipeline", old.Pipeline, now.Pipeline},
	} {
		pos := k.now.Pos
		if !pos.IsValid() {
			pos = at
		}
		d.word(name, k.key, k.old.Text, k.now.Text, pos)
	}
	d.values(name, "", "workflows.nodes.", policy.InNode, old.Settings, now.Settings, at)
	if _, ok := d.made.nodes[old.Name.Text]; !ok {
		return
	}
	if !sameShapes(old.in, now.in) {
		d.word(name, "takes", spelled(old.in), spelled(now.in), at)
	}
	if old.out.shape != now.out.shape {
		d.word(name, "returns", old.out.String(), now.out.String(), at)
	}
}

func sameShapes(a, b []shaped) bool {
	return slices.EqualFunc(a, b, func(a, b shaped) bool { return a.shape == b.shape })
}

func spelled(list []shaped) string {
	var all []string
	for _, c := range list {
		all = append(all, c.String())
	}
	return strings.Join(all, ", ")
}

func bracketed(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return "[" + strings.Join(list, ", ") + "]"
}

func joined(first bool, list []string) string {
	if first {
		return "any of " + bracketed(list)
	}
	return bracketed(list)
}

// wire brings the nodes of both graphs into one form.
func (d *graphDiff) wire() {
	for _, n := range d.was.Nodes {
		made := d.made.nodes[n.Name.Text]
		d.old = append(d.old, &wired{n, texts(n.Next), texts(n.WaitFor), made.in, made.out})
	}
	for _, n := range d.g.nodes {
		now := &wired{Node: n.Node, next: texts(n.Next), waits: texts(n.WaitFor)}
		for _, p := range n.out.Params {
			now.in = append(now.in, shaped{d.g.r.text(p.Type), p.Payload.Shape})
		}
		if n.out.Out != nil {
			now.out = shaped{d.g.r.text(n.out.Out.Type), n.out.Out.Shape}
		}
		d.now = append(d.now, now)
	}
}

// find returns the node with a name, nil if there is none.
func find(nodes []*wired, name string) *wired {
	for _, n := range nodes {
		if n.Name.Text == name {
			return n
		}
	}
	return nil
}

// after is what became of an old node, nil if it is gone.
func (d *graphDiff) after(old *wired) *wired {
	return find(d.now, d.present([]string{old.Name.Text})[0])
}

// before is what a node was, nil if it is new.
func (d *graphDiff) before(now *wired) *wired {
	for _, old := range d.old {
		if d.after(old) == now {
			return old
		}
	}
	return nil
}

// present returns the present names of nodes.
func (d *graphDiff) present(names []string) []string {
	list := slices.Clone(names)
	for i, name := range list {
		if to := d.renamed[name]; to != "" {
			list[i] = to
		}
	}
	return list
}

// renames pairs nodes that are gone with new ones that stand where they stood, if
// there is no doubt about which.
func (d *graphDiff) renames() {
	d.renamed = map[string]string{}
	wild := map[string]bool{} // names that only one graph has
	for _, n := range d.old {
		wild[n.Name.Text] = find(d.now, n.Name.Text) == nil
	}
	for _, n := range d.now {
		wild[n.Name.Text] = find(d.old, n.Name.Text) == nil
	}
	was, is := places(d.old, wild), places(d.now, wild)
	for _, old := range d.old {
		var like, rivals []*wired
		for _, n := range d.now {
			if wild[n.Name.Text] && was[old] == is[n] && d.sameValues(old, n) {
				like = append(like, n)
			}
		}
		for _, n := range d.old {
			if wild[n.Name.Text] && was[old] == was[n] {
				rivals = append(rivals, n)
			}
		}
		if wild[old.Name.Text] && len(like) == 1 && len(rivals) == 1 {
			d.renamed[old.Name.Text] = like[0].Name.Text
		}
	}
}

// sameValues reports whether nodes take and return the same, as far as is known.
func (d *graphDiff) sameValues(old, now *wired) bool {
	_, known := d.made.nodes[old.Name.Text]
	return !known || sameShapes(old.in, now.in) && old.out.shape == now.out.shape
}

// places says where each node stands: what it is, what comes before and after it.
// Names in wild are as good as each other.
func places(nodes []*wired, wild map[string]bool) map[*wired]string {
	blur := func(names []string) []string {
		list := slices.Clone(names)
		for i, name := range list {
			if wild[name] {
				list[i] = "?"
			}
		}
		return list
	}
	all := map[*wired]string{}
	for _, n := range nodes {
		var from []string
		for _, other := range nodes {
			if slices.Contains(other.next, n.Name.Text) {
				from = append(from, other.Name.Text)
			}
		}
		from = blur(from)
		slices.Sort(from)
		all[n] = fmt.Sprint(n.Signal.Text, "/", n.Workflow.Text, "/", n.Pipeline.Text, from, blur(n.next), blur(n.waits), n.WaitAny)
	}
	return all
}

// changesSince returns what changed in the stages of a pipeline.
func (p *pipeline) changesSince(was *policy.Pipeline) []Change {
	var list []Change
	add := func(stage string, c lint.Change) {
		list = append(list, Change{Change: c, Interface: p.in.Name, Method: stage})
	}
	names := func(stages []*policy.Stage) string {
		var all []string
		for _, s := range stages {
			all = append(all, s.Name.Text)
		}
		return bracketed(all)
	}
	if old, now := names(was.Stages), names(p.in.Stages); old != now {
		add("", lint.Change{Kind: Other, Key: "stages", Old: old, New: now, Pos: p.in.StagesPos})
	}
	optional := policy.Lookup("pipelines.stages.optional")
	for _, s := range p.in.Stages {
		for _, old := range was.Stages {
			if old.Name.Text != s.Name.Text {
				continue
			}
			if c, changed := lint.CompareSettings(optional, old.Settings, s.Settings); changed {
				c.Key = "optional"
				if !c.Pos.IsValid() {
					c.Pos = s.Name.Pos
				}
				add(s.Name.Text, c)
			}
		}
	}
	return list
}
