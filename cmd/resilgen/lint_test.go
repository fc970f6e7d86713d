package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	warns = "version: 1\ninterfaces:\n  Gateway: {idempotent: true, retry: {maxAttempts: 9}, circuitBreaker: {openDuration: 30s}}\n"
	fails = "version: 1\ninterfaces:\n  Gateway: {timeout: {total: 1s, attempt: 2s}}\n"
)

func TestLintExitCodes(t *testing.T) {
	for _, c := range []struct {
		policy string
		args   []string
		code   int
		says   string
	}{
		{"version: 1\ninterfaces: {Gateway: {timeout: {total: 1s}}}\n", nil, exitOK, ""},
		{warns, nil, exitOK, "info: resilience.yaml:3:3: Gateway.Charge: a panic goes on to the caller"},
		{warns, nil, exitOK, "warning: resilience.yaml:3:3: Gateway.Charge: retry.maxAttempts 9"},
		{warns, []string{"-strict"}, exitFindings, "resilgen: 2 warnings, and -strict was given"},
		{"version: 1\ninterfaces: {Gateway: {circuitBreaker: {}}}\n", []string{"-strict"}, exitOK, "info: "},
		{fails, nil, exitFindings, "which can never act (RG001)"},
		{"version: 1\ninterfaces: {Gateway: {cahce: 1}}\n", []string{"./..."}, exitFindings, "(RG090)"},
		{"version: 1\ninterfaces: {Gateway: {methods: {Charge: {timeout: {attempt: 1s}, retry: {}}}}}\n", nil, exitFindings, "\t"},
		{"version: 1\ninterfaces: {Gateway: {methods: {Charge: {timeout: {attempt: 1s}, retry: {}}}}}\n", []string{"-lint=warn"}, exitOK, "warning: resilience.yaml:2:34"},
		{warns, []string{"-json", "-sarif"}, exitUsage, "not both"},
		{warns, []string{"nowhere"}, exitFindings, "no such directory"},
		{warns, []string{"-colour"}, exitUsage, "resilgen help lint lists the flags"},
	} {
		dir := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": c.policy})
		code, out, errs := tool(t, dir, append([]string{"lint"}, c.args...)...)
		require.Equal(t, c.code, code, "%s%v\n%s%s", c.policy, c.args, out, errs)
		require.Contains(t, errs, c.says)
		require.Empty(t, out)
	}
}

func TestLintJSON(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": warns})
	code, out, errs := tool(t, dir, "lint", "-json")
	require.Equal(t, exitOK, code, errs)
	severities := map[string]string{}
	for line := range strings.Lines(out) {
		var found struct{ File, Severity, ID string }
		require.NoError(t, json.Unmarshal([]byte(line), &found))
		require.Equal(t, "resilience.yaml", found.File)
		severities[found.ID] = found.Severity
	}
	require.Equal(t, map[string]string{"RG004": "warning", "RG013": "warning", "RG088": "info"}, severities)
}

// What SARIF 2.1.0 requires, and what GitHub's code scanning does besides.
func TestLintSARIF(t *testing.T) {
	for policy, want := range map[string]string{
		warns:                                    "note warning warning",
		fails:                                    "error",
		"version: 1\ninterfaces: {Gateway: 3}\n": "error", // no number
		"version: 1\ninterfaces: {Gateway: {timeout: {total: 1s}}}\n": "",
	} {
		dir := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": policy})
		_, out, errs := tool(t, dir, "lint", "-sarif")
		var log struct {
			Schema  string `json:"$schema"`
			Version string
			Runs    []struct {
				Tool struct {
					Driver struct {
						Name  string
						Rules []struct {
							ID                                      string
							ShortDescription, FullDescription, Help struct{ Text string }
							DefaultConfiguration                    struct{ Level string }
						}
					}
				}
				Results *[]struct {
					RuleID    string
					RuleIndex *int
					Level     string
					Message   struct{ Text string }
					Locations []struct {
						PhysicalLocation struct {
							ArtifactLocation struct{ URI string }
							Region           struct{ StartLine, StartColumn int }
						}
					}
				}
			}
		}
		require.NoError(t, json.Unmarshal([]byte(out), &log), errs)
		require.Equal(t, "2.1.0", log.Version)
		require.Equal(t, "https://json.schemastore.org/sarif-2.1.0.json", log.Schema)
		require.Len(t, log.Runs, 1)
		run := log.Runs[0]
		require.Equal(t, "resilgen", run.Tool.Driver.Name)
		ids := map[string]bool{}
		for _, r := range run.Tool.Driver.Rules {
			require.False(t, ids[r.ID], r.ID)
			ids[r.ID] = true
			require.NotEmpty(t, r.ShortDescription.Text, r.ID)
			require.NotEmpty(t, r.FullDescription.Text, r.ID)
			require.NotEmpty(t, r.Help.Text, r.ID)
			require.Contains(t, []string{"error", "warning", "note"}, r.DefaultConfiguration.Level, r.ID)
		}
		require.NotNil(t, run.Results, "results are required, even if there are none")
		levels := []string{}
		for _, r := range *run.Results {
			levels = append(levels, r.Level)
			require.Equal(t, r.RuleID, run.Tool.Driver.Rules[*r.RuleIndex].ID)
			require.NotEmpty(t, r.Message.Text)
			require.Len(t, r.Locations, 1)
			at := r.Locations[0].PhysicalLocation
			require.Equal(t, "resilience.yaml", at.ArtifactLocation.URI)
			require.Positive(t, at.Region.StartLine)
			require.Positive(t, at.Region.StartColumn)
		}
		require.Equal(t, want, strings.Join(levels, " "))
	}
}

func TestExplainRule(t *testing.T) {
	dir := t.TempDir() // no module is needed
	code, out, errs := tool(t, dir, "explain", "rg023")
	require.Equal(t, exitOK, code, errs)
	require.Contains(t, out, "RG023  warning, found by generate, check, lint\n")
	require.Contains(t, out, "    interfaces:\n      Gateway: {expectedRate: 2,")
	require.NotContains(t, out, "```")
	for _, id := range []string{"RG999", "RG42", "rg4", "RG0042"} {
		code, _, errs = tool(t, dir, "explain", id)
		require.Equal(t, exitFindings, code)
		require.Equal(t, "resilgen: there is no check "+id+"; docs/checks.md lists them\n", errs)
	}
}

const older = "version: 1\ninterfaces:\n  Gateway: {idempotent: true, timeout: {total: 5s}, retry: {maxAttempts: 2}}\n"

func TestDiffSinceRevision(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git here")
	}
	root := module(t, map[string]string{"pay/shop.go": strings.Replace(gateway, "type Gateway", "//resilience:policy {circuitBreaker: {openDuration: 9s}}\ntype Gateway", 1), "pay/resilience.yaml": older})
	dir := filepath.Join(root, "pay")
	git := func(args ...string) {
		cmd := exec.Command("git", append([]string{"-c", "user.name=n", "-c", "user.email=e@example.com"}, args...)...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-qm", "first")
	git("tag", "v1")
	code, out, errs := tool(t, dir, "diff", "-fail-on", "any")
	require.Equal(t, exitOK, code, errs)
	require.Equal(t, "0 weaker, 0 stronger, 0 other since HEAD\n", out)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "resilience.yaml"), []byte(strings.Replace(older, "5s", "9s", 1)), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "shop.go"), []byte(strings.Replace(gateway, "type Gateway", "//resilience:policy {circuitBreaker: {openDuration: 10s}}\ntype Gateway", 1)), 0o644))
	code, out, errs = tool(t, dir, "diff")
	require.Equal(t, exitOK, code, errs)
	require.Equal(t, "resilience.yaml:3:48: Gateway.Charge: weaker: timeout.total 5s → 9s (RG09B)\n"+
		"shop.go:5:53: Gateway.Charge: stronger: circuitBreaker.openDuration 9s → 10s\n"+
		"1 weaker, 1 stronger, 0 other since HEAD\n", out)
	code, out, _ = tool(t, root, "diff", "-json", "-fail-on", "weaker", "v1", "./...")
	require.Equal(t, exitFindings, code)
	require.Equal(t, `{"file":"pay/resilience.yaml","line":3,"column":48,"change":"weaker","interface":"Gateway","method":"Charge","key":"timeout.total","old":"5s","new":"9s"}`, strings.Split(out, "\n")[0])

	ignored := strings.Replace(older, "{total: 5s}", "{total: 9s}, lint: {ignore: {RG09B: \"agreed\"}}", 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "resilience.yaml"), []byte(ignored), 0o644))
	code, out, _ = tool(t, dir, "diff", "-fail-on", "weaker")
	require.Equal(t, exitOK, code, out)
	require.Contains(t, out, "ignored: agreed")
	code, _, errs = tool(t, dir, "generate", "-strict")
	require.NotContains(t, errs, "finds nothing here", "what diff alone can find is not held against the key")
	require.Equal(t, exitOK, code, errs)

	code, _, errs = tool(t, dir, "diff", "v7")
	require.Equal(t, exitFindings, code)
	require.Contains(t, errs, "v7")
	code, _, _ = tool(t, dir, "diff", "-fail-on", "stronger")
	require.Equal(t, exitUsage, code)
}

// TestDiffOfWorkflow: what a revision has of a workflow says which types its runs
// carry, and -fail-on refused fails for what runs under way do not survive.
func TestDiffOfWorkflow(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git here")
	}
	const graph = "version: 1\nworkflows:\n  Job: {handlers: Nodes, entry: Begin, nodes: {Begin: {next: [Finish]}, Finish: {next: [end]}}}\n"
	const nodes = "package job\n\nimport \"context\"\n\ntype In struct{ N int }\n\ntype Nodes interface {\n\tBegin(ctx context.Context, in In) (In, error)\n\tFinish(ctx context.Context, in In) (In, error)\n}\n"
	dir := module(t, map[string]string{"job.go": nodes, "resilience.yaml": graph})
	code, _, errs := tool(t, dir, "generate")
	require.Equal(t, exitOK, code, errs)
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"commit", "-qm", "first"}} {
		cmd := exec.Command("git", append([]string{"-c", "user.name=n", "-c", "user.email=e@example.com"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	code, out, errs := tool(t, dir, "diff", "-fail-on", "any")
	require.Equal(t, exitOK, code, errs)
	require.Equal(t, "0 weaker, 0 stronger, 0 other since HEAD\n", out)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "job.go"), []byte(strings.Replace(nodes, "N int", "N string", 1)), 0o644))
	code, out, _ = tool(t, dir, "diff", "-fail-on", "weaker")
	require.Equal(t, exitOK, code, "nothing protects less")
	require.Contains(t, out, "resilience.yaml:3:48: Job.Begin: refused: a run with a message that carries In ")
	require.Contains(t, out, "0 weaker, 0 stronger, 5 other, 3 refused since HEAD\n")
	code, out, _ = tool(t, dir, "diff", "-json", "-fail-on", "refused")
	require.Equal(t, exitFindings, code)
	require.Contains(t, out, `"change":"refused","interface":"Job","method":"Begin","key":"runs","old":"","new":"","why":"a run with a message that carries In `)
}

func TestDiffWithFile(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": older, "before.yaml": strings.Replace(older, "maxAttempts: 2", "maxAttempts: 4", 1), "broken.yaml": "version: 2\n"})
	code, out, errs := tool(t, dir, "diff", "-fail-on", "weaker", "before.yaml", ".")
	require.Equal(t, exitOK, code, errs)
	require.Equal(t, "resilience.yaml:3:74: Gateway.Charge: stronger: retry.maxAttempts 4 → 2\n0 weaker, 1 stronger, 0 other since before.yaml\n", out)
	code, _, errs = tool(t, dir, "diff", "broken.yaml")
	require.Equal(t, exitFindings, code)
	require.Contains(t, errs, "what it was is no policy any more")
}
