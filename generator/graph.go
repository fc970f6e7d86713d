package generator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// Drawing is what a picture of a workflow or a pipeline shows.
type Drawing struct {
	Kind    string // workflow or pipeline
	Name    string // Research
	Input   string // type of what goes in
	Output  string // type of what comes out, "" if nothing does
	Notes   []string
	Letters string // queue of what finally failed, "" if there is none
	Nodes   []DrawnNode
}

// DrawnNode is a node of a workflow, or a stage of a pipeline. The first is that
// which takes the input.
type DrawnNode struct {
	Name     string
	Kind     string   // method, signal, workflow or pipeline
	Next     []string // "end" ends a branch
	Routes   bool     // it picks from Next
	Join     string   // all, or any; "" if it is no join
	Fallback bool
	Letter   bool // what finally failed is kept
	Notes    []string
}

// Draw returns what there is to draw of the workflow or pipeline with a name.
// Complaints about policies come as [policy.Errors].
func Draw(ctx context.Context, c Config, name string) (*Drawing, error) {
	set, words, err := read(c.Dir)
	if err != nil {
		return nil, err
	}
	all, err := resolveDir(ctx, c, set, words)
	if err != nil {
		return nil, err
	}
	errs := slices.DeleteFunc(all.complaints(false), func(e *policy.Error) bool { return e.Warning })
	if len(errs) > 0 {
		return nil, errs
	}
	return all.draw(c.Dir, name)
}

// draw finds what is called so.
func (all *resolution) draw(dir, name string) (*Drawing, error) {
	var known []string
	for _, r := range all.resolvers {
		for _, g := range r.graphs {
			if known = append(known, g.in.Name); g.in.Name == name {
				return g.draw(), nil
			}
		}
		for _, p := range r.pipelines {
			if known = append(known, p.in.Name); p.in.Name == name {
				return p.draw(), nil
			}
		}
	}
	if len(known) == 0 {
		return nil, fmt.Errorf("%s has no workflows and no pipelines", dir)
	}
	return nil, fmt.Errorf("no workflow or pipeline %s in %s%s", name, dir, hint(name, known))
}

// draw is what there is to draw of a workflow.
func (g *graph) draw() *Drawing {
	d := &Drawing{Kind: "workflow", Name: g.in.Name, Input: g.r.text(g.out.Input.Type), Notes: g.notes(), Letters: g.out.DeadLetters}
	if d.Letters == "" {
		d.Letters = "workflow." + g.in.Name
	}
	if g.out.Output.Shape != "" {
		d.Output = g.r.text(g.out.Output.Type)
	}
	for _, n := range g.nodes {
		d.Nodes = append(d.Nodes, g.drawn(n))
	}
	entry := slices.IndexFunc(d.Nodes, func(n DrawnNode) bool { return n.Name == g.out.Entry })
	first := d.Nodes[entry]
	d.Nodes = slices.Insert(slices.Delete(d.Nodes, entry, entry+1), 0, first)
	return d
}

// notes say what holds for each run.
func (g *graph) notes() []string {
	var limits, list []string
	if n := g.out.Limits.Invocations; n > 0 {
		limits = append(limits, fmt.Sprintf("%d invocations", n))
	}
	if d := g.out.Limits.Duration; d > 0 {
		limits = append(limits, nice(d))
	}
	if x := g.out.Limits.Cost; x > 0 {
		limits = append(limits, fmt.Sprintf("a cost of %g", x))
	}
	if len(limits) > 0 {
		list = append(list, "at most "+strings.Join(limits, ", "))
	}
	if n := g.out.Concurrency; n > 1 {
		list = append(list, fmt.Sprintf("%d nodes at a time", n))
	}
	for _, s := range g.out.Schedules {
		at := "every " + nice(s.Every)
		if s.Cron != "" {
			at = s.Cron + " " + s.TimeZone
		}
		list = append(list, fmt.Sprintf("schedule %s: %s", s.Name, strings.TrimSpace(at)))
	}
	return list
}

// drawn is what there is to draw of a node.
func (g *graph) drawn(n *node) DrawnNode {
	d := DrawnNode{Name: n.out.Name, Kind: "method", Next: n.out.Next, Routes: n.routes, Letter: n.Signal.Text == ""}
	if len(n.out.WaitFor) > 0 {
		d.Join = map[bool]string{false: "all", true: "any"}[n.out.Any]
	}
	switch {
	case n.Signal.Text != "":
		d.Kind, d.Notes = "signal", []string{"signal " + n.Signal.Text + within(n.out.SignalTimeout)}
	case n.Workflow.Text != "":
		d.Kind, d.Notes = "workflow", []string{"workflow " + n.Workflow.Text}
	case n.Pipeline.Text != "":
		d.Kind, d.Notes = "pipeline", []string{"pipeline " + n.Pipeline.Text}
	default:
		d.Fallback, d.Notes = g.r.guardNotes(g.in.Interface, n.out.Name)
	}
	if n.out.Delay > 0 {
		d.Notes = append(d.Notes, "after "+nice(n.out.Delay))
	}
	if n.out.WaitTimeout > 0 {
		d.Notes = append(d.Notes, "waits"+within(n.out.WaitTimeout))
	}
	for _, role := range g.out.Roles {
		if slices.Contains(role.Nodes, n.out.Name) {
			d.Notes = append(d.Notes, "role "+role.Name)
		}
	}
	return d
}

func within(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return ", at most " + nice(d)
}

// guardNotes say what the policy of a method of handlers does.
func (r *resolver) guardNotes(i *policy.Interface, method string) (fallback bool, notes []string) {
	at := slices.IndexFunc(r.guarded, func(g *guarded) bool { return g.iface == i })
	if at < 0 {
		return false, nil
	}
	g := r.guarded[at]
	for n, m := range g.wrapper.Methods {
		if m.Name != method || m.Policy == nil {
			continue
		}
		// The worst case stands in explain: a picture has no room for it.
		text, _, _ := strings.Cut(describe(m, g.methods[n]), ";")
		if fallback = m.Fallback != (templates.Answer{}); fallback {
			text = strings.TrimSuffix(text, ", fallback") // it is drawn
		}
		return fallback, []string{text}
	}
	return false, nil
}

// draw is what there is to draw of a pipeline.
func (p *pipeline) draw() *Drawing {
	d := &Drawing{Kind: "pipeline", Name: p.in.Name, Input: p.r.text(p.out.Input.Type), Output: p.r.text(p.out.Output.Type)}
	for i, s := range p.out.Stages {
		n := DrawnNode{Name: s.Name, Kind: "method", Next: []string{policy.End}}
		if i+1 < len(p.out.Stages) {
			n.Next[0] = p.out.Stages[i+1].Name
		}
		n.Fallback, n.Notes = p.r.guardNotes(p.in.Interface, s.Name)
		if s.Optional {
			n.Notes = append(n.Notes, "optional: passed over if it fails")
		}
		d.Nodes = append(d.Nodes, n)
	}
	return d
}
