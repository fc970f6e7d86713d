package generator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/generator/policy"
)

// explainGraph says what a workflow or a pipeline is, beside the policies of its
// nodes and stages: all of it, or one of them.
func explainGraph(b *strings.Builder, i *policy.Interface, only string) {
	switch {
	case i.Workflow != nil:
		explainWorkflow(b, i.Workflow, only)
	case i.Pipeline != nil && only == "":
		explainPipeline(b, i.Pipeline)
	}
}

func explainWorkflow(b *strings.Builder, w *policy.Workflow, only string) {
	if only == "" {
		fmt.Fprintf(b, "%s\n", w.Name)
		line(b, "workflows.entry", w.Entry.Text, w.Entry.Pos.String())
		explainSettings(b, w.Settings, policy.InWorkflow, "")
		for _, role := range w.Roles {
			line(b, "workflows.roles."+role.Name.Text, strings.Join(texts(role.Nodes), ", "), role.Name.Pos.String())
		}
		for _, f := range w.Forbid {
			line(b, "workflows.forbid", f.From.Text+" -> "+f.To.Text, f.From.Pos.String())
		}
		for _, s := range w.Schedules {
			line(b, "workflows.schedules."+s.Name.Text, "", s.Name.Pos.String())
			explainSettings(b, s.Settings, policy.InWorkflow, "schedules.")
		}
		b.WriteByte('\n')
	}
	for _, n := range w.Nodes {
		if only == "" || n.Name.Text == only {
			explainNode(b, w, n)
		}
	}
}

// explainNode says what follows a node, and what it waits for.
func explainNode(b *strings.Builder, w *policy.Workflow, n *policy.Node) {
	fmt.Fprintf(b, "%s.%s, a node\n", w.Name, n.Name.Text)
	name := func(key string, name policy.Name) {
		if name.Text != "" {
			line(b, "workflows.nodes."+key, name.Text, name.Pos.String())
		}
	}
	if n.WaitFor != nil {
		how := strings.Join(texts(n.WaitFor), ", ")
		if n.WaitAny {
			how = "any of " + how
		}
		line(b, "workflows.nodes.waitFor", how, n.WaitPos.String())
	}
	name("signal.name", n.Signal)
	name("signal.type", n.Type)
	name("workflow", n.Workflow)
	name("pipeline", n.Pipeline)
	explainSettings(b, n.Settings, policy.InNode, "nodes.")
	line(b, "workflows.nodes.next", strings.Join(texts(n.Next), ", "), n.NextPos.String())
	b.WriteByte('\n')
}

// explainSettings prints the values of keys below a path, those of defaults of the
// workflow itself included.
func explainSettings(b *strings.Builder, s policy.Settings, place policy.Place, below string) {
	for _, k := range policy.Keys() {
		rest, ok := strings.CutPrefix(k.Path, "workflows."+below)
		if !ok || k.Places&place == 0 || k.Type == policy.Section || below == "" && slices.Contains([]string{"schedules", "nodes"}, strings.Split(rest, ".")[0]) {
			continue
		}
		_, perKey := s.Given("workflows.runs.perKey")
		switch v, given := s.Given(k.Path); {
		case k.Path == "workflows.runs.max" && !perKey: // of what has no number
		case given && v.None:
			line(b, k.Path, k.Unset, v.Origin)
		case given:
			line(b, k.Path, settingText(v), v.Origin)
		case k.Default != "" && below == "" && k.Type != policy.Text:
			line(b, k.Path, k.Default, "default")
		}
	}
}

func settingText(v policy.Value) string {
	if d, ok := v.V.(time.Duration); ok {
		return nice(d)
	}
	return fmt.Sprint(v.V)
}

func explainPipeline(b *strings.Builder, p *policy.Pipeline) {
	fmt.Fprintf(b, "%s\n", p.Name)
	for _, s := range p.Stages {
		how := s.Name.Text
		if v, ok := s.Given("pipelines.stages.optional"); ok && v.V == true {
			how += ", optional"
		}
		line(b, "pipelines.stages", how, s.Name.Pos.String())
	}
	b.WriteByte('\n')
}

// line prints a key, its value and where it comes from.
func line(b *strings.Builder, key, value, origin string) {
	fmt.Fprintf(b, "  %-42s %-24s %s\n", key, value, origin)
}
