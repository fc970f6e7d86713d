package conformance

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/resilgen/resilgen/generator"
)

// family is cases by id.
type family map[string]func(*testing.T)

var families = []family{breakerCases, r4jBreakerCases, pollyBreakerCases, otherBreakerCases, retryCases, timeoutCases, bulkheadCases, rateLimitCases, adaptiveCases, metricsCases, fallbackCases, budgetCases, hedgeCases, overridesCases, orderCases, invalidCases}

// row is a line of cases.jsonl; what it expects is for the reader.
type row struct{ ID, Stance string }

func readRows(t *testing.T) []row {
	f, err := os.Open("cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows []row
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	if err := lines.Err(); err != nil || len(rows) == 0 {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	return rows
}

// TestCases plays every case, each of which is accounted for exactly once.
func TestCases(t *testing.T) {
	left := map[string]func(*testing.T){}
	for _, f := range families {
		for id, run := range f {
			if left[id] != nil {
				t.Errorf("%s: played twice", id)
			}
			left[id] = run
		}
	}
	waiting := maps.Clone(notYet)
	var count tally
	for _, r := range readRows(t) {
		run, missing := left[r.ID], waiting[r.ID]
		delete(left, r.ID)
		delete(waiting, r.ID)
		switch {
		case run != nil && missing.key != "":
			t.Errorf("%s: played, and yet not built", r.ID)
		case run != nil:
			count.add(r.ID, t.Run(r.ID, run))
		case missing.key != "":
			count.wait(missing.key, t.Run(r.ID, missing.check))
		default:
			t.Errorf("%s: neither played nor listed as not built", r.ID)
		}
	}
	for id := range left {
		t.Errorf("%s: no such case", id)
	}
	for id := range waiting {
		t.Errorf("%s: no such case", id)
	}
	fmt.Print(count.String())
}

// tally counts what became of the cases.
type tally struct {
	passed, failed, corrected, partly int
	waiting                           map[string]int
}

func (c *tally) add(id string, ok bool) {
	switch {
	case !ok:
		c.failed++
	case corrected[id] != "":
		c.corrected++
	case inPart[id] != "":
		c.partly++
	default:
		c.passed++
	}
}

func (c *tally) wait(key string, ok bool) {
	if !ok {
		c.failed++
		return
	}
	if c.waiting == nil {
		c.waiting = map[string]int{}
	}
	c.waiting[key]++
}

func (c *tally) String() string {
	var b strings.Builder
	var keys []string
	waiting := 0
	for _, key := range slices.Sorted(maps.Keys(c.waiting)) {
		keys = append(keys, fmt.Sprintf("%s %d", key, c.waiting[key]))
		waiting += c.waiting[key]
	}
	fmt.Fprintf(&b, "conformance: %d cases, %d passed, %d passed in part, %d corrected, %d not yet built, %d failed\n",
		c.passed+c.partly+c.corrected+waiting+c.failed, c.passed, c.partly, c.corrected, waiting, c.failed)
	if keys != nil {
		fmt.Fprintf(&b, "not yet built: %s\n", strings.Join(keys, ", "))
	}
	for _, list := range []struct {
		title   string
		reasons map[string]string
	}{{"in part", inPart}, {"corrected", corrected}} {
		for _, id := range slices.Sorted(maps.Keys(list.reasons)) {
			fmt.Fprintf(&b, "%-9s  %-8s  %s\n", list.title, id, list.reasons[id])
		}
	}
	return b.String()
}

// TestUpToDate fails if the policies and the generated wrappers have drifted
// apart.
func TestUpToDate(t *testing.T) {
	for _, dir := range []string{".", "grpc", "streams"} {
		files, err := generator.Generate(t.Context(), generator.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if old, err := os.ReadFile(f.Path); err != nil || string(old) != string(f.Content) {
				t.Errorf("%s is not up to date (%v): go generate", f.Path, err)
			}
		}
	}
}
