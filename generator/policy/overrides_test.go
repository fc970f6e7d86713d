package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func readOverrides(text string) ([]Override, error) {
	return ReadOverrides(Input{Path: "o.yaml", Data: []byte(text)})
}

func TestReadOverrides(t *testing.T) {
	got, err := readOverrides(`version: 1
preset: development
disable: [retry]
interfaces:
  payments.Gateway@eu:
    disable: []
    timeout: {total: 20s, attempt: none}
    bulkhead: {maxConcurrent: 0, maxQueue: unbounded}
    methods:
      "Get*, List?":
        retry: {maxAttempts: 4, backoff: {strategy: sequence, delays: [100ms, 1s]}}
      Charge:
        circuitBreaker: {failureRateThreshold: 12.5, openBackoff: none, autoHalfOpen: true, mode: shadow, halfOpen: {maxWait: none}}
        retry: none
`)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, o := range got {
		lines = append(lines, fmt.Sprintf("%s %s=%s %s", o.Name, o.Key, o.Value, o.Pos))
	}
	want := ` preset=development o.yaml:2:9
 disable=retry o.yaml:3:10
payments.Gateway@eu disable= o.yaml:6:14
payments.Gateway.Get*@eu retry=true o.yaml:11:16
payments.Gateway.Get*@eu retry.maxAttempts=4 o.yaml:11:30
payments.Gateway.Get*@eu retry.backoff.strategy=sequence o.yaml:11:53
payments.Gateway.Get*@eu retry.backoff.delays=100ms,1s o.yaml:11:71
payments.Gateway.List?@eu retry=true o.yaml:11:16
payments.Gateway.List?@eu retry.maxAttempts=4 o.yaml:11:30
payments.Gateway.List?@eu retry.backoff.strategy=sequence o.yaml:11:53
payments.Gateway.List?@eu retry.backoff.delays=100ms,1s o.yaml:11:71
payments.Gateway.Charge@eu circuitBreaker=true o.yaml:13:25
payments.Gateway.Charge@eu circuitBreaker.failureRateThreshold=12.5 o.yaml:13:48
payments.Gateway.Charge@eu circuitBreaker.openBackoff.multiplier= o.yaml:13:67
payments.Gateway.Charge@eu circuitBreaker.openBackoff.maxDuration= o.yaml:13:67
payments.Gateway.Charge@eu circuitBreaker.autoHalfOpen=true o.yaml:13:87
payments.Gateway.Charge@eu circuitBreaker.mode=shadow o.yaml:13:99
payments.Gateway.Charge@eu circuitBreaker.halfOpen.maxWait=none o.yaml:13:127
payments.Gateway.Charge@eu retry=none o.yaml:14:16
payments.Gateway@eu timeout=true o.yaml:7:14
payments.Gateway@eu timeout.total=20s o.yaml:7:22
payments.Gateway@eu timeout.attempt=none o.yaml:7:36
payments.Gateway@eu bulkhead=true o.yaml:8:15
payments.Gateway@eu bulkhead.maxConcurrent=0 o.yaml:8:31
payments.Gateway@eu bulkhead.maxQueue=unbounded o.yaml:8:44`
	if text := strings.Join(lines, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

func TestReadOverridesComplains(t *testing.T) {
	entry := func(text string) string { return "version: 1\ninterfaces: {p.G: {" + text + "}}" }
	const compiled = ": compiled in: change the policy file and generate again"
	for text, want := range map[string]string{
		"": "o.yaml:1:1: the file is empty: start with version: 1",
		"interfaces: {p.G: {retry: {maxAttempts: 2}}}": "o.yaml:1:1: version: is missing: write version: 1",
		"[1]":                                                         "o.yaml:1:1: an overrides file is a mapping, like interfaces: {payments.Gateway: {retry: {maxAttempts: 2}}}, not a list",
		"version: 1\npolicies: {x: {use: api}}":                       "o.yaml:2:1: policies" + compiled,
		"version: 1\npermanent: [ErrX]":                               "o.yaml:2:1: permanent" + compiled,
		"version: 1\npreset: prod":                                    `o.yaml:2:9: preset: "prod" is none of production, development, testing`,
		"version: 1\nintrfaces: {}":                                   "o.yaml:2:1: intrfaces: unknown key (did you mean interfaces?)",
		"version: 1\nworkflows: {}":                                   "o.yaml:2:1: workflows: compiled in: change the policy file and generate again (RG099)",
		"version: 1\ndisable: retry":                                  `o.yaml:2:10: disable: wants a list of parts, like [retry], not "retry"`,
		"version: 1\ndisable: [rety, hedge]":                          "o.yaml:2:11: disable: there is no part rety (did you mean retry?)",
		"version: 1\ndisable: [deadLetter]":                           "o.yaml:2:11: disable: deadLetter stays, so that nothing is lost or done twice: Runtime.SetDurable and RESILIENCE_DURABLE switch off what is durable",
		"version: 1\ninterfaces: {\"p.*\": {retry: none}}":            "o.yaml:2:14: interfaces.p.*: wants a qualified name, like payments.Gateway",
		"version: 1\ninterfaces: {p.G: none}":                         `o.yaml:2:19: interfaces.p.G: wants a mapping, like {retry: {maxAttempts: 2}}, not "none"`,
		entry("use: api"):                                             "o.yaml:2:20: use" + compiled,
		entry(`lint: {ignore: {RG010: "x"}}`):                         "o.yaml:2:20: lint" + compiled,
		entry("idempotent: true"):                                     "o.yaml:2:32: idempotent" + compiled,
		entry("retry: {retryOn: [ErrX]}"):                             "o.yaml:2:37: retry.retryOn" + compiled,
		entry("order: [bulkhead, retry]"):                             "o.yaml:2:27: order" + compiled,
		entry("fallback: true"):                                       "o.yaml:2:30: fallback" + compiled,
		entry("timeout: {mode: abandon}"):                             "o.yaml:2:36: timeout.mode" + compiled,
		entry(`circuitBreaker: {perKey: "x"}`):                        "o.yaml:2:45: circuitBreaker.perKey" + compiled,
		entry("retry: {maxAttempts: 0}"):                              "must be ≥ 1 (is 0)",
		entry("timeout: {total: 5}"):                                  "the duration 5 has no unit: write 5ms or 5s",
		entry("retry: {maxRetries: 3}"):                               "o.yaml:2:28: retry.maxRetries",
		entry("methods: {Charge: none}"):                              `o.yaml:2:38: methods.Charge: wants a mapping, like {retry: {maxAttempts: 2}}, not "none"`,
		entry(`methods: {"a b": {retry: none}}`):                      "o.yaml:2:30: methods.a b:",
		entry("methods: 3"):                                           "o.yaml:2:20: methods",
		"version: 1\ninterfaces: {p.G: {retry: none}, p.G: {}}":       "given twice",
		"version: 1\ninterfaces:\n  p.G: &x {retry: none}\n  p.H: *x": "an alias (*x)",
	} {
		_, err := readOverrides(text)
		var errs Errors
		if !errors.As(err, &errs) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
		for _, e := range errs {
			if !e.Pos.IsValid() {
				t.Errorf("%s: %v has no place", text, e)
			}
		}
	}
}
