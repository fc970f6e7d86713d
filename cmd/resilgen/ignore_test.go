package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hasty is a policy that RG014 warns of, and IGNORE a lint key, which stands in
// the file, a policy, an interface, a method, or an annotation.
var hasty = map[string]map[string]string{
	"file": {"resilience.yaml": "version: 1\nlint: {ignore: IGNORE}\ninterfaces: {Gateway: {idempotent: true, timeout: {attempt: 1s}, retry: {backoff: none}}}\n"},
	"policy": {"resilience.yaml": "version: 1\npolicies: {hasty: {idempotent: true, timeout: {attempt: 1s}, retry: {backoff: none}, lint: {ignore: IGNORE}}}\n" +
		"interfaces: {Gateway: {use: hasty}}\n"},
	"interface":  {"resilience.yaml": "version: 1\ninterfaces: {Gateway: {idempotent: true, timeout: {attempt: 1s}, retry: {backoff: none}, lint: {ignore: IGNORE}}}\n"},
	"method":     {"resilience.yaml": "version: 1\ninterfaces: {Gateway: {methods: {Charge: {idempotent: true, timeout: {attempt: 1s}, retry: {backoff: none}, lint: {ignore: IGNORE}}}}}\n"},
	"annotation": {"shop.go": strings.Replace(gateway, "type Gateway", "//resilience:policy {idempotent: true, timeout: {attempt: 1s}, retry: {backoff: none}, lint: {ignore: IGNORE}}\ntype Gateway", 1)},
}

// hastyModule is a module with the policy and the lint key.
func hastyModule(t *testing.T, place, ignore string) string {
	t.Helper()
	files := map[string]string{"shop.go": gateway}
	for name, text := range hasty[place] {
		files[name] = strings.ReplaceAll(text, "IGNORE", ignore)
	}
	return module(t, files)
}

func TestIgnoreAtEveryPlace(t *testing.T) {
	for place := range hasty {
		t.Run(place, func(t *testing.T) {
			for _, verb := range []string{"generate", "lint"} {
				for _, c := range []struct {
					name, ignore string
					args         []string
					code         int
					says, not    string
				}{
					{"a reason", `{RG014: "one caller"}`, []string{"-strict"}, exitOK, "", "warning:"},
					{"no reason", "{RG014: }", nil, exitFindings, "lint.ignore.RG014: wants the reason, in quotes", ""},
					{"an empty reason", `{RG014: " "}`, nil, exitFindings, "lint.ignore.RG014: wants the reason, in quotes", ""},
					{"a number for a reason", "{RG014: 3}", nil, exitFindings, "lint.ignore.RG014: wants the reason, in quotes", ""},
					{"no checks", "{}", nil, exitFindings, "lint.ignore: wants the checks, each with a reason", ""},
					{"no number", `{fast: "x"}`, nil, exitFindings, "is not the number of a check", ""},
					{"an unknown number", `{RG777: "x"}`, nil, exitFindings, "lint.ignore: there is no check RG777", ""},
					{"a fact", `{RG001: "x"}`, nil, exitFindings, "RG001 (the attempt limit can act) is no matter of judgement", ""},
					{"another one", `{RG023: "quiet"}`, nil, exitOK, "no delay between 3 attempts", ""},
					{"finds nothing", `{RG014: "one caller", RG023: "quiet"}`, nil, exitOK, "lint.ignore: RG023 finds nothing here", "(RG014)"},
					{"finds nothing, strictly", `{RG014: "one caller", RG023: "quiet"}`, []string{"-strict"}, exitFindings, "-strict was given", "(RG014)"},
				} {
					code, out, errs := tool(t, hastyModule(t, place, c.ignore), append([]string{verb}, c.args...)...)
					require.Equal(t, c.code, code, "%s %s: %s%s", verb, c.name, out, errs)
					require.Contains(t, errs, c.says, "%s %s", verb, c.name)
					if c.not != "" {
						require.NotContains(t, errs, c.not, "%s %s", verb, c.name)
					}
				}
			}
		})
	}
}

// Checks that only lint runs may still find something where generate does not.
func TestIgnoreOfWhatLintAloneFinds(t *testing.T) {
	dir := hastyModule(t, "file", `{RG014: "one caller", RG031: "made at start"}`)
	code, _, errs := tool(t, dir, "generate", "-strict")
	require.Equal(t, exitOK, code, errs)
	code, _, errs = tool(t, dir, "lint", "-strict")
	require.Equal(t, exitFindings, code, errs)
	require.Contains(t, errs, "RG031 finds nothing here")
}

// -lint=warn is for errors of judgement, and -strict for what is left then.
func TestLintWarnIsForJudgement(t *testing.T) {
	twice := "version: 1\ninterfaces: {Gateway: {methods: {Charge: {timeout: {attempt: 1s}, retry: {}}}}}\n"
	for _, verb := range []string{"generate", "lint"} {
		for _, c := range []struct {
			policy string
			args   []string
			code   int
			says   string
		}{
			{twice, nil, exitFindings, "resilience.yaml:2:34: Gateway.Charge: retry needs idempotent: true"},
			{twice, []string{"-lint=warn"}, exitOK, "warning: resilience.yaml:2:34: Gateway.Charge: retry needs idempotent: true"},
			{twice, []string{"-lint=warn", "-strict"}, exitFindings, "1 warnings, and -strict was given"},
			{fails, []string{"-lint=warn"}, exitFindings, "which can never act (RG001)"},
			{twice, []string{"-lint=off"}, exitUsage, "lint"},
		} {
			dir := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": c.policy})
			code, out, errs := tool(t, dir, append([]string{verb}, c.args...)...)
			require.Equal(t, c.code, code, "%s %v: %s%s", verb, c.args, out, errs)
			require.Contains(t, errs, c.says, "%s %v", verb, c.args)
		}
	}
}

func TestLintOverrides(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": gateway, "resilience.yaml": "version: 1\ninterfaces: {Gateway: {circuitBreaker: {ignoreOn: [Panic]}}}\n",
		"method.yaml": "version: 1\ninterfaces: {shop.Gateway: {methods: {Chrage: {circuitBreaker: none}}}}\n",
		"other.yaml":  "version: 1\ninterfaces: {bank.Bank: {methods: {Charge: {circuitBreaker: none}}}}\n",
		"both.yaml":   "version: 1\ninterfaces: {shop.Gateway: {retry: {maxAtempts: 3}, methods: {Chrage: {circuitBreaker: none}}}}\n",
		"good.yaml":   "version: 1\ninterfaces: {shop.Gateway: {circuitBreaker: {openDuration: 1m}}}\n",
		"shape.yaml":  "version: 1\ninterfaces: {shop.Gateway: {circuitBreaker: {window: {size: 50}}}}\n",
		"bad.yaml":    "version: 1\ninterfaces: {shop.Gateway: {circuitBreaker: {scope: interface}, retry: none}}\n"})
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-strict", "-overrides", "good.yaml"}, exitOK, ""},
		{[]string{"-overrides", "good.yaml", "-overrides=shape.yaml"}, exitOK, "warning: shape.yaml:2:61: shop.Gateway.Charge: circuitBreaker.window.size 100 → 50 begins a new window"},
		{[]string{"-strict", "-overrides", "shape.yaml"}, exitFindings, "1 warnings, and -strict was given"},
		{[]string{"-overrides", "bad.yaml"}, exitFindings, "bad.yaml:2:53: circuitBreaker.scope: compiled in: change the policy file and generate again (RG099)\n\tinterfaces:"},
		{[]string{"-overrides", "method.yaml"}, exitFindings, "method.yaml:2:64: shop.Gateway.Chrage: no policy that was read here has the name shop.Gateway.Chrage (did you mean shop.Gateway.Charge?)"},
		{[]string{"-overrides", "other.yaml"}, exitOK, "warning: other.yaml:2:61: bank.Bank.Charge: no policy that was read here has the name"},
		{[]string{"-overrides", "both.yaml"}, exitFindings, "shop.Gateway.Chrage: no policy that was read here"},
		{[]string{"-overrides", "both.yaml"}, exitFindings, "retry.maxAtempts: unknown key"},
		{[]string{"-overrides", "none.yaml"}, exitFindings, "none.yaml: no such file"},
	} {
		code, out, errs := tool(t, dir, append([]string{"lint"}, c.args...)...)
		require.Equal(t, c.code, code, "%v: %s%s", c.args, out, errs)
		require.Contains(t, errs, c.says, "%v", c.args)
	}
}
