package main

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"github.com/resilgen/resilgen/runtime/simulation"
)

var update = flag.Bool("update", false, "record transcripts, and draw docs/simulate.svg")

// requiring is a go.mod of a module that has the tool, and so the runtime.
func requiring(t *testing.T) string {
	t.Helper()
	return "module example.com/shop\n\ngo 1.25.0\n\nrequire github.com/resilgen/resilgen v0.0.0\n\nreplace github.com/resilgen/resilgen => " + root(t) + "\n"
}

// root is the directory of this module.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	require.NoError(t, err)
	return dir
}

// onThisArchitecture skips what depends on how a processor rounds.
func onThisArchitecture(t *testing.T) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("other processors round other latencies")
	}
}

// TestSimulateTranscripts plays the first line of each archive in a module with its
// files and compares what is printed. Nothing in the module changes.
func TestSimulateTranscripts(t *testing.T) {
	onThisArchitecture(t)
	paths, err := filepath.Glob("testdata/simulate-*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			require.NoError(t, err)
			files := map[string]string{"go.mod": requiring(t)}
			want, inputs := "", []txtar.File{}
			for _, f := range archive.Files {
				if f.Name == "stdout" {
					want = string(f.Data)
					continue
				}
				files[f.Name], inputs = string(f.Data), append(inputs, f)
			}
			dir := module(t, files)
			line, _, _ := strings.Cut(string(archive.Comment), "\n")
			code, out, errs := tool(t, dir, strings.Fields(line)...)
			require.Equal(t, 0, code, errs)
			if *update {
				archive.Files = append(inputs, txtar.File{Name: "stdout", Data: []byte(out)})
				require.NoError(t, os.WriteFile(path, txtar.Format(archive), 0o644))
				want = out
			}
			require.Equal(t, want, out)
			unchanged(t, dir, files)
		})
	}
}

func unchanged(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, len(files))
	for name, text := range files {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, text, string(data), name)
	}
}

const simulatedPolicy = "version: 1\ninterfaces:\n  Gateway: {idempotent: true, retry: {maxAttempts: 3}, circuitBreaker: {openDuration: 1s}, timeout: {attempt: 1s}}\n"

// TestSimulateIsDeterministic: the same bytes for the same seed, in text, as JSON
// and as a picture, and others for another one.
func TestSimulateIsDeterministic(t *testing.T) {
	dir := module(t, map[string]string{"go.mod": requiring(t), "shop.go": gateway, "resilience.yaml": simulatedPolicy})
	play := func(args ...string) string {
		args = append([]string{"simulate", "Gateway.Charge", "-outage", "10s", "-failures", "10%", "-duration", "1m", "-latency", "p50=20ms,p99=2s", "-svg", "load.svg"}, args...)
		code, out, errs := tool(t, dir, args...)
		require.Equal(t, 0, code, errs)
		picture, err := os.ReadFile(filepath.Join(dir, "load.svg"))
		require.NoError(t, err)
		return out + string(picture)
	}
	first := play("-json")
	require.Equal(t, first, play("-json"))
	require.Equal(t, play("-seed", "7"), play("-seed", "7"))
	require.NotEqual(t, first, play("-seed", "7", "-json"))

	text, _, _ := strings.Cut(first, "<svg")
	var result struct {
		Method string
		Seed   uint64
		Notes  []string
		simulation.Result
	}
	require.NoError(t, json.Unmarshal([]byte(text), &result))
	require.Equal(t, "shop.Gateway.Charge", result.Method)
	require.Len(t, result.Phases, 4)
	require.Equal(t, "open", result.Breakers[0].Transitions[0].To)
	require.NotContains(t, text, "null")
}

// TestSimulateHeedsTheEnvironment: numbers can be tried without a change of the
// policy, and calls without any.
func TestSimulateHeedsTheEnvironment(t *testing.T) {
	dir := module(t, map[string]string{"go.mod": requiring(t), "shop.go": gateway, "resilience.yaml": simulatedPolicy})
	attempts := func() float64 {
		code, out, errs := tool(t, dir, "simulate", "Gateway.Charge", "-failures", "40%", "-json", "-duration", "10s")
		require.Equal(t, 0, code, errs)
		var result simulation.Result
		require.NoError(t, json.Unmarshal([]byte(out), &result))
		return float64(result.Phases[0].Attempts) / float64(result.Phases[0].Calls)
	}
	t.Setenv("RESILIENCE_DISABLE", "circuitBreaker")
	require.InDelta(t, 1+0.4+0.4*0.4, attempts(), 0.05)
	t.Setenv("RESILIENCE_RETRY_MAXATTEMPTS", "2")
	require.InDelta(t, 1+0.4, attempts(), 0.05)
	t.Setenv("RESILIENCE_ENABLED", "false")
	require.InDelta(t, 1, attempts(), 0)
}

// TestSimulateComplains says what is wrong, and what would be right.
func TestSimulateComplains(t *testing.T) {
	const generic = "package shop\n\ntype Closer interface{ comparable; Close() }\n\ntype Gateway[C Closer] interface{ Charge(c C) error }\n"
	plain := map[string]string{"go.mod": requiring(t), "shop.go": gateway, "resilience.yaml": simulatedPolicy}
	for _, c := range []struct {
		name  string
		files map[string]string
		args  string
		code  int
		want  string
	}{
		{"no target", plain, "", 2, "simulate wants an Interface.Method, like Gateway.Charge"},
		{"two targets", plain, "Gateway.Charge -json Gateway.Refund", 2, "simulate wants one Interface.Method, and was given Gateway.Charge and Gateway.Refund"},
		{"an interface", plain, "Gateway", 1, "Gateway is an interface: name one of its methods, Gateway.Charge"},
		{"another interface", plain, "Bank.Charge", 1, "no policies for Bank.Charge in .; there are some for Gateway"},
		{"another method", plain, "Gateway.Chrage", 1, "Gateway has no method Chrage (did you mean Charge?)"},
		{"another error", plain, "Gateway.Charge -error ErrBusy", 1, "error ErrBusy: does not resolve to a Go identifier"},
		{"no error", plain, "Gateway.Charge -error Gateway", 1, "error Gateway: want an error variable; have type Gateway interface"},
		{"rate", plain, "Gateway.Charge -arrivals 200", 2, `invalid value "200" for flag -arrivals: want a number above 0 and a unit of time, like 200/s, 90/m or 1000/h`},
		{"duration", plain, "Gateway.Charge -duration 0s", 2, "want a duration above 0 with its unit, like 30s or 2m"},
		{"outage", plain, "Gateway.Charge -outage 30", 2, "want how long, and from when on if not in the middle, like 30s or 30s@1m"},
		{"outage's place", plain, "Gateway.Charge -outage 30s@-1s", 2, "want how long, and from when on"},
		{"long outage", plain, "Gateway.Charge -outage 30s@50s -duration 1m", 2, "an outage of 30s that ends 1m20s after the beginning is longer than -duration 1m0s"},
		{"mode", plain, "Gateway.Charge -outage 1s -outage-mode slow", 2, "want fail or hang"},
		{"mode of none", plain, "Gateway.Charge -outage-mode hang", 2, "-outage-mode says what happens in an outage: give -outage, too"},
		{"latency", plain, "Gateway.Charge -latency p50=20ms,p95=1s", 2, "want p50=20ms,p99=400ms, or one duration for all, like 20ms"},
		{"latencies", plain, "Gateway.Charge -latency p50=2s,p99=1s", 2, "p99 (1s) is at least p50 (2s)"},
		{"share", plain, "Gateway.Charge -failures 0.05", 2, "want a percentage from 0% to 100%, like 5%"},
		{"status", plain, "Gateway.Charge -error 200", 2, "want an HTTP status from 400 to 599, or an error variable"},
		{"capacity", plain, "Gateway.Charge -capacity 0", 2, "want a whole number above 0"},
		{"too many calls", plain, "Gateway.Charge -arrivals 1e6/s", 2, "120000000 calls in 2m0s are more than 2000000: give a lower -arrivals or a shorter -duration"},
		{"flag", plain, "Gateway.Charge -rate 1/s", 2, "flag provided but not defined: -rate; resilgen help simulate lists the flags"},
		{"pile", plain, "Gateway.Charge -arrivals 100000/s -duration 5s -latency 1h -deadline 2h", 1, "calls pile up: 50001 are in flight"},
		{"policy", with(plain, "resilience.yaml", "version: 1\ninterfaces: {Gateway: {retry: {maxAttempts: 0}}}\n"), "Gateway.Charge", 1, "retry.maxAttempts"},
		{"no error result", with(plain, "shop.go", "package shop\n\ntype Gateway interface{ Charge() }\n", "resilience.yaml", "version: 1\ninterfaces: {Gateway: none}\n"), "Gateway.Charge", 1, "Gateway.Charge returns no error, so no policy acts on it"},
		{"generic", with(plain, "shop.go", generic, "resilience.yaml", "version: 1\ninterfaces: {Gateway: {bulkhead: {}}}\n"), "Gateway.Charge", 1, "Gateway is generic, and no type is known that is a"},
		{"package that does not compile", with(plain, "bad.go", "package shop\n\nvar _ int = true\n"), "Gateway.Charge", 1, "the package does not compile together with the simulation:\n# example.com/shop"},
		{"runtime of another version", with(plain, "go.mod", strings.ReplaceAll(requiring(t), root(t), "./old"), "old/go.mod", "module github.com/resilgen/resilgen\n",
			"old/runtime/resilience/old.go", "package resilience\n", "old/runtime/simulation/old.go", "package simulation\n"), "Gateway.Charge", 1,
			"what is generated does not compile in this package. Is github.com/resilgen/resilgen, which the module here requires, of another version"},
		{"matcher that panics", with(plain, "bad.go", "package shop\n\nfunc fine(error) bool { panic(\"no\") }\n", "resilience.yaml",
			"version: 1\ninterfaces: {Gateway: {idempotent: true, retry: {retryOn: [fine]}}}\n"), "Gateway.Charge -failures 50%", 1, "the simulation failed (exit status 2):\npanic: no"},
		{"no runtime", with(plain, "go.mod", "module example.com/shop\n\ngo 1.25.0\n"), "Gateway.Charge", 1,
			"the module here does not require github.com/resilgen/resilgen, whose runtime is simulated: go get github.com/resilgen/resilgen@"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{}
			for k, v := range c.files {
				files[k] = v
			}
			code, out, errs := tool(t, module(t, files), append([]string{"simulate"}, strings.Fields(c.args)...)...)
			require.Equal(t, c.code, code, errs)
			require.Empty(t, out)
			require.Contains(t, errs, c.want)
		})
	}
}

// with returns files, and others instead of some.
func with(files map[string]string, pairs ...string) map[string]string {
	out := map[string]string{}
	for name, text := range files {
		out[name] = text
	}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

// TestSimulateDocIsUpToDate plays the example of docs/simulate.md, and draws its
// picture.
func TestSimulateDocIsUpToDate(t *testing.T) {
	onThisArchitecture(t)
	const path, picture, prompt = "../../docs/simulate.md", "../../docs/simulate.svg", "```\n$ resilgen "
	doc, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(doc), prompt)
	require.True(t, ok)
	line, rest, _ := strings.Cut(rest, "\n")
	_, after, _ := strings.Cut(rest, "```\n")
	args := strings.Fields(line)
	drawn := filepath.Join(t.TempDir(), args[len(args)-1])
	code, out, errs := tool(t, "../../examples/payments", append(args[:len(args)-1:len(args)-1], drawn)...)
	require.Equal(t, 0, code, errs)
	out = strings.Replace(out, drawn, args[len(args)-1], 1)
	want := before + prompt + line + "\n" + out + "```\n" + after
	svg, err := os.ReadFile(drawn)
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		require.NoError(t, os.WriteFile(picture, svg, 0o644))
		return
	}
	require.Equal(t, want, string(doc), "make docs")
	have, err := os.ReadFile(picture)
	require.NoError(t, err)
	require.Equal(t, string(svg), string(have), "make docs")
}

// TestSimulateKeepsLetters: a policy that needs a store has one in memory.
func TestSimulateKeepsLetters(t *testing.T) {
	dir := module(t, map[string]string{"go.mod": requiring(t), "shop.go": keepingGo, "resilience.yaml": "version: 1\ninterfaces: {Gateway: {idempotent: true, retry: {maxAttempts: 2}, leaveOut: all, deadLetter: {overflow: reject}}}\n"})
	code, out, errs := tool(t, dir, "simulate", "Gateway.Ping", "-failures", "40%", "-duration", "10s")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "deadLetter keeps letters in memory")
	require.NotContains(t, out, "100.00%")
}
