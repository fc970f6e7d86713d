package generator

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
)

// TestDiffGolden compares the policies of the cases that have a file diff with
// those in old/resilience.yaml.
func TestDiffGolden(t *testing.T) {
	paths, err := filepath.Glob("../testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	root := newModule(t)
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !hasFile(archive, "diff") {
			continue
		}
		dir := filepath.Join(root, strings.TrimSuffix(filepath.Base(path), ".txtar"))
		unpack(t, dir, archive)
		old, err := os.ReadFile(filepath.Join(dir, "old/resilience.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		list, err := Diff(context.Background(), Config{Dir: dir}, map[string][]byte{"resilience.yaml": old})
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, c := range list {
			got.WriteString(strings.ReplaceAll(c.Finding().Error(), dir+string(filepath.Separator), "") + "\n")
		}
		replaceMessages(t, path, archive, "diff", got.String())
	}
}

// What is weaker one way is stronger the other way.
func TestDiffTurnsAround(t *testing.T) {
	root := newModule(t)
	for n, pair := range [][2]string{
		{"{timeout: {total: 5s}}", "{timeout: {total: 9s}}"},
		{"{timeout: {total: 5s, attempt: 1s}}", "{timeout: {total: 5s}}"},
		{"{timeout: {total: 5s}}", "none"},
		{"{idempotent: true, timeout: {total: 5s}, retry: {maxAttempts: 2}}", "{idempotent: true, timeout: {total: 5s}, retry: {maxAttempts: 3}}"},
		{"{idempotent: true, timeout: {total: 5s}}", "{timeout: {total: 5s}}"},
		{"{circuitBreaker: {failureRateThreshold: 30}}", "{circuitBreaker: {failureRateThreshold: 60}}"},
		{"{circuitBreaker: {}}", "{circuitBreaker: {mode: shadow}}"},
		{"{circuitBreaker: {recordOn: [Timeout, HTTP5xx]}}", "{circuitBreaker: {recordOn: [Timeout]}}"},
		{"{circuitBreaker: {}}", "{circuitBreaker: {ignoreOn: [HTTP429]}}"},
		{"{bulkhead: {maxConcurrent: 5}}", "{bulkhead: {maxConcurrent: 6}}"},
		{"{bulkhead: {maxQueue: 5, maxWait: 1ms}}", "{bulkhead: {maxWait: 1ms}}"},
		{"{idempotent: true, retry: {budget: {ratio: 0.1}}}", "{idempotent: true, retry: {}}"},
		{"{idempotent: true, retry: {budget: {ratio: 0.1}}}", "{idempotent: true, retry: {budget: {ratio: 0.3}}}"},
		{"{idempotent: true, retry: {budget: {minConcurrency: 1}}}", "{idempotent: true, retry: {budget: {minConcurrency: 10}}}"},
		{"{idempotent: true, hedge: {maxHedges: 1, delay: 50ms}}", "{idempotent: true, hedge: {maxHedges: 2, delay: 50ms}}"},
		{"{idempotent: true, hedge: {delay: 50ms}}", "{idempotent: true, hedge: {delay: 5ms}}"},
		{"{idempotent: true, hedge: {percentile: 99}}", "{idempotent: true, hedge: {percentile: 90}}"},
		{"{idempotent: true, hedge: {warmup: 100}}", "{idempotent: true, hedge: {warmup: 10}}"},
		{"{rateLimit: {limit: 5}}", "none"},
		{"{rateLimit: {limit: 5}}", "{rateLimit: {limit: 5, maxWait: 1s}}"},
		{"{rateLimit: {limit: 5, period: 2s}}", "{rateLimit: {limit: 5}}"},
		{"{rateLimit: {limit: 5, burst: 1}}", "{rateLimit: {limit: 5}}"},
		{"{rateLimit: {limit: 5}}", "{rateLimit: {limit: 5, scope: call}}"},
		{"{adaptive: {k: 1.5}}", "{adaptive: {}}"},
		{"{adaptive: {maxRejectionRatio: 0.95}}", "{adaptive: {}}"},
		{"{adaptive: {mode: concurrency, maxLimit: 50}}", "{adaptive: {mode: concurrency}}"},
		{"{adaptive: {mode: concurrency}}", "{adaptive: {mode: concurrency, minLimit: 5}}"},
		{"{cache: {ttl: 1m, key: \"id\"}}", "none"},
		{"{cache: {ttl: 2m, key: \"id\"}}", "{cache: {ttl: 1m, key: \"id\"}}"},
		{"{cache: {ttl: 1m, key: \"id\", staleOnError: 1h}}", "{cache: {ttl: 1m, key: \"id\"}}"},
		{"none", "{chaos: {latency: 1s}}"},
		{"{chaos: {latency: 1s}}", "{chaos: {latency: 1s, injectionRatio: 0.01}}"},
	} {
		dir := filepath.Join(root, fmt.Sprint("p", n))
		strong, weak := []byte(lint.Example{Policy: "{methods: {Charge: " + pair[0] + "}}"}.YAML()), []byte(lint.Example{Policy: "{methods: {Charge: " + pair[1] + "}}"}.YAML())
		for now, old := range map[string][]byte{string(weak): strong, string(strong): weak} {
			a := example(lint.Example{})
			a.Files[0].Data = []byte(now)
			unpack(t, dir, a)
			list, err := Diff(context.Background(), Config{Dir: dir}, map[string][]byte{"resilience.yaml": old})
			if err != nil {
				t.Fatal(err)
			}
			want := Stronger
			if now == string(weak) {
				want = Weaker
			}
			if len(list) != 1 || list[0].Kind != want {
				t.Errorf("from\n%sto\n%sgot %v, want %s", old, now, list, want)
			}
		}
	}
}

// What says the same in another way is neither.
func TestDiffOtherWays(t *testing.T) {
	dir := filepath.Join(newModule(t), "a")
	for _, pair := range [][2]string{
		{"{idempotent: true, hedge: {delay: 50ms}}", "{idempotent: true, hedge: {percentile: 90}}"},
		{"{rateLimit: {limit: 5}}", "{rateLimit: {limit: 5, mode: fixed}}"},
		{"{adaptive: {}}", "{adaptive: {window: 1m}}"},
	} {
		a := example(lint.Example{Policy: pair[1]})
		unpack(t, dir, a)
		list, err := Diff(context.Background(), Config{Dir: dir}, map[string][]byte{"resilience.yaml": []byte(lint.Example{Policy: pair[0]}.YAML())})
		if err != nil || len(list) == 0 {
			t.Fatal(list, err)
		}
		for _, c := range list {
			if c.Kind != Other {
				t.Errorf("from %s to %s: %v", pair[0], pair[1], c)
			}
		}
	}
}

// Directions are about keys that exist.
func TestComparedKeysExist(t *testing.T) {
	for _, path := range lint.ComparedKeys() {
		if policy.Lookup(path) == nil {
			t.Errorf("%s is no key", path)
		}
	}
}
