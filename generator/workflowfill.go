package generator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"go/types"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/templates"
)

// fill fills in what is generated of a graph that was proved.
func (g *graph) fill() {
	if g.r.failed() {
		return
	}
	in, out := g.in, g.out
	out.Limits = templates.Limits{
		Invocations: in.Int("workflows.limits.invocations"), Duration: in.Dur("workflows.limits.duration"), Cost: in.Float("workflows.limits.cost"),
	}
	out.Concurrency = in.Int("workflows.concurrency")
	resume, given := in.Given("workflows.checkpoint.resume")
	out.Checkpoint = templates.RunCheckpoint{
		Keep: in.Int("workflows.checkpoint.keep"), Autosave: in.Dur("workflows.checkpoint.autosave"), NoResume: given && resume.V == false,
	}
	out.Retention = templates.Retention{Completed: g.kept("completed"), Failed: g.kept("failed"), Parked: g.kept("parked")}
	for _, role := range in.Roles {
		out.Roles = append(out.Roles, templates.Role{Name: role.Name.Text, Nodes: texts(role.Nodes)})
	}
	for _, f := range in.Forbid {
		out.Forbid = append(out.Forbid, templates.Handoff{From: f.From.Text, To: f.To.Text})
	}
	out.Runs.Max, out.Runs.Queue = max(1, in.Int("workflows.runs.max")), in.Str("workflows.runs.queue")
	if out.Runs.PerKey == nil {
		out.Runs.Max = 0
	}
	out.DeadLetters = in.Str("workflows.deadLetters")
	for _, n := range g.nodes {
		g.fillNode(n)
	}
	out.Fingerprint = fingerprint(g.text())
}

// kept is how long runs of a kind are remembered: -1 for ever, 0 where it was not
// said.
func (g *graph) kept(kind string) time.Duration {
	v, _ := g.in.Given("workflows.retention." + kind)
	if v.None {
		return -1
	}
	return g.in.Dur("workflows.retention." + kind)
}

func (g *graph) fillNode(n *node) {
	out := n.out
	for i, p := range n.params {
		param := templates.NodeParam{Name: p.name, Type: p.t, Payload: payloadOf(p.t)}
		if n.WaitFor != nil && n.MayMiss() {
			param.Optional = true
			if from := g.named[n.WaitFor[i].Text]; from.result == nil || !assignable(from.result, p.t) {
				param.Payload = payloadOf(elem(types.Unalias(p.t)))
			}
		}
		out.Params = append(out.Params, param)
	}
	if n.result != nil {
		p := payloadOf(n.result)
		out.Out = &p
	}
	out.Next, out.WaitFor, out.Any = texts(n.Next), texts(n.WaitFor), n.WaitAny
	out.WaitTimeout = n.Dur("workflows.nodes.waitFor.timeout")
	out.Delay = n.Dur("workflows.nodes.delay")
	out.Signal, out.SignalTimeout = n.Signal.Text, n.Dur("workflows.nodes.signal.timeout")
	out.DurableMemory = n.Str("workflows.nodes.memory") == "durable"
	g.letters(n)
}

// letters says what a letter of the node holds: its arguments, each by its name. One
// that had not come is null.
func (g *graph) letters(n *node) {
	if n.Signal.Text != "" {
		return
	}
	x := &redactor{r: g.r}
	l := &templates.Letters{Sig: n.Name.Text + "("}
	for _, p := range n.params {
		x.place(p.t, []string{p.name}, []string{p.name}, reflect.StructTag(""))
		l.Sig += p.name + " " + expansion(p.t) + ", "
		l.Fields = append(l.Fields, templates.LetterField{JSON: p.name, Type: p.t, Said: briefly(p.t)})
	}
	for _, text := range x.badTags {
		g.fail(n.Name.Pos, "RG075", n.Name.Text, "an argument%s has the tag resilience:%q: want one of %s", g.place(n), text, strings.Join(slices.Sorted(maps.Keys(tagModes)), ", "))
	}
	for _, f := range x.fields {
		if f.Mode != "" {
			n.out.Redact = append(n.out.Redact, templates.Redaction{Pointer: f.Pointer, Mode: upper(f.Mode)})
		}
	}
	n.out.Sig = fingerprint(l.Sig + ") " + expansion(resultOf(n)))
	g.r.kept = append(g.r.kept, LetterReport{
		Method: g.out.Wrapper.Key + "/" + n.Name.Text, Queue: cmp.Or(g.out.DeadLetters, "workflow."+g.in.Name), Sig: n.out.Sig,
		Replayed: true, Idempotent: true, Fields: x.fields, Schema: json.RawMessage(letterSchema(l)),
	})
}

// text spells out what the messages of a run depend on.
func (g *graph) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "entry %s, all %t\n", g.in.Entry.Text, g.out.OutputAll)
	sorted := slices.SortedFunc(slices.Values(g.nodes), func(a, b *node) int { return strings.Compare(a.Name.Text, b.Name.Text) })
	for _, n := range sorted {
		o := n.out
		fmt.Fprintf(&b, "%s(", n.Name.Text)
		for _, p := range o.Params {
			fmt.Fprintf(&b, "%s %t, ", p.Payload.Shape, p.Optional)
		}
		fmt.Fprintf(&b, ") %s routes %t next %q waits %q any %t %s delay %s signal %q %s\n", shapeOf(resultOf(n)), n.routes,
			o.Next, o.WaitFor, o.Any, o.WaitTimeout, o.Delay, o.Signal, o.SignalTimeout)
		fmt.Fprintf(&b, "child %q pipeline %q\n", n.Workflow.Text, n.Pipeline.Text)
	}
	return b.String()
}
