package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The test binary is the tool when this variable is set, and one that is
// interrupted by its first words where it says so.
const asTool = "RESILGEN_TEST_AS_TOOL"

func TestMain(m *testing.M) {
	if os.Getenv(asService) != "" {
		os.Exit(runService())
	}
	if as := os.Getenv(asTool); as != "" {
		patience = time.Hour // what tests see printed does not depend on how fast the machine is
		if as == "interrupted" {
			os.Exit(runInterrupted())
		}
		main()
	}
	os.Exit(m.Run())
}

// runInterrupted is the tool, interrupted by its first warning: three packages
// are to come then.
func runInterrupted() int {
	ctx, stop := interruptible()
	defer stop()
	return run(ctx, os.Args[1:], os.Stdout, &interrupter{ctx: ctx})
}

type interrupter struct {
	ctx  context.Context
	sent bool
}

func (w *interrupter) Write(p []byte) (int, error) {
	if !w.sent {
		w.sent = true
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Signal(os.Interrupt)
		}
		if err != nil {
			return 0, err
		}
		<-w.ctx.Done()
	}
	return os.Stderr.Write(p)
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
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
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
	require.Equal(t, "resilgen: resilience.yaml exists and stays as it is; add interfaces to it by hand\n", errs)
}

func TestFailedRunLeavesOldFile(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": "version: 1\ninterfaces: {Gateway: none}\n"})
	code, _, errs := tool(t, dir, "generate")
	require.Equal(t, 0, code, errs)
	old, err := os.ReadFile(filepath.Join(dir, "resilience_gen.go"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "resilience.yaml"), []byte("version: 1\ninterfaces: {Gateway: {checkpoint: {}}}\n"), 0o644))
	code, _, errs = tool(t, dir, "generate")
	require.Equal(t, 1, code)
	require.Equal(t, "resilience.yaml:2:36: checkpoint: is empty: write what it shall be, like checkpoint: {key: \"req.ID\"}\n\tinterfaces: {Gateway: {checkpoint: {}}}\n\t                                   ^\n", errs)
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
		{"no verb", nil, []string{"genrate"}, 2, `no verb "genrate" (did you mean generate?)`},
		{"no policies", map[string]string{"shop.go": gateway}, []string{"generate"}, 1, "no resilience.yaml and no //resilience:policy here; resilgen init writes one"},
		{"no go.mod", map[string]string{"go.mod": "-", "shop.go": gateway, "resilience.yaml": policies}, []string{"generate"}, 1, "go mod init"},
		{"no parse", map[string]string{"shop.go": "package shop\nfunc {", "resilience.yaml": policies}, []string{"generate"}, 1, "resilgen needs files that parse"},
		{"no Go files", map[string]string{"resilience.yaml": policies}, []string{"generate"}, 1, "no Go"},
		{"two packages", map[string]string{"shop.go": gateway, "bank.go": "package bank\n", "resilience.yaml": policies}, []string{"explain", "Gateway"}, 1, "package bank (bank.go) and package shop (shop.go)"},
		{"bad flag", nil, []string{"generate", "-x"}, 2, "-x"},
		{"no interface", map[string]string{"shop.go": "package shop\n"}, []string{"init"}, 1, "declares no interface"},
		{"output is a directory", map[string]string{"shop.go": gateway, "resilience.yaml": policies, "resilience_gen.go/keep": ""}, []string{"generate"}, 1, "resilience_gen.go: is a directory, where the generated file belongs; move it away"},
		{"output is somebody's", map[string]string{"shop.go": gateway, "resilience.yaml": policies, "resilience_gen.go": "package shop\n"}, []string{"generate"}, 1, "was not written by resilgen, and stays as it is; move it away"},
		{"output is empty", map[string]string{"shop.go": gateway, "resilience.yaml": policies, "resilience_gen.go": ""}, []string{"check"}, 1, "was not written by resilgen, and stays as it is; move it away"},
		{"output has conflicts", map[string]string{"shop.go": gateway, "resilience.yaml": policies, "resilience_gen.go": "<<<<<<< ours\n"}, []string{"generate"}, 1, "was not written by resilgen, and stays as it is; move it away"},
		{"policies are a directory", map[string]string{"shop.go": gateway, "resilience.yaml/keep": ""}, []string{"generate"}, 1, "resilience.yaml: is a directory, where policies belong; move it away"},
		{"yml", map[string]string{"shop.go": gateway, "a.resilience.yml": policies}, []string{"generate", "./..."}, 1, "a.resilience.yml: policy files end in .yaml; rename it to a.resilience.yaml"},
		{"hidden", map[string]string{"shop.go": gateway, "_a.resilience.yaml": policies, ".resilience.yaml": policies}, []string{"generate"}, 1, "no resilience.yaml"},
		{"no such directory", nil, []string{"generate", "nowhere"}, 1, "nowhere: no such directory"},
		{"nothing below", nil, []string{"generate", "nowhere/..."}, 1, "nowhere: no such directory"},
		{"a file", map[string]string{"shop.go": gateway}, []string{"generate", "shop.go"}, 2, "shop.go is a file: name the directory of its package, ."},
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

// TestExplainWhatTheLanguageHas: every way to answer and to limit, a preset that
// switches off, and an interface of another package by either name.
func TestExplainWhatTheLanguageHas(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": "version: 1\npreset: testing\ninterfaces:\n" +
		"  Gateway: {timeout: {open: 1s}, fallback: true}\n  io.ReadCloser: {fallback: {value: zero}}\n"})
	code, out, errs := tool(t, dir, "explain", "Gateway")
	require.Equal(t, 0, code, errs)
	for _, want := range []string{"preset testing: calls pass straight through", "fallback                                   true                     resilience.yaml:4:",
		"nesting     fallback > timeout.open > delegate"} {
		require.Contains(t, out, want)
	}
	_, want, _ := tool(t, dir, "explain", "ReadCloser.Read")
	require.Contains(t, want, "fallback.value                             zero ")
	require.NotContains(t, want, "fallback                   ")
	code, out, errs = tool(t, dir, "explain", "io.ReadCloser.Read")
	require.Equal(t, 0, code, errs)
	require.Equal(t, want, out)
	code, _, errs = tool(t, dir, "explain", "Bank.Charge")
	require.Equal(t, 1, code)
	require.Equal(t, "resilgen: no policies for Bank.Charge in .; there are some for Gateway, io.ReadCloser\n", errs)
}

// TestExplainTheFirstLimit: the default is one that the other limits allow.
func TestExplainTheFirstLimit(t *testing.T) {
	for given, want := range map[string]string{"": "20", ", maxLimit: 10": "10", ", minLimit: 30": "30"} {
		dir := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": "version: 1\ninterfaces: {Gateway: {adaptive: {mode: concurrency" + given + "}}}\n"})
		code, out, errs := tool(t, dir, "explain", "Gateway.Charge")
		require.Equal(t, 0, code, errs)
		require.Regexp(t, `(?m)^  adaptive\.initialLimit +`+want+` +default$`, out)
	}
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
	require.Contains(t, errs, "old_resilience_gen.go: its policies are gone; resilgen generate -prune removes it")
	code, _, errs = tool(t, dir, "check")
	require.Equal(t, 1, code, "a left-over file is a difference")
	require.Contains(t, errs, "-prune removes it")
	code, _, _ = tool(t, dir, "generate", "-prune")
	require.Equal(t, 0, code)
	require.NoFileExists(t, filepath.Join(dir, "old_resilience_gen.go"))
	require.NoError(t, os.Remove(filepath.Join(dir, "resilience.yaml")))
	code, _, errs = tool(t, dir, "generate", "-prune")
	require.Equal(t, 0, code, errs)
	require.NoFileExists(t, filepath.Join(dir, "resilience_gen.go"))
}

// TestPoliciesOfNothing: a file that is about no interface any more.
func TestPoliciesOfNothing(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": "version: 1\ninterfaces: {Gateway: none}\n"})
	code, _, errs := tool(t, dir, "generate")
	require.Equal(t, 0, code, errs)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "resilience.yaml"), []byte("version: 1\n"), 0o644))
	code, _, errs = tool(t, dir, "check")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "warning: resilience.yaml:1:1: interfaces: there are none here, so nothing is generated")
	require.Contains(t, errs, "resilience_gen.go: its policies are gone; resilgen generate -prune removes it")
	code, _, errs = tool(t, dir, "generate", "-prune")
	require.Equal(t, 0, code, errs)
	require.NoFileExists(t, filepath.Join(dir, "resilience_gen.go"))
	code, _, _ = tool(t, dir, "check", "-strict")
	require.Equal(t, 1, code)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "resilience_gen.go"), []byte("package shop\n"), 0o644))
	code, _, errs = tool(t, dir, "generate")
	require.Equal(t, 0, code, "somebody's file is in nobody's way: %s", errs)
}

func TestSchemaVersionHelp(t *testing.T) {
	for _, args := range [][]string{{"schema"}, {"version"}, {"help"}, {"explain", "-h"}} {
		code, out, errs := tool(t, t.TempDir(), args...)
		require.Equal(t, 0, code, errs)
		require.NotEmpty(t, out)
	}
}

// TestHelpOfEachVerb: every way to ask for it, on standard output.
func TestHelpOfEachVerb(t *testing.T) {
	for _, verb := range verbNames() {
		code, want, errs := tool(t, t.TempDir(), "help", verb)
		require.Equal(t, 0, code, errs)
		require.True(t, strings.HasPrefix(want, "usage: resilgen "+verb), want)
		for _, flag := range []string{"-h", "--help"} {
			code, out, errs := tool(t, t.TempDir(), verb, flag)
			require.Equal(t, 0, code)
			require.Empty(t, errs)
			require.Equal(t, want, out)
		}
	}
	_, out, _ := tool(t, t.TempDir(), "generate", "-n", "-h")
	require.Contains(t, out, "-prune")
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"generate", ".", "-n"}, "-n comes too late: flags stand before the directories"},
		{[]string{"check", "-prune"}, "flag provided but not defined: -prune; resilgen help check lists the flags"},
		{[]string{"explain", "-json", "Gateway"}, "explain takes no flags, and was given -json"},
		{[]string{"explain"}, "explain wants one Interface or Interface.Method, like Gateway.Charge, or the number of a check"},
		{[]string{"version", "x"}, "version takes no arguments"},
		{[]string{"schema", "x"}, "schema takes no arguments"},
	} {
		code, out, errs := tool(t, t.TempDir(), c.args...)
		require.Equal(t, exitUsage, code)
		require.Empty(t, out)
		require.Equal(t, "resilgen: "+c.want+"\n", errs)
	}
	code, _, errs := tool(t, t.TempDir(), "help", "genrate")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "did you mean generate?")
}

const annotated = "package shop\n\nimport \"context\"\n\n//resilience:policy {timeout: {attempt: 1s}}\ntype Gateway interface {\n" +
	"\t//resilience:policy {retry: {maxAttempts: 3}, idempotent: true}\n\tCharge(ctx context.Context) error\n}\n"

func TestAnnotationsWithoutPolicyFile(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": annotated})
	code, _, errs := tool(t, dir, "generate", "./...")
	require.Equal(t, 0, code, errs)
	require.FileExists(t, filepath.Join(dir, "resilience_gen.go"))
	code, out, errs := tool(t, dir, "check")
	require.Equal(t, 0, code, out+errs)
	require.Empty(t, errs)
	code, out, _ = tool(t, dir, "explain", "Gateway.Charge")
	require.Equal(t, 0, code)
	require.Contains(t, out, "shop.go:7:44")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "shop.go"), []byte(gateway), 0o644))
	code, _, errs = tool(t, dir, "generate")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "no //resilience:policy here")
}

func TestCaretUnderAnnotation(t *testing.T) {
	wrong := strings.Replace(strings.Replace(annotated, "idempotent", "idempotnt", 1), "Gateway interface", "Gateway struct", 1)
	_, _, errs := tool(t, module(t, map[string]string{"shop.go": wrong}), "generate")
	require.Equal(t, "resilgen: shop.go:8:13: expected ')', found context; resilgen needs files that parse\n", errs)
	wrong = strings.Replace(annotated, "idempotent", "idempotnt", 1) + "\n//resilience:policy {}\nvar x int\n"
	_, _, errs = tool(t, module(t, map[string]string{"shop.go": wrong}), "generate")
	require.Equal(t, "shop.go:7:48: idempotnt: unknown key (did you mean idempotent?) (RG090)\n"+
		"\t //resilience:policy {retry: {maxAttempts: 3}, idempotnt: true}\n"+
		"\t"+strings.Repeat(" ", 47)+"^\n"+
		"shop.go:11:1: this is no type: an annotation stands directly above an interface, or a method in one\n"+
		"\t//resilience:policy {}\n\t^\n", errs)
}

func TestLintWarn(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": "version: 1\ninterfaces: {Gateway: {methods: {Charge: {retry: {maxAttempts: 2}}}}}\n"})
	code, _, errs := tool(t, dir, "generate")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "(RG011)")
	code, _, errs = tool(t, dir, "generate", "-lint=warn")
	require.Equal(t, 0, code)
	require.True(t, strings.HasPrefix(errs, "warning: resilience.yaml:2:34: Gateway.Charge: retry needs idempotent: true"), errs)
	code, _, _ = tool(t, dir, "check", "-lint=warn")
	require.Equal(t, 0, code)
	code, _, _ = tool(t, dir, "check", "-lint=warn", "-strict")
	require.Equal(t, 1, code)
	code, _, errs = tool(t, dir, "check", "-lint=loud")
	require.Equal(t, 2, code)
	require.Contains(t, errs, "want warn or error")
	facts := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": "version: 1\ninterfaces: {Gateway: {timeout: {total: 1s, attempt: 2s}}}\n"})
	code, _, errs = tool(t, facts, "generate", "-lint=warn")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "(RG001)")
}
