package generator

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/resilgen/resilgen/templates"
)

// describeWorkflow writes the doc comments of a workflow.
func (r *resolver) describeWorkflow(w *templates.Workflow) {
	w.Doc = w.Type + " is the workflow " + w.Name + " of " + w.Source + ". Its nodes are the methods of a [" + w.Wrapper.Link +
		"], each called under its policy:\n\n\t" + strings.Join(r.drawing(w), "\n\t") + "\n\n" + r.aboutRuns(w) +
		"\n\nIt is safe for concurrent use if the " + w.Wrapper.Short + " is."
	w.NewDoc = w.New + " makes the workflow of " + w.Vars.Nodes + ", under the policies of " + w.Source + "."
	if w.Wrapper.Fallback != "" {
		w.NewDoc += " Where a node with a fallback gives up, " + w.Vars.Fallback + " answers."
	}
	known := "one that stopped is resumed"
	if w.Checkpoint.NoResume {
		known = "one that has not is [workflow.ErrRunExists], unless " + w.Vars.Options + ".Resume says otherwise"
	}
	w.RunDoc = "Run executes a run for " + w.Vars.Input + " here, and returns how it ended. If " + w.Vars.Options + ".ID is known, " +
		"nothing is done again: a run that has ended returns its result, and " + known + "."
	for _, n := range w.Nodes {
		if n.SignalMethod != "" {
			n.SignalDoc = n.SignalMethod + " gives the run what its " + waitingNodes(w, n.Signal) + " for. What comes early is kept. Of several with one " +
				w.Vars.Options + ".ID the first counts."
		}
	}
}

// waitingNodes names the nodes that wait for a signal.
func waitingNodes(w *templates.Workflow, signal string) string {
	var list []string
	for _, n := range w.Nodes {
		if n.Signal == signal {
			list = append(list, n.Name)
		}
	}
	if len(list) == 1 {
		return "node " + list[0] + " waits"
	}
	return "nodes " + enumerate(list) + " wait"
}

// drawing is the graph, a line a node: what it takes, its name, where its result
// goes.
func (r *resolver) drawing(w *templates.Workflow) []string {
	rows := make([][]string, len(w.Nodes))
	for i, n := range w.Nodes {
		rows[i] = []string{r.taking(n), nodeName(n), strings.Join(n.Next, between(n)), notes(n)}
	}
	return arrows(rows)
}

// arrows joins the columns of rows, the last one without an arrow.
func arrows(rows [][]string) []string {
	var widths [3]int
	for _, row := range rows {
		for i := range widths {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	lines := make([]string, len(rows))
	for i, row := range rows {
		var b strings.Builder
		for at, cell := range row[:3] {
			if at > 0 && widths[0] > 0 || at > 1 {
				b.WriteString(" → ")
			}
			b.WriteString(cell + strings.Repeat(" ", widths[at]-utf8.RuneCountInString(cell)))
		}
		if row[3] != "" {
			b.WriteString("  " + row[3])
		}
		lines[i] = strings.TrimRight(b.String(), " ")
	}
	return lines
}

// taking says what a node takes.
func (r *resolver) taking(n *templates.Node) string {
	if n.Signal != "" {
		return r.briefly(elem(n.Out.Type))
	}
	list := make([]string, len(n.Params))
	for i, p := range n.Params {
		list[i] = r.briefly(p.Payload.Type)
	}
	if n.Any {
		return strings.Join(list, " | ")
	}
	return strings.Join(list, " + ")
}

// briefly is a type as the package writes it.
func (r *resolver) briefly(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string {
		if p.Path() == r.pkg.Path {
			return ""
		}
		return p.Name()
	})
}

func nodeName(n *templates.Node) string {
	switch {
	case n.Child != nil:
		return n.Name + " (workflow " + n.Child.Name + ")"
	case n.Pipeline != nil:
		return n.Name + " (pipeline " + n.Pipeline.Name + ")"
	case n.Signal != "":
		return n.Name + " (signal " + n.Signal + ")"
	}
	return n.Name
}

// between is what stands between the successors of a node.
func between(n *templates.Node) string {
	if n.Route >= 0 {
		return " | "
	}
	return ", "
}

// notes are the times of a node.
func notes(n *templates.Node) string {
	var list []string
	say := func(d time.Duration, format string) {
		if d > 0 {
			list = append(list, fmt.Sprintf(format, nice(d)))
		}
	}
	say(n.Delay, "%s later")
	say(n.SignalTimeout, "waits %s at most")
	say(n.WaitTimeout, "%s after the first, with what there is")
	return strings.Join(list, ", ")
}

// aboutRuns says what a run is, and what ends it.
func (r *resolver) aboutRuns(w *templates.Workflow) string {
	text := "A run begins with " + w.Entry
	if !isEmptyStruct(w.Output.Type) {
		text += ", and its output is the " + r.briefly(w.Output.Type) + " that comes to the end"
		if w.OutputAll {
			text = "A run begins with " + w.Entry + ", and its outputs are all " + r.briefly(w.Output.Type) + " that come to the end"
		}
	}
	text += "."
	text += bars(w)
	if w.Concurrency > 1 {
		text += fmt.Sprintf(" Up to %d nodes of a run are at work at a time.", w.Concurrency)
	}
	var limits []string
	if n := w.Limits.Invocations; n > 0 {
		limits = append(limits, fmt.Sprintf("%d invocations", n))
	}
	if d := w.Limits.Duration; d > 0 {
		limits = append(limits, nice(d)+" of work")
	}
	if c := w.Limits.Cost; c > 0 {
		limits = append(limits, fmt.Sprintf("a cost of %v", c))
	}
	if len(limits) > 0 {
		text += " It is over after " + enumerateOr(limits) + "."
	}
	return text
}

// bars says what the | of a drawing mean.
func bars(w *templates.Workflow) string {
	text := ""
	if slices.ContainsFunc(w.Nodes, func(n *templates.Node) bool { return n.Route >= 0 }) {
		text += " Where | is behind a node, the node picks."
	}
	if slices.ContainsFunc(w.Nodes, func(n *templates.Node) bool { return n.Any }) {
		text += " Where it is before one, what comes first is enough."
	}
	if strings.HasPrefix(text, " Where it is") {
		text = " Where | is before a node, what comes first is enough."
	}
	return text
}

func isEmptyStruct(t types.Type) bool {
	s, ok := t.Underlying().(*types.Struct)
	return ok && s.NumFields() == 0
}

// enumerateOr joins words of which one holds.
func enumerateOr(words []string) string {
	if n := len(words) - 1; n > 0 {
		return strings.Join(words[:n], ", ") + " or " + words[n]
	}
	return strings.Join(words, "")
}

// describePipeline writes the doc comments of a pipeline.
func (r *resolver) describePipeline(p *templates.Pipeline) {
	rows := make([][]string, len(p.Stages))
	optional := false
	for i, s := range p.Stages {
		rows[i] = []string{r.stageTakes(s), s.Name, r.stageGives(s), ""}
		if optional = optional || s.Optional; s.Optional {
			rows[i][3] = "optional"
		}
	}
	p.Doc = p.Type + " is the pipeline " + p.Name + " of " + p.Source + ". Its stages are the methods of a [" + p.Wrapper.Link + "], called one after the other, each under its policy:\n\n\t" +
		strings.Join(arrows(rows), "\n\t") + "\n\n"
	if optional {
		p.Doc += "Where an optional stage fails, the report says so, and what the stage was given goes on. "
	}
	p.Doc += "It is safe for concurrent use if the " + p.Wrapper.Short + " is."
	p.RunDoc = "Run sends " + p.Vars.Input + " through the stages. The error is that of the stage that ended it, which the report names; the stages behind it are skipped."
}

func (r *resolver) stageTakes(s *templates.Stage) string {
	for i, p := range s.Method.Params {
		if i != s.Method.Ctx {
			return r.briefly(p.Type)
		}
	}
	return ""
}

func (r *resolver) stageGives(s *templates.Stage) string {
	return r.briefly(valueOf(s.Method))
}
