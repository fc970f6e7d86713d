package main

import (
	"bufio"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/runtime/workflow"
)

// The program that init --workflow writes compiles at once, is killed on the way, and
// goes on where it stopped.
func TestInitWorkflow(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a program")
	}
	dir := module(t, map[string]string{"go.mod": requiring(t)})
	code, out, errs := tool(t, dir, "init", "--workflow")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "wrote resilience.yaml, nodes.go, main.go: the workflow Research, of five nodes\n")
	require.Contains(t, out, "1. go get -tool github.com/resilgen/resilgen/cmd/resilgen\n")
	code, _, errs = tool(t, dir, "generate")
	require.Equal(t, 0, code, errs)
	code, out, errs = tool(t, dir, "lint")
	require.Equal(t, 0, code, out+errs)
	require.Empty(t, out, "it has nothing that lint would change")
	for _, name := range []string{"nodes.go", "main.go"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		formatted, err := format.Source(text)
		require.NoError(t, err)
		require.Equal(t, string(formatted), string(text))
	}
	buildHeld(t, dir, "held", "Review")
	buildProgram(t, dir, "program")

	killAt(t, dir, "held", "Review, attempt 1")
	code, out, errs = runsIn(t, filepath.Join(dir, "state"), "show", "first", "--json")
	require.Equal(t, 0, code, errs)
	before := jsonLines[workflow.RunDetail](t, out)[0]
	require.Len(t, before.Steps, 3)

	again := exec.Command(filepath.Join(dir, "program"))
	again.Dir = dir
	text, err := again.CombinedOutput()
	require.NoError(t, err, string(text))
	require.NotContains(t, string(text), "Plan,", "what was done is not done again")
	require.NotContains(t, string(text), "Search,")
	require.Contains(t, string(text), "some of it was done before\nfirst: completed, what, survives, a, crash (4 facts), cost 0.02\n")
	code, out, errs = runsIn(t, filepath.Join(dir, "state"), "show", "first", "--json")
	require.Equal(t, 0, code, errs)
	after := jsonLines[workflow.RunDetail](t, out)[0]
	require.Equal(t, before.Steps, after.Steps[:3])
	require.Equal(t, 1, after.Resumes)

	code, _, errs = tool(t, dir, "init", "--workflow")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "there are Go files here (main.go); the program wants a directory of its own")
}

func buildProgram(t *testing.T, dir, name string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", name, ".")
	cmd.Dir = dir
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, string(text))
}

// buildHeld builds a program whose node does not end: however late it is killed, it is
// in the middle of that.
func buildHeld(t *testing.T, dir, name, node string) {
	t.Helper()
	const pace = "time.After(time.Second)"
	path := filepath.Join(dir, "nodes.go")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(text), pace))
	held := strings.Replace(string(text), pace, `time.After(map[string]time.Duration{"`+node+`": time.Hour}[info.Node])`, 1)
	require.NoError(t, os.WriteFile(path, []byte(held), 0o644))
	buildProgram(t, dir, name)
	require.NoError(t, os.WriteFile(path, text, 0o644))
}

// killAt runs a program and kills it when it has printed a line.
func killAt(t *testing.T, dir, name, line string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(dir, name))
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	seen := false
	for lines := bufio.NewScanner(out); !seen && lines.Scan(); {
		seen = lines.Text() == line
	}
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	require.True(t, seen)
}

// What init --workflow cannot write whole it does not write at all.
func TestInitWorkflowWritesAllOrNothing(t *testing.T) {
	dir := module(t, map[string]string{"resilience.yaml": "version: 1\n"})
	code, _, errs := tool(t, dir, "init", "--workflow")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "resilience.yaml exists and stays as it is; take another directory")
	require.NoError(t, os.Remove(filepath.Join(dir, "resilience.yaml")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "nodes.go"), 0o755)) // no file of that name
	code, _, errs = tool(t, dir, "init", "--workflow")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "there are Go files here")
	require.NoFileExists(t, filepath.Join(dir, "resilience.yaml"))
	code, _, errs = tool(t, t.TempDir(), "init", "--workflow", "Gateway")
	require.Equal(t, exitUsage, code)
	require.True(t, strings.HasPrefix(errs, "resilgen: init --workflow takes no interfaces"), errs)
	code, _, errs = tool(t, t.TempDir(), "init", "--wrokflow")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "flag provided but not defined: -wrokflow")
	code, _, errs = tool(t, t.TempDir(), "init", "--workflow")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "no go.mod here or above")
}
