package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// researchFiles are a package with a workflow of every kind of node, and a
// pipeline.
func researchFiles() map[string]string {
	return map[string]string{
		"research.go": `package research

import (
	"context"

	"github.com/resilgen/resilgen/runtime/workflow"
)

type (
	Question struct{ Text string }
	Outline  struct{ Parts []string }
	Analysis struct{ Facts []string }
	Draft    struct{ Text string }
	Approval struct{ By string }
	Report   struct{ Text string }
)

type ResearchNodes interface {
	Plan(ctx context.Context, q Question) (Outline, error)
	Analyse(ctx context.Context, o Outline) (Analysis, workflow.Route, error)
	Write(ctx context.Context, o Outline) (Draft, error)
	Review(ctx context.Context, a *Analysis, d *Draft, ok *Approval) (Report, error)
}

type CheckStages interface {
	Read(ctx context.Context, r Report) (Report, error)
	Correct(ctx context.Context, r Report) (Report, error)
}
`,
		"resilience.yaml": `version: 1
policies:
  llm: {timeout: {attempt: 2s}, retry: {maxAttempts: 3}, idempotent: true}
workflows:
  Research:
    handlers: ResearchNodes
    entry: Plan
    limits: {invocations: 50, duration: 10m, cost: 5}
    concurrency: 4
    roles: {planner: [Plan], worker: [Analyse, Write]}
    nodes:
      Review:  {waitFor: {all: [Analyse, Write, Approve], timeout: 72h}, next: [Check]}
      Plan:    {use: llm, next: [Analyse, Write, Approve]}
      Analyse: {use: llm, next: [Review]}
      Write:   {use: llm, next: [Review], fallback: true, delay: 1m}
      Approve: {signal: {name: approval, timeout: 24h, type: Approval}, next: [Review]}
      Check:   {pipeline: Checking, next: [end]}
pipelines:
  Checking:
    handlers: CheckStages
    stages:
      - Read: {use: llm}
      - Correct: {use: llm, optional: true, fallback: true}
`,
	}
}

func TestGraphOfAPackage(t *testing.T) {
	files := researchFiles()
	files["go.mod"] = requiring(t)
	dir := module(t, files)
	code, out, errs := tool(t, dir, "graph", "Research")
	require.Equal(t, 0, code, errs)
	require.Equal(t, `Research: Question → Report
at most 50 invocations, 10m, a cost of 5
4 nodes at a time

Plan                     3 attempts of 2s each · role planner · letters
├─ Analyse               3 attempts of 2s each · role worker · picks what follows · letters
│  ⇣ Review, below
├─ Write                 3 attempts of 2s each · after 1m · role worker · fallback · letters
│  ↓ Review, below
└─ Approve               signal approval, at most 24h
   ↓ Review              joins all · waits, at most 72h · letters
   ↓ Check               pipeline Checking · letters
   ↓ end
`, out)
	code, out, errs = tool(t, dir, "graph", "Checking")
	require.Equal(t, 0, code, errs)
	require.Equal(t, `Checking: Report → Report

Read                     3 attempts of 2s each
↓ Correct                3 attempts of 2s each · optional: passed over if it fails · fallback
↓ end
`, out)
	code, out, errs = tool(t, dir, "graph", "Research", "-o", "r.svg")
	require.Equal(t, 0, code, errs)
	require.Empty(t, out)
	picture, err := os.ReadFile(filepath.Join(dir, "r.svg"))
	require.NoError(t, err)
	matches(t, "testdata/graph.svg", picture)
}

func TestGraphRefuses(t *testing.T) {
	files := researchFiles()
	files["go.mod"] = requiring(t)
	dir := module(t, files)
	for _, c := range []struct {
		args []string
		code int
		errs string
	}{
		{[]string{"graph"}, exitUsage, "graph wants the name of one workflow or pipeline, like Research"},
		{[]string{"graph", "Research", "Checking"}, exitUsage, "graph wants the name of one"},
		{[]string{"graph", "Resaerch"}, exitFindings, "no workflow or pipeline Resaerch in . (did you mean Research?)"},
		{[]string{"graph", "--format", "png", "Research"}, exitUsage, "no format png; there are text, mermaid and svg"},
		{[]string{"graph", "Research", "--watch"}, exitUsage, "flag provided but not defined: -watch"},
		{[]string{"graph", "Research", "-o", "no/such/dir.svg"}, exitFindings, "no/such/dir.svg cannot be written"},
	} {
		code, out, errs := tool(t, dir, c.args...)
		require.Equal(t, c.code, code, errs)
		require.Empty(t, out)
		require.Contains(t, errs, c.errs)
	}
	dir = module(t, map[string]string{"shop.go": gateway, "resilience.yaml": "version: 1\ninterfaces: {Gateway: none}\n"})
	code, _, errs := tool(t, dir, "graph", "Gateway")
	require.Equal(t, exitFindings, code)
	require.Contains(t, errs, ". has no workflows and no pipelines")
}

// A graph that cannot work is not drawn: what is wrong with it is said.
func TestGraphOfWhatIsWrong(t *testing.T) {
	files := researchFiles()
	files["go.mod"] = requiring(t)
	files["resilience.yaml"] = strings.Replace(files["resilience.yaml"], "entry: Plan", "entry: Plam", 1)
	dir := module(t, files)
	code, out, errs := tool(t, dir, "graph", "Research")
	require.Equal(t, exitFindings, code)
	require.Empty(t, out)
	require.Contains(t, errs, "resilience.yaml:7:12: Research: the entry Plam is no node (did you mean Plan?)")
}
