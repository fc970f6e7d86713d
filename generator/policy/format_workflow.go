package policy

// workflow prints a workflow as an entry of workflows.
func (t *tree) workflow(w *Workflow) {
	t = t.child(w.Name)
	t.handlers(w.Interface)
	t.name("entry", w.Entry)
	t.settings("workflows", w.Settings)
	for _, role := range w.Roles {
		t.child("roles").child(role.Name.Text).text = flow(role.Nodes)
	}
	if w.Forbid != nil {
		var edges []Name
		for _, f := range w.Forbid {
			edges = append(edges, Name{Text: f.From.Text + " -> " + f.To.Text})
		}
		t.child("forbid").text = flow(edges)
	}
	for _, s := range w.Schedules {
		t.child("schedules").child(s.Name.Text).settings("workflows.schedules", s.Settings)
	}
	for _, n := range w.Nodes {
		t.child("nodes").node(w.Interface, n)
	}
}

// handlers prints what is said about every node or stage.
func (t *tree) handlers(i *Interface) {
	t.name("handlers", i.of)
	t.name("use", i.layers[0].base)
	t.ignores(i.layers[0].lint)
}

// settings prints values whose keys stand below a path.
func (t *tree) settings(path string, s Settings) {
	for _, v := range s.values {
		at := t
		for _, name := range steps(v.Key.Path[len(path)+1:]) {
			at = at.child(name)
		}
		at.text = v.text()
	}
}

func (t *tree) node(i *Interface, n *Node) {
	t = t.child(n.Name.Text)
	if n.Next != nil {
		t.child("next").text = flow(n.Next)
	}
	switch {
	case n.WaitAny:
		t.child("waitFor").child("any").text = flow(n.WaitFor)
	case n.MayMiss():
		t.child("waitFor").child("all").text = flow(n.WaitFor)
	case n.WaitFor != nil:
		t.child("waitFor").text = flow(n.WaitFor)
	}
	if n.Signal.Text != "" {
		t.child("signal").name("name", n.Signal)
		t.child("signal").name("type", n.Type)
	}
	t.name("workflow", n.Workflow)
	t.name("pipeline", n.Pipeline)
	t.settings("workflows.nodes", n.Settings)
	t.policyOf(i, n.Name.Text)
}

// policyOf prints the policy of a node or a stage.
func (t *tree) policyOf(i *Interface, name string) {
	for _, m := range i.methods {
		if m.key == name {
			t.name("use", m.entry.base)
			t.entry(m.entry)
		}
	}
}

// pipeline prints a pipeline as an entry of pipelines.
func (t *tree) pipeline(p *Pipeline) {
	t = t.child(p.Name)
	t.handlers(p.Interface)
	for _, s := range p.Stages {
		stages := t.child("stages")
		stages.list = true
		stage := stages.child(s.Name.Text)
		stage.settings("pipelines.stages", s.Settings)
		stage.policyOf(p.Interface, s.Name.Text)
	}
}
