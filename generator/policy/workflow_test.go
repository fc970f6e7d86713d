package policy

import (
	"strings"
	"testing"
	"time"
)

const research = `version: 1
policies:
  llm: {extends: workflowNode, retry: {maxAttempts: 4}}
workflows:
  Research:
    handlers: ResearchNodes
    use: llm
    entry: Plan
    limits: {invocations: 50, duration: 10m, cost: 5.0}
    retention: {completed: 24h, parked: forever}
    roles: {planner: [Plan], worker: [Analyse]}
    forbid: ["worker -> worker"]
    runs: {perKey: "input.Tenant"}
    schedules: {nightly: {cron: "0  3 * * *", input: nightly}}
    nodes:
      Plan: {retry: {maxAttempts: 2}, next: [Analyse, Approve]}
      Analyse: {use: none, next: [Review], delay: 1h, memory: durable}
      Approve: {signal: {name: approval, type: Approval, timeout: 48h}, next: [Review]}
      Ask: {signal: question, next: [end]}
      Review: {waitFor: {all: [Analyse, Approve], timeout: 1h}, next: [end]}
      First: {waitFor: {any: [Analyse]}, next: [end]}
`

func TestWorkflowIsRead(t *testing.T) {
	set, err := Read([]Input{{Path: "r.yaml", Data: []byte(research)}})
	if err != nil {
		t.Fatal(err)
	}
	w := set.Files[0].Workflows[0]
	if w.Name != "Research" || w.Interface.Of != "ResearchNodes" || w.Entry.Text != "Plan" || w.Entry.Pos.String() != "r.yaml:8:12" {
		t.Errorf("read %+v", w)
	}
	if w.Int("workflows.limits.invocations") != 50 || w.Dur("workflows.limits.duration") != 10*time.Minute || w.Float("workflows.limits.cost") != 5 {
		t.Errorf("limits: %v", w.values)
	}
	if v, ok := w.Given("workflows.retention.parked"); !ok || !v.None {
		t.Errorf("parked: %v", v)
	}
	if got := w.Schedules[0].Str("workflows.schedules.cron"); got != "0 3 * * *" {
		t.Errorf("cron: %q", got)
	}
	if len(w.Nodes) != 6 || len(w.Roles) != 2 || w.Forbid[0].To.Text != "worker" {
		t.Fatalf("%d nodes, roles %v, forbid %v", len(w.Nodes), w.Roles, w.Forbid)
	}
	approve, ask, review, first := w.Nodes[2], w.Nodes[3], w.Nodes[4], w.Nodes[5]
	if approve.IsMethod() || approve.Signal.Text != "approval" || approve.Type.Text != "Approval" || approve.Dur("workflows.nodes.signal.timeout") != 48*time.Hour {
		t.Errorf("signal: %+v", approve)
	}
	if ask.Signal.Text != "question" || ask.Type.Text != "" {
		t.Errorf("signal: %+v", ask)
	}
	if !review.MayMiss() || review.WaitAny || len(review.WaitFor) != 2 || !first.WaitAny || !first.MayMiss() {
		t.Errorf("joins: %+v, %+v", review, first)
	}
}

func TestNodesHavePolicies(t *testing.T) {
	set, err := Read([]Input{{Path: "r.yaml", Data: []byte(research)}})
	if err != nil {
		t.Fatal(err)
	}
	list, errs := set.Files[0].Workflows[0].Interface.Resolve([]Method{{Name: "Plan"}, {Name: "Analyse"}, {Name: "Review"}})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	plan, analyse, review := list[0], list[1], list[2]
	if got := plan.Int("retry.maxAttempts"); got != 2 || !plan.Has("circuitBreaker") || !plan.Idempotent() {
		t.Errorf("Plan: %v", plan.All())
	}
	if !analyse.None() {
		t.Errorf("Analyse: %v", analyse.All())
	}
	if got := review.Int("retry.maxAttempts"); got != 4 || !review.Idempotent() {
		t.Errorf("Review: %v", review.All())
	}
}

// A node's entry, the keys of its own aside, is that of a method.
func TestNodeWithoutAPolicyIsPlain(t *testing.T) {
	set, err := Read([]Input{{Path: "r.yaml", Data: []byte("version: 1\nworkflows: {R: {handlers: N, entry: A, nodes: {A: {next: [end]}}}}")}})
	if err != nil {
		t.Fatal(err)
	}
	list, errs := set.Files[0].Interfaces[0].Resolve([]Method{{Name: "A"}})
	if len(errs) > 0 || !list[0].None() {
		t.Errorf("%v, %v", list[0].All(), errs)
	}
}

func TestWorkflowErrors(t *testing.T) {
	node := func(text string) string {
		return "version: 1\nworkflows: {R: {handlers: N, entry: A, nodes: {A: {next: [end]}, B: " + text + "}}}"
	}
	keys := func(text string) string {
		return "version: 1\nworkflows: {R: {handlers: N, entry: A, nodes: {A: {next: [end]}}, " + text + "}}"
	}
	schedule := func(text string) string { return keys("schedules: {s: {input: f, " + text + "}}") }
	stages := func(text string) string {
		return "version: 1\npipelines: {P: {handlers: S, stages: " + text + "}}"
	}
	for _, c := range []struct{ text, want string }{
		{"version: 1\nworkflows: []", "r.yaml:2:12: workflows: wants a mapping, not a list"},
		{"version: 1\nworkflows: {R: {}}", "r.yaml:2:16: workflows.R: wants a mapping, like {handlers: ResearchNodes"},
		{"version: 1\nworkflows: {my-flow: {entry: A}}", "r.yaml:2:13: workflows.my-flow: the name is the base of generated names"},
		{"version: 1\nworkflows: {R: {use: api}}", "r.yaml:2:13: workflows.R: wants handlers: ResearchNodes\n"},
		{"version: 1\nworkflows: {R: {use: api}}", "wants entry: Plan\n"},
		{"version: 1\nworkflows: {R: {use: api}}", "wants nodes: {Plan: {"},
		{"version: 1\nworkflows: {R: {handlers: 1, entry: A, nodes: {A: {next: [end]}}}}", "workflows.handlers: wants an interface, like handlers: ResearchNodes, not \"1\""},
		{"version: 1\nworkflows: {R: {handlers: N, entry: [A], nodes: {A: {next: [end]}}}}", "workflows.entry: wants the name of a node, like Plan, not a list"},
		{"version: 1\nworkflows: {R: {handlers: N, entry: A, nodes: {}}}", "workflows.nodes: is empty"},
		{keys("timeout: {total: 1s}"), "workflows.timeout: belongs to one of the nodes, or to the policy that use: names for all of them (RG090)"},
		{keys("handler: N"), "workflows.handler: unknown key (did you mean handlers?) (RG090)"},
		{keys("limits: {invocation: 1}"), "workflows.limits.invocation: unknown key (did you mean invocations?)"},
		{keys("limits: {invocations: 0}"), "workflows.limits.invocations: must be ≥ 1 (is 0)"},
		{keys("limits: {duration: 10}"), "the duration 10 has no unit"},
		{keys("limits: {cost: -1}"), "workflows.limits.cost: must be"},
		{keys("retention: {completed: 7d}"), "days are written in hours"},
		{keys("checkpoint: {key: a}"), "workflows.checkpoint.key: unknown key"},
		{keys("output: every"), "workflows.output: \"every\" is none of one, all"},
		{keys("use: nothing"), "use: there is no policy nothing"},
		{keys("roles: {planner: Plan}"), "workflows.roles.planner: wants a list: write [Plan]"},
		{keys("forbid: worker"), "workflows.forbid: wants a list of hand-offs"},
		{keys("forbid: [worker]"), "workflows.forbid: wants two roles, like \"worker -> worker\""},
		{keys("forbid: [a -> b, \"a->b\"]"), "a -> b is named twice"},
		{keys("runs: {perKey: \"input.\"}"), "is not a Go expression"},
		{schedule("every: 1h, cron: \"0 3 * * *\""), "workflows.schedules.s: give one of every and cron"},
		{schedule("catchUp: all"), "workflows.schedules.s: wants every: 1h, or cron"},
		{schedule("every: 1h, timeZone: UTC"), "workflows.schedules.timeZone: acts only beside cron"},
		{keys("schedules: {s: {every: 1h}}"), "workflows.schedules.s: wants input"},
		{schedule("cron: \"61 3 * * *\""), `workflows.schedules.cron: "61 3 * * *": minute: "61" is not 0 to 59`},
		{schedule("cron: \"0 3 * *\""), "has 4 fields: a cron expression has five"},
		{schedule("cron: \"@dayly\""), "(did you mean @daily?)"},
		{schedule("cron: \"*/70 * * * *\""), "the step \"70\" leads nowhere between 0 and 59"},
		{schedule("cron: \"5/15 * * * *\""), "a step goes over a range: write 5-59/…, or */…"},
		{schedule("cron: \"0 0 30 feb *\""), "no such day comes in any of the months"},
		{schedule("cron: \"0 0 * * fri-mon\""), "the range fri-mon ends before it begins"},
		{node("{}"), "workflows.nodes.B: wants a mapping, like {next: [end]}"},
		{"version: 1\nworkflows: {R: {handlers: N, entry: A, nodes: {end: {next: [A]}}}}", "workflows.nodes.end: end is where branches end: choose another name"},
		{"version: 1\nworkflows: {R: {handlers: N, entry: A, nodes: {a-b: {next: [A]}}}}", "workflows.nodes.a-b: a node is a method of the handlers"},
		{node("{next: A}"), "workflows.nodes.next: wants a list: write [A]"},
		{node("{next: []}"), "workflows.nodes.next: names no node"},
		{node("{next: [A, A]}"), "workflows.nodes.next: A is named twice"},
		{node("{next: [a-b]}"), "\"a-b\" is not the name of a node"},
		{node("{nxt: [A]}"), "nxt: unknown key (did you mean next?) (RG090)"},
		{node("{next: [end], maxRetries: 3}"), "maxRetries: is not a key of this language: write maxAttempts: 4"},
		{node("{next: [end], waitFor: {some: [A]}}"), "workflows.nodes.waitFor.some: unknown key"},
		{node("{next: [end], waitFor: {any: [A], all: [A]}}"), "give one of any and all"},
		{node("{next: [end], waitFor: {any: [A], timeout: 1h}}"), "any goes on with the first result"},
		{node("{next: [end], waitFor: {all: [A]}}"), "all without a timeout is a plain list"},
		{node("{next: [end], waitFor: {timeout: 1h}}"), "wants any: […] or all: […]"},
		{node("{next: [end], signal: s, workflow: W}"), "workflows.nodes.B: is a signal already, and cannot be another workflow, too"},
		{node("{next: [end], signal: s, retry: true}"), "retry: B is a signal and no method: it has no policy"},
		{node("{next: [end], workflow: W, memory: durable}"), "nothing of it remembers"},
		{node("{next: [end], signal: s, waitFor: [A]}"), "a node that waits for a signal cannot be a join"},
		{node("{next: [end], signal: {timeout: 1h}}"), "workflows.nodes.signal: wants the name of the signal"},
		{node("{next: [end], signal: {name: s, type: \"[]A\"}}"), "is not the name of a Go type"},
		{node("{next: [end], workflow: [W]}"), "workflows.nodes.workflow: wants a name, like workflow: Shipping, not a list"},
		{stages("{A: {}}"), "pipelines.stages: wants a list of stages"},
		{stages("[{A: {}}]"), "pipelines.stages.A: wants a mapping, like {use: api}, or the name alone"},
		{stages("[{A: {use: api}, B: {use: api}}]"), "wants a stage, like {Execute: {use: api}}, or a list of them, each behind a dash"},
		{stages("[A, A]"), "pipelines.stages.A: stands in the pipeline twice, first at r.yaml:2:39"},
		{stages("[{A: {optionl: true}}]"), "optionl: unknown key (did you mean optional?)"},
		{"version: 1\npipelines: {P: {handlers: S}}", "pipelines.P: wants stages: "},
		{"version: 1\npipelines: {P: {handlers: S, retry: true, stages: [A]}}", "pipelines.retry: belongs to one of the stages"},
		{keys("lint: {}") + "\npipelines: {R: {handlers: N, stages: [A]}}\ninterfaces: {N: {use: api}}", "r.yaml:4:14: interfaces.N: N are the handlers of pipelines.R, at r.yaml:3:13, which calls each under its policy"},
		{"version: 1\ninterfaces: {RNodes: {use: api}}\nworkflows: {R: {handlers: N, entry: A, nodes: {A: {next: [end]}}}}", "r.yaml:3:13: workflows.R: generates the names of interfaces.RNodes, at r.yaml:2:14: give one of them another name (RG09A)"},
	} {
		_, err := Read([]Input{{Path: "r.yaml", Data: []byte(c.text)}})
		if err == nil || !strings.Contains(err.Error()+"\n", c.want) {
			t.Errorf("%s\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestTwoWorkflowsOfOneName(t *testing.T) {
	const text = "version: 1\nworkflows: {R: {handlers: N, entry: A, nodes: {A: {next: [end]}}}}"
	_, err := Read([]Input{{Path: "a.resilience.yaml", Data: []byte(text)}, {Path: "b.resilience.yaml", Data: []byte(text)}})
	const want = "b.resilience.yaml:2:13: workflows.R: already in a.resilience.yaml:2:13: give one of them another name (RG09A)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestAnnotationsOnHandlers(t *testing.T) {
	_, err := Read([]Input{
		{Path: "r.yaml", Data: []byte("version: 1\nworkflows: {R: {handlers: N, entry: A, nodes: {A: {next: [end]}}}}")},
		{Path: "p.go", Data: []byte("{use: api}"), Interface: "N", Method: "A", Line: 7, Col: 24},
	})
	if err == nil || !strings.Contains(err.Error(), "p.go:7:24: interfaces.N: N are the handlers of workflows.R, at r.yaml:2:13") {
		t.Error(err)
	}
}
