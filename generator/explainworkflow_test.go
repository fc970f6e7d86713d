package generator

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/google/go-cmp/cmp"
)

const explained = `
-- resilience.yaml --
version: 1
policies:
  llm: {timeout: {attempt: 30s}, circuitBreaker: {}}
workflows:
  Research:
    handlers: ResearchNodes
    use: llm
    entry: Plan
    limits: {invocations: 50, duration: 10m}
    retention: {parked: forever}
    roles: {planner: [Plan]}
    forbid: ["planner -> planner"]
    schedules: {nightly: {cron: "0 3 * * *", timeZone: Europe/Berlin, input: nightly}}
    nodes:
      Plan: {next: [Approve, Write], delay: 1h}
      Approve: {signal: {name: approval, timeout: 48h}, next: [Review]}
      Write: {use: none, next: [Review]}
      Review: {waitFor: [Approve, Write], next: [end]}
pipelines:
  Invocation: {handlers: Stages, stages: [Prepare, {Shorten: {optional: true}}]}
-- p.go --
package p

import "context"

type Question struct{ Text string }

func nightly() Question { return Question{} }

type ResearchNodes interface {
	Plan(ctx context.Context, q Question) (Question, error)
	Write(ctx context.Context, q Question) (Question, error)
	Review(ctx context.Context, a *Question, q Question) (Question, error)
}

type Stages interface {
	Prepare(ctx context.Context, q Question) (Question, error)
	Shorten(ctx context.Context, q Question) (Question, error)
}
`

func TestExplainWorkflow(t *testing.T) {
	dir := filepath.Join(newModule(t), "p")
	unpack(t, dir, txtar.Parse([]byte(explained)))
	for target, want := range map[string]string{
		"Research.Approve": `Research.Approve, a node
  workflows.nodes.signal.name                approval                 resilience.yaml:16:32
  workflows.nodes.signal.timeout             48h                      resilience.yaml:16:51
  workflows.nodes.next                       Review                   resilience.yaml:16:57
`,
		"Research.Write": `Research.Write, a node
  workflows.nodes.next                       Review                   resilience.yaml:17:26

Research.Write
  no policy
  idempotent                                 true                     every node of a workflow
`,
		"Research.Review": "  workflows.nodes.waitFor                    Approve, Write           resilience.yaml:18:25\n",
		"Research": `Research
  workflows.entry                            Plan                     resilience.yaml:8:12
  workflows.output                           one                      default
  workflows.concurrency                      1                        default
  workflows.limits.invocations               50                       resilience.yaml:9:27
  workflows.limits.duration                  10m                      resilience.yaml:9:41
  workflows.checkpoint.keep                  10                       default
  workflows.checkpoint.autosave              at once                  default
  workflows.checkpoint.resume                true                     default
  workflows.retention.completed              168h                     default
  workflows.retention.failed                 720h                     default
  workflows.retention.parked                 forever                  resilience.yaml:10:25
  workflows.roles.planner                    Plan                     resilience.yaml:11:13
  workflows.forbid                           planner -> planner       resilience.yaml:12:14
  workflows.schedules.nightly                                         resilience.yaml:13:17
  workflows.schedules.cron                   0 3 * * *                resilience.yaml:13:33
  workflows.schedules.timeZone               Europe/Berlin            resilience.yaml:13:56
  workflows.schedules.input                  nightly                  resilience.yaml:13:78

Research.Plan, a node
  workflows.nodes.delay                      1h                       resilience.yaml:15:45
  workflows.nodes.next                       Approve, Write           resilience.yaml:15:14
`,
		"Invocation": `Invocation
  pipelines.stages                           Prepare                  resilience.yaml:20:43
  pipelines.stages                           Shorten, optional        resilience.yaml:20:53
`,
	} {
		got, err := Explain(context.Background(), Config{Dir: dir}, target)
		got = strings.ReplaceAll(got, dir+string(os.PathSeparator), "")
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %v\n%s", target, err, cmp.Diff(want, got))
		}
	}
	if _, err := Explain(context.Background(), Config{Dir: dir}, "Research.Riview"); err == nil || !strings.Contains(err.Error(), "did you mean Review?") {
		t.Error(err)
	}
}

func TestOverridesOfNodes(t *testing.T) {
	dir := filepath.Join(newModule(t), "p")
	unpack(t, dir, txtar.Parse([]byte(explained)))
	text := `version: 1
interfaces:
  workflow/Research: {timeout: {attempt: 9s}, methods: {"P*": {timeout: {attempt: 7s}}, Pan: {timeout: {attempt: 7s}}}}
  workflow/Research/Plan: {timeout: {attempt: 8s}}
  workflow/Resaerch: {timeout: {attempt: 9s}}
  workflow/Research/Plam: {timeout: {attempt: 9s}}
`
	path := filepath.Join(dir, "overrides.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, e := range lintOverrides(t, []string{dir}) {
		said = append(said, strings.TrimPrefix(e.Error(), dir+string(os.PathSeparator)))
	}
	want := []string{
		"overrides.yaml:3:104: workflow/Research/Pan: no policy that was read here has the name workflow/Research/Pan (did you mean workflow/Research/Plan?): a service that does not have it refuses the whole file (RG099)",
		"overrides.yaml:5:32: workflow/Resaerch: no policy that was read here has the name workflow/Resaerch (did you mean workflow/Research?): a service that does not have it refuses the whole file (RG099)",
		"overrides.yaml:6:37: workflow/Research/Plam: no policy that was read here has the name workflow/Research/Plam (did you mean workflow/Research/Plan?): a service that does not have it refuses the whole file (RG099)",
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
}
