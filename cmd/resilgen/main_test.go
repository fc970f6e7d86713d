package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The test binary is the tool when this variable is set.
const asTool = "RESILGEN_TEST_AS_TOOL"

func TestMain(m *testing.M) {
	if os.Getenv(asTool) != "" {
		main()
	}
	os.Exit(m.Run())
}

// tool runs resilgen in dir and returns its exit code and output.
func tool(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), asTool+"=1")
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// module makes a module with the files.
func module(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	if files["go.mod"] == "" {
		files["go.mod"] = "module example.com/shop\n\ngo 1.25\n"
	}
	for name, text := range files {
		if text != "-" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		}
	}
	return dir
}

const gateway = "package shop\n\nimport \"context\"\n\ntype Gateway interface {\n\tCharge(ctx context.Context) error\n}\n"

func TestInitGenerateCheck(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": gateway})
	code, out, errs := tool(t, dir, "init")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "wrote resilience.yaml and resilience.go for Gateway")
	code, _, errs = tool(t, dir, "check")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "not up to date")
	code, _, errs = tool(t, dir, "generate", "./...")
	require.Equal(t, 0, code, errs)
	code, out, errs = tool(t, dir, "check")
	require.Equal(t, 0, code, out+errs)
	before, err := os.Stat(filepath.Join(dir, "resilience_gen.go"))
	require.NoError(t, err)
	code, _, _ = tool(t, dir, "generate")
	require.Equal(t, 0, code)
	after, err := os.Stat(filepath.Join(dir, "resilience_gen.go"))
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after), "a file whose bytes stay is not written")
	code, _, errs = tool(t, dir, "init")
	require.Equal(t, 1, code)
	require.Equal(t, "resilgen: resilience.yaml exists and stays as it is\n", errs)
}

func TestFailedRunLeavesOldFile(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": "version: 1\ninterfaces: {Gateway: none}\n"})
	code, _, errs := tool(t, dir, "generate")
	require.Equal(t, 0, code, errs)
	old, err := os.ReadFile(filepath.Join(dir, "resilience_gen.go"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "resilience.yaml"), []byte("version: 1\ninterfaces: {Gateway: {cache: {}}}\n"), 0o644))
	code, _, errs = tool(t, dir, "generate")
	require.Equal(t, 1, code)
	require.Equal(t, "resilience.yaml:2:24: cache: not available yet\n\tinterfaces: {Gateway: {cache: {}}}\n\t                       ^\n", errs)
	now, err := os.ReadFile(filepath.Join(dir, "resilience_gen.go"))
	require.NoError(t, err)
	require.Equal(t, string(old), string(now))
}

func TestSentencesThatSayWhatToDo(t *testing.T) {
	policies := "version: 1\ninterfaces: {Gateway: none}\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		args  []string
		code  int
		want  string
	}{
		{"no verb", nil, []string{"genrate"}, 2, `no verb "genrate"`},
		{"no policies", map[string]string{"shop.go": gateway}, []string{"generate"}, 1, "no resilience.yaml here; resilgen init writes one"},
		{"no go.mod", map[string]string{"go.mod": "-", "shop.go": gateway, "resilience.yaml": policies}, []string{"generate"}, 1, "go mod init"},
		{"no parse", map[string]string{"shop.go": "package shop\nfunc {", "resilience.yaml": policies}, []string{"generate"}, 1, "resilgen needs files that parse"},
		{"no Go files", map[string]string{"resilience.yaml": policies}, []string{"generate"}, 1, "no Go"},
		{"bad flag", nil, []string{"generate", "-x"}, 2, "-x"},
		{"no interface", map[string]string{"shop.go": "package shop\n"}, []string{"init"}, 1, "declares no interface"},
		{"unknown interface", map[string]string{"shop.go": gateway}, []string{"init", "Repo"}, 1, "no interface Repo in package shop; it has Gateway"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{}
			for k, v := range c.files {
				files[k] = v
			}
			code, _, errs := tool(t, module(t, files), c.args...)
			require.Equal(t, c.code, code, errs)
			require.Contains(t, errs, c.want)
		})
	}
}

func TestExplain(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": "version: 1\npreset: production\ninterfaces:\n" +
		"  Gateway: {idempotent: true, timeout: {attempt: 1s}, retry: {maxAttempts: 3, backoff: {jitter: none}}}\n"})
	code, out, errs := tool(t, dir, "explain", "Gateway.Charge")
	require.Equal(t, 0, code, errs)
	for _, want := range []string{"retry.maxAttempts                          3                        resilience.yaml:4:76",
		"preset production", "nesting     retry > timeout.attempt > delegate", "at worst    6s, with Retry-After 1m3s", "at 0s, 1s, 3s, if each fails at once"} {
		require.Contains(t, out, want)
	}
	code, _, errs = tool(t, dir, "explain", "Gateway.Chrage")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "did you mean Charge?")
}

func TestJSONStrictPrune(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": "version: 1\npolicies: {x: {retry: {}}}\ninterfaces: {Gateway: none}\n",
		"old_resilience_gen.go": "// Code generated by resilgen from old.resilience.yaml; DO NOT EDIT.\n\npackage shop\n"})
	code, out, _ := tool(t, dir, "generate", "-json", "-strict")
	require.Equal(t, 1, code)
	require.Contains(t, out, `{"file":"resilience.yaml","line":2,"column":12,"severity":"warning","id":"RG098"`)
	require.NoFileExists(t, filepath.Join(dir, "resilience_gen.go"))
	code, _, errs := tool(t, dir, "generate")
	require.Equal(t, 0, code)
	require.Contains(t, errs, "old_resilience_gen.go: its policy file is gone; -prune removes it")
	code, _, _ = tool(t, dir, "generate", "-prune")
	require.Equal(t, 0, code)
	require.NoFileExists(t, filepath.Join(dir, "old_resilience_gen.go"))
}

func TestSchemaVersionCompletion(t *testing.T) {
	for _, args := range [][]string{{"schema"}, {"version"}, {"completion", "bash"}, {"completion", "zsh"}, {"completion", "fish"}} {
		code, out, errs := tool(t, t.TempDir(), args...)
		require.Equal(t, 0, code, errs)
		require.NotEmpty(t, out)
	}
}
